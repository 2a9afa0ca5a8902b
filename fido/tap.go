package fido

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"fob/fido/ctap"
)

// maxTaps is how often in a ceremony a person is asked to hold a card to its reader again.
const maxTaps = 3

// CardLostError is a card that left its reader in the middle of a ceremony and did not come back in time, or left too
// often. It unwraps to ErrDeviceGone.
type CardLostError struct {
	Reader string
	// Made is true where the card may hold a discoverable credential now that the relying party has not heard of.
	Made bool
}

func (e *CardLostError) Error() string { return "the card left the reader " + e.Reader }

// Unwrap gives ErrDeviceGone.
func (e *CardLostError) Unwrap() error { return ErrDeviceGone }

// card is what an attempt knows of a key that may leave its reader and be held to it again.
type card[T any] struct {
	again func(context.Context) (Candidate, error) // nil for a key that does not come back
	anew  func(context.Context, Candidate) (*attempt[T], error)
	first *ctap.GetInfoResponse // what the first card that was prepared said of itself; nil before
	gone  bool                  // it is not there, or not prepared
	made  bool                  // see CardLostError
	taps  int                   // that were asked for
}

// newAttempt prepares a ceremony on a key. A card that leaves meanwhile is awaited later, beside the other keys.
func newAttempt[T any](ctx context.Context, k Candidate, p Prompter, several bool, prepare preparation[T]) (
	*attempt[T], error) {

	a, err := prepared(ctx, k, p, several, prepare)
	if k.Again == nil || err != nil && !errors.Is(err, ErrDeviceGone) {
		if a != nil {
			a.leave = k.Leave
		}
		return a, err
	}
	if err != nil {
		a = &attempt[T]{ceremony: &ceremony{device: k.Info, prompt: p, several: several}}
	}
	a.leave = k.Leave
	a.card = card[T]{again: k.Again, first: a.info, gone: err != nil}
	a.card.anew = func(ctx context.Context, k Candidate) (*attempt[T], error) {
		return prepared(ctx, k, p, several, prepare)
	}
	return a, nil
}

func prepared[T any](ctx context.Context, k Candidate, p Prompter, several bool, prepare preparation[T]) (
	*attempt[T], error) {

	if k.Key == nil {
		return nil, ErrDeviceGone
	}
	c, err := begin(ctx, k.Key, k.Info, p, several)
	if err != nil {
		return nil, err
	}
	c.noPIN = fingersAlone(c.info)
	return prepare(ctx, c)
}

// tapping performs a step of the ceremony, and again from its beginning each time that the card had left and is back.
// It may be another card: nothing that is known of the first one, nor its PIN, is used for it.
func (a *attempt[T]) tapping(ctx context.Context, step func() error) error {
	for {
		err := ErrDeviceGone
		if !a.card.gone {
			err = step()
		}
		if a.card.again == nil || !errors.Is(err, ErrDeviceGone) || ctx.Err() != nil {
			return err
		}
		a.card.gone, a.card.made = true, a.card.made || a.making
		if err := a.tapAgain(ctx); err != nil {
			return err
		}
	}
}

// tapAgain asks the person for the card, waits for it, and prepares the ceremony on it.
func (a *attempt[T]) tapAgain(ctx context.Context) error {
	if a.card.taps++; a.card.taps > maxTaps {
		return &CardLostError{a.device.Reader, a.card.made}
	}
	if err := a.prompt.Tap(ctx, a.device, a.card.made); err != nil {
		return err
	}
	k, err := a.card.again(ctx)
	var fresh *attempt[T]
	if err == nil {
		fresh, err = a.card.anew(ctx, k)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &CardLostError{a.device.Reader, a.card.made}
	case errors.Is(err, ErrDeviceGone) && k.Key != nil: // it left again
		return nil
	case errors.Is(err, ErrDeviceGone): // nobody can tell when it is back
		return &CardLostError{a.device.Reader, a.card.made}
	case err != nil:
		return err
	}
	fresh.other = a.card.first != nil && !sameModel(a.card.first, fresh.info)
	a.ceremony, a.method, a.perform, a.card.gone = fresh.ceremony, fresh.method, fresh.perform, false
	a.card.first = cmp.Or(a.card.first, fresh.info)
	return nil
}

// sameModel reports whether two cards may be the same one, as far as they say what they are.
func sameModel(a, b *ctap.GetInfoResponse) bool {
	return a.AAGUID == b.AAGUID && a.FirmwareVersion == b.FirmwareVersion && slices.Equal(a.Versions, b.Versions) &&
		slices.Equal(a.Extensions, b.Extensions) && slices.Equal(a.Algorithms, b.Algorithms)
}
