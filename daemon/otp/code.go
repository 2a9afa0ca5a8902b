package otp

import (
	"bytes"
	"context"
	"time"

	"fob/daemon/store"
	"fob/hotp"
)

// Code is a code and for how long it holds.
type Code struct {
	Token Token  // as it was before
	Code  string // digits
	// TOTP: when the code began to hold, and when the next one will. HOTP: zero.
	Begin, End time.Time
}

// Code gives the code of a token: of TOTP that of the time, of HOTP the next one. The counter of HOTP has moved on the
// disk before that, so that no code is given twice, whatever happens.
func (t *Tokens) Code(ctx context.Context, name string, at time.Time) (Code, error) {
	r, err := t.read(name)
	if err != nil {
		return Code{}, err
	}
	defer r.wipe()
	if r.Type == hotp.TOTP {
		return t.ofTime(ctx, r, at)
	}
	spent, err := t.spend(name)
	if err != nil {
		return Code{}, err
	}
	defer spent.wipe()
	return t.make(ctx, spent, spent.Counter)
}

// ofTime gives the code of a time. When the token was used is noted where that can be written: nothing depends on it.
func (t *Tokens) ofTime(ctx context.Context, r *record, at time.Time) (Code, error) {
	step, err := r.Step(at)
	if err != nil {
		return Code{}, err
	}
	c, err := t.make(ctx, r, step)
	if err != nil {
		return Code{}, err
	}
	c.End = r.StepEnd(step)
	c.Begin = c.End.Add(-time.Duration(r.Period) * time.Second)
	_ = t.change(r.Name, func(r *record) error { r.Used = now(); return nil })
	return c, nil
}

func (t *Tokens) make(ctx context.Context, r *record, movingFactor uint64) (Code, error) {
	k, err := t.keeper(r.Keeper)
	if err != nil {
		return Code{}, err
	}
	code, err := k.Code(ctx, r.handle, r.Parameters, movingFactor)
	return Code{Token: r.Token, Code: code}, err
}

// spend takes the next counter of a token for good, and gives the record as it was before. A code that can't be made
// after that leaves a gap, over which a verifier looks ahead (RFC 4226 §7.4).
func (t *Tokens) spend(name string) (before *record, err error) {
	err = t.change(name, func(r *record) error {
		if r.Type != hotp.HOTP { // another call has put another token in its place
			return ErrNotFound
		}
		if r.Counter >= MaxCounter {
			return ErrExhausted
		}
		was := *r
		was.handle = bytes.Clone(r.handle)
		before = &was
		r.Counter++
		r.Used = now()
		return nil
	})
	if err != nil && before != nil {
		before.wipe()
	}
	return before, err
}

// change changes a record durably.
func (t *Tokens) change(name string, do func(*record) error) error {
	return t.Store.Update(func(tx *store.Tx) error {
		r, err := get(tx, name)
		if err != nil {
			return err
		}
		defer r.wipe()
		if err := do(r); err != nil {
			return err
		}
		return put(tx, r)
	})
}

// Watch has send send the code of a TOTP token, and each further one as its time comes, until ctx ends or send fails, and
// gives the error.
func (t *Tokens) Watch(ctx context.Context, name string, send func(Code) error) error {
	for {
		c, err := t.Code(ctx, name, time.Now())
		if err == nil {
			err = send(c)
		}
		if err == nil {
			err = outlast(ctx, c.Begin, c.End)
		}
		if err != nil {
			return err
		}
	}
}

// clockStep is how long a clock that was set may go unnoticed.
const clockStep = time.Second

// outlast waits as long as the clock, which somebody may set, is between begin and end.
func outlast(ctx context.Context, begin, end time.Time) error {
	for {
		left := time.Until(end)
		if left <= 0 || time.Since(begin) < 0 {
			return nil
		}
		select {
		case <-time.After(min(left, clockStep)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
