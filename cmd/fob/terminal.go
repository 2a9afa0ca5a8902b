package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/fido"
	"fob/ipc"
)

// terminal is the one that controls the process, whatever its standard streams are. Reading from it ends when a context
// does: /dev/tty, opened anew, takes deadlines.
type terminal struct{ *os.File }

func openTerminal() (*terminal, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &terminal{f}, nil
}

// secret asks a question, once nothing that is typed will be shown, and reads a PIN. The end of the input, Ctrl-D,
// declines.
func (t *terminal) secret(ctx context.Context, question string) (pin fido.PIN, err error) {
	err = t.hidden(ctx, question, func(r io.Reader) (err error) {
		pin, err = program.ReadLine(r)
		return err
	})
	return pin, err
}

// passphrase is secret for a passphrase.
func (t *terminal) passphrase(ctx context.Context, question string) (text ipc.Secret, err error) {
	err = t.hidden(ctx, question, func(r io.Reader) (err error) {
		text, err = program.ReadPassphraseLine(r)
		return err
	})
	return text, err
}

// seed is secret for the seed of one-time passwords, or its otpauth URI.
func (t *terminal) seed(ctx context.Context, question string) (text ipc.Secret, err error) {
	err = t.hidden(ctx, question, func(r io.Reader) (err error) {
		text, err = program.ReadSeedLine(r)
		return err
	})
	return text, err
}

func (t *terminal) hidden(ctx context.Context, question string, read func(io.Reader) error) error {
	restore, err := t.hide()
	if err != nil {
		return err
	}
	defer restore()
	io.WriteString(t, question)
	err = t.until(ctx, func() error { return read(&lineReader{t}) })
	io.WriteString(t, "\n") // the one that was typed was not shown
	return err
}

// line reads a line.
func (t *terminal) line(ctx context.Context) (text string, err error) {
	err = t.until(ctx, func() (err error) {
		text, err = bufio.NewReader(t).ReadString('\n')
		if err == io.EOF {
			err = ipc.ErrDeclined
		}
		return err
	})
	if err != nil {
		io.WriteString(t, "\n") // what follows begins a line of its own
	}
	return text, err
}

// until runs read, which fails when ctx ends.
func (t *terminal) until(ctx context.Context, read func() error) error {
	release := context.AfterFunc(ctx, func() { t.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	err := read()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// hide switches the echo off; restore brings it back. What was typed ahead is discarded.
func (t *terminal) hide() (restore func(), err error) {
	var saved *unix.Termios
	err = t.control(func(fd int) (err error) {
		if saved, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		hidden := *saved
		hidden.Lflag &^= unix.ECHO
		hidden.Lflag |= unix.ICANON | unix.ISIG
		hidden.Cc[unix.VQUIT], hidden.Cc[unix.VSUSP] = 0, 0 // these would leave the terminal without echo
		return unix.IoctlSetTermios(fd, unix.TCSETSF, &hidden)
	})
	return func() {
		t.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, saved) })
	}, err
}

func (t *terminal) control(f func(fd int) error) error {
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// lineReader makes a refusal of the end of the input.
type lineReader struct{ t *terminal }

func (r *lineReader) Read(b []byte) (int, error) {
	n, err := r.t.Read(b)
	if err == io.EOF {
		err = ipc.ErrDeclined
	}
	return n, err
}
