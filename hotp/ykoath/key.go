package ykoath

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"fob/hotp"
)

// minKey is how short an HMAC key may be, in bytes.
const minKey = 14

// hmacKey gives the key as security keys take it: one that is longer than the block of the hash is hashed, which makes
// the same HMAC (RFC 2104 §2), and so does one that ends in zeros. The caller wipes it.
func hmacKey(a hotp.Algorithm, seed hotp.Seed) hotp.Seed {
	h := newHash(a)()
	if len(seed) > h.BlockSize() {
		h.Write(seed)
		return h.Sum(nil)
	}
	return append(make(hotp.Seed, 0, max(minKey, len(seed))), seed...)[:max(minKey, len(seed))]
}

func newHash(a hotp.Algorithm) func() hash.Hash {
	switch a {
	case hotp.SHA256:
		return sha256.New
	case hotp.SHA512:
		return sha512.New
	}
	return sha1.New
}

// mac is the HMAC of a message by a seed.
func mac(a hotp.Algorithm, seed hotp.Seed, message []byte) []byte {
	h := hmac.New(newHash(a), seed)
	h.Write(message)
	return h.Sum(nil)
}
