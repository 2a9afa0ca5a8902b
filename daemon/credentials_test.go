package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/fault"
	"fob/fido/softkey"
	"fob/ipc"
	"fob/ipc/varlink"
)

// stocked is the state of an emulated key with credentials of these users at example.com, made for large blobs.
func stocked(t testing.TB, users ...string) []byte {
	t.Helper()
	key, err := softkey.Plug(t.Context(), softkey.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	yes := true
	for _, user := range users {
		r := &ctap.MakeCredentialRequest{
			ClientDataHash:   make([]byte, 32),
			RP:               &ctap.PublicKeyCredentialRpEntity{ID: "example.com"},
			User:             &ctap.PublicKeyCredentialUserEntity{ID: []byte(user), Name: user},
			PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}},
			Extensions:       map[string]ctap.RawMessage{ctap.ExtensionLargeBlobKey: {0xf5}},
			Options:          ctap.Options{RK: &yes},
		}
		response := key.ServeCTAP(t.Context(), ctap.Request{Payload: r.Encode()}, func(ctap.KeepaliveStatus) {})
		if response[0] != byte(ctap.StatusOK) {
			t.Fatalf("%x", response)
		}
	}
	state, err := key.Export()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// managedKey is a fobd with a key of stocked, whose PIN is 1234, and which fails.
func managedKey(t testing.TB, state []byte, faults ...fault.Fault) (*ipc.Client, *softkey.Key) {
	t.Helper()
	in := fault.New(1, faults...)
	t.Cleanup(in.Wait)
	dir, key := plug(t, in.Options(softkey.Options{Fixture: state, PIN: fido.PIN("1234")}))
	return &ipc.Client{Socket: filepath.Join(dir, "fob", "fob.sock")}, key
}

// nameOf gives the ID of the credential of a user.
func nameOf(t testing.TB, c *ipc.Client, user string) string {
	t.Helper()
	list, err := c.ListCredentials(t.Context(), "", &person{pin: "1234"})
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range list.Credentials {
		if found.Name == user {
			return found.ID
		}
	}
	t.Fatalf("%s is not in %+v", user, list)
	return ""
}

// confirmer is a person who answers whether to delete by err.
type confirmer struct {
	person
	err  error
	told ipc.Event
}

func (c *confirmer) Confirm(_ context.Context, e ipc.Event) error {
	c.told = e
	return c.err
}

func TestConfirmDeletion(t *testing.T) {
	client, key := managedKey(t, stocked(t, "alice", "bob"))
	r := ipc.DeleteCredentialRequest{Credential: nameOf(t, client, "bob"), Confirm: true}
	if _, err := client.DeleteCredential(t.Context(), r, &person{pin: "1234"}); !errors.Is(err, ipc.Declined{}) {
		t.Error("a program that can't ask:", err)
	}
	who := &confirmer{person: person{pin: "1234"}, err: ipc.ErrDeclined}
	if _, err := client.DeleteCredential(t.Context(), r, who); !errors.Is(err, ipc.Declined{}) {
		t.Error(err)
	}
	if n := len(key.Credentials()); n != 2 {
		t.Errorf("%d credentials are left", n)
	}
	who.err = nil
	deleted, err := client.DeleteCredential(t.Context(), r, who)
	if err != nil || deleted.Credential.Name != "bob" || deleted.LargeBlobDeleted {
		t.Error(deleted, err)
	}
	if e := who.told; e.RPID != "example.com" || len(e.Accounts) != 1 || e.Accounts[0].Name != "bob" || e.Accounts[0].ID != "Ym9i" {
		t.Errorf("%+v", e)
	}
	if left := key.Credentials(); len(left) != 1 || left[0].UserName != "alice" {
		t.Errorf("%+v", left)
	}
}

// TestCredentialParameters: what can't be meant is refused, and the key is not asked.
func TestCredentialParameters(t *testing.T) {
	client, _ := managedKey(t, stocked(t))
	who := &person{}
	long, odd := strings.Repeat("x", 65), "a\x1bb"
	for _, test := range []struct {
		do   error
		want string
	}{
		{second(client.RenameCredential(t.Context(), ipc.RenameCredentialRequest{Credential: "AAAA"}, who)), "name"},
		{second(client.RenameCredential(t.Context(), ipc.RenameCredentialRequest{Credential: "AAAA", Name: &long}, who)), "name"},
		{second(client.RenameCredential(t.Context(), ipc.RenameCredentialRequest{Credential: "AAAA", DisplayName: &odd}, who)), "displayName"},
		{client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: "AAAA"}, nil, who), "blob"},
		{client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: "AAAA"}, make([]byte, fido.MaxLargeBlob+1), who), "blob"},
	} {
		var invalid varlink.InvalidParameter
		if !errors.As(test.do, &invalid) || invalid.Parameter != test.want {
			t.Errorf("%v, want %s", test.do, test.want)
		}
	}
	if len(who.seen) != 0 {
		t.Errorf("the person saw %v", who.seen)
	}
}

func second[T any](_ T, err error) error { return err }

// operations are those on the credential of alice, who has a large blob.
var operations = map[string]func(ctx context.Context, c *ipc.Client, id string) error{
	"list": func(ctx context.Context, c *ipc.Client, _ string) error {
		return second(c.ListCredentials(ctx, "", &person{pin: "1234"}))
	},
	"rename": func(ctx context.Context, c *ipc.Client, id string) error {
		name := "Alice"
		return second(c.RenameCredential(ctx, ipc.RenameCredentialRequest{Credential: id, Name: &name}, &person{pin: "1234"}))
	},
	"delete": func(ctx context.Context, c *ipc.Client, id string) error {
		return second(c.DeleteCredential(ctx, ipc.DeleteCredentialRequest{Credential: id}, &person{pin: "1234"}))
	},
	"list blobs": func(ctx context.Context, c *ipc.Client, _ string) error {
		return second(c.ListLargeBlobs(ctx, "", &person{pin: "1234"}))
	},
	"get blob": func(ctx context.Context, c *ipc.Client, id string) error {
		return second(c.GetLargeBlob(ctx, ipc.WhichCredential{Credential: id}, &person{pin: "1234"}))
	},
	"set blob": func(ctx context.Context, c *ipc.Client, id string) error {
		return c.SetLargeBlob(ctx, ipc.WhichCredential{Credential: id}, []byte("another blob"), &person{pin: "1234"})
	},
	"delete blob": func(ctx context.Context, c *ipc.Client, id string) error {
		return c.DeleteLargeBlob(ctx, ipc.WhichCredential{Credential: id}, &person{pin: "1234"})
	},
}

// TestManagementFaults: each command ends with one named error when the key fails at any step of it, and what it has
// not done is as it was.
func TestManagementFaults(t *testing.T) {
	client, key := managedKey(t, stocked(t, "alice"))
	id := nameOf(t, client, "alice")
	if err := client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: id}, []byte("a blob"), &person{pin: "1234"}); err != nil {
		t.Fatal(err)
	}
	state, err := key.Export()
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string][]string{ // what each command asks of the key
		"list":        {"credentialManagement 3"},
		"rename":      {"credentialManagement 4"},
		"delete":      {"credentialManagement 4", "largeBlobs 1"},
		"list blobs":  {"largeBlobs 1"},
		"get blob":    {"largeBlobs 2"},
		"set blob":    {"largeBlobs 2", "largeBlobs 3"},
		"delete blob": {"largeBlobs 2", "largeBlobs 3"},
	}
	effects := map[string]ipc.Error{
		"status other on ":            ipc.Failed{},
		"status pin-auth-invalid on ": ipc.Failed{},
		"garbage on ":                 ipc.Failed{},
		"unplug on ":                  ipc.DeviceGone{},
	}
	for command, do := range operations {
		places := append([]string{"credentialManagement 1", "credentialManagement 2", "getKeyAgreement 1", "getPINRetries 1"}, steps[command]...)
		for _, place := range places {
			for effect, want := range effects {
				if effect == "garbage on " && (place == "largeBlobs 3" || place == "credentialManagement 4") {
					continue // an answer without content: garbage behind success is none of our business
				}
				t.Run(command+"/"+effect+place, func(t *testing.T) {
					t.Parallel()
					client, key := managedKey(t, state, fault.MustParse(effect+place))
					err := do(t.Context(), client, id)
					var named ipc.Error
					if !errors.As(err, &named) || reflect.TypeOf(named) != reflect.TypeOf(want) {
						t.Fatalf("%T: %v, want %T", err, err, want)
					}
					if left := key.Credentials(); len(left) != 1 || left[0].UserName != "alice" {
						t.Errorf("%+v", left)
					}
				})
			}
		}
	}
}

// TestLargeBlobLeft: a credential whose large blob can't be deleted is gone all the same, and that is said.
func TestLargeBlobLeft(t *testing.T) {
	first, key := managedKey(t, stocked(t, "alice"))
	id := nameOf(t, first, "alice")
	if err := first.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: id}, []byte("a blob"), &person{pin: "1234"}); err != nil {
		t.Fatal(err)
	}
	state, err := key.Export()
	if err != nil {
		t.Fatal(err)
	}
	client, key := managedKey(t, state, fault.MustParse("status other on largeBlobs 3"))
	err = operations["delete"](t.Context(), client, id)
	if !errors.As(err, new(ipc.LargeBlobLeft)) || len(key.Credentials()) != 0 {
		t.Errorf("%T: %v, left %+v", err, err, key.Credentials())
	}
	list, err := client.ListLargeBlobs(t.Context(), "", &person{pin: "1234"})
	if err != nil || list.Orphans != 1 || len(list.Blobs) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestManagementTakesTurns: commands that come at the same time are done one after the other, all of them.
func TestManagementTakesTurns(t *testing.T) {
	client, key := managedKey(t, stocked(t, "alice", "bob", "carol"))
	ids := []string{nameOf(t, client, "alice"), nameOf(t, client, "bob"), nameOf(t, client, "carol")}
	var all sync.WaitGroup
	errs := make([]error, len(ids))
	for i, id := range ids {
		all.Go(func() {
			errs[i] = client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: id}, []byte(id), &person{pin: "1234"})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if blob, err := client.GetLargeBlob(t.Context(), ipc.WhichCredential{Credential: id}, &person{pin: "1234"}); err != nil || string(blob) != id {
			t.Errorf("%q, %v", blob, err)
		}
	}
	if n := len(key.Credentials()); n != 3 {
		t.Errorf("%d credentials are left", n)
	}
}

// TestPythonLooks has python-fido2 see what fob has put on a key, under both PIN protocols.
func TestPythonLooks(t *testing.T) {
	client, key := managedKey(t, stocked(t, "alice", "bob", "carol"))
	blob := strings.Repeat("a large blob of more than one line\n", 90)
	who, name := &person{pin: "1234"}, "robert"
	if err := errors.Join(
		client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: nameOf(t, client, "alice")}, []byte(blob), who),
		client.SetLargeBlob(t.Context(), ipc.WhichCredential{Credential: nameOf(t, client, "carol")}, []byte("carol's"), who),
		second(client.RenameCredential(t.Context(), ipc.RenameCredentialRequest{Credential: nameOf(t, client, "bob"), Name: &name}, who)),
		second(client.DeleteCredential(t.Context(), ipc.DeleteCredentialRequest{Credential: nameOf(t, client, "carol")}, who)),
	); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"found": map[string]any{"alice@example.com": blob, "robert@example.com": nil}, "blobs": 1.0}
	for _, protocol := range []string{"1", "2"} {
		const debianPython = "/usr/bin/python3" // which has python3-fido2
		look := exec.Command(debianPython, "../fido/softkey/testdata/administer.py", key.Path(), protocol, "1234", "look")
		out, err := look.Output()
		var got map[string]any
		if err != nil || json.Unmarshal(out, &got) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("protocol %s: %s, %v", protocol, out, err)
		}
	}
}

// TestManyCredentials: as many as there may be come through, and one more doesn't.
func TestManyCredentials(t *testing.T) {
	list := &fido.Credentials{Existing: fido.MaxCredentials}
	for i := range fido.MaxCredentials {
		list.List = append(list.List, fido.StoredCredential{
			ID: fmt.Appendf(make([]byte, 60), "%04d", i), User: ctap.PublicKeyCredentialUserEntity{
				ID: make([]byte, 64), Name: strings.Repeat("n", 64), DisplayName: strings.Repeat("d", 64)},
			RP: ctap.PublicKeyCredentialRpEntity{ID: strings.Repeat("r", 32), Name: strings.Repeat("R", 64)}})
	}
	k := &fakeKey{options: map[string]bool{"credMgmt": true, "clientPin": true}, credentials: list}
	got, err := serve(t, oneKey(k)).ListCredentials(t.Context(), "", &person{pin: "1234"})
	if err != nil || len(got.Credentials) != fido.MaxCredentials {
		t.Fatal(err)
	}
}

// Credentials implements fido.Authenticator.
func (k *fakeKey) Credentials(context.Context, *fido.CredentialsRequest) (*fido.Credentials, error) {
	return k.credentials, nil
}

// stubborn is a key that takes its time to write large blobs.
type stubborn struct {
	fakeKey
	write func(ctx context.Context) error
}

func (s *stubborn) Credentials(context.Context, *fido.CredentialsRequest) (*fido.Credentials, error) {
	return &fido.Credentials{Existing: 1, LargeBlobs: &fido.LargeBlobs{Capacity: 1024}, List: []fido.StoredCredential{
		{ID: []byte("credential"), HasLargeBlobKey: true, LargeBlob: &fido.LargeBlobInfo{Size: 1, Stored: 50}}}}, nil
}
func (s *stubborn) DeleteCredential(context.Context, []byte) error             { return nil }
func (s *stubborn) SetLargeBlob(ctx context.Context, _ []byte, _ []byte) error { return s.write(ctx) }

// TestInterruptedDelete: once the credential is deleted its large blob is, too, whatever happens meanwhile. If that
// fails the person hears of both, and not that nothing was done.
func TestInterruptedDelete(t *testing.T) {
	for _, outcome := range []error{nil, fido.ErrDeviceGone} {
		k := &stubborn{fakeKey: fakeKey{closed: make(chan struct{}), options: map[string]bool{
			ctap.OptionCredMgmt: true, ctap.OptionLargeBlobs: true, ctap.OptionClientPIN: true}}}
		s := oneKey(&k.fakeKey)
		s.open = func(fido.DeviceID) (fido.Authenticator, error) { return k, nil }
		d := &Daemon{Source: s}
		client := serveDaemon(t, d)
		k.write = func(ctx context.Context) error {
			over, cancel := context.WithCancel(t.Context())
			cancel()
			d.Interrupt(over, "the screen was locked")
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return outcome
		}
		r := ipc.DeleteCredentialRequest{Credential: (&fido.StoredCredential{ID: []byte("credential")}).Name()}
		deleted, err := client.DeleteCredential(t.Context(), r, &person{pin: "1234"})
		var left ipc.LargeBlobLeft
		switch {
		case outcome == nil && (err != nil || !deleted.LargeBlobDeleted):
			t.Errorf("%+v, %v", deleted, err)
		case outcome != nil && (!errors.As(err, &left) || left.Problem != outcome.Error()):
			t.Errorf("%+v, %v", deleted, err)
		}
	}
}
