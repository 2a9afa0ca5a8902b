package daemon

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"fob/daemon/metrics"
	"fob/fido"
	"fob/ipc"
)

// TestLoad counts ceremonies, those that wait, and prompts, and says when that changes.
func TestLoad(t *testing.T) {
	k := &fakeKey{options: map[string]bool{"clientPin": true}}
	k.assert = func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		return []fido.GetAssertionResponse{assertion("alice")}, nil
	}
	changed := make(chan struct{}, 100)
	d := &Daemon{Source: oneKey(k), Metrics: new(metrics.Metrics), Changed: func() { changed <- struct{}{} }}
	client := serveDaemon(t, d)
	asked, answer := make(chan struct{}), make(chan struct{})
	p := &person{pin: "1234", saw: func(e ipc.Event) {
		if e.Kind == ipc.EventPIN {
			close(asked)
			<-answer
		}
	}}
	waits, ctx := make(chan struct{}), t.Context()
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := client.SignIn(ctx, signInRequest(), p); first <- err }()
	<-asked
	if got := d.Load(); got != (Load{Ceremonies: 1, Prompts: 1}) {
		t.Errorf("%+v", got)
	}
	next, hangUp := context.WithCancel(ctx)
	go func() {
		_, err := client.SignIn(next, signInRequest(), &person{saw: func(e ipc.Event) { close(waits) }})
		second <- err
	}()
	<-waits
	if got := d.Load(); got != (Load{Ceremonies: 2, Waiting: 1, Prompts: 1}) {
		t.Errorf("%+v", got)
	}
	hangUp()
	<-second
	for range 3 { // two began and one ended
		<-changed
	}
	close(answer)
	if err := <-first; err != nil {
		t.Error(err)
	}
	<-changed
	if got := d.Load(); got != (Load{}) {
		t.Errorf("%+v", got)
	}
	m := d.Metrics.Snapshot()
	for name, want := range map[string]int{"events.pin": 1, "events.touch": 1, "events.waiting": 1} {
		if m.Counters[name] != want {
			t.Errorf("%s: %d", name, m.Counters[name])
		}
	}
}

// TestFollowKeys: a source that can't be followed says so.
func TestFollowKeys(t *testing.T) {
	d := &Daemon{Source: &fakeSource{}}
	if err := d.FollowKeys(t.Context(), func(int) { t.Error("told of keys") }); !errors.Is(err, fido.ErrWatchEnded) {
		t.Error(err)
	}
}

// TestLoadNeedsEachLock: a ceremony that hangs with a lock is noticed by who looks at the load.
func TestLoadNeedsEachLock(t *testing.T) {
	d := new(Daemon)
	for _, lock := range []sync.Locker{&d.running.mu, &d.turns.mu, &d.prompts.mu} {
		lock.Lock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			d.Load()
		}()
		select {
		case <-done:
			t.Errorf("%T is not needed", lock)
		case <-time.After(20 * time.Millisecond):
		}
		lock.Unlock()
		<-done
	}
}
