package seal

import (
	"crypto/sha512"

	"golang.org/x/crypto/argon2"

	"fob/fido"
)

// MaxPassphraseLength is the longest passphrase, in bytes.
const MaxPassphraseLength = 1024

// What a guess costs (RFC 9106 §4, the second recommended option): three passes over 64 MiB in four lanes, some tenths
// of a second. The values belong to the kind; a file could name others that take all the memory there is.
const (
	argonPasses = 3
	argonMemory = 64 << 10 // KiB
	argonLanes  = 4
)

// Passphrase is a Sealer with a secret that a person knows. Argon2id, and not the scrypt of age, makes a key of it: it
// takes bytes, which can be wiped, where age takes a string.
type Passphrase struct {
	Passphrase fido.Secret // 1 to MaxPassphraseLength bytes; the caller wipes it
}

var _ Sealer = Passphrase{}

// Kind implements Sealer.
func (Passphrase) Kind() Kind { return KindPassphrase }

// Seal implements Sealer.
func (p Passphrase) Seal(key fido.Secret) ([]byte, error) {
	if n := len(p.Passphrase); n == 0 || n > MaxPassphraseLength {
		return nil, ErrUnfit
	}
	return wrap(KindPassphrase, key, p.derive)
}

// Unseal implements Sealer.
func (p Passphrase) Unseal(payload []byte) (fido.Secret, error) {
	if n := len(p.Passphrase); n == 0 || n > MaxPassphraseLength {
		return nil, ErrWrongKey
	}
	return unwrap(KindPassphrase, payload, p.derive)
}

// derive gives Argon2id the passphrase's SHA-512: what Argon2id leaves of its input in memory, nobody can wipe.
func (p Passphrase) derive(salt []byte) (fido.Secret, error) {
	h := sha512.New()
	h.Write(p.Passphrase)
	digest := fido.Secret(h.Sum(nil))
	defer digest.Wipe()
	h.Reset()
	h.Write(make([]byte, h.BlockSize()-1)) // over the end of the passphrase, which the hash has kept
	return argon2.IDKey(digest, salt, argonPasses, argonMemory, argonLanes, KeySize), nil
}
