package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"filippo.io/age"
)

// Errors of state files with a passphrase.
var (
	ErrPassphraseMissing = errors.New("this state file is encrypted, and needs its passphrase")
	ErrPassphraseWrong   = errors.New("wrong passphrase for this state file")
	ErrNotEncrypted      = errors.New("this state file is not encrypted; export it, and import it with a passphrase")
)

// Passphrase encrypts a state file. It hides itself wherever it is printed; the caller wipes it.
type Passphrase []byte

// Format implements fmt.Formatter, for every verb.
func (Passphrase) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// LogValue implements slog.LogValuer.
func (Passphrase) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalJSON implements json.Marshaler.
func (Passphrase) MarshalJSON() ([]byte, error) { return []byte(`"[redacted]"`), nil }

// Wipe overwrites the passphrase.
func (p Passphrase) Wipe() { clear(p) }

// maxWorkFactor is the cost of guessing a passphrase, as a power of two: about a second, and 256 MiB of memory. A file that
// names more is not ours, and could take all the memory there is.
const maxWorkFactor = 18

var scryptWorkFactor = maxWorkFactor // less in tests

// sealedState is an encrypted state file. The state is encrypted to a key of its own, so that each change costs no
// scrypt; the passphrase encrypts that key, once.
type sealedState struct {
	Version   int    `json:"version"`
	SealedKey []byte `json:"sealedKey"` // an age identity, encrypted by age with the passphrase
	Sealed    []byte `json:"sealed"`    // the state, encrypted by age to that identity
}

// parseSealed decodes an encrypted state file, without opening it; nil when the file is not encrypted.
func parseSealed(b []byte) (*sealedState, error) {
	if len(b) > maxSealedSize {
		return nil, fmt.Errorf("%w: over %d bytes", ErrStateInvalid, maxSealedSize)
	}
	var s sealedState
	if err := json.Unmarshal(b, &s); err != nil || s.SealedKey == nil {
		return nil, nil // what is wrong with it, parseState will say
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w: version %d is not %d", ErrStateInvalid, s.Version, stateVersion)
	}
	return &s, nil
}

// maxSealedSize allows for base64 and for what age adds.
const maxSealedSize = 2 * maxStateSize

// seal is what encrypts the states of one file.
type seal struct {
	identity *age.X25519Identity
	key      []byte // the identity, encrypted with the passphrase
}

// newSeal makes a key for states, and encrypts it with a passphrase.
func newSeal(p Passphrase) (*seal, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	recipient, err := age.NewScryptRecipient(string(p))
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(scryptWorkFactor)
	key, err := encrypt([]byte(identity.String()), recipient)
	return &seal{identity, key}, err
}

// openSeal gets the key for states with a passphrase.
func openSeal(key []byte, p Passphrase) (*seal, error) {
	byPassphrase, err := age.NewScryptIdentity(string(p))
	if err != nil {
		return nil, ErrPassphraseWrong // an empty one
	}
	byPassphrase.SetMaxWorkFactor(maxWorkFactor)
	text, err := decrypt(key, byPassphrase)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return nil, ErrPassphraseWrong
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStateInvalid, err)
	}
	identity, err := age.ParseX25519Identity(string(text))
	clear(text)
	if err != nil {
		return nil, fmt.Errorf("%w: key of the state", ErrStateInvalid)
	}
	return &seal{identity, key}, nil
}

// encode encrypts a state file.
func (s *seal) encode(state []byte) ([]byte, error) {
	sealed, err := encrypt(state, s.identity.Recipient())
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(sealedState{stateVersion, s.key, sealed}, "", "\t")
}

// decode decrypts a state file.
func (s *seal) decode(sealed []byte) ([]byte, error) {
	b, err := decrypt(sealed, s.identity)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStateInvalid, err)
	}
	return b, nil
}

func encrypt(b []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// decrypt reverses encrypt; what is longer than any state is refused.
func decrypt(b []byte, by age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b), by)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxStateSize+1))
}
