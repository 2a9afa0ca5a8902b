package nfcbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"fob/fido"
	"fob/fido/pcsc"
)

// EventKind says what has happened at a reader.
type EventKind int

const (
	Added   EventKind = iota + 1 // a key was held to the reader, and plugged in
	Removed                      // it is not plugged in any more; Err says why, nil for a card that left while idle
	Refused                      // there is a card that can't be used; Err says why
)

// Event is news of a card at a reader.
type Event struct {
	Kind   EventKind
	Reader string
	Device Device // not for Refused
	// Err is ErrCardLost for a card that left in the middle of a request, ErrNoFIDO for one that is no key,
	// fido.ErrDeviceBusy for one that another program holds, or another error.
	Err error
}

// Watcher plugs in the keys that are held to PC/SC readers.
type Watcher struct {
	Options

	mu      sync.Mutex
	devices map[string]Device // by reader
}

// Devices lists the keys that are plugged in, ordered by reader. It suits helper.Source.Extra.
func (w *Watcher) Devices() []fido.DeviceInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	var devices []Device
	for _, d := range w.devices {
		devices = append(devices, d)
	}
	slices.SortFunc(devices, func(a, b Device) int { return cmp.Compare(a.Reader, b.Reader) })
	var infos []fido.DeviceInfo
	for _, d := range devices {
		infos = append(infos, d.Info())
	}
	return infos
}

// Run watches the readers until ctx is done, and returns its error, or until pcscd ends, and returns pcsc.ErrNoService.
// Before it returns it unplugs all keys. It calls event, one call at a time, which should return soon.
//
// A card that another program has for itself is not plugged in, or unplugged, until that program lets go of it.
func (w *Watcher) Run(ctx context.Context, event func(Event)) error {
	client, err := pcsc.Dial(ctx, w.Socket)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	v := vigil{
		Watcher: w, event: event, slots: make(map[string]*slot),
		states: make(chan []pcsc.ReaderState), opened: make(chan opening), ended: make(chan ending),
	}
	defer v.forget()
	defer v.tasks.Wait()
	defer cancel()
	over := make(chan error, 1)
	v.tasks.Go(func() { over <- client.Watch(ctx, func(s []pcsc.ReaderState) { v.see(ctx, s) }) })
	return v.run(ctx, over)
}

// vigil is one Run. Its fields belong to the goroutine in run, but for the channels and tasks.
type vigil struct {
	*Watcher
	event  func(Event)
	tasks  sync.WaitGroup // Watch, and stays
	states chan []pcsc.ReaderState
	opened chan opening
	ended  chan ending
	slots  map[string]*slot // by reader
}

// slot is a reader.
type slot struct {
	state   pcsc.ReaderState // as pcscd told last
	stay    *stay            // in progress, or nil
	refused *refusal         // of the card in the reader, or nil
	lost    bool             // the card was lost, though pcscd has not told so yet
}

type refusal struct {
	card pcsc.ReaderState
	busy bool
}

type ending struct {
	stay *stay
	err  error
}

// see hands a change over.
func (v *vigil) see(ctx context.Context, s []pcsc.ReaderState) {
	select {
	case v.states <- s:
	case <-ctx.Done():
	}
}

func (v *vigil) run(ctx context.Context, over <-chan error) error {
	for {
		select {
		case err := <-over:
			return err
		case s := <-v.states:
			v.update(ctx, s)
		case o := <-v.opened:
			v.open(o)
		case e := <-v.ended:
			v.end(ctx, e)
		}
	}
}

// update takes what pcscd tells of all readers. One that is gone counts as empty until nothing of it is left.
func (v *vigil) update(ctx context.Context, states []pcsc.ReaderState) {
	for name, s := range v.slots {
		s.state = pcsc.ReaderState{Name: name}
	}
	for _, state := range states {
		if v.slots[state.Name] == nil {
			v.slots[state.Name] = new(slot)
		}
		v.slots[state.Name].state = state
	}
	for _, s := range v.slots {
		v.consider(ctx, s)
	}
}

// consider does what follows from the state of a reader. At each time there is one stay at a reader at most.
func (v *vigil) consider(ctx context.Context, s *slot) {
	exclusive := s.state.Sharing == pcsc.SharedExclusively
	switch {
	case s.stay != nil && !sameCard(s.stay.card, s.state):
		s.stay.cancel(ErrCardLost)
	case s.stay != nil && exclusive:
		s.stay.cancel(fido.ErrDeviceBusy)
	case s.stay != nil:
	case !s.state.HasCard():
		delete(v.slots, s.state.Name) // what was refused or lost is forgotten
	case s.refused != nil && s.refused.stands(s.state):
	case exclusive:
		v.refuse(s, s.state, fmt.Errorf("%w: %w", fido.ErrDeviceBusy, pcsc.ErrSharingViolation))
	default:
		v.start(ctx, s)
	}
}

// sameCard tells whether a card has stayed where it was.
func sameCard(before, now pcsc.ReaderState) bool { return now.HasCard() && now.Events == before.Events }

// stands is false when there is reason to look again.
func (r *refusal) stands(now pcsc.ReaderState) bool {
	return sameCard(r.card, now) && (!r.busy || now.Sharing == r.card.Sharing)
}

func (v *vigil) start(ctx context.Context, s *slot) {
	staying, cancel := context.WithCancelCause(ctx)
	y := &stay{card: s.state, cancel: cancel, opened: v.opened, again: s.lost}
	s.stay, s.refused, s.lost = y, nil, false
	v.tasks.Go(func() {
		defer cancel(nil)
		e := ending{y, y.run(staying, v.Options)}
		select {
		case v.ended <- e:
		case <-ctx.Done():
		}
	})
}

func (v *vigil) open(o opening) {
	o.stay.device = &o.device
	v.mu.Lock()
	if v.devices == nil {
		v.devices = make(map[string]Device)
	}
	v.devices[o.device.Reader] = o.device
	v.mu.Unlock()
	v.event(Event{Kind: Added, Reader: o.device.Reader, Device: o.device})
}

// end ends a stay. A card that was lost may be there still, after a disturbance, and gets another chance.
func (v *vigil) end(ctx context.Context, e ending) {
	s := v.slots[e.stay.card.Name]
	s.stay = nil
	lost := errors.Is(e.err, ErrCardLost)
	switch {
	case e.stay.device != nil:
		s.lost = lost
		v.unplug(*e.stay.device, e.err)
	case e.stay.again && lost: // as was told before
		s.refused = &refusal{card: e.stay.card}
	case e.err != nil:
		v.refuse(s, e.stay.card, e.err)
	}
	v.consider(ctx, s)
}

func (v *vigil) unplug(d Device, err error) {
	v.mu.Lock()
	delete(v.devices, d.Reader)
	v.mu.Unlock()
	v.event(Event{Kind: Removed, Reader: d.Reader, Device: d, Err: err})
}

func (v *vigil) refuse(s *slot, card pcsc.ReaderState, err error) {
	s.refused = &refusal{card: card, busy: errors.Is(err, fido.ErrDeviceBusy)}
	v.event(Event{Kind: Refused, Reader: card.Name, Err: err})
}

func (v *vigil) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.devices = nil
}
