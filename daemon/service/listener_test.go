package service

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fob/ipc"
	"fob/ipc/varlink"
)

const patience = 30 * time.Second

// socket listens in a folder of the test's own.
func socket(t testing.TB) (*net.UnixListener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

func dial(t testing.TB, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// accepted is what Accept gave.
type accepted struct {
	net.Conn
	err error
}

func accepting(l *Listener) <-chan accepted {
	done := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		done <- accepted{c, err}
	}()
	return done
}

func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing has come")
		panic("unreachable")
	}
}

func TestIdle(t *testing.T) {
	inner, path := socket(t)
	var busy atomic.Bool
	looked := make(chan bool, 1)
	l := NewListener(inner)
	l.Idle = time.Millisecond
	l.Busy = func() bool {
		select {
		case looked <- true:
		default:
		}
		return busy.Load()
	}
	came := 0
	l.Came = func() { came++ }

	// A client that is there keeps it.
	dial(t, path)
	first := await(t, accepting(l))
	if first.err != nil || l.Clients() != 1 || came != 1 {
		t.Fatal(first.err, l.Clients(), came)
	}
	next := accepting(l)
	select {
	case a := <-next:
		t.Fatalf("%v while a client is there", a.err)
	case <-time.After(20 * time.Millisecond):
	}

	// So does what goes on without clients.
	busy.Store(true)
	first.Close()
	first.Close() // counts once
	await(t, looked)
	await(t, looked)
	select {
	case a := <-next:
		t.Fatalf("%v while something goes on", a.err)
	default:
	}
	busy.Store(false)
	if a := await(t, next); !errors.Is(a.err, ErrIdle) || l.Clients() != 0 {
		t.Errorf("%v with %d clients", a.err, l.Clients())
	}
}

// TestIdleLosesNobody: who connects to the socket at the moment of the end is found there by who accepts next.
func TestIdleLosesNobody(t *testing.T) {
	inner, path := socket(t)
	const clients = 300
	var all sync.WaitGroup
	all.Go(func() {
		for range clients {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error("a client was lost:", err)
			}
			c.Close()
		}
	})
	served, ends := 0, 0
	for served < clients { // each time like a process that is started anew
		l := NewListener(inner)
		l.Idle = 50 * time.Microsecond
		for {
			c, err := l.Accept()
			if errors.Is(err, ErrIdle) {
				ends++
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte{1})
			served++
			c.Close()
		}
	}
	all.Wait()
	if ends == 0 {
		t.Error("it was never idle")
	}
}

func TestDial(t *testing.T) {
	inner, _ := socket(t)
	l := NewListener(inner)
	l.Idle = time.Hour
	next := accepting(l)
	ours, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs := await(t, next)
	if theirs.err != nil || l.Clients() != 0 {
		t.Fatalf("%v; %d clients, for it is none", theirs.err, l.Clients())
	}
	theirs.Write([]byte("x"))
	if n, err := ours.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Error(n, err)
	}

	pending, err := l.Dial() // nobody accepts it
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := pending.Read(make([]byte, 1)); err == nil {
		t.Error("a connection that nobody accepts stays open")
	}
	if _, err := l.Dial(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if a := await(t, accepting(l)); !errors.Is(a.err, net.ErrClosed) {
		t.Error(a.err)
	}
}

// TestProbe goes through a real server.
func TestProbe(t *testing.T) {
	inner, _ := socket(t)
	l := NewListener(inner)
	hang := make(chan struct{})
	var hangs atomic.Bool
	s := &varlink.Server{Authorize: func(p varlink.Peer) error {
		if p.PID == 0 {
			t.Error("the kernel does not say who connects")
		}
		return nil
	}}
	nothing := func(context.Context, *varlink.Call) (any, error) { return nil, nil }
	if err := s.Register(ipc.ServiceInterface, map[string]varlink.Handler{"Status": nothing, "Metrics": nothing, "Reload": nothing,
		"Ping": func(context.Context, *varlink.Call) (any, error) {
			if hangs.Load() {
				<-hang // as a handler does that waits for a lock
			}
			return nil, nil
		}}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	if err := l.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	hangs.Store(true)
	short, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer end()
	if err := l.Probe(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that hangs: %v", err)
	}
	close(hang)
	if err := l.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := await(t, ended); err != nil {
		t.Error(err)
	}
	if err := l.Probe(t.Context()); err == nil {
		t.Error("a server that has ended lives")
	}
}

// TestProbeOfFullServer: one that has too many clients refuses us, which shows that it lives.
func TestProbeOfFullServer(t *testing.T) {
	inner, _ := socket(t)
	l := NewListener(inner)
	s := &varlink.Server{Authorize: func(varlink.Peer) error { return varlink.PermissionDenied{} }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	if err := l.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	await(t, ended)
}
