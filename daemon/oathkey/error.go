package oathkey

import (
	"context"
	"errors"
	"fmt"
	"os"

	"fob/fido/pcsc"
	"fob/hotp/ykoath"
)

// Errors of keys. Besides, there are those of packages ykoath and pcsc.
var (
	// ErrNoKey says that no reader has a key with an OATH application.
	ErrNoKey = errors.New("no security key with an OATH application is plugged in")
	// ErrOther says that such keys are there, but not the one that is meant.
	ErrOther = errors.New("the security keys that are plugged in are others than the one that is meant")
	// ErrSeveral says that nobody has said which of several keys is meant.
	ErrSeveral = errors.New("several security keys with an OATH application are plugged in")
	// ErrLost says that the key was gone before it had done everything, or was taken by pcscd or another program.
	ErrLost = errors.New("the security key was lost in the middle of it")
	// ErrBusy says that another program holds the key.
	ErrBusy = errors.New("another program holds the security key")
	// ErrNoPCSCD says that there is no pcscd to ask, or that it ended.
	ErrNoPCSCD = errors.New("pcscd can't be reached")
)

// lost are the codes by which pcscd and its drivers say that a card, or its reader, does not answer any more.
var lost = []pcsc.Error{
	pcsc.ErrRemovedCard, pcsc.ErrNoSmartcard, pcsc.ErrNotTransacted, pcsc.ErrComm, pcsc.ErrUnresponsiveCard,
	pcsc.ErrUnpoweredCard, pcsc.ErrResetCard, pcsc.ErrReaderUnavailable, pcsc.ErrUnknownReader, pcsc.ErrInvalidHandle,
	pcsc.ErrInvalidValue, pcsc.ErrTimeout, pcsc.ErrInternal,
}

// explain names an error of pcscd; others it leaves as they are.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNoPCSCD), errors.Is(err, ErrLost):
		return err
	case errors.Is(err, pcsc.ErrSharingViolation):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.Is(err, pcsc.ErrNoService), errors.Is(err, os.ErrClosed):
		return fmt.Errorf("%w: %w", ErrNoPCSCD, err)
	}
	for _, e := range lost {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
	return err
}

// passable tells errors of a card that only say that it is none of ours, or is not to be had: others may be.
func passable(err error) bool {
	return errors.Is(err, ykoath.ErrNoApplet) || errors.Is(err, ErrBusy) || errors.Is(err, ErrLost) ||
		errors.As(err, new(*ykoath.ReplyError)) || errors.As(err, new(*ykoath.CommandError)) ||
		errors.Is(err, pcsc.ErrProtoMismatch) || errors.Is(err, context.DeadlineExceeded)
}

// Hint says what the person can do about an error, or is empty.
func Hint(err error) string {
	var refused *ykoath.CommandError
	switch {
	case errors.Is(err, ErrNoKey):
		return "plug in a security key such as a YubiKey 5, or hold it to a reader"
	case errors.Is(err, ErrOther):
		return "plug in the right one"
	case errors.Is(err, ErrSeveral):
		return "name one of them, or leave one alone plugged in"
	case errors.Is(err, ErrLost):
		return "plug the key in again and repeat"
	case errors.Is(err, ErrBusy):
		return "end the other program, and repeat"
	case errors.Is(err, ErrNoPCSCD):
		return "start pcscd: systemctl start pcscd.socket"
	case errors.As(err, &refused):
		return refused.Hint()
	}
	return ""
}
