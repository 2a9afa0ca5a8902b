package daemon

import (
	"context"
	"errors"
	"slices"

	"fob/fido"
	"fob/ipc"
)

// waiting is a ceremony that waits for its turn on keys.
type waiting struct {
	*Daemon
	ceremony *ceremony
	id       string            // of the key that it is for; empty for any
	devices  []fido.DeviceInfo // that may serve, of those that are plugged in
	ticket   *ticket
	place    place
	told     *place // what the person knows; nil for nothing

	following *following      // once the person knows that it takes a while
	changed   <-chan struct{} // closed when other keys are plugged in than devices
	leave     func()
}

// place is where a ceremony has to wait: behind so many others, the first of which is the holder's. It is zero where
// there is no key.
type place struct {
	turn   turn
	ahead  int
	holder *ipc.Holder
}

// take gets the turn on the keys that id means, on all that are free, and says which are not. Where none is free, or
// none is plugged in, it waits for the first, if the caller does.
func (d *Daemon) take(ctx context.Context, c *ceremony, id string) ([]fido.DeviceInfo, *ticket, error) {
	devices, err := d.pick(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	w := &waiting{Daemon: d, ceremony: c, id: id, leave: func() {}}
	if err := w.mayUse(ctx, devices); err != nil {
		return nil, nil, err
	}
	w.ticket = d.turns.enter(clientOf(c.caller), c.holder(), turnsOf(w.devices))
	if w.ticket == nil {
		return nil, nil, w.busy()
	}
	free, err := w.untilTurn(ctx)
	if err == nil {
		err = w.pass(ctx, free)
	}
	if err != nil {
		w.ticket.leave()
		return nil, nil, err
	}
	return free, w.ticket, nil
}

// mayUse has the ceremony use these keys, as far as it may. One that is for one key keeps to the first that it finds.
func (w *waiting) mayUse(ctx context.Context, devices []fido.DeviceInfo) (err error) {
	if w.ceremony.one && len(devices) > 1 {
		return severalDevices(devices)
	}
	w.devices, err = w.admit(ctx, w.ceremony, devices)
	if w.ceremony.one && len(w.devices) > 0 {
		w.id = string(w.devices[0].ID)
	}
	return err
}

// untilTurn waits, and gives the keys whose turn it is then.
func (w *waiting) untilTurn(ctx context.Context) ([]fido.DeviceInfo, error) {
	defer func() { w.leave() }()
	for {
		if ctx.Err() != nil { // though it may be our turn by now
			return nil, w.late(ctx)
		}
		var has []turn
		if has, w.place = w.ticket.look(); has != nil {
			return w.those(has)
		}
		if err := w.tell(); err != nil {
			return nil, err
		}
		select {
		case <-w.ticket.moved:
		case <-w.changed:
			if err := w.look(ctx); err != nil {
				return nil, err
			}
		case <-ctx.Done():
		}
	}
}

// late is the error of a ceremony that ended before its turn. Where that was the timeout, nobody was asked for a touch.
func (w *waiting) late(ctx context.Context) error {
	switch err := context.Cause(ctx); {
	case !errors.Is(err, ipc.TimedOut{}):
		return err
	case len(w.devices) == 0:
		return w.absent()
	default:
		return w.busy()
	}
}

// busy says who holds the key, or one of them.
func (w *waiting) busy() error {
	if holder := w.place.holder; holder != nil || len(w.devices) == 0 {
		return ipc.DeviceBusy{Holder: holder}
	}
	return ipc.DeviceBusy{Holder: w.turns.heldBy(turnOf(w.devices[0]), clientOf(w.ceremony.caller))}
}

// those gives the keys that turns are for.
func (w *waiting) those(has []turn) ([]fido.DeviceInfo, error) {
	devices := slices.DeleteFunc(slices.Clone(w.devices), func(d fido.DeviceInfo) bool {
		return !slices.Contains(has, turnOf(d))
	})
	if len(devices) == 0 { // it was unplugged just now
		return nil, ipc.DeviceGone{}
	}
	return devices, nil
}

// tell tells the person what the ceremony waits for. The error is that of a caller who does not wait for it.
func (w *waiting) tell() error {
	switch {
	case len(w.devices) == 0:
		return w.tellPlug()
	case w.place.ahead == 0: // it is our turn in a moment
		return nil
	case w.ceremony.noWait:
		return w.busy()
	}
	_ = w.follow() // else it waits for the keys that it knows
	at := slices.IndexFunc(w.devices, func(d fido.DeviceInfo) bool { return turnOf(d) == w.place.turn })
	return w.say(w.devices[at], ipc.Event{Kind: ipc.EventWaiting, Position: w.place.ahead})
}

// tellPlug asks for a key to be plugged in, where that would be seen.
func (w *waiting) tellPlug() error {
	err := w.absent()
	if !errors.Is(err, ipc.NoDevice{}) || w.ceremony.noWait || !w.ceremony.call.More || w.follow() != nil {
		return err
	}
	return w.say(fido.DeviceInfo{}, ipc.Event{Kind: ipc.EventPlug})
}

// say sends an event, unless it was the last one.
func (w *waiting) say(dev fido.DeviceInfo, e ipc.Event) error {
	now := place{turn: turnOf(dev), ahead: e.Position}
	if w.told != nil && *w.told == now {
		return nil
	}
	w.told = &now
	return w.ceremony.send(dev, e)
}

// follow has the ceremony notice when other keys are plugged in.
func (w *waiting) follow() error {
	source, ok := w.Source.(fido.Watcher)
	switch {
	case w.following != nil:
		return nil
	case !ok:
		return fido.ErrWatchEnded
	}
	following, leave, err := w.plugs.join(source)
	if err == nil {
		w.following, w.leave, w.changed = following, leave, closed // look at once: what we know is older
	}
	return err
}

// closed is a channel that is.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// look looks at what is plugged in now.
func (w *waiting) look(ctx context.Context) error {
	now, changed, over := w.following.state()
	if w.changed = changed; over {
		w.changed = nil
	}
	var devices []fido.DeviceInfo
	for _, p := range now {
		if w.id == "" || w.id == string(p.ID) {
			devices = append(devices, p.DeviceInfo)
		}
	}
	switch {
	case len(devices) == 0 && w.id != "":
		return ipc.DeviceGone{}
	case len(devices) == 0 && over:
		return w.absent()
	}
	if err := w.mayUse(ctx, devices); err != nil {
		return err
	}
	w.ticket.follow(turnsOf(w.devices))
	return nil
}

// pass says which keys others have, while the ceremony goes on with those that it has got.
func (w *waiting) pass(ctx context.Context, got []fido.DeviceInfo) error {
	for _, dev := range w.devices {
		if slices.ContainsFunc(got, func(g fido.DeviceInfo) bool { return g.ID == dev.ID }) {
			continue
		}
		busy := ipc.DeviceBusy{Holder: w.turns.heldBy(turnOf(dev), w.ticket.client)}
		if err := w.ceremony.Passed(ctx, dev, busy); err != nil {
			return err
		}
	}
	return nil
}
