package nfcbridge

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"fob/fido"
	"fob/fido/pcsc"
)

// place is a reader in which the n-th card is, or none for an even number.
func place(name string, n uint32) pcsc.ReaderState {
	if n%2 == 0 {
		return pcsc.ReaderState{Name: name, Events: n, State: pcsc.CardAbsent}
	}
	return pcsc.ReaderState{Name: name, Events: n, State: pcsc.CardPresent, ATR: []byte{0x3b}}
}

// TestVigil has readers and cards come and go where nobody can look at the cards.
func TestVigil(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got []Event
	v := vigil{
		Watcher: &Watcher{Options: Options{Socket: filepath.Join(t.TempDir(), "nobody")}},
		event:   func(e Event) { got = append(got, e) },
		opened:  make(chan opening), ended: make(chan ending), slots: make(map[string]*slot),
	}
	defer v.tasks.Wait()
	defer cancel()
	exclusive := place("b", 1)
	exclusive.Sharing = pcsc.SharedExclusively
	silent := place("c", 1)
	silent.ATR = nil
	for i, step := range []struct {
		states []pcsc.ReaderState
		looks  int      // at cards, which fail
		want   []string // readers of which there is news
		slots  []string
	}{
		{nil, 0, nil, nil},
		{[]pcsc.ReaderState{place("a", 0), silent}, 0, nil, nil},
		{[]pcsc.ReaderState{place("a", 1), exclusive, silent}, 1, []string{"a", "b"}, []string{"a", "b"}},
		{[]pcsc.ReaderState{place("a", 1), exclusive}, 0, nil, []string{"a", "b"}},
		{[]pcsc.ReaderState{place("a", 1), place("b", 1)}, 1, []string{"b"}, []string{"a", "b"}},
		{[]pcsc.ReaderState{place("a", 3), place("b", 2)}, 1, []string{"a"}, []string{"a"}},
		{nil, 0, nil, nil},
		{[]pcsc.ReaderState{place("a", 3)}, 1, []string{"a"}, []string{"a"}},
	} {
		got = nil
		v.update(ctx, step.states)
		for range step.looks {
			v.end(ctx, <-v.ended)
		}
		var readers []string
		for _, e := range got {
			readers = append(readers, e.Reader)
			busy := e.Reader == "b" && i == 2
			if e.Kind != Refused || errors.Is(e.Err, fido.ErrDeviceBusy) != busy || errors.Is(e.Err, ErrCardLost) == busy {
				t.Errorf("step %d: event %+v", i, e)
			}
		}
		slices.Sort(readers)
		var slots []string
		for name, s := range v.slots {
			slots = append(slots, name)
			if s.stay != nil {
				t.Errorf("step %d: somebody looks at %s", i, name)
			}
		}
		slices.Sort(slots)
		if !slices.Equal(readers, step.want) || !slices.Equal(slots, step.slots) {
			t.Errorf("step %d: events of %v, want %v; slots %v, want %v", i, readers, step.want, slots, step.slots)
		}
	}
}

// TestLostCard tells of a lost card once, though it is looked at again before pcscd knows.
func TestLostCard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var got []Event
	v := vigil{
		Watcher: &Watcher{Options: Options{Socket: filepath.Join(t.TempDir(), "nobody")}},
		event:   func(e Event) { got = append(got, e) },
		opened:  make(chan opening), ended: make(chan ending), slots: make(map[string]*slot),
	}
	defer v.tasks.Wait()
	defer cancel()
	y := &stay{card: place("a", 1), cancel: func(error) {}}
	v.slots["a"] = &slot{state: y.card, stay: y}
	v.open(opening{y, Device{Path: "/dev/pts/x", Reader: "a"}})
	if d := v.Devices(); len(d) != 1 || d[0].Path != "/dev/pts/x" {
		t.Errorf("devices %+v", d)
	}
	v.end(ctx, ending{y, ErrCardLost})
	v.end(ctx, <-v.ended)
	v.update(ctx, []pcsc.ReaderState{place("a", 1)})
	if len(got) != 2 || got[0].Kind != Added || got[1].Kind != Removed || got[1].Err != ErrCardLost {
		t.Errorf("events %+v", got)
	}
	v.update(ctx, []pcsc.ReaderState{place("a", 3)})
	v.end(ctx, <-v.ended)
	if len(got) != 3 || got[2].Kind != Refused {
		t.Errorf("events %+v", got)
	}
	if d := v.Devices(); len(d) != 0 {
		t.Errorf("devices %+v", d)
	}
}

// TestLeaving tells a card that was taken away in a request from one that was idle.
func TestLeaving(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct{ cause, err, want error }{
		{nil, failed, failed},
		{nil, nil, nil},
		{ErrCardLost, context.Canceled, nil},
		{ErrCardLost, ErrCardLost, ErrCardLost},
		{fido.ErrDeviceBusy, context.Canceled, fido.ErrDeviceBusy},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if c.cause != nil {
			cancel(c.cause)
		}
		if err := new(stay).because(ctx, c.err); err != c.want {
			t.Errorf("%v after %v: %v, want %v", c.err, c.cause, err, c.want)
		}
		cancel(nil)
	}
}
