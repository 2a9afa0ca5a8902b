package platform

import (
	"context"
	"errors"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
)

// TestManageByOneFinger: a list of several relying parties, and all that follows it, takes one finger.
func TestManageByOneFinger(t *testing.T) {
	k, a := newKey(t, "fingerprint", nil, nil)
	if err := a.SetPIN(pin); err != nil {
		t.Fatal(err)
	}
	enroll(t, k)
	for _, rp := range []string{"a.example", "b.example", "c.example"} {
		r := registration(nil)
		r.RP.ID, r.UV = rp, true
		register(t, k, r)
	}
	fingers := 0
	exchange := k.Exchange
	k.Exchange = func(ctx context.Context, request []byte) ([]byte, error) {
		if asked, err := ctap.ParseClientPINRequest(request[1:]); request[0] == byte(ctap.CommandClientPIN) && err == nil &&
			asked.Subcommand == ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions {
			fingers++
		}
		return exchange(ctx, request)
	}
	m, list, err := k.Manage(t.Context(), &fido.CredentialsRequest{UV: true, LargeBlobs: true, Write: true})
	if err != nil || len(list.List) != 3 {
		t.Fatal(list, err)
	}
	defer m.End()
	id := list.List[0].ID
	if err := errors.Join(m.SetLargeBlob(t.Context(), id, []byte("x")), m.DeleteCredential(t.Context(), id),
		m.SetLargeBlob(t.Context(), id, nil)); err != nil || fingers != 1 {
		t.Errorf("%v, by %d fingers", err, fingers)
	}
}

// TestEndOfManagement: neither the token nor keys of large blobs are left in memory.
func TestEndOfManagement(t *testing.T) {
	k, _ := newKey(t, "fido2.1", pin, nil)
	register(t, k, registration(pin))
	m, list, err := k.Manage(t.Context(), &fido.CredentialsRequest{PIN: pin})
	if err != nil || !list.List[0].HasLargeBlobKey {
		t.Fatal(list, err)
	}
	token, key := m.session.token, m.blobKeys[string(list.List[0].ID)]
	if len(token) != 32 || len(key) != ctap.LargeBlobKeyLength {
		t.Fatalf("%d and %d bytes", len(token), len(key))
	}
	m.End()
	for _, b := range append(token, key...) {
		if b != 0 {
			t.Fatal("a secret is not wiped")
		}
	}
}
