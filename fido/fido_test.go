package fido

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"

	"fob/fido/ctap"
)

// scriptedKey answers each operation with the next of its errors, and well when none is left. It notes what it was
// asked.
type scriptedKey struct {
	Enroller      // nil: not asked for
	info          ctap.GetInfoResponse
	retries       uint
	powerCycle    bool
	retriesErr    error
	fingers       uint // that it may fail to know
	fingersUntold bool
	errs          []error
	accounts      []string
	store         store

	asked   []string
	made    *MakeCredentialRequest // the last one
	got     *GetAssertionRequest   // the last one
	id      string                 // of its only credential, where lists matter
	allowed int                    // IDs in the last allow list
	pins    []PIN                  // as they were passed, so that a test sees them wiped
}

func (k *scriptedKey) GetInfo(context.Context) (*ctap.GetInfoResponse, error) { return &k.info, nil }
func (k *scriptedKey) PINRetries(context.Context) (PINRetries, error) {
	return PINRetries{k.retries, k.powerCycle}, k.retriesErr
}
func (k *scriptedKey) UVRetries(context.Context) (uint, error) {
	if k.fingersUntold {
		return 0, ctap.ErrInvalidSubcommand
	}
	return k.fingers, nil
}
func (k *scriptedKey) Select(context.Context) error { return errors.New("not asked for") }
func (k *scriptedKey) Reset(context.Context) error  { return errors.New("not asked for") }
func (k *scriptedKey) Close() error                 { return nil }

func (k *scriptedKey) next(ctx context.Context, uv bool, pin PIN) error {
	k.asked = append(k.asked, fmt.Sprintf("uv=%v pin=%s", uv, []byte(pin)))
	k.pins = append(k.pins, pin)
	if len(k.errs) == 0 {
		Waiting(ctx)
		return nil
	}
	err := k.errs[0]
	k.errs = k.errs[1:]
	if !isStatus(err, ctap.ErrPINInvalid, ctap.ErrPINAuthBlocked, ctap.ErrPUATRequired) { // which need no touch
		Waiting(ctx)
	}
	if errors.Is(err, ctap.ErrUVInvalid) {
		k.fingers--
	}
	if errors.Is(err, ctap.ErrPINInvalid) || errors.Is(err, ctap.ErrPINAuthBlocked) {
		k.retries--
	}
	return err
}

func (k *scriptedKey) Wink(context.Context) error { return k.next(context.Background(), false, nil) }

func (k *scriptedKey) SetPIN(_ context.Context, pin PIN) error {
	err := k.next(context.Background(), false, pin)
	k.asked[len(k.asked)-1] = fmt.Sprintf("set pin=%s", []byte(pin))
	return err
}

func (k *scriptedKey) ChangePIN(_ context.Context, old, pin PIN) error {
	err := k.next(context.Background(), false, pin)
	k.pins = append(k.pins, old)
	k.asked[len(k.asked)-1] = fmt.Sprintf("change pin=%s to %s", []byte(old), []byte(pin))
	return err
}

func (k *scriptedKey) Configure(_ context.Context, r *ConfigRequest) error {
	err := k.next(context.Background(), false, r.PIN)
	k.asked[len(k.asked)-1] = fmt.Sprintf("configure %d pin=%s min=%d rp=%v force=%v",
		r.Subcommand, []byte(r.PIN), r.MinPINLength, r.RPIDs, r.ForceChange)
	return err
}

func (k *scriptedKey) MakeCredential(ctx context.Context, r *MakeCredentialRequest) (*MakeCredentialResponse, error) {
	k.made = r
	err := k.next(ctx, r.UV, r.PIN)
	k.asked[len(k.asked)-1] += fmt.Sprintf(" rk=%v %v", r.RK, r.Algorithm)
	if err != nil {
		return nil, err
	}
	return &MakeCredentialResponse{MakeCredentialResponse: ctap.MakeCredentialResponse{Format: ctap.FormatNone}}, nil
}

func (k *scriptedKey) GetAssertion(ctx context.Context, r *GetAssertionRequest) ([]GetAssertionResponse, error) {
	k.allowed, k.got = len(r.AllowList), r
	if k.id != "" {
		if !slices.ContainsFunc(r.AllowList, func(id []byte) bool { return string(id) == k.id }) {
			return nil, ctap.ErrNoCredentials
		}
		k.asked = append(k.asked, fmt.Sprintf("silent=%v %s", r.Silent, join(r.AllowList)))
		found := GetAssertionResponse{}
		found.Credential.ID = []byte(k.id)
		return []GetAssertionResponse{found}, nil
	}
	if err := k.next(ctx, r.UV, r.PIN); err != nil {
		return nil, err
	}
	var found []GetAssertionResponse
	for _, name := range k.accounts {
		found = append(found, GetAssertionResponse{GetAssertionResponse: ctap.GetAssertionResponse{
			User: &ctap.PublicKeyCredentialUserEntity{ID: []byte(name), Name: name}}})
	}
	return found, nil
}

// alone is a key by itself.
func alone(k Authenticator) Keys { return Keys{Now: []Candidate{{Key: k}}} }

// person answers prompts from a list and notes them.
type person struct {
	pins   []string
	types  chan struct{} // sent when a PIN is typed; nil for at once
	chosen []string      // new PINs
	choice int
	seen   []string
}

func (p *person) PIN(ctx context.Context, prompt PINPrompt) (PIN, error) {
	p.seen = append(p.seen, fmt.Sprintf("pin retries=%d wrong=%v", prompt.Retries, prompt.Wrong))
	if prompt.Reserved {
		p.seen = append(p.seen, "reserved")
	}
	if prompt.Other {
		p.seen = append(p.seen, "other")
	}
	if len(p.pins) == 0 {
		return nil, ErrDeclined
	}
	if p.types != nil {
		select {
		case <-p.types:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	pin := PIN(p.pins[0])
	p.pins = p.pins[1:]
	return pin, nil
}

func (p *person) NewPIN(_ context.Context, prompt NewPINPrompt) (PIN, error) {
	p.seen = append(p.seen, fmt.Sprintf("new pin min=%d replaces=%v refused=%v", prompt.MinLength, prompt.Replaces, prompt.Refused))
	if len(p.chosen) == 0 {
		return nil, ErrDeclined
	}
	pin := PIN(p.chosen[0])
	p.chosen = p.chosen[1:]
	return pin, nil
}

func (p *person) Touch(_ context.Context, prompt TouchPrompt) error {
	what := "touch"
	if prompt.Finger {
		what = fmt.Sprintf("finger retries=%d wrong=%v", prompt.Retries, prompt.Wrong)
	}
	p.seen = append(p.seen, what)
	return nil
}

func (p *person) Passed(_ context.Context, d DeviceInfo, why error) error {
	p.seen = append(p.seen, fmt.Sprintf("passed %s: %v", d.ID, why))
	return nil
}

func (p *person) Tap(_ context.Context, d DeviceInfo, made bool) error {
	p.seen = append(p.seen, fmt.Sprintf("tap %s made=%v", d.ID, made))
	return nil
}

func (p *person) Chosen(_ context.Context, d DeviceInfo) error {
	p.seen = append(p.seen, fmt.Sprintf("chosen %s", d.ID))
	return nil
}

func (p *person) Sampled(_ context.Context, _ DeviceInfo, s Sample) error {
	p.seen = append(p.seen, fmt.Sprintf("sample %v remaining=%d", s.Status, s.Remaining))
	return nil
}

func (p *person) Replug(_ context.Context, r ReplugPrompt) error {
	p.seen = append(p.seen, fmt.Sprintf("replug late=%v long=%v", r.Late, r.LongTouch))
	return nil
}

func (p *person) Choose(_ context.Context, _ DeviceInfo, accounts []ctap.PublicKeyCredentialUserEntity) (int, error) {
	p.seen = append(p.seen, fmt.Sprintf("choose of %d", len(accounts)))
	return p.choice, nil
}

// options makes the options of a key; a leading "!" is false.
func options(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		if n[0] == '!' {
			m[n[1:]] = false
		} else {
			m[n] = true
		}
	}
	return m
}

func TestRegister(t *testing.T) {
	for _, test := range []struct {
		name    string
		options map[string]bool
		uv, rk  Requirement
		errs    []error
		pins    []string
		asked   []string // of the key
		seen    []string // by the person
		want    error
	}{
		{
			name:    "no PIN, nothing required",
			options: options("rk", "!clientPin"),
			asked:   []string{"uv=false pin= rk=false ES256"}, seen: []string{"touch"},
		},
		{
			name:    "verification required of a key without any",
			options: options(), uv: Required,
			want: ErrNoUserVerification,
		},
		{
			name:    "resident key required of a key without room for any",
			options: options(), rk: Required,
			want: ErrNoResidentKey,
		},
		{
			name:    "resident key preferred",
			options: options("rk"), rk: Preferred,
			asked: []string{"uv=false pin= rk=true ES256"}, seen: []string{"touch"},
		},
		{
			name:    "PIN set, verification preferred",
			options: options("rk", "clientPin"), uv: Preferred, pins: []string{"1234"},
			asked: []string{"uv=false pin=1234 rk=false ES256"}, seen: []string{"pin retries=8 wrong=false", "touch"},
		},
		{
			name:    "PIN set, verification discouraged, the key wants it all the same",
			options: options("clientPin"), pins: []string{"1234"},
			asked: []string{"uv=false pin=1234 rk=false ES256"}, seen: []string{"pin retries=8 wrong=false", "touch"},
		},
		{
			name:    "PIN set, verification discouraged, makeCredUvNotRqd",
			options: options("clientPin", "makeCredUvNotRqd"),
			asked:   []string{"uv=false pin= rk=false ES256"}, seen: []string{"touch"},
		},
		{
			name:    "the key wants a PIN after all",
			options: options("clientPin", "makeCredUvNotRqd"), errs: []error{ctap.ErrPUATRequired}, pins: []string{"1234"},
			asked: []string{"uv=false pin= rk=false ES256", "uv=false pin=1234 rk=false ES256"},
			seen:  []string{"pin retries=8 wrong=false", "touch"},
		},
		{
			name:    "wrong PIN, then the right one",
			options: options("clientPin"), uv: Required, errs: []error{ctap.ErrPINInvalid}, pins: []string{"0000", "1234"},
			asked: []string{"uv=false pin=0000 rk=false ES256", "uv=false pin=1234 rk=false ES256"},
			seen:  []string{"pin retries=8 wrong=false", "pin retries=7 wrong=true", "touch"},
		},
		{
			name:    "wrong PIN, and no other",
			options: options("clientPin"), uv: Required, errs: []error{ctap.ErrPINInvalid}, pins: []string{"0000"},
			asked: []string{"uv=false pin=0000 rk=false ES256"},
			seen:  []string{"pin retries=8 wrong=false", "pin retries=7 wrong=true"},
			want:  &PINError{ctap.ErrPINInvalid, 7},
		},
		{
			name:    "blocked until replugged",
			options: options("clientPin"), uv: Required, errs: []error{ctap.ErrPINAuthBlocked}, pins: []string{"0000", "1234"},
			asked: []string{"uv=false pin=0000 rk=false ES256"},
			seen:  []string{"pin retries=8 wrong=false"},
			want:  &PINError{ctap.ErrPINAuthBlocked, 7},
		},
		{
			name:    "the person declines",
			options: options("clientPin"), uv: Required,
			seen: []string{"pin retries=8 wrong=false"},
			want: ErrDeclined,
		},
		{
			name:    "fingerprint",
			options: options("uv", "clientPin"), uv: Required,
			asked: []string{"uv=true pin= rk=false ES256"}, seen: []string{"finger retries=3 wrong=false"},
		},
		{
			name:    "fingerprint fails, PIN instead",
			options: options("uv", "clientPin"), uv: Required, errs: []error{ctap.ErrUVBlocked}, pins: []string{"1234"},
			asked: []string{"uv=true pin= rk=false ES256", "uv=false pin=1234 rk=false ES256"},
			seen:  []string{"finger retries=3 wrong=false", "pin retries=8 wrong=false", "touch"},
		},
		{
			name:    "already registered",
			options: options(), errs: []error{ctap.ErrCredentialExcluded},
			asked: []string{"uv=false pin= rk=false ES256"}, seen: []string{"touch"},
			want: ctap.ErrCredentialExcluded,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := &scriptedKey{info: ctap.GetInfoResponse{Options: test.options}, retries: 8, fingers: 3, errs: test.errs}
			who := &person{pins: test.pins}
			r, err := Register(t.Context(), alone(key), who, &RegisterOptions{
				Algorithms: []ctap.Algorithm{ctap.EdDSA, ctap.ES256}, ResidentKey: test.rk, UserVerification: test.uv,
			})
			var pinError, wantPINError *PINError
			if errors.As(test.want, &wantPINError) {
				if !errors.As(err, &pinError) || *pinError != *wantPINError {
					t.Errorf("error %v, want %v", err, test.want)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if (r == nil) != (test.want != nil) {
				t.Errorf("registration %v with error %v", r, err)
			}
			if !slices.Equal(key.asked, test.asked) || !slices.Equal(who.seen, test.seen) {
				t.Errorf("key asked %q, person saw %q", key.asked, who.seen)
			}
			for _, pin := range key.pins {
				if len(bytes.Trim(pin, "\x00")) != 0 {
					t.Error("a PIN was not wiped")
				}
			}
		})
	}
}

// TestReservedAttempts: the person is told when a PIN would cost one of the last attempts.
func TestReservedAttempts(t *testing.T) {
	key := &scriptedKey{info: ctap.GetInfoResponse{Options: options("clientPin")}, retries: 3, errs: []error{ctap.ErrPINInvalid}}
	who := &person{pins: []string{"0000", "1234"}}
	if _, err := SignIn(t.Context(), alone(key), who, &SignInOptions{UserVerification: Required}); !errors.Is(err, ErrBadAnswer) {
		t.Error(err) // a key without accounts
	}
	if want := []string{"pin retries=3 wrong=false", "pin retries=2 wrong=true", "reserved", "touch"}; !slices.Equal(who.seen, want) {
		t.Errorf("the person saw %q, want %q", who.seen, want)
	}
}

// busyPerson lets others try PINs on the key while the person types, or thinks of a new PIN.
type busyPerson struct {
	*person
	key *scriptedKey
	at  string
}

func (p *busyPerson) PIN(ctx context.Context, prompt PINPrompt) (PIN, error) {
	p.others("pin")
	return p.person.PIN(ctx, prompt)
}

func (p *busyPerson) NewPIN(ctx context.Context, prompt NewPINPrompt) (PIN, error) {
	p.others("new pin")
	return p.person.NewPIN(ctx, prompt)
}

func (p *busyPerson) others(at string) {
	if p.at == at {
		p.at, p.key.retries = "", 2
	}
}

// TestReservedMeanwhile: a PIN that was typed when there were enough attempts does not cost one of the last.
func TestReservedMeanwhile(t *testing.T) {
	for at, want := range map[string][]string{
		"pin":     {"pin retries=8 wrong=false", "pin retries=2 wrong=false", "reserved", "new pin min=4 replaces=true refused=false"},
		"new pin": {"pin retries=8 wrong=false", "new pin min=4 replaces=true refused=false", "pin retries=2 wrong=false", "reserved"},
	} {
		key := &scriptedKey{info: ctap.GetInfoResponse{Options: options("clientPin")}, retries: 8}
		who := &busyPerson{&person{pins: []string{"0000", "1234"}, chosen: []string{"5678"}}, key, at}
		if err := ChangePIN(t.Context(), alone(key).Now[0], who); err != nil {
			t.Error(err)
		}
		if !slices.Equal(who.seen, want) || !slices.Equal(key.asked, []string{"change pin=1234 to 5678"}) {
			t.Errorf("%s: the person saw %q, the key was asked %q", at, who.seen, key.asked)
		}
	}
}

func TestRegisterAlgorithm(t *testing.T) {
	key := &scriptedKey{info: ctap.GetInfoResponse{
		Algorithms: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}, {Type: ctap.TypePublicKey, Alg: ctap.EdDSA}},
	}}
	_, err := Register(t.Context(), alone(key), &person{}, &RegisterOptions{Algorithms: []ctap.Algorithm{-257, ctap.EdDSA, ctap.ES256}})
	if err != nil || key.asked[0] != "uv=false pin= rk=false EdDSA" {
		t.Errorf("%v, %q", err, key.asked)
	}
	_, err = Register(t.Context(), alone(key), &person{}, &RegisterOptions{Algorithms: []ctap.Algorithm{-257}})
	if !errors.Is(err, ctap.ErrUnsupportedAlgorithm) {
		t.Error(err)
	}
}

func TestSignIn(t *testing.T) {
	for _, test := range []struct {
		accounts []string
		choice   int
		want     string
		err      error
	}{
		{accounts: []string{"alice"}, want: "alice"},
		{accounts: []string{"alice", "bob"}, choice: 1, want: "bob"},
		{accounts: []string{"alice", "bob"}, choice: 2, err: ErrDeclined},
		{accounts: []string{"alice", "bob"}, choice: -1, err: ErrDeclined},
		{err: ErrBadAnswer},
	} {
		key := &scriptedKey{accounts: test.accounts}
		a, err := SignIn(t.Context(), alone(key), &person{choice: test.choice}, &SignInOptions{})
		if !errors.Is(err, test.err) || (err == nil && a.User.Name != test.want) {
			t.Errorf("%q, choice %d: %v, %v", test.accounts, test.choice, a, err)
		}
	}
}

// TestKeyThatRefusesBeforeThePIN: a key that calls a PIN wrong which nobody gave ends the ceremony, and is not asked
// again and again.
func TestKeyThatRefusesBeforeThePIN(t *testing.T) {
	key := &scriptedKey{info: ctap.GetInfoResponse{Options: options("clientPin")}, retriesErr: ctap.ErrPINInvalid}
	who := &person{pins: []string{"1234"}}
	_, err := SignIn(t.Context(), alone(key), who, &SignInOptions{UserVerification: Required})
	if !errors.Is(err, ErrBadAnswer) || len(who.seen) != 0 {
		t.Errorf("%v, the person saw %q", err, who.seen)
	}
}

func TestBatches(t *testing.T) {
	ids := func(lengths ...int) (list [][]byte) {
		for _, n := range lengths {
			list = append(list, make([]byte, n))
		}
		return list
	}
	for _, test := range []struct {
		name string
		info ctap.GetInfoResponse
		ids  [][]byte
		want []int // IDs in each batch
	}{
		{"no limits told", ctap.GetInfoResponse{}, ids(62, 62), []int{2}},
		{"at the count", ctap.GetInfoResponse{MaxCredentialCountInList: 2}, ids(62, 62), []int{2}},
		{"over the count", ctap.GetInfoResponse{MaxCredentialCountInList: 2}, ids(62, 62, 62), []int{2, 1}},
		{"one too long", ctap.GetInfoResponse{MaxCredentialCountInList: 2, MaxCredentialIDLength: 64}, ids(62, 65, 62), []int{2}},
		{"all too long", ctap.GetInfoResponse{MaxCredentialIDLength: 64}, ids(65), nil},
		{"over the message size", ctap.GetInfoResponse{MaxMsgSize: 1200}, ids(200, 200, 200, 200), []int{3, 1}},
		{"over the usual message size", ctap.GetInfoResponse{}, ids(400, 400), []int{1, 1}},
		{"one over the message size", ctap.GetInfoResponse{MaxMsgSize: 400}, ids(200), []int{1}},
		{"none", ctap.GetInfoResponse{MaxCredentialCountInList: 2}, nil, nil},
	} {
		var got []int
		for _, batch := range batches(&test.info, test.ids, 0) {
			got = append(got, len(batch))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestPINDoesNotPrint(t *testing.T) {
	pin := PIN("31415926")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "pin", pin, "in", struct{ P PIN }{pin})
	texts := []string{log.String()}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%d", "%+v", "%#v"} {
		texts = append(texts, fmt.Sprintf(verb, pin), fmt.Sprintf(verb, PINPrompt{}), fmt.Sprintf(verb, MakeCredentialRequest{PIN: pin}))
	}
	for _, text := range texts {
		for _, leak := range []string{"31415926", "3331343135393236", "51 49 52"} {
			if bytes.Contains([]byte(text), []byte(leak)) {
				t.Errorf("printed: %s", text)
			}
		}
	}
	if b, err := json.Marshal(map[string]any{"pin": pin}); err == nil {
		t.Errorf("encoded: %s", b)
	}
}

// TestReplugFirst: no PIN is asked for that the key would refuse.
func TestReplugFirst(t *testing.T) {
	key := &scriptedKey{info: ctap.GetInfoResponse{Options: options("clientPin")}, retries: 5, powerCycle: true}
	who := &person{pins: []string{"1234"}}
	_, err := Register(t.Context(), alone(key), who, &RegisterOptions{
		Algorithms: []ctap.Algorithm{ctap.ES256}, UserVerification: Required,
	})
	var pin *PINError
	if !errors.As(err, &pin) || *pin != (PINError{ctap.ErrPINAuthBlocked, 5}) || len(who.seen)+len(key.asked) > 0 {
		t.Errorf("%v, key asked %q, person saw %q", err, key.asked, who.seen)
	}
}

// lostPerson can't be told to touch a key.
type lostPerson struct{ person }

func (*lostPerson) Touch(context.Context, TouchPrompt) error { return errLost }

var errLost = errors.New("nobody there")

// TestPersonIsLost: a key that the person can't be told of does not stay lit.
func TestPersonIsLost(t *testing.T) {
	for _, n := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			var keys []Candidate
			var lit []*raceKey
			for i := range n {
				k := newRaceKey(fmt.Sprint(i))
				lit, keys = append(lit, k), append(keys, k.candidate())
			}
			o := &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}}
			if _, err := Register(t.Context(), Keys{Now: keys}, new(lostPerson), o); err != errLost {
				t.Errorf("%d keys: %v", n, err)
			}
			for _, k := range lit {
				if k.lit {
					t.Errorf("%d keys: %s is lit", n, k.id)
				}
			}
		})
	}
}
