package apps

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"fob/hotp/seedfile"
)

// Sizes of AES-256-GCM, in bytes.
const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16
)

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is of no size that AES has
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

// seal encrypts with a random nonce, and wipes the key.
func seal(key, plain []byte) (nonce, sealed []byte) {
	defer clear(key)
	nonce = random(nonceSize)
	return nonce, newGCM(key).Seal(nil, nonce, plain, nil)
}

// open decrypts, and wipes the key. Its error is seedfile.ErrWrongKey.
func open(key, nonce, sealed []byte) ([]byte, error) {
	defer clear(key)
	if len(nonce) != nonceSize {
		return nil, seedfile.ErrWrongKey
	}
	plain, err := newGCM(key).Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, seedfile.ErrWrongKey
	}
	return plain, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
