package endpoint

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

func TestClientOverPTY(t *testing.T) {
	p := plugIn(t, newKey())
	h := openHost(t, p.Path())
	defer h.close()
	c := h.client(t)
	for _, n := range []int{0, 1, 57, 58, 1000, 4096, ctaphid.MaxPayload} {
		data := make([]byte, n) // every byte that a terminal could have changed
		for i := range data {
			data[i] = byte(i)
		}
		if err := c.Ping(waiting(t), data); err != nil {
			t.Errorf("ping of %d bytes: %v", n, err)
		}
	}
}

func TestTouch(t *testing.T) {
	k := newKey()
	p := plugIn(t, k)
	h := openHost(t, p.Path())
	defer h.close()
	told := ctap.KeepaliveStatus(0)
	reply, err := h.client(t).CBOR(waiting(t), []byte("touch"), func(s ctap.KeepaliveStatus) {
		if told == 0 {
			close(k.touch)
		}
		told = s
	})
	if string(reply) != "\x00touched" || err != nil || told != ctap.KeepaliveUPNeeded {
		t.Errorf("reply %q, %v, status %d", reply, err, told)
	}
}

func TestNodeIsPrivate(t *testing.T) {
	p := plugIn(t, newKey())
	info, err := os.Stat(p.Path())
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestDeviceSettings(t *testing.T) {
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Device = ctaphid.Device{Version: [3]byte{1, 2, 3}, Capabilities: ctaphid.CapCBOR | ctaphid.CapNMSG}
	go p.Serve(t.Context(), newKey())
	h := openHost(t, p.Path())
	defer h.close()
	if c := h.client(t); c.DeviceVersion != p.Device.Version || c.Capabilities != p.Device.Capabilities {
		t.Errorf("client %+v", c)
	}
}

func TestHangUpCancelsHandler(t *testing.T) {
	k := newKey()
	p := plugIn(t, k)
	lightAndKill(t, p.Path(), k)
	await(t, "dark", k.dark)
	echoes(t, p.Path())
}

// A client that is killed and the next one, without a pause between them.
func TestNextClient(t *testing.T) {
	k := newKey()
	p := plugIn(t, k)
	for range 5 {
		lightAndKill(t, p.Path(), k)
		echoes(t, p.Path())
		await(t, "dark", k.dark)
	}
}

// What clients may leave behind when they die. Each gets its channel before; the next one must not notice.
func TestLeftovers(t *testing.T) {
	leftovers := map[string]func(t *testing.T, h host, cid ctaphid.CID, k *key){
		"lit": func(t *testing.T, h host, cid ctaphid.CID, k *key) {
			request(t, h, cid, "touch")
			await(t, "lit", k.lit)
		},
		"request": func(t *testing.T, h host, cid ctaphid.CID, _ *key) { request(t, h, cid, "touch") },
		"unread replies": func(t *testing.T, h host, cid ctaphid.CID, _ *key) {
			request(t, h, cid, "e"+string(make([]byte, 5000)))
		},
		"half message": func(t *testing.T, h host, cid ctaphid.CID, _ *key) {
			h.WriteReport(t.Context(), ctaphid.Packet{CID: cid, Initial: true, Command: ctaphid.CommandCBOR, BCNT: 99}.Report())
		},
		"half record": func(t *testing.T, h host, _ ctaphid.CID, _ *key) { h.write(make([]byte, 10)) },
		"nothing":     func(*testing.T, host, ctaphid.CID, *key) {},
	}
	for name, leave := range leftovers {
		t.Run(name, func(t *testing.T) {
			k := newKey()
			p := plugIn(t, k)
			for i := range 100 {
				h := openHost(t, p.Path())
				h.client(t)
				leave(t, h, ctaphid.CID(2*i+1), k) // each round takes two channels
				h.close()
				echoes(t, p.Path())
			}
		})
	}
}

// unreadInit leaves the response to a CTAPHID_INIT in the terminal.
func unreadInit(t *testing.T, path string) host {
	t.Helper()
	h := openHost(t, path)
	askInit(t, h)
	return h
}

func askInit(t *testing.T, h host) {
	t.Helper()
	init := ctaphid.Packet{CID: ctaphid.BroadcastCID, Initial: true, Command: ctaphid.CommandInit, BCNT: 8}.Report()
	if err := h.WriteReport(t.Context(), init); err != nil {
		t.Fatal(err)
	}
	if revents, err := poll(patience, pollFD(h.fd, unix.POLLIN)); err != nil || revents[0] != unix.POLLIN {
		t.Fatalf("no response: %x, %v", revents, err)
	}
}

// The response to a CTAPHID_INIT waits in the terminal when its host dies. If the next host is quicker than we are to
// discard it, it must skip the response by its nonce.
func TestUnreadInit(t *testing.T) {
	p := plugIn(t, newKey())
	for range 100 {
		unreadInit(t, p.Path()).close()
		next := openHost(t, p.Path())
		echoesTo(t, next)
		next.close()
	}
}

// Once the Device has dealt with the hang-up, nothing is left for a host that takes the first response for its own.
func TestUnreadInitIsDiscarded(t *testing.T) {
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dealtWith := make(chan struct{}, 1000)
	p.Device.Link = func(c ctaphid.Conn) ctaphid.Conn { return &hangUps{Conn: c, dealtWith: dealtWith} }
	go p.Serve(t.Context(), newKey())
	for range 100 {
		unreadInit(t, p.Path()).close()
		await(t, "hang-up", dealtWith)
		echoes(t, p.Path())
		await(t, "hang-up", dealtWith)
	}
}

// hangUps tells when the Device has dealt with a hang-up.
type hangUps struct {
	ctaphid.Conn
	hungUp    bool
	dealtWith chan<- struct{}
}

func (c *hangUps) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	if c.hungUp {
		c.dealtWith <- struct{}{}
	}
	r, err := c.Conn.ReadReport(ctx)
	c.hungUp = err == ctaphid.ErrHangUp
	return r, err
}

// A host that has the terminal open when another one dies, and locks nothing, finds the response to that one. It copes if it goes by the
// nonce; else its opening fails, as with libfido2, and the next one succeeds.
func TestUnreadInitOfAnother(t *testing.T) {
	p := plugIn(t, newKey())
	for range 20 {
		patient := openHost(t, p.Path())
		unreadInit(t, p.Path()).close()
		echoesTo(t, patient)
		patient.close()

		waits := &impatient{host: openHost(t, p.Path())}
		unreadInit(t, p.Path()).close()
		if _, err := ctaphid.Open(waiting(t), waits); !errors.Is(err, errStale) {
			t.Errorf("open: %v", err)
		}
		waits.close()
		next := openHost(t, p.Path())
		echoesTo(t, next)
		next.close()
	}
}

// The hang-up of one host is none for the others, even if they came at the same moment.
func TestOthersStay(t *testing.T) {
	k := newKey()
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var others []host
	for range 10 {
		others = append(others, openHost(t, p.Path()))
	}
	h := openHost(t, p.Path())
	defer h.close()
	go p.Serve(t.Context(), k)

	reply, err := h.client(t).CBOR(waiting(t), []byte("touch"), func(ctap.KeepaliveStatus) {
		if len(others) == 0 {
			k.touch <- struct{}{}
			return
		}
		others[0].close()
		others = others[1:]
		openHost(t, p.Path()).close()
	})
	if string(reply) != "\x00touched" || err != nil {
		t.Errorf("reply %q, %v", reply, err)
	}
}

func TestReportNumberIsDropped(t *testing.T) {
	p := plugIn(t, newKey())
	h := openHost(t, p.Path())
	defer h.close()
	c := h.client(t)
	r := ctaphid.Packet{CID: 1, Initial: true, Command: ctaphid.CommandPing, BCNT: 1}.Report()
	if err := h.write(append([]byte{1}, r[:]...)); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(waiting(t), []byte("pong")); err != nil { // else the answer to the other comes first
		t.Error(err)
	}
}

// A host that writes less than a record shifts the bytes of another one only for a while.
func TestShortWrite(t *testing.T) {
	p := plugIn(t, newKey())
	h := openHost(t, p.Path())
	defer h.close()
	if err := h.write([]byte("short")); err != nil {
		t.Fatal(err)
	}
	for tries := range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*recordTimeout)
		_, err := ctaphid.Open(ctx, h)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("try %d: %v", tries, err)
		}
	}
	t.Error("the device never answered again")
}

// A host that doesn't read loses reports; when it reads again, they are whole, and the device answers.
func TestHostThatDoesNotRead(t *testing.T) {
	p := plugIn(t, newKey())
	h := openHost(t, p.Path())
	defer h.close()
	h.client(t)
	ping, _ := ctaphid.Message{CID: 1, Command: ctaphid.CommandPing, Payload: make([]byte, ctaphid.MaxPayload)}.Reports()
	const pings = 30 // more than the kernel keeps
	for range pings {
		for _, r := range ping {
			if err := h.WriteReport(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	counted := &counter{host: h}
	ctx, cancel := context.WithTimeout(t.Context(), 2*writeTimeout)
	defer cancel()
	_, err := ctaphid.Open(ctx, counted)
	if errors.Is(err, context.DeadlineExceeded) {
		_, err = ctaphid.Open(waiting(t), counted) // the answer may have come when there was no room yet
	}
	if err != nil {
		t.Error(err)
	}
	if counted.reports >= pings*len(ping) {
		t.Errorf("none of %d reports was lost", counted.reports)
	}
}

// counter counts the reports that a host reads.
type counter struct {
	host
	reports int
}

func (c *counter) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	c.reports++
	return c.host.ReadReport(ctx)
}

func TestDarkWhenNobodyReads(t *testing.T) {
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	openHost(t, p.Path()).close()
	if err := p.conn.WriteReport(t.Context(), ctaphid.Report{}); err != ctaphid.ErrDropped {
		t.Errorf("write: %v", err)
	}
	if _, err := p.conn.ReadReport(t.Context()); err != ctaphid.ErrHangUp {
		t.Errorf("read: %v", err)
	}
}

func TestServeAndClose(t *testing.T) {
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	k := newKey()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- p.Serve(ctx, k) }()
		echoes(t, p.Path())
		if err := p.Serve(ctx, k); err != ErrServing {
			t.Errorf("second Serve: %v", err)
		}
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("Serve, cancelled: %v", err)
		}
	}
	served := make(chan error)
	go func() { served <- p.Serve(t.Context(), k) }()
	h := openHost(t, p.Path())
	defer h.close()
	h.client(t)
	request(t, h, 1, "touch")
	await(t, "lit", k.lit)
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-served; err != os.ErrClosed {
		t.Errorf("Serve, closed: %v", err)
	}
	await(t, "dark", k.dark)
	if err := p.Serve(t.Context(), k); err != os.ErrClosed {
		t.Errorf("Serve after Close: %v", err)
	}
	if err := p.Close(); err != os.ErrClosed {
		t.Errorf("second Close: %v", err)
	}
	if _, err := os.Stat(p.Path()); err == nil && h.readable() {
		t.Error("device outlives Close")
	}
}

// readable is false at a terminal that has hung up.
func (h host) readable() bool {
	revents, err := poll(0, pollFD(h.fd, unix.POLLIN))
	return err == nil && revents[0]&unix.POLLHUP == 0
}

func TestNothingLeaks(t *testing.T) {
	cycle := func() {
		p, err := OpenPTY()
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error)
		k := newKey()
		go func() { served <- p.Serve(t.Context(), k) }()
		h := openHost(t, p.Path())
		h.client(t)
		request(t, h, 1, "touch")
		await(t, "lit", k.lit)
		h.close()
		p.Close()
		<-served
	}
	cycle() // for what the runtime opens once
	before := descriptors(t)
	for range 50 {
		cycle()
	}
	if after := descriptors(t); !slices.Equal(before, after) {
		t.Errorf("descriptors before %v, after %v", before, after)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "fob/fido/ctaphid.") {
		t.Errorf("goroutines left:\n%s", stacks)
	}
}

func descriptors(t *testing.T) (names []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
