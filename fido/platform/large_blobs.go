package platform

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"fob/fido"
	"fob/fido/ctap"
)

// Sizes of large blobs, in bytes.
const (
	smallestMsgSize = 1024      // that maxMsgSize may be (§6.4)
	largestMsgSize  = 7609      // of CTAPHID (§11.2.4)
	fragmentHead    = 64        // of a message around a fragment (§6.10.2)
	smallestArray   = 1024      // that a key with large blobs has room for (§6.4, maxSerializedLargeBlobArray)
	largestArray    = 256 << 10 // that we read, whatever a key says
)

// blobArray is a large-blob array: one entry for each blob, of other platforms and credentials too (§6.10.3).
type blobArray []ctap.RawMessage

// blobEntry is a large-blob map (§6.10.3).
type blobEntry struct {
	Ciphertext ctap.Bytes `cbor:"1,keyasint"`
	Nonce      ctap.Bytes `cbor:"2,keyasint"`
	OrigSize   uint64     `cbor:"3,keyasint"`
}

// parseArray decodes a serialized large-blob array. One whose hash is wrong was damaged, and counts as empty (§6.10).
func parseArray(b []byte) (array blobArray, err error) {
	if ctap.CheckLargeBlobArray(b) != nil {
		return nil, nil
	}
	if err := ctap.Unmarshal(b[:len(b)-ctap.LargeBlobHashLength], &array); err != nil {
		return nil, fmt.Errorf("%w: %w", fido.ErrBadAnswer, err)
	}
	return array, nil
}

// serialize is the reverse of parseArray.
func (a blobArray) serialize() ([]byte, error) {
	b, err := ctap.Marshal(append(blobArray{}, a...)) // an empty array, where nil would be null
	if err != nil {
		return nil, err
	}
	return ctap.AppendLargeBlobHash(b), nil
}

// find gives the blob of a key, nil where there is none.
func (a blobArray) find(key []byte) []byte {
	for _, entry := range a {
		if blob, err := openEntry(key, entry); err == nil && blob != nil {
			return blob
		}
	}
	return nil
}

// replace makes blob the only one of a key.
func (a *blobArray) replace(key, blob []byte) error {
	entry, err := sealEntry(key, blob)
	if err != nil {
		return err
	}
	ours := func(e ctap.RawMessage) bool { _, err := openEntry(key, e); return err == nil }
	*a = append(slices.DeleteFunc(*a, ours), entry)
	return nil
}

// openEntry decrypts an entry. The error means that it is not of the key. Of one that is, and makes no sense, or is too
// large for us, the blob is nil.
func openEntry(key []byte, entry ctap.RawMessage) ([]byte, error) {
	var e blobEntry
	if err := ctap.Unmarshal(entry, &e); err != nil {
		return nil, err
	}
	aead, err := blobCipher(key)
	if err != nil {
		return nil, err
	}
	if len(e.Nonce) != aead.NonceSize() {
		return nil, ctap.ErrInvalidLength
	}
	compressed, err := aead.Open(nil, e.Nonce, e.Ciphertext, blobData(e.OrigSize))
	if err != nil {
		return nil, err
	}
	return inflate(compressed, e.OrigSize), nil
}

// inflate decompresses a blob, nil where that does not give size bytes. Its memory is bounded, whatever the key says.
func inflate(compressed []byte, size uint64) []byte {
	if size > fido.MaxLargeBlob {
		return nil
	}
	blob := make([]byte, 0, size)
	w := bytes.NewBuffer(blob)
	_, err := io.Copy(w, io.LimitReader(flate.NewReader(bytes.NewReader(compressed)), int64(size)+1))
	if err != nil || uint64(w.Len()) != size {
		return nil
	}
	return append([]byte{}, w.Bytes()...)
}

func sealEntry(key, blob []byte) (ctap.RawMessage, error) {
	var compressed bytes.Buffer
	w, err := flate.NewWriter(&compressed, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(blob); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	aead, err := blobCipher(key)
	if err != nil {
		return nil, err
	}
	e := blobEntry{Nonce: make([]byte, aead.NonceSize()), OrigSize: uint64(len(blob))}
	rand.Read(e.Nonce)
	e.Ciphertext = aead.Seal(nil, e.Nonce, compressed.Bytes(), blobData(e.OrigSize))
	return ctap.Marshal(e)
}

func blobCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// blobData is the associated data of an entry (§6.10.3).
func blobData(origSize uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte("blob"), origSize)
}

// maxFragment is the longest fragment (§6.10.2).
func (k *Key) maxFragment() int {
	return int(min(max(k.Info.MaxMsgSize, smallestMsgSize), largestMsgSize)) - fragmentHead
}

// readArray reads the large-blob array, fragment by fragment (§6.10.2).
func (k *Key) readArray(ctx context.Context) (blobArray, error) {
	var b []byte
	get := uint(k.maxFragment())
	for {
		offset := uint(len(b))
		r := &ctap.LargeBlobsRequest{Get: &get, Offset: &offset}
		got, err := ask(ctx, k, r.Encode(), ctap.ParseLargeBlobsResponse)
		if err != nil {
			return nil, err
		}
		b = append(b, got.Config...)
		switch n := uint(len(got.Config)); {
		case n > get || len(b) > largestArray:
			return nil, fmt.Errorf("%w: a large-blob array without end", fido.ErrBadAnswer)
		case n < get:
			return parseArray(b)
		}
	}
}

// writeArray writes the large-blob array, fragment by fragment; the key keeps the old one until it has the last
// (§6.10.2).
func (k *Key) writeArray(ctx context.Context, s *session, a blobArray) error {
	b, err := a.serialize()
	if err != nil {
		return err
	}
	length := uint(len(b))
	if length > max(k.Info.MaxLargeBlobArray, smallestArray) {
		return ctap.ErrLargeBlobStorageFull
	}
	offset := uint(0)
	for fragment := range slices.Chunk(b, k.maxFragment()) {
		r := &ctap.LargeBlobsRequest{Set: fragment, Offset: &offset}
		if offset == 0 {
			r.Length = &length
		}
		if param, protocol := s.authenticate(r.AuthMessage()); param != nil {
			r.PINUVAuthParam, r.PINUVAuthProtocol = *param, protocol
		}
		if _, err := ask(ctx, k, r.Encode(), noParameters); err != nil {
			return err
		}
		offset += uint(len(fragment))
	}
	return nil
}

// noParameters takes an answer that is its status alone.
func noParameters([]byte) (*struct{}, error) { return nil, nil }
