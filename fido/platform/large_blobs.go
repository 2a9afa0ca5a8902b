package platform

import (
	"context"
	"fmt"
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

// find gives the blob of a key, nil where there is none. The error is that of ctap.LargeBlobMap.Open.
func (a blobArray) find(key []byte) (blob []byte, err error) {
	for _, entry := range a {
		m, parseErr := ctap.ParseLargeBlobMap(entry)
		if parseErr != nil {
			continue // of another platform
		}
		opened, mine, openErr := m.Open(key, fido.MaxLargeBlob)
		switch {
		case mine && openErr == nil:
			return opened, nil
		case mine:
			err = openErr
		}
	}
	return nil, err
}

// without gives what belongs to others.
func (a blobArray) without(key []byte) blobArray {
	return slices.DeleteFunc(slices.Clone(a), func(entry ctap.RawMessage) bool { return isUnder(entry, key) })
}

// with makes blob the only one of a key.
func (a blobArray) with(key, blob []byte) (blobArray, error) {
	entry, err := ctap.SealLargeBlob(key, blob)
	if err != nil {
		return nil, err
	}
	return append(a.without(key), entry), nil
}

func isUnder(entry ctap.RawMessage, key []byte) bool {
	m, err := ctap.ParseLargeBlobMap(entry)
	return err == nil && m.IsUnder(key)
}

// maxFragment is the longest fragment (§6.10.2).
func (k *Key) maxFragment() int {
	return int(min(max(k.Info.MaxMsgSize, smallestMsgSize), largestMsgSize)) - fragmentHead
}

// maxArray is how long the array can be, serialized.
func (k *Key) maxArray() uint { return max(k.Info.MaxLargeBlobArray, smallestArray) }

// readArray reads the large-blob array, fragment by fragment (§6.10.2), and gives its length too, serialized. One that
// was damaged is fido.ErrLargeBlobsCorrupt.
func (k *Key) readArray(ctx context.Context) (array blobArray, length uint, err error) {
	var b []byte
	get := uint(k.maxFragment())
	for {
		offset := uint(len(b))
		r := &ctap.LargeBlobsRequest{Get: &get, Offset: &offset}
		got, err := ask(ctx, k, r.Encode(), ctap.ParseLargeBlobsResponse)
		if err != nil {
			return nil, 0, err
		}
		b = append(b, got.Config...)
		switch n := uint(len(got.Config)); {
		case n > get || len(b) > largestArray:
			return nil, 0, fmt.Errorf("%w: a large-blob array without end", fido.ErrBadAnswer)
		case n < get:
			if array, err = ctap.ParseLargeBlobArray(b); err != nil {
				err = fmt.Errorf("%w (%w)", fido.ErrLargeBlobsCorrupt, err)
			}
			return array, uint(len(b)), err
		}
	}
}

// writeArray writes the large-blob array, fragment by fragment; the key keeps the old one until it has the last
// (§6.10.2).
func (k *Key) writeArray(ctx context.Context, s *session, a blobArray) error {
	b := ctap.EncodeLargeBlobArray(a)
	length := uint(len(b))
	if length > k.maxArray() {
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
