// Package softkey plugs an emulated security key in: an emulator at an endpoint, ready for other programs to open.
package softkey

import (
	"context"
	"errors"
	"log/slog"

	"fob/fido"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/endpoint"
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
}

// Key is an emulated key that is plugged in at a pseudo-terminal.
type Key struct {
	*emulator.Authenticator
	file   *emulator.StateFile
	pty    *endpoint.PTY
	log    *slog.Logger
	cancel context.CancelFunc
	done   chan error
}

// Plug plugs a key in until Close is called. A state file that another program uses gives emulator.ErrStateInUse, a PIN
// that is too short or too long ctap.ErrPINPolicyViolation.
func Plug(o Options) (key *Key, err error) {
	k := &Key{done: make(chan error, 1), log: o.Log}
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
	if k.pty, err = endpoint.OpenPTY(); err != nil {
		return nil, err
	}
	k.pty.Device = ctaphid.Device{Version: [3]byte{0, 1, 0}, Capabilities: capabilities(k.Profile), Wink: k.wink}
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	go func() { k.done <- k.pty.Serve(ctx, k.Authenticator) }()
	return k, nil
}

// capabilities are what a key of this profile tells over CTAPHID.
func capabilities(p *emulator.Profile) ctaphid.Capability {
	caps := ctaphid.CapWink
	if p.CTAP2() {
		caps |= ctaphid.CapCBOR
	}
	if !p.U2F {
		caps |= ctaphid.CapNMSG
	}
	return caps
}

// wink is all that a key without a light can do.
func (k *Key) wink() { k.log.Info("wink", "path", k.Path()) }

// Path is where other programs open the key, such as /dev/pts/3.
func (k *Key) Path() string { return k.pty.Path() }

// Info describes the key to a fido.Source; the ID is for the source to give.
func (k *Key) Info() fido.DeviceInfo {
	return fido.DeviceInfo{Path: k.Path(), Manufacturer: "fob", Product: "fob emulated key", Emulated: true}
}

// Close unplugs the key and returns when nothing of it is left.
func (k *Key) Close() error {
	k.cancel()
	err := <-k.done
	k.PowerCycle() // a U2F request may still wait for a touch
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, k.release())
}

func (k *Key) release() error {
	var errs []error
	if k.pty != nil {
		errs = append(errs, k.pty.Close())
	}
	if k.file != nil {
		errs = append(errs, k.file.Close())
	}
	return errors.Join(errs...)
}
