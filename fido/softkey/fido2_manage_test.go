package softkey_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fob/fido"
	"fob/fido/softkey"
)

// token runs fido2-token on the key, which has the PIN.
func token(t *testing.T, key *softkey.Key, args ...string) run {
	t.Helper()
	return try(t, lines(pin), "fido2-token", append(args, key.Path())...)
}

// fields splits what a tool printed into lines and words.
func fields(s string) (table [][]string) {
	for line := range strings.Lines(s) {
		table = append(table, strings.Fields(line))
	}
	return table
}

// TestTokenCredentials manages resident credentials as a person does who tidies up a key.
func TestTokenCredentials(t *testing.T) {
	key := plugWithPIN(t)
	for _, user := range []string{alice, bob} {
		makeCredential(t, key, user, credentialOptions{resident: true, pin: pin})
	}
	rps := fields(token(t, key, "-L", "-r").ok())
	if len(rps) != 1 || rps[0][2] != rpID {
		t.Errorf("RPs %q", rps)
	}
	list := fields(token(t, key, "-L", "-k", rpID).ok())
	if len(list) != 2 || list[0][3] != encode([]byte(alice)) || list[1][3] != encode([]byte(bob)) || list[0][4] != "es256" {
		t.Fatalf("credentials %q", list)
	}
	id := list[1][1]
	token(t, key, "-S", "-c", "-i", id, "-k", encode([]byte(bob)), "-n", "robert", "-p", "Robert").ok()
	if got := key.Credentials()[1]; got.UserName != "robert" || got.UserDisplayName != "Robert" {
		t.Errorf("updated %+v", got)
	}
	token(t, key, "-S", "-c", "-i", id, "-k", encode([]byte("mallory")), "-n", "x", "-p", "x").fails("FIDO_ERR_INVALID_PARAMETER")
	token(t, key, "-D", "-i", id).ok()
	token(t, key, "-D", "-i", id).fails("FIDO_ERR_NO_CREDENTIALS")
	counts := token(t, key, "-I", "-c").ok()
	if !strings.Contains(counts, "existing rk(s): 1") || !strings.Contains(counts, "remaining rk(s): 99") {
		t.Errorf("fido2-token -I -c says %q", counts)
	}
	try(t, lines(wrongPIN), "fido2-token", "-L", "-r", key.Path()).fails("FIDO_ERR_PIN_INVALID")
}

// TestTokenConfig sets what authenticatorConfig offers.
func TestTokenConfig(t *testing.T) {
	key := plugWithPIN(t)
	token(t, key, "-S", "-u").ok()
	if options := tokenInfo(t, key)["options"]; !strings.Contains(options, " alwaysUv,") || !strings.Contains(options, "nomakeCredUvNotRqd") {
		t.Errorf("options %q", options)
	}
	tryCredential(t, key, alice, credentialOptions{pin: pin}).ok()
	token(t, key, "-D", "-u").ok()
	wantInfo(t, key, map[string]string{"options": withPIN})

	token(t, key, "-S", "-m", rpID).ok()
	token(t, key, "-S", "-l", "6").ok()
	wantInfo(t, key, map[string]string{"minpinlen": "6", "pin change required": "true"})
	token(t, key, "-L", "-r").fails("FIDO_ERR_PIN_POLICY_VIOLATION") // until the PIN is changed
	try(t, lines(pin, "12345", "12345"), "fido2-token", "-C", key.Path()).fails("FIDO_ERR_PIN_POLICY_VIOLATION")
	try(t, lines(pin, "123456", "123456"), "fido2-token", "-C", key.Path()).ok()
	try(t, lines("123456"), "fido2-token", "-S", "-l", "5", key.Path()).fails("FIDO_ERR_PIN_POLICY_VIOLATION")
	try(t, lines("123456"), "fido2-token", "-S", "-f", key.Path()).ok()
	wantInfo(t, key, map[string]string{"pin change required": "true"})
}

// TestTokenLargeBlobs writes and reads a large blob under a key of its own, and under that of a credential.
func TestTokenLargeBlobs(t *testing.T) {
	key := plug(t, softkey.Options{PIN: fido.PIN(pin)})
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	blob := []byte(strings.Repeat("a long blob that compresses well. ", 60))
	secret := make([]byte, 32)
	rand.Read(secret)
	for name, b := range map[string][]byte{"blob": blob, "key": secret} {
		if name == "key" {
			b = []byte(encode(b) + "\n")
		}
		if err := os.WriteFile(path(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token(t, key, "-S", "-b", "-k", path("key"), path("blob")).ok()
	token(t, key, "-G", "-b", "-k", path("key"), path("read")).ok()
	if read, err := os.ReadFile(path("read")); err != nil || !bytes.Equal(read, blob) {
		t.Errorf("read %q, %v", read, err)
	}
	token(t, key, "-D", "-b", "-k", path("key")).ok()
	token(t, key, "-G", "-b", "-k", path("key"), path("gone")).fails("FIDO_ERR_NOTFOUND")

	input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
	made := try(t, lines(pin), "fido2-cred", "-M", "-r", "-b", "-v", "-i", input, key.Path()).ok()
	id := strings.Split(made, "\n")[4]
	token(t, key, "-S", "-b", "-n", rpID, "-i", id, path("blob")).ok()
	if list := fields(token(t, key, "-L", "-b").ok()); len(list) != 2 || list[1][2] != "2040" { // a header, and its sizes
		t.Errorf("large blobs %q", list)
	}
	token(t, key, "-G", "-b", "-n", rpID, "-i", id, path("again")).ok()
	if read, err := os.ReadFile(path("again")); err != nil || !bytes.Equal(read, blob) {
		t.Errorf("read %q, %v", read, err)
	}
}

// TestHMACSecret derives secrets as disk encryption does: the same for the same salt, another for another.
func TestHMACSecret(t *testing.T) {
	for _, withPIN := range []bool{false, true} {
		key := plug(t, softkey.Options{})
		var verify []string
		if withPIN {
			try(t, lines(pin, pin), "fido2-token", "-S", key.Path()).ok()
			verify = []string{"-v"}
		}
		input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
		made := try(t, lines(pin), "fido2-cred", append(append([]string{"-M", "-h", "-i", input}, verify...), key.Path())...).ok()
		try(t, made, "fido2-cred", append([]string{"-V", "-h"}, verify...)...).ok()
		id := strings.Split(made, "\n")[4]
		secret := func(salt byte) string {
			t.Helper()
			input := file(t, lines(clientDataHash("unlock"), rpID, id, encode(bytes.Repeat([]byte{salt}, 32))))
			out := try(t, lines(pin), "fido2-assert", append(append([]string{"-G", "-h", "-i", input}, verify...), key.Path())...).ok()
			return strings.Split(out, "\n")[4]
		}
		if one, again, two := secret(1), secret(1), secret(2); one != again || one == two || len(one) != 44 {
			t.Errorf("secrets %q, %q and %q", one, again, two)
		}
	}
}

// TestCredProtect registers at each level and has fido2-cred check that the key promises it.
func TestCredProtect(t *testing.T) {
	key := plugWithPIN(t)
	for _, level := range []string{"1", "2", "3"} {
		input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
		made := try(t, lines(pin), "fido2-cred", "-M", "-v", "-c", level, "-i", input, key.Path()).ok()
		verified := try(t, made, "fido2-cred", "-V", "-v", "-c", level).ok()
		id, _, _ := strings.Cut(verified, "\n")
		r := tryAssertion(t, key, id, "")
		if level == "3" {
			r.fails("FIDO_ERR_NO_CREDENTIALS")
		} else {
			r.ok()
		}
		tryAssertion(t, key, id, lines(pin), "-v").ok()
	}
}

// TestTokenFingerprints enrols a finger, signs in with it, and removes it.
func TestTokenFingerprints(t *testing.T) {
	key := plug(t, softkey.Options{PIN: fido.PIN(pin), Profile: profile(t, "fingerprint")})
	token(t, key, "-S", "-e").ok()
	if uv := tokenInfo(t, key)["uv retries"]; uv != "3" {
		t.Errorf("uv retries %q", uv)
	}
	list := fields(token(t, key, "-L", "-e").ok())
	if len(list) != 1 {
		t.Fatalf("fingers %q", list)
	}
	id := list[0][1]
	token(t, key, "-S", "-e", "-i", id, "-n", "thumb").ok()
	if said := token(t, key, "-L", "-e").ok(); !strings.Contains(said, "thumb") {
		t.Errorf("fido2-token -L -e says %q", said)
	}
	c := makeCredential(t, key, alice, credentialOptions{resident: true, pin: pin})
	signed := tryAssertion(t, key, c.id, "", "-t", "pin=false", "-t", "uv=true").ok()
	c.verify(t, signed, "-v").ok()
	token(t, key, "-D", "-e", "-i", id).ok()
	tryAssertion(t, key, c.id, "", "-t", "pin=false", "-t", "uv=true").fails("FIDO_ERR_PIN_REQUIRED") // as libfido2 sees it
}
