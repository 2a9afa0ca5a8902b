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
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/platform"
)

const (
	openTime   = 3 * time.Second  // for CTAPHID_INIT and authenticatorGetInfo
	longest    = 11 * time.Minute // for an operation without a deadline; no ceremony takes longer
	afterwards = 2 * time.Second  // beyond the deadline, for the answer to a cancel
)

// Device is an open key. It implements fido.Authenticator.
type Device struct {
	// stranger is set by GetInfo, which ceremonies begin with: libfido2 does not know all of the key's algorithms.
	stranger atomic.Bool

	path string
	turn chan struct{} // a semaphore: who has put a value in may use what follows
	dev  *C.fido_dev_t // nil once closed
	u2f  bool          // it speaks CTAP1/U2F alone
	link *link         // nil for a device of the kernel's NFC, which libfido2 reaches by itself
	gone bool          // nothing more can come of it

	protocol ctap.PINProtocol // for requests that need none, but have one

	// What a person was verified for. As all of fido.Authenticator, it is for one operation at a time.
	management   *platform.Management   // nil before Credentials
	fingerprints *platform.Fingerprints // nil before AuthorizeEnrollment
}

var _ fido.Authenticator = (*Device)(nil)

// Prepare lets OpenSSL, which libfido2 does its cryptography with, read its configuration and load what that asks for,
// by hashing something. Later the process may be confined so that it can't open files.
func Prepare() error {
	cred := C.fido_cred_new()
	if cred == nil {
		return fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_cred_free(&cred)
	data := []byte("data")
	return firstFailure([]C.int{C.fido_cred_set_clientdata(cred, uchars(data), C.size_t(len(data)))})
}

// Open opens the key at path: fido.ErrNoDevice, ErrDenied, ErrDeviceBusy, ErrBadAnswer, ErrDeviceGone, or ErrNotFIDO2
// for one that speaks neither FIDO2 nor U2F over HID. It takes up to three seconds. The caller closes the device.
func Open(path string) (_ *Device, err error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, fido.ErrNoDevice
	}
	d, err := newDevice(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	if d.overNFC() {
		err = d.openNFC()
	} else {
		err = d.openNode()
	}
	if err != nil {
		return nil, err
	}
	d.u2f = !bool(C.fido_dev_is_fido2(d.dev))
	if d.u2f && (d.overNFC() || d.link.client.Capabilities.Has(ctaphid.CapNMSG)) {
		return nil, fido.ErrNotFIDO2
	}
	return d, nil
}

func newDevice(path string) (*Device, error) {
	d := &Device{path: path, turn: make(chan struct{}, 1), dev: C.fido_dev_new()}
	if d.dev == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	return d, nil
}

func (d *Device) openNode() error {
	n, err := openNode(d.path)
	if err != nil {
		return err
	}
	return d.openLink(n)
}

// openLink opens the device over conn, which is closed with it.
func (d *Device) openLink(conn linkConn) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	if d.link, err = openLink(ctx, conn); err == nil {
		err = d.operate(ctx, func() C.int { return C.fob_open_link(d.dev, C.uintptr_t(d.link.handle)) })
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (no answer in %v)", fido.ErrDeviceGone, openTime)
	case err != nil:
		return err
	}
	d.protocol = ctap.PINProtocolOne
	if answer := d.link.answer; len(answer) > 0 { // to authenticatorGetInfo
		if status(answer) == nil {
			d.link.info = answer
		}
		info, err := ctap.ParseGetInfoResponse(answer[1:])
		if err == nil && len(info.PINUVAuthProtocols) > 0 {
			d.protocol = info.PINUVAuthProtocols[0]
		}
	}
	return nil
}

// Close waits for the operation in progress and closes the device.
func (d *Device) Close() error {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.dev == nil {
		return os.ErrClosed
	}
	d.release()
	return nil
}

func (d *Device) release() {
	C.fob_close(d.dev)
	if d.link != nil {
		d.link.close()
	}
	d.endManagement()
	d.endFingerprints()
	d.dev, d.link = nil, nil
}

// do runs call, which waits for the device, and cancels it when ctx ends. It tells fido.Waiting. A key that speaks U2F
// alone is fido.ErrNotFIDO2.
func (d *Device) do(ctx context.Context, call func() C.int) error {
	if d.u2f {
		return fido.ErrNotFIDO2
	}
	return d.ceremony(ctx, call)
}

// ceremony is do for what U2F can do as well.
func (d *Device) ceremony(ctx context.Context, call func() C.int) error {
	return d.inTurn(ctx, func() error {
		if d.link == nil {
			return d.operateNFC(ctx, call)
		}
		limited, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		return d.operate(limited, call)
	})
}

// inTurn runs an operation when those before it are over.
func (d *Device) inTurn(ctx context.Context, operation func() error) error {
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
	err := operation()
	d.gone = errors.Is(err, fido.ErrDeviceGone)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (no answer in %v)", fido.ErrDeviceGone, longest)
	}
	return err // nil though ctx may have ended just now: what the key has done is not thrown away
}

// operate runs call over the link.
func (d *Device) operate(ctx context.Context, call func() C.int) error {
	d.link.begin(ctx)
	r := call()
	err := d.link.end()
	switch {
	case r == C.FIDO_OK:
		return nil
	case err != nil:
		return err
	}
	return d.link.explain(r)
}

// exchange sends a CTAP2 request, a command byte and its parameters, and gives the parameters of the answer. It knows
// requests that libfido2 has not, and gives all that is in an answer. The error is that of do, or the status.
func (d *Device) exchange(ctx context.Context, request []byte) (parameters []byte, err error) {
	if d.u2f {
		return nil, fido.ErrNotFIDO2
	}
	err = d.inTurn(ctx, func() error {
		answer, err := d.transact(ctx, ctaphid.CommandCBOR, request)
		if err != nil {
			return err
		}
		parameters = answer[1:]
		return status(answer)
	})
	return parameters, err
}

// freshInfo gives the answer to authenticatorGetInfo. Right after the key was opened that is what it has told then.
func (d *Device) freshInfo(ctx context.Context) (parameters []byte, err error) {
	err = d.inTurn(ctx, func() error {
		if d.link != nil && d.link.info != nil {
			parameters, d.link.info = d.link.info[1:], nil
		}
		return nil
	})
	if parameters != nil || err != nil {
		return parameters, err
	}
	return d.exchange(ctx, []byte{byte(ctap.CommandGetInfo)})
}

// transact sends one message and gives the answer; that to CTAPHID_CBOR and CTAPHID_MSG has a byte at least.
func (d *Device) transact(ctx context.Context, command ctaphid.Command, message []byte) (answer []byte, err error) {
	if d.link == nil {
		return nil, ctap.ErrInvalidCommand
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	d.link.begin(ctx)
	answer, err = d.link.exchange(command, message)
	if failed := d.link.end(); err != nil {
		return nil, failed
	}
	return answer, nil
}

// Wink lets the key show itself, by light or sound (CTAP 2.2 §11.2.9.2.1); ctap.ErrInvalidCommand when it can't.
func (d *Device) Wink(ctx context.Context) error {
	return d.inTurn(ctx, func() error {
		if d.link == nil || !d.link.client.Capabilities.Has(ctaphid.CapWink) {
			return ctap.ErrInvalidCommand
		}
		_, err := d.transact(ctx, ctaphid.CommandWink, nil)
		return err
	})
}

// status is what the first byte of an answer says.
func status(answer []byte) error {
	if answer[0] == byte(ctap.StatusOK) {
		return nil
	}
	return fail(C.int(answer[0]))
}

// Select waits for a touch, by a request that can have no other effect (CTAP 2.2 §6.1.2 step 1).
func (d *Device) Select(ctx context.Context) error {
	return d.do(ctx, func() C.int { return C.fob_select(d.dev, C.int(budget(ctx).Milliseconds())) })
}
