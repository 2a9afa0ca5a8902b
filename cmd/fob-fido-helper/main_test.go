package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/endpoint"
	"fob/fido/helper"
)

// program is the helper as it is installed, built once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fob-fido-helper")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "fob-fido-helper")
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func build(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newKey gives an emulated key on a pseudo-terminal and a source that has it.
func newKey(t *testing.T, presence emulator.Presence) *helper.Source {
	t.Helper()
	key, err := emulator.New(emulator.Options{Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	pty, err := endpoint.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := pty.Serve(context.Background(), key); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { pty.Close(); <-ended })
	return &helper.Source{
		Path:  build(t),
		Extra: func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: pty.Path(), Emulated: true}} },
	}
}

func open(t *testing.T, s *helper.Source) fido.Authenticator {
	t.Helper()
	infos, err := s.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range infos {
		if !d.Emulated {
			continue
		}
		a, err := s.Open(t.Context(), d.ID)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		return a
	}
	t.Fatal("the emulated key is not listed")
	return nil
}

func registration() *fido.MakeCredentialRequest {
	hash := sha256.Sum256([]byte("client data"))
	return &fido.MakeCredentialRequest{
		ClientDataHash: hash[:],
		RP:             ctap.PublicKeyCredentialRpEntity{ID: "example.com"},
		User:           ctap.PublicKeyCredentialUserEntity{ID: []byte{1}, Name: "ada"},
		Algorithm:      ctap.ES256,
	}
}

func TestRegister(t *testing.T) {
	a := open(t, newKey(t, emulator.Approve))
	c, err := a.MakeCredential(t.Context(), registration())
	if err != nil || c.Format != ctap.FormatPacked {
		t.Fatal(c, err)
	}
	r := registration()
	r.PIN = fido.PIN("1234")
	if _, err := a.MakeCredential(t.Context(), r); !errors.Is(err, ctap.ErrPINNotSet) {
		t.Fatal(err)
	}
}

func TestCancelAndOpenAgain(t *testing.T) {
	lit, dark := make(chan struct{}, 1), make(chan struct{}, 1)
	s := newKey(t, func(ctx context.Context, _ emulator.PresenceRequest) error {
		lit <- struct{}{}
		<-ctx.Done()
		dark <- struct{}{}
		return ctx.Err()
	})
	for range 2 {
		a := open(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := a.MakeCredential(ctx, registration())
			result <- err
		}()
		wait(t, lit)
		cancel()
		if err := <-result; err != context.Canceled {
			t.Fatal(err)
		}
		wait(t, dark)
		a.Close()
	}
}

func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing happened")
	}
}

// A helper that is killed can't cancel. The key stays lit until the next one opens it.
func TestKilledAndOpenedAgain(t *testing.T) {
	lit, touch := make(chan struct{}, 1), make(chan struct{})
	s := newKey(t, func(ctx context.Context, _ emulator.PresenceRequest) error {
		lit <- struct{}{}
		select {
		case <-touch:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	a := open(t, s)
	result := make(chan error, 1)
	go func() {
		_, err := a.MakeCredential(t.Context(), registration())
		result <- err
	}()
	wait(t, lit)
	kill(t, s.Path)
	if err := <-result; !errors.Is(err, fido.ErrHelperDied) {
		t.Fatal(err)
	}
	close(touch)
	if _, err := open(t, s).MakeCredential(t.Context(), registration()); err != nil {
		t.Fatal(err)
	}
}

// kill ends the one process that runs program.
func kill(t *testing.T, program string) {
	t.Helper()
	syscall.Kill(find(t, program), syscall.SIGKILL)
}

// find gives the number of the one process that runs program.
func find(t *testing.T, program string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if string(line) == program+"\x00" && pid > 0 {
			return pid
		}
	}
	t.Fatal("no helper is running")
	return 0
}

// startRaw starts the helper without the daemon's half of the protocol, and waits for its hello.
// The helper gets leaked, too.
func startRaw(t *testing.T, leaked ...*os.File) (cmd *exec.Cmd, ours *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	t.Cleanup(func() { ours.Close() })
	cmd = exec.Command(build(t))
	cmd.ExtraFiles = append([]*os.File{theirs}, leaked...)
	if os.Getuid() == 0 { // to see below what is kept from anyone else
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if _, err := ours.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	return cmd, ours
}

func TestConfinement(t *testing.T) {
	cmd, ours := startRaw(t)
	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	threads, err := filepath.Glob(proc + "/task/*/status")
	if err != nil || len(threads) < 2 {
		t.Fatal(threads, err)
	}
	for _, path := range threads {
		if status, err := os.ReadFile(path); err == nil && !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
			t.Errorf("%s: %s", path, status)
		}
	}
	limits, err := os.ReadFile(proc + "/limits")
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("%s, %v", limits, err)
	}
	var maps syscall.Stat_t // what is in the memory of a process that is not dumpable belongs to root
	if err := syscall.Stat(proc+"/maps", &maps); err != nil || maps.Uid != 0 {
		t.Error(maps.Uid, err)
	}
	ours.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("exit status 0 without a hello")
	}
}

func TestNotForPeople(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"--version", "x"}} {
		out, err := exec.Command(build(t), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), "part of fobd") {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
	out, err := exec.Command(build(t), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "fob-fido-helper ") {
		t.Errorf("%v, %s", err, out)
	}
}
