package daemon

import (
	"context"
	"sync"

	"fob/daemon/caller"
	"fob/ipc"
	"fob/ipc/varlink"
)

// prompters are the programs that are told what ceremonies ask, and answer for the person. The zero value is ready.
type prompters struct {
	mu    sync.Mutex
	all   map[*prompter]struct{}
	group context.Context // ends when the last one has left; nil when there is none
	end   context.CancelFunc
}

// Bounds of prompters: how many there are, and how much each may leave unread.
const (
	maxPrompters = 8
	maxUntold    = 64
)

// prompter is one program.
type prompter struct {
	untold chan ipc.PromptReply
	slow   chan struct{} // closed when it was not told something
}

func (p *prompters) join() (*prompter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) >= maxPrompters {
		return nil, ipc.TooManyPrompters{}
	}
	if len(p.all) == 0 {
		p.all = make(map[*prompter]struct{})
		p.group, p.end = context.WithCancel(context.Background())
	}
	one := &prompter{make(chan ipc.PromptReply, maxUntold), make(chan struct{})}
	p.all[one] = struct{}{}
	return one, nil
}

func (p *prompters) leave(one *prompter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(one)
}

// drop removes a prompter, if it is there still.
func (p *prompters) drop(one *prompter) {
	if _, there := p.all[one]; !there {
		return
	}
	delete(p.all, one)
	if len(p.all) == 0 {
		p.end()
		p.group = nil
	}
}

// there is nil where there is no prompter, else it ends when the last of them has left.
func (p *prompters) there() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.group
}

// tell tells all prompters. One that reads too slowly is none any more.
func (p *prompters) tell(r ipc.PromptReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one := range p.all {
		select {
		case one.untold <- r:
		default:
			close(one.slow)
			p.drop(one)
		}
	}
}

// registerPrompter implements fob.Prompt.Register.
func (d *Daemon) registerPrompter(ctx context.Context, c *varlink.Call) (any, error) {
	who := caller.Of(c.Peer)
	if !d.Policy.Policy().MayPrompt(who) {
		return nil, ipc.NotAPrompter{}
	}
	one, err := d.prompters.join()
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
