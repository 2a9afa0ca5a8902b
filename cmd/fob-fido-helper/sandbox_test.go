package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/helper"
	"fob/fido/softkey"
)

// available is how well the program says it can be confined here.
func available(t *testing.T) (s helper.Sandbox) {
	t.Helper()
	out, err := exec.Command(build(t), "--sandbox-report").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return s
}

// TestSandbox looks at a helper with an open key from outside. What one can't do is for package sandbox's tests.
func TestSandbox(t *testing.T) {
	if here := available(t); len(here.Missing) > 0 {
		t.Skip("NOT RUN:", here.Missing)
	}
	s := newKey(t, emulator.Approve)
	a := open(t, s)
	if _, err := a.MakeCredential(t.Context(), registration()); err != nil { // with it come more threads
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d", find(t, s.Path))
	threads, err := filepath.Glob(proc + "/task/*/status")
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		status, err := os.ReadFile(path)
		filtered := regexp.MustCompile(`(?m)^NoNewPrivs:\t1\n(.*\n)*Seccomp:\t2$`)
		if err == nil && !filtered.Match(status) {
			t.Errorf("%s: %s", path, status)
		}
	}
	limits, err := os.ReadFile(proc + "/limits")
	for _, limit := range []string{
		"open files +64 +64", "file size +0 +0", "cpu time +600 +600", "data size +268435456 +268435456",
	} {
		if !regexp.MustCompile("(?m)^Max " + limit + " ").Match(limits) {
			t.Errorf("no limit %q: %s, %v", limit, limits, err)
		}
	}
	if os.Getuid() == 0 { // a process that is not dumpable shows its files to root alone
		onlyOurs(t, proc)
	}
}

// onlyOurs checks what a helper has open: what fobd gave it, its key, and what the Go runtime uses.
func onlyOurs(t *testing.T, proc string) {
	t.Helper()
	fds, err := filepath.Glob(proc + "/fd/*")
	if err != nil || len(fds) < 4 {
		t.Fatal(fds, err)
	}
	known := regexp.MustCompile(
		`^(/dev/null|pipe:.*|socket:.*|/dev/pts/\d+|anon_inode:\[event(poll|fd)\]|/sys/fs/cgroup/.*)$`)
	for _, fd := range fds {
		if file, err := os.Readlink(fd); err == nil && !known.MatchString(file) {
			t.Errorf("%s is open", file)
		}
	}
}

// TestClosesInherited: what a daemon leaks into its helper is closed before anything happens there.
func TestClosesInherited(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd, ours := startRaw(t, w)
	w.Close()
	if n, err := r.Read(make([]byte, 1)); n != 0 || err == nil { // waits as long as somebody can write
		t.Error(n, err)
	}
	if err := cmd.Process.Signal(unix.Signal(0)); err != nil {
		t.Error("the helper has closed it by ending:", err)
	}
	ours.Close()
	cmd.Wait()
}

// TestDeviceFaults: whatever a device does, there is one named error, a helper that ends when it is told to, and a key
// that the next helper can use.
func TestDeviceFaults(t *testing.T) {
	for words, want := range map[string]error{
		"unplug for 1ms in packet 1 of makeCredential":  fido.ErrDeviceGone,
		"unplug for 1ms out packet 2 of makeCredential": fido.ErrDeviceGone,
		"hang deaf on makeCredential":                   context.DeadlineExceeded,
		"garbage on makeCredential":                     fido.ErrBadAnswer,
		"truncate after makeCredential":                 fido.ErrBadAnswer,
		"oversize after makeCredential":                 fido.ErrBadAnswer,
		"corrupt huge out packet 1 of makeCredential":   fido.ErrBadAnswer,
		"corrupt seq out packet 2 of makeCredential":    fido.ErrBadAnswer,
		"corrupt cid out packet 1 of makeCredential":    fido.ErrBadAnswer,
		"drop out packet 2 of makeCredential":           fido.ErrBadAnswer,
		"status 0xdf on makeCredential":                 ctap.StatusCode(0xdf),
		"keepalives 200 on makeCredential":              nil,
	} {
		t.Run(words, func(t *testing.T) {
			in := fault.New(1, fault.MustParse(words))
			key, err := softkey.Plug(t.Context(), in.Options(softkey.Options{}))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Wait()
			defer key.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			if want == context.DeadlineExceeded {
				ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond)
			}
			defer cancel()
			if err := makeAndEnd(t, ctx, key.Path()); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%v, want %v", err, want)
			}
			in.Wait() // until it is plugged in again
			if want == context.DeadlineExceeded {
				return // until somebody pulls it out
			}
			if err := makeAndEnd(t, t.Context(), key.Path()); err != nil {
				t.Errorf("the next time: %v", err)
			}
		})
	}
}

// makeAndEnd makes a credential in a helper of its own, which must be gone in the end.
func makeAndEnd(t *testing.T, ctx context.Context, path string) error {
	t.Helper()
	s := sourceOf(t, path)
	a := open(t, s)
	pid := find(t, s.Path)
	_, err := a.MakeCredential(ctx, registration())
	a.Close()
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("the helper is still there: %v", err)
	}
	return err
}

func sourceOf(t *testing.T, path string) *helper.Source {
	return &helper.Source{
		Path:        build(t),
		NoDiscovery: true,
		Extra:       func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: path, Emulated: true}} },
	}
}
