package emulator

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"fob/fido/ctap"
)

// The crash tests run a key in a process of its own, which strace kills, or whose disk strace breaks, at each of the
// system calls by which a state becomes durable. What the key acknowledged before must be there afterwards.

// crashState tells the process of the test to be that key, with this state file.
const crashState = "FOB_TEST_CRASH_STATE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashState); path != "" {
		runtime.LockOSThread() // strace counts the system calls of each thread
		if err := crashingKey(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashingKey says on standard output what each command has acknowledged: "credential ID COUNT", "count COUNT" and
// "retries N" of the PIN.
func crashingKey(path string) error {
	f, err := OpenStateFile(path, nil)
	if err != nil {
		return err
	}
	a, err := New(Options{File: f})
	if err != nil {
		return err
	}
	// A testing.T of our own will do as long as nothing fails; when something does, the process ends badly, as it should.
	p := &platform{t: new(testing.T), a: a, ctx: context.Background(), channel: 1}
	if err := p.setPIN(ctap.PINProtocolTwo, "1234"); err != nil {
		return err
	}
	acknowledge("pin")
	for i := range 3 {
		token, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionMakeCredential|ctap.PermissionGetAssertion)
		if err != nil {
			return err
		}
		acknowledge("retries 8")
		c, err := p.makeCredential(
			credentialRequest(discoverable, forUser(fmt.Sprint(i)), authorized(ctap.PINProtocolTwo, token)))
		if err != nil {
			return err
		}
		acknowledge("credential %x %d", c.id, c.signCount)
		_, d, err := p.getAssertion(assertionRequest(c))
		if err != nil {
			return err
		}
		acknowledge("count %d", d.SignCount)
		if _, err := p.pinToken(ctap.PINProtocolTwo, "0000", 0); err != ctap.ErrPINInvalid {
			return fmt.Errorf("a wrong PIN: %w", err)
		}
		acknowledge("retries 7")
	}
	return nil
}

// acknowledge says something at once.
func acknowledge(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// acknowledged is what a key said before it crashed.
type acknowledged struct {
	pin         bool
	credentials [][]byte
	count       uint32
	retries     uint // the fewest since the PIN was last right; 0 for unknown
}

func readAcknowledged(t *testing.T, out []byte) (a acknowledged) {
	t.Helper()
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		var id string
		var err error
		switch kind {
		case "pin":
			a.pin = true
		case "credential":
			_, err = fmt.Sscan(rest, &id, &a.count)
			b, _ := hex.DecodeString(id)
			a.credentials = append(a.credentials, b)
		case "count":
			_, err = fmt.Sscan(rest, &a.count)
		case "retries":
			_, err = fmt.Sscan(rest, &a.retries)
		}
		if err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
	}
	return a
}

// underStrace runs the key with a system call tampered with. It reports whether the key came to its end; otherwise it
// must have been killed, or have said so with code 1.
func underStrace(t *testing.T, path, inject string) (out []byte, ended bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-qqq", "-o", "/dev/null", "-e", "inject="+inject, "--",
		os.Args[0])
	cmd.Env = append(os.Environ(), crashState+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("strace: %v", err)
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if err != nil && status.Signal() != syscall.SIGKILL && status.ExitStatus() != 1 ||
		strings.Contains(stderr.String(), "strace:") {

		t.Fatalf("%v: %s", err, stderr.String())
	}
	return out, err == nil
}

// TestCrashAtAnyPoint kills the key at one after the other of the system calls by which a state becomes durable, and an
// acknowledgement goes out.
func TestCrashAtAnyPoint(t *testing.T) {
	for _, call := range []string{"openat", "write", "fsync", "renameat2", "close"} {
		atEach(t, call, "signal=KILL")
	}
}

// TestDiskFailsAtAnyPoint: a state that could not be written is not acknowledged, and spoils nothing.
func TestDiskFailsAtAnyPoint(t *testing.T) {
	for _, call := range []string{"fsync", "renameat2"} {
		atEach(t, call, "error=EIO")
	}
}

// atEach tampers with one call after the other, until the key makes no more of them.
func atEach(t *testing.T, call, how string) {
	t.Helper()
	for n := 1; ; n++ {
		path := filepath.Join(t.TempDir(), "key.json")
		out, ended := underStrace(t, path, fmt.Sprintf("%s:%s:when=%d", call, how, n))
		if !ended {
			afterCrash(t, fmt.Sprintf("%s at %s %d", how, call, n), path, readAcknowledged(t, out))
			continue
		}
		if n < 15 { // the commands change the state 15 times at least
			t.Fatalf("the key has made %d calls of %s only: %s", n-1, call, out)
		}
		t.Logf("%s at %d calls of %s", how, n-1, call)
		return
	}
}

// afterCrash opens the state and compares it with what was acknowledged.
func afterCrash(t *testing.T, name, path string, was acknowledged) {
	t.Helper()
	f, err := OpenStateFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".key.json.*")); err != nil || len(left) > 0 {
		t.Errorf("%s: left %v, %v", name, left, err)
	}
	a, err := New(Options{File: f})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if was.pin && !a.state.hasPIN() {
		t.Errorf("%s: the PIN is lost", name)
	}
	if a.state.SignCount < was.count {
		t.Errorf("%s: the counter %d would be used again, the last was %d", name, a.state.SignCount, was.count)
	}
	if was.retries == 7 && a.state.PINRetries > 7 && len(was.credentials) == 3 { // nothing was right after that
		t.Errorf("%s: a wrong PIN is forgotten", name)
	}
	for _, id := range was.credentials {
		if c := a.state.find(id, "example.com"); c == nil {
			t.Errorf("%s: credential %x is lost", name, id[:4])
		} else if c.RPID != "example.com" || sha256.Sum256(c.PrivateKey) == sha256.Sum256(nil) {
			t.Errorf("%s: credential %+v", name, c)
		}
	}
}
