package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/daemon"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/ipc"
	"fob/ipc/varlink"
)

// port is an endpoint without a device behind it.
type port struct {
	path    string
	broken  chan error // what Serve fails with
	serving chan ctap.Handler
	once    sync.Once
	closed  chan struct{}
}

func newPort(path string) *port {
	return &port{
		path: path, broken: make(chan error, 1), serving: make(chan ctap.Handler, 1), closed: make(chan struct{})}
}

func (p *port) Path() string { return p.path }

func (p *port) Serve(ctx context.Context, h ctap.Handler) error {
	p.serving <- h
	select {
	case err := <-p.broken:
		return err
	case <-p.closed:
		return os.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *port) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// at is a Place that gives these ports, one after the other, and then an error.
func at(ports ...*port) softkey.Place {
	return func(context.Context, *softkey.Key) (softkey.Endpoint, error) {
		if len(ports) == 0 {
			return nil, errors.New("no socket is free")
		}
		p := ports[0]
		ports = ports[1:]
		return p, nil
	}
}

// bench is a Workbench that is served.
type bench struct {
	*Workbench
	*testing.T
	ipc.Emulator
	socket string
	stop   func()
}

func newBench(t *testing.T) *bench {
	b := &bench{Workbench: new(Workbench), T: t, socket: filepath.Join(t.TempDir(), "s", "emulator.sock")}
	b.Socket = b.socket
	l, err := daemon.Listen(b.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- b.Serve(ctx, l) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		b.stop()
		if err := b.Workbench.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// plug plugs a key in whom nobody touches but the tests, and gives its endpoints' handler.
func (b *bench) plug(id string, ports ...*port) (*Key, ctap.Handler) {
	b.Helper()
	never, err := emulator.ParsePolicy("never", nil)
	if err != nil {
		b.Fatal(err)
	}
	k, err := b.Plug(b.Context(), Options{ID: id, Policy: never, Options: softkey.Options{Place: at(ports...)}})
	if err != nil {
		b.Fatal(err)
	}
	return k, <-ports[0].serving
}

// events are what Watch tells, from its first event on.
func (b *bench) events(ctx context.Context, key string) <-chan ipc.KeyEvent {
	b.Helper()
	events := make(chan ipc.KeyEvent, 1000)
	go func() {
		defer close(events)
		b.Watch(ctx, key, func(e ipc.KeyEvent) error {
			events <- e
			return nil
		})
	}()
	if e := <-events; e.Kind != ipc.KeyWatching {
		b.Fatalf("the first event is %+v", e)
	}
	return events
}

// next gives the next event, which must be of this kind.
func (b *bench) next(events <-chan ipc.KeyEvent, kind ipc.KeyEventKind) ipc.KeyEvent {
	b.Helper()
	select {
	case e := <-events:
		if e.Kind != kind {
			b.Fatalf("event %+v, want %s", e, kind)
		}
		return e
	case <-time.After(30 * time.Second):
		b.Fatalf("no event %s", kind)
	}
	panic("not reached")
}

// ask begins a request that waits for a touch.
func ask(ctx context.Context, h ctap.Handler) <-chan ctap.StatusCode {
	status := make(chan ctap.StatusCode, 1)
	go func() {
		selection := ctap.Request{Payload: []byte{byte(ctap.CommandSelection)}}
		resp := h.ServeCTAP(ctx, selection, func(ctap.KeepaliveStatus) {})
		status <- ctap.StatusCode(resp[0])
	}()
	return status
}

func (b *bench) wants(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("got %v, want %v", err, want)
	}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func TestTouchAndDeny(t *testing.T) {
	b := newBench(t)
	_, host := b.plug("k", newPort("/dev/fake"))
	events := b.events(t.Context(), "k")
	_, err := b.Touch(t.Context(), ipc.TouchRequest{})
	b.wants(err, ipc.NotWaiting{Key: "k"})

	status := ask(t.Context(), host)
	b.next(events, ipc.KeyWaiting)
	keys, err := b.Keys(t.Context(), "/dev/fake")
	b.must(err)
	if q := keys[0].Waiting; q == nil || q.Kind != ipc.QuestionTouch || q.Command != "selection" {
		t.Errorf("waits for %+v", q)
	}
	q, err := b.Touch(t.Context(), ipc.TouchRequest{Key: "k"})
	b.must(err)
	if q.Command != "selection" {
		t.Errorf("touched for %+v", q)
	}
	if s := <-status; s != ctap.StatusOK {
		t.Errorf("status %v", s)
	}
	if e := b.next(events, ipc.KeyAnswered); e.Outcome != "touched" || e.Question.Command != "selection" {
		t.Errorf("event %+v", e)
	}
	if e := b.next(events, ipc.KeyCommand); e.Command != "selection" || *e.Status != 0 || e.StatusName != "SUCCESS" {
		t.Errorf("event %+v", e)
	}

	denied := make(chan error, 1)
	go func() {
		_, err := b.Deny(t.Context(), ipc.TouchRequest{Wait: true})
		denied <- err
	}()
	if s := <-ask(t.Context(), host); s != ctap.ErrOperationDenied {
		t.Errorf("status %v", s)
	}
	b.must(<-denied)
}

// TestHangUp: whoever hangs up while waiting touches nothing any more.
func TestHangUp(t *testing.T) {
	b := newBench(t)
	k, host := b.plug("k", newPort("/dev/fake"))
	for range 10 {
		ctx, hangUp := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := b.Touch(ctx, ipc.TouchRequest{Wait: true})
			gone <- err
		}()
		hangUp()
		b.wants(<-gone, context.Canceled)
	}
	b.stop() // returns when the last handler has heard of it
	ctx, cancel := context.WithCancel(t.Context())
	status := ask(ctx, host)
	b.must(k.person.Await(t.Context()))
	if n := len(k.person.Waiting()); n != 1 {
		t.Errorf("%d questions", n)
	}
	cancel()
	if s := <-status; s != ctap.ErrKeepaliveCancel {
		t.Errorf("status %v", s)
	}
}

// TestControllers lets many programs touch one key: each request gets one touch.
func TestControllers(t *testing.T) {
	b := newBench(t)
	_, host := b.plug("k", newPort("/dev/fake"))
	const n = 20
	touched := make(chan error, n)
	for range n {
		go func() {
			_, err := b.Touch(t.Context(), ipc.TouchRequest{Wait: true})
			touched <- err
		}()
	}
	for range n {
		if s := <-ask(t.Context(), host); s != ctap.StatusOK {
			t.Errorf("status %v", s)
		}
	}
	for range n {
		b.must(<-touched)
	}
	_, err := b.Touch(t.Context(), ipc.TouchRequest{})
	b.wants(err, ipc.NotWaiting{Key: "k"})
}

func TestRemoveAndInsert(t *testing.T) {
	b := newBench(t)
	one, two := newPort("/dev/one"), newPort("/dev/two")
	_, host := b.plug("k", one, two)
	events := b.events(t.Context(), "")
	_, err := b.Insert(t.Context(), "")
	b.wants(err, ipc.KeyInserted{Key: "k"})
	b.must(b.Remove(t.Context(), "/dev/one"))
	if e := b.next(events, ipc.KeyWasRemoved); e.Path != "/dev/one" || e.Key != "k" {
		t.Errorf("event %+v", e)
	}
	b.wants(b.Remove(t.Context(), "k"), ipc.KeyRemoved{Key: "k"})
	b.wants(b.Remove(t.Context(), "/dev/one"), ipc.UnknownKey{Key: "/dev/one"})
	keys, err := b.Keys(t.Context(), "")
	b.must(err)
	if len(keys) != 1 || keys[0].Path != "" || keys[0].Lost {
		t.Errorf("keys %+v", keys)
	}
	path, err := b.Replug(t.Context(), "k") // of a key that is out
	b.must(err)
	if path != "/dev/two" || b.next(events, ipc.KeyWasInserted).Path != path {
		t.Errorf("inserted at %s", path)
	}
	_ = host
	_, err = b.Replug(t.Context(), "k") // there is no third place
	b.wants(err, ipc.PlugFailed{Key: "k", Problem: "no socket is free"})
	b.next(events, ipc.KeyWasRemoved)
	b.wants(b.Remove(t.Context(), "k"), ipc.KeyRemoved{Key: "k"})
}

// TestMovedByOthers: watchers hear of a key that a fault, or a test in Go, takes out and puts in.
func TestMovedByOthers(t *testing.T) {
	b := newBench(t)
	k, _ := b.plug("k", newPort("/dev/one"), newPort("/dev/two"))
	events := b.events(t.Context(), "k")
	b.must(k.Key.Remove())
	if e := b.next(events, ipc.KeyWasRemoved); e.Path != "/dev/one" {
		t.Errorf("event %+v", e)
	}
	b.must(k.Key.Insert(t.Context()))
	if e := b.next(events, ipc.KeyWasInserted); e.Path != "/dev/two" {
		t.Errorf("event %+v", e)
	}
}

func TestLostKey(t *testing.T) {
	b := newBench(t)
	told := make(chan error, 2)
	b.Lost = func(k *Key, err error) { told <- fmt.Errorf("%s: %w", k.ID, err) }
	goes := newPort("/dev/goes")
	b.plug("goes", goes)
	b.plug("stays", newPort("/dev/stays"))
	events := b.events(t.Context(), "")
	waiting := make(chan error, 1)
	go func() {
		_, err := b.Touch(t.Context(), ipc.TouchRequest{Key: "goes", Wait: true})
		waiting <- err
	}()
	goes.broken <- errors.New("the reader is gone")
	if err := <-told; err.Error() != "goes: the reader is gone" {
		t.Errorf("told %v", err)
	}
	if e := b.next(events, ipc.KeyWasLost); e.Key != "goes" || e.Problem != "the reader is gone" {
		t.Errorf("event %+v", e)
	}
	lost := ipc.KeyLost{Key: "goes", Problem: "the reader is gone"}
	if err := <-waiting; !errors.Is(err, ipc.Ended{}) && !errors.Is(err, lost) { // before it waited, or while
		t.Errorf("who waited got %v", err)
	}
	_, err := b.Insert(t.Context(), "goes")
	b.wants(err, lost)
	keys, err := b.Keys(t.Context(), "")
	b.must(err)
	if len(keys) != 2 || !keys[0].Lost || keys[1].Lost {
		t.Errorf("keys %+v", keys)
	}
	b.must(b.Remove(t.Context(), "")) // the one that is left
}

func TestManyKeys(t *testing.T) {
	b := newBench(t)
	const n = 150
	var want []string
	for i := range n {
		id := fmt.Sprintf("k%d", i)
		b.plug(id, newPort("/dev/"+id))
		want = append(want, id)
	}
	keys, err := b.Keys(t.Context(), "")
	b.must(err)
	var got []string
	for _, k := range keys {
		got = append(got, k.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("keys %v", got)
	}
	conn, err := varlink.Dial(t.Context(), b.socket)
	b.must(err)
	defer conn.Close()
	err = conn.Call(t.Context(), ipc.MethodEmulatedKeys, nil, nil) // without "more"
	if !errors.As(err, new(varlink.ExpectedMore)) {
		t.Errorf("without more: %v", err)
	}
	var several ipc.SeveralKeys
	err = b.Remove(t.Context(), "")
	if !errors.As(err, &several) || several.Count != n || !slices.Equal(several.Keys, want[:100]) {
		t.Errorf("got %v", err)
	}
	_, err = b.Plug(t.Context(), Options{ID: "k7", Options: softkey.Options{Place: at(newPort("/dev/other"))}})
	b.wants(err, ErrIDTaken)
	_, err = b.Plug(t.Context(), Options{ID: "more", Options: softkey.Options{Place: at()}})
	if err == nil {
		t.Error("plugged in nowhere")
	}
	b.plug("more", newPort("/dev/more")) // the ID is free again
}

func TestNoKey(t *testing.T) {
	b := newBench(t)
	keys, err := b.Keys(t.Context(), "")
	if err != nil || len(keys) != 0 {
		t.Errorf("keys %v, %v", keys, err)
	}
	b.wants(b.Remove(t.Context(), ""), ipc.NoKey{})
	b.wants(b.Remove(t.Context(), "nobody"), ipc.UnknownKey{Key: "nobody"})
	var unknown ipc.UnknownKey
	if err := b.Remove(t.Context(), strings.Repeat("ä", 10_000)); !errors.As(err, &unknown) || len(unknown.Key) > maxName {
		t.Errorf("got %.200v", err)
	}
}

// TestSlowWatcher: what a watcher does not take in time is counted, and nobody waits for it.
func TestSlowWatcher(t *testing.T) {
	var h hub
	w, other := h.join("k"), h.join("other")
	for range maxBacklog + 10 {
		h.emit(ipc.KeyEvent{Kind: ipc.KeyWink, Key: "k"})
	}
	for range maxBacklog {
		if e := <-w.events; e.Missed != 0 {
			t.Errorf("event %+v", e)
		}
	}
	h.emit(ipc.KeyEvent{Kind: ipc.KeyWink, Key: "k"})
	h.emit(ipc.KeyEvent{Kind: ipc.KeyWink, Key: "k"})
	if one, two := <-w.events, <-w.events; one.Missed != 10 || two.Missed != 0 {
		t.Errorf("missed %d and %d", one.Missed, two.Missed)
	}
	if len(other.events) != 0 {
		t.Error("told of another key")
	}
	h.leave(w)
	h.leave(other)
	if len(h.watchers) != 0 {
		t.Errorf("%d watchers are left", len(h.watchers))
	}
}

// TestWink: what a host's wink does beside is done, too.
func TestWink(t *testing.T) {
	var w Workbench
	winks := 0
	o := softkey.Options{Wink: func() { winks++ }}
	k := &Key{ID: "k", person: emulator.NewPerson(emulator.Policy{}), clock: new(emulator.Clock)}
	w.observe(k, &o)
	watcher := w.events.join("")
	o.Wink()
	if e := <-watcher.events; e.Kind != ipc.KeyWink || e.Key != "k" || winks != 1 {
		t.Errorf("event %+v, %d winks", e, winks)
	}
}

func TestEnd(t *testing.T) {
	b := newBench(t)
	b.plug("k", newPort("/dev/fake"))
	begun, ended := make(chan struct{}, 2), make(chan error, 2)
	for range 2 {
		go func() {
			ended <- b.Watch(t.Context(), "", func(ipc.KeyEvent) error {
				begun <- struct{}{}
				return nil
			})
		}()
	}
	<-begun
	<-begun
	b.stop()
	b.wants(<-ended, ipc.Ended{})
	b.wants(<-ended, ipc.Ended{})
}

// TestHostilePeer sends what no client of ours sends; the key is none the worse for it.
func TestHostilePeer(t *testing.T) {
	b := newBench(t)
	b.plug("k", newPort("/dev/fake"))
	before, err := b.Keys(t.Context(), "")
	b.must(err)
	exchange := func(sent string) string {
		t.Helper()
		c, err := net.Dial("unix", b.socket)
		b.must(err)
		defer c.Close()
		io.WriteString(c, sent)
		c.(*net.UnixConn).CloseWrite()
		reply, _ := io.ReadAll(c)
		return string(reply)
	}
	refused := func(method, parameters string) {
		t.Helper()
		reply := exchange(`{"method":"fob.Emulator.` + method + `","more":true,"parameters":` + parameters + "}\x00")
		if !strings.Contains(reply, `"error":`) || len(reply) > 4096 {
			t.Errorf("%s %.60s: %.200q", method, parameters, reply)
		}
	}
	methods, err := varlink.ParseInterface(ipc.EmulatorInterface)
	b.must(err)
	for _, m := range methods.Methods {
		for _, parameters := range []string{
			`[]`, `7`, `{"key":7}`, `{"key":["k"]}`, `{"KEY":"k"}`,
			`{"key":"` + strings.Repeat("\\u0000", 10_000) + `"}`,
			`{"key":"nobody","sample":"good","policy":"auto","status":"OTHER","seconds":0,"pin":1}`,
		} {
			refused(m.Name, parameters)
		}
	}
	long := `"` + strings.Repeat("x", 50_000) + `"`
	for method, list := range map[string][]string{
		"Touch":     {`{"wait":1}`, `{"wait":"yes"}`},
		"Present":   {`{}`, `{"sample":"good"}`, `{"sample":` + long + `}`},
		"SetPolicy": {`{}`, `{"policy":"ask"}`, `{"policy":"delay=-1s"}`, `{"policy":` + long + `}`, `{"policy":null}`},
		"SetNextError": {`{}`, `{"status":"SUCCESS"}`, `{"status":"0"}`, `{"status":"0x100"}`, `{"status":7}`,
			`{"status":` + long + `}`, `{"status":"1","command":"0"}`,
			`{"status":"1","command":` + long + `}`, `{"status":"1","times":-1}`, `{"status":"1","times":1000001}`,
			`{"status":"1","times":1e30}`},
		"SetRetries":   {`{"pin":-1}`, `{"pin":9}`, `{"pin":1e99}`, `{"uv":1}`, `{"authBlocked":"yes"}`},
		"AdvanceClock": {`{"seconds":-1}`, `{"seconds":9223372036854775807}`, `{"seconds":3153600001}`, `{"seconds":0.5}`},
	} {
		for _, parameters := range list {
			refused(method, parameters)
		}
	}
	for _, sent := range []string{
		"", "\x00", "{", strings.Repeat("x", 200_000), `{"method":"fob.Emulator.Nothing"}` + "\x00",
	} {
		exchange(sent)
	}
	var idle []net.Conn
	for range 50 { // and some that say nothing
		c, err := net.Dial("unix", b.socket)
		b.must(err)
		idle = append(idle, c)
	}
	after, err := b.Keys(t.Context(), "")
	b.must(err)
	if fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("keys %+v, before %+v", after, before)
	}
	for _, c := range idle {
		c.Close()
	}
}
