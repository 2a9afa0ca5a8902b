package fido

import (
	"context"
	"errors"
	"sync"

	"fob/fido/ctap"
)

// Keys are the open keys that may serve a ceremony.
type Keys struct {
	Now []Candidate
	// Next waits for a key that is plugged in while those before are lit, and opens it; nil where no other key may serve.
	// It is called again until its context ends, when a key was chosen. An error is of the one key that the Candidate
	// tells about, in Info, or where that has no ID, says that no more keys will come.
	Next func(ctx context.Context) (Candidate, error)
}

// Candidate is an open key that may serve a ceremony.
type Candidate struct {
	Info DeviceInfo
	Key  Authenticator // nil for a card that has left already, where there is Again
	// Again waits until the card is at its reader once more, or another one is, and opens that. It is nil for a key that
	// does not come back. It may return ErrDeviceGone. Closing keys is for whoever made the Candidate.
	Again func(ctx context.Context) (Candidate, error)
	// Leave is told that the key is dark and the ceremony goes on without it; nil for nobody.
	Leave func()
}

// attempt is a ceremony that is prepared on one key: what it needs of the person, and what to do then.
type attempt[T any] struct {
	*ceremony
	method  method
	perform func(ctx context.Context, uv bool, pin PIN) (T, error)
	holds   bool // the key is known to have a credential that the ceremony wants
	passed  bool // the person was told that the key can't serve
	leave   func()
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
func onAny[T any](ctx context.Context, keys Keys, p Prompter, prepare preparation[T]) (c *ceremony, v T, err error) {
	person := &sharedPrompter{Prompter: p}
	r := &race[T]{person: person, prepare: prepare, next: keys.Next,
		answered: make(chan answered[T]), joined: make(chan joined, 1)}
	ctx, stop := context.WithCancel(ctx)
	defer r.tasks.Wait()
	defer stop()
	err = r.begin(ctx, keys.Now)
	for err == nil {
		var a *attempt[T]
		if a, v, err = r.run(ctx); err == nil {
			return a.ceremony, v, nil
		}
		r.drop(a)
		if len(r.attempts)+r.preparing == 0 || !passable(ctx, person, err) {
			break
		}
		err = person.Passed(ctx, a.device, err)
	}
	return nil, v, err
}

// outcome is how an attempt ended, as far as the first touch decides it.
type outcome[T any] struct {
	*attempt[T]
	value   T
	err     error
	touched bool // the person has chosen the key, and the ceremony is still to be done
	pin     bool // the key wants a PIN, and nobody has chosen it yet
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

// untilDone is the whole of the attempt.
func (a *attempt[T]) untilDone(ctx context.Context) outcome[T] {
	v, err := a.whole(ctx)
	return outcome[T]{attempt: a, value: v, err: err}
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
		return outcome[T]{attempt: a, touched: a.lit, pin: !a.lit}
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
