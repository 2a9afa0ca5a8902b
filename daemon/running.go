package daemon

import (
	"context"
	"errors"
	"sync"

	"fob/daemon/session"
	"fob/ipc"
)

// running are the ceremonies that go on. The zero value is ready.
type running struct {
	mu  sync.Mutex
	all map[*ongoing]struct{}
}

// ongoing is a ceremony that goes on.
type ongoing struct {
	cancel context.CancelCauseFunc
	goesOn func() bool // while the screen is locked
	ended  chan struct{}
}

// begin counts a ceremony in, until end. ctx ends early when the ceremony is interrupted; one that goes on is not by a
// lock.
func (r *running) begin(parent context.Context, goesOn func() bool) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(parent)
	mine := &ongoing{cancel, goesOn, make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[*ongoing]struct{})
	}
	r.all[mine] = struct{}{}
	return ctx, func() {
		cancel(nil)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.all, mine)
		close(mine.ended)
	}
}

// begin counts a ceremony in, until end; see running.begin.
func (d *Daemon) begin(parent context.Context, goesOn func() bool) (ctx context.Context, end func()) {
	changed := d.Changed
	if changed == nil {
		changed = func() {}
	}
	ctx, leave := d.running.begin(parent, goesOn)
	changed()
	return ctx, func() { leave(); changed() }
}

// interrupt cancels those that don't go on, and gives them.
func (r *running) interrupt(why session.Reason) (cancelled []*ongoing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.all {
		if one.goesOn() && why != session.Suspend {
			continue
		}
		one.cancel(ipc.Interrupted{Reason: string(why)})
		cancelled = append(cancelled, one)
	}
	return cancelled
}

// Interrupt cancels the ceremonies that go on, because nobody is at the computer any more. Those that may go on while
// the screen is locked do, unless the computer goes to sleep. It returns when their keys are dark, or ctx ends. What the
// person has agreed to for the session is forgotten.
func (d *Daemon) Interrupt(ctx context.Context, why session.Reason) {
	cancelled := d.running.interrupt(why)
	d.consents.Forget()
	for _, one := range cancelled {
		select {
		case <-one.ended:
		case <-ctx.Done():
			return
		}
	}
}

// goesOn reports whether a ceremony may begin, and goes on, while nobody is at the computer, as long as that is awake.
func (c *ceremony) goesOn() bool { return c.whenLocked.Load() || c.verb == "" }

// present refuses a ceremony while nobody is at the computer, unless it goes on then.
func (d *Daemon) present(ctx context.Context, goesOn bool) error {
	if d.Present == nil {
		return nil
	}
	var why session.Reason
	if !errors.As(d.Present(ctx), &why) || goesOn && why != session.Suspend {
		return nil
	}
	return ipc.SessionLocked{Reason: string(why)}
}
