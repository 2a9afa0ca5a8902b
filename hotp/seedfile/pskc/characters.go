package pskc

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// place is where characters stand.
type place uint8

const (
	inText place = iota
	inAttribute
	inCDATA
)

// characters checks text, and replaces what stands for other characters. What is plain text is not copied.
func (s *scanner) characters(b []byte, where place) ([]byte, error) {
	i := plainPrefix(b)
	if i == len(b) {
		return b, nil
	}
	start := len(s.scratch) // it has room: nothing gets longer
	s.scratch = append(s.scratch, b[:i]...)
	for i < len(b) {
		n, err := s.character(b[i:], where)
		if err != nil {
			return nil, err
		}
		i += n
		n = plainPrefix(b[i:])
		s.scratch = append(s.scratch, b[i:i+n]...)
		i += n
	}
	return s.scratch[start:], nil
}

// character takes one that is not plain, and tells how many bytes of b it is. A line ends with a single line feed
// (XML 1.0 §2.11), in attributes, too, where XML makes a space of it: encoding/xml does the same.
func (s *scanner) character(b []byte, where place) (int, error) {
	switch c := b[0]; {
	case c == '&' && where != inCDATA:
		return s.reference(b)
	case c == '\r':
		s.scratch = append(s.scratch, '\n')
		if len(b) > 1 && b[1] == '\n' {
			return 2, nil
		}
		return 1, nil
	case c == '<' && where == inAttribute:
		return 0, s.fault("the value of an attribute has a <")
	case c == ']' && where == inText && bytes.HasPrefix(b, []byte("]]>")):
		return 0, s.fault("text has a ]]>")
	case c < utf8.RuneSelf && (c >= ' ' || c == '\t' || c == '\n'):
		s.scratch = append(s.scratch, c)
		return 1, nil
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError && n == 1 {
		return 0, s.fault("it is not UTF-8")
	}
	if !isChar(r) {
		return 0, s.fault(fmt.Sprintf("it has the character U+%04X, which XML does not have", r))
	}
	s.scratch = append(s.scratch, b[:n]...)
	return n, nil
}

// maxReference is longer than any reference to a character.
const maxReference = 16

// reference takes a reference to a character (XML 1.0 §4.1).
func (s *scanner) reference(b []byte) (int, error) {
	end := bytes.IndexByte(b[:min(len(b), maxReference)], ';')
	if end < 0 {
		if bytes.IndexByte(b, ';') > 0 {
			return 0, s.strictly("it has an entity that XML does not define")
		}
		return 0, s.fault("it has an & that begins no entity")
	}
	switch string(b[1:end]) {
	case "lt":
		s.scratch = append(s.scratch, '<')
	case "gt":
		s.scratch = append(s.scratch, '>')
	case "amp":
		s.scratch = append(s.scratch, '&')
	case "apos":
		s.scratch = append(s.scratch, '\'')
	case "quot":
		s.scratch = append(s.scratch, '"')
	default:
		return end + 1, s.byNumber(b[1:end])
	}
	return end + 1, nil
}

func (s *scanner) byNumber(b []byte) error {
	digits, base := b, 10
	switch {
	case bytes.HasPrefix(b, []byte("#x")):
		digits, base = b[2:], 16
	case bytes.HasPrefix(b, []byte("#")):
		digits = b[1:]
	default:
		return s.fault("it has an entity that XML does not define")
	}
	r, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || len(digits) == 0 || digits[0] == '+' || digits[0] == '-' || digits[0] == '_' {
		return s.fault("a reference to a character has no number")
	}
	if r > utf8.MaxRune || !isChar(rune(r)) {
		return s.strictly("a reference is to a character that XML does not have")
	}
	s.scratch = utf8.AppendRune(s.scratch, rune(r))
	return nil
}

// isChar tells whether XML has a character (XML 1.0 §2.2).
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || ' ' <= r && r <= 0xD7FF || 0xE000 <= r && r <= 0xFFFD ||
		0x10000 <= r && r <= utf8.MaxRune
}

// Classes of bytes.
const (
	special   = 1 << iota // in text: not to be taken as it is without a look
	nameStart             // may begin a name
	nameChar              // may be in a name, or is the colon
)

var classes = func() (c [256]uint8) {
	for i := range c {
		b := byte(i)
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '_'
		if b < ' ' && b != '\t' && b != '\n' || b >= utf8.RuneSelf || b == '&' || b == '<' || b == ']' {
			c[i] |= special
		}
		if letter {
			c[i] |= nameStart
		}
		if letter || '0' <= b && b <= '9' || b == '-' || b == '.' || b == ':' {
			c[i] |= nameChar
		}
	}
	return c
}()

// plainPrefix tells how many bytes b begins with that can be taken as they are.
func plainPrefix(b []byte) int {
	for i, c := range b {
		if classes[c]&special != 0 {
			return i
		}
	}
	return len(b)
}
