package ctap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
)

// Labels of the members of authenticatorGetInfo that are encrypted (§6.4).
const (
	LabelIdentifier     = "encIdentifier"
	LabelCredStoreState = "encCredStoreState"
)

// memberSize is the length of what such a member tells, in bytes.
const memberSize = aes.BlockSize

// EncryptMember encrypts 16 bytes for those who have the persistentPinUvAuthToken: a random IV, then AES-128-CBC under
// HKDF-SHA-256 of the token with a salt of 32 zero bytes and the label (§6.4, encIdentifier).
func EncryptMember(token []byte, label string, value [memberSize]byte) Bytes {
	out := make([]byte, 2*memberSize)
	rand.Read(out[:memberSize])
	cipher.NewCBCEncrypter(memberCipher(token, label), out[:memberSize]).CryptBlocks(out[memberSize:], value[:])
	return out
}

// DecryptMember reverses EncryptMember; ErrInvalidLength when the member is of another size. Another token or label
// gives another value, not an error.
func DecryptMember(token []byte, label string, member Bytes) (value [memberSize]byte, err error) {
	if len(member) != 2*memberSize {
		return value, ErrInvalidLength
	}
	cipher.NewCBCDecrypter(memberCipher(token, label), member[:memberSize]).CryptBlocks(value[:], member[memberSize:])
	return value, nil
}

func memberCipher(token []byte, label string) cipher.Block {
	key, err := hkdf.Key(sha256.New, token, make([]byte, sha256.Size), label, memberSize)
	if err != nil {
		panic(err) // the lengths are right
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return block
}
