package fido

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"fob/fido/ctap"
)

// lateTime is how long keys that are ready wait for others that take their time to say what they can do. Those join
// later, as keys do that are plugged in then.
const lateTime = time.Second

// race is a ceremony on several keys, of which the one that is touched first performs it.
type race[T any] struct {
	person   *sharedPrompter
	prepare  preparation[T]
	next     func(context.Context) (Candidate, error) // see Keys; nil where no more keys come
	attempts []*attempt[T]                            // of keys that may serve

	preparing int // keys that say what they can do in a moment
	answered  chan answered[T]
	joined    chan joined    // has room for the one key that is awaited at a time
	tasks     sync.WaitGroup // what goes on until the end of the ceremony, one race or more
}

// answered is what came of the preparation of a key: an attempt, or why there is none.
type answered[T any] struct {
	at      int // of the keys that the ceremony began with; -1 of one that has joined
	key     Candidate
	attempt *attempt[T]
	err     error
}

// joined is what Keys.Next has given.
type joined struct {
	key Candidate
	err error
}

// begin prepares the ceremony on all keys at once. It keeps those that are known to have the credential, if there are
// any, and else those that may serve; its error is that of the last key when there is none.
func (r *race[T]) begin(ctx context.Context, keys []Candidate) error {
	if len(keys) == 0 {
		return ErrNoDevice
	}
	for i, k := range keys {
		r.ready(ctx, i, k, len(keys) > 1)
	}
	failed, err := r.wait(ctx, len(keys))
	switch {
	case err != nil:
		return err
	case len(r.attempts) == 0:
		return failed[len(failed)-1].err
	}
	for _, p := range failed {
		if p.err == nil || errors.Is(p.err, ctap.ErrNoCredentials) { // which all keys are expected to say, but one
			continue
		}
		if err := r.person.Passed(ctx, p.key.Info, p.err); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(r.attempts, func(a *attempt[T]) bool { return a.holds }) {
		r.attempts = slices.DeleteFunc(r.attempts, func(a *attempt[T]) bool { return !a.holds })
	}
	return nil
}

// ready prepares the ceremony on a key, beside others.
func (r *race[T]) ready(ctx context.Context, at int, k Candidate, several bool) {
	r.preparing++
	r.tasks.Go(func() {
		a, err := newAttempt(ctx, k, r.person, several, r.prepare)
		select {
		case r.answered <- answered[T]{at, k, a, err}:
		case <-ctx.Done():
		}
	})
}

// wait waits until n keys are prepared, or some are, and the others are late. It gives those that failed, each in its
// place; the others have no error.
func (r *race[T]) wait(ctx context.Context, n int) ([]answered[T], error) {
	able, failed := make([]*attempt[T], n), make([]answered[T], n)
	late := time.NewTimer(lateTime)
	defer late.Stop()
	isLate := false
	for r.preparing > 0 && (!isLate || !slices.ContainsFunc(able, func(a *attempt[T]) bool { return a != nil })) {
		select {
		case p := <-r.answered:
			r.preparing--
			if able[p.at] = p.attempt; p.err != nil {
				failed[p.at] = p
				p.key.left()
			}
		case <-late.C:
			isLate = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.attempts = slices.DeleteFunc(able, func(a *attempt[T]) bool { return a == nil })
	return failed, nil
}

// left says that the ceremony goes on without the key.
func (k Candidate) left() {
	if k.Leave != nil {
		k.Leave()
	}
}

// out says that the ceremony goes on without the key.
func (a *attempt[T]) out() {
	if a.leave != nil {
		a.leave()
	}
	a.leave = nil
}

// drop forgets an attempt that has failed, and those that were passed over.
func (r *race[T]) drop(failed *attempt[T]) {
	r.attempts = slices.DeleteFunc(r.attempts, func(a *attempt[T]) bool {
		gone := a.passed || a == failed
		if gone {
			a.out()
		}
		return gone
	})
}

// run performs the ceremony on the key that is touched first, and darkens the others. Keys that end before with an
// error are passed over while others wait. It gives the attempt that the value or the error come from, nil for that of
// a key which had none.
func (r *race[T]) run(ctx context.Context) (a *attempt[T], v T, err error) {
	if len(r.attempts) == 1 && r.preparing == 0 && r.next == nil {
		v, err = r.attempts[0].whole(ctx)
		return r.attempts[0], v, err
	}
	racing, cancel := context.WithCancel(ctx)
	h := &heat[T]{race: r, results: make(chan outcome[T]), late: make(chan outcome[T], 1)}
	winner := h.decide(ctx, racing)
	cancel()
	h.running.Wait() // and the others are dark
	if ctx.Err() != nil && winner.attempt == nil && h.left == 1 && len(h.late) == 1 {
		winner = <-h.late // which may say more than that the time is over: a card was awaited
	}
	if winner.err != nil {
		return winner.attempt, v, winner.err
	}
	if h.lit > 1 {
		if err := r.person.Chosen(ctx, winner.device); err != nil {
			return winner.attempt, v, err
		}
	}
	if !winner.touched {
		return winner.attempt, winner.value, nil
	}
	v, err = winner.whole(ctx)
	return winner.attempt, v, err
}

// heat is one run of a race. Its fields belong to the goroutine in decide.
type heat[T any] struct {
	*race[T]
	running sync.WaitGroup
	results chan outcome[T]
	late    chan outcome[T] // has room for one that came when nobody waited for it
	left    int             // keys that wait for a touch
	lit     int             // those that did so at any time
	awaits  bool            // another key is awaited
}

// decide takes what happens until something ends the race: a touch, a result, a person who gave up, or the last key.
func (h *heat[T]) decide(ctx, racing context.Context) (winner outcome[T]) {
	for _, a := range h.attempts {
		h.start(racing, a)
	}
	for over := false; !over; {
		select {
		case o := <-h.results:
			winner, over = h.take(racing, o)
		case a := <-h.answered:
			h.preparing--
			winner, over = h.join(racing, a)
		case j := <-h.joined:
			winner, over = h.found(ctx, racing, j)
		case <-ctx.Done():
			winner, over = outcome[T]{err: ctx.Err()}, true
		}
	}
	return winner
}

// start has a key wait for a touch. The only one that wants a PIN asks for it first; others may join when it is lit,
// but for a card, which does not wait.
func (h *heat[T]) start(racing context.Context, a *attempt[T]) {
	perform := a.untilTouched
	if h.left == 0 && a.method >= byPIN && h.only(a) {
		perform = a.untilDone
		lit := make(chan struct{})
		if a.device.Reader == "" {
			a.told = sync.OnceFunc(func() { close(lit) })
		}
		h.await(racing, lit)
	} else {
		h.await(racing, nil)
	}
	h.left++
	h.lit++
	h.running.Go(func() {
		o := perform(racing)
		select {
		case h.results <- o:
			return
		case <-racing.Done():
		}
		select {
		case h.late <- o:
		default: // there is one already
		}
	})
}

// only reports whether no other key may serve, so far.
func (h *heat[T]) only(a *attempt[T]) bool {
	return h.preparing == 0 && !slices.ContainsFunc(h.attempts, func(b *attempt[T]) bool { return b != a && !b.passed })
}

// take takes how an attempt has ended.
func (h *heat[T]) take(racing context.Context, o outcome[T]) (winner outcome[T], over bool) {
	h.left--
	others := h.left+h.preparing > 0
	switch {
	case o.pin && others:
		h.lit--
		h.start(racing, o.attempt)
		return o, false
	case o.pin:
		o.err, o.touched = nil, true
		return o, true
	case o.err == nil, racing.Err() != nil:
		return o, true
	case !others:
		o.err = o.pinError(racing, o.err)
		return o, true
	case !passable(racing, h.person, o.err):
		return o, true
	}
	o.passed = true
	o.out()
	o.err = h.person.Passed(racing, o.device, o.err)
	return o, o.err != nil
}

// join takes a key that is prepared while others wait for a touch.
func (h *heat[T]) join(racing context.Context, k answered[T]) (winner outcome[T], over bool) {
	began := k.at >= 0
	switch {
	case k.err != nil && h.left+h.preparing == 0:
		k.key.left()
		return outcome[T]{err: k.err}, true
	case k.err != nil:
		k.key.left()
		if !began || !errors.Is(k.err, ctap.ErrNoCredentials) { // see begin
			err := h.person.Passed(racing, k.key.Info, k.err)
			return outcome[T]{err: err}, err != nil
		}
	case began && !k.attempt.holds && slices.ContainsFunc(h.attempts, func(a *attempt[T]) bool { return a.holds }):
		k.attempt.out()
	default:
		h.attempts = append(h.attempts, k.attempt)
		h.start(racing, k.attempt)
	}
	return winner, false
}

// await waits for another key, once lit is closed, if it is not nil.
func (h *heat[T]) await(racing context.Context, lit <-chan struct{}) {
	next := h.next
	if h.awaits || next == nil || len(h.joined) > 0 { // or it is there already, since a race before
		return
	}
	h.awaits = true
	h.running.Go(func() {
		if lit != nil {
			select {
			case <-lit:
			case <-racing.Done():
				return
			}
		}
		if k, err := next(racing); err == nil || racing.Err() == nil {
			h.joined <- joined{k, err}
		}
	})
}

// found takes a key that was awaited, and waits for the next one.
func (h *heat[T]) found(ctx, racing context.Context, j joined) (winner outcome[T], over bool) {
	h.awaits = false
	switch {
	case j.err == nil:
		h.ready(ctx, -1, j.key, true)
	case j.key.Info.ID == "":
		h.next = nil
	default:
		if err := h.person.Passed(racing, j.key.Info, j.err); err != nil {
			return outcome[T]{err: err}, true
		}
	}
	h.await(racing, nil)
	return winner, false
}
