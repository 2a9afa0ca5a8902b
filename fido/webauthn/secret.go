package webauthn

import (
	"fmt"
	"log/slog"
)

// Secret is a byte string like Base64URL that never prints itself: an input or an output of prf. JSON has it in the
// clear, for the relying party.
type Secret []byte

const redacted = "[secret]"

// Wipe overwrites the secret.
func (s Secret) Wipe() { clear(s) }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON gives the encoded form as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return Base64URL(s).MarshalJSON() }
