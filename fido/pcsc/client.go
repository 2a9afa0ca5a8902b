package pcsc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultSocket is where pcscd listens, unless the environment variable PCSCLITE_CSOCK_NAME says otherwise.
const DefaultSocket = "/run/pcscd/pcscd.comm"

// Socket is where libpcsclite would look for pcscd.
func Socket() string { return cmp.Or(os.Getenv("PCSCLITE_CSOCK_NAME"), DefaultSocket) }

// Versions of the protocol. 4:5 has only added commands, which we do without.
const (
	versionMajor    = 4
	versionMinor    = 4
	versionMinorMax = 5
)

// ErrRefused is a pcscd that hangs up on us at once, or whose socket we may not open.
var ErrRefused = errors.New("pcscd refuses this program: polkit's action org.debian.pcsc-lite.access_pcsc forbids it")

// Client is a connection to pcscd. Its methods, and those of its cards, may be called at the same time; each waits for
// its turn.
//
// When the context of a call ends before pcscd has answered, the Client is closed, since the answer may come later.
// Then its methods return os.ErrClosed.
type Client struct {
	conn    net.Conn
	turn    chan struct{} // has a token in it during a call
	context uint32
}

// Dial connects to pcscd at a Unix socket; an empty path is for that of Socket. Where systemd
// listens there, that starts pcscd. It fails with ErrNoService, ErrRefused or a *VersionError.
func Dial(ctx context.Context, socket string) (*Client, error) {
	socket = cmp.Or(socket, Socket())
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, ctx.Err()
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrNoService, err)
	}
	return newClient(ctx, conn)
}

// newClient closes conn when it fails.
func newClient(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, turn: make(chan struct{}, 1)}
	err := c.do(ctx, func() error {
		if err := c.agree(); err != nil {
			return err
		}
		m := establishMsg{Scope: 2} // SCARD_SCOPE_SYSTEM
		if err := c.call(cmdEstablishContext, &m); err != nil {
			return err
		}
		c.context = m.Context
		return code(m.RV)
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// agree agrees on the version. Until 2.4.0 a pcscd speaks one version alone, and names it when it refuses another.
func (c *Client) agree() error {
	m := versionMsg{Major: versionMajor, Minor: versionMinor}
	err := c.call(cmdVersion, &m)
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	other := err == nil && m.Major == versionMajor && m.Minor > versionMinor && m.Minor <= versionMinorMax
	if other && Error(m.RV) == ErrServiceStopped {
		m.RV = 0
		err = c.call(cmdVersion, &m)
	}
	switch {
	case err != nil:
		return err
	case Error(m.RV) == ErrServiceStopped || m.Major != versionMajor:
		return &VersionError{m.Major, m.Minor}
	}
	return code(m.RV)
}

// Close ends the connection. pcscd ends the transactions that are open, and resets their cards.
func (c *Client) Close() error {
	err := c.conn.Close()
	if errors.Is(err, net.ErrClosed) {
		return os.ErrClosed
	}
	return err
}

// do calls f when it is our turn, and ends it when ctx is done. What f leaves unfinished closes the connection.
func (c *Client) do(ctx context.Context, f func() error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	undo := c.interruptWhenDone(ctx)
	err := f()
	undo()
	if _, whole := err.(Error); err == nil || whole {
		return err
	}
	c.conn.Close()
	return c.explain(ctx, err)
}

// explain says why a call was not finished.
func (c *Client) explain(ctx context.Context, err error) error {
	bad, version := new(BadReplyError), new(VersionError)
	switch {
	case errors.As(err, &bad), errors.As(err, &version), errors.Is(err, ErrRefused):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, net.ErrClosed):
		return os.ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrNoService, err)
}

var longAgo = time.Unix(1, 0)

// interruptWhenDone has reads and writes fail once ctx is done, until undo.
func (c *Client) interruptWhenDone(ctx context.Context) (undo func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		c.conn.SetDeadline(longAgo)
	})
	return func() {
		if !stop() {
			<-done
		}
		c.conn.SetDeadline(time.Time{})
	}
}

// send sends a request, with what follows its structure.
func (c *Client) send(cmd command, msg any, more []byte) error {
	_, err := c.conn.Write(append(appendRequest(nil, cmd, msg), more...))
	return err
}

// call sends a request and reads the reply, which is the same structure, into it.
func (c *Client) call(cmd command, msg any) error {
	if err := c.send(cmd, msg, nil); err != nil {
		return err
	}
	return readMsg(c.conn, msg)
}

// Readers lists the readers.
func (c *Client) Readers(ctx context.Context) (states []ReaderState, err error) {
	err = c.do(ctx, func() error {
		states, err = c.readStates(cmdGetReadersState)
		return err
	})
	return states, err
}

func (c *Client) readStates(cmd command) ([]ReaderState, error) {
	if err := c.send(cmd, nil, nil); err != nil {
		return nil, err
	}
	m := new(statesMsg)
	if err := readMsg(c.conn, m); err != nil {
		return nil, err
	}
	return readerStates(m)
}
