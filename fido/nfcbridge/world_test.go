package nfcbridge_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctapnfc"
	"fob/fido/emulator"
	"fob/fido/endpoint"
	"fob/fido/nfcbridge"
)

// The readers of vpcd, and where they wait for a card.
const (
	reader0 = "Virtual PCD 00 00"
	reader1 = "Virtual PCD 00 01"
	addr0   = endpoint.VPCDAddr
	addr1   = "127.0.0.1:35964"
)

// patience is how long a test waits for what should happen soon.
const patience = 30 * time.Second

const (
	pin  = "1234"
	rpID = "example.com"
)

func newKey(t *testing.T, o emulator.Options) *emulator.Authenticator {
	t.Helper()
	key, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newKeyWithPIN(t *testing.T) *emulator.Authenticator {
	t.Helper()
	key := newKey(t, emulator.Options{})
	if err := key.SetPIN(fido.PIN(pin)); err != nil {
		t.Fatal(err)
	}
	return key
}

// insert puts a card into a virtual reader until the function that it returns, or the end of the test, takes it out.
func insert(t *testing.T, addr string, card ctapnfc.Card) (takeOut func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := endpoint.OpenVPCD(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	v.Card = card
	served := make(chan error, 1)
	go func() { served <- v.Serve(context.WithoutCancel(t.Context()), card.Handler) }()
	out := false
	takeOut = func() {
		if !out {
			out = true
			v.Close()
			<-served
		}
	}
	t.Cleanup(takeOut)
	return takeOut
}

// events are those of a Watcher.
type events struct {
	t    *testing.T
	c    chan nfcbridge.Event
	over chan error // of Run
}

// watch runs a Watcher until the test ends.
func watch(t *testing.T, w *nfcbridge.Watcher) events {
	t.Helper()
	e := events{t, make(chan nfcbridge.Event, 16), make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { e.over <- w.Run(ctx, func(v nfcbridge.Event) { e.c <- v }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-e.over; err != context.Canceled {
			t.Error("Run:", err)
		}
		if d := w.Devices(); len(d) > 0 {
			t.Errorf("devices after Run: %v", d)
		}
		for len(e.c) > 0 {
			t.Errorf("unexpected event %+v", <-e.c)
		}
	})
	return e
}

// want waits for the next event, which must be of a kind, with an error or nil.
func (e events) want(kind nfcbridge.EventKind, reader string, err error) nfcbridge.Device {
	e.t.Helper()
	select {
	case v := <-e.c:
		if v.Kind != kind || v.Reader != reader || !errors.Is(v.Err, err) {
			e.t.Fatalf("event %+v, want %s at %s: %v", v, kind, reader, err)
		}
		if kind != nfcbridge.Refused && (v.Device.Reader != reader || !strings.HasPrefix(v.Device.Path, "/dev/pts/")) {
			e.t.Errorf("device %+v", v.Device)
		}
		return v.Device
	case err := <-e.over:
		e.over <- err
		e.t.Fatal("Run:", err)
	case <-time.After(patience):
		e.t.Fatalf("not %s", kind)
	}
	return nfcbridge.Device{}
}

// program runs one of fido2-tools, with what is typed on its standard input. Its session leader is a shell, since the
// one of a session without a terminal would get the key's.
func program(t *testing.T, typed, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `"$@"; exit $?`, "sh", name}, args...)...)
	cmd.Stdin = strings.NewReader(typed)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), errors.New(name + ": " + err.Error() + ": " + errs.String())
	}
	return out.String(), nil
}

// run is program for one that must succeed.
func run(t *testing.T, typed, name string, args ...string) string {
	t.Helper()
	out, err := program(t, typed, name, args...)
	if err != nil {
		t.Fatalf("%v (install the package fido2-tools)\n%s", err, out)
	}
	return out
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(h[:])
}

// credentialInput is what fido2-cred -M reads.
func credentialInput(t *testing.T) string {
	return file(t, lines(hash("register"), rpID, "alice", base64.StdEncoding.EncodeToString([]byte("alice"))))
}

// ceremony registers at the key behind path and signs in there. With a PIN the user is verified. The flags are those of
// both tools, for CTAP1 or CTAP2.
func ceremony(t *testing.T, path, pin string, flags ...string) {
	t.Helper()
	var typed string
	verify := flags
	if pin != "" {
		typed, verify = lines(pin), append([]string{"-v"}, flags...)
	}
	made := run(t, typed, "fido2-cred", append(append([]string{"-M", "-i", credentialInput(t)}, verify...), path)...)
	checks := []string{"-V"}
	if pin != "" {
		checks = append(checks, "-v")
	}
	id, public, _ := strings.Cut(run(t, made, "fido2-cred", checks...), "\n")
	input := file(t, lines(hash("sign in"), rpID, id))
	signed := run(t, typed, "fido2-assert", append(append([]string{"-G", "-i", input}, verify...), path)...)
	run(t, signed, "fido2-assert", append(checks, "-p", file(t, public))...)
}

// nothing is a handler's way to report no keepalive.
func nothing(ctap.KeepaliveStatus) {}
