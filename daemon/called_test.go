package daemon

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"fob/daemon/caller"
	"fob/ipc/varlink"
)

// TestCallerIsLookedUpOnce: what is known of a program stays known to the call when the program is gone.
func TestCallerIsLookedUpOnce(t *testing.T) {
	cmd := exec.Command("cat") // until its input ends
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	process := os.NewFile(uintptr(fd), "pidfd")
	defer process.Close()
	call := &varlink.Call{Peer: varlink.Peer{PID: int32(cmd.Process.Pid), Process: process}}
	_, err = calledBy(func(ctx context.Context, c *varlink.Call) (any, error) {
		before := callerOf(ctx)
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if after := callerOf(ctx); before.Name == "" || after != before {
			t.Errorf("%+v, then %+v", before, after)
		}
		if gone := caller.Of(c.Peer); gone.Name != "" {
			t.Errorf("%+v of a program that is gone", gone)
		}
		return nil, nil
	})(t.Context(), call)
	if err != nil {
		t.Error(err)
	}
}
