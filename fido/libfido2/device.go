package libfido2

/*
#cgo pkg-config: libfido2
#cgo CFLAGS: -O2 -Wall -Wextra
#include <stdlib.h>
#include "fob.h"
*/
import "C"

import (
	"context"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctap"
)

const (
	openTime    = 3 * time.Second        // for CTAPHID_INIT and authenticatorGetInfo
	longest     = 11 * time.Minute       // for an operation without a deadline; no ceremony takes longer
	afterwards  = 2 * time.Second        // beyond the deadline, for the answer to a cancel
	cancelEvery = 100 * time.Millisecond // as often as keepalives come (CTAP 2.2 §11.2.9.1.7)
)

// Device is an open key. It implements fido.Authenticator.
type Device struct {
	path string
	node int           // its node, opened a second time to see whether the key is still there; -1 where there is none
	turn chan struct{} // a semaphore: who has put a value in may use what follows
	dev  *C.fido_dev_t // nil once closed
	gone bool          // nothing more can come of it
}

var _ fido.Authenticator = (*Device)(nil)

// Prepare lets OpenSSL, which libfido2 does its cryptography with, read its configuration and load what that asks for, by
// hashing something. Later the process may be confined so that it can't open files.
func Prepare() error {
	cred := C.fido_cred_new()
	if cred == nil {
		return fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_cred_free(&cred)
	data := []byte("data")
	return firstFailure([]C.int{C.fido_cred_set_clientdata(cred, uchars(data), C.size_t(len(data)))})
}

// Open opens the key at path: fido.ErrNoDevice, ErrDenied, ErrDeviceBusy, ErrNotFIDO2 or ErrDeviceGone. It takes up to
// three seconds. The caller closes the device.
func Open(path string) (_ *Device, err error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, fido.ErrNoDevice
	}
	d := &Device{path: path, turn: make(chan struct{}, 1)}
	if err := d.probe(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unix.Close(d.node)
		}
	}()
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	dev := C.fido_dev_new()
	if dev == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	begin := time.Now()
	if r := C.fob_open(dev, cPath, C.int(openTime.Milliseconds())); r != C.FIDO_OK {
		C.fob_close(dev)
		return nil, d.explain(r, time.Since(begin) >= openTime)
	}
	if !C.fido_dev_is_fido2(dev) {
		C.fob_close(dev)
		return nil, fido.ErrNotFIDO2
	}
	d.dev = dev
	return d, nil
}

// Close waits for the operation in progress and closes the device.
func (d *Device) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.dev == nil {
		return os.ErrClosed
	}
	C.fob_close(d.dev)
	unix.Close(d.node)
	d.dev = nil
	return nil
}

// do runs call, which waits for the device, and cancels it when ctx ends.
func (d *Device) do(ctx context.Context, call func() C.int) error {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case d.dev == nil:
		return os.ErrClosed
	case d.gone:
		return fido.ErrDeviceGone
	}
	limit := budget(ctx)
	C.fido_dev_set_timeout(d.dev, C.int(limit.Milliseconds()))
	begin, stop := time.Now(), d.cancelAtEnd(ctx)
	r := call()
	stop()
	if r == C.FIDO_OK {
		return nil // though ctx may have ended just now: what the key has done is not thrown away
	}
	err := d.explain(r, time.Since(begin) >= limit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
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

// GetInfo asks what the key can do (CTAP 2.2 §6.4).
func (d *Device) GetInfo(ctx context.Context) (*ctap.GetInfoResponse, error) {
	info := C.fido_cbor_info_new()
	if info == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_cbor_info_free(&info)
	if err := d.do(ctx, func() C.int { return C.fob_get_info(d.dev, info) }); err != nil {
		return nil, err
	}
	return readInfo(info), nil
}

// Select waits for a touch, by a request that can have no other effect (CTAP 2.2 §6.1.2 step 1).
func (d *Device) Select(ctx context.Context) error {
	return d.do(ctx, func() C.int { return C.fob_select(d.dev, C.int(budget(ctx).Milliseconds())) })
}

// PINRetries asks how many attempts to give the PIN are left (CTAP 2.2 §6.5.5.2).
func (d *Device) PINRetries(ctx context.Context) (uint, error) {
	var n C.int
	if err := d.do(ctx, func() C.int { return C.fob_get_retries(d.dev, &n) }); err != nil {
		return 0, err
	}
	return uint(max(n, 0)), nil
}
