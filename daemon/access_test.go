package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"fob/daemon/metrics"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// Users beside ours, which is root's: alice and bob are nobody in particular.
const (
	root  = 0
	alice = 60001
	bob   = 60002
)

// users are all whom a daemon serves.
type users struct {
	*testing.T
	path string // of its socket
}

// everybody is served.
func everybody(varlink.Peer) error { return nil }

// serveAll serves the users whom admit admits.
func serveAll(t *testing.T, d *Daemon, admit func(varlink.Peer) error) users {
	t.Helper()
	if os.Getuid() != root {
		t.Skip("NOT RUN: only root can be other users")
	}
	dir, err := os.MkdirTemp("", "fob-users")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "fob.sock")
	l, err := net.Listen("unix", path)
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666))
	}
	if err != nil {
		t.Fatal(err)
	}
	d.Authorize = admit
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return users{t, path}
}

// of gives a client of a user, by way of a relay that connects as that one.
func (u users) of(uid uint32) *ipc.Client {
	u.Helper()
	own := filepath.Join(u.TempDir(), "relay.sock")
	l, err := net.Listen("unix", own)
	if err != nil {
		u.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { u.pass(here, uid) })
		}
	})
	u.Cleanup(func() { l.Close(); all.Wait() })
	return &ipc.Client{Socket: own}
}

// pass connects as a user, and copies until one of both sides has hung up.
func (u users) pass(here net.Conn, uid uint32) {
	defer here.Close()
	there, err := dialAs(u.path, uid)
	if err != nil {
		u.Error(err)
		return
	}
	defer there.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(here, there)
		here.Close()
	})
	_, _ = io.Copy(there, here) // to a fobd that refuses us, it fails
	_ = there.(*net.UnixConn).CloseWrite()
	back.Wait() // which has what fobd said
}

// dialAs connects as a user: that of the thread counts, which is thrown away afterwards.
func dialAs(path string, uid uint32) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		const same = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
			err = errno
			return
		}
		c, err = net.Dial("unix", path)
	}()
	<-done
	return c, err
}

// TestStrangers: what is others', or is there for all, is for root and fobd's own user; that a stranger tried to get at
// the store is recorded.
func TestStrangers(t *testing.T) {
	log := keepLog(t)
	d := &Daemon{Source: &fakeSource{}, Audit: log}
	d.OpenStore(t.TempDir(), "")
	t.Cleanup(func() { d.Store.Close() })
	users := serveAll(t, d, everybody)
	ctx, stranger := t.Context(), users.of(alice)
	if _, err := stranger.StoreStatus(ctx); err != nil {
		t.Error(err)
	}
	if _, err := stranger.Devices(ctx); err != nil {
		t.Error(err)
	}
	for name, call := range map[string]func(c *ipc.Client) error{
		"export": func(c *ipc.Client) error { return c.ExportStore(ctx, nil, knows("sesame"), io.Discard) },
		"query":  func(c *ipc.Client) error { _, err := c.Audit(ctx, ipc.AuditQuery{}); return err },
		"verify": func(c *ipc.Client) error { _, err := c.VerifyAudit(ctx, ipc.AuditVerify{}); return err },
	} {
		if err := call(stranger); err != (ipc.PermissionDenied{}) {
			t.Errorf("%s by a stranger: %v", name, err)
		}
		if err := call(users.of(root)); err != nil {
			t.Errorf("%s by root: %v", name, err)
		}
	}
	var tried []ipc.AuditRecord
	for _, r := range calls(t, users.of(root), nil) {
		if r.Result == "org.varlink.service.PermissionDenied" {
			tried = append(tried, r)
		}
	}
	if len(tried) != 1 || tried[0].Method != ipc.MethodExport || tried[0].Caller.UID != alice {
		t.Errorf("%+v", tried)
	}
}

// TestOwns: root and our own user own this fobd.
func TestOwns(t *testing.T) {
	own := uint32(os.Getuid())
	for uid, want := range map[uint32]bool{root: true, own: true, own + 1: false, 65534: own == 65534} {
		if owns(varlink.Peer{UID: uid}) != want {
			t.Errorf("%d", uid)
		}
	}
	for _, c := range []struct {
		uid, other uint32
		want       bool
	}{{alice, alice, true}, {root, alice, true}, {alice, root, false}, {alice, bob, false}} {
		if answersFor(c.uid, c.other) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

// TestPromptersOfOthers: root's prompter hears of everybody's ceremonies, and nobody else is one; tokens of one user
// are nothing to another.
func TestPromptersOfOthers(t *testing.T) {
	lit := make(chan struct{}, 16)
	d := &Daemon{Policy: rules(t, askToSignIn+"action = 'ask-once'"), Source: &drawer{
		keys: []fido.DeviceInfo{{ID: "k1", Product: "Test Key", Path: "/dev/null"}},
		open: func(fido.DeviceID) (fido.Authenticator, error) { return lightable(lit), nil },
	}}
	users := serveAll(t, d, everybody)
	err := users.of(alice).RegisterPrompter(t.Context(), func() error { return errors.New("registered") }, nil)
	if err != (ipc.PermissionDenied{}) {
		t.Error(err)
	}
	a := newAgent(t, users.of(root))
	result := background(t, users.of(alice), &person{})
	e := a.hears(ipc.EventConsent).Event
	if err := d.prompts.put(ipc.Answer{Token: e.Token, Choice: number(0)}, bob); err != (ipc.UnknownToken{}) {
		t.Error("bob answers for alice: ", err)
	}
	if err := a.says(e.Token, true); err != nil {
		t.Error(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	<-lit
	drain(a)
	bobs := background(t, users.of(bob), &person{}) // alice's yes is not his, though it is the same program
	if err := a.says(a.hears(ipc.EventConsent).Event.Token, false); err != nil {
		t.Error(err)
	}
	refusal(t, <-bobs, ipc.ByPerson)
	if len(lit) > 0 {
		t.Error("lit after a no")
	}
}

// drain reads what a prompter is told of a ceremony that has its consent, to the end.
func drain(a *agent) {
	for overs := 0; overs < 2; { // of the question, and of the ceremony
		if (<-a.told).Over {
			overs++
		}
	}
}

// overhears tells the token of a PIN prompt, and leaves the answer to others.
type overhears struct {
	silent
	tokens chan<- string
}

func (p overhears) PIN(ctx context.Context, e ipc.Event) (ipc.Secret, error) {
	p.tokens <- e.Token
	return p.silent.PIN(ctx, e)
}

// TestAnswersOfOthers: over the socket, too, a token is the user's whose ceremony it is; root may answer.
func TestAnswersOfOthers(t *testing.T) {
	for who, want := range map[uint32]error{bob: ipc.UnknownToken{}, root: nil, alice: nil} {
		k := &fakeKey{options: map[string]bool{"clientPin": true},
			assert: func(_ context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
				return []fido.GetAssertionResponse{assertion("alice")}, nil
			}}
		users := serveAll(t, &Daemon{Source: oneKey(k)}, everybody)
		tokens, result := make(chan string, 1), make(chan error, 1)
		client := users.of(alice)
		go func() {
			_, err := client.SignIn(t.Context(), signInRequest(), overhears{tokens: tokens})
			result <- err
		}()
		token := <-tokens
		answer := func(uid uint32) error {
			conn, err := dialAs(users.path, uid)
			if err != nil {
				t.Fatal(err)
			}
			c := varlink.NewConn(conn)
			defer c.Close()
			return c.Call(t.Context(), ipc.MethodAnswer, map[string]string{"token": token, "pin": "1234"}, nil)
		}
		if err := answer(who); want == nil && err != nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", who, err, want)
		}
		if want != nil {
			if err := answer(alice); err != nil {
				t.Error(err)
			}
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		<-k.closed
	}
}

// TestHoldersOfOthers: who waits hears that another user has the key, and not for what.
func TestHoldersOfOthers(t *testing.T) {
	var turns turns
	holder := ipc.Holder{Program: "/usr/bin/ssh", PID: 7, Verb: ipc.VerbSignIn, RPID: "example.com", Unit: "x"}
	turns.enter(client{uid: alice}, holder, []turn{"key"})
	for uid, want := range map[uint32]ipc.Holder{alice: holder, root: holder, bob: {Verb: ipc.VerbSignIn}} {
		if got := turns.heldBy("key", client{uid: uid}); got == nil || *got != want {
			t.Errorf("%d: %+v", uid, got)
		}
		ticket := turns.enter(client{uid: uid, pid: 9}, ipc.Holder{}, []turn{"key"})
		if _, at := ticket.look(); at.holder == nil || *at.holder != want {
			t.Errorf("%d: %+v", uid, at.holder)
		}
		ticket.leave()
	}
	if s := (ipc.Holder{Verb: ipc.VerbSignIn}).String(); s != "an unknown program signs in" {
		t.Error(s)
	}
}

// TestNobodyTakesAllRoom: with several users, one gets half of the connections.
func TestNobodyTakesAllRoom(t *testing.T) {
	d := &Daemon{Authorize: everybody}
	if s := d.server(); s.MaxPerUser != s.MaxConnections/2 {
		t.Errorf("%d of %d", s.MaxPerUser, s.MaxConnections)
	}
}

// TestTooManyConnections: who has too many is told so by name, and counted.
func TestTooManyConnections(t *testing.T) {
	counts := new(metrics.Metrics)
	c := serveDaemon(t, &Daemon{Source: &fakeSource{}, Metrics: counts})
	most := new(Daemon).server().MaxPerProcess
	for range most {
		conn, err := varlink.Dial(t.Context(), c.Socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if err := conn.Call(t.Context(), ipc.MethodList, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Devices(t.Context()); err != (ipc.TooManyConnections{}) {
		t.Error(err)
	}
	if n := counts.Snapshot().Counters; n["refused"] != 1 || n["refused.tooMany"] != 1 {
		t.Errorf("%v", n)
	}
}

// TestRefusedUsersAreCounted: those whom fobd does not serve are counted, and not as too many.
func TestRefusedUsersAreCounted(t *testing.T) {
	counts := new(metrics.Metrics)
	users := serveAll(t, &Daemon{Source: &fakeSource{}, Metrics: counts}, func(p varlink.Peer) error {
		if p.UID == bob {
			return varlink.PermissionDenied{}
		}
		return nil
	})
	if _, err := users.of(alice).Devices(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := users.of(bob).Devices(t.Context()); err != (ipc.PermissionDenied{}) {
		t.Error(err)
	}
	if n := counts.Snapshot().Counters; n["refused"] != 1 || n["refused.tooMany"] != 0 {
		t.Errorf("%v", n)
	}
}
