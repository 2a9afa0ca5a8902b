package ipc

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"unicode/utf16"
	"unicode/utf8"
)

// Secret is a JSON string that must leave no copies behind, such as a PIN. It never prints itself. Decoding makes no Go
// string, which could not be wiped; encoding goes through AppendJSON alone.
type Secret []byte

const redacted = "[secret]"

// Wipe overwrites the secret.
func (s Secret) Wipe() { clear(s) }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails: encoding/json would keep a copy in its buffers.
func (s Secret) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a secret is not for encoding/json")
}

// AppendJSON appends the secret to b as a JSON string. b must have room, or a copy stays behind where it was.
func (s Secret) AppendJSON(b []byte) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// maxJSON is how many bytes AppendJSON needs at most.
func (s Secret) maxJSON() int { return 6*len(s) + 2 }

// UnmarshalJSON takes a JSON string. The error never repeats what it was given.
func (s *Secret) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	if len(data) < 2 || data[0] != '"' {
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[Secret]()}
	}
	out := make([]byte, 0, len(data)) // never grows: an escape is longer than what it stands for
	for in := data[1 : len(data)-1]; len(in) > 0; {
		if in[0] != '\\' {
			out, in = append(out, in[0]), in[1:]
			continue
		}
		var r rune
		r, in = unescape(in)
		out = utf8.AppendRune(out, r)
	}
	*s = out
	return nil
}

// unescape decodes the escape that in begins with (RFC 8259 §7), which encoding/json has found well-formed.
func unescape(in []byte) (rune, []byte) {
	switch c := in[1]; c {
	case 'b':
		return '\b', in[2:]
	case 'f':
		return '\f', in[2:]
	case 'n':
		return '\n', in[2:]
	case 'r':
		return '\r', in[2:]
	case 't':
		return '\t', in[2:]
	case 'u':
		r := hex4(in[2:6])
		rest := in[6:]
		if utf16.IsSurrogate(r) {
			if len(rest) >= 6 && rest[0] == '\\' && rest[1] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(rest[2:6])); pair != utf8.RuneError {
					return pair, rest[6:]
				}
			}
			return utf8.RuneError, rest
		}
		return r, rest
	default: // '"', '\\', '/'
		return rune(c), in[2:]
	}
}

func hex4(digits []byte) rune {
	var b [2]byte
	hex.Decode(b[:], digits)
	return rune(b[0])<<8 | rune(b[1])
}
