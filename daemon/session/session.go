// Package session tells whether somebody is at the computer, and when they turn away from it: it is about to suspend,
// the screen is locked, or another user has it. That comes from logind over the system bus (org.freedesktop.login1).
package session

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

// Reason says why the person is away.
type Reason string

func (r Reason) Error() string { return string(r) }

// The reasons.
const (
	Suspend  Reason = "the computer goes to sleep"
	Lock     Reason = "the screen is locked"
	Inactive Reason = "another session has the screen"
)

// Watcher follows logind. Set its fields, then call Run, once.
type Watcher struct {
	// Away is called when the person turns away. It returns when nothing waits for them any more, or ctx ends, which it
	// does after a second; the computer does not sleep before.
	Away func(ctx context.Context, why Reason)
	Log  *slog.Logger

	presence presence
}

const (
	login1    = "org.freedesktop.login1"
	manager   = login1 + ".Manager"
	session   = login1 + ".Session"
	sessions  = "/org/freedesktop/login1/session"
	callTime  = 5 * time.Second
	awayTime  = time.Second // logind waits for inhibitors 5 seconds (logind.conf, InhibitDelayMaxSec)
	firstTime = time.Second // until it is known whether somebody is there
	firstWait = time.Second // until the bus is tried again; doubled each time
	longWait  = time.Minute
)

var errBusEnded = errors.New("the system bus ended the connection")

// Run follows logind until ctx ends. Where there is no system bus, or it ends, Run looks for it again, once a minute at
// last.
func (w *Watcher) Run(ctx context.Context) {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		begin := time.Now()
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		w.presence.set(State{Problem: err.Error()})
		w.Log.Debug("nobody tells when the computer sleeps or the screen is locked", "error", err)
		if time.Since(begin) > longWait {
			wait = firstWait
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

// bus is a connection to the system bus.
type bus struct {
	*Watcher
	conn      *dbus.Conn
	inhibitor *os.File // delays sleep as long as it is open; nil when logind allows none
	sleeps    bool
}

func (w *Watcher) follow(ctx context.Context) error {
	from := newSender()
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx), dbus.WithSignalHandler(from))
	if err != nil {
		return err
	}
	defer conn.Close()
	b := &bus{Watcher: w, conn: conn}
	defer b.release()
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	if err := b.subscribe(ctx, from); err != nil {
		return err
	}
	b.refresh(ctx)
	b.inhibit(ctx)
	for {
		select {
		case s, ok := <-signals:
			if !ok {
				return errBusEnded
			}
			b.handle(ctx, s)
		case <-conn.Context().Done():
			return errBusEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *bus) subscribe(ctx context.Context, s *sender) error {
	ctx, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	if err := s.follow(ctx, b.conn); err != nil {
		return err
	}
	from := dbus.WithMatchSender(login1)
	for _, match := range [][]dbus.MatchOption{
		{from, dbus.WithMatchInterface(manager), dbus.WithMatchMember("PrepareForSleep")},
		{from, dbus.WithMatchInterface(manager), dbus.WithMatchMember("SessionNew")},
		{from, dbus.WithMatchInterface(manager), dbus.WithMatchMember("SessionRemoved")},
		{from, dbus.WithMatchInterface(session), dbus.WithMatchMember("Lock")},
		{from, dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged"),
			dbus.WithMatchPathNamespace(sessions), dbus.WithMatchArg(0, session)},
	} {
		if err := b.conn.AddMatchSignalContext(ctx, match...); err != nil {
			return err
		}
	}
	return nil
}

// inhibit asks logind to wait for us before the computer sleeps.
func (b *bus) inhibit(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	var fd dbus.UnixFD
	err := b.conn.Object(login1, "/org/freedesktop/login1").CallWithContext(ctx, manager+".Inhibit", 0,
		"sleep", "fob", "Security keys must not wait for a touch meanwhile", "delay").Store(&fd)
	if err != nil {
		b.Log.Debug("sleep can't be delayed until the security keys are dark", "error", err)
		return
	}
	b.inhibitor = os.NewFile(uintptr(fd), "inhibitor")
}

func (b *bus) release() {
	if b.inhibitor != nil {
		b.inhibitor.Close()
		b.inhibitor = nil
	}
}

func (b *bus) handle(ctx context.Context, s *dbus.Signal) {
	switch s.Name {
	case manager + ".PrepareForSleep":
		var sleeps bool
		if dbus.Store(s.Body, &sleeps) != nil {
			return
		}
		if b.sleeps = sleeps; sleeps {
			b.presence.set(State{Known: true, Away: Suspend})
			b.away(ctx, Suspend)
			b.release()
			return
		}
		if b.refresh(ctx); b.inhibitor == nil {
			b.inhibit(ctx)
		}
	case manager + ".SessionNew", manager + ".SessionRemoved":
		b.refresh(ctx)
	case session + ".Lock":
		b.locked(ctx, s.Path)
	case "org.freedesktop.DBus.Properties.PropertiesChanged":
		var (
			of      string
			changed map[string]dbus.Variant
			other   []string // that have changed, too, to what we are not told
		)
		if dbus.Store(s.Body, &of, &changed, &other) != nil {
			return
		}
		names := slices.AppendSeq(other, maps.Keys(changed))
		if slices.ContainsFunc(names, func(n string) bool { return n == "LockedHint" || n == "Active" || n == "State" }) {
			b.refresh(ctx)
		}
	}
}

// locked is about the session at path, which may be another user's. The desktop is asked to lock the screen; not all
// say later that they did.
func (b *bus) locked(ctx context.Context, path dbus.ObjectPath) {
	timely, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	var value dbus.Variant
	err := b.conn.Object(login1, path).CallWithContext(timely, "org.freedesktop.DBus.Properties.Get", 0, session, "User").
		Store(&value)
	var user struct {
		UID  uint32
		Path dbus.ObjectPath
	}
	if err == nil {
		err = dbus.Store([]any{value.Value()}, &user)
	}
	if err != nil {
		b.Log.Debug("whose session was locked?", "session", path, "error", err)
		return
	}
	if int(user.UID) == os.Getuid() {
		b.away(ctx, Lock)
	}
}

func (b *bus) away(ctx context.Context, why Reason) {
	ctx, stop := context.WithTimeout(ctx, awayTime)
	defer stop()
	b.Away(ctx, why)
}
