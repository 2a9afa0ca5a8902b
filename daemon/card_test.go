package daemon

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/ipc"
)

func cardInfo(id fido.DeviceID) fido.DeviceInfo {
	return fido.DeviceInfo{
		ID: id, Path: "/dev/" + string(id), Product: "key at ACS", Reader: "ACS", Transport: fido.TransportNFC}
}

// leaving is a card that leaves in the middle of the assertion.
func leaving() *fakeKey {
	k := &fakeKey{closed: make(chan struct{})}
	k.assert = func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		return nil, fido.ErrDeviceGone
	}
	return k
}

// TestTapAgain: a card leaves, is still told of, and is back under another ID.
func TestTapAgain(t *testing.T) {
	s := newFakeWatcher(cardInfo("c1"))
	first, second := leaving(), &fakeKey{closed: make(chan struct{})}
	second.assert = func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		return []fido.GetAssertionResponse{assertion("alice")}, nil
	}
	var once atomic.Bool
	s.open = func(id fido.DeviceID) (fido.Authenticator, error) {
		switch {
		case id == "c1" && once.CompareAndSwap(false, true):
			return first, nil
		case id == "c2":
			return second, nil
		}
		return nil, fido.ErrNoDevice
	}
	p := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventTap {
			if e.Reader != "ACS" || e.Device != "c1" || e.Made {
				t.Errorf("%+v", e)
			}
			go func() {
				s.events <- fido.Event{Kind: fido.Removed, Device: cardInfo("c1")}
				s.events <- fido.Event{Kind: fido.Added, Device: fido.DeviceInfo{ID: "usb", Path: "/dev/usb"}}
				s.events <- fido.Event{Kind: fido.Added, Device: cardInfo("c2")}
			}()
		}
	}}
	if _, err := serve(t, s).SignIn(t.Context(), signInRequest(), p); err != nil {
		t.Error(err)
	}
	<-first.closed
	<-second.closed
	if want := []ipc.EventKind{ipc.EventTouch, ipc.EventTap, ipc.EventTouch}; !slices.Equal(p.seen, want) {
		t.Errorf("saw %v, want %v", p.seen, want)
	}
}

// TestCardThatCantBeAwaited: nobody tells of keys.
func TestCardThatCantBeAwaited(t *testing.T) {
	k := leaving()
	s := oneKey(k)
	s.devices[0] = cardInfo("c1")
	_, err := serve(t, s).SignIn(t.Context(), signInRequest(), &person{})
	if !errors.Is(err, ipc.CardLost{Reader: "ACS"}) {
		t.Error(err)
	}
	<-k.closed
}

// TestManagedCardIsNotAwaited: what manages a key is for that one alone.
func TestManagedCardIsNotAwaited(t *testing.T) {
	s := newFakeWatcher(cardInfo("c1"))
	s.open = func(fido.DeviceID) (fido.Authenticator, error) { return nil, fido.ErrNoDevice }
	if _, err := serve(t, s).GetInfo(t.Context(), "c1"); !errors.Is(err, ipc.DeviceGone{}) {
		t.Error(err)
	}
}

func TestBusyCard(t *testing.T) {
	for _, err := range []error{fido.ErrDeviceBusy, ctap.ErrChannelBusy} {
		s := newFakeWatcher(cardInfo("c1"))
		s.open = func(fido.DeviceID) (fido.Authenticator, error) { return nil, err }
		_, err := serve(t, s).SignIn(t.Context(), signInRequest(), &person{})
		busy := new(ipc.DeviceBusy)
		if !errors.As(err, busy) || busy.Reader != "ACS" {
			t.Error(err)
		}
	}
}
