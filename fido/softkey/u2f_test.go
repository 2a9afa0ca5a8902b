package softkey_test

import (
	"strings"
	"testing"
	"time"

	"fob/fido/emulator"
	"fob/fido/softkey"
)

func profile(t *testing.T, name string) *emulator.Profile {
	t.Helper()
	p, err := emulator.LookupProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestU2F registers and signs in by CTAP1/U2F, with a key that speaks nothing else and with one that speaks both.
func TestU2F(t *testing.T) {
	for _, name := range []string{"u2f", "fido2.1"} {
		var p person
		p.will(emulator.Approve)
		key := plugProfile(t, name, &p)
		input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
		made := try(t, "", "fido2-cred", "-M", "-u", "-i", input, key.Path()).ok()
		if !strings.Contains(made, "fido-u2f") {
			t.Errorf("%s: attestation %q", name, made)
		}
		verified := try(t, made, "fido2-cred", "-V").ok()
		id, public, _ := strings.Cut(verified, "\n")
		c := credential{credentialOptions{}, alice, id, file(t, public)}
		signed := tryAssertion(t, key, id, "", "-u").ok()
		c.verify(t, signed, "-p").ok()

		p.will(emulator.After(700 * time.Millisecond)) // the tool asks again until then
		c.verify(t, tryAssertion(t, key, id, "", "-u").ok(), "-p").ok()

		p.will(emulator.Approve)
		path, r := sshKeygen(t, key, "ecdsa-sk")
		r.ok()
		if k := parseSKKey(t, path); k.application != "ssh:" {
			t.Errorf("%s: enrolled for %q", name, k.application)
		}
	}
}

func plugProfile(t *testing.T, name string, p *person) *softkey.Key {
	t.Helper()
	return plug(t, softkey.Options{Profile: profile(t, name), Presence: p.touch})
}

// TestBasicAttestation has fido2-cred verify an attestation by certificate.
func TestBasicAttestation(t *testing.T) {
	key := plug(t, softkey.Options{Attestation: emulator.BasicAttestation})
	input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
	made := try(t, "", "fido2-cred", "-M", "-i", input, key.Path()).ok()
	if n := len(strings.Split(strings.TrimSpace(made), "\n")); n != 7 { // the last line is the certificate
		t.Errorf("%d lines: %q", n, made)
	}
	try(t, made, "fido2-cred", "-V").ok()
	broken := strings.Split(made, "\n")
	broken[5] = encode([]byte("no signature"))
	try(t, strings.Join(broken, "\n"), "fido2-cred", "-V").fails("FIDO_ERR_INVALID_SIG")
}
