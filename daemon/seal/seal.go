// Package seal keeps the data key of the store from who has the store's file alone.
//
// A Sealer encrypts the data key with a secret of its own, a key file, a systemd credential or a passphrase, or has a TPM
// do so. What comes out, a Sealed, lies beside the data and says which kind of Sealer opens it.
package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"fob/fido"
)

// KeySize is the length of a data key, in bytes.
const KeySize = 32

// Kind names a kind of Sealer.
type Kind string

// The kinds of Sealers.
const (
	KindKeyFile    Kind = "keyfile"
	KindCredential Kind = "credential"
	KindPassphrase Kind = "passphrase"
	KindTPM        Kind = "tpm"
	KindTPMPIN     Kind = "tpmpin"
)

// NeedsPerson tells whether somebody must say something before such a Sealer unseals.
func (k Kind) NeedsPerson() bool { return k == KindPassphrase || k == KindTPMPIN }

// Sealer seals data keys of KeySize bytes.
type Sealer interface {
	Kind() Kind
	// Seal encrypts a data key. What it gives has MaxPayload bytes at most.
	Seal(key fido.Secret) (payload []byte, err error)
	// Unseal reverses Seal. ErrWrongKey says that another secret has sealed it, or that somebody has changed it. The
	// caller wipes the key.
	Unseal(payload []byte) (fido.Secret, error)
}

// Errors of Sealers.
var (
	ErrWrongKey = errors.New("the data key was sealed with another secret")
	ErrMissing  = errors.New("the secret that opens the data key is missing")
	ErrUnfit    = errors.New("unfit to seal a data key")
)

// NewKey makes a data key.
func NewKey() fido.Secret {
	key := make(fido.Secret, KeySize)
	rand.Read(key) // never fails
	return key
}

// saltSize is as RFC 9106 §3.1 and RFC 5869 §3.1 advise, in bytes.
const saltSize = 32

// payloadSize is the length of what the Sealers of this package give: the salt, and the data key in an AEAD's box.
const payloadSize = saltSize + chacha20poly1305.NonceSizeX + KeySize + chacha20poly1305.Overhead

// derive makes the key that encrypts data keys from a secret and a salt.
type derive func(salt []byte) (fido.Secret, error)

// fromKey derives from a secret that nobody can guess (HKDF, RFC 5869).
func fromKey(secret fido.Secret) derive {
	return func(salt []byte) (fido.Secret, error) {
		return hkdf.Key(sha256.New, secret, salt, "fob store: key that seals the data key", KeySize)
	}
}

// wrap encrypts a data key by XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha).
func wrap(kind Kind, key fido.Secret, d derive) ([]byte, error) {
	payload := make([]byte, saltSize+chacha20poly1305.NonceSizeX, payloadSize)
	rand.Read(payload)
	sealing, err := d(payload[:saltSize])
	if err != nil {
		return nil, err
	}
	defer sealing.Wipe()
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		return nil, err
	}
	return aead.Seal(payload, payload[saltSize:], key, associated(kind)), nil
}

// unwrap reverses wrap.
func unwrap(kind Kind, payload []byte, d derive) (fido.Secret, error) {
	if len(payload) != payloadSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalid, len(payload))
	}
	salt, box := payload[:saltSize], payload[saltSize:]
	sealing, err := d(salt)
	if err != nil {
		return nil, err
	}
	defer sealing.Wipe()
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		return nil, err
	}
	nonce, box := box[:chacha20poly1305.NonceSizeX], box[chacha20poly1305.NonceSizeX:]
	key, err := aead.Open(nil, nonce, box, associated(kind))
	if err != nil {
		return nil, ErrWrongKey
	}
	return key, nil
}

// associated binds a payload to its kind.
func associated(kind Kind) []byte { return []byte("fob sealed data key 1 " + string(kind)) }
