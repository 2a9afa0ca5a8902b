package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"fob/ipc"
)

// journald is the one of systemd, in a mount namespace of its own.
type journald struct {
	t     *testing.T
	world *world
	dir   string
	pid   string
}

// journaldPath is where distributions have the program, which is none for a PATH.
const journaldPath = "/lib/systemd/systemd-journald"

// startJournald starts one, and waits until it says that it is ready (sd_notify(3)).
func startJournald(t *testing.T) *journald {
	t.Helper()
	for _, path := range []string{journaldPath, "/etc/machine-id"} {
		if _, err := os.Stat(path); err != nil {
			t.Skip("NOT RUN: no journal here: ", err)
		}
	}
	dir, err := os.MkdirTemp(programs, "journal") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "ready"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	c := exec.Command("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec",
		"mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal /run/log; exec "+journaldPath)
	c.Env = append(w.env, "NOTIFY_SOCKET="+filepath.Join(dir, "ready"))
	p, err := start("journald", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-p.exited
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	go func() { // it ends with the test, by the deadline or the process
		<-p.exited
		ready.Close()
	}()
	if err := awaitReady(ready); err != nil {
		t.Skipf("NOT RUN: no journal in a namespace: %v\n%s", err, p.said.all())
	}
	return &journald{t, w, dir, strconv.Itoa(c.Process.Pid)}
}

func awaitReady(ready *net.UnixConn) error {
	if err := ready.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	b := make([]byte, 4096)
	for {
		n, err := ready.Read(b)
		if err != nil {
			return err
		}
		if bytes.Contains(b[:n], []byte("READY=1")) {
			return nil
		}
	}
}

// command prepares a program that sees the journal. Its folder is the root.
func (j *journald) command(name string, args ...string) *exec.Cmd {
	enter := []string{"--target", j.pid, "--user", "--mount", "--preserve-credentials", name}
	c := exec.Command("nsenter", append(enter, args...)...)
	c.Env = j.world.env
	return c
}

func (j *journald) run(name string, args ...string) (out string, err error) {
	j.t.Helper()
	b, err := j.command(name, args...).CombinedOutput()
	return string(b), err
}

// must runs what must succeed.
func (j *journald) must(name string, args ...string) string {
	j.t.Helper()
	out, err := j.run(name, args...)
	if err != nil {
		j.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

func (j *journald) fobd() *process {
	j.t.Helper()
	c := j.command(filepath.Join(j.world.bin, "fobd"), "--no-discovery", "--on-demand", "--emulator")
	p, err := j.world.ready("fobd", c)
	if err != nil {
		j.t.Fatal(err)
	}
	return p
}

// TestJournal: records come to systemd's journal, and a log that was put back to what it had been is found by it.
func TestJournal(t *testing.T) {
	j := startJournald(t)
	fob := filepath.Join(j.world.bin, "fob")
	state := filepath.Join(j.dir, ".local", "state")
	p := j.fobd()
	j.must(fob, "register", "--rp", "example.com", "--user", "alice", "--save", filepath.Join(j.dir, "alice.json"))
	stop(t, j.world, p)
	j.must("cp", "-a", state, state+"-before")

	p = j.fobd()
	j.must(fob, "register", "--rp", "gone.example", "--user", "alice")
	stop(t, j.world, p) // when the journal has all
	j.must("journalctl", "--sync")
	p = j.fobd()
	out := j.must(fob, "log", "--verify")
	if !strings.Contains(out, "3 records compared") || !strings.Contains(out, "nothing") {
		t.Error(out)
	}
	out = j.must("journalctl", "--output=verbose", "MESSAGE_ID="+ipc.AuditMessageID,
		"FOB_VERB=register", "FOB_RP=gone.example")
	for _, want := range []string{"FOB_RESULT=done", "FOB_AUDIT_SEQ=3", "FOB_AUDIT_MAC=", "FOB_KEY=",
		"FOB_CALLER_EXE=" + fob, "FOB_TOOK_USEC=", "PRIORITY=6", "register at gone.example: done"} {
		if !strings.Contains(out, want) {
			t.Errorf("the journal has no %s:\n%s", want, out)
		}
	}
	stop(t, j.world, p)
	if err := errors.Join(os.RemoveAll(state), os.Rename(state+"-before", state)); err != nil {
		t.Fatal(err)
	}

	j.fobd()
	out, err := j.run(fob, "log", "--verify")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitNotVerified ||
		!strings.Contains(out, "the journal knows record 3, and the log ends at 2") {
		t.Errorf("%v\n%s", err, out)
	}
}

func stop(t *testing.T, w *world, p *process) {
	t.Helper()
	if err := w.stop(p); err != nil {
		t.Fatal(err)
	}
}
