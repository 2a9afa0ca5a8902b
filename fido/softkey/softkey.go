// Package softkey plugs an emulated security key in: an emulator at an endpoint, ready for other programs to open.
package softkey

import (
	"context"
	"errors"
	"log/slog"

	"fob/fido"
	"fob/fido/emulator"
)

// Options say what key to plug in. The zero value is a key without a PIN, in memory, that is always touched at once.
type Options struct {
	Profile  *emulator.Profile // nil for that of the state file, or the default one
	Presence emulator.Presence // nil for emulator.Approve
	// Attestation is how CTAP2 credentials are attested; empty for emulator.SelfAttestation.
	Attestation emulator.Attestation
	State       string       // path of a state file; empty to keep the state in memory
	PIN         fido.PIN     // nil to leave the PIN as it is; the caller wipes it
	Log         *slog.Logger // nil for none
	Place       Place        // where to plug it in; nil for PTY
}

// Key is an emulated key that is plugged in.
type Key struct {
	*emulator.Authenticator
	file     *emulator.StateFile
	endpoint Endpoint
	log      *slog.Logger
	cancel   context.CancelFunc
	lost     chan struct{} // closed when the key is not served any more
	err      error         // why
}

// Plug plugs a key in until Close is called. ctx is for the plugging in alone. A state file that another program uses
// gives emulator.ErrStateInUse, a PIN that is too short or too long ctap.ErrPINPolicyViolation, a PIN for a key that
// takes none ctap.ErrInvalidCommand; other errors are those of the Place.
func Plug(ctx context.Context, o Options) (key *Key, err error) {
	k := &Key{lost: make(chan struct{}), log: o.Log}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			k.release()
		}
	}()
	if o.State != "" {
		if k.file, err = emulator.OpenStateFile(o.State); err != nil {
			return nil, err
		}
	}
	k.Authenticator, err = emulator.New(emulator.Options{
		Profile: o.Profile, Presence: o.Presence, Attestation: o.Attestation, File: k.file, Log: o.Log})
	if err != nil {
		return nil, err
	}
	if o.PIN != nil {
		if err = k.SetPIN(o.PIN); err != nil {
			return nil, err
		}
	}
	place := o.Place
	if place == nil {
		place = PTY
	}
	if k.endpoint, err = place(ctx, k); err != nil {
		return nil, err
	}
	serving, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	go func() {
		defer close(k.lost)
		k.err = k.endpoint.Serve(serving, k.Authenticator)
	}()
	return k, nil
}

// Lost is closed when nobody can reach the key any more: after Close, or when what it was plugged into went away.
func (k *Key) Lost() <-chan struct{} { return k.lost }

// Path is where other programs find the key, such as /dev/pts/3.
func (k *Key) Path() string { return k.endpoint.Path() }

// Info describes the key to a fido.Source; the ID is for the source to give.
func (k *Key) Info() fido.DeviceInfo {
	return fido.DeviceInfo{Path: k.Path(), Manufacturer: "fob", Product: "fob emulated key", Emulated: true}
}

// Close unplugs the key and returns when nothing of it is left. The error is why it was lost before, if it was.
func (k *Key) Close() error {
	k.cancel()
	<-k.lost
	k.PowerCycle() // a U2F request may still wait for a touch
	err := k.err
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, k.release())
}

func (k *Key) release() error {
	var errs []error
	if k.endpoint != nil {
		errs = append(errs, k.endpoint.Close())
	}
	if k.file != nil {
		errs = append(errs, k.file.Close())
	}
	return errors.Join(errs...)
}
