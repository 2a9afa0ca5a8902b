package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"fob/fido/nfcbridge"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

// TestJoinsLitKeys: a key that is plugged in while others are lit serves a ceremony for any key, and none for another.
func TestJoinsLitKeys(t *testing.T) {
	r := newTray(t, "k1")
	any := r.signIn("")
	any.sees(ipc.EventTouch, "k1", 0)
	r.plug("k2")
	any.sees(ipc.EventTouch, "k2", 0)
	r.plug("k3")
	any.sees(ipc.EventTouch, "k3", 0)
	any.touch["k2"] <- struct{}{}
	any.sees(ipc.EventChosen, "k2", 0)
	if err := <-any.end; err != nil {
		t.Error(err)
	}
	observe(t, r.client) // so that there is a watch of keys
	named := r.signIn("k1")
	named.sees(ipc.EventTouch, "k1", 0)
	r.unplug("k2")
	r.plug("k2")
	named.isTouched("k1")
	if len(named.saw) > 0 {
		t.Errorf("%+v", <-named.saw)
	}
}

// TestJoinsWhileOthersWait: a key that is plugged in is for those who have none, and for others when nobody waits.
func TestJoinsWhileOthersWait(t *testing.T) {
	r := newTray(t, "k1")
	first := r.signIn("")
	first.sees(ipc.EventTouch, "k1", 0)
	named := r.signIn("k1")
	named.sees(ipc.EventWaiting, "k1", 1)
	r.plug("k2")
	second := r.signIn("")
	second.sees(ipc.EventPassed, "k1", 0)
	second.sees(ipc.EventTouch, "k2", 0)
	named.hangUp()
	<-named.end
	second.isTouched("k2")
	first.sees(ipc.EventTouch, "k2", 0)
	first.isTouched("k2")
}

// TestPolicyOfKeysThatJoin: each needs a word of its own; the person who has agreed to others has agreed to it.
func TestPolicyOfKeysThatJoin(t *testing.T) {
	r := newTray(t)
	r.daemon.Policy = rules(t, askToSignIn+`key = ["k2"]
		action = "deny"
		[[rule]]
		verbs = ["sign-in"]
		action = "ask"`)
	a := newAgent(t, r.client)
	call := r.signIn("")
	call.sees(ipc.EventPlug, "", 0)
	r.plug("k1")
	var e ipc.Event
	for e.Kind != ipc.EventConsent {
		e = *(<-a.told).Event
	}
	if err := a.says(e.Token, true); err != nil {
		t.Fatal(err)
	}
	call.sees(ipc.EventTouch, "k1", 0)
	r.plug("k2")
	if e := call.sees(ipc.EventPassed, "k2", 0); e.Error != "fob.Ceremony.Refused" {
		t.Errorf("%+v", e)
	}
	r.plug("k3")
	call.sees(ipc.EventTouch, "k3", 0)
	call.isTouched("k3")
}

// later has a ceremony go on with one key lit.
type later struct {
	*ring
	saw    chan ipc.Event
	result chan error
	cancel context.CancelFunc
}

// laterKeys are two keys, where the second is on the shelf; to sign in, both are registered.
func laterKeys(t *testing.T, signIn, pin bool) (l *later, first, second *ringKey) {
	l = &later{ring: newRing(t), saw: make(chan ipc.Event, 64), result: make(chan error, 1)}
	for range 2 {
		k := l.plug("fido2.1", pin, nil)
		if !signIn {
			continue
		}
		k.touched(true)
		choices := relyingparty.RegistrationChoices{UserVerification: webauthn.UserVerificationPreferred}
		if err := l.register(t.Context(), &person{pin: "1234"}, k.id, choices); err != nil {
			t.Fatal(err)
		}
		k.touched(false)
	}
	first, second = l.keys[0], l.keys[1]
	l.takeOut(second)
	return l, first, second
}

func (l *later) takeOut(k *ringKey) {
	if err := k.Remove(); err != nil {
		l.t.Error(err)
	}
	l.shelf.tell()
}

// putIn plugs a key in, and waits until it is lit.
func (l *later) putIn(k *ringKey) {
	l.t.Helper()
	if err := k.Insert(l.t.Context()); err != nil {
		l.t.Error(err)
	}
	l.shelf.tell()
	l.isLit(k)
}

func (l *later) isLit(k *ringKey) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), faultBound)
	defer cancel()
	if err := k.await(ctx, true); err != nil {
		l.t.Fatalf("%s is not lit: %v", k.mark, err)
	}
}

func (l *later) begin(signIn bool) {
	ctx, cancel := context.WithTimeout(l.t.Context(), faultBound)
	l.cancel = cancel
	l.t.Cleanup(cancel)
	who := &person{pin: "1234", saw: func(e ipc.Event) { l.saw <- e }}
	go func() {
		if signIn {
			l.result <- l.signIn(ctx, who, "", relyingparty.SignInChoices{
				UserVerification: webauthn.UserVerificationPreferred})
			return
		}
		l.result <- l.register(ctx, who, "", relyingparty.RegistrationChoices{
			UserVerification: webauthn.UserVerificationPreferred})
	}()
}

// sees gives the next event of a kind.
func (l *later) sees(kind ipc.EventKind) ipc.Event {
	l.t.Helper()
	for {
		select {
		case e := <-l.saw:
			if e.Kind == kind {
				return e
			}
		case err := <-l.result:
			l.t.Fatalf("ended before %s: %v", kind, err)
		}
	}
}

// serves touches a key, which the ceremony is done with.
func (l *later) serves(k *ringKey) {
	l.t.Helper()
	k.touched(true)
	l.sees(ipc.EventChosen)
	if err := <-l.result; err != nil {
		l.t.Error(err)
	}
	l.dark()
}

// TestSecondKeyLater: a person plugs a second key in while the first one blinks, and touches either.
func TestSecondKeyLater(t *testing.T) {
	for n := range 8 {
		signIn, pin, touchSecond := n&1 > 0, n&2 > 0, n&4 > 0
		t.Run(fmt.Sprintf("sign in %v, PIN %v, second %v", signIn, pin, touchSecond), func(t *testing.T) {
			t.Parallel()
			l, first, second := laterKeys(t, signIn, pin)
			l.begin(signIn)
			l.isLit(first)
			l.putIn(second)
			if touchSecond {
				first = second
			}
			l.serves(first)
		})
	}
}

// TestKeyIsPulledAndComesBack: while others are lit, it leaves them, and joins them again, once each time.
func TestKeyIsPulledAndComesBack(t *testing.T) {
	for _, signIn := range []bool{false, true} {
		t.Run(fmt.Sprint("sign in ", signIn), func(t *testing.T) {
			t.Parallel()
			l, first, second := laterKeys(t, signIn, false)
			l.begin(signIn)
			l.isLit(first)
			l.putIn(second)
			before := first.times()
			for range 3 {
				l.takeOut(first)
				if e := l.sees(ipc.EventPassed); e.Error != "fob.Device.DeviceGone" {
					t.Errorf("%+v", e)
				}
				l.putIn(first)
			}
			if lit := first.times() - before; lit != 3 {
				t.Errorf("lit %d times", lit)
			}
			l.serves(first)
		})
	}
}

// TestHangUpDarkensKeysThatJoined: as it does all others.
func TestHangUpDarkensKeysThatJoined(t *testing.T) {
	l, first, second := laterKeys(t, false, false)
	l.begin(false)
	l.isLit(first)
	l.putIn(second)
	l.cancel()
	if err := <-l.result; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	l.dark()
}

// TestCardJoins: a card that is laid on a reader while a key at USB is lit has been touched by that.
func TestCardJoins(t *testing.T) {
	w := readCards(t, nfcbridge.Options{})
	l, usb, _ := laterKeys(t, false, false)
	changed := l.addReader(w)
	l.begin(false)
	l.isLit(usb)
	card := l.layCard(w, changed, func(o softkey.Options) softkey.Options { return o })
	if e := l.sees(ipc.EventChosen); e.Device != card.id {
		t.Errorf("%+v, want the card %s", e, card.id)
	}
	if err := <-l.result; err != nil {
		t.Error(err)
	}
	l.dark()
}
