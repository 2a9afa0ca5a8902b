package softkey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// The tests of this package are conversations between the emulated key and programs that others wrote: whatever the key
// gets wrong on its pseudo-terminal, it gets wrong here.

// packages are Debian's names for the programs that the tests run.
var packages = map[string]string{
	"fido2-token":  "fido2-tools",
	"fido2-cred":   "fido2-tools",
	"fido2-assert": "fido2-tools",
	"ssh-keygen":   "openssh-client",
	sshSKHelper:    "openssh-client",
}

// require fails the test, rather than to pass over what it was to show, when programs are missing.
func require(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%v: install the package %s", err, packages[p])
		}
	}
}

const (
	pin      = "1234"
	wrongPIN = "9999"
)

// plug plugs a key in until the test ends.
func plug(t *testing.T, o softkey.Options) *softkey.Key {
	t.Helper()
	key, err := softkey.Plug(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := key.Close(); err != nil {
			t.Error(err)
		}
	})
	return key
}

func plugWithPIN(t *testing.T) *softkey.Key {
	t.Helper()
	return plug(t, softkey.Options{PIN: fido.PIN(pin)})
}

// run is a program that has come to its end.
type run struct {
	t              *testing.T
	command        string
	stdout, stderr string
	err            error
}

// newCommand prepares a program that asks for PINs on its standard input, and gets typed there. It asks a terminal where
// there is one, so it gets a session without. A session leader that opens the key's pseudo-terminal would have it as its
// controlling terminal (and ask the key for the PIN), so the leader is a shell. The program dies with ctx.
func newCommand(ctx context.Context, typed, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `"$@"; exit $?`, "sh", program}, args...)...)
	cmd.Stdin = strings.NewReader(typed)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs a program to its end, which may be a failure.
func try(t *testing.T, typed, program string, args ...string) run {
	t.Helper()
	require(t, program)
	return finish(t, newCommand(t.Context(), typed, program, args...))
}

func finish(t *testing.T, cmd *exec.Cmd) run {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return run{t, strings.Join(cmd.Args[4:], " "), stdout.String(), stderr.String(), err}
}

// ok gives the standard output of a program that must have succeeded.
func (r run) ok() string {
	r.t.Helper()
	if r.err != nil {
		r.t.Fatalf("%s: %v\n%s%s", r.command, r.err, r.stdout, r.stderr)
	}
	return r.stdout
}

// fails wants a program to have failed with a line of its standard error.
func (r run) fails(want string) {
	r.t.Helper()
	if r.err == nil || !strings.Contains(r.stderr, want) {
		r.t.Errorf("%s: %v\n%swant a failure that says %q", r.command, r.err, r.stderr, want)
	}
}

// lines are what is typed, or what a file holds.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

// file makes a file for a program to read.
func file(t *testing.T, content string) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "input")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprint(f, content); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// person is a presence that may be another from one request to the next.
type person struct {
	presence atomic.Pointer[emulator.Presence]
}

func (p *person) will(presence emulator.Presence) { p.presence.Store(&presence) }

func (p *person) touch(ctx context.Context, r emulator.PresenceRequest) error {
	return (*p.presence.Load())(ctx, r)
}

// plugFor plugs a key in that p touches.
func plugFor(t *testing.T, p *person) *softkey.Key {
	t.Helper()
	return plug(t, softkey.Options{Presence: p.touch})
}
