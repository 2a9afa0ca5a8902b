package libfido2

// #include "fob.h"
import "C"

import (
	"context"
	"fmt"

	"fob/fido"
	"fob/fido/ctap"
)

// PINRetries asks how many attempts to give the PIN are left (CTAP 2.2 §6.5.5.2).
func (d *Device) PINRetries(ctx context.Context) (fido.PINRetries, error) {
	if d.overNFC() {
		return d.retriesOverNFC(ctx)
	}
	r, err := d.askClientPIN(ctx, ctap.SubcommandGetPINRetries)
	switch {
	case err != nil:
		return fido.PINRetries{}, err
	case r.PINRetries == nil:
		return fido.PINRetries{}, missing("pinRetries")
	}
	return fido.PINRetries{Left: *r.PINRetries, PowerCycle: ctap.True(r.PowerCycle)}, nil
}

// UVRetries asks how many attempts at built-in user verification are left (CTAP 2.2 §6.5.5.3).
func (d *Device) UVRetries(ctx context.Context) (uint, error) {
	r, err := d.askClientPIN(ctx, ctap.SubcommandGetUVRetries)
	switch {
	case err != nil:
		return 0, err
	case r.UVRetries == nil:
		return 0, missing("uvRetries")
	}
	return *r.UVRetries, nil
}

// askClientPIN asks for what anybody may know. CTAP 2.0 has the protocol in every request.
func (d *Device) askClientPIN(ctx context.Context, s ctap.Subcommand) (*ctap.ClientPINResponse, error) {
	request := ctap.ClientPINRequest{PINUVAuthProtocol: d.protocol, Subcommand: s}
	parameters, err := d.exchange(ctx, request.Encode())
	if err != nil {
		return nil, err
	}
	r, err := ctap.ParseClientPINResponse(parameters)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", fido.ErrBadAnswer, err)
	}
	return r, nil
}

func missing(member string) error { return fmt.Errorf("%w (no %s)", fido.ErrBadAnswer, member) }

// retriesOverNFC asks libfido2, which doesn't tell powerCycleState.
func (d *Device) retriesOverNFC(ctx context.Context) (fido.PINRetries, error) {
	var n C.int
	if err := d.do(ctx, func() C.int { return C.fob_get_retries(d.dev, &n) }); err != nil {
		return fido.PINRetries{}, err
	}
	return fido.PINRetries{Left: uint(max(n, 0))}, nil
}
