package fault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/fault"
	"fob/fido/softkey"
)

// The tests of this file look at each fault through libfido2's own programs, at the key's pseudo-terminal.

// sought is a slog.Handler that tells when a fault has happened.
type sought struct {
	slog.Handler
	happened chan struct{}
}

func (s sought) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "fault" {
		select {
		case s.happened <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s sought) Enabled(context.Context, slog.Level) bool { return true }

// plug plugs a key with faults in until the test ends.
func plug(t *testing.T, o softkey.Options, faults ...string) (*softkey.Key, *fault.Injector, <-chan struct{}) {
	t.Helper()
	var parsed []fault.Fault
	for _, text := range faults {
		parsed = append(parsed, fault.MustParse(text))
	}
	happened := make(chan struct{}, 1)
	o.Log = slog.New(sought{slog.DiscardHandler, happened})
	in := fault.New(1, parsed...)
	key, err := softkey.Plug(t.Context(), in.Options(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := key.Close(); err != nil {
			t.Error(err)
		}
		in.Wait()
	})
	return key, in, happened
}

// command prepares one of libfido2's programs. A session leader that opens a terminal gets it as its own, so that it is
// started by a shell, which leads the session.
func command(ctx context.Context, t *testing.T, stdin, program string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: install the package fido2-tools", err)
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", `"$@"; exit $?`, "sh", program}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

// said is the end of what a program said: "ok", or its error.
func said(t *testing.T, cmd *exec.Cmd, err error) string {
	t.Helper()
	if err == nil {
		return "ok"
	}
	if exit := new(exec.ExitError); !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	lines := strings.Split(strings.TrimSpace(cmd.Stderr.(*bytes.Buffer).String()), "\n")
	return lines[len(lines)-1]
}

func input(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// operations of the programs: what the key can do, and a credential, without and with PIN.
func operation(ctx context.Context, t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	hash := sha256.Sum256([]byte("client data"))
	encode := base64.StdEncoding.EncodeToString
	make := input(t, encode(hash[:]), "example.com", "alice", encode([]byte("alice")))
	switch name {
	case "info":
		return command(ctx, t, "", "fido2-token", "-I", path)
	case "make":
		return command(ctx, t, "", "fido2-cred", "-M", "-i", make, path)
	case "make with PIN":
		return command(ctx, t, "1234\n", "fido2-cred", "-M", "-v", "-i", make, path)
	case "make by U2F":
		return command(ctx, t, "", "fido2-cred", "-M", "-u", "-i", make, path)
	}
	panic(name)
}

// TestForeignClients: what libfido2's programs make of each fault. "waits" is a program that waits for the key until it
// is pulled out, since it has no timeout; "lost" is one whose key is gone.
func TestForeignClients(t *testing.T) {
	const rx, waits, lost = ": FIDO_ERR_RX", "waits", "lost"
	for _, test := range []struct{ fault, operation, want string }{
		{"drop out packet 1", "info", waits},
		{"drop out packet 2 of getInfo", "info", "ok"}, // it takes the key for one of U2F
		{"drop in packet 2 of makeCredential", "make", rx},
		{"drop in packet 1 of makeCredential", "make", waits},
		{"duplicate out packet 2 of makeCredential", "make", rx},
		{"duplicate in packet 1 of makeCredential", "make", rx},
		{"delay 300ms out packet 1 of getInfo", "info", "ok"},
		{"delay 300ms in packet 1 of makeCredential", "make", "ok"},
		{"delay 700ms in packet 2 of makeCredential", "make", rx},
		{"corrupt cid out packet 1 of makeCredential", "make", waits},
		{"corrupt cid in packet 1 of makeCredential", "make", waits},
		{"corrupt seq out packet 1 of makeCredential", "make", rx},
		{"corrupt seq in packet 1 of makeCredential", "make", rx},
		{"corrupt nonce out packet 1 of init", "info", rx},
		{"corrupt short out packet 1 of makeCredential", "make", "FIDO_ERR_RX_NOT_CBOR"},
		{"corrupt long out packet 1 of makeCredential", "make", waits},
		{"corrupt huge out packet 1 of makeCredential", "make", rx},
		{"corrupt huge in packet 1 of makeCredential", "make", rx},
		{"unplug out packet 2 of makeCredential", "make", rx},
		{"unplug in packet 2 of makeCredential", "make", lost},
		{"unplug on makeCredential", "make", rx},
		{"unplug after makeCredential", "make", rx},
		{"status KEY_STORE_FULL on makeCredential", "make", "FIDO_ERR_KEY_STORE_FULL"},
		{"status 0xee after makeCredential", "make", "FIDO_ERR_UNKNOWN"},
		{"status PIN_AUTH_BLOCKED on getPinToken", "make with PIN", "FIDO_ERR_PIN_AUTH_BLOCKED"},
		{"status 0x6a80 on u2fRegister", "make by U2F", rx},
		{"garbage on makeCredential", "make", "FIDO_ERR_RX_NOT_CBOR"},
		{"truncate on makeCredential", "make", "FIDO_ERR_RX_NOT_CBOR"},
		{"oversize on makeCredential", "make", rx},
		{"keepalives 200 every 1ms on makeCredential", "make", "ok"},
		{"keepalives 200 every 1ms status 0xff on makeCredential", "make", "ok"},
		{"hang on makeCredential", "make", waits},
		{"hang deaf on makeCredential", "make", waits},
		{"hang silent on makeCredential", "make", waits},
		{"delay 300ms on makeCredential", "make", "ok"},
		{"slow 300ms on makeCredential", "make", "ok"},
		{"clock 11m after getPinToken", "make with PIN", "FIDO_ERR_PIN_AUTH_INVALID"},
		{"pin-retries 0", "make with PIN", "FIDO_ERR_PIN_BLOCKED"},
		{"pin-auth-blocked", "make with PIN", "FIDO_ERR_PIN_AUTH_BLOCKED"},
	} {
		t.Run(test.fault, func(t *testing.T) {
			var o softkey.Options
			if test.operation == "make with PIN" {
				o.PIN = fido.PIN("1234")
			}
			key, in, happened := plug(t, o, test.fault)
			ctx, kill := context.WithTimeout(t.Context(), 30*time.Second)
			defer kill()
			cmd := operation(ctx, t, test.operation, key.Path())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Run() }()
			if test.want == waits {
				<-happened
				if err := key.Remove(); err != nil {
					t.Error(err)
				}
				test.want = lost
			}
			got := said(t, cmd, <-ended)
			if ctx.Err() != nil {
				t.Error("killed")
			}
			if test.want == lost { // in the middle of what it wrote, or behind it
				got, test.want = strings.Replace(got, "FIDO_ERR_TX", "FIDO_ERR_RX", 1), rx
			}
			if !strings.HasSuffix(got, test.want) {
				t.Errorf("%s; want %s; %v", got, test.want, in.Injected())
			}
		})
	}
}
