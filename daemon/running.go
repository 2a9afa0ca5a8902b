package daemon

import (
	"context"
	"sync"

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
	ended  chan struct{}
}

// begin counts a ceremony in, until end. ctx ends early when the ceremony is interrupted.
func (r *running) begin(parent context.Context) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(parent)
	mine := &ongoing{cancel, make(chan struct{})}
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

// interrupt cancels all, for a reason, and gives them.
func (r *running) interrupt(reason error) (cancelled []*ongoing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := range r.all {
		one.cancel(reason)
		cancelled = append(cancelled, one)
	}
	return cancelled
}

// Interrupt cancels all ceremonies that go on, because nobody is at the computer any more; reason says why, in words.
// It returns when their keys are dark, or ctx ends. What the person has agreed to for the session is forgotten.
func (d *Daemon) Interrupt(ctx context.Context, reason string) {
	cancelled := d.running.interrupt(ipc.Interrupted{Reason: reason})
	d.consents.Forget()
	for _, one := range cancelled {
		select {
		case <-one.ended:
		case <-ctx.Done():
			return
		}
	}
}
