package daemon

import (
	"context"
	"slices"
	"sync"

	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
)

// joining finds the keys that are plugged in while a ceremony for any key has others lit, and opens them for it.
type joining struct {
	*Daemon
	ceremony *ceremony
	first    []turn        // that the ceremony began with
	keys     []*openKey    // that have joined
	out      chan struct{} // gets a value when a key is not used any more

	following *following // nil before a key is awaited, as are the two that come with it
	forget    func()
	ticket    *ticket // for more turns

	mu   sync.Mutex
	in   map[turn]bool // the keys that the ceremony uses
	seen map[int]bool  // the stays that were looked at
}

func newJoining(c *ceremony, devices []fido.DeviceInfo) *joining {
	return &joining{Daemon: c.daemon, ceremony: c, first: turnsOf(devices),
		in: make(map[turn]bool), seen: make(map[int]bool), out: make(chan struct{}, 1)}
}

// next implements fido.Keys.
func (j *joining) next(ctx context.Context) (fido.Candidate, error) {
	if j.following == nil {
		if err := j.begin(); err != nil {
			return fido.Candidate{}, err
		}
	}
	for {
		now, changed, over := j.following.state()
		if over {
			return fido.Candidate{}, fido.ErrWatchEnded
		}
		if k, err := j.look(ctx, now); k.Info.ID != "" {
			return k, err
		}
		select {
		case <-changed:
		case <-j.ticket.moved:
		case <-j.out:
		case <-ctx.Done():
			return fido.Candidate{}, ctx.Err()
		}
	}
}

// begin follows what is plugged in. The keys that the ceremony knows are not looked at again, whatever became of them.
func (j *joining) begin() error {
	source, ok := j.Source.(fido.Watcher)
	if !ok {
		return fido.ErrWatchEnded
	}
	following, forget, err := j.plugs.join(source)
	if err != nil {
		return err
	}
	j.following, j.forget = following, forget
	j.ticket = j.turns.enterSpare(clientOf(j.ceremony.caller), j.ceremony.holder())
	now, _, _ := following.state()
	for _, p := range now {
		if j.ceremony.judged(p.DeviceInfo) {
			j.saw(p.stay)
		}
	}
	return nil
}

// look opens a key that is new and whose turn we get; or says why one can't join. The ID is empty for none.
func (j *joining) look(ctx context.Context, now []plugged) (fido.Candidate, error) {
	fresh := slices.DeleteFunc(slices.Clone(now), j.knows)
	for _, p := range fresh {
		if err := j.ceremony.joins(ctx, p.DeviceInfo); err != nil {
			j.saw(p.stay)
			return fido.Candidate{Info: p.DeviceInfo}, err
		}
	}
	for _, p := range j.free(fresh) {
		j.saw(p.stay)
		k, err := j.openKey(ctx, j.ceremony, p.DeviceInfo)
		switch {
		case err == nil:
			k.joining, j.keys = j, append(j.keys, k)
			return k.candidate(), nil
		case !gone(err) && ctx.Err() == nil:
			return fido.Candidate{Info: p.DeviceInfo}, err
		}
	}
	return fido.Candidate{}, nil
}

// knows reports whether a key was looked at, or is where one is in use that may have left.
func (j *joining) knows(p plugged) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen[p.stay] || j.in[turnOf(p.DeviceInfo)]
}

func (j *joining) saw(stay int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen[stay] = true
}

// free gives those keys that nobody else has, and that have become ours.
func (j *joining) free(fresh []plugged) []plugged {
	var wanted []turn
	for _, p := range fresh {
		if t := turnOf(p.DeviceInfo); !slices.Contains(j.first, t) {
			wanted = append(wanted, t)
		}
	}
	has := append(j.ticket.seek(wanted), j.first...)
	return slices.DeleteFunc(fresh, func(p plugged) bool { return !slices.Contains(has, turnOf(p.DeviceInfo)) })
}

// uses notes that a key is in use, until leave.
func (j *joining) uses(dev fido.DeviceInfo) (leave func()) {
	t := turnOf(dev)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.in[t] = true
	return func() { j.leave(t) }
}

// leave says that a key is out of the ceremony, and may join again after a replug.
func (j *joining) leave(t turn) {
	j.mu.Lock()
	delete(j.in, t)
	j.mu.Unlock()
	select {
	case j.out <- struct{}{}:
	default: // there is one already
	}
}

// end says that the keys are dark, and about to be closed.
func (j *joining) end() {
	if j.ticket != nil {
		j.ticket.end()
	}
}

// close closes all keys, and gives up the turns on those that have joined.
func (j *joining) close() {
	for _, k := range j.keys {
		k.close()
	}
	if j.following != nil {
		j.ticket.leave()
		j.forget()
	}
}

// devices are those of the keys that have joined, too.
func (j *joining) devices() (list []fido.DeviceInfo) {
	for _, k := range j.keys {
		list = append(list, k.info)
	}
	return list
}

// joins reports whether the ceremony may use a key that was plugged in while others are lit. The person is not asked in
// the middle of it; if they were before, they have agreed.
func (c *ceremony) joins(ctx context.Context, dev fido.DeviceInfo) error {
	decision := c.policy.Decide(c.request(dev))
	agreed := c.agreed || c.unasked && decision.Headless == policy.Allow ||
		decision.Action == policy.AskOnce && c.daemon.consents.Has(c.question(nil, false), dev.ID)
	unlocked := decision.WhenLocked || !c.whenLocked.Load() // else the ceremony would go on when the screen is locked
	if !unlocked || decision.Action != policy.Allow && (decision.Action == policy.Deny || !agreed) {
		return c.refused(ipc.ByPolicy, decision)
	}
	if decision.Rule != nil {
		entryOf(ctx).decide(string(decision.Action), decision.Rule.String())
	}
	return nil
}
