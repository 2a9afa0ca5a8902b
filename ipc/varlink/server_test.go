package varlink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRegister(t *testing.T) {
	none := func(context.Context, *Call) (any, error) { return nil, nil }
	const description = "interface a.b\nmethod A() -> ()\nmethod B() -> ()"
	for name, c := range map[string]struct {
		description string
		methods     map[string]Handler
		want        string
	}{
		"good":           {description, map[string]Handler{"A": none, "B": nil}, ""},
		"no handler":     {description, map[string]Handler{"A": none}, "method a.b.B has no handler"},
		"no description": {description, map[string]Handler{"A": none, "B": none, "C": none}, "a.b.C is not in the description"},
		"syntax":         {"interface a", nil, "line 1"},
		"twice":          {serviceDescription, map[string]Handler{"GetInfo": none, "GetInterfaceDescription": none}, "already"},
	} {
		err := new(Server).Register(c.description, c.methods)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestService(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dialRaw(t, path)
	c.send(`{"method":"org.varlink.service.GetInfo"}` + "\x00")
	c.expect(`{"parameters":{"vendor":"Example","product":"Test","version":"1","url":"https://example.org",
		"interfaces":["org.varlink.service","org.example.test"]}}`)
	for _, iface := range []string{"org.varlink.service", "org.example.test"} {
		var out struct {
			Description string `json:"description"`
		}
		in := map[string]string{"interface": iface}
		if err := dial(t, path).Call(t.Context(), "org.varlink.service.GetInterfaceDescription", in, &out); err != nil {
			t.Fatal(err)
		}
		if out.Description != s.interfaces[iface].description {
			t.Errorf("got %q", out.Description)
		}
	}
}

// TestReplies sends all calls at once; replies come in the order of the calls.
func TestReplies(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	c := dialRaw(t, path)
	exchanges := []struct{ call, reply string }{
		{`{"method":"org.example.test.Echo","parameters":{"text":"x","y":1}}`, `{"parameters":{"text":"x"}}`},
		{`{"method":"org.example.test.Echo"}`, `{"parameters":{"text":""}}`},
		{`{"method":"org.example.test.Echo","parameters":{"text":1}}`, serviceError("InvalidParameter", "parameter", "text")},
		{`{"method":"org.example.test.Echo","upgrade":true}`, serviceError("InvalidParameter", "parameter", "upgrade")},
		{`{"method":"org.example.test.Nope"}`, serviceError("MethodNotFound", "method", "org.example.test.Nope")},
		{`{"method":"org.example.test.Absent"}`, serviceError("MethodNotImplemented", "method", "org.example.test.Absent")},
		{`{"method":"org.example.nope.Echo"}`, serviceError("InterfaceNotFound", "interface", "org.example.nope")},
		{`{"method":"Echo"}`, serviceError("InvalidParameter", "parameter", "method")},
		{`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"a.b"}}`,
			serviceError("InterfaceNotFound", "interface", "a.b")},
		{`{"method":"org.varlink.service.GetInterfaceDescription"}`, serviceError("InvalidParameter", "parameter", "interface")},
		{`{"method":"org.example.test.Count","parameters":{"to":1}}`, `{"parameters":{"n":1}}`},
		{`{"method":"org.example.test.Count","parameters":{"to":2}}`,
			`{"error":"org.varlink.service.ExpectedMore","parameters":{}}`},
		{`{"method":"org.example.test.Count","parameters":{"to":2},"more":true}`,
			`{"parameters":{"n":1},"continues":true}` + "\x00" + `{"parameters":{"n":2}}`},
		{`{"method":"org.example.test.Fail","parameters":{"how":"named"}}`,
			`{"error":"org.example.test.Broken","parameters":{"part":"spring"}}`},
		{`{"method":"org.example.test.Fail"}`, internal},
		{`{"method":"org.example.test.Fail","parameters":{"how":"array"}}`, internal},
		{`{"method":"org.example.test.Fail","parameters":{"how":"large"}}`, internal},
		{`{"method":"org.example.test.Fail","parameters":{"how":"large error"}}`,
			`{"error":"org.example.test.Broken","parameters":{}}`},
		{`{"method":"org.example.test.Echo","parameters":{"text":"unheard"},"oneway":true}`, ""},
		{`{"method":"org.example.test.Fail","oneway":true}`, ""},
		{`{"method":"org.example.nope.Fail","oneway":true}`, ""},
		{`{"method":"org.example.test.Echo","parameters":{"text":"last"}}`, `{"parameters":{"text":"last"}}`},
	}
	for _, x := range exchanges {
		c.send(x.call + "\x00")
	}
	for _, x := range exchanges {
		for _, reply := range strings.Split(x.reply, "\x00") {
			if reply != "" {
				c.expect(reply)
			}
		}
	}
}

const internal = `{"error":"org.example.test.Internal","parameters":{}}`

func serviceError(name, parameter, value string) string {
	return `{"error":"org.varlink.service.` + name + `","parameters":{"` + parameter + `":"` + value + `"}}`
}

func TestInternalErrorByDefault(t *testing.T) {
	s, _ := newServer(t)
	s.Internal = nil
	path, _ := start(t, s)
	c := dialRaw(t, path)
	c.send(`{"method":"org.example.test.Fail"}` + "\x00")
	c.expect(`{"error":"org.example.test.InternalError","parameters":{}}`)
}

// TestMalformed checks that what came before is answered, then the error, then nothing.
func TestMalformed(t *testing.T) {
	s, _ := newServer(t)
	path, _ := start(t, s)
	for message, parameter := range map[string]string{
		"": "message", "{}{}": "message", "{}": "method", `{"method":"a.B","parameters":1}`: "parameters",
	} {
		c := dialRaw(t, path)
		const good = `{"method":"org.example.test.Echo","parameters":{"text":"x"}}` + "\x00"
		c.send(good + message + "\x00" + good)
		c.expect(`{"parameters":{"text":"x"}}`)
		c.expect(serviceError("InvalidParameter", "parameter", parameter))
		c.expectEnd()
	}
}

func TestPeer(t *testing.T) {
	s := new(Server)
	peers := make(chan Peer, 2)
	s.Authorize = func(p Peer) error { peers <- p; return nil }
	err := s.Register("interface a.b\nmethod Who() -> ()", map[string]Handler{
		"Who": func(_ context.Context, c *Call) (any, error) { peers <- c.Peer; return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	path, _ := start(t, s)
	if err := dial(t, path).Call(t.Context(), "a.b.Who", nil, nil); err != nil {
		t.Fatal(err)
	}
	want := Peer{PID: int32(os.Getpid()), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	for range 2 {
		got := <-peers
		if got.Process == nil {
			t.Error("no pidfd")
		}
		if got.Process = nil; got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestRefusedPeer(t *testing.T) {
	s, _ := newServer(t)
	s.Authorize = func(Peer) error { return errors.New("not you") }
	path, _ := start(t, s)
	c := dialRaw(t, path)
	c.expect(`{"error":"org.varlink.service.PermissionDenied","parameters":{}}`)
	c.expectEnd()
	for range 50 { // whether the server has closed before we write or not
		err := dial(t, path).Call(t.Context(), "org.varlink.service.GetInfo", nil, nil)
		if !errors.Is(err, PermissionDenied{}) {
			t.Fatalf("got %v", err)
		}
	}
}

// TestNoCredentials: a peer that the kernel can't name is refused even without Authorize.
func TestNoCredentials(t *testing.T) {
	server, client := net.Pipe()
	go new(Server).admit(t.Context(), server)
	c := newRaw(t, client)
	c.expect(`{"error":"org.varlink.service.PermissionDenied","parameters":{}}`)
	c.expectEnd()
}

func TestHangUpCancels(t *testing.T) {
	for name, pipelined := range map[string]int{"idle": 0, "read ahead": 5, "queue full": 100} {
		t.Run(name, func(t *testing.T) {
			s, e := newServer(t)
			path, _ := start(t, s)
			c := dialRaw(t, path)
			c.send(`{"method":"org.example.test.Wait"}` + "\x00")
			await(t, e.started, "the call")
			c.send(strings.Repeat(`{"method":"org.example.test.Echo"}`+"\x00", pipelined))
			c.Close()
			await(t, e.cancelled, "its end")
		})
	}
}

// TestHalfClose: calls that were received before the end of the stream are still answered.
func TestHalfClose(t *testing.T) {
	s, e := newServer(t)
	path, _ := start(t, s)
	c := dialRaw(t, path)
	c.send(`{"method":"org.example.test.Wait"}` + "\x00" + `{"method":"org.example.test.Echo"}` + "\x00")
	if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	await(t, e.cancelled, "the end of the first call")
	c.expect(internal)
	c.expect(`{"parameters":{"text":""}}`)
	c.expectEnd()
}

func TestStopCancels(t *testing.T) {
	s, e := newServer(t)
	path, stop := start(t, s)
	idle := dialRaw(t, path)
	c := dialRaw(t, path)
	c.send(`{"method":"org.example.test.Wait"}` + "\x00")
	await(t, e.started, "the call")
	stop()
	c.expect(internal)
	c.expectEnd()
	idle.expectEnd()
	testNoGoroutines(t, "(*Server).", "(*conn).")
}

// flaky is a listener that fails with err, then waits to be closed.
type flaky struct {
	err    chan error
	closed chan struct{}
	once   sync.Once
}

func (l *flaky) Addr() net.Addr { return nil }
func (l *flaky) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }

func (l *flaky) Accept() (net.Conn, error) {
	select {
	case err := <-l.err:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func TestAcceptFails(t *testing.T) {
	for first, want := range map[error]error{syscall.EMFILE: nil, syscall.EINVAL: syscall.EINVAL} {
		synctest.Test(t, func(t *testing.T) {
			l := &flaky{err: make(chan error, 1), closed: make(chan struct{})}
			l.err <- first
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if err := new(Server).Serve(ctx, l); err != want {
				t.Errorf("%v: got %v", first, err)
			}
			<-l.closed
		})
	}
}

// TestParametersAreWiped keeps what a handler must not keep.
func TestParametersAreWiped(t *testing.T) {
	s := new(Server)
	var kept json.RawMessage
	err := s.Register("interface a.b\nmethod Keep(pin: string) -> ()", map[string]Handler{
		"Keep": func(_ context.Context, c *Call) (any, error) { kept = c.Parameters; return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	path, stop := start(t, s)
	if err := dial(t, path).Call(t.Context(), "a.b.Keep", map[string]string{"pin": "1234"}, nil); err != nil {
		t.Fatal(err)
	}
	stop()
	if want := make([]byte, len(`{"pin":"1234"}`)); !bytes.Equal(kept, want) {
		t.Errorf("got %q", kept)
	}
}

func TestRawClient(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("this test needs python3:", err)
	}
	s := &Server{Vendor: "Example"}
	err := s.Register("interface a.b\nmethod Three() -> (n: int)", map[string]Handler{
		"Three": func(_ context.Context, c *Call) (any, error) {
			return number{3}, errors.Join(c.Continue(number{1}), c.Continue(number{2}))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path, _ := start(t, s)
	cmd := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "raw_client.py"), path, "a.b.Three")
	out, err := cmd.CombinedOutput()
	want := `{"parameters": {"interfaces": ["org.varlink.service", "a.b"], "product": "", "url": "", "vendor": "Example", "version": ""}}
{"continues": true, "parameters": {"n": 1}}
{"continues": true, "parameters": {"n": 2}}
{"parameters": {"n": 3}}
`
	if err != nil || string(out) != want {
		t.Errorf("got %v\n%s", err, out)
	}
}

// FuzzSession feeds a whole connection. Serving it must come to an end, with well-formed replies.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		`{"method":"org.varlink.service.GetInfo"}` + "\x00",
		`{"method":"org.example.test.Count","parameters":{"to":3},"more":true}` + "\x00" + `{"method":"a.B"}` + "\x00",
		`{"method":"org.example.test.Echo","oneway":true}` + "\x00" + `{"method":"org.example.test.Wait"}` + "\x00{",
		strings.Repeat(`{"method":"org.example.test.Fail"}`+"\x00", 20) + "[]\x00",
		`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"<&>"}}` + "\x00",
	} {
		f.Add([]byte(s))
	}
	s, e := newServer(f)
	s.MaxMessage = 1 << 10
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), 2<<10)] // so that the Wait calls in it fit the channels of events
		before := runtime.NumGoroutine()
		nc := &script{in: bytes.NewReader(in)}
		done := make(chan struct{})
		go func() {
			s.serve(t.Context(), nc, Peer{})
			close(done)
		}()
		await(t, done, "the end of the session")
		checkReplies(t, in, nc.out.Bytes())
		for len(e.started) > 0 {
			<-e.started
			<-e.cancelled
		}
		if runtime.NumGoroutine() > before {
			testNoGoroutines(t, "(*conn).")
		}
	})
}

// checkReplies checks that replies are whole, and not more than there were calls.
func checkReplies(t *testing.T, in, out []byte) {
	t.Helper()
	replies := bytes.Split(out, []byte{0})
	if len(replies[len(replies)-1]) != 0 {
		t.Fatalf("half a reply: %q", replies)
	}
	final := 0
	for _, message := range replies[:len(replies)-1] {
		reply, err := decodeReply(message)
		if err != nil || reply.Parameters == nil {
			t.Fatalf("reply %q: %v", message, err)
		}
		if !reply.Continues {
			final++
		}
	}
	if calls := bytes.Count(in, []byte{0}); final > calls+1 { // one for an unfinished message that is too large
		t.Fatalf("%d replies to %d calls: %q", final, calls, replies)
	}
}

// FuzzSocket writes to a server's socket, in two pieces, then hangs up or takes the replies. The connection comes to an
// end, and with it its goroutines; the server goes on.
func FuzzSocket(f *testing.F) {
	for _, s := range []string{
		`{"method":"org.varlink.service.GetInfo"}` + "\x00",
		`{"method":"org.example.test.Count","parameters":{"to":30},"more":true}` + "\x00" + `{"method":"a.B"}` + "\x00{",
		`{"method":"org.example.test.Wait"}` + "\x00" + strings.Repeat(`{"method":"a.B"}`+"\x00", 50),
		"\x00\x00GET / HTTP/1.1\r\n\r\n",
		`{"method":"org.example.test.Echo","parameters":{"text":"\ud800"},"upgrade":true}` + "\x00",
	} {
		f.Add([]byte(s), uint16(10), false)
		f.Add([]byte(s), uint16(40), true)
	}
	s, e := newServer(f)
	s.MaxMessage = 1 << 10
	path, _ := start(f, s)
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, hangUp bool) {
		in = in[:min(len(in), 2<<10)] // so that the Wait calls in it fit the channels of events
		nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		n := min(int(cut), len(in))
		_, _ = nc.Write(in[:n])
		_, _ = nc.Write(in[n:]) // fails when the server has seen enough
		if !hangUp {
			_ = nc.CloseWrite()
			_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			out, err := io.ReadAll(nc)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) { // the server leaves the rest of nonsense unread
				t.Fatalf("no end: %v", err)
			}
			checkReplies(t, in, out)
		}
		nc.Close()
		testNobodyThere(t, s)
		for len(e.started) > 0 {
			<-e.started
			<-e.cancelled
		}
	})
}

// testNobodyThere waits until the goroutines of all connections that were accepted have ended.
func testNobodyThere(t *testing.T, s *Server) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		s.guests.mu.Lock()
		n := len(s.guests.processes)
		s.guests.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the connection is still served:\n%s", running([]string{"(*conn)."}))
		}
	}
}

// testNoGoroutines waits for the goroutines that run one of our functions to be gone. One that has told its owner that
// it is done may still take its last step.
func testNoGoroutines(t *testing.T, functions ...string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		left := running(functions)
		if left == "" {
			return
		}
		select {
		case <-late:
			t.Fatalf("still running:\n%s", left)
		default:
		}
	}
}
