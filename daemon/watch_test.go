package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// fakeWatcher is a source whose events a test sends.
type fakeWatcher struct {
	fakeSource
	events chan fido.Event
	fails  error
	end    chan struct{} // sent to end the watch by itself

	mu       sync.Mutex
	running  int
	attempts int
	watchers []chan fido.Event
}

func newFakeWatcher(devices ...fido.DeviceInfo) *fakeWatcher {
	return &fakeWatcher{
		fakeSource: fakeSource{devices: devices}, events: make(chan fido.Event), end: make(chan struct{})}
}

func (w *fakeWatcher) Watch(ctx context.Context) ([]fido.DeviceInfo, <-chan fido.Event, error) {
	if w.fails != nil {
		return nil, nil, w.fails
	}
	w.count(1)
	events, ours := make(chan fido.Event), make(chan fido.Event, 16)
	w.watch(ours, true)
	go func() {
		defer close(events)
		defer w.count(-1)
		defer w.watch(ours, false)
		for {
			select {
			case e := <-w.events: // for all who watch
				w.tell(e)
			case e := <-ours:
				events <- e
			case <-ctx.Done():
				return
			case <-w.end:
				return
			}
		}
	}()
	return w.devices, events, nil
}

func (w *fakeWatcher) watch(ours chan fido.Event, begins bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchers = append(w.watchers, ours); !begins {
		w.watchers = slices.DeleteFunc(w.watchers, func(c chan fido.Event) bool { return c == ours })
	}
}

func (w *fakeWatcher) tell(e fido.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.watchers {
		c <- e
	}
}

func (w *fakeWatcher) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running += n; n > 0 {
		w.attempts++
	}
}

func (w *fakeWatcher) counts() (running, attempts int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running, w.attempts
}

// observer is a client that watches.
type observer struct {
	t    *testing.T
	saw  chan string
	stop func()
	done chan error
}

func observe(t *testing.T, c *ipc.Client) *observer {
	ctx, stop := context.WithCancel(t.Context())
	o := &observer{t, make(chan string), stop, make(chan error, 1)}
	say := func(text string) error {
		select {
		case o.saw <- text:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	go func() {
		o.done <- c.WatchDevices(ctx, func(list []ipc.Device) error {
			text := "now"
			for _, d := range list {
				text += " " + d.ID
			}
			return say(text)
		}, func(e ipc.DeviceEvent) error {
			text := string(e.Kind) + " " + e.Device.ID
			for _, p := range e.Programs {
				text += " by " + p.Name
			}
			return say(text)
		})
	}()
	return o
}

func (o *observer) expect(texts ...string) {
	o.t.Helper()
	for _, want := range texts {
		select {
		case got := <-o.saw:
			if got != want {
				o.t.Fatalf("saw %q, expected %q", got, want)
			}
		case err := <-o.done:
			o.t.Fatalf("%v, expected %q", err, want)
		}
	}
}

func event(kind fido.EventKind, id fido.DeviceID) fido.Event {
	return fido.Event{Kind: kind, Device: fido.DeviceInfo{ID: id, Path: "/dev/" + string(id)}}
}

// TestWatch: several watch, each is told all, and the source is watched once and only while somebody does.
func TestWatch(t *testing.T) {
	s := newFakeWatcher(fido.DeviceInfo{ID: "k1", Path: "/dev/k1"})
	c := serve(t, s)
	first := observe(t, c)
	first.expect("now k1")
	s.events <- event(fido.Added, "k2")
	first.expect("added k2")
	second := observe(t, c)
	second.expect("now k1 k2")
	s.events <- event(fido.Removed, "k1")
	first.expect("removed k1")
	second.expect("removed k1")
	opened := event(fido.Opened, "k2")
	opened.Programs = []fido.Program{{PID: 1, Name: "firefox"}}
	for range 2 {
		s.events <- opened
		first.expect("opened k2 by firefox")
		second.expect("opened k2 by firefox")
	}
	s.events <- event(fido.Opened, "k1") // which is gone
	s.events <- event(fido.Added, "k3")
	first.expect("added k3")
	second.expect("added k3")
	if running, attempts := s.counts(); running != 1 || attempts != 1 {
		t.Errorf("%d watches run, %d were begun", running, attempts)
	}
	first.stop()
	second.stop()
	<-first.done
	<-second.done
}

// TestWatchNobody: when the last one has hung up, the source's watch ends.
func TestWatchNobody(t *testing.T) {
	s := newFakeWatcher()
	var p plugs
	_, leave, err := p.join(s)
	_, leave2, err2 := p.join(s)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	leave()
	if running, _ := s.counts(); running != 1 {
		t.Errorf("%d watches run", running)
	}
	leave2()
	if running, _ := s.counts(); running != 0 {
		t.Errorf("%d watches run", running)
	}
}

// TestWatchSlowly: who reads slowly gets the difference.
func TestWatchSlowly(t *testing.T) {
	s := newFakeWatcher(fido.DeviceInfo{ID: "k1", Path: "/dev/k1"})
	var p plugs
	f, leave, err := p.join(s)
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	before, _, _ := f.state()
	for range 3 {
		s.events <- event(fido.Added, "k2")
		s.events <- event(fido.Opened, "k2")
		s.events <- event(fido.Removed, "k2")
	}
	s.events <- event(fido.Removed, "k1") // a replug of a key that is recognized
	s.events <- event(fido.Added, "k1")
	s.events <- event(fido.Opened, "k1")
	var kinds []ipc.DeviceEventKind
	for len(kinds) < 3 {
		now, changed, _ := f.state()
		kinds = nil
		for _, e := range difference(before, now) {
			if e.Device.ID == "k1" {
				kinds = append(kinds, e.Kind)
			}
		}
		if len(kinds) < 3 {
			<-changed
		}
	}
	if want := []ipc.DeviceEventKind{ipc.DeviceRemoved, ipc.DeviceAdded, ipc.DeviceOpened}; !slices.Equal(kinds, want) {
		t.Errorf("%v, expected %v", kinds, want)
	}
}

func TestWatchEnds(t *testing.T) {
	s := newFakeWatcher()
	c := serve(t, s)
	o := observe(t, c)
	o.expect("now")
	s.end <- struct{}{}
	if err := <-o.done; !errors.As(err, new(ipc.WatchEnded)) {
		t.Error(err)
	}
	o = observe(t, c) // begins anew
	o.expect("now")
	s.events <- event(fido.Added, "k1")
	o.expect("added k1")
	o.stop()
	<-o.done
}

func TestWatchThatCantBegin(t *testing.T) {
	s := newFakeWatcher()
	s.fails = errors.New("no inotify")
	for _, c := range []*ipc.Client{serve(t, s), serve(t, &fakeSource{})} {
		if err := <-observe(t, c).done; !errors.As(err, new(ipc.WatchEnded)) {
			t.Error(err)
		}
	}
	c := serve(t, newFakeWatcher())
	conn, err := varlink.Dial(t.Context(), c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Call(t.Context(), ipc.MethodDeviceWatch, nil, nil); !errors.Is(err, varlink.ExpectedMore{}) {
		t.Error("without more:", err)
	}
}
