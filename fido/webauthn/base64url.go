package webauthn

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// ErrNotBase64URL tells of a string that is not base64url without padding.
var ErrNotBase64URL = errors.New("must be base64url without padding (RFC 4648 section 5, no = at the end)")

// Base64URL is a byte string that is base64url without padding in JSON: Base64URLString of §5.1.
type Base64URL []byte

var base64URL = base64.RawURLEncoding.Strict() // strict: bits that no byte uses must be zero

// String gives the encoded form.
func (b Base64URL) String() string { return base64URL.EncodeToString(b) }

// MarshalJSON gives the encoded form as a JSON string.
func (b Base64URL) MarshalJSON() ([]byte, error) { return []byte(`"` + b.String() + `"`), nil }

// UnmarshalJSON takes a JSON string in base64url without padding; ErrNotBase64URL tells of anything else.
func (b *Base64URL) UnmarshalJSON(data []byte) error {
	var s string
	if len(data) == 0 || data[0] != '"' || json.Unmarshal(data, &s) != nil {
		return ErrNotBase64URL
	}
	decoded, err := base64URL.DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") { // Go's decoder skips line ends
		return ErrNotBase64URL
	}
	*b = decoded
	return nil
}
