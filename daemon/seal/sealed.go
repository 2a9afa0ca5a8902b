package seal

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrInvalid is what is no sealed data key, or a damaged one.
var ErrInvalid = errors.New("not a sealed data key")

// MaxPayload bounds what a Sealer gives, in bytes.
const MaxPayload = 2048

// maxSealed is more than any Sealed has as text, in bytes.
const maxSealed = MaxPayload*4/3 + 128

// Sealed is a data key that somebody has sealed. As text it is one line, which is safe to show:
//
//	fob-sealed-key/1 KIND PAYLOAD SUM
//
// PAYLOAD is base64, and SUM the first 16 bytes of the SHA-256 of all before it, base64. It tells damage from a wrong
// secret.
type Sealed struct {
	Kind    Kind
	Payload []byte
}

const sealedName = "fob-sealed-key/1"

var encoding = base64.RawURLEncoding.Strict()

// Encode gives s as text.
func (s *Sealed) Encode() []byte {
	text := fmt.Sprintf("%s %s %s", sealedName, s.Kind, encoding.EncodeToString(s.Payload))
	return []byte(text + " " + checksum(text))
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return encoding.EncodeToString(sum[:16])
}

// ParseSealed reverses Encode, or returns ErrInvalid. Kinds that this version does not know are left to the caller.
func ParseSealed(b []byte) (*Sealed, error) {
	if len(b) > maxSealed {
		return nil, fmt.Errorf("%w: over %d bytes", ErrInvalid, maxSealed)
	}
	words := strings.Split(string(b), " ")
	if len(words) != 4 || words[0] != sealedName || checksum(strings.Join(words[:3], " ")) != words[3] {
		return nil, ErrInvalid
	}
	payload, err := encoding.DecodeString(words[2])
	if err != nil || len(payload) > MaxPayload || !isKind(words[1]) || strings.ContainsAny(words[2], "\r\n") {
		return nil, ErrInvalid
	}
	return &Sealed{Kind(words[1]), payload}, nil
}

// isKind reports whether s may name a kind: lower-case letters and digits.
func isKind(s string) bool {
	return s != "" && len(s) <= 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
}
