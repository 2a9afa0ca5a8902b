package softkey_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// The tests below use what fido2-tools have beyond the usual ceremonies.

// TestTokenShowsCredential has fido2-token print a resident credential's public key, which is that of the registration.
func TestTokenShowsCredential(t *testing.T) {
	key := plugWithPIN(t)
	for _, alg := range []string{"es256", "eddsa", "es384"} {
		c := makeCredential(t, key, alg+"@example.com", credentialOptions{alg: alg, resident: true, pin: pin})
		known, err := os.ReadFile(c.key)
		if err != nil {
			t.Fatal(err)
		}
		said, want := token(t, key, "-I", "-k", rpID, "-i", c.id).ok(), c.id+"\n"+strings.TrimSpace(string(known))
		if strings.TrimSpace(said) != want {
			t.Errorf("%s: fido2-token says %s, registered was %s\n%s", alg, said, c.id, known)
		}
	}
	token(t, key, "-I", "-k", rpID, "-i", encode([]byte("x"))).fails("credential not found")
	token(t, key, "-I", "-k", "example.org", "-i", encode([]byte("x"))).fails("FIDO_ERR_NO_CREDENTIALS")
}

// TestToolsDebug: a tool that prints its packets gets the answers of one that doesn't.
func TestToolsDebug(t *testing.T) {
	key := plugWithPIN(t)
	r := token(t, key, "-I", "-c", "-d")
	if said := r.ok(); !strings.Contains(said, "existing rk(s): 0") || !strings.Contains(r.stderr, "fido_rx: buf=") {
		t.Errorf("%s\n%s", said, r.stderr)
	}
	c := makeCredential(t, key, alice, credentialOptions{})
	c.verify(t, tryAssertion(t, key, c.id, lines(pin), "-d", "-v").ok(), "-v", "-d").ok()
}

// TestTokenMinPINRPs sets lists of RP IDs, up to what the key holds.
func TestTokenMinPINRPs(t *testing.T) {
	key := plugWithPIN(t)
	token(t, key, "-S", "-m", "example.com,example.net").ok()
	token(t, key, "-S", "-m", strings.Repeat("a.example,", 8)+"b.example").fails("FIDO_ERR_KEY_STORE_FULL")
}

// TestTokenOnLesserKey asks a key of CTAP 2.0 for what CTAP 2.1 brought.
func TestTokenOnLesserKey(t *testing.T) {
	key := plug(t, softkey.Options{Profile: profile(t, "fido2.0"), PIN: fido.PIN(pin)})
	for _, args := range []string{"-S -a", "-S -l 6", "-S -m " + rpID, "-S -f", "-S -e", "-L -e", "-L -b", "-L -r",
		"-L -k " + rpID, "-I -c"} {

		token(t, key, strings.Fields(args)...).fails("FIDO_ERR_INVALID_COMMAND")
	}
	for _, args := range []string{"-S -u", "-D -u"} { // which the tool looks up first
		token(t, key, strings.Fields(args)...).fails("option not found")
	}
	wantInfo(t, key, map[string]string{"pin retries": "8"})
}

// registerWithBlobKey is fido2-cred -M with all extensions that it has, verified without the last line, its
// largeBlobKey.
func registerWithBlobKey(t *testing.T, key *softkey.Key, user string) (id, blobKey string) {
	t.Helper()
	input := file(t, lines(clientDataHash("register"), rpID, user, encode([]byte(user))))
	out := filepath.Join(t.TempDir(), "made")
	try(t, lines(pin), "fido2-cred", "-M", "-r", "-b", "-h", "-v", "-c", "2", "-i", input, "-o", out, key.Path()).ok()
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	made := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(made) != 7 {
		t.Fatalf("%d lines: %s", len(made), b)
	}
	verified := filepath.Join(t.TempDir(), "verified")
	try(t, "", "fido2-cred", "-V", "-h", "-v", "-c", "2", "-i", file(t, lines(made[:6]...)), "-o", verified).ok()
	return made[4], made[6]
}

// TestTokenBlobOfRP names large blobs by RP, and by credential where the RP has several.
func TestTokenBlobOfRP(t *testing.T) {
	key := plugWithPIN(t)
	dir := t.TempDir()
	blob, read := filepath.Join(dir, "blob"), filepath.Join(dir, "read")
	content := "a blob for whoever asks" // libfido2 1.12 encrypts no less than 16 bytes
	if err := os.WriteFile(blob, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	id, blobKey := registerWithBlobKey(t, key, alice)
	input := file(t, lines(clientDataHash("sign in"), rpID, id))
	said := try(t, lines(pin), "fido2-assert", "-G", "-b", "-v", "-i", input, key.Path()).ok()
	asserted := strings.Split(strings.TrimSpace(said), "\n")
	if got := asserted[len(asserted)-1]; got != blobKey {
		t.Errorf("largeBlobKey %s at the assertion, %s at the registration", got, blobKey)
	}
	token(t, key, "-S", "-b", "-n", rpID, blob).ok()
	token(t, key, "-G", "-b", "-n", rpID, read).ok()
	if b, err := os.ReadFile(read); err != nil || string(b) != content {
		t.Errorf("read %q, %v", b, err)
	}
	byKey := []string{"-G", "-b", "-k", file(t, lines(blobKey)), filepath.Join(dir, "by key"), key.Path()}
	try(t, "", "fido2-token", byKey...).ok() // to read needs no PIN

	other, otherKey := registerWithBlobKey(t, key, bob)
	if otherKey == blobKey {
		t.Error("two credentials with one largeBlobKey")
	}
	token(t, key, "-G", "-b", "-n", rpID, filepath.Join(dir, "which")).fails("multiple credentials")
	token(t, key, "-G", "-b", "-n", rpID, "-i", other, filepath.Join(dir, "none")).fails("FIDO_ERR_NOTFOUND")
	token(t, key, "-D", "-b", "-n", rpID, "-i", id).ok()
	token(t, key, "-G", "-b", "-n", rpID, "-i", id, filepath.Join(dir, "gone")).fails("FIDO_ERR_NOTFOUND")
	if list := token(t, key, "-L", "-b").ok(); list != "" {
		t.Errorf("large blobs %s", list)
	}
}

// TestAssertOptions signs in with each option of fido2-assert -t, and has it check the flags that the option is for.
func TestAssertOptions(t *testing.T) {
	key := plugWithPIN(t)
	c := makeCredential(t, key, alice, credentialOptions{resident: true, pin: pin})
	for options, want := range map[string]struct{ present, verified bool }{
		"up=true":            {true, false},
		"up=false":           {false, false},
		"uv=false":           {true, false},
		"pin=true":           {true, true},
		"pin=false":          {true, false},
		"up=true pin=true":   {true, true},
		"up=false pin=true":  {false, true},
		"up=false pin=false": {false, false},
	} {
		var args []string
		for _, o := range strings.Fields(options) {
			args = append(args, "-t", o)
		}
		signed := tryAssertion(t, key, c.id, lines(pin), args...).ok()
		present, verified := c.verify(t, signed, "-p").err == nil, c.verify(t, signed, "-v").err == nil
		if present != want.present || verified != want.verified {
			t.Errorf("-t %s: present %v, verified %v", options, present, verified)
		}
	}
	tryAssertion(t, key, c.id, lines(pin), "-t", "uv=true").fails("FIDO_ERR_PIN_REQUIRED") // it has no sensor
}

// TestU2FOptions: CTAP1/U2F has neither user verification nor resident credentials nor extensions, and libfido2 knows.
func TestU2FOptions(t *testing.T) {
	key := plugWithPIN(t)
	input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
	for _, flag := range []string{"-v", "-r", "-h"} {
		try(t, lines(pin), "fido2-cred", "-M", "-u", flag, "-i", input, key.Path()).fails("FIDO_ERR_UNSUPPORTED_OPTION")
	}
	c := makeCredential(t, key, alice, credentialOptions{})
	tryAssertion(t, key, c.id, lines(pin), "-u", "-v").fails("FIDO_ERR_UNSUPPORTED_OPTION")
	c.verify(t, tryAssertion(t, key, c.id, "", "-u", "-p").ok(), "-p").ok() // a credential of CTAP2
	token(t, key, "-S", "-u").ok()
	tryAssertion(t, key, c.id, "", "-u", "-p").fails("FIDO_ERR_INTERNAL")
	try(t, "", "fido2-cred", "-M", "-u", "-i", input, key.Path()).fails("FIDO_ERR_RX")
}

// finger is a presence whose next samples are queued; when there are none, the finger lies well and is known.
type finger struct {
	queue atomic.Pointer[[]error]
}

func (f *finger) will(samples ...error) { f.queue.Store(&samples) }

func (f *finger) presence(_ context.Context, r emulator.PresenceRequest) error {
	queue := f.queue.Load()
	if !r.Fingerprint || queue == nil || len(*queue) == 0 {
		return nil
	}
	rest := (*queue)[1:]
	f.queue.Store(&rest)
	return (*queue)[0]
}

// TestTokenFingerFeedback enrols a finger that lies as badly as it can, and has fido2-token say what is wrong.
func TestTokenFingerFeedback(t *testing.T) {
	f := new(finger)
	key := plug(t, softkey.Options{PIN: fido.PIN(pin), Profile: profile(t, "fingerprint"), Presence: f.presence})
	said := map[ctap.SampleStatus]string{
		ctap.SampleTooHigh: "high", ctap.SampleTooLow: "low", ctap.SampleTooLeft: "left", ctap.SampleTooRight: "right",
		ctap.SampleTooFast: "fast", ctap.SampleTooSlow: "slow", ctap.SamplePoorQuality: "quality",
		ctap.SampleTooSkewed: "skewed", ctap.SampleTooShort: "short", ctap.SampleMergeFailure: "merge",
		ctap.SampleExists:         "exists",
		ctap.SampleNoUserActivity: "activity", ctap.SampleNoUserPresence: "presence",
	}
	var samples []error
	for status := range said {
		samples = append(samples, emulator.BadSample(status))
	}
	f.will(samples...)
	r := token(t, key, "-S", "-e")
	feedback := strings.ToLower(r.ok() + r.stderr)
	for status, word := range said {
		if !strings.Contains(feedback, word) {
			t.Errorf("status %#02x: %q is not in %s", uint(status), word, feedback)
		}
	}
	if n := len(fields(token(t, key, "-L", "-e").ok())); n != 1 {
		t.Errorf("%d fingers", n)
	}
}

// TestTokenFingersFull enrols as many fingers as there is room for, and one more; names and removes what is not there.
func TestTokenFingersFull(t *testing.T) {
	key := plug(t, softkey.Options{PIN: fido.PIN(pin), Profile: profile(t, "fingerprint")})
	token(t, key, "-L", "-e").fails("FIDO_ERR_INVALID_OPTION") // none
	for range key.MaxFingerprints {
		token(t, key, "-S", "-e").ok()
	}
	token(t, key, "-S", "-e").fails("FIDO_ERR_FP_DATABASE_FULL")
	list := fields(token(t, key, "-L", "-e").ok())
	if uint(len(list)) != key.MaxFingerprints {
		t.Errorf("fingers %q", list)
	}
	nobody := encode([]byte("x"))
	token(t, key, "-S", "-e", "-i", nobody, "-n", "thumb").fails("FIDO_ERR_INVALID_OPTION")
	token(t, key, "-D", "-e", "-i", nobody).fails("FIDO_ERR_INVALID_OPTION")
	token(t, key, "-S", "-e", "-i", list[0][1], "-n", strings.Repeat("x", 65)).fails("FIDO_ERR_INVALID_LENGTH")
	for _, f := range list {
		token(t, key, "-D", "-e", "-i", f[1]).ok()
	}
	token(t, key, "-L", "-e").fails("FIDO_ERR_INVALID_OPTION")
}

// TestTokenFingerBlocked misses with the finger until the sensor is blocked, which the PIN undoes, and a loss of power
// doesn't.
func TestTokenFingerBlocked(t *testing.T) {
	f := new(finger)
	key := plug(t, softkey.Options{PIN: fido.PIN(pin), Profile: profile(t, "fingerprint"), Presence: f.presence})
	token(t, key, "-S", "-e").ok()
	c := makeCredential(t, key, alice, credentialOptions{resident: true, pin: pin})
	byFinger := func() run { return tryAssertion(t, key, c.id, "", "-t", "pin=false", "-t", "uv=true") }
	retries := func(want int) {
		t.Helper()
		wantInfo(t, key, map[string]string{"uv retries": fmt.Sprint(want)})
	}
	f.will(emulator.ErrNoMatch)
	byFinger().fails("FIDO_ERR_")
	retries(2)
	c.verify(t, byFinger().ok(), "-v").ok() // a match makes them full
	retries(3)
	f.will(emulator.ErrNoMatch, emulator.ErrNoMatch, emulator.ErrNoMatch)
	for want := 2; want >= 0; want-- {
		byFinger().fails("FIDO_ERR_")
		retries(want)
	}
	key.PowerCycle()
	byFinger().fails("FIDO_ERR_")
	retries(0)
	c.verify(t, tryAssertion(t, key, c.id, lines(pin), "-v", "-t", "pin=true").ok(), "-v").ok()
	retries(3)
	c.verify(t, byFinger().ok(), "-v").ok()
}
