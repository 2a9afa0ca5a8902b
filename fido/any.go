package fido

import (
	"context"
	"errors"
	"slices"
	"sync"

	"fob/fido/ctap"
)

// Candidate is an open key that may serve a ceremony.
type Candidate struct {
	Info DeviceInfo
	Key  Authenticator // nil for a card that has left already, where there is Again
	// Again waits until the card is at its reader once more, or another one is, and opens that. It is nil for a key that
	// does not come back. It may return ErrDeviceGone. Closing keys is for whoever made the Candidate.
	Again func(ctx context.Context) (Candidate, error)
}

// attempt is a ceremony that is prepared on one key: what it needs of the person, and what to do then.
type attempt[T any] struct {
	*ceremony
	method  method
	perform func(ctx context.Context, uv bool, pin PIN) (T, error)
	holds   bool // the key is known to have a credential that the ceremony wants
	passed  bool // the person was told that the key can't serve
	card    card[T]
}

// preparation finds out what a ceremony needs of one key, before any touch.
type preparation[T any] func(context.Context, *ceremony) (*attempt[T], error)

// whole performs the attempt from the first prompt to the result.
func (a *attempt[T]) whole(ctx context.Context) (v T, err error) {
	err = a.tapping(ctx, func() error {
		return a.verified(ctx, a.method, func(ctx context.Context, uv bool, pin PIN) (err error) {
			v, err = a.perform(ctx, uv, pin)
			return err
		})
	})
	return v, err
}

// onAny performs a ceremony on the first key that is touched, and says which. A key that can't serve is passed over,
// before the touch or after it, and the person is told why. The error is that of the last key that was left, or of the
// person.
func onAny[T any](ctx context.Context, keys []Candidate, p Prompter, prepare preparation[T]) (c *ceremony, v T, err error) {
	person := &sharedPrompter{Prompter: p}
	attempts, err := prepareAll(ctx, keys, person, prepare)
	for err == nil {
		var a *attempt[T]
		if a, v, err = first(ctx, attempts, person); err == nil {
			return a.ceremony, v, nil
		}
		attempts = slices.DeleteFunc(attempts, func(other *attempt[T]) bool { return other.passed || other == a })
		if len(attempts) == 0 || !passable(ctx, person, err) {
			break
		}
		err = person.Passed(ctx, a.device, err)
	}
	return nil, v, err
}

// prepareAll prepares the ceremony on all keys at once. It keeps those that are known to have the credential, if there
// are any, and else those that may serve; its error is that of the last key when there is none.
func prepareAll[T any](ctx context.Context, keys []Candidate, p Prompter, prepare preparation[T]) ([]*attempt[T], error) {
	if len(keys) == 0 {
		return nil, ErrNoDevice
	}
	attempts, errs := make([]*attempt[T], len(keys)), make([]error, len(keys))
	var all sync.WaitGroup
	for i, k := range keys {
		all.Go(func() { attempts[i], errs[i] = newAttempt(ctx, k, p, len(keys) > 1, prepare) })
	}
	all.Wait()
	able := slices.DeleteFunc(attempts, func(a *attempt[T]) bool { return a == nil })
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(able) == 0:
		return nil, errs[len(errs)-1]
	}
	for i, err := range errs {
		if err == nil || errors.Is(err, ctap.ErrNoCredentials) { // which all keys are expected to say, but one
			continue
		}
		if err := p.Passed(ctx, keys[i].Info, err); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(able, func(a *attempt[T]) bool { return a.holds }) {
		able = slices.DeleteFunc(able, func(a *attempt[T]) bool { return !a.holds })
	}
	return able, nil
}

// outcome is how an attempt ended, as far as the first touch decides it.
type outcome[T any] struct {
	*attempt[T]
	value   T
	err     error
	touched bool // the person has chosen the key, and the ceremony is still to be done
}

// first performs the ceremony on the key that is touched first, and darkens the others. Keys that end before with an
// error are passed over while others wait. It gives the attempt that the value or the error come from.
func first[T any](ctx context.Context, attempts []*attempt[T], p *sharedPrompter) (a *attempt[T], v T, err error) {
	if len(attempts) == 1 {
		v, err = attempts[0].whole(ctx)
		return attempts[0], v, err
	}
	racing, cancel := context.WithCancel(ctx)
	results := make(chan outcome[T], len(attempts))
	var all sync.WaitGroup
	for _, a := range attempts {
		all.Go(func() { results <- a.untilTouched(racing) })
	}
	winner := decide(racing, len(attempts), p, results)
	cancel()
	all.Wait() // and the others are dark
	if winner.err != nil {
		return winner.attempt, v, winner.err
	}
	if err := p.Chosen(ctx, winner.device); err != nil || !winner.touched {
		return winner.attempt, winner.value, err
	}
	v, err = winner.whole(ctx)
	return winner.attempt, v, err
}

// decide takes outcomes until one ends the race: a touch, a result, a person who gave up, or the last key.
func decide[T any](ctx context.Context, left int, p *sharedPrompter, results <-chan outcome[T]) outcome[T] {
	for {
		o := <-results
		left--
		if o.err == nil || left == 0 || !passable(ctx, p, o.err) {
			return o
		}
		o.passed = true
		if err := p.Passed(ctx, o.device, o.err); err != nil {
			return outcome[T]{attempt: o.attempt, err: err}
		}
	}
}

// untilTouched performs the ceremony as far as a touch takes it. Where a PIN is needed, the touch only chooses the key:
// a PIN is asked for when it is known which.
func (a *attempt[T]) untilTouched(ctx context.Context) (o outcome[T]) {
	o.err = a.tapping(ctx, func() error {
		o = a.untilTouchedOnce(ctx)
		return o.err
	})
	o.attempt = a
	return o
}

func (a *attempt[T]) untilTouchedOnce(ctx context.Context) (o outcome[T]) {
	o.attempt = a
	if a.method >= byPIN {
		o.err = a.prompting(ctx, TouchPrompt{}, a.key.Select)
		o.touched = o.err == nil
		return o
	}
	do := func(ctx context.Context, uv bool, pin PIN) (err error) {
		o.value, err = a.perform(ctx, uv, pin)
		return err
	}
	if a.method == builtIn {
		o.err = a.withFinger(ctx, do)
	} else {
		o.err = a.carryOut(ctx, do, TouchPrompt{}, nil)
	}
	switch {
	case isStatus(o.err, ctap.ErrUVInvalid): // the person's finger: it was this key that was chosen
		return outcome[T]{attempt: a, touched: true}
	case a.hasPIN() && isStatus(o.err, ctap.ErrPUATRequired, ctap.ErrUVBlocked):
		a.method = pinMethod(a.info)
		if !a.lit { // nobody has chosen it yet
			return a.untilTouchedOnce(ctx)
		}
		return outcome[T]{attempt: a, touched: true}
	}
	return o
}

// passable reports whether another key may serve though this one has failed: the person has not given up.
func passable(ctx context.Context, p *sharedPrompter, err error) bool {
	var pin *PINError
	gaveUp := errors.Is(err, ErrDeclined) || errors.As(err, &pin) && pin.Status == ctap.ErrPINInvalid
	return ctx.Err() == nil && !gaveUp && !p.broken()
}

// sharedPrompter lets several keys talk to one person, one at a time, and remembers when the person can't be reached.
type sharedPrompter struct {
	Prompter
	mu   sync.Mutex
	gone bool
}

// Touch implements Prompter.
func (s *sharedPrompter) Touch(ctx context.Context, p TouchPrompt) error {
	return s.tell(func() error { return s.Prompter.Touch(ctx, p) })
}

// Passed implements Prompter.
func (s *sharedPrompter) Passed(ctx context.Context, d DeviceInfo, why error) error {
	return s.tell(func() error { return s.Prompter.Passed(ctx, d, why) })
}

// Chosen implements Prompter.
func (s *sharedPrompter) Chosen(ctx context.Context, d DeviceInfo) error {
	return s.tell(func() error { return s.Prompter.Chosen(ctx, d) })
}

// Tap implements Prompter.
func (s *sharedPrompter) Tap(ctx context.Context, d DeviceInfo, made bool) error {
	return s.tell(func() error { return s.Prompter.Tap(ctx, d, made) })
}

func (s *sharedPrompter) tell(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := f()
	s.gone = s.gone || err != nil
	return err
}

func (s *sharedPrompter) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}
