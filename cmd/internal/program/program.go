// Package program is what fob's programs have in common at their edges: signals, secrets from file descriptors, a
// process that leaves no core dump.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"fob/fido"
)

// Version is set when a release is built.
var Version = "devel"

// Context ends at the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. The caller calls stop.
func Context() (ctx context.Context, stop context.CancelFunc) {
	signals := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) { // nohup
		signals = append(signals, unix.SIGHUP)
	}
	ctx, stop = signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Confine keeps what the process knows out of core dumps and from debuggers of the same user.
func Confine() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no limit on core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("process stays dumpable: %w", err)
	}
	return nil
}

// ErrPINLength is a PIN that no key can have.
var ErrPINLength = fmt.Errorf("a PIN has at least %d characters and at most %d bytes", fido.MinPINLength, fido.MaxPINLength)

// ReadPIN reads a PIN from a file descriptor, up to a line feed or the end, and closes it. The caller wipes the PIN.
// It returns ctx.Err() when ctx ends first.
func ReadPIN(ctx context.Context, fd int) (fido.PIN, error) {
	// What we opened ourselves, the runtime's files among it, is closed on exec; what we were given is not.
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, Usage(fmt.Errorf("file descriptor %d is not open; a shell opens it with %d<FILE", fd, fd))
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the read can be ended
		return nil, err
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("file descriptor %d", fd))
	defer f.Close()
	defer unix.SetNonblock(fd, false) // it may be shared with a shell
	release := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	pin, err := ReadLine(f)
	if ctx.Err() != nil {
		pin.Wipe()
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("no PIN read: %w", err)
	}
	return pin, nil
}

// ReadLine reads a PIN, byte by byte so that nothing behind it is taken, and without making copies.
func ReadLine(r io.Reader) (pin fido.PIN, err error) {
	pin = make(fido.PIN, 0, fido.MaxPINLength+1)
	defer func() {
		if err != nil {
			pin.Wipe()
			pin = nil
		}
	}()
	for one := make([]byte, 1); ; {
		_, err := io.ReadFull(r, one)
		switch {
		case errors.Is(err, io.EOF), err == nil && one[0] == '\n':
			if utf8.RuneCount(pin) < fido.MinPINLength {
				return pin, ErrPINLength
			}
			return pin, nil
		case err != nil:
			return pin, err
		case len(pin) == fido.MaxPINLength:
			return pin, ErrPINLength
		}
		pin = append(pin, one[0])
		one[0] = 0
	}
}

// NoArguments refuses arguments, in words that say what a person has probably missed.
func NoArguments(args []string) error {
	if len(args) > 0 {
		return Usage(fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}
