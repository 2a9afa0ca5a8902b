package nfcbridge

import (
	"context"
	"errors"
	"fmt"
	"os"

	"fob/fido"
	"fob/fido/ctapnfc"
	"fob/fido/pcsc"
)

var (
	// ErrCardLost is a card that left the reader, or fell silent there, in the middle of a request. The person should
	// hold it to the reader again.
	ErrCardLost = errors.New("the card left the reader in the middle of a request: tap it again")
	// ErrNoFIDO is a card that is no security key.
	ErrNoFIDO = errors.New("the card has no FIDO application")
)

// lost are the codes by which pcscd and its drivers say that a card, or its reader, does not answer any more.
var lost = []pcsc.Error{
	pcsc.ErrRemovedCard, pcsc.ErrNoSmartcard, pcsc.ErrNotTransacted, pcsc.ErrComm, pcsc.ErrUnresponsiveCard,
	pcsc.ErrUnpoweredCard, pcsc.ErrResetCard, pcsc.ErrReaderUnavailable, pcsc.ErrUnknownReader, pcsc.ErrInvalidHandle,
	pcsc.ErrInvalidValue, pcsc.ErrTimeout, pcsc.ErrInternal, pcsc.ErrNoService,
}

// explain names an error of a card: fido.ErrDeviceBusy, ErrCardLost, or as it is.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pcsc.ErrSharingViolation):
		return fmt.Errorf("%w: %w", fido.ErrDeviceBusy, err)
	case errors.Is(err, os.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrCardLost, err)
	}
	for _, e := range lost {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrCardLost, err)
		}
	}
	return err
}

// explainSelect is explain for a card that may be of any kind: whatever it answers, it is no key then.
func explainSelect(err error) error {
	sw, bad := ctapnfc.StatusWord(0), new(ctapnfc.BadReplyError)
	if errors.As(err, &sw) || errors.As(err, &bad) {
		return fmt.Errorf("%w: %w", ErrNoFIDO, err)
	}
	return explain(err)
}
