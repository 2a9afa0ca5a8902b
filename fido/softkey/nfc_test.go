package softkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctapnfc"
	"fob/fido/emulator"
	"fob/fido/endpoint"
	"fob/fido/pcsc/pcscdtest"
	"fob/fido/softkey"
)

var (
	_ softkey.Endpoint = (*endpoint.PTY)(nil)
	_ softkey.Endpoint = (*endpoint.UHID)(nil)
	_ softkey.Endpoint = (*endpoint.VPCD)(nil)
	_ softkey.Endpoint = (*endpoint.UnixSocket)(nil)
	_ softkey.Endpoint = (*endpoint.UDPSocket)(nil)
)

// virtualReader is the name of vpcd's first reader in pcscd.
const virtualReader = "Virtual PCD 00 00"

// debianPython is the Python for which Debian packages python3-fido2.
const debianPython = "/usr/bin/python3"

func newKey(t *testing.T, pin string) *emulator.Authenticator {
	t.Helper()
	key, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if pin != "" {
		if err := key.SetPIN(fido.PIN(pin)); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// insert puts a key into the virtual reader until the function that it returns, or the end of the test, takes it out.
func insert(t *testing.T, h ctap.Handler) (takeOut func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v, err := endpoint.OpenVPCD(ctx, endpoint.VPCDAddr)
	if err != nil {
		t.Fatal(err)
	}
	v.Card = ctapnfc.Card{NoU2F: true}
	served := make(chan error, 1)
	go func() { served <- v.Serve(t.Context(), h) }()
	out := false
	takeOut = func() {
		if out {
			return
		}
		out = true
		if err := v.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, os.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error("serve:", err)
		}
	}
	t.Cleanup(takeOut)
	return takeOut
}

// ceremony runs the client made with python-fido2 at a key, and gives what it prints.
func ceremony(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out := make(map[string]any)
	said := try(t, "", debianPython, append([]string{"testdata/ceremony.py"}, args...)...).ok()
	if err := json.Unmarshal([]byte(said), &out); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

// wantCeremony wants a client's words to be those of a JSON object.
func wantCeremony(t *testing.T, want string, args ...string) {
	t.Helper()
	got, wanted := ceremony(t, args...), make(map[string]any)
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: got %v, want %v", strings.Join(args, " "), got, wanted)
	}
}

// TestPythonFIDO2 holds the ceremonies over the virtual reader, by short and by extended APDUs, and over the
// pseudo-terminal. Python verifies what the key signs.
func TestPythonFIDO2(t *testing.T) {
	pcscdtest.Start(t)
	const pinless = `{"fmt": "packed", "alg": -8, "registered": {"up": true, "uv": false}, "signedIn": {"up": true, "uv": false}}`
	verified := strings.ReplaceAll(pinless, `"uv": false`, `"uv": true`)
	for name, plugIn := range map[string]func(t *testing.T, h *emulator.Authenticator) string{
		"reader":          func(t *testing.T, h *emulator.Authenticator) string { insert(t, h); return virtualReader },
		"reader extended": func(t *testing.T, h *emulator.Authenticator) string { insert(t, h); return "extended:" + virtualReader },
		"pty":             func(t *testing.T, h *emulator.Authenticator) string { return servePTY(t, h) },
	} {
		t.Run(name, func(t *testing.T) {
			key := newKey(t, pin)
			path := plugIn(t, key)
			info := ceremony(t, path, "info")
			if info["msg"] != float64(key.MaxMsgSize) || len(info["protocols"].([]any)) != 2 {
				t.Errorf("info %v", info)
			}
			for _, protocol := range []string{"1", "2"} {
				wantCeremony(t, verified, path, "register", protocol, pin)
			}
			if n := len(key.Credentials()); n != 2 {
				t.Errorf("%d credentials", n)
			}
			try(t, "", debianPython, "testdata/ceremony.py", path, "register").fails("CTAP error: 0x36")
			key.PowerCycle()
			wantCeremony(t, `{}`, path, "reset")
			wantCeremony(t, pinless, path, "register")
		})
	}
}

// servePTY plugs a key in at a pseudo-terminal until the test ends.
func servePTY(t *testing.T, h ctap.Handler) string {
	t.Helper()
	p, err := endpoint.OpenPTY()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(t.Context(), h) }()
	t.Cleanup(func() {
		p.Close()
		<-served
	})
	return p.Path()
}

// TestCardLosesPower blocks the PIN for as long as the card has power, which the reader takes away between two clients.
func TestCardLosesPower(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, newKey(t, pin))
	wantCeremony(t, `{"said": ["PIN_INVALID", "PIN_INVALID", "PIN_AUTH_BLOCKED", "PIN_AUTH_BLOCKED", "OK"], "retries": 8}`,
		virtualReader, "block", pin)
}

// slowKey takes its time over makeCredential: it tells that it has begun, and waits to be cancelled.
type slowKey struct {
	*emulator.Authenticator
	begun, cancelled chan struct{}
}

func (k slowKey) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Payload[0] != byte(ctap.CommandMakeCredential) {
		return k.Authenticator.ServeCTAP(ctx, r, keepalive)
	}
	close(k.begun)
	<-ctx.Done()
	close(k.cancelled)
	return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
}

// TestCardIsTakenAway takes the card out of the reader in the middle of a ceremony: the client fails, the key keeps
// nothing of it, and works when it is back.
func TestCardIsTakenAway(t *testing.T) {
	pcscdtest.Start(t)
	key := newKey(t, "")
	slow := slowKey{key, make(chan struct{}), make(chan struct{})}
	takeOut := insert(t, slow)
	client := make(chan run, 1)
	go func() {
		client <- finish(t, newCommand(t.Context(), "", debianPython, "testdata/ceremony.py", virtualReader, "register"))
	}()
	select {
	case <-slow.begun:
	case r := <-client:
		t.Fatalf("%s: %v\n%s", r.command, r.err, r.stderr)
	}
	takeOut()
	<-slow.cancelled
	r := <-client
	r.fails("smartcard.Exceptions.")
	if n := len(key.Credentials()); n != 0 {
		t.Errorf("%d credentials", n)
	}
	insert(t, key)
	ceremony(t, virtualReader, "register")
}

// TestPCSCDRestarts ends pcscd and starts it again, as systemd does between programs that use it: the card is back, and
// has lost power meanwhile. The one of the system is not ours to end.
func TestPCSCDRestarts(t *testing.T) {
	restart := pcscdtest.Start(t)
	if restart == nil {
		t.Log("pcscd is running already")
		return
	}
	key := &powered{newKey(t, pin), make(chan struct{}, 100)}
	insert(t, key)
	<-key.up
	ceremony(t, virtualReader, "register", "2", pin)
	for range 2 {
		for len(key.up) > 0 { // clients have the reader take the power away as well
			<-key.up
		}
		restart()
		<-key.up
		ceremony(t, virtualReader, "register", "2", pin)
	}
	if n := len(key.Credentials()); n != 3 {
		t.Errorf("%d credentials", n)
	}
}

// powered is a key that tells when it is powered up.
type powered struct {
	*emulator.Authenticator
	up chan struct{}
}

func (k *powered) PowerCycle() {
	k.Authenticator.PowerCycle()
	k.up <- struct{}{}
}
