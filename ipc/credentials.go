package ipc

import (
	"context"
	"encoding/base64"
	"fmt"
)

// CredentialProtection is the protection of a credential (CTAP 2.2 §12.1), empty where the key doesn't say.
type CredentialProtection string

// The levels of fob.Device.Credential's credProtect.
const (
	UserVerificationOptional                     CredentialProtection = "userVerificationOptional"
	UserVerificationOptionalWithCredentialIDList CredentialProtection = "userVerificationOptionalWithCredentialIDList"
	UserVerificationRequired                     CredentialProtection = "userVerificationRequired"
)

// Credential is fob.Device.Credential.
type Credential struct {
	ID                string               `json:"id"`
	RPID              string               `json:"rpId"`
	RPIDHash          string               `json:"rpIdHash"`
	RPIDCut           bool                 `json:"rpIdCut,omitempty"`
	RPName            string               `json:"rpName,omitempty"`
	UserID            string               `json:"userId"`
	Name              string               `json:"name,omitempty"`
	DisplayName       string               `json:"displayName,omitempty"`
	Algorithm         int                  `json:"algorithm"`
	CredProtect       CredentialProtection `json:"credProtect,omitempty"`
	ThirdPartyPayment bool                 `json:"thirdPartyPayment,omitempty"`
	LargeBlobKey      bool                 `json:"largeBlobKey,omitempty"`
}

// CredentialList is fob.Device.CredentialList.
type CredentialList struct {
	Existing    int          `json:"existing"`
	Remaining   int          `json:"remaining"`
	Credentials []Credential `json:"credentials"`
}

// LargeBlob is fob.Device.LargeBlob.
type LargeBlob struct {
	Credential Credential `json:"credential"`
	Size       int        `json:"size"`
	Stored     int        `json:"stored"`
}

// LargeBlobList is fob.Device.LargeBlobList.
type LargeBlobList struct {
	Capacity int         `json:"capacity"`
	Used     int         `json:"used"`
	Orphans  int         `json:"orphans"`
	Blobs    []LargeBlob `json:"blobs"`
}

// WhichCredential holds the parameters of methods that need to know the credential alone.
type WhichCredential struct {
	Turn
	Device     string `json:"device,omitempty"`
	Credential string `json:"credential"`
}

// RenameCredentialRequest holds the parameters of fob.Device.RenameCredential; nil leaves a name as it is.
type RenameCredentialRequest struct {
	Turn
	Device      string  `json:"device,omitempty"`
	Credential  string  `json:"credential"`
	Name        *string `json:"name,omitempty"`
	DisplayName *string `json:"displayName,omitempty"`
}

// DeleteCredentialRequest holds the parameters of fob.Device.DeleteCredential.
type DeleteCredentialRequest struct {
	Turn
	Device     string `json:"device,omitempty"`
	Credential string `json:"credential"`
	Confirm    bool   `json:"confirm,omitempty"`
}

// SetLargeBlobRequest holds the parameters of fob.Device.SetLargeBlob.
type SetLargeBlobRequest struct {
	Turn
	Device     string `json:"device,omitempty"`
	Credential string `json:"credential"`
	Blob       string `json:"blob"`
}

// CredentialsListed is a reply to fob.Device.ListCredentials, the list in the last one; so of the others.
type CredentialsListed struct {
	Event *Event          `json:"event,omitempty"`
	List  *CredentialList `json:"list,omitempty"`
}

// CredentialRenamed is a reply to fob.Device.RenameCredential.
type CredentialRenamed struct {
	Event      *Event      `json:"event,omitempty"`
	Credential *Credential `json:"credential,omitempty"`
}

// CredentialDeleted is a reply to fob.Device.DeleteCredential.
type CredentialDeleted struct {
	Event            *Event      `json:"event,omitempty"`
	Credential       *Credential `json:"credential,omitempty"`
	LargeBlobDeleted bool        `json:"largeBlobDeleted,omitempty"`
}

// LargeBlobsListed is a reply to fob.Device.ListLargeBlobs.
type LargeBlobsListed struct {
	Event *Event         `json:"event,omitempty"`
	List  *LargeBlobList `json:"list,omitempty"`
}

// LargeBlobGot is a reply to fob.Device.GetLargeBlob.
type LargeBlobGot struct {
	Event *Event `json:"event,omitempty"`
	Blob  string `json:"blob,omitempty"`
}

// Confirmer is a Prompter that can be asked whether a credential may be deleted.
type Confirmer interface {
	Prompter
	// Confirm asks whether the credential at e.RPID of e.Accounts[0] may be deleted; ErrDeclined when not.
	Confirm(ctx context.Context, e Event) error
}

func confirm(ctx context.Context, e Event, p Prompter) error {
	who, can := p.(Confirmer)
	if !can || len(e.Accounts) != 1 {
		return ErrDeclined
	}
	return who.Confirm(ctx, e)
}

// ListCredentials performs fob.Device.ListCredentials.
func (c *Client) ListCredentials(ctx context.Context, device string, p Prompter) (*CredentialList, error) {
	return last(ctx, c, MethodListCredentials, &WhichDevice{Device: device}, p,
		func(r *CredentialsListed) *CredentialList { return r.List })
}

// RenameCredential performs fob.Device.RenameCredential.
func (c *Client) RenameCredential(ctx context.Context, r RenameCredentialRequest, p Prompter) (*Credential, error) {
	return last(ctx, c, MethodRenameCredential, &r, p, func(r *CredentialRenamed) *Credential { return r.Credential })
}

// DeleteCredential performs fob.Device.DeleteCredential. With r.Confirm, p is asked if it is a Confirmer, and declines
// if not.
func (c *Client) DeleteCredential(
	ctx context.Context, r DeleteCredentialRequest, p Prompter,
) (*CredentialDeleted, error) {
	return last(ctx, c, MethodDeleteCredential, &r, p, func(r *CredentialDeleted) *CredentialDeleted { return r })
}

// ListLargeBlobs performs fob.Device.ListLargeBlobs.
func (c *Client) ListLargeBlobs(ctx context.Context, device string, p Prompter) (*LargeBlobList, error) {
	return last(ctx, c, MethodListLargeBlobs, &WhichDevice{Device: device}, p,
		func(r *LargeBlobsListed) *LargeBlobList { return r.List })
}

// GetLargeBlob performs fob.Device.GetLargeBlob and gives the blob itself.
func (c *Client) GetLargeBlob(ctx context.Context, r WhichCredential, p Prompter) ([]byte, error) {
	text, err := last(ctx, c, MethodGetLargeBlob, &r, p, func(r *LargeBlobGot) *string { return &r.Blob })
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(*text)
}

// SetLargeBlob performs fob.Device.SetLargeBlob with the blob itself.
func (c *Client) SetLargeBlob(ctx context.Context, which WhichCredential, blob []byte, p Prompter) error {
	return c.manage(ctx, MethodSetLargeBlob, &SetLargeBlobRequest{Turn: which.Turn,
		Device: which.Device, Credential: which.Credential, Blob: base64.RawURLEncoding.EncodeToString(blob)}, p)
}

// DeleteLargeBlob performs fob.Device.DeleteLargeBlob.
func (c *Client) DeleteLargeBlob(ctx context.Context, r WhichCredential, p Prompter) error {
	return c.manage(ctx, MethodDeleteLargeBlob, &r, p)
}

// The errors of credentials and large blobs, of fob.Device.
type (
	UnknownCredential struct {
		Credential string `json:"credential"`
	}
	SeveralCredentials struct {
		Credential string `json:"credential"`
		Count      int    `json:"count"`
	}
	NoLargeBlob    struct{}
	LargeBlobsFull struct {
		Needed int `json:"needed"`
		Free   int `json:"free"`
	}
	LargeBlobsCorrupt struct{}
	LargeBlobLeft     struct {
		Problem string `json:"problem"`
	}
)

func (UnknownCredential) VarlinkError() string  { return "fob.Device.UnknownCredential" }
func (SeveralCredentials) VarlinkError() string { return "fob.Device.SeveralCredentials" }
func (NoLargeBlob) VarlinkError() string        { return "fob.Device.NoLargeBlob" }
func (LargeBlobsFull) VarlinkError() string     { return "fob.Device.LargeBlobsFull" }
func (LargeBlobsCorrupt) VarlinkError() string  { return "fob.Device.LargeBlobsCorrupt" }
func (LargeBlobLeft) VarlinkError() string      { return "fob.Device.LargeBlobLeft" }

func (e UnknownCredential) Error() string {
	return fmt.Sprintf("the key has no credential %q", e.Credential)
}
func (e SeveralCredentials) Error() string {
	return fmt.Sprintf("%d credentials begin with %q", e.Count, e.Credential)
}
func (NoLargeBlob) Error() string { return "the credential has no large blob" }
func (e LargeBlobsFull) Error() string {
	return fmt.Sprintf("the large blob takes %d bytes on the key, compressed, which has %d left", e.Needed, e.Free)
}
func (LargeBlobsCorrupt) Error() string { return "the large blobs on the key are damaged" }
func (e LargeBlobLeft) Error() string {
	return "the credential is deleted, but its large blob is not: " + e.Problem
}

func (UnknownCredential) Hint() string {
	return "'fob key credentials list' lists them; give four characters of the ID at least"
}
func (SeveralCredentials) Hint() string { return "give more of the credential ID" }
func (NoLargeBlob) Hint() string        { return "'fob key large-blobs list' lists those that have one" }
func (LargeBlobsFull) Hint() string     { return "delete large blobs that nobody needs any more" }
func (LargeBlobsCorrupt) Hint() string {
	return "nothing was changed; a program that writes all large blobs anew, or a reset of the key, makes them usable again"
}
func (LargeBlobLeft) Hint() string { return "it only takes room; nobody can read it any more" }
