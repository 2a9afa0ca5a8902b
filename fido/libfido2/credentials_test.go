package libfido2

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

const managementPIN = "1234"

// newManaged is an emulated key of a profile, with a PIN and credentials of these accounts, "user@rp", discoverable and
// made for large blobs where the key has them.
func newManaged(t testing.TB, profile string, accounts ...string) *emulator.Authenticator {
	t.Helper()
	p, err := emulator.LookupProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, emulator.Options{Profile: p})
	path, unplug := plug(t, key)
	d := open(t, path)
	if err := d.SetPIN(t.Context(), fido.PIN(managementPIN)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	unplug()
	for _, account := range accounts {
		addAccount(t, key, account)
	}
	return key
}

// addAccount makes a discoverable credential, for large blobs where the key has them.
func addAccount(t testing.TB, key *emulator.Authenticator, account string) {
	t.Helper()
	path, unplug := plug(t, key)
	defer unplug()
	d := open(t, path)
	defer d.Close()
	info, err := d.GetInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user, rp, _ := strings.Cut(account, "@")
	r := registration(user)
	r.RP = ctap.PublicKeyCredentialRpEntity{ID: rp, Name: "The " + rp}
	r.RK, r.PIN = true, fido.PIN(managementPIN)
	if info.Options[ctap.OptionLargeBlobs] {
		yes := true
		r.Extensions = ctap.MakeCredentialExtensionInputs{CredProtect: ctap.UserVerificationRequired, LargeBlobKey: &yes}
	}
	if _, err := d.MakeCredential(t.Context(), r); err != nil {
		t.Fatal(account, err)
	}
}

func withPIN() *fido.CredentialsRequest {
	return &fido.CredentialsRequest{PIN: fido.PIN(managementPIN)}
}

// accounts gives the accounts of a list as newManaged names them.
func accounts(l *fido.Credentials) (names []string) {
	for _, c := range l.List {
		names = append(names, c.User.Name+"@"+c.RP.ID)
	}
	return names
}

// TestCredentials lists, renames and deletes on keys that have the command, its preview alone, and a PIN protocol or
// two.
func TestCredentials(t *testing.T) {
	for _, profile := range []string{"fido2.1", "fido2.2", "like-yubikey-5.4", "like-yubikey-bio", "like-nitrokey-3", "counterless", "fingerprint"} {
		t.Run(profile, func(t *testing.T) {
			want := []string{"ada@a.example", "bob@a.example", "ada@b.example"}
			key := newManaged(t, profile, "ada@a.example", "ada@b.example", "bob@a.example")
			path, _ := plug(t, key)
			d := open(t, path)
			list, err := d.Credentials(t.Context(), withPIN())
			if err != nil || !slices.Equal(accounts(list), want) {
				t.Fatal(list, err)
			}
			c := list.List[0]
			if list.Existing != 3 || list.Remaining == 0 || c.Algorithm != ctap.ES256 || c.CredProtect == 0 ||
				c.RPIDHash != sha256.Sum256([]byte("a.example")) || c.RPIDCut || c.RP.Name != "The a.example" ||
				string(c.User.ID) != "ada" || c.User.DisplayName != "The ada" {
				t.Errorf("%+v", list)
			}
			info, _ := d.GetInfo(t.Context())
			if c.HasLargeBlobKey != info.Options[ctap.OptionLargeBlobs] || list.LargeBlobs != nil || c.LargeBlob != nil {
				t.Errorf("%+v, %+v", c, list.LargeBlobs)
			}
			err = d.UpdateUser(t.Context(), c.ID, ctap.PublicKeyCredentialUserEntity{ID: c.User.ID, Name: "Augusta"})
			if err != nil {
				t.Error(err)
			}
			err = d.UpdateUser(t.Context(), c.ID, ctap.PublicKeyCredentialUserEntity{ID: []byte("eve"), Name: "eve"})
			if !errors.Is(err, ctap.ErrInvalidParameter) {
				t.Error(err)
			}
			if err := d.DeleteCredential(t.Context(), list.List[1].ID); err != nil {
				t.Error(err)
			}
			if err := d.DeleteCredential(t.Context(), list.List[1].ID); !errors.Is(err, ctap.ErrNoCredentials) {
				t.Error(err)
			}
			list, err = d.Credentials(t.Context(), withPIN())
			if want := []string{"Augusta@a.example", "ada@b.example"}; err != nil || !slices.Equal(accounts(list), want) {
				t.Error(list, err)
			}
			if list.List[0].User.DisplayName != "" || list.Existing != 2 {
				t.Errorf("%+v", list)
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	path, _ := plug(t, newManaged(t, "fido2.1"))
	d := open(t, path)
	if err := d.DeleteCredential(t.Context(), []byte{1}); !errors.Is(err, ctap.ErrPUATRequired) {
		t.Error("before a list:", err)
	}
	if err := d.SetLargeBlob(t.Context(), []byte{1}, nil); !errors.Is(err, ctap.ErrPUATRequired) {
		t.Error("before a list:", err)
	}
	list, err := d.Credentials(t.Context(), withPIN())
	if err != nil || list.Existing != 0 || list.Remaining != 100 || len(list.List) != 0 {
		t.Error(list, err)
	}
	r := withPIN()
	r.PIN = fido.PIN("4321")
	if _, err := d.Credentials(t.Context(), r); !errors.Is(err, ctap.ErrPINInvalid) {
		t.Error(err)
	}
	if err := d.DeleteCredential(t.Context(), []byte{1}); !errors.Is(err, ctap.ErrPUATRequired) {
		t.Error("after a wrong PIN:", err)
	}
	for _, r := range []fido.CredentialsRequest{{}, {UV: true, PIN: fido.PIN(managementPIN)}} {
		if _, err := d.Credentials(t.Context(), &r); !errors.Is(err, ctap.ErrInvalidParameter) {
			t.Error(err)
		}
	}
}

// TestLargeBlobs writes, reads and deletes large blobs, and leaves those of others alone.
func TestLargeBlobs(t *testing.T) {
	for _, profile := range []string{"fido2.1", "like-yubikey-bio", "counterless"} {
		t.Run(profile, func(t *testing.T) {
			path, _ := plug(t, newManaged(t, profile, "ada@a.example", "bob@a.example"))
			d := open(t, path)
			write := withPIN()
			write.LargeBlobs, write.Write = true, true
			list, err := d.Credentials(t.Context(), write)
			if err != nil || list.LargeBlobs.Used != 17 || list.LargeBlobs.Orphans != 0 || list.LargeBlobs.Corrupt {
				t.Fatalf("%+v, %v", list.LargeBlobs, err)
			}
			ada, bob := list.List[0].ID, list.List[1].ID
			long := make([]byte, 700) // more than a fragment of a small key, with what does not compress
			for i := range long {
				long[i] = byte(i * i >> 3)
			}
			for _, step := range []struct {
				id, blob []byte
			}{{ada, []byte("first")}, {bob, long}, {ada, bytes.Repeat([]byte("more "), 1000)}} {
				if err := d.SetLargeBlob(t.Context(), step.id, step.blob); err != nil {
					t.Fatal(err)
				}
				if got, err := d.LargeBlob(t.Context(), step.id); err != nil || !bytes.Equal(got, step.blob) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
			}
			list, err = d.Credentials(t.Context(), write)
			if err != nil || list.List[0].LargeBlob.Size != 5000 || list.List[1].LargeBlob.Size != 700 ||
				list.LargeBlobs.Used != 17+list.List[0].LargeBlob.Stored+list.List[1].LargeBlob.Stored {
				t.Fatalf("%+v, %+v, %v", list.List[0].LargeBlob, list.LargeBlobs, err)
			}
			if err := d.DeleteCredential(t.Context(), ada); err != nil {
				t.Fatal(err)
			}
			if list, err = d.Credentials(t.Context(), write); err != nil || list.LargeBlobs.Orphans != 1 {
				t.Fatalf("%+v, %v", list.LargeBlobs, err)
			}
			if err := d.SetLargeBlob(t.Context(), bob, nil); err != nil {
				t.Fatal(err)
			}
			if err := d.SetLargeBlob(t.Context(), bob, nil); !errors.Is(err, fido.ErrLargeBlobMissing) {
				t.Error(err)
			}
			if _, err := d.LargeBlob(t.Context(), bob); !errors.Is(err, fido.ErrLargeBlobMissing) {
				t.Error(err)
			}
			if list, err = d.Credentials(t.Context(), write); err != nil || list.LargeBlobs.Orphans != 1 {
				t.Errorf("%+v, %v", list.LargeBlobs, err)
			}
			if err := d.SetLargeBlob(t.Context(), bob, noise(9000)); !errors.Is(err, ctap.ErrLargeBlobStorageFull) {
				t.Error(err)
			}
		})
	}
}

// noise does not compress.
func noise(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		b = append(b, sum[:]...)
	}
	return b[:n]
}

// TestReadOnlyToken: a token for looking writes nothing.
func TestReadOnlyToken(t *testing.T) {
	path, _ := plug(t, newManaged(t, "fido2.1", "ada@a.example"))
	d := open(t, path)
	r := withPIN()
	r.LargeBlobs = true
	list, err := d.Credentials(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.SetLargeBlob(t.Context(), list.List[0].ID, []byte("x")); !errors.Is(err, ctap.ErrPINAuthInvalid) {
		t.Error(err)
	}
}

// odd is a key whose answers to one command are changed.
type odd struct {
	ctap.Handler
	command ctap.Command
	change  func(request, response []byte) []byte
}

func (o odd) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	response := o.Handler.ServeCTAP(ctx, r, keepalive)
	if len(r.Payload) > 0 && r.Payload[0] == byte(o.command) {
		return o.change(r.Payload, response)
	}
	return response
}

// managed makes an odd key of what is answered to credential management.
func managed(key ctap.Handler, change func(s ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse)) ctap.Handler {
	return odd{key, ctap.CommandCredentialManagement, func(request, response []byte) []byte {
		q, err := ctap.ParseCredentialManagementRequest(request[1:])
		if err != nil || response[0] != 0 {
			return response
		}
		r, err := ctap.ParseCredentialManagementResponse(response[1:])
		if err != nil {
			return response
		}
		change(q.Subcommand, r)
		return r.Encode()
	}}
}

// TestOddCredentials: what keys do that cut RP IDs short, count wrongly, or lie.
func TestOddCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse)
		want   []string
		err    error
	}{
		"RP IDs cut short": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.RP != nil {
				r.RP.ID = "…" + r.RP.ID[2:]
			}
		}, []string{"ada@…example", "bob@…example", "ada@…example"}, nil},
		"the same RP twice": {func(s ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if s == ctap.SubcommandEnumerateRPsGetNextRP {
				hash := sha256.Sum256([]byte("a.example"))
				r.RP.ID, r.RPIDHash = "a.example", hash[:]
			}
		}, []string{"ada@a.example", "bob@a.example"}, nil},
		"the same credential twice": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.CredentialID != nil {
				r.CredentialID.ID = []byte("one")
			}
		}, []string{"ada@a.example"}, nil},
		"too many RPs": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.TotalRPs > 0 {
				r.TotalRPs = math.MaxUint
			}
		}, nil, fido.ErrBadAnswer},
		"too many credentials": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.TotalCredentials > 0 {
				r.TotalCredentials = 1001
			}
		}, nil, fido.ErrBadAnswer},
		"more than it has": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.TotalRPs > 0 {
				r.TotalRPs++
			}
		}, nil, ctap.ErrNotAllowed},
		"a hash that is none": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.RPIDHash != nil {
				r.RPIDHash = r.RPIDHash[:31]
			}
		}, nil, fido.ErrBadAnswer},
		"no credential ID": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			r.CredentialID = nil
		}, nil, fido.ErrBadAnswer},
		"half a largeBlobKey": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			if r.LargeBlobKey != nil {
				r.LargeBlobKey = r.LargeBlobKey[:16]
			}
		}, nil, fido.ErrBadAnswer},
		"no user, no public key": {func(_ ctap.CredentialManagementSubcommand, r *ctap.CredentialManagementResponse) {
			r.User, r.PublicKey = nil, nil
		}, []string{"@a.example", "@a.example", "@b.example"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := plug(t, managed(newManaged(t, "fido2.1", "ada@a.example", "ada@b.example", "bob@a.example"), test.change))
			list, err := open(t, path).Credentials(t.Context(), withPIN())
			if !errors.Is(err, test.err) || err == nil && !slices.Equal(accounts(list), test.want) {
				t.Fatal(list, err)
			}
			if name == "RP IDs cut short" && !list.List[0].RPIDCut {
				t.Error("not noted")
			}
		})
	}
}

// TestUncanonicalAnswers: a map in another order than the specification's is understood all the same; what is no CBOR
// isn't.
func TestUncanonicalAnswers(t *testing.T) {
	key := newManaged(t, "fido2.1", "ada@a.example")
	path, _ := plug(t, odd{key, ctap.CommandCredentialManagement, func(_, response []byte) []byte {
		if len(response) == 6 { // {1: existing, 2: remaining}, remaining in two bytes
			return []byte{0, 0xa2, 2, response[5], 1, 1}
		}
		return response
	}})
	if list, err := open(t, path).Credentials(t.Context(), withPIN()); err != nil || list.Existing != 1 || len(list.List) != 1 {
		t.Error(list, err)
	}
	path, _ = plug(t, odd{key, ctap.CommandCredentialManagement, func(_, _ []byte) []byte { return []byte{0, 0xa2, 2} }})
	if _, err := open(t, path).Credentials(t.Context(), withPIN()); !errors.Is(err, fido.ErrBadAnswer) {
		t.Error(err)
	}
}

// TestDamagedLargeBlobs: nothing is written over, and credentials can be managed all the same.
func TestDamagedLargeBlobs(t *testing.T) {
	key := newManaged(t, "fido2.1", "ada@a.example")
	var writes atomic.Int32
	path, _ := plug(t, odd{key, ctap.CommandLargeBlobs, func(request, response []byte) []byte {
		if r, err := ctap.ParseLargeBlobsRequest(request[1:]); err == nil && r.Set != nil {
			writes.Add(1)
		}
		if n := len(response); n > 1 {
			response[n-1] ^= 1
		}
		return response
	}})
	d := open(t, path)
	r := withPIN()
	r.LargeBlobs, r.Write = true, true
	list, err := d.Credentials(t.Context(), r)
	if err != nil || !list.LargeBlobs.Corrupt {
		t.Fatal(list, err)
	}
	id := list.List[0].ID
	if err := d.SetLargeBlob(t.Context(), id, []byte("x")); !errors.Is(err, fido.ErrLargeBlobsCorrupt) {
		t.Error(err)
	}
	if _, err := d.LargeBlob(t.Context(), id); !errors.Is(err, fido.ErrLargeBlobsCorrupt) {
		t.Error(err)
	}
	if n := writes.Load(); n != 0 {
		t.Errorf("%d writes", n)
	}
	if err := d.DeleteCredential(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// TestEndlessLargeBlobs: a key that always has another fragment is not believed.
func TestEndlessLargeBlobs(t *testing.T) {
	path, _ := plug(t, odd{newManaged(t, "fido2.1"), ctap.CommandLargeBlobs, func(request, _ []byte) []byte {
		r, err := ctap.ParseLargeBlobsRequest(request[1:])
		if err != nil {
			t.Error(err)
		}
		return (&ctap.LargeBlobsResponse{Config: make([]byte, *r.Get)}).Encode()
	}})
	r := withPIN()
	r.LargeBlobs = true
	if _, err := open(t, path).Credentials(t.Context(), r); !errors.Is(err, fido.ErrBadAnswer) {
		t.Error(err)
	}
}
