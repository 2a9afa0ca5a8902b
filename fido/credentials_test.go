package fido

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"fob/fido/ctap"
)

// store is what a scriptedKey keeps.
type store struct {
	list  Credentials
	blobs map[string][]byte
}

func (k *scriptedKey) Credentials(ctx context.Context, r *CredentialsRequest) (*Credentials, error) {
	err := k.next(ctx, r.UV, r.PIN)
	k.asked[len(k.asked)-1] += fmt.Sprintf(" blobs=%v write=%v", r.LargeBlobs, r.Write)
	if err != nil {
		return nil, err
	}
	list := k.store.list
	list.List = slices.Clone(list.List)
	if !r.LargeBlobs {
		list.LargeBlobs = nil
	}
	return &list, nil
}

func (k *scriptedKey) UpdateUser(_ context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error {
	return k.note("update %s to %s %s %s", id, user.ID, user.Name, user.DisplayName)
}

func (k *scriptedKey) DeleteCredential(_ context.Context, id []byte) error {
	return k.note("delete %s", id)
}

func (k *scriptedKey) LargeBlob(_ context.Context, id []byte) ([]byte, error) {
	return k.store.blobs[string(id)], k.note("get blob %s", id)
}

func (k *scriptedKey) SetLargeBlob(_ context.Context, id, blob []byte) error {
	return k.note("set blob %s %s", id, blob)
}

// note is next for what needs nobody verified again.
func (k *scriptedKey) note(format string, args ...any) error {
	err := k.next(context.Background(), false, nil)
	k.asked[len(k.asked)-1] = fmt.Sprintf(format, args...)
	return err
}

// confirming is a person who is asked whether to delete, and whose answer is err.
type confirming struct {
	person
	err error
}

func (c *confirming) Confirm(_ context.Context, _ DeviceInfo, s *StoredCredential) error {
	c.seen = append(c.seen, "confirm "+s.User.Name+" at "+s.RP.ID)
	return c.err
}

// newStore is a key with two credentials whose names begin with "YWxp", of which the first has a large blob.
func newStore(optionNames ...string) *scriptedKey {
	user := func(name string) ctap.PublicKeyCredentialUserEntity {
		return ctap.PublicKeyCredentialUserEntity{ID: []byte("id of " + name), Name: name, DisplayName: "The " + name}
	}
	rp := ctap.PublicKeyCredentialRpEntity{ID: "a.example"}
	k := &scriptedKey{info: ctap.GetInfoResponse{
		Options: options(slices.Concat(optionNames, []string{"clientPin"})...), MaxLargeBlobArray: 1024}, retries: 8}
	k.store.list = Credentials{Existing: 2, Remaining: 8, LargeBlobs: &LargeBlobs{Capacity: 1024, Used: 150}, List: []StoredCredential{
		{ID: []byte("alice"), RP: rp, User: user("alice"), HasLargeBlobKey: true, LargeBlob: &LargeBlobInfo{Size: 90, Stored: 100}},
		{ID: []byte("alina"), RP: rp, User: user("alina")},
	}}
	k.store.blobs = map[string][]byte{"alice": []byte("a blob")}
	return k
}

func TestManageCredentials(t *testing.T) {
	augusta, nothing := "Augusta", ""
	blob := []byte("a new blob")
	verified := func(blobs, write bool) string {
		return fmt.Sprintf("uv=false pin=1234 blobs=%v write=%v", blobs, write)
	}
	all := []string{"credMgmt", "largeBlobs"}
	rename := func(name string, to, display *string) func(context.Context, Candidate, Prompter) error {
		return func(ctx context.Context, k Candidate, p Prompter) error {
			_, err := RenameCredential(ctx, k, p, name, to, display)
			return err
		}
	}
	remove := func(name string, confirm bool) func(context.Context, Candidate, Prompter) error {
		return func(ctx context.Context, k Candidate, p Prompter) error {
			_, err := DeleteCredential(ctx, k, p, name, confirm)
			return err
		}
	}
	list := func(ctx context.Context, k Candidate, p Prompter) error {
		_, err := ListCredentials(ctx, k, p)
		return err
	}
	get := func(name string) func(context.Context, Candidate, Prompter) error {
		return func(ctx context.Context, k Candidate, p Prompter) error {
			got, err := GetLargeBlob(ctx, k, p, name)
			if err == nil && string(got) != "a blob" {
				return fmt.Errorf("got %q", got)
			}
			return err
		}
	}
	set := func(name string, blob []byte) func(context.Context, Candidate, Prompter) error {
		return func(ctx context.Context, k Candidate, p Prompter) error { return SetLargeBlob(ctx, k, p, name, blob) }
	}
	drop := func(name string) func(context.Context, Candidate, Prompter) error {
		return func(ctx context.Context, k Candidate, p Prompter) error { return DeleteLargeBlob(ctx, k, p, name) }
	}
	unknown, several, space := new(*UnknownCredentialError), new(*AmbiguousCredentialError), new(*LargeBlobSpaceError)
	for _, test := range []struct {
		name    string
		do      func(context.Context, Candidate, Prompter) error
		options []string
		asked   []string
		is      error // or
		as      any
	}{
		{"list", list, all[:1], []string{verified(false, false)}, nil, nil},
		{"list, by the preview", list, []string{"credentialMgmtPreview"}, []string{verified(false, false)}, nil, nil},
		{"list on a key that can't", list, nil, nil, Unsupported("to manage its credentials"), nil},
		{"rename", rename("YWxpY2U", &augusta, nil), all,
			[]string{verified(false, false), "update alice to id of alice Augusta The alice"}, nil, nil},
		{"rename, by the beginning, to nothing", rename("YWxpY", nil, &nothing), all,
			[]string{verified(false, false), "update alice to id of alice alice "}, nil, nil},
		{"rename one of two", rename("YWxp", &augusta, nil), all, []string{verified(false, false)}, nil, several},
		{"rename by three characters", rename("YWx", &augusta, nil), all, []string{verified(false, false)}, nil, unknown},
		{"rename none", rename("Ym9i", &augusta, nil), all, []string{verified(false, false)}, nil, unknown},
		{"rename by the preview", rename("YWxpY", &augusta, nil), []string{"credentialMgmtPreview"}, nil,
			Unsupported("to rename credentials"), nil},
		{"delete, and its large blob", remove("YWxpY2U", false), all,
			[]string{verified(true, true), "delete alice", "set blob alice "}, nil, nil},
		{"delete one without", remove("YWxpbm", false), all, []string{verified(true, true), "delete alina"}, nil, nil},
		{"delete on a key without", remove("YWxpbm", false), all[:1], []string{verified(false, false), "delete alina"}, nil, nil},
		{"get", get("YWxpY2U"), all, []string{verified(true, false), "get blob alice"}, nil, nil},
		{"get none", get("YWxpbm"), all, []string{verified(true, false)}, ErrLargeBlobMissing, nil},
		{"get from a key without", get("YWxpY2U"), all[:1], nil, Unsupported("to keep large blobs"), nil},
		{"set", set("YWxpY2U", blob), all, []string{verified(true, true), "set blob alice a new blob"}, nil, nil},
		{"set where none can be", set("YWxpbm", blob), all, []string{verified(true, true)},
			Unsupported("to keep a large blob for this credential, which was not registered for one"), nil},
		{"set more than the key can have", set("YWxpY2U", noise(1100)), all, nil, nil, space},
		{"set more than fits, but for the old one", set("YWxpY2U", noise(920)), all,
			[]string{verified(true, true), "set blob alice " + string(noise(920))}, nil, nil},
		{"set more than fits", set("YWxpY2U", noise(950)), all, []string{verified(true, true)}, ctap.ErrLargeBlobStorageFull, space},
		{"delete a large blob", drop("YWxpY2U"), all, []string{verified(true, true), "set blob alice "}, nil, nil},
		{"delete none", drop("YWxpbm"), all, []string{verified(true, true)},
			Unsupported("to keep a large blob for this credential, which was not registered for one"), nil},
	} {
		key := newStore(test.options...)
		err := test.do(t.Context(), alone(key).Now[0], &person{pins: []string{"1234"}})
		ok := errors.Is(err, test.is)
		if test.as != nil {
			ok = errors.As(err, test.as) && (test.is == nil || errors.Is(err, test.is))
		}
		if !ok || !slices.Equal(key.asked, test.asked) {
			t.Errorf("%s: %v, the key was asked %q", test.name, err, key.asked)
		}
	}
	if e := *space; e.Free != 974 || e.Needed < 950 {
		t.Errorf("%+v", e)
	}
}

// noise does not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// TestDeleteConfirmed: nothing is deleted that the person did not agree to.
func TestDeleteConfirmed(t *testing.T) {
	for _, answer := range []error{nil, ErrDeclined} {
		key := newStore("credMgmt")
		who := &confirming{person{pins: []string{"1234"}}, answer}
		_, err := DeleteCredential(t.Context(), alone(key).Now[0], who, "YWxpY2U", true)
		deleted := slices.Contains(key.asked, "delete alice")
		if !errors.Is(err, answer) || deleted != (answer == nil) || !slices.Contains(who.seen, "confirm alice at a.example") {
			t.Errorf("%v, the key was asked %q, the person saw %q", err, key.asked, who.seen)
		}
	}
	key := newStore("credMgmt")
	_, err := DeleteCredential(t.Context(), alone(key).Now[0], &person{pins: []string{"1234"}}, "YWxpY2U", true)
	if !errors.Is(err, ErrDeclined) || slices.Contains(key.asked, "delete alice") {
		t.Errorf("a person who can't be asked: %v, %q", err, key.asked)
	}
}

// TestOrphan: a credential that is gone is told of, though its large blob stays.
func TestOrphan(t *testing.T) {
	key := newStore("credMgmt", "largeBlobs")
	key.errs = []error{nil, nil, ErrDeviceGone}
	c, err := DeleteCredential(t.Context(), alone(key).Now[0], &person{pins: []string{"1234"}}, "YWxpY2U", false)
	var orphan *OrphanError
	if c != nil || !errors.As(err, &orphan) || !errors.Is(err, ErrDeviceGone) {
		t.Error(c, err)
	}
}

// TestDamagedLargeBlobs: they stop what is about them, and no deletion of credentials.
func TestDamagedLargeBlobs(t *testing.T) {
	for name, do := range map[string]func(k Candidate, p Prompter) error{
		"list": func(k Candidate, p Prompter) error { _, err := ListLargeBlobs(t.Context(), k, p); return err },
		"get":  func(k Candidate, p Prompter) error { _, err := GetLargeBlob(t.Context(), k, p, "YWxpY2U"); return err },
		"set":  func(k Candidate, p Prompter) error { return SetLargeBlob(t.Context(), k, p, "YWxpY2U", []byte("x")) },
		"del":  func(k Candidate, p Prompter) error { return DeleteLargeBlob(t.Context(), k, p, "YWxpY2U") },
	} {
		key := newStore("credMgmt", "largeBlobs")
		key.store.list.LargeBlobs.Corrupt = true
		if err := do(alone(key).Now[0], &person{pins: []string{"1234"}}); !errors.Is(err, ErrLargeBlobsCorrupt) || len(key.asked) != 1 {
			t.Errorf("%s: %v, %q", name, err, key.asked)
		}
	}
	key := newStore("credMgmt", "largeBlobs")
	key.store.list.LargeBlobs.Corrupt = true
	if _, err := DeleteCredential(t.Context(), alone(key).Now[0], &person{pins: []string{"1234"}}, "YWxpbm", false); err != nil {
		t.Error(err)
	}
}

// TestWrongPINOfCredentials: another PIN is asked for, and each is wiped.
func TestWrongPINOfCredentials(t *testing.T) {
	key := newStore("credMgmt")
	key.errs = []error{ctap.ErrPINInvalid}
	who := &person{pins: []string{"0000", "1234"}}
	if _, err := ListCredentials(t.Context(), alone(key).Now[0], who); err != nil || len(key.asked) != 2 {
		t.Errorf("%v, %q", err, key.asked)
	}
	for _, pin := range key.pins {
		if slices.ContainsFunc(pin, func(b byte) bool { return b != 0 }) {
			t.Error("a PIN was not wiped")
		}
	}
}
