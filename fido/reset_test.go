package fido

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// plugs is a source that plays what happens when the person is asked to plug the key in again: one list of events for
// each time.
type plugs struct {
	now    []DeviceInfo
	rounds [][]Event
	keys   map[DeviceID]*resetKey
	events chan Event
	opened []DeviceID
	ended  chan struct{} // closed when the watch is over
}

func (p *plugs) Devices(context.Context) ([]DeviceInfo, error) { return p.now, nil }

func (p *plugs) Open(_ context.Context, id DeviceID) (Authenticator, error) {
	p.opened = append(p.opened, id)
	if k := p.keys[id]; k != nil {
		return k, nil
	}
	return nil, ErrNoDevice
}

func (p *plugs) Watch(ctx context.Context) ([]DeviceInfo, <-chan Event, error) {
	p.events, p.ended = make(chan Event, 16), make(chan struct{})
	out := make(chan Event)
	go func() {
		defer close(p.ended)
		defer close(out)
		for {
			select {
			case e := <-p.events:
				if e.Kind == "" { // the system tells nothing more
					return
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return p.now, out, nil
}

// plugger is the person, who does what is played.
type plugger struct {
	person
	*plugs
}

func (p *plugger) Replug(ctx context.Context, r ReplugPrompt) error {
	for _, e := range p.rounds[0] {
		p.events <- e
	}
	if p.rounds = p.rounds[1:]; len(p.rounds) == 0 {
		p.rounds = [][]Event{nil}
	}
	return p.person.Replug(ctx, r)
}

// resetKey is a key that can be reset; errs are what it answers, one after the other.
type resetKey struct {
	scriptedKey
	info2  *ctap.GetInfoResponse // after the reset; nil for the same
	resets int
	closed int
}

func (k *resetKey) Reset(ctx context.Context) error {
	k.resets++
	var err error
	if len(k.errs) > 0 {
		err, k.errs = k.errs[0], k.errs[1:]
	}
	if err != ctap.ErrNotAllowed {
		Waiting(ctx)
	}
	if err != nil {
		return err
	}
	if k.info2 != nil {
		k.info = *k.info2
	}
	return nil
}

func (k *resetKey) Close() error { k.closed++; return nil }

func TestReset(t *testing.T) {
	key := func(id, mark string) DeviceInfo {
		return DeviceInfo{ID: DeviceID(id), Path: "/dev/" + id, Product: "Key", VendorID: 1, Mark: mark}
	}
	old, back, other := key("old", "port 1"), key("new", "port 1"), key("other", "port 2")
	out := func(d DeviceInfo) Event { return Event{Kind: Removed, Device: d} }
	in := func(d DeviceInfo) Event { return Event{Kind: Added, Device: d} }
	changed := func(d DeviceInfo, change func(*DeviceInfo)) DeviceInfo { change(&d); return d }
	withPIN := ctap.GetInfoResponse{AAGUID: ctap.AAGUID{1}, Options: options("clientPin", "rk")}
	withoutPIN := ctap.GetInfoResponse{AAGUID: ctap.AAGUID{1}, Options: options("!clientPin", "rk")}
	long := withPIN
	long.LongTouchForReset = true
	notTheSame := &NotTheSameKeyError{}

	for _, test := range []struct {
		name   string
		first  DeviceInfo            // old, where it is empty
		info   *ctap.GetInfoResponse // withPIN, where it is nil
		rounds [][]Event
		again  *ctap.GetInfoResponse // what the key says when it is plugged in again; the same, where it is nil
		after  *ctap.GetInfoResponse // withoutPIN, where it is nil
		errs   []error
		seen   []string
		resets int
		want   error
	}{
		{name: "good", rounds: [][]Event{{out(old), in(back)}}, seen: []string{"replug late=false long=false", "touch"}, resets: 1},
		{name: "a long touch", info: &long, rounds: [][]Event{{out(old), in(back)}},
			seen: []string{"replug late=false long=true", "touch"}, resets: 1},
		{name: "others open it meanwhile", rounds: [][]Event{{{Kind: Opened, Device: old}, out(old), in(back), {Kind: Opened, Device: back}}},
			seen: []string{"replug late=false long=false", "touch"}, resets: 1},
		{name: "by its serial number, at another port", first: key("old", "serial"), rounds: [][]Event{{out(key("old", "serial")),
			in(changed(key("old", "serial"), func(d *DeviceInfo) { d.Path = "/dev/new" }))}},
			seen: []string{"replug late=false long=false", "touch"}, resets: 1},
		{name: "a key that nothing tells from others", first: key("old", ""), want: ErrUnrecognizable},
		{name: "a key that wants another transport", info: &ctap.GetInfoResponse{TransportsForReset: []string{"nfc"}},
			want: Unsupported("to be reset over USB, but over nfc")},
		{name: "a key that speaks U2F alone", info: &ctap.GetInfoResponse{Versions: []string{ctap.VersionU2F}},
			want: Unsupported("to be reset")},
		{name: "it is gone already", first: key("gone", "port 3"), want: ErrDeviceGone},
		{name: "another port", rounds: [][]Event{{out(old), in(key("new", "port 3"))}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another product", rounds: [][]Event{{out(old), in(changed(back, func(d *DeviceInfo) { d.Product = "Yek" }))}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another vendor", rounds: [][]Event{{out(old), in(changed(back, func(d *DeviceInfo) { d.VendorID = 2 }))}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "an emulated one", rounds: [][]Event{{out(old), in(changed(back, func(d *DeviceInfo) { d.Emulated = true }))}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another key comes first", rounds: [][]Event{{in(key("new", "port 3")), out(old), in(back)}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "a twin comes first", rounds: [][]Event{{in(back), out(old)}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another key goes", rounds: [][]Event{{out(other)}}, seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another key goes meanwhile", rounds: [][]Event{{out(old), out(other), in(back)}},
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another model", rounds: [][]Event{{out(old), in(back)}},
			again: &ctap.GetInfoResponse{AAGUID: ctap.AAGUID{2}, Options: options("clientPin", "rk")},
			seen:  []string{"replug late=false long=false"}, want: notTheSame},
		{name: "another one of the same model, without a PIN", rounds: [][]Event{{out(old), in(back)}}, again: &withoutPIN,
			seen: []string{"replug late=false long=false"}, want: notTheSame},
		{name: "what is different each time", rounds: [][]Event{{out(old), in(back)}},
			again: &ctap.GetInfoResponse{AAGUID: ctap.AAGUID{1}, Options: options("clientPin", "rk"), EncIdentifier: []byte{1}},
			seen:  []string{"replug late=false long=false", "touch"}, resets: 1},
		{name: "unplugged again at once", rounds: [][]Event{{out(old), in(key("lost", "port 1"))}},
			seen: []string{"replug late=false long=false"}, want: ErrNoDevice},
		{name: "too late once", rounds: [][]Event{{out(old), in(back)}, {out(back), in(back)}}, errs: []error{ctap.ErrNotAllowed},
			seen: []string{"replug late=false long=false", "replug late=true long=false", "touch"}, resets: 2},
		{name: "too late each time", rounds: [][]Event{{out(old), in(back)}, {out(back), in(back)}, {out(back), in(back)}},
			errs: slices.Repeat([]error{ctap.ErrNotAllowed}, 4), resets: 3, want: ErrResetLate,
			seen: []string{"replug late=false long=false", "replug late=true long=false", "replug late=true long=false"}},
		{name: "another one the second time", rounds: [][]Event{{out(old), in(back)}, {out(back), in(other)}},
			errs: []error{ctap.ErrNotAllowed}, resets: 1, want: notTheSame,
			seen: []string{"replug late=false long=false", "replug late=true long=false"}},
		{name: "declined", rounds: [][]Event{{out(old), in(back)}}, errs: []error{ctap.ErrOperationDenied}, resets: 1,
			seen: []string{"replug late=false long=false", "touch"}, want: ctap.ErrOperationDenied},
		{name: "not touched", rounds: [][]Event{{out(old), in(back)}}, errs: []error{ctap.ErrUserActionTimeout}, resets: 1,
			seen: []string{"replug late=false long=false", "touch"}, want: ctap.ErrUserActionTimeout},
		{name: "it says so and has a PIN", rounds: [][]Event{{out(old), in(back)}}, after: &withPIN, resets: 1,
			seen: []string{"replug late=false long=false", "touch"}, want: ErrStillPIN},
		{name: "the system falls silent", rounds: [][]Event{{out(old), {}}},
			seen: []string{"replug late=false long=false"}, want: ErrWatchEnded},
	} {
		t.Run(test.name, func(t *testing.T) {
			first := test.first
			if first.ID == "" {
				first = old
			}
			info, again, after := test.info, test.again, test.after
			if info == nil {
				info = &withPIN
			}
			if again == nil {
				again = info
			}
			if after == nil {
				after = &withoutPIN
			}
			begun := &resetKey{scriptedKey: scriptedKey{info: *info}}
			is := &resetKey{scriptedKey: scriptedKey{info: *again, errs: test.errs}, info2: after}
			s := &plugs{now: []DeviceInfo{other, first}, rounds: test.rounds,
				keys: map[DeviceID]*resetKey{"new": is, "other": {}, "old": is}}
			if test.first.ID == "gone" {
				s.now = nil
			}
			who := &plugger{plugs: s}
			err := Reset(t.Context(), s, Candidate{Info: first, Key: begun}, who)
			var problem *NotTheSameKeyError
			if test.want == notTheSame {
				if !errors.As(err, &problem) || problem.Problem == "" {
					t.Error(err)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if !slices.Equal(who.seen, test.seen) || is.resets != test.resets || begun.resets != 0 {
				t.Errorf("the person saw %q, the key was reset %d times, before it was plugged in again %d times",
					who.seen, is.resets, begun.resets)
			}
			if slices.Contains(s.opened, "other") || begun.closed != 1 || is.closed != len(s.opened)-count(err, ErrNoDevice) {
				t.Errorf("opened %q, closed %d and %d", s.opened, begun.closed, is.closed)
			}
			if s.ended != nil {
				<-s.ended
			}
		})
	}
}

func count(err, which error) int {
	if errors.Is(err, which) {
		return 1
	}
	return 0
}

// TestResetIsCancelled while the key is waited for, and while it waits to be touched.
func TestResetIsCancelled(t *testing.T) {
	old := DeviceInfo{ID: "old", Path: "/dev/old", Mark: "port 1"}
	begun := &resetKey{}
	s := &plugs{now: []DeviceInfo{old}, rounds: [][]Event{{{Kind: Removed, Device: old}}}}
	ctx, cancel := context.WithCancel(t.Context())
	who := &quitter{plugger{plugs: s}, cancel}
	if err := Reset(ctx, s, Candidate{Info: old, Key: begun}, who); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-s.ended
	gone := fmt.Errorf("the terminal: %w", ErrDeclined)
	if err := Reset(t.Context(), s, Candidate{Info: old, Key: begun}, &refuser{plugger{plugs: s}, gone}); !errors.Is(err, ErrDeclined) ||
		!strings.Contains(err.Error(), "terminal") {
		t.Error(err)
	}
	<-s.ended
}

// quitter goes away when the key is to be plugged in.
type quitter struct {
	plugger
	cancel context.CancelFunc
}

func (q *quitter) Replug(ctx context.Context, p ReplugPrompt) error {
	q.cancel()
	return q.plugger.Replug(ctx, p)
}

// refuser can't be told.
type refuser struct {
	plugger
	err error
}

func (r *refuser) Replug(context.Context, ReplugPrompt) error { return r.err }
