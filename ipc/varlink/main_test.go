package varlink

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const testDescription = `# For tests.
interface org.example.test
method Echo(text: string, secret: ?string) -> (text: string)
method Count(to: int) -> (n: int)
method Wait() -> ()
method Fail(how: string) -> ()
method Absent() -> ()
error Broken (part: string)
error Internal ()
`

type broken struct {
	Part string `json:"part"`
}

func (broken) Error() string        { return "broken" }
func (broken) VarlinkError() string { return "org.example.test.Broken" }

// events tells a test what happened in the Wait method.
type events struct {
	started, cancelled chan struct{}
}

// newServer serves org.example.test.
func newServer(t testing.TB) (*Server, events) {
	t.Helper()
	e := events{make(chan struct{}, 100), make(chan struct{}, 100)}
	s := &Server{Vendor: "Example", Product: "Test", Version: "1", URL: "https://example.org"}
	s.Internal = func(error) error { return &Error{Name: "org.example.test.Internal"} }
	err := s.Register(testDescription, map[string]Handler{
		"Echo": echo, "Count": count, "Fail": failing, "Absent": nil,
		"Wait": func(ctx context.Context, c *Call) (any, error) {
			e.started <- struct{}{}
			<-ctx.Done()
			e.cancelled <- struct{}{}
			return nil, ctx.Err()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, e
}

type text struct {
	Text string `json:"text"`
}

type number struct {
	N int `json:"n"`
}

func echo(_ context.Context, c *Call) (any, error) {
	var in text
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return in, nil
}

func count(_ context.Context, c *Call) (any, error) {
	var in struct {
		To int `json:"to"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	for n := 1; n < in.To; n++ {
		if err := c.Continue(number{n}); err != nil {
			return nil, err
		}
	}
	return number{in.To}, nil
}

func failing(_ context.Context, c *Call) (any, error) {
	var in struct {
		How string `json:"how"`
	}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	switch in.How {
	case "named":
		return nil, errors.Join(errors.New("context"), broken{"spring"})
	case "large":
		return text{strings.Repeat("x", DefaultMaxMessage)}, nil
	case "large error":
		return nil, broken{strings.Repeat("x", DefaultMaxMessage)}
	case "array":
		return []int{1}, nil
	}
	return nil, errors.New("some secret")
}

// start runs the server until the test ends, and returns its socket's path and what stops it.
func start(t testing.TB, s *Server) (path string, stop func()) {
	t.Helper()
	path, l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return path, stop
}

// listen makes a socket in a folder whose name is short enough for an address.
func listen(t testing.TB) (string, *net.UnixListener) {
	t.Helper()
	dir, err := os.MkdirTemp("", "varlink")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	return path, l
}

func dial(t testing.TB, path string) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// raw is a client without manners.
type raw struct {
	t testing.TB
	net.Conn
	r frameReader
}

func dialRaw(t testing.TB, path string) *raw {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return newRaw(t, nc)
}

func newRaw(t testing.TB, nc net.Conn) *raw {
	return &raw{t, nc, frameReader{conn: nc, max: DefaultMaxMessage}}
}

// send may fail when the server has seen enough.
func (r *raw) send(messages string) { _, _ = r.Write([]byte(messages)) }

// expect reads one reply and compares it as JSON.
func (r *raw) expect(want string) {
	r.t.Helper()
	message, err := r.r.next()
	if err != nil {
		r.t.Fatalf("no reply, want %s: %v", want, err)
	}
	if got, want := canonical(r.t, message), canonical(r.t, []byte(want)); got != want {
		r.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// expectEnd waits for the server to close the connection.
func (r *raw) expectEnd() {
	r.t.Helper()
	if message, err := r.r.next(); err == nil {
		r.t.Fatalf("got %s, want the end", message)
	}
}

func canonical(t testing.TB, b []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	out, _ := json.Marshal(v)
	return string(out)
}

// await fails the test instead of hanging it.
func await(t testing.TB, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<16)
		t.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// running gives the stack of a goroutine that runs one of the functions of this package, if there is one.
func running(functions []string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		for _, f := range functions {
			if strings.Contains(stack, "varlink."+f) {
				return stack
			}
		}
	}
	return ""
}
