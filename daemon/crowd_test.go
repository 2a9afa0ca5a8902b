package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido"
	"fob/ipc"
)

// order is what a process of clients does; it is this test program again, for fobd serves only so many connections of
// one process.
type order struct {
	Socket   string
	Idle     int // that say nothing, but for one call in the beginning
	Watchers int // that watch the keys
	Restless int // that call and hang up at random, once the others are there
	Seed     uint64
}

const orderVariable = "FOB_TEST_CROWD"

// obey is such a process. It says when all are connected, and goes on when its standard input ends.
func obey(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	clients := make([]*restless, o.Idle+o.Watchers+o.Restless)
	for i := range clients {
		clients[i] = &restless{socket: o.Socket, random: rand.New(rand.NewPCG(o.Seed, uint64(i)))}
		if err := clients[i].dial(); err != nil {
			return err
		}
		method := ipc.MethodList
		if i < o.Watchers {
			method = ipc.MethodDeviceWatch
		}
		if err := clients[i].greet(method); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	errs := make([]error, o.Restless)
	var busy sync.WaitGroup
	for i, c := range clients[o.Idle+o.Watchers:] {
		busy.Go(func() { errs[i] = c.run() })
	}
	busy.Wait()
	served := 0
	for _, c := range clients {
		served += c.served
	}
	fmt.Println(served)
	return errors.Join(errs...)
}

// crowd is a process of clients, from outside.
type crowd struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// gather returns once the clients are connected.
func gather(t testing.TB, o order) *crowd {
	t.Helper()
	text, _ := json.Marshal(o)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = new(bytes.Buffer)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &crowd{cmd, in, bufio.NewReader(out)}
	if line, err := c.out.ReadString('\n'); line != "ready\n" {
		_, left := c.leave()
		t.Fatalf("%q, %v, %v", line, err, left)
	}
	return c
}

// leave lets the clients do the rest, if there is any, waits until they are gone, and gives how many calls of theirs
// were answered.
func (c *crowd) leave() (served int, err error) {
	c.in.Close()
	_, scanned := fmt.Fscan(c.out, &served)
	if err := errors.Join(scanned, c.cmd.Wait()); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, c.cmd.Stderr)
	}
	return served, nil
}

// restless is a client that behaves badly.
type restless struct {
	socket string
	random *rand.Rand
	nc     net.Conn
	in     *bufio.Reader
	served int
}

// restlessTurns is how many things one client does.
const restlessTurns = 12

// run does things at random. Whatever it was, the next connection is served.
func (r *restless) run() error {
	defer func() { r.nc.Close() }()
	for range restlessTurns {
		if err := r.turn(); err != nil {
			return err
		}
		if r.random.IntN(3) == 0 {
			r.nc.Close()
			if err := r.dial(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restless) dial() (err error) {
	if r.nc, err = net.Dial("unix", r.socket); err != nil {
		return err
	}
	r.in = bufio.NewReaderSize(r.nc, 16)
	return r.nc.SetDeadline(time.Now().Add(faultBound))
}

func (r *restless) redial() error {
	r.nc.Close()
	return r.dial()
}

// greet makes the first call.
func (r *restless) greet(method string) error {
	if err := r.call(method, `{}`, true); err != nil {
		return err
	}
	reply, err := r.reply()
	if err == nil && reply["error"] != nil {
		err = fmt.Errorf("refused: %s", reply["error"])
	}
	return err
}

func (r *restless) call(method, parameters string, more bool) error {
	_, err := fmt.Fprintf(r.nc, `{"method":%q,"parameters":%s,"more":%v}`+"\x00", method, parameters, more)
	return err
}

func (r *restless) reply() (map[string]json.RawMessage, error) {
	message, err := r.in.ReadBytes(0)
	if err != nil {
		return nil, err
	}
	var reply map[string]json.RawMessage
	return reply, json.Unmarshal(message[:len(message)-1], &reply)
}

// turn does one thing. A connection that was refused, because the process had too many for a moment, is no fault.
func (r *restless) turn() error {
	signIn, _ := json.Marshal(signInRequest())
	switch r.random.IntN(7) {
	case 0, 1: // a call
		if r.call(ipc.MethodList, `{"newer":[1]}`, false) != nil {
			return r.redial()
		}
		reply, err := r.reply()
		if err != nil || reply["error"] != nil {
			return errors.Join(r.redial(), unlessRefused(err, reply))
		}
		r.served++
		return nil
	case 2: // a call whose reply nobody reads
		_ = r.call(ipc.MethodGetInfo, `{}`, false)
	case 3: // half a call
		_, _ = io.WriteString(r.nc, `{"method":"fob.Device.List","parameters":{"a":"`[:1+r.random.IntN(40)])
	case 4: // a ceremony that is cancelled at its first event
		_ = r.call(ipc.MethodSignIn, string(signIn), true)
		if r.random.IntN(2) == 0 {
			_, _ = r.reply()
		}
	case 5: // many calls at once
		for range r.random.IntN(50) {
			_ = r.call(ipc.MethodList, `{}`, false)
		}
	case 6: // nonsense
		_, _ = r.nc.Write([]byte("GET / HTTP/1.1\r\n\r\n\x00\x00"))
	}
	return r.redial()
}

func unlessRefused(err error, reply map[string]json.RawMessage) error {
	if err != nil || bytes.Contains(reply["error"], []byte("fob.Service.TooManyConnections")) {
		return nil // a refusal is there before the call, or instead of it
	}
	return fmt.Errorf("a call failed: %s", reply["error"])
}

// untouched is a source of a key that waits for its touch for ever, and counts who has it open.
type untouched struct {
	*fakeWatcher
	opened atomic.Int64
}

// untouchedKey is that a key while it is open.
type untouchedKey struct {
	*fakeKey
	source *untouched
}

func (k untouchedKey) Close() error { k.source.opened.Add(-1); return nil }

func newUntouched() *untouched {
	s := &untouched{fakeWatcher: newFakeWatcher(fido.DeviceInfo{ID: "k1", Path: "/dev/k1"})}
	k := &fakeKey{assert: func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s.open = func(fido.DeviceID) (fido.Authenticator, error) {
		s.opened.Add(1)
		return untouchedKey{k, s}, nil
	}
	return s
}

// TestCrowd has a thousand clients call and hang up at random, in the middle of calls and ceremonies too, while two
// hundred others watch the keys. In the end all is as it was, and who asks is served.
func TestCrowd(t *testing.T) {
	source := newUntouched()
	client := serve(t, source)
	if _, err := client.Devices(t.Context()); err != nil { // what is made once for all
		t.Fatal(err)
	}
	before := leftovers(t)
	var crowds []*crowd
	for seed := range uint64(5) {
		crowds = append(crowds, gather(t, order{Socket: client.Socket, Restless: 160, Watchers: 40, Seed: seed}))
	}
	for _, c := range crowds {
		c.in.Close() // all at once
	}
	served := 0
	for _, c := range crowds {
		n, err := c.leave()
		if err != nil {
			t.Error(err)
		}
		served += n
	}
	calls := 5 * 160 * restlessTurns * 2 / 7
	t.Logf("%d calls were answered of some %d", served, calls)
	if served < calls/8 { // the others were refused, for a thousand connections leave little room
		t.Error("too few")
	}
	nothingLeft(t, before)
	if n := source.opened.Load(); n != 0 {
		t.Errorf("the key is still open %d times", n)
	}
	if _, err := client.Devices(t.Context()); err != nil {
		t.Error(err)
	}
}

const (
	idleCrowd     = 1000
	watchingCrowd = 200
	maxPerClient  = 24 << 10 // bytes of heap and stacks
)

// TestIdleCrowd: clients that say nothing, and those that watch, cost kilobytes each.
func TestIdleCrowd(t *testing.T) {
	for name, o := range map[string]order{"idle": {Idle: 200}, "watching": {Watchers: 40}} {
		t.Run(name, func(t *testing.T) {
			each := costOf(t, o, 5)
			t.Logf("%d KiB each", each>>10)
			if each > maxPerClient {
				t.Errorf("each costs %d KiB", each>>10)
			}
		})
	}
}

// costOf gives the memory that fobd needs for each of the clients, of as many processes.
func costOf(t testing.TB, o order, processes int) (each uint64) {
	t.Helper()
	o.Socket = serve(t, newUntouched()).Socket
	before := memory()
	var crowds []*crowd
	for range processes {
		crowds = append(crowds, gather(t, o))
	}
	after := memory()
	for _, c := range crowds {
		if _, err := c.leave(); err != nil {
			t.Error(err)
		}
	}
	return (max(after, before) - before) / uint64(processes*(o.Idle+o.Watchers))
}

// memory is what the heap and the stacks take, without what is garbage.
func memory() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
