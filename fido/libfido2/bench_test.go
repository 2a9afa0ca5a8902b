package libfido2

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"fob/fido/emulator"
)

// Through a pseudo-terminal and libfido2, with the key and its host in one process. The baseline is the cryptography
// alone.

func BenchmarkMakeCredential(b *testing.B) {
	d := benchDevice(b)
	r := registration("ada")
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.MakeCredential(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		for b.Loop() {
			signOnce(b, newECDSAKey(b))
		}
	})
}

func BenchmarkGetAssertion(b *testing.B) {
	d := benchDevice(b)
	made := register(b, d, registration("ada"))
	r := signIn(made.CredentialID)
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.GetAssertion(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		key := newECDSAKey(b)
		for b.Loop() {
			signOnce(b, key)
		}
	})
}

func benchDevice(b *testing.B) *Device {
	b.Helper()
	path, _ := plug(b, newKey(b, emulator.Options{}))
	return open(b, path)
}

func newECDSAKey(b *testing.B) *ecdsa.PrivateKey {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return key
}

func signOnce(b *testing.B, key *ecdsa.PrivateKey) {
	b.Helper()
	digest := sha256.Sum256(clientDataHash[:])
	if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
		b.Fatal(err)
	}
}
