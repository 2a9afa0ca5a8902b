package varlink

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const messageError = `{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"message"}}`

func TestMaxMessage(t *testing.T) {
	s, _ := newServer(t)
	s.MaxMessage = 200
	path, _ := start(t, s)
	const head, tail = `{"method":"org.example.test.Echo","parameters":{"text":"`, `"}}`
	fits := strings.Repeat("x", 200-len(head+tail))
	for name, message := range map[string]string{
		"finished":   head + fits + "x" + tail + "\x00",
		"unfinished": head + strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, path)
			c.send(head + fits + tail + "\x00")
			c.expect(`{"parameters":{"text":"` + fits + `"}}`)
			c.send(message)
			c.expect(messageError)
			c.expectEnd()
		})
	}
}

func TestMaxMessageDefault(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	var out text
	large := strings.Repeat("x", DefaultMaxMessage-100)
	if err := c.Call(t.Context(), "org.example.test.Echo", text{large}, &out); err != nil || out.Text != large {
		t.Errorf("got %d bytes, %v", len(out.Text), err)
	}
	err := c.Call(t.Context(), "org.example.test.Echo", text{large + large}, &out)
	if !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := c.Call(t.Context(), "org.example.test.Echo", text{"again"}, &out); err != nil || out.Text != "again" {
		t.Errorf("after it: %v", err)
	}
}

func TestMaxMessageOfClient(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	c.MaxMessage = 100
	err := c.Call(t.Context(), "org.varlink.service.GetInfo", nil, nil)
	if !errors.Is(err, ErrMessageTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestMaxConnections(t *testing.T) {
	s, _ := newServer(t)
	s.MaxConnections = 2
	var refused atomic.Int32
	s.Refused = func(why Named) {
		if refused.Add(1); why != (PermissionDenied{}) {
			t.Errorf("refused with %v", why)
		}
	}
	path, _ := start(t, s)
	first, second := dial(t, path), dial(t, path)
	for _, c := range []*Conn{first, second} {
		if err := c.Call(t.Context(), "org.varlink.service.GetInfo", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	third := dialRaw(t, path)
	third.expect(`{"error":"org.varlink.service.PermissionDenied","parameters":{}}`)
	third.expectEnd()
	if n := refused.Load(); n != 1 {
		t.Errorf("refused %d", n)
	}
	first.Close()
	untilServed(t, path, PermissionDenied{})
}

// pipe serves one end of a net.Pipe, whose timeouts a synctest bubble can speed up.
func pipe(ctx context.Context, t *testing.T, s *Server) (c *raw, done chan struct{}) {
	server, client := net.Pipe()
	done = make(chan struct{})
	go func() {
		s.serve(ctx, server, Peer{})
		close(done)
	}()
	return newRaw(t, client), done
}

// TestFrameTimeout: a client that goes on sending byte by byte is no better than one that stopped.
func TestFrameTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t)
		c, done := pipe(t.Context(), t, s)
		begin := time.Now()
		var sender sync.WaitGroup
		sender.Go(func() {
			for _, err := c.Write([]byte(`{`)); err == nil; _, err = c.Write([]byte(` `)) {
				time.Sleep(time.Second)
			}
		})
		c.expect(messageError)
		<-done
		if took := time.Since(begin); took != DefaultFrameTimeout {
			t.Errorf("took %v", took)
		}
		sender.Wait()
	})
}

// TestIdleHasNoTimeout: neither between messages nor while a handler runs.
func TestIdleHasNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newServer(t)
		c, done := pipe(t.Context(), t, s)
		for range 2 {
			time.Sleep(time.Hour)
			c.send(`{"method":"org.example.test.Echo"}` + "\x00")
			c.expect(`{"parameters":{"text":""}}`)
		}
		c.send(`{"method":"org.example.test.Wait"}` + "\x00")
		time.Sleep(time.Hour)
		if len(e.cancelled) > 0 {
			t.Error("cancelled though nobody hung up")
		}
		c.Close()
		<-done
	})
}

// TestWriteTimeout: a client that doesn't read costs the handler its context and the connection.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		s := new(Server)
		err := s.Register("interface a.b\nmethod A() -> ()", map[string]Handler{
			"A": func(ctx context.Context, c *Call) (any, error) {
				ended <- c.Continue(nil)
				<-ctx.Done()
				ended <- c.Continue(nil)
				return nil, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, done := pipe(t.Context(), t, s)
		begin := time.Now()
		c.send(`{"method":"a.B.C"}` + "\x00")
		_, _ = io.ReadFull(c, make([]byte, 10)) // half the reply, then no more
		<-done
		if took := time.Since(begin); took != DefaultWriteTimeout {
			t.Errorf("took %v", took)
		}
		c, done = pipe(t.Context(), t, s)
		c.send(`{"method":"a.b.A","more":true}` + "\x00")
		<-done
		for range 2 {
			if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// halfCloser is a pipe whose reader can be stopped alone, as that of a socket can.
type halfCloser struct{ net.Conn }

func (h halfCloser) CloseRead() error { return h.SetReadDeadline(time.Unix(1, 0)) }

// TestStopDoesNotWaitForWhoReadsNothing: neither where a reply is being written when the server stops, nor where one is
// afterwards.
func TestStopDoesNotWaitForWhoReadsNothing(t *testing.T) {
	for _, method := range []string{"Count", "Wait"} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newServer(t)
			ctx, stop := context.WithCancel(t.Context())
			server, client := net.Pipe()
			defer client.Close()
			done := make(chan struct{})
			go func() {
				s.serve(ctx, halfCloser{server}, Peer{})
				close(done)
			}()
			newRaw(t, client).send(`{"method":"org.example.test.` + method + `","more":true,"parameters":{"to":9}}` + "\x00")
			synctest.Wait()
			begin := time.Now()
			stop()
			<-done
			if took := time.Since(begin); took != endTimeout {
				t.Errorf("%s: took %v", method, took)
			}
		})
	}
}

// TestMaxPipelined: beyond the running call and the queue nothing is read.
func TestMaxPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, e := newServer(t)
		s.MaxPipelined = 3
		ctx, cancel := context.WithCancel(t.Context())
		c, done := pipe(ctx, t, s)
		sent := 0
		go func() {
			for ; sent < 100; sent++ {
				if _, err := c.Write([]byte(`{"method":"org.example.test.Wait"}` + "\x00")); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if len(e.started) != 1 || sent != 1+3+1 { // the last one waits for its place
			t.Errorf("%d calls run and %d were read", len(e.started), sent)
		}
		cancel()
		<-done
	})
}

// TestMaxPerProcess: a process that has its share is told so, and others are still served.
func TestMaxPerProcess(t *testing.T) {
	s, _ := newServer(t)
	s.MaxPerProcess, s.TooMany = 2, broken{"door"}
	path, _ := start(t, s)
	first, second := dial(t, path), dial(t, path)
	for _, c := range []*Conn{first, second} {
		if err := c.Call(t.Context(), "org.varlink.service.GetInfo", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 { // whether the server has closed before we write or not
		var got broken
		err := dial(t, path).Call(t.Context(), "org.varlink.service.GetInfo", nil, nil)
		if !errors.As(err, &got) || got.Part != "door" {
			t.Fatalf("got %v", err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "raw_client.py"), path, "org.example.test.Count")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("another process: %v\n%s", err, out)
	}
	first.Close()
	untilServed(t, path, broken{})
}

// untilServed tries again until the server has noticed that there is room.
func untilServed(t *testing.T, path string, refusal error) {
	t.Helper()
	for {
		err := dial(t, path).Call(t.Context(), "org.varlink.service.GetInfo", nil, nil)
		if err == nil {
			return
		}
		if !errors.Is(err, refusal) {
			t.Fatal(err)
		}
	}
}

// TestGuests: users and processes are counted apart, and forgotten when they have gone.
func TestGuests(t *testing.T) {
	var g guests
	enter := func(pid int32, uid uint32, want bool) {
		t.Helper()
		if got := g.enter(Peer{PID: pid, UID: uid}, 3, 2); got != want {
			t.Errorf("process %d of user %d: got %v", pid, uid, got)
		}
	}
	enter(1, 10, true)
	enter(1, 10, true)
	enter(1, 10, false) // the process
	enter(2, 10, true)
	enter(3, 10, false) // the user
	enter(3, 11, true)
	g.leave(Peer{PID: 1, UID: 10})
	enter(3, 10, true)
	for _, p := range []Peer{{PID: 1, UID: 10}, {PID: 2, UID: 10}, {PID: 3, UID: 11}, {PID: 3, UID: 10}} {
		g.leave(p)
	}
	if len(g.users)+len(g.processes) > 0 {
		t.Errorf("left: %v, %v", g.users, g.processes)
	}
}

// TestCallsPerSecond: calls beyond the first second's worth are read one by one, and all are answered.
func TestCallsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := newServer(t)
		s.CallsPerSecond = 10
		c, done := pipe(t.Context(), t, s)
		for _, rest := range []time.Duration{0, time.Hour} { // an hour of silence saves up no more than a second does
			time.Sleep(rest)
			begin := time.Now()
			go c.send(strings.Repeat(`{"method":"org.example.test.Echo"}`+"\x00", 25))
			for n := range 25 {
				c.expect(`{"parameters":{"text":""}}`)
				if want := max(0, n-9) * 100; time.Since(begin) != time.Duration(want)*time.Millisecond {
					t.Errorf("reply %d after %v", n, time.Since(begin))
				}
			}
			synctest.Wait()
		}
		c.Close()
		<-done
	})
}

// TestSlowedClientHangsUp: what such a client has sent delays neither the end of its calls nor that of its connection.
func TestSlowedClientHangsUp(t *testing.T) {
	s, e := newServer(t)
	s.CallsPerSecond, s.MaxPipelined = 2, 2000 // so that it never waits for a place
	path, stop := start(t, s)
	c := dialRaw(t, path)
	c.send(`{"method":"org.example.test.Wait"}` + "\x00" + strings.Repeat(`{"method":"a.B"}`+"\x00", 1000)) // of 8 minutes
	await(t, e.started, "the call")
	c.Close()
	await(t, e.cancelled, "its end")
	testNoGoroutines(t, "(*conn).")
	stop()
}
