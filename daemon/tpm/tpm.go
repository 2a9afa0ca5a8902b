// Package tpm keeps secrets in a TPM 2.0: it seals data keys, and computes HMACs with keys that never leave it.
//
// What a TPM has made lies outside of it, as an Object that only this TPM can load. Objects are loaded when they are
// needed and flushed after. Secrets and PINs cross the bus to the TPM in sessions that are salted with the storage root
// key and encrypted (TPM 2.0 Library, part 1, "Session-based encryption"); an Object knows the name of its storage root
// key, so that nobody between us and the TPM can put another one in its place.
package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"
)

// DefaultPath is the TPM behind the kernel's resource manager, which cleans up behind programs.
const DefaultPath = "/dev/tpmrm0"

// TPM is a TPM 2.0. Its methods may be called concurrently; they take turns, and each opens the TPM anew, so that it
// may come, go and be reset between them. The errors are those of this package.
type TPM struct {
	Path string // of a device, or of a Unix socket such as swtpm's; empty for none

	turn sync.Mutex
}

// Check tells whether we may open the TPM; it asks it nothing.
func (t *TPM) Check() error {
	p, err := open(context.Background(), t.Path)
	if err != nil {
		return err
	}
	return p.Close()
}

// commandTime is how long a TPM that is a socket may take for a command. The kernel has times of its own for devices.
const commandTime = time.Minute

// port is a TPM that is open: an *os.File or a net.Conn.
type port = io.ReadWriteCloser

func open(ctx context.Context, path string) (port, error) {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return nil, ErrAbsent
	case err != nil:
		return nil, openError(path, err)
	case info.Mode()&os.ModeSocket != 0:
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, openError(path, err)
		}
		return c, nil
	case info.Mode()&os.ModeCharDevice == 0:
		return nil, fmt.Errorf("%w: %s is neither a device nor a socket", ErrAbsent, path)
	}
	// Without O_NONBLOCK, which os.OpenFile would add: a write returns when the answer is there, and a read gives it all.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func openError(path string, err error) error {
	kind := ErrFailed
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ECONNREFUSED):
		kind = ErrAbsent
	case errors.Is(err, os.ErrPermission):
		kind = ErrDenied
	case errors.Is(err, unix.EBUSY):
		kind = ErrBusy
	}
	return &Error{Kind: kind, Detail: path, Err: err}
}

// conn is a TPM during one of our methods.
type conn struct {
	port port
	done <-chan struct{} // closed when nobody waits any more
}

// with runs do on the open TPM, and gives errors the types of this package.
func (t *TPM) with(ctx context.Context, do func(*conn) error) error {
	t.turn.Lock()
	defer t.turn.Unlock()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	p, err := open(ctx, t.Path)
	if err != nil {
		return err
	}
	c := &conn{port: p, done: ctx.Done()}
	defer context.AfterFunc(ctx, func() { p.Close() })() // a command of a device goes on until the kernel ends it
	defer p.Close()
	err = do(c)
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	return typed(err)
}

// The header of an answer: its tag, its size and its code (part 3, "Response values"), in bytes; and the most that a
// TPM gives.
const (
	headerSize = 10
	maxAnswer  = 4096
)

// Delays before a command is repeated that the TPM could not begin.
const (
	firstDelay = 2 * time.Millisecond
	lastDelay  = 500 * time.Millisecond
)

// Send implements transport.TPM. It repeats a command that the TPM could not begin yet (part 1, "Response code
// details", TPM_RC_RETRY); a caller that has it repeated too often gets that code.
func (c *conn) Send(command []byte) (answer []byte, err error) {
	for delay := firstDelay; ; delay *= 2 {
		if answer, err = c.exchange(command); err != nil || delay > lastDelay {
			return answer, err
		}
		switch tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])) {
		case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
		default:
			return answer, nil
		}
		select {
		case <-time.After(delay):
		case <-c.done:
			return nil, context.Canceled
		}
	}
}

func (c *conn) exchange(command []byte) ([]byte, error) {
	if s, ok := c.port.(net.Conn); ok {
		if err := s.SetDeadline(time.Now().Add(commandTime)); err != nil {
			return nil, err
		}
	}
	if _, err := c.port.Write(command); err != nil {
		return nil, err
	}
	answer := make([]byte, maxAnswer)
	n, err := io.ReadAtLeast(c.port, answer, headerSize)
	if err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(answer[2:])
	if size < headerSize || size > maxAnswer || int(size) < n {
		return nil, fmt.Errorf("an answer of %d bytes", size)
	}
	_, err = io.ReadFull(c.port, answer[n:size])
	return answer[:size], err
}

// flush forgets what was loaded. One that has gone already is none of our concern.
func (c *conn) flush(h tpm2.TPMHandle) {
	_, _ = (&tpm2.FlushContext{FlushHandle: h}).Execute(c)
}
