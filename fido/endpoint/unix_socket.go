package endpoint

import (
	"context"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// UnixSocket is a stream socket of the Unix domain that carries reports of 64 bytes in both directions and nothing else.
// It has one client at a time; others find their connection closed. A client that goes is a host that hangs up, and so
// is one that doesn't read for a second.
type UnixSocket struct {
	// Device is what Serve tells the client of the device; its Handler is not used. Set it before Serve.
	Device ctaphid.Device

	path     string
	listener *net.UnixListener
	service
}

// ListenUnix makes a socket that only its owner can connect to (mode 0600). Until Serve runs, clients wait.
func ListenUnix(path string) (*UnixSocket, error) {
	private := func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil { // bind(2) takes it over
			return e
		}
		return err
	}
	l, err := (&net.ListenConfig{Control: private}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return &UnixSocket{path: path, listener: l.(*net.UnixListener)}, nil
}

// Path is the path of the socket.
func (u *UnixSocket) Path() string { return u.path }

// Serve answers the clients through h until ctx is done, and returns its error, or until Close, and returns
// os.ErrClosed. When a client goes, its request is cancelled. Serve may be called again later.
func (u *UnixSocket) Serve(ctx context.Context, h ctap.Handler) error {
	return u.run(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		c := &clients{arrived: make(chan struct{}, 1)}
		u.listener.SetDeadline(time.Time{})
		var acceptor sync.WaitGroup
		defer acceptor.Wait()
		defer whenDone(ctx, func() {
			u.listener.SetDeadline(time.Unix(1, 0))
			c.shut()
		})()
		defer cancel(nil)
		acceptor.Go(func() { cancel(u.accept(c)) })

		device := u.Device
		device.Handler = h
		if err := device.Serve(ctx, c); ctx.Err() == nil {
			return err
		}
		return context.Cause(ctx)
	})
}

func (u *UnixSocket) accept(c *clients) error {
	for {
		conn, err := u.listener.AcceptUnix()
		if err != nil {
			return err
		}
		c.admit(conn)
	}
}

// Close ends Serve, waits for it, and removes the socket. A second Close returns os.ErrClosed.
func (u *UnixSocket) Close() error { return u.close(u.listener.Close) }

// clients is the client of the moment as a ctaphid.Conn.
type clients struct {
	arrived chan struct{} // has a value in it when there may be a client that ReadReport has not seen

	mu     sync.Mutex // guards the fields below
	client *net.UnixConn
	next   *net.UnixConn // who came when client had hung up, before ReadReport came to the end of what it wrote
	shutUp bool
}

func (c *clients) admit(conn *net.UnixConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.shutUp:
		conn.Close()
	case c.client == nil:
		c.client = conn
		select {
		case c.arrived <- struct{}{}:
		default:
		}
	case hungUp(c.client) && (c.next == nil || hungUp(c.next)):
		closeConn(c.next)
		c.next = conn
	default:
		conn.Close()
	}
}

// hungUp says that nobody will write any more, though there may be something left to read.
func hungUp(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	raw.Control(func(fd uintptr) {
		revents, err := poll(0, pollFD(int(fd), unix.POLLRDHUP))
		gone = err != nil || revents[0] != 0
	})
	return gone
}

func (c *clients) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	client, err := c.await(ctx)
	if err != nil {
		return ctaphid.Report{}, err
	}
	var r ctaphid.Report
	if _, err := io.ReadFull(client, r[:]); err == nil {
		return r, nil
	}
	c.drop()
	if ctx.Err() != nil {
		return ctaphid.Report{}, ctx.Err()
	}
	return ctaphid.Report{}, ctaphid.ErrHangUp
}

func (c *clients) await(ctx context.Context) (*net.UnixConn, error) {
	for {
		if client := c.now(); client != nil {
			return client, nil
		}
		select {
		case <-c.arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *clients) now() *net.UnixConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}

// drop closes the client. The next one may have come already.
func (c *clients) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	closeConn(c.client)
	c.client, c.next = c.next, nil
}

// shut closes all clients, and those that come later.
func (c *clients) shut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	closeConn(c.client)
	closeConn(c.next)
	c.shutUp = true
}

// WriteReport leaves it to ReadReport to notice that it has closed the connection: half a report can't be taken back.
func (c *clients) WriteReport(ctx context.Context, r ctaphid.Report) error {
	client := c.now()
	if client == nil {
		return ctaphid.ErrDropped
	}
	client.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := client.Write(r[:]); err == nil {
		return nil
	}
	client.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return ctaphid.ErrDropped
}

func closeConn(conn *net.UnixConn) {
	if conn != nil {
		conn.Close()
	}
}
