package libfido2

// #include <stdlib.h>
// #include "fob.h"
import "C"

import (
	"context"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"fob/fido"
)

// nfcDevices is where the kernel's NFC devices are. They have no node: libfido2 has its own way to them, and says less
// of what goes wrong.
const nfcDevices = "/sys/"

// cancelEvery is as often as keepalives come (CTAP 2.2 §11.2.9.1.7).
const cancelEvery = 100 * time.Millisecond

func (d *Device) overNFC() bool { return strings.HasPrefix(d.path, nfcDevices) }

func (d *Device) openNFC() error {
	if err := unix.Access(d.path, unix.F_OK); err != nil {
		return openError(err)
	}
	path := C.CString(d.path)
	defer C.free(unsafe.Pointer(path))
	begin := time.Now()
	r := C.fob_open(d.dev, path, C.int(openTime.Milliseconds()))
	if r == C.FIDO_OK {
		return nil
	}
	return d.explainNFC(r, time.Since(begin) >= openTime)
}

// operateNFC runs call, which waits for the device.
func (d *Device) operateNFC(ctx context.Context, call func() C.int) error {
	limit := budget(ctx)
	C.fido_dev_set_timeout(d.dev, C.int(limit.Milliseconds()))
	begin, stop := time.Now(), d.cancelAtEnd(ctx)
	r := call()
	stop()
	if r == C.FIDO_OK {
		return nil
	}
	return d.explainNFC(r, time.Since(begin) >= limit)
}

// explainNFC turns a code of libfido2 into an error. FIDO_ERR_RX means either that nothing came (overdue, or the device
// is gone) or that something else than the answer came.
func (d *Device) explainNFC(r C.int, overdue bool) error {
	present := unix.Access(d.path, unix.F_OK) == nil
	switch {
	case r == C.FIDO_ERR_RX && !overdue && present:
		return because(fido.ErrBadAnswer, r)
	case r == C.FIDO_ERR_RX, r == C.FIDO_ERR_TX, r == C.FIDO_ERR_INTERNAL && !present:
		return because(fido.ErrDeviceGone, r) // an answer may still be on its way
	}
	return fail(r)
}

// budget is how long libfido2 may take before it gives up: a backstop for devices that ignore a cancel.
func budget(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return min(max(time.Until(deadline), 0)+afterwards, longest)
	}
	return longest
}

// cancelAtEnd sends CTAPHID_CANCEL when ctx ends, again and again: a ceremony is several commands in a row, and a
// cancel between two of them is ignored. The caller calls stop when the ceremony is over; then no cancel is under way.
func (d *Device) cancelAtEnd(ctx context.Context) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-over:
			return
		}
		again := time.NewTicker(cancelEvery)
		defer again.Stop()
		for {
			C.fob_cancel(d.dev)
			select {
			case <-again.C:
			case <-over:
				return
			}
		}
	}()
	return func() {
		close(over)
		<-stopped
	}
}
