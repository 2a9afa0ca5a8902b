package fido

import (
	"errors"
	"fmt"
	"log/slog"
)

// PIN is the PIN of a key, UTF-8 in Unicode normalization form C, at most 63 bytes (CTAP 2.2 §6.5.1). It never
// prints itself and refuses to be encoded as JSON. Whoever made it wipes it.
type PIN []byte

// MinPINLength is the shortest PIN of any key, in Unicode code points (CTAP 2.2 §6.5.1).
const MinPINLength = 4

// MaxPINLength is the longest PIN, in bytes of UTF-8 (CTAP 2.2 §6.5.1).
const MaxPINLength = 63

const redacted = "[PIN]"

// Wipe overwrites the PIN.
func (p PIN) Wipe() { clear(p) }

// Format implements fmt.Formatter for every verb.
func (p PIN) Format(s fmt.State, _ rune) { s.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (p PIN) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails: a PIN has no business in JSON that we write.
func (p PIN) MarshalJSON() ([]byte, error) { return nil, errors.New("a PIN is not for JSON") }
