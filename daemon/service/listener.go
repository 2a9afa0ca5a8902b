package service

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrIdle is returned by Accept when no client has come for a while.
var ErrIdle = errors.New("no client for a while")

// Listener is where clients connect. It counts them, lets us connect without the socket, and ends by itself when it is
// idle. Make one with NewListener.
//
// Who comes while it ends is not lost: a connection is either accepted, and then it is not idle, or stays with the kernel,
// where systemd finds it and starts the next fobd.
type Listener struct {
	deadliner
	// Idle is how long no client may be there until Accept gives ErrIdle; 0 for ever. Busy may be nil; while it is true,
	// nothing ends. Set them before the first Accept.
	Idle time.Duration
	Busy func() bool
	// Came is called for each client; may be nil.
	Came func()

	mu     sync.Mutex
	open   int       // clients that are there
	since  time.Time // since when nobody has come or left
	dialed []net.Conn
	closed bool
}

// deadliner is a listener whose Accept can be made to return.
type deadliner interface {
	net.Listener
	SetDeadline(t time.Time) error
}

// NewListener makes a Listener of l, whose connections are Unix sockets.
func NewListener(l deadliner) *Listener { return &Listener{deadliner: l} }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.since = time.Now() // lest we end without having looked who waits, time and again
	l.mu.Unlock()
	for {
		if c := l.next(); c != nil {
			return c, nil
		}
		nc, err := l.deadliner.Accept()
		switch {
		case err == nil:
			return l.admit(nc), nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		case l.idle():
			return nil, ErrIdle
		}
	}
}

// next gives a connection of ours, or says how long to wait for others.
func (l *Listener) next() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dialed) > 0 {
		c := l.dialed[0]
		l.dialed = l.dialed[1:]
		return c
	}
	var until time.Time // for ever
	if l.Idle > 0 && l.open == 0 {
		until = l.since.Add(l.Idle)
	}
	_ = l.SetDeadline(until) // of a closed one, Accept fails too
	return nil
}

// idle reports whether nobody has needed us for long enough.
func (l *Listener) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Idle == 0 || l.open > 0 || len(l.dialed) > 0 || time.Since(l.since) < l.Idle {
		return false
	}
	if l.Busy != nil && l.Busy() {
		l.since = time.Now()
		return false
	}
	return true
}

// wake has Accept look again.
func (l *Listener) wake() { _ = l.SetDeadline(time.Unix(1, 0)) }

// admit counts a client in until it is closed.
func (l *Listener) admit(nc net.Conn) net.Conn {
	if l.Came != nil {
		l.Came()
	}
	unixConn, ok := nc.(*net.UnixConn)
	if !ok { // of no listener that is ours
		return nc
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	return &client{UnixConn: unixConn, left: sync.OnceFunc(l.left)}
}

func (l *Listener) left() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = time.Now()
	if l.open--; l.open == 0 {
		l.wake()
	}
}

// client is a connection that is counted.
type client struct {
	*net.UnixConn
	left func()
}

// Close implements net.Conn.
func (c *client) Close() error {
	err := c.UnixConn.Close()
	c.left()
	return err
}

// Clients is how many clients are there.
func (l *Listener) Clients() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.mu.Lock()
	l.closed = true
	dialed := l.dialed
	l.dialed = nil
	l.mu.Unlock()
	for _, c := range dialed {
		c.Close()
	}
	return l.deadliner.Close()
}

// Dial connects to who accepts here, not by the socket's path: it may be gone, or its queue full. It is no client, and
// keeps nothing from being idle.
func (l *Listener) Dial() (net.Conn, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		ours.Close()
		theirs.Close()
		return nil, net.ErrClosed
	}
	l.dialed = append(l.dialed, theirs)
	l.wake()
	return ours, nil
}

// pair makes two connected sockets, by which the kernel still tells whose they are.
func pair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	first, second := os.NewFile(uintptr(fds[0]), "socketpair"), os.NewFile(uintptr(fds[1]), "socketpair")
	defer first.Close()
	defer second.Close()
	if a, err = net.FileConn(first); err != nil {
		return nil, nil, err
	}
	if b, err = net.FileConn(second); err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, b, nil
}
