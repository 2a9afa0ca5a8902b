package fido

import (
	"context"
	"errors"
	"fmt"

	"fob/fido/ctap"
)

// Errors of large blobs.
var (
	ErrLargeBlobMissing  = errors.New("the credential has no large blob")
	ErrLargeBlobsCorrupt = errors.New("the large blobs on the key are damaged")
)

// LargeBlobs tells of the large-blob array of a key (CTAP 2.2 §6.10). Sizes are in bytes, of the serialized array.
type LargeBlobs struct {
	Capacity uint
	Used     uint
	Orphans  uint // elements that belong to no credential on the key
	Corrupt  bool // the hash is wrong, or it is no array: what is in it can't be told, and is not written over
}

// Free is how many bytes more the array may have.
func (b *LargeBlobs) Free() uint { return b.Capacity - min(b.Used, b.Capacity) }

// LargeBlobSpaceError is a large blob for which the key has no room. It unwraps to ctap.ErrLargeBlobStorageFull.
type LargeBlobSpaceError struct {
	Needed, Free uint // bytes of the array, for the blob when it is compressed and encrypted
}

func (e *LargeBlobSpaceError) Error() string {
	return fmt.Sprintf("the large blob takes %d bytes on the key, which has %d left", e.Needed, e.Free)
}

// Unwrap gives the status code that the key would have answered with.
func (e *LargeBlobSpaceError) Unwrap() error { return ctap.ErrLargeBlobStorageFull }

// ListLargeBlobs lists the credentials of a key, and tells of the large blobs that they have (§6.10).
func ListLargeBlobs(ctx context.Context, key Candidate, p Prompter) (*Credentials, error) {
	c, err := beginLargeBlobs(ctx, key, p)
	if err != nil {
		return nil, err
	}
	return c.listLargeBlobs(ctx, false)
}

// GetLargeBlob gives the large blob of a credential, which name means as in RenameCredential; ErrLargeBlobMissing.
func GetLargeBlob(ctx context.Context, key Candidate, p Prompter, name string) ([]byte, error) {
	c, err := beginLargeBlobs(ctx, key, p)
	if err != nil {
		return nil, err
	}
	list, err := c.listLargeBlobs(ctx, false)
	if err != nil {
		return nil, err
	}
	credential, err := list.Find(name)
	switch {
	case err != nil:
		return nil, err
	case credential.LargeBlob == nil:
		return nil, ErrLargeBlobMissing
	}
	return c.key.LargeBlob(ctx, credential.ID)
}

// SetLargeBlob gives a credential a large blob, of one byte at least and MaxLargeBlob at most, in place of the one that
// it has. Where there is no room it is a *LargeBlobSpaceError, and nothing is written.
func SetLargeBlob(ctx context.Context, key Candidate, p Prompter, name string, blob []byte) error {
	if len(blob) == 0 || len(blob) > MaxLargeBlob {
		return ctap.ErrInvalidLength
	}
	c, err := beginLargeBlobs(ctx, key, p)
	if err != nil {
		return err
	}
	needed, empty := uint(ctap.LargeBlobSize(blob)), uint(len(ctap.EmptyLargeBlobArray))
	if most := c.info.MaxLargeBlobArray; needed+empty > most { // before the person is asked for anything
		return &LargeBlobSpaceError{needed, most - min(empty, most)}
	}
	list, credential, err := c.writable(ctx, name)
	if err != nil {
		return err
	}
	free := list.LargeBlobs.Free()
	if credential.LargeBlob != nil {
		free += credential.LargeBlob.Stored
	}
	if needed > free {
		return &LargeBlobSpaceError{needed, free}
	}
	return c.key.SetLargeBlob(ctx, credential.ID, blob)
}

// DeleteLargeBlob deletes the large blob of a credential; ErrLargeBlobMissing.
func DeleteLargeBlob(ctx context.Context, key Candidate, p Prompter, name string) error {
	c, err := beginLargeBlobs(ctx, key, p)
	if err != nil {
		return err
	}
	_, credential, err := c.writable(ctx, name)
	switch {
	case err != nil:
		return err
	case credential.LargeBlob == nil:
		return ErrLargeBlobMissing
	}
	return c.key.SetLargeBlob(ctx, credential.ID, nil)
}

// beginLargeBlobs refuses keys without large blobs, before the person is asked for anything. Credential management
// tells the keys of large blobs.
func beginLargeBlobs(ctx context.Context, key Candidate, p Prompter) (*ceremony, error) {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	switch {
	case err != nil:
		return nil, err
	case !c.info.Options[ctap.OptionLargeBlobs]:
		return nil, Unsupported("to keep large blobs")
	}
	return c, manageable(c.info)
}

// listLargeBlobs is list with large blobs that can be read; write says that they will be written.
func (c *ceremony) listLargeBlobs(ctx context.Context, write bool) (*Credentials, error) {
	list, err := c.list(ctx, CredentialsRequest{LargeBlobs: true, Write: write})
	switch {
	case err != nil:
		return nil, err
	case list.LargeBlobs == nil:
		return nil, ErrBadAnswer
	case list.LargeBlobs.Corrupt:
		return nil, ErrLargeBlobsCorrupt
	}
	return list, nil
}

// writable finds a credential that can have a large blob.
func (c *ceremony) writable(ctx context.Context, name string) (*Credentials, *StoredCredential, error) {
	list, err := c.listLargeBlobs(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	credential, err := list.Find(name)
	if err == nil && !credential.HasLargeBlobKey {
		err = Unsupported("to keep a large blob for this credential, which was not registered for one")
	}
	return list, credential, err
}
