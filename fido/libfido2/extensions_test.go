package libfido2

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

var pin = fido.PIN("1234")

// tool runs a program of fido2-tools, which must succeed, in a session without a terminal, so that it reads the PIN
// from its standard input. The session's leader is a shell, which does not take the key's pseudo-terminal for its own.
func tool(t *testing.T, program string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v: install the package fido2-tools", err)
	}
	c := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `"$@"; exit $?`, "sh", program}, args...)...)
	c.Stdin, c.SysProcAttr = strings.NewReader(string(pin)+"\n"), &syscall.SysProcAttr{Setsid: true}
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, &said)
	}
	return string(out)
}

// keyWithPIN is an emulated key with a PIN, of the default profile.
func keyWithPIN(t *testing.T) *emulator.Authenticator {
	t.Helper()
	key := newKey(t, emulator.Options{})
	if err := key.SetPIN(pin); err != nil {
		t.Fatal(err)
	}
	return key
}

// extended is a registration of a discoverable credential with all extensions.
func extended(p fido.PIN) *fido.MakeCredentialRequest {
	yes := true
	r := registration("ada")
	r.RK, r.PIN = true, p
	r.Extensions = ctap.MakeCredentialExtensionInputs{CredProtect: ctap.UserVerificationOptionalWithCredentialIDList,
		CredBlob: []byte("blob"), HMACSecret: &yes, MinPINLength: &yes, LargeBlobKey: &yes}
	return r
}

func assertOne(t *testing.T, d *Device, r *fido.GetAssertionRequest) fido.GetAssertionResponse {
	t.Helper()
	list, err := d.GetAssertion(t.Context(), r)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0]
}

func TestExtensionsOfANewCredential(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	made, err := open(t, path).MakeCredential(t.Context(), extended(nil))
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(made.AuthData)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ctap.ExtensionOutputs[ctap.MakeCredentialExtensionOutputs](data)
	if err != nil || out.CredProtect != ctap.UserVerificationOptionalWithCredentialIDList || !ctap.True(out.CredBlob) ||
		!ctap.True(out.HMACSecret) || out.MinPINLength != 0 { // example.com is on no list
		t.Errorf("%+v, %v", out, err)
	}
	if !made.LargeBlob || made.LargeBlobKey != nil {
		t.Errorf("large blob: %v, its key has %d bytes", made.LargeBlob, len(made.LargeBlobKey))
	}
}

// TestHMACSecret: other salts, and another verification, give other secrets, and each always the same.
func TestHMACSecret(t *testing.T) {
	path, _ := plug(t, keyWithPIN(t))
	d := open(t, path)
	id := register(t, d, extended(pin)).CredentialID
	one, other := fido.Secret(bytes.Repeat([]byte{1}, 32)), fido.Secret(bytes.Repeat([]byte{2}, 32))
	evaluate := func(salts fido.Secret, p fido.PIN) fido.Secret {
		t.Helper()
		r := signIn(id)
		r.Salts, r.PIN = salts, p
		got := assertOne(t, d, r).HMACSecret
		if len(got) != len(salts) {
			t.Fatalf("%d bytes of %d", len(got), len(salts))
		}
		return got
	}
	first, both := evaluate(one, pin), evaluate(append(bytes.Clone(one), other...), pin)
	if !bytes.Equal(first, both[:32]) || bytes.Equal(first, both[32:]) {
		t.Error("a salt gives the secret of another")
	}
	if bytes.Equal(first, evaluate(one, nil)) {
		t.Error("the secrets of a verified person and of anybody are the same")
	}
	if got := assertOne(t, d, signIn(id)).HMACSecret; got != nil {
		t.Errorf("%d bytes without a salt", len(got))
	}
	plain := registration("bob")
	plain.PIN = pin
	r := signIn(register(t, d, plain).CredentialID)
	r.Salts = one
	if got := assertOne(t, d, r).HMACSecret; got != nil {
		t.Errorf("%d bytes of a credential without hmac-secret", len(got))
	}
}

// TestHMACSecretOfFIDO2Assert: fido2-assert, which is not ours, evaluates to the same secret.
func TestHMACSecretOfFIDO2Assert(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	id := register(t, d, extended(nil)).CredentialID
	r := signIn(id)
	r.Salts = bytes.Repeat([]byte{7}, 32)
	ours := assertOne(t, d, r).HMACSecret
	d.Close()

	text := base64.StdEncoding.EncodeToString
	in := filepath.Join(t.TempDir(), "in")
	lines := []string{text(clientDataHash[:]), "example.com", text(id), text(r.Salts)}
	if err := os.WriteFile(in, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := tool(t, "fido2-assert", "-G", "-h", "-i", in, path)
	said := strings.Fields(out)
	if theirs := said[len(said)-1]; theirs != text(ours) {
		t.Errorf("fido2-assert evaluates to another secret:\n%s", out)
	}
}

func TestCredBlob(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	id := register(t, d, extended(nil)).CredentialID
	r := signIn(id)
	r.CredBlob = true
	data, err := ctap.ParseAuthenticatorData(assertOne(t, d, r).AuthData)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ctap.ExtensionOutputs[ctap.GetAssertionExtensionOutputs](data)
	if err != nil || string(out.CredBlob) != "blob" {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestLargeBlobOfFIDO2Token: what we write, fido2-token reads, and the other way round.
func TestLargeBlobOfFIDO2Token(t *testing.T) {
	path, _ := plug(t, keyWithPIN(t))
	d := open(t, path)
	id := register(t, d, extended(pin)).CredentialID
	file := filepath.Join(t.TempDir(), "blob")
	name := base64.StdEncoding.EncodeToString(id)
	write := signIn(id)
	write.PIN = pin
	for _, blob := range []string{"ours, long enough for libfido2 to seal", strings.Repeat("x", 3000)} {
		write.WriteLargeBlob = []byte(blob)
		if a := assertOne(t, d, write); !a.LargeBlobWritten || a.LargeBlobKey != nil {
			t.Fatalf("%d bytes were not written, or the key came along", len(blob))
		}
		d.Close()
		tool(t, "fido2-token", "-G", "-b", "-n", "example.com", "-i", name, file, path)
		if got, err := os.ReadFile(file); err != nil || string(got) != blob {
			t.Errorf("fido2-token read %q, %v", got, err)
		}
		os.Remove(file)
		d = open(t, path)
	}
	d.Close()
	theirs := "theirs, long enough for libfido2 to seal"
	if err := os.WriteFile(file, []byte(theirs), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "fido2-token", "-S", "-b", "-n", "example.com", "-i", name, file, path)
	read := signIn(id)
	read.ReadLargeBlob = true
	if got := assertOne(t, open(t, path), read).LargeBlob; string(got) != theirs {
		t.Errorf("read %q", got)
	}
}

// TestHMACSecretAtOnce: a new credential evaluates as libfido2 finds later.
func TestHMACSecretAtOnce(t *testing.T) {
	path, _ := plug(t, keyWithPIN(t))
	d := open(t, path)
	r := extended(pin)
	r.Salts = bytes.Repeat([]byte{3}, 64)
	made, err := d.MakeCredential(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(made.AuthData)
	if err != nil {
		t.Fatal(err)
	}
	checkAttestation(t, &made.MakeCredentialResponse, data)
	s := signIn(data.Attested.CredentialID)
	s.Salts, s.PIN = r.Salts, pin
	if got := assertOne(t, d, s).HMACSecret; len(got) != 64 || !bytes.Equal(got, made.HMACSecret) {
		t.Errorf("%d bytes at once, %d later, or others", len(made.HMACSecret), len(got))
	}
	r.PIN = fido.PIN("4321")
	if _, err := d.MakeCredential(t.Context(), r); !errors.Is(err, ctap.ErrPINInvalid) {
		t.Error(err)
	}
}

// TestHMACSecretOfAccounts: each account has its own.
func TestHMACSecretOfAccounts(t *testing.T) {
	path, _ := plug(t, keyWithPIN(t))
	d := open(t, path)
	want := map[string]fido.Secret{}
	for _, user := range []string{"ada", "bob"} {
		r := extended(pin)
		r.User.ID, r.Salts = []byte(user), bytes.Repeat([]byte{5}, 32)
		made, err := d.MakeCredential(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		want[user] = made.HMACSecret
	}
	s := signIn()
	s.PIN, s.Salts = pin, bytes.Repeat([]byte{5}, 32)
	list, err := d.GetAssertion(t.Context(), s)
	if err != nil || len(list) != 2 || bytes.Equal(list[0].HMACSecret, list[1].HMACSecret) {
		t.Fatal(list, err)
	}
	for _, a := range list {
		if user := string(a.User.ID); !bytes.Equal(a.HMACSecret, want[user]) {
			t.Errorf("%s has %d bytes, or others", user, len(a.HMACSecret))
		}
	}
}

// TestLyingHMACSecret: what can't be one is no secret.
func TestLyingHMACSecret(t *testing.T) {
	for name, output := range map[string]any{
		"short": []byte("short"), "text": "text", "of one": make([]byte, 48), "of three": make([]byte, 112)} {
		lie := func(m map[int]any) {
			data, err := ctap.ParseAuthenticatorData(m[2].([]byte))
			if err != nil {
				t.Error(err)
				return
			}
			data.Extensions, _ = ctap.Marshal(map[string]any{"hmac-secret": output})
			m[2] = data.Encode()
		}
		path, _ := plug(t, rewrite{newKey(t, emulator.Options{}), ctap.CommandGetAssertion, lie})
		d := open(t, path)
		s := signIn(register(t, d, extended(nil)).CredentialID)
		s.Salts = bytes.Repeat([]byte{6}, 64)
		list, err := d.GetAssertion(t.Context(), s)
		if !errors.Is(err, fido.ErrBadAnswer) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// TestFinger: a finger evaluates to what the PIN does, at registration and later.
func TestFinger(t *testing.T) {
	profile, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t, emulator.Options{Profile: profile})
	if err := key.SetPIN(pin); err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, key)
	tool(t, "fido2-token", "-S", "-e", path)
	d := open(t, path)
	r := extended(nil)
	r.UV, r.Salts = true, bytes.Repeat([]byte{4}, 32)
	made, err := d.MakeCredential(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(made.AuthData)
	if err != nil {
		t.Fatal(err)
	}
	byFinger, byPIN := signIn(data.Attested.CredentialID), signIn(data.Attested.CredentialID)
	byFinger.Salts, byFinger.UV = r.Salts, true
	byPIN.Salts, byPIN.PIN = r.Salts, pin
	one, two := assertOne(t, d, byFinger).HMACSecret, assertOne(t, d, byPIN).HMACSecret
	if len(one) != 32 || !bytes.Equal(one, two) || !bytes.Equal(one, made.HMACSecret) {
		t.Errorf("%d, %d and %d bytes, or others", len(made.HMACSecret), len(one), len(two))
	}
	byFinger.WriteLargeBlob = []byte("blob")
	if !assertOne(t, d, byFinger).LargeBlobWritten {
		t.Error("not written")
	}
}

// TestAlgorithms are those of libfido2.
func TestAlgorithms(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	for _, alg := range []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384, ctap.RS256} {
		r := registration("ada")
		if r.Algorithm = alg; d.beyondCredential(r) {
			t.Errorf("%v is not asked of libfido2", alg)
		}
		made := register(t, d, r)
		if _, got, err := ctap.ParseCOSEKey(made.PublicKey); got != alg || err != nil {
			t.Errorf("%v: %v, %v", alg, got, err)
		}
		assertOne(t, d, signIn(made.CredentialID))
	}
}

// TestUnknownAlgorithm: what libfido2 does not know, the key may.
func TestUnknownAlgorithm(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{Algorithms: []ctap.Algorithm{ctap.MLDSA44}}))
	d := open(t, path)
	r := registration("ada")
	r.Algorithm = ctap.MLDSA44
	made := register(t, d, r)
	if _, alg, err := ctap.ParseCOSEKey(made.PublicKey); alg != ctap.MLDSA44 || err != nil {
		t.Fatal(alg, err)
	}
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := assertOne(t, d, signIn(made.CredentialID)); len(a.Signature) != 2420 { // FIPS 204, table 2
		t.Errorf("a signature of %d bytes", len(a.Signature))
	}
}

// TestCancelBeyondLibfido2: the key is dark, and of use.
func TestCancelBeyondLibfido2(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence, Algorithms: []ctap.Algorithm{ctap.MLDSA44}}))
	d := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.waiting
		cancel()
	}()
	r := registration("ada")
	r.Algorithm = ctap.MLDSA44
	if _, err := d.MakeCredential(ctx, r); err != context.Canceled {
		t.Error(err)
	}
	await(t, "dark", f.dark)
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
}
