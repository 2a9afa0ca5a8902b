package session

import (
	"context"
	"os"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// State says whether somebody is at the computer.
type State struct {
	Known   bool
	Away    Reason // of Known: why nobody is; empty where somebody is
	Problem string // why it is not known, in words
}

// String says it in words.
func (s State) String() string {
	switch {
	case !s.Known && s.Problem != "":
		return "not known whether somebody is at the computer: " + s.Problem
	case !s.Known:
		return "not known yet whether somebody is at the computer"
	case s.Away != "":
		return "nobody is at the computer: " + string(s.Away)
	default:
		return "somebody is at the computer"
	}
}

// State tells what the watcher knows now.
func (w *Watcher) State() State {
	s, _, _ := w.presence.get()
	return s
}

// Present gives the Reason why nobody is at the computer now, as an error; nil where somebody is, or that is not known.
// While Run has just begun it waits for an answer, for a second, or until ctx ends.
func (w *Watcher) Present(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, firstTime)
	defer stop()
	state, told, changed := w.presence.get()
	if !told {
		select {
		case <-changed:
		case <-ctx.Done():
		}
		state, _, _ = w.presence.get()
	}
	if state.Away != "" {
		return state.Away
	}
	return nil
}

// presence is the State as it was told last. The zero value is ready.
type presence struct {
	mu      sync.Mutex
	state   State
	told    bool
	changed chan struct{} // closed when something is told; nil where nobody waits for that
}

func (p *presence) get() (s State, told bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.state, p.told, p.changed
}

// set tells, and gives what was told before.
func (p *presence) set(s State) (before State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed != nil {
		close(p.changed)
	}
	before, p.state, p.told, p.changed = p.state, s, true, nil
	return before
}

// refresh asks logind again. Where nobody is there any more, ceremonies end.
func (b *bus) refresh(ctx context.Context) {
	now := b.ask(ctx)
	if before := b.presence.set(now); now.Away != "" && before.Away == "" {
		b.away(ctx, now.Away)
	}
}

// ask asks logind whether our user has a session where somebody is: one that has its screen, or none to share, as over
// SSH, and is not locked.
func (b *bus) ask(ctx context.Context) State {
	if b.sleeps {
		return State{Known: true, Away: Suspend}
	}
	ctx, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	all, err := b.sessions(ctx)
	switch {
	case err != nil:
		return State{Problem: err.Error()}
	case len(all) == 0:
		return State{Problem: "this user has no session"}
	}
	away := Inactive
	for _, s := range all {
		if s.active && !s.locked {
			return State{Known: true}
		}
		if s.active {
			away = Lock
		}
	}
	return State{Known: true, Away: away}
}

// userSession is a session of our user.
type userSession struct{ active, locked bool }

// maxSessions is how many sessions of our user are looked at.
const maxSessions = 64

// sessions lists those of our user in which a person may be.
func (b *bus) sessions(ctx context.Context) (list []userSession, err error) {
	var all []struct {
		ID   string
		UID  uint32
		User string
		Seat string
		Path dbus.ObjectPath
	}
	err = b.conn.Object(login1, "/org/freedesktop/login1").CallWithContext(ctx, manager+".ListSessions", 0).Store(&all)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if int(s.UID) != os.Getuid() || len(list) == maxSessions {
			continue
		}
		var p map[string]dbus.Variant
		call := b.conn.Object(login1, s.Path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, session)
		if call.Store(&p) != nil { // it has just ended
			continue
		}
		class, _ := p["Class"].Value().(string)
		state, _ := p["State"].Value().(string)
		if !strings.HasPrefix(class, "user") || state == "closing" { // a greeter, or a manager of services
			continue
		}
		active, _ := p["Active"].Value().(bool)
		locked, _ := p["LockedHint"].Value().(bool)
		list = append(list, userSession{active, locked})
	}
	return list, nil
}
