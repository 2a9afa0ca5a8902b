package libfido2

// #include "fob.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctap"
)

// probe finds out what libfido2 would not say: why a node can't be opened. It keeps the node open, so that an
// emulated key doesn't see us go and come back. Also, libfido2 would wait twenty seconds for a lock.
func (d *Device) probe() error {
	d.node = -1
	if strings.HasPrefix(d.path, "/sys/") { // a kernel NFC device has no node
		if err := unix.Access(d.path, unix.F_OK); err != nil {
			return openError(err)
		}
		return nil
	}
	fd, err := unix.Open(d.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return openError(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		unix.Close(fd)
		return fmt.Errorf("%w (not a character device)", fido.ErrNoDevice)
	}
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		unix.Close(fd)
		return fido.ErrDeviceBusy
	}
	unix.Flock(fd, unix.LOCK_UN) // libfido2 wants it itself
	d.node = fd
	return nil
}

func openError(err error) error {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (%w)", fido.ErrDenied, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w (%w)", fido.ErrDeviceBusy, err)
	default: // ENOENT, ENODEV, ENXIO; EIO of a pseudo-terminal without its master; not a device at all
		return fmt.Errorf("%w (%w)", fido.ErrNoDevice, err)
	}
}

// explain turns a code of libfido2 into an error. FIDO_ERR_RX means either that nothing came (overdue, or the device
// is gone) or that something else than the answer came, which is how a key says that another program is using it. All
// that goes wrong in a key agreement is FIDO_ERR_INTERNAL.
func (d *Device) explain(r C.int, overdue bool) error {
	switch {
	case r == C.FIDO_ERR_CHANNEL_BUSY:
		return because(fido.ErrDeviceBusy, r)
	case r == C.FIDO_ERR_RX && !overdue && d.present():
		return because(fido.ErrDeviceBusy, r)
	case r == C.FIDO_ERR_RX, r == C.FIDO_ERR_TX, r == C.FIDO_ERR_INTERNAL && !d.present():
		d.gone = true // an answer may still be on its way: it must not be taken for that of the next command
		return because(fido.ErrDeviceGone, r)
	default:
		return fail(r)
	}
}

// present reports whether the device is still there. Of a hidraw device the kernel wakes those who wait before it takes
// the node away, so to look for the node would be too early; but the open node has hung up by then.
func (d *Device) present() bool {
	if d.node < 0 {
		return unix.Access(d.path, unix.F_OK) == nil
	}
	fds := []unix.PollFd{{Fd: int32(d.node)}}
	unix.Poll(fds, 0) // when a signal interrupts it, nothing has happened
	return fds[0].Revents&(unix.POLLHUP|unix.POLLERR) == 0
}

// internal maps libfido2's own codes, which are negative.
var internal = map[C.int]error{
	C.FIDO_ERR_RX_NOT_CBOR:            ctap.ErrInvalidCBOR,
	C.FIDO_ERR_RX_INVALID_CBOR:        ctap.ErrInvalidCBOR,
	C.FIDO_ERR_INVALID_PARAM:          ctap.ErrInvalidParameter,
	C.FIDO_ERR_INVALID_ARGUMENT:       ctap.ErrInvalidParameter,
	C.FIDO_ERR_INVALID_SIG:            ctap.ErrIntegrityFailure,
	C.FIDO_ERR_USER_PRESENCE_REQUIRED: ctap.ErrUPRequired,
	C.FIDO_ERR_NOTFOUND:               ctap.ErrNoCredentials,
}

func fail(r C.int) error {
	if r > 0 && r <= 0xff {
		return ctap.StatusCode(r)
	}
	if err, ok := internal[r]; ok {
		return because(err, r)
	}
	return because(ctap.ErrOther, r)
}

func because(err error, r C.int) error {
	return fmt.Errorf("%w (%s)", err, C.GoString(C.fido_strerr(r)))
}
