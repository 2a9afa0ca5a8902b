package ctap

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// LargeBlobKeyLength is the length of a largeBlobKey, in bytes (§12.3).
const LargeBlobKeyLength = 32

// Lengths of what a large-blob map is made of, in bytes (§6.10.3).
const (
	largeBlobNonce = 12
	largeBlobTag   = 16
)

// LargeBlobMap is an element of the large-blob array (§6.10.3): a blob, compressed and then encrypted under the
// largeBlobKey of a credential.
type LargeBlobMap struct {
	Ciphertext Bytes `cbor:"1,keyasint"`
	Nonce      Bytes `cbor:"2,keyasint"`
	OrigSize   uint  `cbor:"3,keyasint"` // bytes of the blob before it was compressed
}

// arrayMode reads what other programs have put into the array; it need not be in the canonical form, and may hold what
// we don't know.
var arrayMode = must(cbor.DecOptions{IndefLength: cbor.IndefLengthForbidden}.DecMode())

// ParseLargeBlobArray checks a serialized large-blob array and gives its elements as they are: what can't be understood
// belongs to others (§6.10.4). ErrIntegrityFailure when its hash is wrong, or it is no array.
func ParseLargeBlobArray(serialized []byte) ([]RawMessage, error) {
	if err := CheckLargeBlobArray(serialized); err != nil {
		return nil, err
	}
	var elements []RawMessage
	array := serialized[:len(serialized)-LargeBlobHashLength]
	if array[0]>>5 != majorArray || arrayMode.Unmarshal(array, &elements) != nil {
		return nil, ErrIntegrityFailure
	}
	return elements, nil
}

// EncodeLargeBlobArray serializes elements as they are, with the hash at the end.
func EncodeLargeBlobArray(elements []RawMessage) []byte {
	array := mustMarshal(uint(len(elements)))
	array[0] |= majorArray << 5 // a number and the head of an array differ in nothing else
	for _, e := range elements {
		array = append(array, e...)
	}
	return AppendLargeBlobHash(array)
}

// ParseLargeBlobMap decodes an element of the array; ErrInvalidCBOR for one that is none of ours.
func ParseLargeBlobMap(element RawMessage) (*LargeBlobMap, error) {
	var m LargeBlobMap
	if arrayMode.Unmarshal(element, &m) != nil ||
		len(m.Nonce) != largeBlobNonce || len(m.Ciphertext) < largeBlobTag {
		return nil, ErrInvalidCBOR
	}
	return &m, nil
}

// SealLargeBlob makes an element of a blob, under a largeBlobKey.
func SealLargeBlob(key, blob []byte) (RawMessage, error) {
	if len(key) != LargeBlobKeyLength {
		return nil, ErrInvalidParameter
	}
	m := LargeBlobMap{Nonce: make([]byte, largeBlobNonce), OrigSize: uint(len(blob))}
	rand.Read(m.Nonce)
	m.Ciphertext = largeBlobCipher(key).Seal(nil, m.Nonce, deflate(blob), m.associatedData())
	return mustMarshal(m), nil
}

// LargeBlobSize gives how many bytes of the array the element of a blob takes.
func LargeBlobSize(blob []byte) int {
	m := LargeBlobMap{
		make([]byte, len(deflate(blob))+largeBlobTag), make([]byte, largeBlobNonce), uint(len(blob))}
	return len(mustMarshal(m))
}

// Open decrypts the blob. mine is false when it is not under this key. The error is ErrIntegrityFailure for a blob
// under the key that does not decompress to OrigSize bytes, ErrLimitExceeded for one of more than limit bytes.
func (m *LargeBlobMap) Open(key []byte, limit uint) (blob []byte, mine bool, err error) {
	compressed, mine := m.decrypt(key)
	if !mine {
		return nil, false, nil
	}
	defer clear(compressed)
	if m.OrigSize > limit {
		return nil, true, ErrLimitExceeded
	}
	if blob, ok := inflate(flate.NewReader(bytes.NewReader(compressed)), m.OrigSize); ok {
		return blob, true, nil
	}
	if r, err := zlib.NewReader(bytes.NewReader(compressed)); err == nil { // as older platforms have it, with a header
		if blob, ok := inflate(r, m.OrigSize); ok {
			return blob, true, nil
		}
	}
	return nil, true, ErrIntegrityFailure
}

// inflate reads size bytes, and no more though there may be more: it may be a bomb.
func inflate(r io.Reader, size uint) (b []byte, ok bool) {
	b, err := io.ReadAll(io.LimitReader(r, int64(size)+1))
	return b, err == nil && uint(len(b)) == size
}

// IsUnder reports whether the blob is under key.
func (m *LargeBlobMap) IsUnder(key []byte) bool {
	compressed, mine := m.decrypt(key)
	clear(compressed)
	return mine
}

func (m *LargeBlobMap) decrypt(key []byte) (compressed []byte, mine bool) {
	if len(key) != LargeBlobKeyLength {
		return nil, false
	}
	compressed, err := largeBlobCipher(key).Open(nil, m.Nonce, m.Ciphertext, m.associatedData())
	return compressed, err == nil
}

func (m *LargeBlobMap) associatedData() []byte {
	return binary.LittleEndian.AppendUint64([]byte("blob"), uint64(m.OrigSize))
}

func largeBlobCipher(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

// deflate compresses as RFC 1951 has it, without a header.
func deflate(b []byte) []byte {
	var out bytes.Buffer
	w := must(flate.NewWriter(&out, flate.BestCompression))
	w.Write(b) // into memory, which does not fail
	w.Close()
	return out.Bytes()
}
