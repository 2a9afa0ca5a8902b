package session

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// run runs a watcher until the test ends; it tells of those who turn away.
func run(t *testing.T) (w *Watcher, away chan Reason) {
	away = make(chan Reason, 16)
	w = &Watcher{Log: slog.New(slog.DiscardHandler), Away: func(_ context.Context, why Reason) { away <- why }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })
	return w, away
}

// becomes waits until the watcher knows that it is so.
func becomes(t *testing.T, w *Watcher, want State) {
	t.Helper()
	for over := time.After(patience); ; {
		got, told, changed := w.presence.get()
		if told && got.Known == want.Known && got.Away == want.Away {
			break
		}
		select {
		case <-changed:
		case <-over:
			t.Fatalf("it is %+v, want %+v", got, want)
		}
	}
	err := w.Present(t.Context())
	if want.Away == "" && err != nil || want.Away != "" && !errors.Is(err, want.Away) {
		t.Errorf("%v, want %+v", err, want)
	}
}

const remote, greeter = sessions + "/_33", sessions + "/_34"

// TestPresence: somebody is there as long as one session of our user has the screen, or needs none, and is not locked.
func TestPresence(t *testing.T) {
	l := startLogind(t, startBus(t))
	l.logIn(t, greeter, os.Getuid())
	l.set(greeter, "Class", "greeter")
	w, away := run(t)
	is := func(why Reason) {
		t.Helper()
		becomes(t, w, State{Known: true, Away: why})
	}
	turned := func(want ...Reason) {
		t.Helper()
		for _, why := range want {
			if got := <-away; got != why {
				t.Errorf("%q, want %q", got, why)
			}
		}
		if len(away) > 0 {
			t.Errorf("told %d more times", len(away))
		}
	}
	is("")
	l.change(t, ours, "LockedHint", true)
	is(Lock)
	l.change(t, ours, "Active", false)
	is(Inactive)
	l.change(t, ours, "LockedHint", false)
	l.change(t, ours, "Active", true)
	is("")
	turned(Lock)
	l.change(t, ours, "Active", false)
	is(Inactive)
	turned(Inactive)

	l.logIn(t, remote, os.Getuid())
	l.emit(t, "/org/freedesktop/login1", manager+".SessionNew", "33", dbus.ObjectPath(remote))
	is("")
	l.change(t, remote, "LockedHint", true)
	is(Lock)
	l.change(t, remote, "LockedHint", false)
	is("")
	turned(Lock)
	l.change(t, remote, "State", "closing")
	is(Inactive)
	l.change(t, ours, "Active", true)
	is("")
	turned(Inactive)

	l.emit(t, "/org/freedesktop/login1", manager+".PrepareForSleep", true)
	is(Suspend)
	l.change(t, ours, "Active", true) // is no reason to stay awake
	l.change(t, ours, "LockedHint", true)
	l.emit(t, "/org/freedesktop/login1", manager+".PrepareForSleep", false)
	is(Lock)
	turned(Suspend)

	l.mu.Lock()
	delete(l.sessions, ours)
	delete(l.sessions, remote)
	l.mu.Unlock()
	l.emit(t, "/org/freedesktop/login1", manager+".SessionRemoved", "31", dbus.ObjectPath(ours))
	becomes(t, w, State{})
	turned()
}

// TestLockedAtFirst: a daemon that is started while the screen is locked knows that before the first ceremony.
func TestLockedAtFirst(t *testing.T) {
	l := startLogind(t, startBus(t))
	l.set(ours, "LockedHint", true)
	w, _ := run(t)
	if err := w.Present(t.Context()); !errors.Is(err, Lock) {
		t.Error(err)
	}
}

// TestNobodyTells: without logind, or before it is asked, somebody is taken to be there.
func TestNobodyTells(t *testing.T) {
	never := &Watcher{}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := never.Present(ctx); err != nil || never.State() != (State{}) {
		t.Error(err, never.State())
	}
	startBus(t)
	w, _ := run(t)
	becomes(t, w, State{})
	for state, want := range map[State]string{
		{}:                        "not known yet whether somebody is at the computer",
		{Problem: "no bus"}:       "not known whether somebody is at the computer: no bus",
		{Known: true}:             "somebody is at the computer",
		{Known: true, Away: Lock}: "nobody is at the computer: the screen is locked",
	} {
		if state.String() != want {
			t.Errorf("%q, want %q", state, want)
		}
	}
}
