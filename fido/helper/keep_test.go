package helper

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// keeping is a source whose keys are links in a folder, and a call of Keep.
type keeping struct {
	*testing.T
	*Source
	folder string
	end    func()
}

func keepKeys(t *testing.T, behaviour string, names ...string) *keeping {
	t.Helper()
	s, _ := newSource(t, behaviour)
	s.NoDiscovery, s.Log = true, nil
	k := &keeping{T: t, Source: s, folder: t.TempDir()}
	for _, name := range names {
		k.plug(name)
	}
	s.Extra = func() (list []fido.DeviceInfo) {
		for _, name := range names {
			list = append(list, fido.DeviceInfo{Path: k.path(name)})
		}
		return list
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Keep(ctx) }()
	k.end = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Keep ended: %v", err)
		}
	}
	t.Cleanup(func() { k.end() })
	return k
}

func (k *keeping) path(name string) string { return filepath.Join(k.folder, name) }

func (k *keeping) plug(name string) {
	k.Helper()
	if err := os.Symlink("/dev/zero", k.path(name)); err != nil {
		k.Fatal(err)
	}
}

// ready waits until a helper waits for the key, or none does.
func (k *keeping) ready(name string, want bool) *client {
	k.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		k.mu.Lock()
		var c *client
		if k.keep != nil {
			c = k.keep.ready[k.path(name)]
		}
		k.mu.Unlock()
		if (c != nil) == want {
			return c
		}
	}
	k.Fatalf("a helper for %s is ready: %v", name, !want)
	return nil
}

func (k *keeping) open(name string) *client {
	k.Helper()
	infos, err := k.Devices(k.Context())
	if err != nil {
		k.Fatal(err)
	}
	for _, d := range infos {
		if d.Path == k.path(name) {
			a, err := k.Open(k.Context(), d.ID)
			if err != nil {
				k.Fatal(err)
			}
			k.Cleanup(func() { a.Close() })
			return a.(key).client
		}
	}
	k.Fatalf("%s is not among %v", name, infos)
	return nil
}

func TestKeep(t *testing.T) {
	k := keepKeys(t, "good", "one", "two")
	first, other := k.ready("one", true), k.ready("two", true)
	if got := k.open("one"); got != first {
		t.Error("another helper than the one that waits")
	}
	k.ready("one", false) // while a ceremony may be in a hurry
	if _, err := (key{first}).MakeCredential(t.Context(), makeRequest("touch.example", nil)); err != nil {
		t.Error(err)
	}
	second := k.ready("one", true) // in the place of the first, since that has waited for a person
	if got := k.open("one"); second == first || got != second {
		t.Error("not the second helper for the second time")
	}
	second.close()
	k.ready("one", true)

	// a helper that was killed while it waited
	other.process.cmd.Process.Signal(syscall.SIGKILL)
	<-other.process.exited
	if got := k.open("two"); got == other {
		t.Error("a dead helper has opened a key")
	}

	// a key that was taken out, and another in its place
	waits := k.ready("one", true)
	if err := os.Remove(k.path("one")); err != nil {
		t.Fatal(err)
	}
	k.ready("one", false)
	<-waits.process.exited
	k.plug("one")
	k.ready("one", true)
}

func TestKeepOfHelpersThatFail(t *testing.T) {
	k := keepKeys(t, "exit", "one")
	infos, err := k.Devices(t.Context())
	if err != nil || len(infos) != 1 {
		t.Fatal(infos, err)
	}
	if _, err := k.Open(t.Context(), infos[0].ID); !errors.Is(err, fido.ErrHelperStart) {
		t.Error(err)
	}
}

// TestKeepForgetsWhatIsGone: no helper is made ready for a key that was taken out right after its own was taken.
func TestKeepForgetsWhatIsGone(t *testing.T) {
	k := keepKeys(t, "good", "one", "two")
	for _, name := range []string{"one", "two"} {
		k.ready(name, true)
		if err := os.Remove(k.path(name)); err != nil {
			t.Fatal(err)
		}
		k.ready(name, false)
	}
	k.keep.taken <- k.path("one")
	for len(k.keep.taken) > 0 {
		runtime.Gosched()
	}
	k.plug("two") // of which Keep hears when it is done with the other
	k.ready("two", true)
	k.ready("one", false)
}

// TestKeepOfHelperThatHangs: a helper that does not answer does not keep Keep from what happens to keys.
func TestKeepOfHelperThatHangs(t *testing.T) {
	s, _ := newSource(t, "unconfined")
	s.Log = nil
	prepared := make(chan struct{})
	go func() {
		defer close(prepared)
		s.prepare(t.Context(), &keep{ready: make(map[string]*client)}, "/dev/zero")
	}()
	select {
	case <-prepared:
	case <-time.After(patience):
		t.Error("waits for the helper")
	}
}

// TestReadyHelperIsConfined: a helper that waits can't be used for another key, or to find keys.
func TestReadyHelperIsConfined(t *testing.T) {
	k := keepKeys(t, "good", "one")
	k.ready("one", true)
	c := k.take(k.path("one"))
	defer c.close()
	for _, r := range []request{{Op: opOpen, Body: []byte("/dev/null")}, {Op: opDevices}, {Op: opConfine, Body: []byte("/dev/null")}} {
		if _, err := call(t.Context(), c, r, parseSandbox); !errors.Is(err, ctap.ErrNotAllowed) {
			t.Errorf("operation %d: %v", r.Op, err)
		}
	}
}

// TestKeepFindsOnce: discovery is asked again after a change alone.
func TestKeepFindsOnce(t *testing.T) {
	s, _ := newSource(t, "good")
	k := &keep{}
	s.keep = k
	list := func() []fido.DeviceInfo {
		t.Helper()
		infos, err := s.found(t.Context())
		if err != nil || len(infos) != 2 {
			t.Fatal(infos, err)
		}
		return infos
	}
	list()[0].Product = "changed by who got it"
	s.args = []string{"helper", "exit"}
	if d := list()[0]; d.Product != "Key" {
		t.Errorf("%+v", d)
	}
	s.changed(k)
	if _, err := s.found(t.Context()); !errors.Is(err, fido.ErrHelperStart) {
		t.Error("the list is from before the change:", err)
	}
}
