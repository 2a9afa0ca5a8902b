package webauthn

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// object is a JSON object that is being read. The first problem found anywhere in the document stays in err and
// reading goes on with zero values, so the code that reads a dictionary can look like the dictionary. Members that
// nobody asks for are ignored, as WebIDL does; null is a value of the wrong type.
type object struct {
	path    string
	members map[string]json.RawMessage
	err     *error
}

// presence says whether a member may be absent.
type presence bool

const (
	required presence = true
	optional presence = false
)

// readDocument checks b and reads the object it holds.
func readDocument(b []byte) (object, error) {
	if err := CheckJSON(b); err != nil {
		return object{}, err
	}
	o := object{err: new(error)}
	if json.Unmarshal(b, &o.members) != nil || o.members == nil {
		return object{}, &MemberError{Problem: fmt.Errorf("%w: must be an object", ErrType)}
	}
	return o, nil
}

func (o object) fail(name string, problem error) {
	if *o.err == nil {
		*o.err = &MemberError{join(o.path, name), problem}
	}
}

// decode reads the member called name into v. It reports whether v has a value now.
func (o object) decode(name string, need presence, first, kind string, v any) bool {
	raw, ok := o.members[name]
	switch {
	case !ok && need == required:
		o.fail(name, ErrMissing)
	case !ok:
	case !startsWith(raw, first) || json.Unmarshal(raw, v) != nil:
		o.fail(name, fmt.Errorf("%w: must be %s", ErrType, kind))
	default:
		return true
	}
	return false
}

// startsWith tells JSON's types apart by the first byte of a value; above all it keeps null out, which encoding/json
// takes for "leave as it is".
func startsWith(raw json.RawMessage, first string) bool {
	for i := range len(first) {
		if len(raw) > 0 && raw[0] == first[i] {
			return true
		}
	}
	return false
}

func (o object) text(name string, need presence) string {
	var s string
	if !o.decode(name, need, `"`, "a string", &s) {
		return s
	}
	if len(s) > MaxTextLength {
		o.fail(name, fmt.Errorf("%w: %d bytes, at most %d", ErrLength, len(s), MaxTextLength))
	}
	if strings.IndexByte(s, 0) >= 0 { // where C would end the text
		o.fail(name, fmt.Errorf("%w: it contains U+0000", ErrValue))
	}
	return s
}

// bytes reads a member in base64url that stands for shortest to longest bytes.
func (o object) bytes(name string, need presence, shortest, longest int) Base64URL {
	var b Base64URL
	raw, ok := o.members[name]
	if !ok {
		if need == required {
			o.fail(name, ErrMissing)
		}
		return nil
	}
	if !startsWith(raw, `"`) {
		o.fail(name, fmt.Errorf("%w: must be a string", ErrType))
	} else if err := b.UnmarshalJSON(raw); err != nil {
		o.fail(name, err)
	} else if len(b) < shortest || len(b) > longest {
		o.fail(name, fmt.Errorf("%w: %d bytes, must be %d to %d", ErrLength, len(b), shortest, longest))
	}
	return b
}

func (o object) flag(name string) bool {
	var f bool
	o.decode(name, optional, "tf", "true or false", &f)
	return f
}

// integer reads a whole number: unsigned long and long of WebIDL, without WebIDL's rounding and wrapping.
func (o object) integer(name string, need presence, lowest, highest int64) int64 {
	var n json.Number
	if !o.decode(name, need, "-0123456789", "a number", &n) {
		return 0
	}
	i, err := n.Int64()
	if err != nil || i < lowest || i > highest {
		o.fail(name, fmt.Errorf("%w: must be a whole number from %d to %d", ErrRange, lowest, highest))
		return 0
	}
	return i
}

func (o object) milliseconds(name string) uint32 {
	return uint32(o.integer(name, optional, 0, math.MaxUint32))
}

func (o object) object(name string, need presence) object {
	child := object{path: join(o.path, name), err: o.err}
	o.decode(name, need, "{", "an object", &child.members)
	return child
}

func (o object) texts(name string, need presence) []string {
	list := o.list(name, need)
	texts := make([]string, 0, len(list))
	for _, element := range list {
		texts = append(texts, element.text("", required))
	}
	return texts
}

func (o object) objects(name string, need presence) []object {
	list := o.list(name, need)
	objects := make([]object, 0, len(list))
	for _, element := range list {
		objects = append(objects, element.object("", required))
	}
	return objects
}

// list reads a list. Each element is an object with one member, the element, whose name is empty.
func (o object) list(name string, need presence) []object {
	var elements []json.RawMessage
	if !o.decode(name, need, "[", "a list", &elements) {
		return nil
	}
	if len(elements) > MaxListLength {
		o.fail(name, fmt.Errorf("%w: %d elements, at most %d", ErrLength, len(elements), MaxListLength))
		return nil
	}
	list := make([]object, len(elements))
	for i, raw := range elements {
		path := fmt.Sprintf("%s[%d]", join(o.path, name), i)
		list[i] = object{path, map[string]json.RawMessage{"": raw}, o.err}
	}
	return list
}
