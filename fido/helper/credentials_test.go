package helper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
)

// Credentials answers by the PIN: "1234" is good, the others name what is wrong.
func (k *fakeKey) Credentials(_ context.Context, r *fido.CredentialsRequest) (*fido.Credentials, error) {
	k.keep(r.PIN)
	k.log(fmt.Sprintf("credentials uv=%v blobs=%v write=%v", r.UV, r.LargeBlobs, r.Write))
	list := fakeCredentials()
	switch pin := string(r.PIN); pin {
	case "long":
		list.List[0].ID = make([]byte, ctap.MaxCredentialIDLength+1)
	case "twice":
		list.List = append(list.List, list.List...)
	case "many":
		for i := range fido.MaxCredentials + 1 {
			list.List = append(list.List, fido.StoredCredential{ID: []byte(fmt.Sprint(i))})
		}
	case "full": // as many as there may be
		list.List = nil
		for i := range fido.MaxCredentials {
			c := fakeCredentials().List[0]
			c.ID = fmt.Appendf(make([]byte, 64), "%d", i)
			c.User.ID = make([]byte, 64)
			list.List = append(list.List, c)
		}
	case "level":
		list.List[0].CredProtect = 9
	case "blobs":
		list.LargeBlobs.Used = 1 << 40
	}
	return list, nil
}

func fakeCredentials() *fido.Credentials {
	return &fido.Credentials{
		Existing: 1, Remaining: 24, LargeBlobs: &fido.LargeBlobs{Capacity: 1024, Used: 100, Orphans: 2, Corrupt: true},
		List: []fido.StoredCredential{{
			ID: []byte("credential"), RP: ctap.PublicKeyCredentialRpEntity{ID: "a.exa\u202emple", Name: "A\x1b[2J"},
			RPIDHash: sha256.Sum256([]byte("a.example")), RPIDCut: true,
			User:      ctap.PublicKeyCredentialUserEntity{ID: []byte("ada"), Name: "a\x07da", DisplayName: strings.Repeat("A", 1000)},
			Algorithm: ctap.EdDSA, CredProtect: ctap.UserVerificationRequired, ThirdPartyPayment: true, HasLargeBlobKey: true,
			LargeBlob: &fido.LargeBlobInfo{Size: 80, Stored: 70},
		}},
	}
}

func (k *fakeKey) UpdateUser(_ context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error {
	k.log(fmt.Sprintf("update %s: %s %s %s", id, user.ID, user.Name, user.DisplayName))
	return nil
}

func (k *fakeKey) DeleteCredential(_ context.Context, id []byte) error {
	k.log(fmt.Sprintf("delete %s", id))
	if string(id) == "unknown" {
		return ctap.ErrNoCredentials
	}
	return nil
}

func (k *fakeKey) LargeBlob(_ context.Context, id []byte) ([]byte, error) {
	switch string(id) {
	case "missing":
		return nil, fmt.Errorf("%w (fake)", fido.ErrLargeBlobMissing)
	case "huge":
		return make([]byte, fido.MaxLargeBlob+1), nil
	}
	return make([]byte, fido.MaxLargeBlob), nil
}

func (k *fakeKey) SetLargeBlob(_ context.Context, id, blob []byte) error {
	k.log(fmt.Sprintf("set %s: %d, none: %v", id, len(blob), blob == nil))
	if string(id) == "corrupt" {
		return fido.ErrLargeBlobsCorrupt
	}
	return nil
}

func TestCredentials(t *testing.T) {
	k, events := openKey(t, "good")
	list, err := k.Credentials(t.Context(), &fido.CredentialsRequest{UV: true, LargeBlobs: true, Write: true})
	if err != nil {
		t.Fatal(err)
	}
	events.want(t, "credentials uv=true blobs=true write=true")
	want := fakeCredentials()
	want.List[0].RP = ctap.PublicKeyCredentialRpEntity{ID: "a.example", Name: "A[2J"}
	want.List[0].User.Name, want.List[0].User.DisplayName = "ada", strings.Repeat("A", 256)
	if got := fmt.Sprintf("%+v %+v", list.List[0].LargeBlob, list.LargeBlobs); got != fmt.Sprintf("%+v %+v", want.List[0].LargeBlob, want.LargeBlobs) {
		t.Error(got)
	}
	list.List[0].LargeBlob, list.LargeBlobs, want.List[0].LargeBlob, want.LargeBlobs = nil, nil, nil, nil
	if got, want := fmt.Sprintf("%+v", list), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, odd := range []string{"long", "twice", "many", "level", "blobs"} {
		if _, err := k.Credentials(t.Context(), &fido.CredentialsRequest{PIN: fido.PIN(odd)}); !errors.Is(err, fido.ErrBadAnswer) {
			t.Errorf("%s: %v", odd, err)
		}
	}
	list, err = k.Credentials(t.Context(), &fido.CredentialsRequest{PIN: fido.PIN("full")})
	if err != nil || len(list.List) != fido.MaxCredentials {
		t.Error(err)
	}
	if _, err := k.Credentials(t.Context(), &fido.CredentialsRequest{PIN: fido.PIN{}}); !errors.Is(err, ctap.ErrPINPolicyViolation) {
		t.Error(err)
	}
}

// TestRPIDIsCertain: an RP ID that is not shown as it is, or not that of the hash, is said to be so, whoever lies.
func TestRPIDIsCertain(t *testing.T) {
	for id, cut := range map[string]bool{"a.example": false, "a.exa\u200bmple": true, "b.example": true} {
		list := fakeCredentials()
		c := &list.List[0]
		c.RP.ID, c.RPIDHash, c.RPIDCut = id, sha256.Sum256([]byte(id)), false
		if id == "b.example" {
			c.RPIDHash = sha256.Sum256([]byte("a.example"))
		}
		got, err := parseCredentials(mustBody(encodeCredentials(list)))
		if err != nil || got.List[0].RPIDCut != cut {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
}

func TestOneCredential(t *testing.T) {
	k, events := openKey(t, "good")
	id := []byte("credential")
	ada := ctap.PublicKeyCredentialUserEntity{ID: []byte("id"), Name: "ada", DisplayName: "Ada"}
	for _, test := range []struct {
		do    error
		event string
		want  error
	}{
		{k.UpdateUser(t.Context(), id, ada), "update credential: id ada Ada", nil},
		{k.DeleteCredential(t.Context(), id), "delete credential", nil},
		{k.DeleteCredential(t.Context(), []byte("unknown")), "delete unknown", ctap.ErrNoCredentials},
		{k.DeleteCredential(t.Context(), nil), "", ctap.ErrInvalidLength},
		{k.DeleteCredential(t.Context(), make([]byte, 1024)), "", ctap.ErrInvalidLength},
		{k.SetLargeBlob(t.Context(), id, make([]byte, fido.MaxLargeBlob)), "set credential: 40960, none: false", nil},
		{k.SetLargeBlob(t.Context(), id, nil), "set credential: 0, none: true", nil},
		{k.SetLargeBlob(t.Context(), id, make([]byte, fido.MaxLargeBlob+1)), "", ctap.ErrInvalidLength},
		{k.SetLargeBlob(t.Context(), []byte("corrupt"), []byte("x")), "set corrupt: 1, none: false", fido.ErrLargeBlobsCorrupt},
	} {
		if !errors.Is(test.do, test.want) {
			t.Errorf("%v, want %v", test.do, test.want)
		}
		if test.event != "" {
			events.want(t, test.event)
		}
	}
	if blob, err := k.LargeBlob(t.Context(), id); err != nil || !bytes.Equal(blob, make([]byte, fido.MaxLargeBlob)) {
		t.Errorf("%d bytes, %v", len(blob), err)
	}
	if _, err := k.LargeBlob(t.Context(), []byte("missing")); !errors.Is(err, fido.ErrLargeBlobMissing) {
		t.Error(err)
	}
	if _, err := k.LargeBlob(t.Context(), []byte("huge")); !errors.Is(err, fido.ErrBadAnswer) {
		t.Error(err)
	}
}

// FuzzCredentials: what a helper is asked for credentials, and what it answers, is refused or comes back as it was.
func FuzzCredentials(f *testing.F) {
	f.Add(mustBody(encodeCredentialsRequest(&fido.CredentialsRequest{UV: true, Write: true})))
	f.Add(mustBody(encodeCredentialRequest(credentialRequest{ID: []byte{1}, Blob: []byte("blob"),
		User: ctap.PublicKeyCredentialUserEntity{ID: []byte{2}, Name: "ada"}})))
	f.Add(mustBody(encodeCredentials(fakeCredentials())))
	f.Add(mustCBOR(ctap.Bytes("a large blob")))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := func(b []byte) (*fido.CredentialsRequest, error) { return parseCredentialsRequest(b, nil) }
		same(t, b, list, func(r *fido.CredentialsRequest) []byte { return mustBody(encodeCredentialsRequest(r)) })
		same(t, b, parseCredentialRequest, func(r *credentialRequest) []byte { return mustBody(encodeCredentialRequest(*r)) })
		same(t, b, parseCredentials, func(l *fido.Credentials) []byte { return mustBody(encodeCredentials(l)) })
		same(t, b, parseLargeBlob, func(blob []byte) []byte { return mustCBOR(ctap.Bytes(blob)) })
	})
}
