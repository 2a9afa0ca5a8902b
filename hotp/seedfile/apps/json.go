package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions below walk through JSON that json.Valid has found good. They give parts of it without copying, so that
// wiping the file wipes all of them.

// cutValue splits off the first value of text.
func cutValue(text []byte) (value, rest []byte) {
	text = trimSpace(text)
	if len(text) == 0 {
		return nil, nil
	}
	end := 0
	switch text[0] {
	case '"':
		end = stringEnd(text)
	case '{', '[':
		end = nestedEnd(text)
	default:
		if end = bytes.IndexAny(text, ",]} \t\r\n"); end < 0 {
			end = len(text)
		}
	}
	return text[:end], text[end:]
}

func trimSpace(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// stringEnd gives where the string ends that text begins with.
func stringEnd(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// nestedEnd gives where the object or array ends that text begins with.
func nestedEnd(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i += stringEnd(text[i:]) - 1
		}
	}
}

// elements gives what is left of an array before its first element, for cutNext; nil where value is no array.
func elements(value []byte) []byte {
	if len(value) < 2 || value[0] != '[' {
		return nil
	}
	return value[1:]
}

// cutNext splits off the next element of what is left of an array, or nil at its end.
func cutNext(text []byte) (element, rest []byte) {
	text = trimSpace(text)
	if len(text) > 0 && text[0] == ',' {
		text = trimSpace(text[1:])
	}
	if len(text) == 0 || text[0] == ']' {
		return nil, nil
	}
	return cutValue(text)
}

// cutMember splits off the next member of what is left of an object, or nil at its end. The key is as it is written.
func cutMember(text []byte) (key, value, rest []byte) {
	text = trimSpace(text)
	if len(text) > 0 && text[0] == ',' {
		text = trimSpace(text[1:])
	}
	if len(text) == 0 || text[0] == '}' {
		return nil, nil, nil
	}
	key, text = cutValue(text)
	value, rest = cutValue(trimSpace(text)[1:]) // behind the colon
	return key, value, rest
}

// member gives the value at the end of a path of keys; nil where it is not there or null.
func member(value []byte, path ...string) []byte {
	for _, name := range path {
		if len(value) == 0 || value[0] != '{' {
			return nil
		}
		key, found, rest := cutMember(value[1:])
		for key != nil && string(key[1:len(key)-1]) != name {
			key, found, rest = cutMember(rest)
		}
		value = found
	}
	if string(value) == "null" {
		return nil
	}
	return value
}

// decode decodes a value. Its error names the field and never has a value.
func decode(value []byte, into any) error {
	err := json.Unmarshal(value, into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("its %s is of the wrong type", strings.ToLower(wrong.Field))
	case err != nil:
		return errors.New("is not what it should be")
	}
	return nil
}

// secret is a JSON string that must leave no copies behind. Decoding makes no Go string, which could not be wiped.
type secret []byte

// UnmarshalJSON takes a JSON string; null leaves it as it is. The error never repeats what it was given.
func (s *secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	if data[0] != '"' {
		return errors.New("a secret is no string")
	}
	*s = unquote(data)
	return nil
}

// unquote decodes a string into one piece of memory.
func unquote(quoted []byte) []byte {
	out := make([]byte, 0, len(quoted)) // never grows: an escape is longer than what it stands for
	for in := quoted[1 : len(quoted)-1]; len(in) > 0; {
		if in[0] != '\\' {
			out, in = append(out, in[0]), in[1:]
			continue
		}
		var r rune
		r, in = unescape(in)
		out = utf8.AppendRune(out, r)
	}
	return out
}

// unescape decodes the escape that in begins with (RFC 8259 §7).
func unescape(in []byte) (rune, []byte) {
	if in[1] != 'u' {
		return map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\', '/': '/'}[in[1]],
			in[2:]
	}
	r, rest := hex4(in[2:6]), in[6:]
	if utf16.IsSurrogate(r) {
		if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(rest[2:6])); pair != utf8.RuneError {
				return pair, rest[6:]
			}
		}
		return utf8.RuneError, rest
	}
	return r, rest
}

func hex4(digits []byte) (r rune) {
	for _, c := range digits {
		r = r<<4 | rune(c&15)
		if c > '9' {
			r += 9
		}
	}
	return r
}

// appendText appends a text without control characters as a JSON string.
func appendText(out []byte, text string) []byte {
	out = append(out, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, text[i])
	}
	return append(out, '"')
}
