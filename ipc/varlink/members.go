package varlink

import (
	"encoding/json"
	"reflect"
	"strings"
)

// member is a member of a JSON object, its value a part of the text that it was read from.
type member struct {
	name  string
	value []byte
}

// members splits a JSON object. Two members of one name are malformed: which of them counts would be anybody's guess. It
// copies no value, so that none is left behind.
func members(b []byte) ([]member, error) {
	if !json.Valid(b) || !isObject(b) {
		return nil, ErrMalformed
	}
	var list []member
	seen := make(map[string]bool)
	s := &scanner{text: b}
	s.skip() // the brace
	for s.next() != '}' {
		var m member
		if err := json.Unmarshal(s.value(), &m.name); err != nil || seen[m.name] {
			return nil, ErrMalformed
		}
		seen[m.name] = true
		s.next()
		s.skip() // the colon
		m.value = s.value()
		list = append(list, m)
		if s.next() == ',' {
			s.skip()
		}
	}
	return list, nil
}

// scanner goes through JSON that is known to be valid.
type scanner struct {
	text []byte
	at   int
}

// next gives the next byte that is not white space.
func (s *scanner) next() byte {
	for strings.IndexByte(" \t\r\n", s.text[s.at]) >= 0 {
		s.at++
	}
	return s.text[s.at]
}

// skip passes over the next byte that is not white space.
func (s *scanner) skip() {
	s.next()
	s.at++
}

// value passes over a value and gives it.
func (s *scanner) value() []byte {
	s.next()
	begin, depth := s.at, 0
	for {
		switch s.text[s.at] {
		case '"':
			s.passString()
			s.at-- // to its end
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth <= 0 && s.ends(begin) {
			return s.text[begin:s.at]
		}
	}
}

// ends reports whether the value that began at begin ends here.
func (s *scanner) ends(begin int) bool {
	switch s.text[begin] {
	case '"', '{', '[':
		return true
	}
	return strings.IndexByte(",]} \t\r\n", s.text[s.at]) >= 0 // a number or a word
}

func (s *scanner) passString() {
	for s.at++; s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

// checkNames refuses parameters whose names differ from those of v's fields in case alone: encoding/json would take
// them, and whoever else reads the call by the interface's names would see other parameters than we do.
func checkNames(parameters json.RawMessage, v any) error {
	if parameters == nil {
		return nil
	}
	list, err := members(parameters)
	if err != nil {
		return InvalidParameter{"parameters"}
	}
	fields := fieldNames(reflect.TypeOf(v))
	for _, m := range list {
		for _, name := range fields {
			if name != m.name && strings.EqualFold(name, m.name) {
				return InvalidParameter{m.name}
			}
		}
	}
	return nil
}

// checkFlags refuses parameters that lack a bool of v whose tag names it and does not say omitempty. Who takes an empty text
// or a number that is missing can tell; false is what encoding/json makes of both.
func checkFlags(parameters json.RawMessage, v any) error {
	given := make(map[string]bool)
	if parameters != nil {
		list, err := members(parameters)
		if err != nil {
			return InvalidParameter{"parameters"}
		}
		for _, m := range list {
			given[m.name] = string(m.value) != "null"
		}
	}
	t := reflect.TypeOf(v).Elem()
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type.Kind() == reflect.Bool && name != "" && name != "-" && option == "" && !given[name] {
			return InvalidParameter{name}
		}
	}
	return nil
}

// fieldNames lists the JSON names of the fields of the struct that t points to.
func fieldNames(t reflect.Type) []string {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.Elem().NumField() {
		f := t.Elem().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		names = append(names, name)
	}
	return names
}
