package helper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKillTakesChildren: what a helper started ends with it.
func TestKillTakesChildren(t *testing.T) {
	dir := t.TempDir()
	fifo, script := filepath.Join(dir, "pid"), filepath.Join(dir, "helper")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nsleep 300 &\necho $! >%s\nwait\n", fifo), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan error)
	go func() {
		_, err := (&Source{Path: script}).Devices(ctx)
		started <- err
	}()
	b, err := os.ReadFile(fifo) // waits for the script
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Sscan(string(b), &child); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cancel()
	if err := <-started; err == nil {
		t.Error("a script is no helper")
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 5000); n != 1 || err != nil {
		unix.Kill(child, unix.SIGKILL)
		t.Errorf("the child lives on: %v", err)
	}
}
