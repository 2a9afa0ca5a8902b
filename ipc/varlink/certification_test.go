package varlink

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// The certification interface passes values of every type to and fro: each call's parameters are the reply to the call
// before it. Here is what its servers send.
var certified = []struct{ method, reply string }{
	{"Start", ``}, // the client_id, which all calls but this one carry as well
	{"Test01", `{"bool":true}`},
	{"Test02", `{"int":1}`},
	{"Test03", `{"float":1}`},
	{"Test04", `{"string":"ping"}`},
	{"Test05", `{"bool":false,"int":2,"float":3.141592653589793,"string":"a lot of string"}`},
	{"Test06", `{"struct":{"bool":false,"int":2,"float":3.141592653589793,"string":"a lot of string"}}`},
	{"Test07", `{"map":{"bar":"Bar","foo":"Foo"}}`},
	{"Test08", `{"set":{"one":{},"two":{},"three":{}}}`},
	{"Test09", `{"mytype":{"object":{"method":"org.varlink.certification.Test09",
		"parameters":{"map":{"foo":"Foo","bar":"Bar"}}},"enum":"two","struct":{"first":1,"second":"2"},
		"array":["one","two","three"],"dictionary":{"foo":"Foo","bar":"Bar"},
		"stringset":{"one":{},"two":{},"three":{}},
		"interface":{"foo":[null,{"Foo":"foo","Bar":"bar"},null,{"one":"foo","two":"bar"}],
		"anon":{"foo":true,"bar":false}}}}`},
	{"Test10", `{"last_more_replies":["Reply number 1","Reply number 2","Reply number 3","Reply number 4",
		"Reply number 5","Reply number 6","Reply number 7","Reply number 8","Reply number 9","Reply number 10"]}`},
	{"Test11", `{}`}, // oneway
	{"End", `{"all_ok":true}`},
}

const certification = "org.varlink.certification"

// certifier is the service: it expects the calls in order, from each client.
type certifier struct {
	mu   sync.Mutex
	next map[string]int // by client_id
}

type certificationError struct {
	Wants json.RawMessage `json:"wants"`
	Got   json.RawMessage `json:"got"`
}

func (e certificationError) Error() string      { return fmt.Sprintf("got %s, want %s", e.Got, e.Wants) }
func (certificationError) VarlinkError() string { return certification + ".CertificationError" }

type clientIDError struct{}

func (clientIDError) Error() string        { return "unknown client" }
func (clientIDError) VarlinkError() string { return certification + ".ClientIdError" }

func (c *certifier) methods() map[string]Handler {
	m := make(map[string]Handler)
	for n := range certified {
		m[certified[n].method] = func(_ context.Context, call *Call) (any, error) { return c.answer(n, call) }
	}
	m["Start"] = c.start
	return m
}

func (c *certifier) start(context.Context, *Call) (any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := rand.Text()
	c.next[id] = 1
	return map[string]string{"client_id": id}, nil
}

// answer takes call n of the sequence.
func (c *certifier) answer(n int, call *Call) (any, error) {
	var got map[string]any
	if err := call.Bind(&got); err != nil {
		return nil, err
	}
	id, _ := got["client_id"].(string)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next[id] != n {
		return nil, clientIDError{}
	}
	want := parameters(id, n)
	var wants map[string]any
	_ = json.Unmarshal(want, &wants)
	method := certified[n].method
	if !equal(got, wants) || call.More != (method == "Test10") || call.Oneway != (method == "Test11") {
		return nil, certificationError{want, bytes.Clone(call.Parameters)}
	}
	c.next[id]++
	if method == "Test10" {
		return manyReplies(call)
	}
	return json.RawMessage(certified[n].reply), nil
}

func equal(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func manyReplies(call *Call) (any, error) {
	reply := func(n int) any { return map[string]string{"string": fmt.Sprintf("Reply number %d", n)} }
	for n := 1; n < 10; n++ {
		if err := call.Continue(reply(n)); err != nil {
			return nil, err
		}
	}
	return reply(10), nil
}

// parameters gives those of call n: the reply before it, and the client_id.
func parameters(id string, n int) json.RawMessage {
	fields := make(map[string]json.RawMessage)
	if reply := certified[n-1].reply; reply != "" {
		_ = json.Unmarshal([]byte(reply), &fields)
	}
	if certified[n].method == "End" {
		clear(fields)
	}
	fields["client_id"] = quote(id)
	out, _ := json.Marshal(fields)
	return out
}

// certify is the client.
func certify(t *testing.T, c *Conn) {
	var begin struct {
		ClientID string `json:"client_id"`
	}
	if err := c.Call(t.Context(), certification+".Start", nil, &begin); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(certified); n++ {
		method := certification + "." + certified[n].method
		in := parameters(begin.ClientID, n)
		var out json.RawMessage
		var err error
		switch certified[n].method {
		case "Test10":
			out, err = collect(t.Context(), c, method, in)
		case "Test11":
			out, err = json.RawMessage("{}"), c.Oneway(t.Context(), method, in)
		default:
			err = c.Call(t.Context(), method, in, &out)
		}
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if got, want := canonical(t, out), canonical(t, []byte(certified[n].reply)); got != want {
			t.Fatalf("%s\ngot  %s\nwant %s", method, got, want)
		}
	}
}

func collect(ctx context.Context, c *Conn, method string, in any) (json.RawMessage, error) {
	var all []string
	for reply, err := range c.Stream(ctx, method, in) {
		var one struct {
			String string `json:"string"`
		}
		if err != nil {
			return nil, err
		}
		if err := reply.Bind(&one); err != nil {
			return nil, err
		}
		all = append(all, one.String)
	}
	return json.Marshal(map[string][]string{"last_more_replies": all})
}

// foreign is Debian's certification program, of the package varlink-go.
func foreign(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("varlink-go-certification")
	if err != nil {
		t.Fatal("this test needs varlink-go-certification (Debian package varlink-go):", err)
	}
	return path
}

// startForeign runs the foreign server on a socket that we made (sd_listen_fds(3)), so that it can be dialled at once.
func startForeign(t *testing.T) *Conn {
	t.Helper()
	path, l := listen(t)
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l.SetUnlinkOnClose(false)
	defer l.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, foreign(t), "-varlink", "unix:"+path)
	cmd.ExtraFiles = []*os.File{f} // as descriptor 3
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return dial(t, path)
}

// newCertifier has the interface's text from the foreign server.
func newCertifier(t *testing.T) *Server {
	t.Helper()
	var out struct {
		Description string `json:"description"`
	}
	in := map[string]string{"interface": certification}
	if err := startForeign(t).Call(t.Context(), serviceName+".GetInterfaceDescription", in, &out); err != nil {
		t.Fatal(err)
	}
	i, err := ParseInterface(out.Description)
	if err != nil {
		t.Fatal(err)
	}
	testPrint(t, i)
	s := new(Server)
	if err := s.Register(out.Description, (&certifier{next: make(map[string]int)}).methods()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForeignClient(t *testing.T) {
	path, _ := start(t, newCertifier(t))
	out, err := exec.CommandContext(t.Context(), foreign(t), "-client", "-varlink", "unix:"+path).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("End: 'true'")) {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestForeignServer(t *testing.T) {
	certify(t, startForeign(t))
}

func TestCertifyOurselves(t *testing.T) {
	path, _ := start(t, newCertifier(t))
	var clients sync.WaitGroup
	for range 3 {
		c := dial(t, path)
		clients.Go(func() { certify(t, c) })
	}
	clients.Wait()
}

// TestForeignErrors reads errors as another implementation sends them.
func TestForeignErrors(t *testing.T) {
	c := startForeign(t)
	err := c.Call(t.Context(), "org.example.nope.A", nil, nil)
	var notFound InterfaceNotFound
	if !errors.As(err, &notFound) || notFound.Interface != "org.example.nope" {
		t.Errorf("got %v", err)
	}
	err = c.Call(t.Context(), certification+".Test01", map[string]string{"client_id": "x"}, nil)
	if e, ok := err.(*Error); !ok || e.Name != certification+".ClientIdError" {
		t.Errorf("got %v", err)
	}
}
