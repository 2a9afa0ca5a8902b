package endpoint

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// patience bounds every wait of these tests. It passes only when something is broken.
const patience = 30 * time.Second

// host is a program that has opened the device, as libfido2's hidraw backend does it: it polls, writes 65 bytes and
// reads 64.
type host struct{ fd int }

func openHost(t *testing.T, path string) host {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return host{fd}
}

func (h host) close() { unix.Close(h.fd) }

func (h host) WriteReport(_ context.Context, r ctaphid.Report) error {
	return h.write(append([]byte{0}, r[:]...))
}

// write goes on where a signal of Go's runtime has interrupted it, which may be in the middle of a record on a terminal
// that has no more room.
func (h host) write(record []byte) error {
	for len(record) > 0 {
		n, err := unix.Write(h.fd, record)
		if err != nil && err != unix.EINTR {
			return err
		}
		record = record[max(n, 0):]
	}
	return nil
}

func (h host) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	for ctx.Err() == nil {
		revents, err := poll(20*time.Millisecond, pollFD(h.fd, unix.POLLIN))
		if err != nil || revents[0] == 0 {
			continue
		}
		var r ctaphid.Report
		if n, err := unix.Read(h.fd, r[:]); err != nil || n != len(r) {
			return r, errors.Join(err, errors.New("short read"))
		}
		return r, nil
	}
	return ctaphid.Report{}, ctx.Err()
}

func (h host) client(t *testing.T) *ctaphid.Client {
	t.Helper()
	c, err := ctaphid.Open(waiting(t), h)
	if err != nil {
		t.Fatal("open:", err)
	}
	return c
}

func waiting(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// key answers 'e' with an echo, and 't' when it is touched. It tells when it is lit and dark.
type key struct{ lit, dark, touch chan struct{} }

func newKey() *key {
	return &key{make(chan struct{}, 1000), make(chan struct{}, 1000), make(chan struct{})}
}

func (k *key) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Payload[0] == 'e' {
		return append(ctap.Response{0}, r.Payload...)
	}
	keepalive(ctap.KeepaliveUPNeeded)
	k.lit <- struct{}{}
	defer func() { k.dark <- struct{}{} }()
	select {
	case <-k.touch:
		return ctap.Response("\x00touched")
	case <-ctx.Done():
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain:", what)
	}
}

// plugIn serves a PTY until the test ends.
func plugIn(t *testing.T, h ctap.Handler) *PTY {
	t.Helper()
	p, err := OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(t.Context(), h) }()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error("close:", err)
		}
		if err := <-served; !errors.Is(err, os.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error("serve:", err)
		}
	})
	return p
}

// request sends a CBOR request and doesn't wait for an answer.
func request(t *testing.T, h host, cid ctaphid.CID, payload string) {
	t.Helper()
	reports, err := ctaphid.Message{CID: cid, Command: ctaphid.CommandCBOR, Payload: []byte(payload)}.Reports()
	for _, r := range reports {
		err = errors.Join(err, h.WriteReport(t.Context(), r))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// echoes fails unless a new host can use the key at once, without a trace of the host before it.
func echoes(t *testing.T, path string) {
	t.Helper()
	h := openHost(t, path)
	defer h.close()
	echoesTo(t, &impatient{host: h})
}

func echoesTo(t *testing.T, h ctaphid.Conn) {
	t.Helper()
	c, err := ctaphid.Open(waiting(t), h)
	if err != nil {
		t.Fatal("open:", err)
	}
	reply, err := c.CBOR(waiting(t), []byte("echo"), nil)
	if string(reply) != "\x00echo" || err != nil {
		t.Fatalf("reply %q, %v", reply, err)
	}
}

// impatient gives up at a response to somebody else's CTAPHID_INIT, as libfido2 does.
type impatient struct {
	host
	nonce []byte
}

func (h *impatient) WriteReport(ctx context.Context, r ctaphid.Report) error {
	if p := ctaphid.ParsePacket(r); p.Command == ctaphid.CommandInit {
		h.nonce = p.Data[:8]
	}
	return h.host.WriteReport(ctx, r)
}

func (h *impatient) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	r, err := h.host.ReadReport(ctx)
	if p := ctaphid.ParsePacket(r); p.Command == ctaphid.CommandInit && !bytes.Equal(p.Data[:8], h.nonce) {
		return r, errStale
	}
	return r, err
}

var errStale = errors.New("stale response to CTAPHID_INIT")

// TestMain runs the test program as a host of its own, which lights the key and waits to be killed, or as a process
// that has more keys than files.
func TestMain(m *testing.M) {
	switch path, files := os.Getenv("ENDPOINT_TEST_LIGHT"), os.Getenv("ENDPOINT_TEST_FILES"); {
	case path != "":
		light(path)
	case files != "":
		limit, err := strconv.ParseUint(files, 10, 32)
		if err == nil {
			err = exhaustFiles(limit)
		}
		if err != nil {
			panic(err)
		}
	default:
		os.Exit(m.Run())
	}
}

func light(path string) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		panic(err)
	}
	c, err := ctaphid.Open(context.Background(), host{fd})
	if err != nil {
		panic(err)
	}
	c.CBOR(context.Background(), []byte("touch"), nil)
}

func lightAndKill(t *testing.T, path string, k *key) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ENDPOINT_TEST_LIGHT="+path)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "lit", k.lit)
	cmd.Process.Kill()
	cmd.Wait()
}
