package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"fob/fido"
	"fob/fido/helper"
	"fob/fido/softkey"
	"fob/ipc"
)

// shelf is where emulated keys are plugged in and out, and a source of them.
type shelf struct {
	*helper.Source
	t *testing.T

	mu      sync.Mutex
	keys    map[string]*softkey.Key // by mark
	changed map[*func()]bool
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{t: t, keys: make(map[string]*softkey.Key), changed: make(map[*func()]bool)}
	s.Source = &helper.Source{Path: helperPath, NoDiscovery: true, Extra: s.extra, ExtraChanged: s.watch}
	return s
}

func (s *shelf) extra() (list []fido.DeviceInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for mark, k := range s.keys {
		info := k.Info()
		info.Mark = mark
		if info.Path != "" {
			list = append(list, info)
		}
	}
	return list
}

func (s *shelf) watch(changed func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[&changed] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.changed, &changed)
	}
}

func (s *shelf) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for changed := range s.changed {
		(*changed)()
	}
}

// plug plugs a key in under a mark, until the test ends.
func (s *shelf) plug(mark string, o softkey.Options) *softkey.Key {
	key, err := softkey.Plug(s.t.Context(), o)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	s.t.Cleanup(func() { key.Close() })
	s.mu.Lock()
	s.keys[mark] = key
	s.mu.Unlock()
	s.tell()
	return key
}

// replug takes a key out and puts it in.
func (s *shelf) replug(k *softkey.Key) {
	err := k.Remove()
	s.tell()
	if err = errors.Join(err, k.Insert(s.t.Context())); err != nil {
		s.t.Error(err)
	}
	s.tell()
}

// take takes a key away for good.
func (s *shelf) take(mark string) {
	s.mu.Lock()
	key := s.keys[mark]
	delete(s.keys, mark)
	s.mu.Unlock()
	key.Close()
	s.tell()
}

// id is that of the key that is plugged in alone, or the first.
func (s *shelf) id() string {
	devices, err := s.Devices(s.t.Context())
	if err != nil || len(devices) == 0 {
		s.t.Fatal(devices, err)
	}
	return string(devices[0].ID)
}

func TestReset(t *testing.T) {
	s := newShelf(t)
	key := s.plug("one", softkey.Options{PIN: fido.PIN("1234")})
	client := serve(t, s)
	for _, name := range []string{"", " ", "fob", "Fob emulated key", "two"} {
		err := client.Reset(t.Context(), ipc.ResetRequest{Name: name}, &person{})
		if err != (ipc.WrongName{Name: name}) {
			t.Errorf("%q: %v", name, err)
		}
	}
	p := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventReplug {
			s.replug(key)
		}
	}}
	if err := client.Reset(t.Context(), ipc.ResetRequest{Name: "fob fob emulated key", Device: s.id()}, p); err != nil {
		t.Fatal(err)
	}
	if want := []ipc.EventKind{ipc.EventReplug, ipc.EventTouch}; !slices.Equal(p.seen, want) || key.Status().PINSet {
		t.Errorf("seen %v, %+v", p.seen, key.Status())
	}
}

// TestResetOfAnother: whatever else is plugged in or out, no key is erased.
func TestResetOfAnother(t *testing.T) {
	pin := softkey.Options{PIN: fido.PIN("1234")}
	for name, do := range map[string]func(s *shelf, key *softkey.Key){
		"another in its place":   func(s *shelf, _ *softkey.Key) { s.take("one"); s.plug("two", pin) },
		"another beside it":      func(s *shelf, key *softkey.Key) { s.plug("two", pin); s.replug(key) },
		"another one is taken":   func(s *shelf, key *softkey.Key) { s.take("beside"); s.replug(key) },
		"the same place, no PIN": func(s *shelf, _ *softkey.Key) { s.take("one"); s.plug("one", softkey.Options{}) },
		"another one meanwhile": func(s *shelf, key *softkey.Key) {
			key.Remove()
			s.tell()
			s.plug("two", pin)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			key := s.plug("one", pin)
			id := s.id()
			beside := s.plug("beside", pin)
			client := serve(t, s)
			p := &person{saw: func(e ipc.Event) {
				if e.Kind == ipc.EventReplug {
					do(s, key)
				}
			}}
			err := client.Reset(t.Context(), ipc.ResetRequest{Name: id, Device: id}, p)
			if !errors.As(err, new(ipc.NotTheSameKey)) {
				t.Error(err)
			}
			if !slices.Equal(p.seen, []ipc.EventKind{ipc.EventReplug}) || !key.Status().PINSet || !beside.Status().PINSet {
				t.Errorf("seen %v", p.seen)
			}
			if two := s.keys["two"]; two != nil && !two.Status().PINSet {
				t.Error("another key was erased")
			}
		})
	}
}

// TestResetKeepsItsTurn: the key has another ID when it is back, and who calls for that meanwhile waits all the same.
func TestResetKeepsItsTurn(t *testing.T) {
	before, after := fido.DeviceInfo{ID: "k1", Path: "/dev/1", Product: "Key", Mark: "m"}, fido.DeviceInfo{
		ID: "k2", Path: "/dev/2", Product: "Key", Mark: "m"}
	w := newFakeWatcher(before)
	first := &erasable{fakeKey: fakeKey{closed: make(chan struct{})}}
	erased := &erasable{fakeKey: fakeKey{closed: make(chan struct{})}}
	next := &fakeKey{closed: make(chan struct{})}
	next.assert = func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		select {
		case <-erased.closed:
		default:
			t.Error("the key was used by two at once")
		}
		return []fido.GetAssertionResponse{assertion("alice")}, nil
	}
	keys := []fido.Authenticator{first, erased, next}
	var mu sync.Mutex
	w.open = func(fido.DeviceID) (fido.Authenticator, error) {
		mu.Lock()
		defer mu.Unlock()
		key := keys[0]
		keys = keys[1:]
		return key, nil
	}
	client := serve(t, &replaced{w, &mu, before})
	waits, signedIn := make(chan struct{}), make(chan error, 1)
	other := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventWaiting {
			close(waits)
		}
	}}
	p := &person{saw: func(e ipc.Event) {
		if e.Kind != ipc.EventReplug {
			return
		}
		w.events <- fido.Event{Kind: fido.Removed, Device: before}
		mu.Lock()
		w.devices = []fido.DeviceInfo{after}
		mu.Unlock()
		go func() {
			r := signInRequest()
			r.Device = "k2"
			_, err := client.SignIn(t.Context(), r, other)
			signedIn <- err
		}()
		<-waits
		w.events <- fido.Event{Kind: fido.Added, Device: after}
	}}
	if err := client.Reset(t.Context(), ipc.ResetRequest{Device: "k1", Name: "Key"}, p); err != nil {
		t.Error(err)
	}
	if err := <-signedIn; err != nil || erased.resets != 1 {
		t.Error(err, erased.resets)
	}
}

// replaced is a watcher whose devices a test changes.
type replaced struct {
	*fakeWatcher
	mu    *sync.Mutex
	first fido.DeviceInfo
}

func (r *replaced) Devices(context.Context) ([]fido.DeviceInfo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.devices, nil
}

// erasable is a fake key that can be reset.
type erasable struct {
	fakeKey
	resets int
	once   sync.Once
}

func (e *erasable) Close() error {
	e.once.Do(func() { e.fakeKey.Close() })
	return nil
}

func (e *erasable) Reset(context.Context) error {
	e.resets++
	return nil
}

// TestResetWithoutWatch: a source that can't follow keys resets none.
func TestResetWithoutWatch(t *testing.T) {
	client := serve(t, oneKey(&fakeKey{}))
	err := client.Reset(t.Context(), ipc.ResetRequest{Name: "Test Key"}, &person{})
	if !errors.As(err, new(ipc.WatchEnded)) {
		t.Error(err)
	}
}
