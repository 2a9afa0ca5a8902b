package hidraw

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal makes a character device that anybody can make.
func terminal(t *testing.T) string {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var path string
	raw.Control(func(fd uintptr) {
		n, _ := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		path = filepath.Join("/dev/pts", strconv.Itoa(n))
	})
	return path
}

func open(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func newOpens(t *testing.T, paths ...string) *Opens {
	t.Helper()
	o, err := NewOpens()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	for _, path := range paths {
		if err := o.Follow(path); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// opened waits for one path, and no other.
func (o *Opens) expect(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if paths, err := o.Wait(ctx); err != nil || len(paths) != 1 || paths[0] != path {
		t.Fatal(paths, err)
	}
}

func TestOpens(t *testing.T) {
	a, b := terminal(t), terminal(t)
	o := newOpens(t, a, b)
	open(t, a)
	o.expect(t, a)
	open(t, b)
	o.expect(t, b)
	o.Forget(a)
	open(t, a)
	open(t, b)
	o.expect(t, b)
	if err := o.Follow("/dev/pts/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What we open ourselves is not told, nor what others do meanwhile; what they did before is, to who waits already.
func TestOpensOfOurOwn(t *testing.T) {
	a, b := terminal(t), terminal(t)
	o := newOpens(t, a, b)
	ignoring := o.Ignore(a)
	open(t, a)
	ignoring()
	all := o.Ignore("")
	open(t, a)
	open(t, b)
	all()
	open(t, b)
	o.expect(t, b)

	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		o.expect(t, b)
	}()
	o.mu.Lock() // so that it is Ignore that finds the event
	open(t, b)
	o.catchUp()
	o.mu.Unlock()
	<-waiting
}

func TestWaitForOpensEnds(t *testing.T) {
	o := newOpens(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, err := o.Wait(ctx); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
