package varlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

func TestStream(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	for range 2 { // the connection stays usable
		n := 0
		for reply, err := range c.Stream(t.Context(), "org.example.test.Count", map[string]int{"to": 5}) {
			n++
			var got number
			if err != nil || reply.Bind(&got) != nil || got.N != n || reply.Continues != (n < 5) {
				t.Fatalf("reply %d: %+v, %v", n, reply, err)
			}
		}
		if n != 5 {
			t.Errorf("got %d replies", n)
		}
	}
}

func TestStreamError(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	n := 0
	for _, err := range c.Stream(t.Context(), "org.example.test.Fail", map[string]string{"how": "named"}) {
		n++
		var got broken
		if !errors.As(err, &got) || got.Part != "spring" {
			t.Errorf("got %v", err)
		}
	}
	if n != 1 {
		t.Errorf("got %d replies", n)
	}
	if err := c.Call(t.Context(), "org.example.test.Echo", nil, nil); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestLeavingStreamCloses(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	for range c.Stream(t.Context(), "org.example.test.Count", map[string]int{"to": 5}) {
		break
	}
	if err := c.Call(t.Context(), "org.example.test.Echo", nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestCancelCloses(t *testing.T) {
	s, e := newServer(t)
	path, _ := start(t, s)
	for name, call := range map[string]func(context.Context, *Conn) error{
		"call": func(ctx context.Context, c *Conn) error { return c.Call(ctx, "org.example.test.Wait", nil, nil) },
		"stream": func(ctx context.Context, c *Conn) (last error) {
			for _, last = range c.Stream(ctx, "org.example.test.Wait", nil) {
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("changed my mind")
			go func() {
				<-e.started
				cancel(why)
			}()
			c := dial(t, path)
			if err := call(ctx, c); err != why {
				t.Errorf("got %v", err)
			}
			await(t, e.cancelled, "the end of the call at the server")
			if err := call(ctx, c); err != why {
				t.Errorf("second call: %v", err)
			}
			if err := call(t.Context(), c); !errors.Is(err, net.ErrClosed) {
				t.Errorf("third call: %v", err)
			}
		})
	}
}

// TestTurns: calls that wait for their turn can be given up, and the others don't notice.
func TestTurns(t *testing.T) {
	s, e := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	var waiting sync.WaitGroup
	waiting.Go(func() { _ = c.Call(t.Context(), "org.example.test.Wait", nil, nil) })
	await(t, e.started, "the call")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Call(ctx, "org.example.test.Echo", nil, nil); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if len(e.cancelled) > 0 {
		t.Error("the first call was cancelled")
	}
	c.Close()
	waiting.Wait()

	c = dial(t, path)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			var out text
			if err := c.Call(t.Context(), "org.example.test.Echo", text{"x"}, &out); err != nil || out.Text != "x" {
				t.Errorf("got %q, %v", out.Text, err)
			}
		})
	}
	calls.Wait()
}

func TestMalformedReplies(t *testing.T) {
	for reply, want := range map[string]error{
		"":                             io.ErrUnexpectedEOF,
		`{"parameters":{}}`:            io.ErrUnexpectedEOF, // without its NUL
		"\x00":                         ErrMalformed,
		"[]\x00":                       ErrMalformed,
		"{} {}\x00":                    ErrMalformed,
		`{"error":1}` + "\x00":         ErrMalformed,
		`{"continues":"yes"}` + "\x00": ErrMalformed,
		`{"parameters":[]}` + "\x00":   ErrMalformed,
		`{"parameters":{},"continues":true}` + "\x00":     ErrMalformed, // nobody asked for more
		strings.Repeat(" ", DefaultMaxMessage+1) + "\x00": ErrMessageTooLarge,
	} {
		c := NewConn(&script{in: bytes.NewReader([]byte(reply))})
		if err := c.Call(t.Context(), "a.B", nil, nil); !errors.Is(err, want) {
			t.Errorf("%.40q: got %v, want %v", reply, err, want)
		}
	}
}

func TestUnexpectedReplyType(t *testing.T) {
	c := NewConn(&script{in: bytes.NewReader([]byte(`{"parameters":{"n":"one"}}` + "\x00"))})
	if err := c.Call(t.Context(), "a.B", nil, new(number)); !errors.As(err, new(*json.UnmarshalTypeError)) {
		t.Errorf("got %v", err)
	}
}

// keeper keeps the buffer that was written, as nobody should.
type keeper struct {
	script
	written []byte
	err     error
}

func (k *keeper) Write(b []byte) (int, error) {
	k.written = b
	return len(b), k.err
}

func TestSentMessageIsWiped(t *testing.T) {
	for _, err := range []error{nil, &net.OpError{Err: io.ErrClosedPipe}, io.ErrShortWrite} {
		k := &keeper{script: script{in: bytes.NewReader(nil)}, err: err}
		if err := NewConn(k).Call(t.Context(), "a.B", map[string]string{"pin": "1234"}, nil); err == nil {
			t.Error("no error")
		}
		if len(k.written) == 0 || !bytes.Equal(k.written, make([]byte, len(k.written))) {
			t.Errorf("got %q", k.written)
		}
	}
}

func TestOneway(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dial(t, path)
	if err := c.Oneway(t.Context(), "org.example.test.Fail", nil); err != nil {
		t.Fatal(err)
	}
	var out text
	if err := c.Call(t.Context(), "org.example.test.Echo", text{"x"}, &out); err != nil || out.Text != "x" {
		t.Errorf("got %q, %v", out.Text, err)
	}
}

func TestDialError(t *testing.T) {
	if _, err := Dial(t.Context(), "/nonexistent/socket"); !errors.As(err, new(*net.OpError)) {
		t.Errorf("got %v", err)
	}
}
