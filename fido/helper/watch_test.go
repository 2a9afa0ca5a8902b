package helper

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/hidraw"
	"fob/fido/hidraw/hidrawtest"
)

// watching is a watch of a source, and where its keys are.
type watching struct {
	*testing.T
	*hidrawtest.System
	source *Source
	events <-chan fido.Event
}

// begin watches a source of a played system until the test ends, and checks that nothing is left then.
func begin(t *testing.T, behaviour string, set func(w *watching)) (*watching, []fido.DeviceInfo) {
	t.Helper()
	goroutines := runtime.NumGoroutine()
	played, err := hidrawtest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &watching{T: t, System: played, source: &Source{
		Path: program, Tree: hidraw.Tree{Root: played.Root}, args: []string{"helper", behaviour}}}
	set(w)
	ctx, cancel := context.WithCancel(context.Background())
	now, events, err := w.source.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.events = events
	t.Cleanup(func() {
		cancel()
		for range events {
		}
		if n := len(w.source.watches) + len(w.source.opens); n > 0 {
			t.Errorf("%d are left", n)
		}
		for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal("goroutines were left behind")
			}
		}
	})
	return w, now
}

func (w *watching) do(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *watching) next(kind fido.EventKind, path string) fido.Event {
	w.Helper()
	select {
	case e := <-w.events:
		if e.Kind != kind || e.Device.Path != path {
			w.Fatalf("%+v, expected %s %s", e, kind, path)
		}
		return e
	case <-time.After(patience):
		w.Fatalf("not %s: %s", kind, path)
	}
	panic("unreachable")
}

func TestWatchHidraw(t *testing.T) {
	key := hidrawtest.Key{Port: "1-2", Number: 3, VendorID: 0x1050, ProductID: 0x407, Manufacturer: "Yubico", Product: "YubiKey"}
	w, now := begin(t, "good", func(w *watching) { w.do(w.Plug(key)) })
	if len(now) != 1 || now[0].Path != "/dev/hidraw3" || now[0].Product != "YubiKey" || now[0].VendorID != 0x1050 {
		t.Fatalf("%+v", now)
	}
	other := key
	other.Number, other.Port = 5, "1-3"
	w.do(w.Plug(other))
	if e := w.next(fido.Added, "/dev/hidraw5"); e.Device.ID == now[0].ID || len(e.Device.ID) != 8 {
		t.Errorf("%+v beside %+v", e.Device, now[0])
	}
	w.do(w.Unplug(3))
	if e := w.next(fido.Removed, "/dev/hidraw3"); e.Device != now[0] {
		t.Errorf("%+v, it was %+v", e.Device, now[0])
	}
	w.do(w.Plug(key))
	if e := w.next(fido.Added, "/dev/hidraw3"); e.Device.ID == now[0].ID || e.Device.Mark != now[0].Mark || e.Device.Mark == "" {
		t.Errorf("after a replug %+v, before %+v", e.Device, now[0])
	}

	node := filepath.Join(w.Root, "/dev/hidraw5")
	f, err := os.Open(node)
	w.do(err)
	w.next(fido.Opened, "/dev/hidraw5")
	f.Close()
	if os.Getuid() != 0 { // root may open everything
		w.do(os.Chmod(node, 0))
		w.next(fido.Removed, "/dev/hidraw5")
		w.do(os.Chmod(node, 0o600))
		w.next(fido.Added, "/dev/hidraw5")
	}
}

// TestWatchExtra: keys that come and go at paths of ours, by a link too.
func TestWatchExtra(t *testing.T) {
	link := filepath.Join(t.TempDir(), "key")
	_, path := openPTY(t)
	extra := []fido.DeviceInfo{{Path: link, Mark: "ours"}}
	var changed func()
	w, now := begin(t, "good", func(w *watching) {
		w.source.NoDiscovery = true
		w.source.Extra = func() []fido.DeviceInfo { return slices.Clone(extra) }
		w.source.ExtraChanged = func(f func()) func() {
			changed = f
			return func() { changed = nil }
		}
	})
	if len(now) != 0 {
		t.Fatalf("%+v", now)
	}
	w.do(os.Symlink(path, link))
	id := w.next(fido.Added, link).Device.ID
	w.do(os.Remove(link))
	w.next(fido.Removed, link)
	w.do(os.Symlink("/dev/null", link))
	if again := w.next(fido.Added, link).Device; again.ID == id || again.Mark != "ours" {
		t.Errorf("another device has the same ID, or no mark: %+v", again)
	}
	changed()
	w.do(os.Remove(link))
	w.next(fido.Removed, link)
}

// TestWatchOpened: what other programs open is told, and who they are; what our helper opens is not.
func TestWatchOpened(t *testing.T) {
	_, path := openPTY(t)
	w, now := begin(t, "good", func(w *watching) {
		w.source.NoDiscovery, w.source.Tree = true, hidraw.Tree{}
		w.source.Extra = func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: path}} }
	})
	if len(now) != 1 {
		t.Fatalf("%+v", now)
	}
	done := w.source.opening(path) // as a helper does
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	w.do(err)
	done()
	key, err := w.source.Open(t.Context(), now[0].ID) // whose helper opens nothing
	w.do(err)
	defer key.Close()

	c := exec.Command("cat", "-", path)
	in, err := c.StdinPipe()
	w.do(err)
	w.do(c.Start())
	defer func() { c.Process.Kill(); c.Wait() }()
	f.Close()
	w.do(in.Close()) // now it opens the key
	e := w.next(fido.Opened, path)
	if len(e.Programs) > 0 && !slices.Contains(e.Programs, fido.Program{PID: c.Process.Pid, Name: "cat"}) {
		t.Errorf("%+v, expected cat, which is %d", e, c.Process.Pid)
	}
	if len(e.Programs) == 0 {
		t.Error("nobody has it open")
	}
}

func TestWatchThatBeginsInTheMiddle(t *testing.T) {
	s := new(Source)
	done := s.opening("/dev/null")
	w := &watch{Source: s}
	var err error
	if w.nodes, err = hidraw.NewNodes(); err != nil {
		t.Fatal(err)
	}
	defer w.nodes.Close()
	w.join()
	if err := w.nodes.Follow("/dev/null"); err != nil {
		t.Fatal(err)
	}
	open := func() {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	open()
	done()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if opened, _, err := w.nodes.Wait(ctx); err == nil {
		t.Errorf("told of our own: %v", opened)
	}
}
