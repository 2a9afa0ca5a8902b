package ctap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// PINProtocol is a PIN/UV auth protocol (§6.5.4): how platform and authenticator hide PINs and tokens from each other's
// listeners.
type PINProtocol uint

const (
	PINProtocolOne PINProtocol = 1 // §6.5.6
	PINProtocolTwo PINProtocol = 2 // §6.5.7
)

// Supported reports whether p is a protocol that this package speaks.
func (p PINProtocol) Supported() bool { return p == PINProtocolOne || p == PINProtocolTwo }

// Authenticate makes the pinUvAuthParam of message under key, which is a pinUvAuthToken or a shared secret's HMAC key.
// It is 16 bytes long in protocol one and 32 in protocol two.
func (p PINProtocol) Authenticate(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	sum := mac.Sum(nil)
	if p == PINProtocolOne {
		return sum[:16]
	}
	return sum
}

// Verify checks a pinUvAuthParam in constant time.
func (p PINProtocol) Verify(key, message, param []byte) bool {
	return hmac.Equal(p.Authenticate(key, message), param)
}

// SharedSecret is what both sides hold after a key agreement: a key for HMAC and one for AES.
type SharedSecret struct {
	protocol PINProtocol
	hmacKey  []byte
	aesKey   []byte
}

// SharedSecret derives the secret from our private and the other side's public key (ecdh and kdf of §6.5.6, §6.5.7).
// The error is ErrInvalidParameter for a key that is nil, or that is none for the curve.
func (p PINProtocol) SharedSecret(ours *ecdh.PrivateKey, theirs *ecdh.PublicKey) (*SharedSecret, error) {
	if !p.Supported() || theirs == nil {
		return nil, ErrInvalidParameter
	}
	z, err := ours.ECDH(theirs)
	if err != nil {
		return nil, ErrInvalidParameter
	}
	defer clear(z)
	if p == PINProtocolOne {
		sum := sha256.Sum256(z)
		return &SharedSecret{p, sum[:], sum[:]}, nil
	}
	salt := make([]byte, sha256.Size)
	return &SharedSecret{
		protocol: p,
		hmacKey:  must(hkdf.Key(sha256.New, z, salt, "CTAP2 HMAC key", 32)),
		aesKey:   must(hkdf.Key(sha256.New, z, salt, "CTAP2 AES key", 32)),
	}, nil
}

// Wipe overwrites the keys.
func (s *SharedSecret) Wipe() {
	clear(s.hmacKey)
	clear(s.aesKey)
}

// Encrypt encrypts plaintext, whose length must be a multiple of 16 bytes: AES-256-CBC, with an IV of zeros in protocol
// one and a random one in front of the ciphertext in protocol two.
func (s *SharedSecret) Encrypt(plaintext []byte) ([]byte, error) {
	if len(plaintext)%aes.BlockSize != 0 {
		return nil, ErrInvalidParameter
	}
	out := make([]byte, aes.BlockSize+len(plaintext))
	iv, ciphertext := out[:aes.BlockSize], out[aes.BlockSize:]
	if s.protocol == PINProtocolTwo {
		rand.Read(iv)
	}
	cipher.NewCBCEncrypter(must(aes.NewCipher(s.aesKey)), iv).CryptBlocks(ciphertext, plaintext)
	if s.protocol == PINProtocolOne {
		return ciphertext, nil
	}
	return out, nil
}

// Decrypt reverses Encrypt; ErrInvalidParameter tells of a ciphertext that can't be one by its length.
func (s *SharedSecret) Decrypt(ciphertext []byte) ([]byte, error) {
	iv := make([]byte, aes.BlockSize)
	if s.protocol == PINProtocolTwo {
		if len(ciphertext) < aes.BlockSize {
			return nil, ErrInvalidParameter
		}
		iv, ciphertext = ciphertext[:aes.BlockSize], ciphertext[aes.BlockSize:]
	}
	if len(ciphertext)%aes.BlockSize != 0 {
		return nil, ErrInvalidParameter
	}
	plaintext := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(must(aes.NewCipher(s.aesKey)), iv).CryptBlocks(plaintext, ciphertext)
	return plaintext, nil
}

// Authenticate makes the pinUvAuthParam of message under the shared secret.
func (s *SharedSecret) Authenticate(message []byte) []byte {
	return s.protocol.Authenticate(s.hmacKey, message)
}

// Verify checks a pinUvAuthParam that was made under the shared secret, in constant time.
func (s *SharedSecret) Verify(message, param []byte) bool {
	return s.protocol.Verify(s.hmacKey, message, param)
}
