package endpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

const uhidPath = "/dev/uhid"

var (
	// ErrNoUHID means that the kernel's uhid is not there. It comes with fs.ErrNotExist.
	ErrNoUHID = errors.New("no " + uhidPath + ": load the kernel's module (modprobe uhid), outside of a container")
	// ErrUHIDPermission means that this user may not make devices. It comes with fs.ErrPermission.
	ErrUHIDPermission = errors.New("no permission for " + uhidPath + ": run as root, or give a group access by the udev" +
		` rule KERNEL=="uhid", GROUP="...", MODE="0660", OPTIONS+="static_node=uhid"`)
	// ErrUHIDText means that a name is too long, or not printable ASCII.
	ErrUHIDText = errors.New("name or serial number is not printable ASCII of at most 127 or 63 characters")
)

// UHIDOptions say what the system is told of the device.
type UHIDOptions struct {
	Name string // at most 127 characters of printable ASCII; empty for "fob emulated key"
	Uniq string // serial number, at most 63 such characters; empty for a random one
	// VendorID and ProductID are 1209:0001, the one that pid.codes gives to experiments, when both are 0.
	VendorID, ProductID uint16
}

// UHID is a hidraw device that the kernel makes for us (uhid): udev gives the seat's user access to it, and every
// program lists it beside real keys. Several hosts may have it open; each of them reads all reports.
//
// Unlike a bus, the kernel does not make a host wait: when one writes more than 32 reports (1.8 kB) faster than we read
// them, some may be lost, and with them the message, which the host is told by ERR_INVALID_SEQ or ERR_MSG_TIMEOUT.
type UHID struct {
	// Device is what Serve tells the hosts of the device; its Handler is not used. Set it before Serve.
	Device ctaphid.Device

	path string
	conn uhidConn
	service
}

// OpenUHID makes a device and waits for its node. Until Serve runs, hosts that open it wait.
func OpenUHID(ctx context.Context, o UHIDOptions) (*UHID, error) {
	o.Name, o.Uniq = cmp.Or(o.Name, "fob emulated key"), cmp.Or(o.Uniq, rand.Text())
	if o.VendorID == 0 && o.ProductID == 0 {
		o.VendorID, o.ProductID = 0x1209, 0x0001
	}
	if !isText(o.Name, 128) || !isText(o.Uniq, 64) {
		return nil, ErrUHIDText
	}
	fd, err := unix.Open(uhidPath, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, uhidError(err)
	}
	u, err := newUHID(fd)
	if err != nil {
		return nil, err
	}
	phys := "fob/" + rand.Text()
	if err := u.create(ctx, o, phys); err != nil {
		return nil, errors.Join(fmt.Errorf("make a uhid device: %w", err), u.Close())
	}
	return u, nil
}

// uhidError says what to do about an error of open(2). A module that is not loaded, and not allowed to be, is ENODEV.
func uhidError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("%w: %w", ErrNoUHID, fs.ErrNotExist)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", ErrUHIDPermission, err)
	}
	return os.NewSyscallError("open "+uhidPath, err)
}

// newUHID takes fd over.
func newUHID(fd int) (*UHID, error) {
	u := &UHID{conn: newUHIDConn(fd)}
	raw, err := u.conn.file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, u.conn.file.Close())
	}
	u.conn.raw = raw
	return u, nil
}

func (u *UHID) create(ctx context.Context, o UHIDOptions, phys string) (err error) {
	if err := u.conn.write(o.create2(phys)); err != nil {
		return err
	}
	u.path, err = awaitHidraw(ctx, "/sys/class/hidraw", "/dev", phys)
	return err
}

// Path is the device node that hosts open, /dev/hidrawN.
func (u *UHID) Path() string { return u.path }

// Serve answers hosts through h until ctx is done, and returns its error, or until Close, and returns os.ErrClosed.
// When the last host closes the device, the request in progress is cancelled. Serve may be called again later.
func (u *UHID) Serve(ctx context.Context, h ctap.Handler) error {
	return u.run(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		u.conn.file.SetReadDeadline(time.Time{})
		var drainer sync.WaitGroup
		defer drainer.Wait()
		defer whenDone(ctx, func() { u.conn.file.SetReadDeadline(past) })()
		defer cancel()
		drainer.Go(func() { u.conn.drain(ctx) })

		device := u.Device
		device.Handler = h
		return device.Serve(ctx, &u.conn)
	})
}

// Close ends Serve, waits for it, and removes the device. A second Close returns os.ErrClosed.
func (u *UHID) Close() error {
	return u.close(func() error {
		return errors.Join(u.conn.write(destroy()), u.conn.file.Close())
	})
}
