package fido

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// raceKey waits for a touch, or for the end of its context, and notes what it was asked.
type raceKey struct {
	Authenticator // nil: nothing else is asked for
	id            string
	info          ctap.GetInfoResponse
	has           []string // IDs of credentials
	err           error    // of the operation, once it is touched
	touch         chan struct{}
	hangs         bool          // where it should answer without a touch
	blocked       bool          // it takes no fingers
	slow          time.Duration // until it says what it can do

	mu     sync.Mutex
	lit    bool
	asked  []string
	openly int // requests that needed a touch
}

func newRaceKey(id string, names ...string) *raceKey {
	return &raceKey{id: id, info: ctap.GetInfoResponse{Options: options(names...)}, touch: make(chan struct{}, 1)}
}

func (k *raceKey) candidate() Candidate {
	return Candidate{Info: DeviceInfo{ID: DeviceID(k.id)}, Key: k}
}

func (k *raceKey) note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, fmt.Sprintf(format, args...))
}

func (k *raceKey) wait(ctx context.Context) error {
	k.mu.Lock()
	k.lit = true
	k.openly++
	k.mu.Unlock()
	Waiting(ctx)
	defer func() {
		k.mu.Lock()
		k.lit = false
		k.mu.Unlock()
	}()
	select {
	case <-k.touch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *raceKey) GetInfo(ctx context.Context) (*ctap.GetInfoResponse, error) {
	select {
	case <-time.After(k.slow):
		return &k.info, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (k *raceKey) PINRetries(context.Context) (PINRetries, error) { return PINRetries{Left: 8}, nil }
func (k *raceKey) Close() error                                   { return nil }

func (k *raceKey) UVRetries(context.Context) (uint, error) {
	if k.blocked {
		return 0, nil
	}
	return 3, nil
}

func (k *raceKey) Select(ctx context.Context) error {
	k.note("select")
	return k.wait(ctx)
}

func (k *raceKey) MakeCredential(ctx context.Context, r *MakeCredentialRequest) (*MakeCredentialResponse, error) {
	k.note("make pin=%s exclude=%s", []byte(r.PIN), join(r.ExcludeList))
	if err := k.wait(ctx); err != nil {
		return nil, err
	}
	return &MakeCredentialResponse{}, k.err
}

func (k *raceKey) GetAssertion(ctx context.Context, r *GetAssertionRequest) ([]GetAssertionResponse, error) {
	k.note("assert silent=%v pin=%s allow=%s", r.Silent, []byte(r.PIN), join(r.AllowList))
	if r.Silent && k.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	i := slices.IndexFunc(r.AllowList, func(id []byte) bool { return slices.Contains(k.has, string(id)) })
	if i < 0 && len(r.AllowList) > 0 {
		return nil, ctap.ErrNoCredentials
	}
	if !r.Silent {
		if err := k.wait(ctx); err != nil {
			return nil, err
		}
	}
	found := GetAssertionResponse{}
	if i >= 0 {
		found.Credential.ID = r.AllowList[i]
	}
	return []GetAssertionResponse{found}, k.err
}

func join(ids [][]byte) (s string) {
	for _, id := range ids {
		s += string(id)
	}
	return s
}

// sees reports what a person saw, in any order where keys act at once.
func (p *person) sees(t *testing.T, want ...string) {
	t.Helper()
	got := slices.Sorted(slices.Values(p.seen))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the person saw %q, want %q", got, want)
	}
}

// touching runs a ceremony in a bubble; touches are made one after the other, each when all keys wait.
func touching(t *testing.T, touches []*raceKey, ceremony func(context.Context) error) error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- ceremony(t.Context()) }()
	for _, k := range touches {
		synctest.Wait()
		k.touch <- struct{}{}
	}
	return <-result
}

func dark(t *testing.T, keys ...*raceKey) {
	t.Helper()
	for _, k := range keys {
		if k.lit {
			t.Errorf("key %s is still lit", k.id)
		}
	}
}

// TestFirstTouchWins: all keys light up, the one that is touched makes the credential, the other is dark.
func TestFirstTouchWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
		var made *Registration
		err := touching(t, []*raceKey{b}, func(ctx context.Context) (err error) {
			made, err = Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}})
			return err
		})
		if err != nil || made.Device.ID != "b" {
			t.Errorf("%+v, %v", made, err)
		}
		dark(t, a, b)
		who.sees(t, "touch", "touch", "chosen b")
	})
}

// TestTouchThenPIN: where keys have PINs, the touch chooses one, and the PIN is asked for that one alone.
func TestTouchThenPIN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a", "clientPin"), newRaceKey("b", "clientPin"), &person{pins: []string{"1234"}}
		err := touching(t, []*raceKey{a, a}, func(ctx context.Context) error {
			_, err := Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &RegisterOptions{
				Algorithms: []ctap.Algorithm{ctap.ES256}, UserVerification: Required})
			return err
		})
		if err != nil || !slices.Equal(a.asked, []string{"select", "make pin=1234 exclude="}) || !slices.Equal(b.asked, []string{"select"}) {
			t.Errorf("%v; a was asked %q, b %q", err, a.asked, b.asked)
		}
		dark(t, a, b)
		who.sees(t, "touch", "touch", "chosen a", "pin retries=8 wrong=false", "touch")
	})
}

// TestTouchedKeyCannotServe: the person hears why, and the others go on.
func TestTouchedKeyCannotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c, who := newRaceKey("a"), newRaceKey("b"), newRaceKey("c"), &person{}
		a.err = ctap.ErrCredentialExcluded
		c.info.Algorithms = []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.EdDSA}}
		var made *Registration
		err := touching(t, []*raceKey{a, b}, func(ctx context.Context) (err error) {
			made, err = Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate(), c.candidate()}}, who,
				&RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}})
			return err
		})
		if err != nil || made.Device.ID != "b" {
			t.Errorf("%+v, %v", made, err)
		}
		if len(c.asked) > 0 {
			t.Errorf("a key without the algorithm was asked %q", c.asked)
		}
		who.sees(t, "touch", "touch", "chosen b", "passed a: "+ctap.ErrCredentialExcluded.Error(),
			"passed c: "+ctap.ErrUnsupportedAlgorithm.Error())
	})
}

// TestKeyFailsAfterItWasChosen: it is passed over, and the race goes on without it.
func TestKeyFailsAfterItWasChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a", "clientPin"), newRaceKey("b"), &person{pins: []string{"1234"}}
		a.err = ctap.ErrKeyStoreFull
		err := touching(t, []*raceKey{a, a, b}, func(ctx context.Context) error {
			_, err := Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}})
			return err
		})
		if err != nil || b.openly != 2 {
			t.Errorf("%v; b was lit %d times", err, b.openly)
		}
		dark(t, a, b)
		who.sees(t, "touch", "touch", "chosen a", "pin retries=8 wrong=false", "touch", "passed a: "+ctap.ErrKeyStoreFull.Error(), "touch")
	})
}

// TestLastKeyFails: its error is that of the ceremony.
func TestLastKeyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
		a.err, b.err = ctap.ErrCredentialExcluded, ctap.ErrKeyStoreFull
		err := touching(t, []*raceKey{a, b}, func(ctx context.Context) error {
			_, err := Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}})
			return err
		})
		if !errors.Is(err, ctap.ErrKeyStoreFull) {
			t.Error(err)
		}
		who.sees(t, "touch", "touch", "passed a: "+ctap.ErrCredentialExcluded.Error())
	})
}

// TestOnlyHoldersLightUp: of several keys, those light up that have the credential.
func TestOnlyHoldersLightUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c, who := newRaceKey("a"), newRaceKey("b", "clientPin"), newRaceKey("c"), &person{}
		b.has = []string{"2"}
		allow := [][]byte{[]byte("1"), []byte("2")}
		var got *Assertion
		err := touching(t, []*raceKey{b}, func(ctx context.Context) (err error) {
			got, err = SignIn(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate(), c.candidate()}}, who, &SignInOptions{AllowList: allow})
			return err
		})
		if err != nil || got.Device.ID != "b" || a.openly+c.openly != 0 {
			t.Errorf("%+v, %v; others were lit %d times", got, err, a.openly+c.openly)
		}
		if want := []string{"assert silent=true pin= allow=12", "assert silent=false pin= allow=2"}; !slices.Equal(b.asked, want) {
			t.Errorf("asked %q, want %q", b.asked, want)
		}
		who.sees(t, "touch")
	})
}

// TestKeyThatDoesNotAnswer: it is passed over after a while, and the other one serves; alone, it is as good as gone.
func TestKeyThatDoesNotAnswer(t *testing.T) {
	for _, several := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
			a.hangs, b.has = true, []string{"1"}
			b.touch <- struct{}{}
			keys, want := Keys{Now: []Candidate{a.candidate()}}, ErrDeviceGone
			if several {
				keys.Now, want = append(keys.Now, b.candidate()), nil
			}
			o := &SignInOptions{AllowList: [][]byte{[]byte("1"), []byte("2")}}
			a.info.MaxCredentialCountInList = 1 // so that it is asked for each, also alone
			if _, err := SignIn(t.Context(), keys, who, o); !errors.Is(err, want) {
				t.Errorf("several %v: %v", several, err)
			}
		})
	}
}

// TestBlockedFingersChooseNothing: a key that takes no fingers any more is not chosen before it is touched.
func TestBlockedFingersChooseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a", "uv", "clientPin"), newRaceKey("b"), &person{pins: []string{"1234"}}
		a.blocked = true
		var made *Registration
		err := touching(t, []*raceKey{b}, func(ctx context.Context) (err error) {
			made, err = Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &RegisterOptions{
				Algorithms: []ctap.Algorithm{ctap.ES256}, UserVerification: Preferred})
			return err
		})
		if err != nil || made.Device.ID != "b" {
			t.Errorf("%+v, %v", made, err)
		}
		who.sees(t, "touch", "touch", "chosen b")
		dark(t, a, b)
	})
}

// TestNobodyHolds: keys that can verify a person may hide the credential, so they light up; the others have shown that they
// don't have it.
func TestNobodyHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
		_, err := SignIn(t.Context(), Keys{Now: []Candidate{a.candidate(), b.candidate()}}, who, &SignInOptions{AllowList: [][]byte{[]byte("1")}})
		if !errors.Is(err, ctap.ErrNoCredentials) || a.openly+b.openly != 0 {
			t.Errorf("%v; lit %d times", err, a.openly+b.openly)
		}
		who.sees(t)
	})
}

// TestLongLists: an allow list that is too long for a request is searched for the credential first, an exclude list too.
func TestLongLists(t *testing.T) {
	ids := [][]byte{[]byte("1"), []byte("2"), []byte("3")}
	for _, test := range []struct {
		name  string
		has   []string
		want  []string
		error error
	}{
		{"in the second batch", []string{"3"}, []string{"assert silent=true pin= allow=12", "assert silent=true pin= allow=3", "assert silent=false pin= allow=3"}, nil},
		{"nowhere", nil, []string{"assert silent=true pin= allow=12", "assert silent=true pin= allow=3"}, ctap.ErrNoCredentials},
	} {
		k := newRaceKey("a")
		k.info.MaxCredentialCountInList = 2
		k.has = test.has
		k.touch <- struct{}{}
		_, err := SignIn(t.Context(), Keys{Now: []Candidate{k.candidate()}}, &person{}, &SignInOptions{AllowList: ids})
		if !errors.Is(err, test.error) || !slices.Equal(k.asked, test.want) {
			t.Errorf("%s: %v, asked %q", test.name, err, k.asked)
		}
	}
	for has, want := range map[string]string{"3": "make pin= exclude=3", "4": "make pin= exclude="} {
		k := newRaceKey("a")
		k.info.MaxCredentialCountInList = 2
		k.has = []string{has}
		k.touch <- struct{}{}
		_, err := Register(t.Context(), Keys{Now: []Candidate{k.candidate()}}, &person{}, &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}, ExcludeList: ids})
		if err != nil || k.asked[len(k.asked)-1] != want {
			t.Errorf("has %s: %v, asked %q", has, err, k.asked)
		}
	}
	// What the key shows to a verified person alone is searched for with the PIN.
	k := newRaceKey("a", "clientPin")
	k.info.MaxCredentialCountInList = 2
	_, err := SignIn(t.Context(), Keys{Now: []Candidate{k.candidate()}}, &person{pins: []string{"1234"}}, &SignInOptions{AllowList: ids, UserVerification: Required})
	if !errors.Is(err, ctap.ErrNoCredentials) || k.asked[len(k.asked)-1] != "assert silent=true pin=1234 allow=3" {
		t.Errorf("%v, asked %q", err, k.asked)
	}
}

// TestRaceIsCancelled: the end of the context darkens all keys.
func TestRaceIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newRaceKey("a"), newRaceKey("b", "clientPin")
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := Register(ctx, Keys{Now: []Candidate{a.candidate(), b.candidate()}}, &person{}, &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}})
			result <- err
		}()
		synctest.Wait()
		if !a.lit || !b.lit {
			t.Error("not all keys are lit")
		}
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		dark(t, a, b)
	})
}

func TestNoKeys(t *testing.T) {
	if _, err := SignIn(t.Context(), Keys{}, &person{}, &SignInOptions{}); !errors.Is(err, ErrNoDevice) {
		t.Error(err)
	}
}
