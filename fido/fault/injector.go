package fault

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// Injector makes the faults of one key happen.
type Injector struct {
	seed     uint64
	log      *slog.Logger
	presence emulator.Presence
	now      func() time.Time

	mu       sync.Mutex // guards the fields below
	faults   []*armed
	injected []Injection
	key      *softkey.Key  // once it is plugged in
	stay     *stay         // the last one
	moving   chan struct{} // closed when the last unplug fault has come to its end; nil before the first
	jumped   time.Duration // how much the key's clock is ahead
	slow     time.Duration // how much longer the next touch takes
}

// Injection is a fault that has happened.
type Injection struct {
	Fault  Fault
	Effect string // in words; what a random one has become
	Where  string // such as "out packet 2 of makeCredential"
}

// armed is a fault and what it has counted.
type armed struct {
	Fault
	index    int
	messages uint64 // of the kind that is asked for
	n        uint64 // packets of the last of them, or whatever else the trigger counts
}

// New makes an Injector. The seed decides what is left to chance: the same seed, faults and traffic have the same
// effects. It need not be a secret, so that it can be told with a test that has failed.
func New(seed uint64, faults ...Fault) *Injector {
	i := &Injector{seed: seed, log: slog.New(slog.DiscardHandler), presence: emulator.Approve, now: time.Now}
	for index, f := range faults {
		i.faults = append(i.faults, &armed{Fault: f, index: index})
	}
	return i
}

// Options puts the Injector between a key and the world: what o has there already stays on the side of the host. It is
// for one key; plugging in one that can't have a fault gives an *UnsuitableError.
func (i *Injector) Options(o softkey.Options) softkey.Options {
	if o.Log != nil {
		i.log = o.Log
	}
	if o.Presence != nil {
		i.presence = o.Presence
	}
	if o.Now != nil {
		i.now = o.Now
	}
	o.Presence, o.Now = i.touch, i.time
	o.Place = i.place(o.Place)
	o.Wrap = around(o.Wrap, func(h ctap.Handler) ctap.Handler { return &handler{i, h} })
	o.Link = around(func(c ctaphid.Conn) ctaphid.Conn { return newLink(i, c) }, o.Link) // it is given the host's side
	o.LinkCard = around(o.LinkCard, i.card)
	return o
}

// maxInjected is how many faults an Injector remembers.
const maxInjected = 100_000

// Injected lists the faults that have happened, in their order: the first 100000 of them.
func (i *Injector) Injected() []Injection {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.injected)
}

// chance is the source of all that is left to chance at one event of one fault. Each event has a source of its own, so
// that it doesn't matter which of two packets that cross comes first. ChaCha8 keeps sources with similar keys apart.
func (i *Injector) chance(a *armed) *rand.Rand {
	var key [32]byte
	for at, n := range []uint64{i.seed, uint64(a.index), a.messages, a.n} {
		binary.LittleEndian.PutUint64(key[8*at:], n)
	}
	return rand.New(rand.NewChaCha8(key))
}

// event is something that faults may happen to.
type event struct {
	place place
	names names
	first bool // at packets: it is the first of its message
	where string
	suits func(effect) bool // of the effects that this place may have
}

// hit is an effect that happens now.
type hit struct {
	effect
	chance *rand.Rand
}

// happen gives the effects that happen at an event, and writes them down.
func (i *Injector) happen(e event) (hits []hit) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, a := range i.faults {
		if a.when.place != e.place || !a.when.covers(e) || !i.counts(a, e) {
			continue
		}
		chance := i.chance(a)
		if !a.when.count.has(a.n, chance) {
			continue
		}
		effect := a.effect
		if r, ok := effect.(random); ok {
			effect = r.effectFor(e.place, chance, e.suits)
		}
		hits = append(hits, hit{effect, chance})
		i.note(Injection{a.Fault, effect.String(), e.where})
	}
	return hits
}

// covers reports whether a trigger is about what an event happens to. Keepalives come by the clock, so that they are
// counted only where they are asked for.
func (t trigger) covers(e event) bool {
	if e.names[0] == "keepalive" {
		return t.kind == "keepalive"
	}
	return e.names.are(t.kind)
}

// counts counts an event. It is false when the event is not one of those that the fault may happen to.
func (i *Injector) counts(a *armed, e event) bool {
	ofMessage := e.place <= packetOut && a.when.kind != ""
	if ofMessage && e.first {
		a.messages, a.n = a.messages+1, 0
	}
	if _, any := a.effect.(random); !any && !e.suits(a.effect) {
		return false
	}
	a.n++
	return !ofMessage || a.when.message.has(a.messages, i.chance(&armed{index: a.index, messages: a.messages}))
}

// note writes down what has happened. The caller holds mu.
func (i *Injector) note(n Injection) {
	if len(i.injected) < maxInjected {
		i.injected = append(i.injected, n)
	}
	i.log.Info("fault", "effect", n.Effect, "where", n.Where, "fault", n.Fault.String())
}

// touch is the presence of the key.
func (i *Injector) touch(ctx context.Context, r emulator.PresenceRequest) error {
	i.mu.Lock()
	d := i.slow
	i.slow = 0
	i.mu.Unlock()
	if d > 0 && !wait(ctx, d) {
		return ctx.Err()
	}
	return i.presence(ctx, r)
}

// time is the clock of the key.
func (i *Injector) time() time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now().Add(i.jumped)
}

// around gives outer around inner, either of which may be nil.
func around[T any](outer, inner func(T) T) func(T) T {
	switch {
	case outer == nil:
		return inner
	case inner == nil:
		return outer
	}
	return func(x T) T { return outer(inner(x)) }
}
