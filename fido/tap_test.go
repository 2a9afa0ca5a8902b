package fido

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"fob/fido/ctap"
)

// pile are the cards that a person holds to one reader, one after the other.
type pile struct {
	cards []Authenticator
	err   error // when there is no other card
	asked int
}

// candidate is the first card; nil is one that has left already.
func (p *pile) candidate() Candidate {
	k, _ := p.next(context.Background())
	return k
}

func (p *pile) next(ctx context.Context) (Candidate, error) {
	p.asked++
	if len(p.cards) == 0 {
		if p.err != nil {
			return Candidate{}, p.err
		}
		<-ctx.Done()
		return Candidate{}, ctx.Err()
	}
	c := Candidate{
		Info: DeviceInfo{ID: DeviceID(rune('a' + p.asked)), Reader: "reader"}, Key: p.cards[0], Again: p.next}
	p.cards = p.cards[1:]
	return c, nil
}

func goneAfter(errs ...error) *scriptedKey {
	return &scriptedKey{info: ctap.GetInfoResponse{Options: options("rk")}, errs: append(errs, ErrDeviceGone)}
}

// TestOtherCard: who is asked for a PIN hears that another card is at the reader than before.
func TestOtherCard(t *testing.T) {
	card := func(model byte) *scriptedKey {
		info := ctap.GetInfoResponse{Options: options("rk", "clientPin"), AAGUID: ctap.AAGUID{model}}
		return &scriptedKey{info: info, retries: 8}
	}
	for models, other := range map[[2]byte]bool{{1, 1}: false, {1, 2}: true} {
		leaves := card(models[0])
		leaves.errs = []error{ErrDeviceGone}
		who := &person{pins: []string{"1234", "1234"}}
		cards := &pile{cards: []Authenticator{leaves, card(models[1])}}
		if _, err := Register(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, resident()); err != nil {
			t.Error(err)
		}
		if slices.Contains(who.seen, "other") != other || slices.Index(who.seen, "other") == 1 {
			t.Errorf("%v: the person saw %q", models, who.seen)
		}
	}
}

func resident() *RegisterOptions {
	return &RegisterOptions{Algorithms: []ctap.Algorithm{ctap.ES256}, ResidentKey: Required}
}

// TestTapAgain: the card leaves before its answer, and the one that is held to the reader next makes the credential.
func TestTapAgain(t *testing.T) {
	first, second, who := goneAfter(), &scriptedKey{info: ctap.GetInfoResponse{Options: options("rk")}}, &person{}
	cards := &pile{cards: []Authenticator{first, second}}
	made, err := Register(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, resident())
	if err != nil || made.Device.ID != "c" || len(first.asked) != 1 || len(second.asked) != 1 {
		t.Errorf("%+v, %v; the first was asked %q, the second %q", made, err, first.asked, second.asked)
	}
	if want := []string{"touch", "tap b made=true", "touch"}; !slices.Equal(who.seen, want) {
		t.Errorf("the person saw %q, want %q", who.seen, want)
	}
}

// TestTapAgainWithoutTrace: what is not kept on the card, or not made, is no reason to warn.
func TestTapAgainWithoutTrace(t *testing.T) {
	who := &person{}
	well := func() *scriptedKey { return &scriptedKey{info: ctap.GetInfoResponse{Options: options("rk")}} }
	cards := &pile{cards: []Authenticator{goneAfter(), well()}}
	o := resident()
	o.ResidentKey = Discouraged
	if _, err := Register(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, o); err != nil {
		t.Error(err)
	}
	cards = &pile{cards: []Authenticator{nil, goneAfter(), &scriptedKey{accounts: []string{"alice"}}}}
	if _, err := SignIn(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, &SignInOptions{}); err != nil {
		t.Error(err)
	}
	want := []string{"touch", "tap b made=false", "touch", "tap b made=false", "touch", "tap b made=false", "touch"}
	for i, s := range who.seen { // whichever card it is
		if len(s) > 4 && s[:4] == "tap " {
			who.seen[i] = "tap b made=" + s[len(s)-5:]
		}
	}
	if !slices.Equal(who.seen, want) {
		t.Errorf("the person saw %q, want %q", who.seen, want)
	}
}

// TestTapAgainAsksForThePINAgain: it may be another card, which must not get the first one's PIN, nor spend attempts.
func TestTapAgainAsksForThePINAgain(t *testing.T) {
	info := ctap.GetInfoResponse{Options: options("rk", "clientPin")}
	first := &scriptedKey{info: info, retries: 8, errs: []error{ErrDeviceGone}}
	second := &scriptedKey{info: info, retries: 2}
	who := &person{pins: []string{"1111", "2222"}}
	cards := &pile{cards: []Authenticator{first, second}}
	if _, err := Register(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, resident()); err != nil {
		t.Error(err)
	}
	want := []string{"pin retries=8 wrong=false", "touch", "tap b made=true",
		"pin retries=2 wrong=false", "reserved", "touch"}
	if !slices.Equal(who.seen, want) {
		t.Errorf("the person saw %q, want %q", who.seen, want)
	}
	if second.asked[0] != "uv=false pin=2222 rk=true ES256" {
		t.Errorf("asked %q", second.asked)
	}
	for _, pin := range append(first.pins, second.pins...) {
		if slices.ContainsFunc(pin, func(b byte) bool { return b != 0 }) {
			t.Error("a PIN was not wiped")
		}
	}
}

func TestCardIsLost(t *testing.T) {
	full := goneAfter()
	full.errs = []error{ctap.ErrKeyStoreFull}
	for name, test := range map[string]struct {
		cards []Authenticator
		err   error // of the wait for another one
		want  error
		made  bool
		taps  int
	}{
		"too often":               {cards: []Authenticator{goneAfter(), goneAfter(), goneAfter(), goneAfter()}, made: true, taps: 3},
		"too late":                {cards: []Authenticator{goneAfter()}, err: context.DeadlineExceeded, made: true, taps: 1},
		"nobody can tell":         {cards: []Authenticator{nil}, err: ErrDeviceGone, taps: 1},
		"busy":                    {cards: []Authenticator{goneAfter()}, err: ErrDeviceBusy, want: ErrDeviceBusy, taps: 1},
		"another card that can't": {cards: []Authenticator{goneAfter(), new(scriptedKey)}, want: ErrNoResidentKey, taps: 1},
		"another error":           {cards: []Authenticator{goneAfter(), full}, want: ctap.ErrKeyStoreFull, taps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			who, cards := &person{}, &pile{cards: test.cards, err: test.err}
			_, err := Register(t.Context(), Keys{Now: []Candidate{cards.candidate()}}, who, resident())
			lost := new(CardLostError)
			switch {
			case test.want != nil:
				if !errors.Is(err, test.want) {
					t.Error(err)
				}
			case !errors.As(err, &lost) || lost.Made != test.made || lost.Reader != "reader" || !errors.Is(err, ErrDeviceGone):
				t.Errorf("%v, %+v", err, lost)
			}
			taps := 0
			for _, s := range who.seen {
				if s[:3] == "tap" {
					taps++
				}
			}
			if taps != test.taps {
				t.Errorf("the person saw %q", who.seen)
			}
		})
	}
	k := goneAfter() // at USB
	if _, err := Register(t.Context(), alone(k), &person{}, resident()); err != ErrDeviceGone {
		t.Error(err)
	}
}

// TestCardIsLostAmongOthers: the other keys stay lit while the card is away, and one that is touched wins.
func TestCardIsLostAmongOthers(t *testing.T) {
	for _, back := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			usb, who := newRaceKey("usb", "rk"), &person{}
			again := newRaceKey("again", "rk")
			cards := &pile{cards: []Authenticator{goneAfter()}}
			winner, want := usb, "usb"
			if back {
				cards.cards = append(cards.cards, again)
				winner, want = again, "c"
			}
			var made *Registration
			err := touching(t, []*raceKey{winner}, func(ctx context.Context) (err error) {
				made, err = Register(ctx, Keys{Now: []Candidate{usb.candidate(), cards.candidate()}}, who, resident())
				return err
			})
			if err != nil || string(made.Device.ID) != want {
				t.Errorf("%+v, %v", made, err)
			}
			dark(t, usb, again)
			seen := []string{"touch", "touch", "tap b made=true", "chosen " + want}
			if back {
				seen = append(seen, "touch")
			}
			who.sees(t, seen...)
		})
	}
}

// TestCardIsNotAwaitedAfterTheEnd: who hangs up is not asked to tap.
func TestCardIsNotAwaitedAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		who, cards := &person{}, &pile{cards: []Authenticator{goneAfter()}}
		k := cards.candidate()
		result := make(chan error, 1)
		go func() {
			_, err := Register(ctx, Keys{Now: []Candidate{k}}, who, resident())
			result <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-result; err != context.Canceled {
			t.Error(err)
		}
	})
}
