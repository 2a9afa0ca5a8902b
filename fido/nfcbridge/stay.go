package nfcbridge

import (
	"context"
	"errors"

	"fob/fido"
	"fob/fido/endpoint"
	"fob/fido/pcsc"
)

// Device is a FIDO card that is held to a reader, plugged in at a pseudo-terminal.
type Device struct {
	Path   string // of the pseudo-terminal
	Reader string // pcscd's name
	ATR    []byte // the card's answer to reset
	U2F    bool   // it speaks CTAP1/U2F
	CTAP2  bool
}

// Info describes the device to a fido.Source; the ID is for the source to give.
func (d Device) Info() fido.DeviceInfo {
	info := fido.DeviceInfo{
		Path: d.Path, Product: "key at " + d.Reader, Transport: fido.TransportSmartCard, Reader: d.Reader}
	if contactless(d.ATR) {
		info.Transport = fido.TransportNFC
	}
	return info
}

// contactless tells whether a card has no contacts: its reader makes the answer to reset then, which says that the card
// speaks T=0 and T=1, and nothing more of its interface (PC/SC part 3, §3.1.3.2.3).
func contactless(atr []byte) bool {
	return len(atr) >= 4 && atr[0] == 0x3b && atr[1]>>4 == 8 && atr[2] == 0x80 && atr[3] == 0x01
}

// stay is the time that a card spends at a reader, or a look at one that is no key.
type stay struct {
	card   pcsc.ReaderState // as it was in the beginning
	cancel context.CancelCauseFunc
	device *Device // nil until it is plugged in
	opened chan<- opening
	again  bool // the card has been lost before, and may still be there
}

type opening struct {
	stay   *stay
	device Device
}

// run serves the card until ctx is done or the card is lost, and says why: nil is a card that left while it was idle.
func (y *stay) run(ctx context.Context, o Options) error {
	key, err := Open(ctx, y.card.Name, o)
	if err != nil {
		return y.because(ctx, err)
	}
	defer key.Close()
	pty, err := endpoint.OpenPTY()
	if err != nil {
		return err
	}
	defer pty.Close()
	pty.Device = key.Device()
	select {
	case y.opened <- opening{y, Device{pty.Path(), y.card.Name, y.card.ATR, key.U2F, key.CTAP2}}:
	case <-ctx.Done():
		return y.because(ctx, ctx.Err())
	}
	return y.serve(ctx, pty, key)
}

func (y *stay) serve(ctx context.Context, pty *endpoint.PTY, key *Key) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- pty.Serve(serving, key) }()
	select {
	case err := <-served:
		return y.because(ctx, errors.Join(key.Err(), err))
	case <-key.Lost():
	}
	stop()
	<-served
	return key.Err()
}

// because prefers the reason why the stay was ended over what that has led to. A card that has left is lost if a
// request was interrupted.
func (y *stay) because(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case errors.Is(cause, ErrCardLost) && !errors.Is(err, ErrCardLost):
		return nil
	}
	return cause
}
