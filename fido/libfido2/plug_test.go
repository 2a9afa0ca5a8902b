package libfido2

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/endpoint"
)

// patience ends tests that would hang; nothing waits for it when all is well.
const patience = 30 * time.Second

func openPTY(t testing.TB) *endpoint.PTY {
	t.Helper()
	pty, err := endpoint.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pty.Close() })
	return pty
}

// plug makes a device of a handler. unplug takes it away and waits for its end.
func plug(t testing.TB, h ctap.Handler) (path string, unplug func()) {
	return plugDevice(t, ctaphid.Device{}, h)
}

func plugDevice(t testing.TB, d ctaphid.Device, h ctap.Handler) (path string, unplug func()) {
	t.Helper()
	pty := openPTY(t)
	pty.Device = d
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := pty.Serve(context.Background(), h); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}()
	unplug = sync.OnceFunc(func() {
		pty.Close()
		<-ended
	})
	t.Cleanup(unplug)
	return pty.Path(), unplug
}

// neighbour is another program that has the device open, and knows nothing of libfido2's lock.
type neighbour struct{ *os.File }

func openNeighbour(t testing.TB, path string) neighbour {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return neighbour{f}
}

// begin sends a CTAP2 request on a channel of the neighbour's own and does not wait for the answer.
func (n neighbour) begin(t *testing.T, request []byte) {
	t.Helper()
	n.send(t, ctaphid.Message{CID: ctaphid.BroadcastCID, Command: ctaphid.CommandInit, Payload: make([]byte, 8)})
	var r ctaphid.Report
	if _, err := io.ReadFull(n, r[:]); err != nil {
		t.Fatal(err)
	}
	const allocated = 7 + 8 // where the response has the new channel, behind the header and the nonce (§11.2.9.1.3)
	cid := ctaphid.CID(binary.BigEndian.Uint32(r[allocated:]))
	n.send(t, ctaphid.Message{CID: cid, Command: ctaphid.CommandCBOR, Payload: request})
}

func (n neighbour) send(t *testing.T, m ctaphid.Message) {
	t.Helper()
	reports, err := m.Reports()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if _, err := n.Write(append([]byte{0}, r[:]...)); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t testing.TB, path string) *Device {
	t.Helper()
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// finger is a person: waiting tells that the key waits for touch, dark that it stopped waiting without one.
type finger struct{ waiting, touch, dark chan struct{} }

func newFinger() *finger {
	return &finger{make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 1)}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("never happened: ", what)
	}
}
