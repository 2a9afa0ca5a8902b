package helper

import (
	"context"
	"crypto/sha256"
	"fmt"

	"fob/fido"
	"fob/fido/ctap"
)

// Credentials implements fido.Authenticator.
func (k key) Credentials(ctx context.Context, r *fido.CredentialsRequest) (*fido.Credentials, error) {
	body, err := encodeCredentialsRequest(r)
	if err != nil {
		return nil, err
	}
	return call(ctx, k.client, request{Op: opCredentials, Body: body, PIN: r.PIN}, parseCredentials)
}

// UpdateUser implements fido.Authenticator.
func (k key) UpdateUser(ctx context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error {
	return k.changeCredential(ctx, opUpdateUser, credentialRequest{ID: id, User: user})
}

// DeleteCredential implements fido.Authenticator.
func (k key) DeleteCredential(ctx context.Context, id []byte) error {
	return k.changeCredential(ctx, opDeleteCredential, credentialRequest{ID: id})
}

// LargeBlob implements fido.Authenticator.
func (k key) LargeBlob(ctx context.Context, id []byte) ([]byte, error) {
	body, err := encodeCredentialRequest(credentialRequest{ID: id})
	if err != nil {
		return nil, err
	}
	return call(ctx, k.client, request{Op: opLargeBlob, Body: body}, parseLargeBlob)
}

// SetLargeBlob implements fido.Authenticator.
func (k key) SetLargeBlob(ctx context.Context, id, blob []byte) error {
	return k.changeCredential(ctx, opSetLargeBlob, credentialRequest{ID: id, Blob: blob})
}

func (k key) changeCredential(ctx context.Context, op operation, r credentialRequest) error {
	body, err := encodeCredentialRequest(r)
	if err != nil {
		return err
	}
	return k.change(ctx, request{Op: op, Body: body})
}

// manageCredentials is ceremony for the credentials on the key.
func (s *session) manageCredentials(ctx context.Context, req *request) ([]byte, error) {
	if req.Op == opCredentials {
		r, err := parseCredentialsRequest(req.Body, req.PIN)
		if err != nil {
			return nil, err
		}
		list, err := s.key.Credentials(ctx, r)
		if err != nil {
			return nil, err
		}
		return sensible(parseCredentials)(encodeCredentials(list))
	}
	r, err := parseCredentialRequest(req.Body)
	if err != nil {
		return nil, err
	}
	switch req.Op {
	case opUpdateUser:
		return nil, s.key.UpdateUser(ctx, r.ID, r.User)
	case opDeleteCredential:
		return nil, s.key.DeleteCredential(ctx, r.ID)
	case opSetLargeBlob:
		return nil, s.key.SetLargeBlob(ctx, r.ID, r.Blob)
	default:
		blob, err := s.key.LargeBlob(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		return sensible(parseLargeBlob)(ctap.Marshal(ctap.Bytes(blob)))
	}
}

// credentialsRequest is the body of opCredentials.
type credentialsRequest struct {
	UV         bool `cbor:"1,keyasint,omitempty"`
	LargeBlobs bool `cbor:"2,keyasint,omitempty"`
	Write      bool `cbor:"3,keyasint,omitempty"`
}

func encodeCredentialsRequest(r *fido.CredentialsRequest) ([]byte, error) {
	if err := checkPIN(r.PIN); err != nil {
		return nil, err
	}
	return ctap.Marshal(credentialsRequest{r.UV, r.LargeBlobs, r.Write})
}

func parseCredentialsRequest(body []byte, pin fido.PIN) (*fido.CredentialsRequest, error) {
	var r credentialsRequest
	if err := ctap.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	return &fido.CredentialsRequest{UV: r.UV, PIN: pin, LargeBlobs: r.LargeBlobs, Write: r.Write}, checkPIN(pin)
}

// credentialRequest is the body of operations on one credential.
type credentialRequest struct {
	ID   ctap.Bytes                         `cbor:"1,keyasint"`
	User ctap.PublicKeyCredentialUserEntity `cbor:"2,keyasint,omitzero"`
	Blob ctap.Bytes                         `cbor:"3,keyasint,omitempty"`
}

func (r *credentialRequest) check() error {
	switch {
	case len(r.ID) == 0 || len(r.ID) > ctap.MaxCredentialIDLength, len(r.User.ID) > maxUserHandle,
		len(r.Blob) > fido.MaxLargeBlob:
		return ctap.ErrInvalidLength
	}
	for _, text := range []string{r.User.Name, r.User.DisplayName} {
		if err := checkText(text, maxText); err != nil {
			return err
		}
	}
	return nil
}

func encodeCredentialRequest(r credentialRequest) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return ctap.Marshal(r)
}

func parseCredentialRequest(body []byte) (*credentialRequest, error) {
	var r credentialRequest
	if err := ctap.Unmarshal(body, &r); err != nil {
		return nil, err
	}
	return &r, r.check()
}

// credentials is the body of the reply to opCredentials.
type credentials struct {
	Existing   uint         `cbor:"1,keyasint"`
	Remaining  uint         `cbor:"2,keyasint"`
	List       []credential `cbor:"3,keyasint,omitempty"`
	LargeBlobs *largeBlobs  `cbor:"4,keyasint,omitempty"`
}

type credential struct {
	ID                ctap.Bytes                         `cbor:"1,keyasint"`
	RP                ctap.PublicKeyCredentialRpEntity   `cbor:"2,keyasint,omitzero"`
	RPIDHash          ctap.Bytes                         `cbor:"3,keyasint"`
	RPIDCut           bool                               `cbor:"4,keyasint,omitempty"`
	User              ctap.PublicKeyCredentialUserEntity `cbor:"5,keyasint,omitzero"`
	Algorithm         ctap.Algorithm                     `cbor:"6,keyasint,omitempty"`
	CredProtect       ctap.CredProtect                   `cbor:"7,keyasint,omitempty"`
	ThirdPartyPayment bool                               `cbor:"8,keyasint,omitempty"`
	HasLargeBlobKey   bool                               `cbor:"9,keyasint,omitempty"`
	LargeBlobSize     uint                               `cbor:"10,keyasint,omitempty"`
	LargeBlobStored   uint                               `cbor:"11,keyasint,omitempty"` // 0 for no large blob
}

type largeBlobs struct {
	Capacity uint `cbor:"1,keyasint"`
	Used     uint `cbor:"2,keyasint"`
	Orphans  uint `cbor:"3,keyasint"`
	Corrupt  bool `cbor:"4,keyasint,omitempty"`
}

func encodeCredentials(l *fido.Credentials) ([]byte, error) {
	out := credentials{Existing: l.Existing, Remaining: l.Remaining}
	for i := range l.List {
		c := &l.List[i]
		next := credential{
			ID:                c.ID,
			RP:                ctap.PublicKeyCredentialRpEntity{ID: clean(c.RP.ID, maxRPID), Name: clean(c.RP.Name, maxUserName)},
			RPIDHash:          c.RPIDHash[:],
			RPIDCut:           c.RPIDCut,
			User:              cleanUser(c.User),
			Algorithm:         c.Algorithm,
			CredProtect:       c.CredProtect,
			ThirdPartyPayment: c.ThirdPartyPayment,
			HasLargeBlobKey:   c.HasLargeBlobKey,
		}
		if c.LargeBlob != nil {
			next.LargeBlobSize, next.LargeBlobStored = c.LargeBlob.Size, c.LargeBlob.Stored
		}
		out.List = append(out.List, next)
	}
	if b := l.LargeBlobs; b != nil {
		out.LargeBlobs = &largeBlobs{b.Capacity, b.Used, b.Orphans, b.Corrupt}
	}
	return ctap.Marshal(out)
}

func cleanUser(u ctap.PublicKeyCredentialUserEntity) ctap.PublicKeyCredentialUserEntity {
	u.Name, u.DisplayName = clean(u.Name, maxUserName), clean(u.DisplayName, maxUserName)
	return u
}

func parseCredentials(body []byte) (*fido.Credentials, error) {
	var in credentials
	if err := ctap.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if len(in.List) > fido.MaxCredentials || in.Existing > maxCount || in.Remaining > maxCount {
		return nil, ctap.ErrLimitExceeded
	}
	l := &fido.Credentials{Existing: in.Existing, Remaining: in.Remaining}
	known := make(map[string]bool)
	for i := range in.List {
		c, err := parseStoredCredential(&in.List[i])
		if err != nil {
			return nil, err
		}
		if known[string(c.ID)] {
			return nil, ctap.ErrInvalidCredential
		}
		known[string(c.ID)] = true
		l.List = append(l.List, *c)
	}
	if b := in.LargeBlobs; b != nil {
		if b.Capacity > maxCount || b.Used > maxCount || b.Orphans > maxCount {
			return nil, ctap.ErrLimitExceeded
		}
		l.LargeBlobs = &fido.LargeBlobs{Capacity: b.Capacity, Used: b.Used, Orphans: b.Orphans, Corrupt: b.Corrupt}
	}
	return l, nil
}

func parseStoredCredential(in *credential) (*fido.StoredCredential, error) {
	switch {
	case len(in.ID) == 0 || len(in.ID) > ctap.MaxCredentialIDLength, len(in.RPIDHash) != sha256.Size,
		len(in.User.ID) > maxUserHandle:
		return nil, ctap.ErrInvalidLength
	case in.LargeBlobSize > maxCount, in.LargeBlobStored > maxCount, in.CredProtect > ctap.UserVerificationRequired:
		return nil, ctap.ErrInvalidParameter
	}
	c := &fido.StoredCredential{
		ID:                in.ID,
		RP:                ctap.PublicKeyCredentialRpEntity{ID: clean(in.RP.ID, maxRPID), Name: clean(in.RP.Name, maxUserName)},
		RPIDHash:          [sha256.Size]byte(in.RPIDHash),
		RPIDCut:           in.RPIDCut,
		User:              cleanUser(in.User),
		Algorithm:         in.Algorithm,
		CredProtect:       in.CredProtect,
		ThirdPartyPayment: in.ThirdPartyPayment,
		HasLargeBlobKey:   in.HasLargeBlobKey,
	}
	c.RPIDCut = c.RPIDCut || sha256.Sum256([]byte(c.RP.ID)) != c.RPIDHash // also where it was cleaned
	if in.LargeBlobStored > 0 {
		c.LargeBlob = &fido.LargeBlobInfo{Size: in.LargeBlobSize, Stored: in.LargeBlobStored}
	}
	return c, nil
}

// maxCount bounds numbers of things, and of bytes, that a key chose.
const maxCount = 1<<31 - 1

func parseLargeBlob(body []byte) ([]byte, error) {
	var blob ctap.Bytes
	if err := ctap.Unmarshal(body, &blob); err != nil {
		return nil, err
	}
	if len(blob) > fido.MaxLargeBlob {
		return nil, fmt.Errorf("a large blob of %d bytes: %w", len(blob), ctap.ErrLimitExceeded)
	}
	return blob, nil
}
