package libfido2

// #include <stdlib.h>
// #include "fob.h"
// #include "manage.h"
import "C"

import (
	"context"
	"unsafe"

	"fob/fido"
	"fob/fido/ctap"
)

// SetPIN gives the key its first PIN (CTAP 2.2 §6.5.5.5).
func (d *Device) SetPIN(ctx context.Context, pin fido.PIN) error { return d.setPIN(ctx, nil, pin) }

// ChangePIN gives the key another PIN (CTAP 2.2 §6.5.5.6).
func (d *Device) ChangePIN(ctx context.Context, old, pin fido.PIN) error {
	if old == nil {
		return ctap.ErrMissingParameter
	}
	return d.setPIN(ctx, old, pin)
}

func (d *Device) setPIN(ctx context.Context, old, pin fido.PIN) error {
	if pin == nil {
		return ctap.ErrMissingParameter
	}
	cOld, err := copyPIN(old)
	if err != nil {
		return err
	}
	defer C.fob_pin_free(cOld)
	cPIN, err := copyPIN(pin)
	if err != nil {
		return err
	}
	defer C.fob_pin_free(cPIN)
	return d.do(ctx, func() C.int { return C.fob_set_pin(d.dev, cPIN, cOld) })
}

// Configure changes how the key works (CTAP 2.2 §6.11).
func (d *Device) Configure(ctx context.Context, r *fido.ConfigRequest) error {
	pin, err := copyPIN(r.PIN)
	if err != nil {
		return err
	}
	defer C.fob_pin_free(pin)
	switch {
	case r.Subcommand == ctap.SubcommandToggleAlwaysUV:
		return d.do(ctx, func() C.int { return C.fob_toggle_always_uv(d.dev, pin) })
	case r.Subcommand == ctap.SubcommandEnableEnterpriseAttestation:
		return d.do(ctx, func() C.int { return C.fob_enable_entattest(d.dev, pin) })
	case r.Subcommand != ctap.SubcommandSetMinPINLength:
		return ctap.ErrInvalidSubcommand
	case r.ForceChange:
		return d.do(ctx, func() C.int { return C.fob_force_pin_change(d.dev, pin) })
	case r.MinPINLength > 0:
		return d.do(ctx, func() C.int { return C.fob_set_pin_minlen(d.dev, C.size_t(r.MinPINLength), pin) })
	default:
		return d.setMinPINLengthRPIDs(ctx, r.RPIDs, pin)
	}
}

func (d *Device) setMinPINLengthRPIDs(ctx context.Context, ids []string, pin *C.char) error {
	var s cStrings
	defer s.free()
	n := C.size_t(len(ids))
	list := (**C.char)(C.calloc(max(n, 1), C.size_t(unsafe.Sizeof(uintptr(0)))))
	if list == nil {
		return fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.free(unsafe.Pointer(list))
	for i, id := range ids {
		unsafe.Slice(list, n)[i] = s.add(id)
	}
	if s.bad || len(s.list) != len(ids) {
		return ctap.ErrInvalidParameter
	}
	return d.do(ctx, func() C.int { return C.fob_set_pin_minlen_rpid(d.dev, list, n, pin) })
}

// Reset erases the key (CTAP 2.2 §6.6). The key wants a touch, within ten seconds after it was plugged in.
func (d *Device) Reset(ctx context.Context) error {
	return d.do(ctx, func() C.int { return C.fob_reset(d.dev) })
}
