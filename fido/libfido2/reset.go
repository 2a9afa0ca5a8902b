package libfido2

// #include "reset.h"
import "C"

import "context"

// Reset erases the key (CTAP 2.2 §6.6). The key wants a touch, within ten seconds after it was plugged in.
func (d *Device) Reset(ctx context.Context) error {
	return d.do(ctx, func() C.int { return C.fob_reset(d.dev) })
}
