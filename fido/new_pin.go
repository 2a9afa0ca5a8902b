package fido

import (
	"context"
	"errors"

	"fob/fido/ctap"
)

// Errors of SetPIN and ChangePIN.
var (
	ErrPINSet  = errors.New("the key has a PIN already")
	ErrPINless = Unsupported("to have a PIN")
)

// SetPIN gives a key that has no PIN the one that the person chooses.
func SetPIN(ctx context.Context, key Candidate, p Prompter) error {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	switch {
	case err != nil:
		return err
	case !takesPIN(c.info):
		return ErrPINless
	case c.info.Options[ctap.OptionClientPIN]:
		return ErrPINSet
	}
	pin, err := c.setPIN(ctx)
	pin.Wipe()
	return err
}

// ChangePIN replaces the PIN of a key by the one that the person chooses.
func ChangePIN(ctx context.Context, key Candidate, p Prompter) error {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	switch {
	case err != nil:
		return err
	case !takesPIN(c.info):
		return ErrPINless
	case !c.info.Options[ctap.OptionClientPIN]:
		return ctap.ErrPINNotSet
	}
	pin, err := c.changePIN(ctx)
	pin.Wipe()
	return err
}

// withNewPIN has the person choose a PIN, by choose, and does with it what is to be done. What the person hears who
// chooses none is declined.
func (c *ceremony) withNewPIN(
	ctx context.Context, choose func(context.Context) (PIN, error), declined error, do Action,
) error {
	pin, err := choose(ctx)
	defer pin.Wipe()
	if errors.Is(err, ErrDeclined) {
		return declined
	}
	if err != nil {
		return err
	}
	return c.carryOut(ctx, do, TouchPrompt{}, pin)
}

// setPIN gives the key its first PIN. The caller wipes it.
func (c *ceremony) setPIN(ctx context.Context) (pin PIN, err error) {
	err = c.choosePIN(ctx, &pin, func() error { return c.key.SetPIN(ctx, pin) })
	return pin, err
}

// changePIN gives the key another PIN. The caller wipes it. The one that was chosen is not asked for again when the old
// one was wrong.
func (c *ceremony) changePIN(ctx context.Context) (pin PIN, err error) {
	err = c.verified(ctx, byPIN, func(ctx context.Context, _ bool, old PIN) error {
		return c.choosePIN(ctx, &pin, func() error {
			if err := c.mayTry(ctx); err != nil {
				return err
			}
			return c.key.ChangePIN(ctx, old, pin)
		})
	})
	return pin, err
}

// choosePIN asks for a new PIN, unless there is one, until the key takes it from give.
func (c *ceremony) choosePIN(ctx context.Context, pin *PIN, give func() error) (err error) {
	p := NewPINPrompt{
		Device:    c.device,
		MinLength: max(c.info.MinPINLength, MinPINLength),
		Replaces:  c.info.Options[ctap.OptionClientPIN],
	}
	for {
		if *pin == nil {
			if *pin, err = c.prompt.NewPIN(ctx, p); err != nil {
				return err
			}
		}
		if err = give(); !isStatus(err, ctap.ErrPINPolicyViolation) {
			return err
		}
		pin.Wipe()
		*pin, p.Refused = nil, true
	}
}
