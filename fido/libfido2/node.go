package libfido2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctaphid"
)

// node is an open device node: hidraw, or the pseudo-terminal of an emulated key. It implements ctaphid.Conn. libfido2
// would not say why a node can't be opened, and would wait twenty seconds for another program's lock.
type node struct {
	file *os.File
	raw  syscall.RawConn
	part []byte // of a report: a terminal may give less than a whole one
}

const (
	reportNumber = 0               // CTAPHID has none (linux/hidraw.h)
	writeTime    = 2 * time.Second // for a report, which devices take within milliseconds
	maxStale     = 1024            // reports; the kernel keeps 64
)

// past is a deadline that wakes whoever waits for a file.
var past = time.Unix(1, 0)

// openNode opens and locks the node at path, as libfido2 does.
func openNode(path string) (*node, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(err)
	}
	file := os.NewFile(uintptr(fd), path)
	n := &node{file: file}
	if err := n.prepare(fd); err != nil {
		file.Close()
		return nil, err
	}
	return n, nil
}

func (n *node) prepare(fd int) (err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return fmt.Errorf("%w (not a character device)", fido.ErrNoDevice)
	}
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == unix.EWOULDBLOCK {
		return fido.ErrDeviceBusy
	}
	if err := n.file.SetDeadline(time.Time{}); err != nil { // a device that nobody can wait for
		return fmt.Errorf("%w (%w)", fido.ErrNoDevice, err)
	}
	n.raw, err = n.file.SyscallConn()
	return err
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

// ReadReport implements ctaphid.Conn.
func (n *node) ReadReport(ctx context.Context) (r ctaphid.Report, err error) {
	n.file.SetReadDeadline(time.Time{})
	woken := make(chan struct{})
	wake := context.AfterFunc(ctx, func() {
		defer close(woken)
		n.file.SetReadDeadline(past)
	})
	defer func() {
		if !wake() {
			<-woken
		}
	}()
	for len(n.part) < len(r) && err == nil {
		var got int
		got, err = n.file.Read(r[:len(r)-len(n.part)])
		n.part = append(n.part, r[:got]...)
	}
	switch {
	case len(n.part) == len(r): // though ctx may have ended just now
		r, n.part = ctaphid.Report(n.part), n.part[:0]
		return r, nil
	case ctx.Err() != nil:
		return r, ctx.Err()
	}
	return r, err
}

// WriteReport implements ctaphid.Conn. A report is written as a whole, or the next one would not begin where the device
// expects it.
func (n *node) WriteReport(ctx context.Context, r ctaphid.Report) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.file.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := n.file.Write(append([]byte{reportNumber}, r[:]...))
	return err
}

// discard throws away what came while nobody listened. The kernel gives every program that has a hidraw node open all
// that the device says, and drops what is new when there is no room: also the answer to the next request.
func (n *node) discard() {
	var r ctaphid.Report
	for range maxStale {
		got := 0
		n.raw.Read(func(fd uintptr) bool {
			got, _ = unix.Read(int(fd), r[:])
			return true
		})
		if got <= 0 {
			break
		}
	}
	n.part = n.part[:0]
}

func (n *node) close() { n.file.Close() }
