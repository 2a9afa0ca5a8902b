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

func newNodes(t *testing.T, paths ...string) *Nodes {
	t.Helper()
	n, err := NewNodes()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	for _, path := range paths {
		if err := n.Follow(path); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// opened waits for one path, and no other.
func (n *Nodes) expect(t *testing.T, path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if paths, changed, err := n.Wait(ctx); err != nil || changed || len(paths) != 1 || paths[0] != path {
		t.Fatal(paths, changed, err)
	}
}

func TestNodes(t *testing.T) {
	a, b := terminal(t), terminal(t)
	n := newNodes(t, a, b)
	open(t, a)
	n.expect(t, a)
	open(t, b)
	n.expect(t, b)
	n.Forget(a)
	open(t, a)
	open(t, b)
	n.expect(t, b)
	if err := n.Follow("/dev/pts/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What we open ourselves is not told, nor what others do meanwhile; what they did before is, to who waits already.
func TestNodesOfOurOwn(t *testing.T) {
	a, b := terminal(t), terminal(t)
	n := newNodes(t, a, b)
	n.Ignore(a)
	open(t, a)
	n.Heed(a)
	n.Ignore("")
	open(t, a)
	open(t, b)
	n.Heed("")
	open(t, b)
	n.expect(t, b)

	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		n.expect(t, b)
	}()
	n.mu.Lock() // so that it is Ignore that finds the event
	open(t, b)
	n.catchUp()
	n.mu.Unlock()
	<-waiting
}

func TestWaitForOpensEnds(t *testing.T) {
	n := newNodes(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { _, _, err := n.Wait(ctx); done <- err }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestFollowFolder(t *testing.T) {
	n, dir := newNodes(t), t.TempDir()
	if err := n.FollowFolder(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key")
	for _, change := range []func() error{
		func() error { return os.Symlink("/dev/null", path) },
		func() error { return os.Rename(path, path+"2") },
		func() error { return os.Remove(path + "2") },
		func() error { return os.Mkdir(path, 0o700) },
		func() error { return os.Chmod(path, 0o500) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if opened, changed, err := n.Wait(t.Context()); len(opened) > 0 || !changed || err != nil {
			t.Fatal(opened, changed, err)
		}
	}
	if err := n.FollowFolder(filepath.Join(dir, "nowhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
