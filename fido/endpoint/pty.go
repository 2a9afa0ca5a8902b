// Package endpoint has the places to plug a [ctap.Handler] in, so that other programs can open it as a device.
//
// A [PTY] needs neither root nor kernel modules: libfido2 opens any character device, and a pseudo-terminal in raw mode
// is one.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// ErrServing is returned by Serve while another Serve runs.
var ErrServing = errors.New("endpoint is being served already")

// PTY is a pseudo-terminal that behaves like a hidraw node: hosts write records of 65 bytes, the report number 0 and a
// report, and read reports of 64 bytes. Several hosts may have it open, and all of them read from one queue; it does
// not copy reports to each of them, as hidraw does.
//
// A host should open it with O_NOCTTY, lest a session leader gets it as its controlling terminal.
type PTY struct {
	// Device is what Serve tells the hosts of the device; its Handler is not used. Set it before Serve.
	Device ctaphid.Device

	path string
	conn conn

	serving sync.Mutex // held by Serve, and by Close for ever
	mu      sync.Mutex // guards the fields below
	closed  bool
	cancel  context.CancelFunc // ends Serve, or nil
}

// OpenPTY makes a pseudo-terminal that only its owner can open (mode 0600). Until Serve runs, hosts that open it wait.
func OpenPTY() (*PTY, error) {
	p := &PTY{conn: conn{master: -1, wake: -1}}
	if err := p.open(); err != nil {
		p.closeFDs()
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	return p, nil
}

// open unlocks the terminal last, so that nobody opens it before it is private, raw and watched.
func (p *PTY) open() (err error) {
	c := &p.conn
	c.master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open /dev/ptmx", err)
	}
	number, err := unix.IoctlGetUint32(c.master, unix.TIOCGPTN)
	if err != nil {
		return os.NewSyscallError("TIOCGPTN", err)
	}
	p.path = fmt.Sprintf("%s/%d", devpts, number)
	if err := os.Chmod(p.path, 0o600); err != nil {
		return err
	}
	if err := setRaw(c.master); err != nil {
		return err
	}
	if c.hosts, err = watchHosts(p.path, c.master); err != nil {
		return err
	}
	if c.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	return os.NewSyscallError("TIOCSPTLCK", unix.IoctlSetPointerInt(c.master, unix.TIOCSPTLCK, 0))
}

// setRaw turns off all that a terminal does to bytes, and has a host's read wait for a whole report (VMIN). Through
// the master it sets the hosts' side, and it discards what the hosts have not read (TCSETSF).
func setRaw(master int) error {
	raw := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.B38400}
	raw.Cc[unix.VMIN] = ctaphid.ReportSize
	return os.NewSyscallError("TCSETSF", unix.IoctlSetTermios(master, unix.TCSETSF, &raw))
}

// Path is the device node that hosts open, /dev/pts/N.
func (p *PTY) Path() string { return p.path }

// Serve answers hosts through h until ctx is done, and returns its error, or until Close, and returns os.ErrClosed.
// When the last host closes the device, the request in progress is cancelled. Serve may be called again later.
func (p *PTY) Serve(ctx context.Context, h ctap.Handler) error {
	if !p.serving.TryLock() {
		return p.whyLocked()
	}
	defer p.serving.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !p.setCancel(cancel) {
		return os.ErrClosed
	}
	woken := make(chan struct{})
	context.AfterFunc(ctx, func() { signal(p.conn.wake); close(woken) })

	device := p.Device
	device.Handler = h
	err := device.Serve(ctx, &p.conn)
	cancel()
	<-woken
	reset(p.conn.wake)
	if !p.setCancel(nil) {
		return os.ErrClosed
	}
	return err
}

func (p *PTY) whyLocked() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	return ErrServing
}

// setCancel is false when the PTY is closed.
func (p *PTY) setCancel(cancel context.CancelFunc) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = cancel
	return !p.closed
}

// Close ends Serve, waits for it, and removes the device node. A second Close returns os.ErrClosed.
func (p *PTY) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return os.ErrClosed
	}
	p.closed = true
	if p.cancel != nil {
		p.cancel()
	}
	p.mu.Unlock()
	p.serving.Lock()
	return p.closeFDs()
}

func (p *PTY) closeFDs() error {
	err := errors.Join(closeFD(p.conn.master), closeFD(p.conn.wake))
	if p.conn.hosts != nil {
		err = errors.Join(err, p.conn.hosts.close())
	}
	return err
}
