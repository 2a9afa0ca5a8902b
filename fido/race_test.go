package fido

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// port is where keys are plugged in while others are lit.
type port struct {
	plugged chan joined
	awaited int // how often a key was awaited
	left    []DeviceID
}

func newPort() *port { return &port{plugged: make(chan joined)} }

func (p *port) next(ctx context.Context) (Candidate, error) {
	p.awaited++
	select {
	case j := <-p.plugged:
		return j.key, j.err
	case <-ctx.Done():
		return Candidate{}, ctx.Err()
	}
}

// candidate is a key of the port, which notes when it is out.
func (p *port) candidate(k *raceKey) Candidate {
	c := k.candidate()
	c.Leave = func() { p.left = append(p.left, c.Info.ID) }
	return c
}

// keys begins with some keys.
func (p *port) keys(now ...*raceKey) (keys Keys) {
	for _, k := range now {
		keys.Now = append(keys.Now, p.candidate(k))
	}
	keys.Next = p.next
	return keys
}

// contest is a ceremony in a bubble.
type contest struct {
	*port
	t      *testing.T
	who    *person
	cancel context.CancelFunc
	result chan error
	device DeviceID
}

// begins begins to register, or to sign in, with keys.
func begins(t *testing.T, signIn bool, who *person, uv Requirement, now ...*raceKey) *contest {
	ctx, cancel := context.WithCancel(t.Context())
	c := &contest{port: newPort(), t: t, who: who, cancel: cancel, result: make(chan error, 1)}
	go func() {
		if signIn {
			got, err := SignIn(ctx, c.keys(now...), who, &SignInOptions{RPID: "example.com", UserVerification: uv})
			if err == nil {
				c.device = got.Device.ID
			}
			c.result <- err
			return
		}
		made, err := Register(ctx, c.keys(now...), who, &RegisterOptions{
			Algorithms: []ctap.Algorithm{ctap.ES256}, UserVerification: uv})
		if err == nil {
			c.device = made.Device.ID
		}
		c.result <- err
	}()
	synctest.Wait()
	return c
}

// plug plugs a key in.
func (c *contest) plug(k *raceKey) {
	c.plugged <- joined{key: c.candidate(k)}
	synctest.Wait()
}

func (c *contest) touch(k *raceKey) {
	k.touch <- struct{}{}
	synctest.Wait()
}

// pull takes a key out that is lit.
func (c *contest) pull(k *raceKey) {
	k.err = ErrDeviceGone
	c.touch(k)
	k.err = nil
}

// lit checks which keys are, and that no other is.
func (c *contest) lit(all []*raceKey, want ...*raceKey) {
	c.t.Helper()
	for _, k := range all {
		k.mu.Lock()
		if k.lit != slices.Contains(want, k) {
			c.t.Errorf("key %s is lit: %v", k.id, k.lit)
		}
		k.mu.Unlock()
	}
}

// ends checks which key has served, or what the error is.
func (c *contest) ends(by *raceKey, want error) {
	c.t.Helper()
	if err := <-c.result; !errors.Is(err, want) || by != nil && string(c.device) != by.id {
		c.t.Errorf("%v by %q", err, c.device)
	}
}

// TestKeyJoins: a key that is plugged in while another is lit lights up too, and the first touch wins.
func TestKeyJoins(t *testing.T) {
	for _, signIn := range []bool{false, true} {
		for i, names := range [][]string{nil, {"clientPin"}, {"uv"}} {
			for winner := range 3 {
				synctest.Test(t, func(t *testing.T) {
					keys := []*raceKey{newRaceKey("a"), newRaceKey("b", names...), newRaceKey("c")}
					who := &person{pins: []string{"1234"}}
					c := begins(t, signIn, who, Preferred, keys[0])
					c.lit(keys, keys[0])
					c.plug(keys[1])
					c.lit(keys, keys[:2]...)
					c.plug(keys[2])
					c.lit(keys, keys...)
					c.touch(keys[winner])
					seen := []string{"touch", "touch", "touch", "chosen " + keys[winner].id}
					if i == 1 && winner == 1 { // the touch has chosen it
						c.lit(keys, keys[1])
						c.touch(keys[1])
						seen = append(seen, "pin retries=8 wrong=false", "touch")
					}
					c.ends(keys[winner], nil)
					dark(t, keys...)
					if i == 2 { // it wants a finger
						seen = nil
					}
					if seen != nil {
						who.sees(t, seen...)
					}
				})
			}
		}
	}
}

// TestJoinsOneWithPIN: the only key has asked for its PIN, and others join when it is lit; not before, when that would
// leave the person with two questions.
func TestJoinsOneWithPIN(t *testing.T) {
	for winner := range 2 {
		synctest.Test(t, func(t *testing.T) {
			keys := []*raceKey{newRaceKey("a", "clientPin"), newRaceKey("b", "clientPin")}
			who := &person{pins: []string{"1234", "5678"}, types: make(chan struct{})}
			c := begins(t, false, who, Required, keys[0])
			if c.awaited > 0 {
				t.Error("another key was awaited during the question")
			}
			who.types <- struct{}{}
			synctest.Wait()
			c.lit(keys, keys[0])
			c.plug(keys[1])
			c.lit(keys, keys...)
			c.touch(keys[winner])
			seen := []string{"pin retries=8 wrong=false", "touch", "touch", "chosen " + keys[winner].id}
			if winner == 1 {
				who.types <- struct{}{}
				synctest.Wait()
				c.lit(keys, keys[1])
				c.touch(keys[1])
				seen = append(seen, "pin retries=8 wrong=false", "touch")
			}
			c.ends(keys[winner], nil)
			dark(t, keys...)
			who.sees(t, seen...)
		})
	}
}

// TestKeyLeavesAndComesBack: it is out of the race, and in it again, and lit once each time.
func TestKeyLeavesAndComesBack(t *testing.T) {
	for _, signIn := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
			keys := []*raceKey{a, b}
			c := begins(t, signIn, who, Discouraged, keys...)
			c.pull(a)
			c.lit(keys, b)
			if !slices.Equal(c.left, []DeviceID{"a"}) {
				t.Errorf("have left: %v", c.left)
			}
			c.plug(a)
			c.lit(keys, a, b)
			c.pull(b)
			c.pull(a)
			c.ends(nil, ErrDeviceGone) // the last one
			if a.openly != 2 || b.openly != 1 {
				t.Errorf("lit %d and %d times", a.openly, b.openly)
			}
			gone := ErrDeviceGone.Error()
			who.sees(t, "touch", "touch", "passed a: "+gone, "touch", "passed b: "+gone)
		})
	}
}

// TestLastKeyIsReplaced: while another one gets ready, the last one may go.
func TestLastKeyIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
		b.slow = 2 * time.Second
		c := begins(t, false, who, Discouraged, a)
		c.plug(b)
		c.lit([]*raceKey{a, b}, a)
		c.pull(a)
		time.Sleep(b.slow)
		synctest.Wait()
		c.lit([]*raceKey{a, b}, b)
		c.touch(b)
		c.ends(b, nil)
	})
}

// TestJoinedKeyCannotServe: the person hears why, and the others go on; also when no more keys come.
func TestJoinedKeyCannotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
		b.info.Algorithms = []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.EdDSA}}
		c := begins(t, false, who, Discouraged, a)
		c.plug(b)
		c.plugged <- joined{Candidate{Info: DeviceInfo{ID: "busy"}}, ErrDeviceBusy}
		c.plugged <- joined{err: ErrWatchEnded}
		synctest.Wait()
		if c.awaited != 3 || !slices.Equal(c.left, []DeviceID{"b"}) {
			t.Errorf("%d keys were awaited; have left: %v", c.awaited, c.left)
		}
		c.lit([]*raceKey{a, b}, a)
		c.touch(a)
		c.ends(a, nil)
		who.sees(t, "touch", "passed b: "+ctap.ErrUnsupportedAlgorithm.Error(), "passed busy: "+ErrDeviceBusy.Error())
	})
}

// TestJoinsAfterTheChosenKeyFailed: the race goes on, and keys come as before.
func TestJoinsAfterTheChosenKeyFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, d := newRaceKey("a", "clientPin"), newRaceKey("b"), newRaceKey("d")
		keys := []*raceKey{a, b, d}
		a.err = ctap.ErrKeyStoreFull
		c := begins(t, false, &person{pins: []string{"1234"}}, Discouraged, a, b)
		c.touch(a)
		c.lit(keys, a)
		c.touch(a)
		c.lit(keys, b)
		c.plug(d)
		c.lit(keys, b, d)
		c.touch(d)
		c.ends(d, nil)
		dark(t, keys...)
	})
}

// TestCancelDarkensAll: those that have joined, too.
func TestCancelDarkensAll(t *testing.T) {
	for _, names := range [][]string{nil, {"clientPin"}} {
		synctest.Test(t, func(t *testing.T) {
			keys := []*raceKey{newRaceKey("a", names...), newRaceKey("b", names...)}
			c := begins(t, true, &person{pins: []string{"1234"}}, Preferred, keys[0])
			c.plug(keys[1])
			c.lit(keys, keys...)
			c.cancel()
			c.ends(nil, context.Canceled)
			dark(t, keys...)
		})
	}
}

// TestCardIsAwaitedInVain: the person hears of the card, also where other keys might have joined.
func TestCardIsAwaitedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cards := &pile{cards: []Authenticator{goneAfter()}}
		keys := Keys{Now: []Candidate{cards.candidate()}, Next: newPort().next}
		var lost *CardLostError
		if _, err := Register(ctx, keys, &person{}, resident()); !errors.As(err, &lost) {
			t.Error(err)
		}
	})
}

// TestSlowKey: the others don't wait for one that takes its time, and which joins them, or can't serve.
func TestSlowKey(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b, who := newRaceKey("a"), newRaceKey("b"), &person{}
			keys := []*raceKey{a, b}
			if a.slow = 2 * lateTime; hangs {
				a.slow = time.Hour
			}
			c := begins(t, false, who, Discouraged, keys...)
			c.lit(keys)
			time.Sleep(lateTime)
			synctest.Wait()
			c.lit(keys, b)
			time.Sleep(answerTime)
			synctest.Wait()
			seen := []string{"touch", "touch", "chosen b"}
			if hangs {
				seen = []string{"touch", "passed a: " + ErrDeviceGone.Error() + " (no answer in 5s)"}
			} else {
				c.lit(keys, a, b)
			}
			c.touch(b)
			c.ends(b, nil)
			dark(t, keys...)
			who.sees(t, seen...)
		})
	}
}
