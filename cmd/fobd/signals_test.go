package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminalGone: a fobd that was started at a terminal ends with it; one without a terminal reads its files again, as
// TestService shows.
func TestTerminalGone(t *testing.T) {
	master, terminal := openTerminal(t)
	m := newManager(t)
	cmd := exec.Command(fobdPath, "--no-discovery", "--on-demand", "--socket", filepath.Join(t.TempDir(), "fob", "fob.sock"))
	cmd.Env = m.env // LISTEN_FDS is of another process
	cmd.Stdin = terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &run{m, cmd, make(chan error, 1)}
	go func() { r.ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	terminal.Close()
	m.hear("READY=1")
	r.signal(unix.SIGHUP) // by hand
	m.hear("RELOADING=1")
	m.hear("READY=1")
	master.Close() // the kernel sends SIGHUP
	m.hear("STOPPING=1")
	r.end()
}

// openTerminal makes a pseudo-terminal.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}
