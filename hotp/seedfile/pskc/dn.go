package pskc

import (
	"encoding/hex"
	"strings"
)

// A UserId is a distinguished name (RFC 6030 §4.3.1, §4.3.2; RFC 4514). An account or a user that is none, such as
// alice@example.com, is written as its common name, which is also what ykman takes for the name of an account.

// dnOf gives the UserId of a name.
func dnOf(name string) string {
	if name == "" || isDN(name) && nameOf(name) == name && strings.TrimSpace(name) == name {
		return name
	}
	return "CN=" + escapeDN(name)
}

// nameOf gives the name of a UserId: of one that is but a common name, that; any other one stays what it is.
func nameOf(userID string) string {
	if len(userID) < 4 || !strings.EqualFold(userID[:3], "CN=") {
		return userID
	}
	if name, ok := unescapeDN(userID[3:]); ok && name != "" {
		return name
	}
	return userID
}

// isDN tells whether a text may be a distinguished name: each of its parts is a type, "=" and a value.
func isDN(s string) bool {
	for part := range strings.SplitSeq(s, ",") {
		kind, _, ok := strings.Cut(part, "=")
		if kind = strings.TrimSpace(kind); !ok || kind == "" || strings.Trim(kind, typeLetters) != "" {
			return false
		}
	}
	return true
}

const typeLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

const dnSpecial = `"+,;<>\=#`

// escapeDN escapes a value (RFC 4514 §2.4). Spaces at its ends are escaped as hex, so that nothing trims them.
func escapeDN(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' && (i == 0 || i == len(s)-1):
			b.WriteString(`\20`)
			continue
		case strings.IndexByte(dnSpecial, c) >= 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// unescapeDN undoes that; false for what is not a single value.
func unescapeDN(s string) (string, bool) {
	if !strings.ContainsAny(s, dnSpecial) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (strings.IndexByte(dnSpecial, s[i+1]) >= 0 || s[i+1] == ' '):
			i++
			b = append(b, s[i])
		case c == '\\' && i+2 < len(s):
			code, err := hex.DecodeString(s[i+1 : i+3])
			if err != nil {
				return "", false
			}
			b = append(b, code...)
			i += 2
		case strings.IndexByte(`"+,;<>\`, c) >= 0:
			return "", false
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}
