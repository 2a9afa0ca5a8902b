package daemon

import (
	"context"
	"time"

	"fob/fido"
	"fob/ipc/varlink"
)

// Load is what a daemon is busy with.
type Load struct {
	Ceremonies int // that go on; those that wait, and whose helpers have not ended, are among them
	Waiting    int // for their turn
	Prompts    int // that wait for an answer
}

// Load looks at what the daemon is busy with. It needs each lock that ceremonies need.
func (d *Daemon) Load() Load {
	return Load{Ceremonies: d.running.count(), Waiting: d.turns.queued(), Prompts: d.prompts.count()}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// queued is how many wait for their turn.
func (t *turns) queued() (sum int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.waiting {
		sum += n
	}
	return sum
}

func (p *prompts) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// FollowKeys calls changed with the number of keys that are plugged in, now and when it changes, until ctx ends, and
// gives ctx.Err(). An error of the source may end it before; fido.ErrWatchEnded when that gives no reason.
func (d *Daemon) FollowKeys(ctx context.Context, changed func(n int)) error {
	source, ok := d.Source.(fido.Watcher)
	if !ok {
		return fido.ErrWatchEnded
	}
	f, leave, err := d.plugs.join(source)
	if err != nil {
		return err
	}
	defer leave()
	for {
		now, more, over := f.state()
		changed(len(now))
		if over {
			return fido.ErrWatchEnded
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// measured counts the calls of h, and how long they take.
func (d *Daemon) measured(h varlink.Handler) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		begin := time.Now()
		reply, err := h(ctx, c)
		d.Metrics.Call(c.Method, result(err), time.Since(begin))
		return reply, err
	}
}
