package libfido2

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

var pin = fido.PIN("1234")

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
	program, err := exec.LookPath("fido2-assert")
	if err != nil {
		t.Fatalf("%v: install the package fido2-tools", err)
	}
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
	out, err := exec.CommandContext(t.Context(), program, "-G", "-h", "-i", in, path).Output()
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Fields(string(out))
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

func TestLargeBlob(t *testing.T) {
	for name, p := range map[string]fido.PIN{"no PIN": nil, "PIN": pin} {
		t.Run(name, func(t *testing.T) {
			key := newKey(t, emulator.Options{})
			if p != nil {
				key = keyWithPIN(t)
			}
			path, _ := plug(t, key)
			d := open(t, path)
			id := register(t, d, extended(p)).CredentialID
			read, write := signIn(id), signIn(id)
			read.ReadLargeBlob, write.PIN = true, p
			if got := assertOne(t, d, read).LargeBlob; got != nil {
				t.Errorf("%q before any was written", got)
			}
			for _, blob := range []string{"a large blob", strings.Repeat("x", 3000), ""} {
				write.WriteLargeBlob = []byte(blob)
				if a := assertOne(t, d, write); !a.LargeBlobWritten || a.LargeBlobKey != nil {
					t.Fatalf("%d bytes were not written, or the key came along", len(blob))
				}
				if got := assertOne(t, d, read).LargeBlob; got == nil || string(got) != blob {
					t.Errorf("read %q, want %q", got, blob)
				}
			}
			write.WriteLargeBlob = make([]byte, 5000)
			rand.Read(write.WriteLargeBlob)
			if assertOne(t, d, write).LargeBlobWritten {
				t.Error("more was written than the key has room for")
			}
			if p != nil {
				write.PIN, write.WriteLargeBlob = nil, []byte("by a stranger")
				if assertOne(t, d, write).LargeBlobWritten {
					t.Error("written without the PIN")
				}
			}
		})
	}
}
