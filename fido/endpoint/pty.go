// Package endpoint has the places to plug a [ctap.Handler] in, so that other programs can open it as a device.
//
// Each of them turns what it carries into the requests of one framing: CTAPHID, or ISO 7816 for a card.
//
//   - [PTY] needs neither root nor kernel modules: libfido2 opens any character device, and a pseudo-terminal in raw mode
//     is one.
//   - [UHID] is a real hidraw device that every program lists. It needs /dev/uhid.
//   - [VPCD] is an NFC key in a virtual reader of pcscd. It needs the package vsmartcard-vpcd.
//   - [UnixSocket] and [UDPSocket] carry bare reports, for programs that were made to test against an emulator.
package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// PTY is a pseudo-terminal that behaves like a hidraw node: hosts write records of 65 bytes, the report number 0 and a
// report, and read reports of 64 bytes. Several hosts may have it open, and all of them read from one queue; it does
// not copy reports to each of them, as hidraw does.
//
// What hosts leave unread is discarded when the last one closes, or the one that has locked it (flock), as libfido2
// does. The next one may be quicker than we are, if it opens the terminal just when another one dies that is to read the
// response to its CTAPHID_INIT. Then it reads that response; if it doesn't skip it by its nonce, as libfido2 doesn't, it
// must open the terminal once more.
//
// A host should open it with O_NOCTTY, lest a session leader gets it as its controlling terminal.
type PTY struct {
	// Device is what Serve tells the hosts of the device; its Handler is not used. Set it before Serve.
	Device ctaphid.Device

	path string
	conn conn
	service
}

// OpenPTY makes a pseudo-terminal that only its owner can open (mode 0600). Until Serve runs, hosts that open it wait.
func OpenPTY() (*PTY, error) {
	p := new(PTY)
	if err := p.open(); err != nil {
		p.release()
		return nil, fmt.Errorf("open pseudo-terminal: %w", err)
	}
	return p, nil
}

// open unlocks the terminal last, so that nobody opens it before it is private, raw and watched.
func (p *PTY) open() (err error) {
	c := &p.conn
	c.master, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return limitError("open /dev/ptmx", err)
	}
	c.file = os.NewFile(uintptr(c.master), "/dev/ptmx")
	if c.raw, err = c.file.SyscallConn(); err != nil {
		return err
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
	file, err := lockName(p.path)
	if err != nil {
		return err
	}
	c.hosts = &hosts{node: -1, master: c.master, file: file, wake: func() { c.file.SetReadDeadline(past) }}
	if err := terminals.add(c.hosts, p.path); err != nil {
		return err
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
	return p.run(ctx, func(ctx context.Context) error {
		device := p.Device
		device.Handler = h
		return device.Serve(ctx, &p.conn)
	})
}

// Close ends Serve, waits for it, and removes the device node. A second Close returns os.ErrClosed.
func (p *PTY) Close() error { return p.close(p.release) }

func (p *PTY) release() (err error) {
	if p.conn.hosts != nil {
		err = terminals.remove(p.conn.hosts)
	}
	if p.conn.file != nil {
		err = errors.Join(err, p.conn.file.Close())
	}
	return err
}
