package platform

import (
	"context"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"fob/fido"
	"fob/fido/ctap"
)

// LargeBlob gives the large blob of a credential that was listed (§6.10); fido.ErrLargeBlobMissing. The specification
// takes an array that is damaged for an empty one; here it is fido.ErrLargeBlobsCorrupt, as others may know how to save
// it.
func (m *Management) LargeBlob(ctx context.Context, id []byte) ([]byte, error) {
	key, err := m.blobKey(id)
	if err != nil {
		return nil, err
	}
	array, _, err := m.key.readArray(ctx)
	if err != nil {
		return nil, err
	}
	blob, err := array.find(key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w (%w)", fido.ErrLargeBlobsCorrupt, err)
	case blob == nil:
		return nil, fido.ErrLargeBlobMissing
	}
	return blob, nil
}

// SetLargeBlob replaces it, nil for none. It can still be deleted after its credential was. What others have in the
// array stays as it is.
func (m *Management) SetLargeBlob(ctx context.Context, id, blob []byte) error {
	key, err := m.blobKey(id)
	if err != nil {
		return err
	}
	array, _, err := m.key.readArray(ctx)
	if err != nil {
		return err
	}
	changed := array.without(key)
	switch {
	case blob != nil:
		if changed, err = array.with(key, blob); err != nil {
			return err
		}
	case len(changed) == len(array):
		return fido.ErrLargeBlobMissing
	}
	return m.key.writeArray(ctx, m.session, changed)
}

func (m *Management) blobKey(id []byte) ([]byte, error) {
	key := m.blobKeys[string(id)]
	if len(key) == 0 {
		return nil, fido.ErrLargeBlobMissing
	}
	return key, nil
}

// addLargeBlobs tells of the large blobs that the credentials of list have.
func (m *Management) addLargeBlobs(ctx context.Context, list *fido.Credentials) error {
	array, used, err := m.key.readArray(ctx)
	list.LargeBlobs = &fido.LargeBlobs{Capacity: m.key.maxArray(), Used: used}
	if errors.Is(err, fido.ErrLargeBlobsCorrupt) {
		list.LargeBlobs.Corrupt, list.LargeBlobs.Used = true, min(used, largestArray)
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range array {
		if ctx.Err() != nil { // a hostile key can have many
			return ctx.Err()
		}
		if !m.addLargeBlob(entry, list) {
			list.LargeBlobs.Orphans++
		}
	}
	return nil
}

// addLargeBlob finds the credential that an entry belongs to, if there is one. Of two entries the first counts.
func (m *Management) addLargeBlob(entry ctap.RawMessage, list *fido.Credentials) bool {
	parsed, err := ctap.ParseLargeBlobMap(entry)
	if err != nil {
		return false
	}
	for i := range list.List {
		c := &list.List[i]
		if c.LargeBlob == nil && parsed.IsUnder(m.blobKeys[string(c.ID)]) {
			c.LargeBlob = &fido.LargeBlobInfo{Size: count(&parsed.OrigSize), Stored: uint(len(entry))}
			return true
		}
	}
	return false
}

// canonical gives an answer in the canonical encoding form, to which some keys do not keep. That harms nobody here.
func canonical(answer []byte) ([]byte, error) {
	if len(answer) == 0 || ctap.CheckCanonical(answer) == nil {
		return answer, nil
	}
	var v any
	if cbor.Unmarshal(answer, &v) != nil {
		return nil, ctap.ErrInvalidCBOR
	}
	return ctap.Marshal(v)
}
