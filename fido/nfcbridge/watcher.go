package nfcbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"fob/fido"
	"fob/fido/pcsc"
)

// EventKind says what has happened at a reader.
type EventKind string

const (
	Added   EventKind = "added"   // a key was held to the reader, and plugged in
	Removed EventKind = "removed" // it is not plugged in any more; Err says why, nil for a card that left while idle
	Refused EventKind = "refused" // there is a card that can't be used; Err says why
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
	held    map[string]bool   // readers whose cards other programs have for themselves
	changed map[*func()]bool
	problem error
}

// Problem is why cards can't be used: pcscd can't be reached. It is nil while it can.
func (w *Watcher) Problem() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

func (w *Watcher) setProblem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = err
}

// Changed has f called, which does not wait, each time that Devices gives others, until stop. It suits
// helper.Source.ExtraChanged.
func (w *Watcher) Changed(f func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.changed == nil {
		w.changed = make(map[*func()]bool)
	}
	w.changed[&f] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.changed, &f)
	}
}

// set notes what is plugged in at a reader now, nil for nothing.
func (w *Watcher) set(reader string, d *Device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.devices == nil {
		w.devices = make(map[string]Device)
	}
	if d == nil {
		delete(w.devices, reader)
	} else {
		w.devices[reader] = *d
	}
	for f := range w.changed {
		(*f)()
	}
}

// Held lists the readers with a card that other programs have for themselves, so that nobody can tell whether it is a
// key. One that is plugged in is not among them: its requests fail, as Key says.
func (w *Watcher) Held() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.held))
}

// hold notes whether others have the card in a reader, and tells whether they had it before.
func (w *Watcher) hold(reader string, held bool) (before bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.held[reader]
	switch {
	case !held:
		delete(w.held, reader)
	case w.held == nil:
		w.held = map[string]bool{reader: true}
	default:
		w.held[reader] = true
	}
	return before
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
// A card that another program has for itself is not plugged in until that program lets go of it. One that is plugged in
// stays so meanwhile, and is busy.
func (w *Watcher) Run(ctx context.Context, event func(Event)) error {
	client, err := pcsc.Dial(ctx, w.Socket)
	if err != nil {
		return err
	}
	defer client.Close()
	w.setProblem(nil)
	ctx, cancel := context.WithCancel(ctx)
	v := vigil{
		Watcher: w, event: event, slots: make(map[string]*slot),
		states: make(chan []pcsc.ReaderState), opened: make(chan opening), ended: make(chan ending),
		later: make(chan *refusal),
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
	later  chan *refusal
	slots  map[string]*slot // by reader
}

// slot is a reader.
type slot struct {
	state   pcsc.ReaderState // as pcscd told last
	stay    *stay            // in progress, or nil
	refused *refusal         // of the card in the reader, or nil
	lost    bool             // the card was lost, though pcscd has not told so yet
	pause   time.Duration    // before the last look at a busy or lost card
}

type refusal struct {
	card pcsc.ReaderState
	busy bool
}

// Pauses between looks at a card that another program keeps busy, or that was lost: pcscd does not tell of transactions
// that end, tells of the programs that use a card when something else changes too, and does not see a card that leaves
// and is back at once.
const (
	firstLook = 500 * time.Millisecond // doubled each time
	lastLook  = 64 * time.Second       // all together take two minutes
)

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
			if ctx.Err() == nil { // else all end
				v.end(ctx, e)
			}
		case r := <-v.later:
			v.lookAgain(ctx, r)
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
	case s.stay != nil:
	case !s.state.HasCard():
		delete(v.slots, s.state.Name) // what was refused or lost is forgotten
		v.hold(s.state.Name, false)
	case s.refused != nil && s.refused.stands(s.state):
	case exclusive:
		v.refuse(ctx, s, s.state, fmt.Errorf("%w: %w", fido.ErrDeviceBusy, pcsc.ErrSharingViolation))
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
	if s.refused != nil && !sameCard(s.refused.card, s.state) {
		s.lost, s.pause = false, 0
	}
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
	v.hold(o.device.Reader, false)
	v.slots[o.device.Reader].pause = 0
	v.set(o.device.Reader, &o.device)
	v.event(Event{Kind: Added, Reader: o.device.Reader, Device: o.device})
}

// end ends a stay. A card that was lost may be there still, after a disturbance, and gets another chance.
func (v *vigil) end(ctx context.Context, e ending) {
	s := v.slots[e.stay.card.Name]
	s.stay = nil
	s.lost = errors.Is(e.err, ErrCardLost)
	switch {
	case e.stay.device != nil:
		v.unplug(*e.stay.device, e.err)
	case e.stay.again && s.lost: // as was told before
		s.refused = &refusal{card: e.stay.card}
		v.lookLater(ctx, s)
	case e.err != nil:
		v.refuse(ctx, s, e.stay.card, e.err)
	}
	v.consider(ctx, s)
}

func (v *vigil) unplug(d Device, err error) {
	v.set(d.Reader, nil)
	v.event(Event{Kind: Removed, Reader: d.Reader, Device: d, Err: err})
}

func (v *vigil) refuse(ctx context.Context, s *slot, card pcsc.ReaderState, err error) {
	s.refused = &refusal{card: card, busy: errors.Is(err, fido.ErrDeviceBusy)}
	if before := v.hold(card.Name, s.refused.busy); !before || !s.refused.busy {
		v.event(Event{Kind: Refused, Reader: card.Name, Err: err})
	}
	if s.refused.busy || s.lost {
		v.lookLater(ctx, s)
	}
}

func (v *vigil) lookLater(ctx context.Context, s *slot) {
	if s.pause = max(2*s.pause, firstLook); s.pause > lastLook {
		return
	}
	r, timer := s.refused, time.NewTimer(s.pause)
	v.tasks.Go(func() {
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case v.later <- r:
		case <-ctx.Done():
		}
	})
}

// lookAgain looks at a card that was busy or lost, unless something has happened since, and whatever pcscd told last.
func (v *vigil) lookAgain(ctx context.Context, r *refusal) {
	if s := v.slots[r.card.Name]; s != nil && s.refused == r {
		v.start(ctx, s)
	}
}

func (v *vigil) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.devices, v.held = nil, nil
	for f := range v.changed {
		(*f)()
	}
}
