package webauthn

import (
	"crypto/sha256"
	"fmt"
	"unicode/utf8"
)

// Ceremony is the type of client data: what the signature is for (§5.8.1).
type Ceremony string

const (
	CeremonyCreate Ceremony = "webauthn.create"
	CeremonyGet    Ceremony = "webauthn.get"
)

// CollectedClientData is what the client vouches for (§5.8.1). TopOrigin is empty unless CrossOrigin is true.
type CollectedClientData struct {
	Type        Ceremony
	Challenge   Base64URL
	Origin      string
	CrossOrigin bool
	TopOrigin   string
}

// ClientDataJSON is serialized client data, to the byte as it was hashed.
type ClientDataJSON []byte

// Hash gives the SHA-256 that the authenticator signs.
func (c ClientDataJSON) Hash() [sha256.Size]byte { return sha256.Sum256(c) }

// Serialize gives the client data by the algorithm of §5.8.1.1, which verifiers without a JSON parser rely upon: it
// fixes the order of members and the escapes.
func (c *CollectedClientData) Serialize() ClientDataJSON {
	b := appendCCDString([]byte(`{"type":`), string(c.Type))
	b = appendCCDString(append(b, `,"challenge":`...), c.Challenge.String())
	b = appendCCDString(append(b, `,"origin":`...), c.Origin)
	b = fmt.Appendf(b, `,"crossOrigin":%t`, c.CrossOrigin)
	if c.CrossOrigin && c.TopOrigin != "" {
		b = appendCCDString(append(b, `,"topOrigin":`...), c.TopOrigin)
	}
	return append(b, '}')
}

// appendCCDString is CCDToString of §5.8.1.1. It escapes less than encoding/json does. Bytes that are not UTF-8
// become U+FFFD.
func appendCCDString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
