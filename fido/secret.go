package fido

import (
	"errors"
	"fmt"
	"log/slog"
)

// Secret is a key, or what a key is made of, such as a salt of hmac-secret. It never prints itself and refuses to be
// encoded as JSON. Whoever made it wipes it.
type Secret []byte

const redactedSecret = "[secret]"

// Wipe overwrites the secret.
func (s Secret) Wipe() { clear(s) }

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { f.Write([]byte(redactedSecret)) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redactedSecret) }

// MarshalJSON always fails: what a relying party is to get of a secret is put into its response by name.
func (s Secret) MarshalJSON() ([]byte, error) { return nil, errors.New("a secret is not for JSON") }
