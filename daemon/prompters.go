package daemon

import (
	"context"
	"os"
	"sync"

	"fob/daemon/caller"
	"fob/daemon/consent"
	"fob/ipc"
	"fob/ipc/varlink"
)

// prompters are the programs that are told what ceremonies ask, and answer for the person. The zero value is ready.
type prompters struct {
	mu    sync.Mutex
	all   map[*prompter]struct{}
	asked map[*asked]struct{}
}

// asked is a question that waits for one of those who hear of it.
type asked struct {
	uid       uint32 // of the user whose ceremony it is
	dismissed context.CancelCauseFunc
}

// Bounds of prompters: how many there are, and how much each may leave unread.
const (
	maxPrompters = 8
	maxUntold    = 64
)

// prompter is one program.
type prompter struct {
	uid    uint32 // of its user
	untold chan ipc.PromptReply
	slow   chan struct{} // closed when it was not told something
}

func (p *prompters) join(uid uint32) (*prompter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= maxPrompters {
		return nil, ipc.TooManyPrompters{}
	}
	if p.all == nil {
		p.all, p.asked = make(map[*prompter]struct{}), make(map[*asked]struct{})
	}
	one := &prompter{uid, make(chan ipc.PromptReply, maxUntold), make(chan struct{})}
	p.all[one] = struct{}{}
	return one, nil
}

func (p *prompters) leave(one *prompter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(one)
}

// drop removes a prompter. Who asks and has nobody left who hears of it is told.
func (p *prompters) drop(one *prompter) {
	delete(p.all, one)
	for q := range p.asked {
		if !p.heard(q.uid) {
			q.dismissed(consent.ErrDismissed)
		}
	}
}

// heard reports whether a prompter hears of a user's ceremonies: one of that user, or of root.
func (p *prompters) heard(uid uint32) bool {
	for one := range p.all {
		if answersFor(one.uid, uid) {
			return true
		}
	}
	return false
}

// ask begins a question about a user's ceremony, until done. Its ctx ends when the last prompter that hears of it has
// left; consent.ErrUnable where there is none.
func (p *prompters) ask(ctx context.Context, uid uint32) (_ context.Context, done func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.heard(uid) {
		return nil, nil, consent.ErrUnable
	}
	ctx, dismissed := context.WithCancelCause(ctx)
	q := &asked{uid, dismissed}
	p.asked[q] = struct{}{}
	return ctx, func() {
		dismissed(nil)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.asked, q)
	}, nil
}

// tell tells the prompters that hear of a user's ceremonies. One that reads too slowly is none any more.
func (p *prompters) tell(uid uint32, r ipc.PromptReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.all {
		if !answersFor(one.uid, uid) {
			continue
		}
		select {
		case one.untold <- r:
		default:
			close(one.slow)
			p.drop(one)
		}
	}
}

// mayPrompt reports whether a program of an owner may be a prompter. The files of root's programs are not for us to see
// where we are not root; but root could be us, and needs nobody's leave.
func (d *Daemon) mayPrompt(who caller.Caller) bool {
	return who.UID == 0 && os.Getuid() != 0 || d.Policy.Policy().MayPrompt(who)
}

// registerPrompter implements fob.Prompt.Register.
func (d *Daemon) registerPrompter(ctx context.Context, c *varlink.Call) (any, error) {
	who := callerOf(ctx)
	if !d.mayPrompt(who) {
		return nil, ipc.NotAPrompter{}
	}
	one, err := d.prompters.join(who.UID)
	if err != nil {
		return nil, err
	}
	defer d.prompters.leave(one)
	d.Log.Info("prompter", "program", who.String())
	if err := c.Continue(ipc.PromptReply{}); err != nil {
		return nil, err
	}
	for {
		select {
		case r := <-one.untold:
			if err := c.Continue(r); err != nil {
				return nil, err
			}
		case <-one.slow:
			return nil, ipc.TooSlow{}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
