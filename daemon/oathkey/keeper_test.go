package oathkey

import (
	"context"
	"errors"
	"testing"

	"fob/daemon/otp"
	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/fido"
	"fob/fido/pcsc/pcscdtest"
	"fob/hotp"
	"fob/hotp/ykoath"
)

var _ otp.Keeper = Keeper{}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	dir := t.TempDir()
	s := store.Open(store.Options{Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: dir + "/" + store.KeyName}}})
	t.Cleanup(func() { s.Close() })
	return s
}

// TestKeeper keeps seeds in a key: the codes are right, the password is asked for and remembered, touches are told of,
// and what is removed is gone.
func TestKeeper(t *testing.T) {
	pcscdtest.Start(t)
	ctx := until(t)
	key := newApplet()
	insert(t, addr0, key, nil)
	mine, err := Keys{}.Find(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Keys{}).Find(ctx, "other"); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
	touches, asked := 0, 0
	k := Keeper{DeviceID: mine.DeviceID, Store: newStore(t), Account: ykoath.Account{Issuer: "ACME", Account: "bob"},
		Touch: func(string) error { touches++; return nil }}
	p := hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 8, Period: 60}
	h, err := k.Put(ctx, "", p, seed20)
	if err != nil {
		t.Fatal(err)
	}
	same := func(k Keeper, h otp.Handle, p hotp.Parameters, factor uint64) {
		t.Helper()
		want, _ := p.Code(seed20, factor)
		if got, err := k.Code(ctx, h, p, factor); got != want || err != nil {
			t.Errorf("%s, and not %s, %v", got, want, err)
		}
	}
	same(k, h, p, 1<<40)
	if _, err := k.Put(ctx, "", p, seed20); !errors.Is(err, ykoath.ErrExists) {
		t.Error(err)
	}
	k.Account.Account, k.Account.Touch, k.Account.Counter = "counts", true, 5
	counts, err := k.Put(ctx, "", hotp.DefaultHOTP, seed20)
	if err != nil {
		t.Fatal(err)
	}
	same(k, counts, hotp.DefaultHOTP, 5)
	same(k, counts, hotp.DefaultHOTP, 6)
	if touches != 3 {
		t.Errorf("told of %d touches", touches)
	}

	use(t, func(ctx context.Context, s *ykoath.Session) error {
		access, _ := s.AccessKey([]byte("pass"))
		return s.SetPassword(ctx, access)
	})
	if _, err := k.Code(ctx, h, p, 1); !errors.Is(err, ykoath.ErrLocked) {
		t.Error(err)
	}
	answers := []string{"word", "pass"}
	k.Password = func(_ context.Context, id string, wrong bool) (fido.Secret, error) {
		if id != mine.DeviceID || wrong != (asked > 0) {
			t.Errorf("asked for the password of %s, wrong %v", id, wrong)
		}
		asked++
		return fido.Secret(answers[asked-1]), nil
	}
	k.Remember = true
	same(k, h, p, 2)
	same(k, h, p, 3) // which is not asked for again
	k.Password = nil
	same(k, h, p, 4)
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	forgetful := k
	forgetful.Store = nil
	forgetful.Password = func(context.Context, string, bool) (fido.Secret, error) { return nil, fido.ErrDeclined }
	if _, err := forgetful.Code(ctx, h, p, 1); !errors.Is(err, fido.ErrDeclined) {
		t.Error(err)
	}

	if err := errors.Join(k.Delete(ctx, h), k.Delete(ctx, h), k.Delete(ctx, counts)); err != nil {
		t.Error(err)
	}
	if left := key.State().Accounts; len(left) != 0 {
		t.Errorf("%+v", left)
	}
	other := Keeper{DeviceID: "of another key"}
	if _, err := other.Put(ctx, "", p, seed20); err == nil {
		t.Error("no name")
	}
	other.Account.Account = "a"
	if _, err := other.Put(ctx, "", p, seed20); !errors.Is(err, ErrOther) {
		t.Error(err)
	}
}

// TestUnverified: a seed that can't be verified does not stay.
func TestUnverified(t *testing.T) {
	pcscdtest.Start(t)
	key := newApplet()
	key.Touch = func(context.Context, string) error { return errors.New("no") }
	insert(t, addr0, key, nil)
	mine, err := Keys{}.Find(until(t), "")
	if err != nil {
		t.Fatal(err)
	}
	k := Keeper{DeviceID: mine.DeviceID, Account: ykoath.Account{Account: "a", Touch: true}}
	if _, err := k.Put(until(t), "", hotp.DefaultTOTP, seed20); !errors.Is(err, ykoath.ErrNoTouch) {
		t.Error(err)
	}
	if left := key.State().Accounts; len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

func FuzzHandle(f *testing.F) {
	f.Add([]byte(`{"device":"wFZ0RWqtPf3Cxk8gBzTSsg","id":"YQ==","touch":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHandle(b)
		if err != nil {
			return
		}
		again, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseHandle(again); err != nil || back.DeviceID != h.DeviceID || string(back.ID) != string(h.ID) ||
			back.Touch != h.Touch {
			t.Fatalf("%+v became %+v, %v", h, back, err)
		}
	})
}

// TestProvision gives each seed to one key, also after an interruption, unless it is to be cloned.
func TestProvision(t *testing.T) {
	pcscdtest.Start(t)
	first, second := newApplet(), newApplet()
	p := &trap{after: true}
	takeOut := insert(t, addr0, first, p.wrap)
	k := Keeper{Store: newStore(t), Account: ykoath.Account{Account: "a", Parameters: hotp.DefaultTOTP}}
	find := func() string {
		t.Helper()
		key, err := Keys{}.Find(until(t), "")
		if err != nil {
			t.Fatal(err)
		}
		return key.DeviceID
	}
	k.DeviceID = find()
	happened, leave := make(chan struct{}), takeOut
	p.spring = func() {
		go func() {
			defer close(happened)
			leave()
		}()
	}
	p.at = 0x01 // the key goes when it has the seed
	if err := k.Provision(until(t), seed20, false); !errors.Is(err, ErrLost) {
		t.Fatal(err)
	}
	<-happened
	if err := k.Provisioned(seed20); err != nil {
		t.Error(err)
	}
	takeOut = insert(t, addr0, second, nil)
	other := k
	other.DeviceID = find()
	var had *ProvisionedError
	if err := other.Provision(until(t), seed20, false); !errors.As(err, &had) || had.Done || had.DeviceID != k.DeviceID {
		t.Error(err)
	}
	if len(second.State().Accounts) > 0 {
		t.Error("the second key has the seed")
	}
	takeOut()
	takeOut = insert(t, addr0, first, nil)
	if err := k.Provision(until(t), seed20, false); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{k.Provision(until(t), seed20, true), k.Provisioned(seed20)} {
		if !errors.As(err, &had) || !had.Done || had.DeviceID != k.DeviceID {
			t.Error(err)
		}
	}
	if err := k.Provision(until(t), hotp.NewSeed(20), false); !errors.Is(err, ykoath.ErrExists) {
		t.Error(err)
	}
	takeOut()
	insert(t, addr0, second, nil)
	if err := other.Provision(until(t), seed20, false); !errors.As(err, &had) {
		t.Error(err)
	}
	if err := other.Provision(until(t), seed20, true); err != nil {
		t.Error(err)
	}
	if a, b := first.State().Accounts, second.State().Accounts; len(a) != 1 || len(b) != 1 {
		t.Errorf("%+v, %+v", a, b)
	}
}
