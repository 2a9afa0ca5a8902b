package libfido2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

func TestCancelWhileWaitingForTouch(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := d.MakeCredential(ctx, registration("ada"))
		result <- err
	}()
	await(t, "light", f.waiting)
	cancel()
	await(t, "dark", f.dark)
	if err := <-result; err != context.Canceled {
		t.Fatal(err)
	}
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Fatal("the key is of no use after a cancel:", err)
	}
}

// A cancel that comes before the command that waits for a touch is sent again.
func TestCancelBetweenCommands(t *testing.T) {
	f := newFinger()
	key := newKey(t, emulator.Options{Presence: f.presence})
	if err := key.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	path, _ := plug(t, cancelling{key, cancel})
	d := open(t, path)
	r := registration("ada")
	r.PIN = fido.PIN("1234")
	if _, err := d.MakeCredential(ctx, r); err != context.Canceled {
		t.Fatal(err)
	}
	select {
	case <-f.waiting:
		await(t, "dark", f.dark)
	default: // the first cancel came just in time to end the command before that
	}
}

// cancelling cancels a ceremony at the first command about the PIN, and answers that command all the same.
type cancelling struct {
	ctap.Handler
	cancel context.CancelFunc
}

func (h cancelling) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Payload[0] == byte(ctap.CommandClientPIN) {
		h.cancel()
		<-ctx.Done()
		return h.Handler.ServeCTAP(context.WithoutCancel(ctx), r, k)
	}
	return h.Handler.ServeCTAP(ctx, r, k)
}

func TestUnplugInMidOperation(t *testing.T) {
	f := newFinger()
	path, unplug := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	go func() {
		<-f.waiting
		unplug()
	}()
	if _, err := d.MakeCredential(t.Context(), registration("ada")); !errors.Is(err, fido.ErrDeviceGone) {
		t.Fatal(err)
	}
	if _, err := d.GetInfo(t.Context()); !errors.Is(err, fido.ErrDeviceGone) {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, fido.ErrNoDevice) {
		t.Fatal(err)
	}
}

// The Go runtime interrupts threads at any time; libfido2 must not notice.
func TestSignals(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	go func() {
		defer close(f.touch)
		await(t, "light", f.waiting)
		for end := time.Now().Add(patience); ; runtime.Gosched() { // a thread that begins is deaf for a moment
			deaf := deafThreads(t)
			if deaf == 1 {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%d threads block signals, want the one in libfido2", deaf)
				break
			}
		}
	}()
	if _, err := d.MakeCredential(t.Context(), registration("ada")); err != nil {
		t.Fatal(err)
	}
}

// deafThreads interrupts all threads, and counts those that block signals.
func deafThreads(t *testing.T) (deaf int) {
	for _, thread := range threads(t) {
		if thread.blocks(t, unix.SIGURG) && thread.blocks(t, unix.SIGPROF) && thread.blocks(t, unix.SIGCHLD) {
			deaf++
		}
		for range 100 {
			unix.Tgkill(os.Getpid(), int(thread), unix.SIGURG)
		}
	}
	return deaf
}

type thread int

func threads(t *testing.T) (list []thread) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, thread(tid))
		}
	}
	return list
}

func (id thread) blocks(t *testing.T, s unix.Signal) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/status", id))
	if err != nil {
		return false // it has ended
	}
	var mask uint64
	_, after, _ := strings.Cut(string(status), "SigBlk:")
	if _, err := fmt.Sscanf(after, "%x", &mask); err != nil {
		t.Error(err)
	}
	return mask>>(s-1)&1 != 0
}

// stuck never answers and ignores cancels.
type stuck struct {
	ctap.Handler
	release chan struct{}
}

func (h stuck) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Payload[0] == byte(ctap.CommandMakeCredential) {
		<-h.release
	}
	return h.Handler.ServeCTAP(ctx, r, k)
}

func TestStuckKey(t *testing.T) {
	h := stuck{newKey(t, emulator.Options{}), make(chan struct{})}
	path, _ := plug(t, h)
	t.Cleanup(func() { close(h.release) })
	d := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // long enough for the request to be on its way
	defer cancel()
	if _, err := d.MakeCredential(ctx, registration("ada")); err != context.DeadlineExceeded {
		t.Fatal(err)
	}
	if _, err := d.GetInfo(t.Context()); !errors.Is(err, fido.ErrDeviceGone) {
		t.Fatal("a late answer would be taken for another:", err)
	}
}
