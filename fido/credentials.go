package fido

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"fob/fido/ctap"
)

// StoredCredential is a discoverable credential on a key, as authenticatorCredentialManagement tells of it (CTAP 2.2
// §6.8). Its texts are the key's word.
type StoredCredential struct {
	ID       []byte
	RP       ctap.PublicKeyCredentialRpEntity
	RPIDHash [32]byte // SHA-256 of the RP ID
	// RPIDCut is true when RPIDHash is not that of RP.ID: the key has cut the RP ID short, as it may (§6.8.7), or it lies.
	RPIDCut           bool
	User              ctap.PublicKeyCredentialUserEntity
	Algorithm         ctap.Algorithm
	CredProtect       ctap.CredProtect // 0 where the key doesn't say
	ThirdPartyPayment bool             // the extension of this name
	HasLargeBlobKey   bool             // it can have a large blob
	// LargeBlob tells of the large blob that it has; nil where it has none, or nobody asked.
	LargeBlob *LargeBlobInfo
}

// LargeBlobInfo tells of a large blob without what is in it. Sizes are in bytes.
type LargeBlobInfo struct {
	Size   uint // as its owner wrote it
	Stored uint // of the key's large-blob array
}

// Name is the credential ID in base64url, by which people name a credential.
func (c *StoredCredential) Name() string { return base64.RawURLEncoding.EncodeToString(c.ID) }

// Credentials are all discoverable credentials of a key, those of each RP together.
type Credentials struct {
	Existing   uint // credentials, by the key's count
	Remaining  uint // that may be added at most; those with longer names may be fewer
	List       []StoredCredential
	LargeBlobs *LargeBlobs // nil where nobody asked
}

// CredentialsRequest says how a key is asked for its credentials.
type CredentialsRequest struct {
	UV         bool // use the key's built-in user verification
	PIN        PIN  // nil for none
	LargeBlobs bool // tell of large blobs, too
	Write      bool // large blobs will be written
}

// minPrefix is how much of the ID of a credential or a fingerprint must be given, in characters, if it is not all.
const minPrefix = 4

// MaxCredentials is how many credentials a key may have that we manage.
const MaxCredentials = 1000

// UnknownCredentialError is a name that no credential on the key has. It unwraps to ctap.ErrNoCredentials.
type UnknownCredentialError struct{ Name string }

func (e *UnknownCredentialError) Error() string {
	return fmt.Sprintf("the key has no credential %q", e.Name)
}

// Unwrap gives the status code that the key would have answered with.
func (e *UnknownCredentialError) Unwrap() error { return ctap.ErrNoCredentials }

// AmbiguousCredentialError is a name that several credentials begin with.
type AmbiguousCredentialError struct {
	Name  string
	Count int
}

func (e *AmbiguousCredentialError) Error() string {
	return fmt.Sprintf("%q is the beginning of %d credentials", e.Name, e.Count)
}

// Confirmer is a Prompter that can ask whether a credential may be deleted.
type Confirmer interface {
	Prompter
	// Confirm says what will be deleted for good; ErrDeclined when the person doesn't want that.
	Confirm(ctx context.Context, d DeviceInfo, c *StoredCredential) error
}

// ListCredentials lists the discoverable credentials of a key (CTAP 2.2 §6.8). A key that can't is Unsupported.
func ListCredentials(ctx context.Context, key Candidate, p Prompter) (*Credentials, error) {
	m, err := beginManagement(ctx, key, p)
	if err != nil {
		return nil, err
	}
	return m.list(ctx, CredentialsRequest{})
}

// RenameCredential changes the names of the account of a credential; one that is nil stays as it is (§6.8.6). name is
// the credential's ID in base64url, or enough of its beginning. It gives the credential as it is then.
func RenameCredential(
	ctx context.Context, key Candidate, p Prompter, name string, userName, displayName *string,
) (*StoredCredential, error) {
	m, err := beginManagement(ctx, key, p)
	if err != nil {
		return nil, err
	}
	if !m.info.Options[ctap.OptionCredMgmt] { // the preview has no such command
		return nil, Unsupported("to rename credentials")
	}
	c, err := m.named(ctx, CredentialsRequest{}, name)
	if err != nil {
		return nil, err
	}
	if userName != nil {
		c.User.Name = *userName
	}
	if displayName != nil {
		c.User.DisplayName = *displayName
	}
	return c, m.key.UpdateUser(ctx, c.ID, c.User)
}

// DeleteCredential deletes a credential (§6.8.5), and its large blob, which nobody could read any more. confirm has p,
// a Confirmer, asked before. It gives the credential as it was. When the error is *OrphanError the credential is
// deleted, and its large blob is not.
func DeleteCredential(
	ctx context.Context, key Candidate, p Prompter, name string, confirm bool,
) (*StoredCredential, error) {
	m, err := beginManagement(ctx, key, p)
	if err != nil {
		return nil, err
	}
	blobs := m.info.Options[ctap.OptionLargeBlobs]
	c, err := m.named(ctx, CredentialsRequest{LargeBlobs: blobs, Write: blobs}, name)
	if err != nil {
		return nil, err
	}
	if confirm {
		who, can := p.(Confirmer)
		if !can {
			return nil, ErrDeclined
		}
		if err := who.Confirm(ctx, m.device, c); err != nil {
			return nil, err
		}
	}
	if err := m.key.DeleteCredential(ctx, c.ID); err != nil {
		return nil, err
	}
	if c.LargeBlob != nil {
		// Nobody can read it any more, so it goes even if the person does not wait for that. No key lights up for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		if err := m.key.SetLargeBlob(ctx, c.ID, nil); err != nil {
			return nil, &OrphanError{err}
		}
	}
	return c, nil
}

// OrphanError says that a credential was deleted, and why its large blob was not.
type OrphanError struct{ Err error }

func (e *OrphanError) Error() string {
	return "the credential is deleted, but its large blob is not: " + e.Err.Error()
}

// Unwrap gives the reason.
func (e *OrphanError) Unwrap() error { return e.Err }

// beginManagement refuses keys that can't manage credentials, before the person is asked for anything.
func beginManagement(ctx context.Context, key Candidate, p Prompter) (*ceremony, error) {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	if err != nil {
		return nil, err
	}
	return c, manageable(c.info)
}

func manageable(info *ctap.GetInfoResponse) error {
	if !info.Options[ctap.OptionCredMgmt] && !info.Options[ctap.OptionCredentialMgmtPreview] {
		return Unsupported("to manage its credentials")
	}
	return nil
}

// list verifies the person, once, and lists the credentials.
func (c *ceremony) list(ctx context.Context, r CredentialsRequest) (list *Credentials, err error) {
	err = c.manage(ctx, ctap.PermissionCredentialManagement, func(ctx context.Context, uv bool, pin PIN) (err error) {
		r.UV, r.PIN = uv, pin
		list, err = c.key.Credentials(ctx, &r)
		return err
	})
	if isStatus(err, ctap.ErrInvalidCommand) { // as a device of the kernel's NFC, which passes on what libfido2 has alone
		err = Unsupported("to manage its credentials here")
	}
	return list, err
}

// named lists the credentials and gives the one that name means.
func (c *ceremony) named(ctx context.Context, r CredentialsRequest, name string) (*StoredCredential, error) {
	list, err := c.list(ctx, r)
	if err != nil {
		return nil, err
	}
	return list.Find(name)
}

// Find gives the credential whose ID in base64url is name, or the only one that begins with it, if it has four
// characters at least.
func (l *Credentials) Find(name string) (*StoredCredential, error) {
	var found *StoredCredential
	n := 0
	for i := range l.List {
		c := &l.List[i]
		switch full := c.Name(); {
		case full == name:
			return c, nil
		case len(name) >= minPrefix && strings.HasPrefix(full, name):
			found = c
			n++
		}
	}
	switch n {
	case 0:
		return nil, &UnknownCredentialError{name}
	case 1:
		return found, nil
	default:
		return nil, &AmbiguousCredentialError{name, n}
	}
}
