package softkey_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// sshSKHelper is the program in which OpenSSH speaks to keys.
const sshSKHelper = "/usr/lib/openssh/ssh-sk-helper"

// sshKeygen enrols a key of a type, as a person does who wants to log in with it, and gives the path of its private half.
func sshKeygen(t *testing.T, key *softkey.Key, kind string, options ...string) (string, run) {
	t.Helper()
	require(t, "ssh-keygen", sshSKHelper)
	path := filepath.Join(t.TempDir(), "id_"+kind)
	args := []string{"-q", "-t", kind, "-N", "", "-C", alice, "-f", path, "-O", "device=" + key.Path()}
	for _, o := range options {
		args = append(args, "-O", o)
	}
	return path, try(t, "", "ssh-keygen", args...)
}

// TestOpenSSH enrols keys with ssh-keygen, and has signatures of the emulated key checked by it.
//
// To sign, OpenSSH looks for the key among the system's hidraw devices, and nothing tells it of another: "-O device" is
// for enrolling. So fido2-assert asks the key what OpenSSH would, and the test puts the answer into OpenSSH's format.
// "ssh-keygen -Y sign" itself needs a hidraw device, and so a virtual machine.
func TestOpenSSH(t *testing.T) {
	for kind, alg := range map[string]string{"ecdsa-sk": "es256", "ed25519-sk": "eddsa"} {
		for _, pin := range []string{"", pin} {
			t.Run(kind+pin, func(t *testing.T) {
				key := plug(t, softkey.Options{})
				if pin != "" { // which enrolling does without
					try(t, lines(pin, pin), "fido2-token", "-S", key.Path()).ok()
				}
				path, r := sshKeygen(t, key, kind, "application=ssh:fob")
				r.ok()
				shown := try(t, "", "ssh-keygen", "-l", "-f", path+".pub").ok()
				if !strings.Contains(shown, alice+" ("+strings.ToUpper(kind)+")") {
					t.Errorf("ssh-keygen -l says %q", shown)
				}
				signature := file(t, sign(t, key, parseSKKey(t, path), alg, "a message"))
				public, err := os.ReadFile(path + ".pub")
				if err != nil {
					t.Fatal(err)
				}
				signers := file(t, alice+" "+string(public))
				verify := []string{"-Y", "verify", "-n", "file", "-I", alice, "-f", signers, "-s", signature}
				if said := try(t, "a message", "ssh-keygen", verify...).ok(); !strings.HasPrefix(said, "Good ") {
					t.Errorf("ssh-keygen -Y verify says %q", said)
				}
				try(t, "another message", "ssh-keygen", verify...).fails("Signature verification failed")
			})
		}
	}
}

func TestOpenSSHRefusals(t *testing.T) {
	var p person
	key := plugFor(t, &p)
	p.will(emulator.Deny) // which OpenSSH takes for a key that wants a PIN
	_, r := sshKeygen(t, key, "ed25519-sk")
	r.fails("PIN incorrect")
	p.will(emulator.Approve)
	_, r = sshKeygen(t, key, "ed25519-sk")
	r.ok()
}

// TestOpenSSHResident enrols keys that stay on the security key and that want the PIN at each login. OpenSSH protects both
// by credProtect.
func TestOpenSSHResident(t *testing.T) {
	key := plugWithPIN(t)
	askpass := file(t, "#!/bin/sh\necho "+pin+"\n")
	if err := os.Chmod(askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_ASKPASS", askpass)
	t.Setenv("SSH_ASKPASS_REQUIRE", "force")
	_, r := sshKeygen(t, key, "ed25519-sk", "resident", "application=ssh:resident")
	r.ok()
	path, r := sshKeygen(t, key, "ecdsa-sk", "verify-required", "application=ssh:verify")
	r.ok()
	if got := key.Credentials(); len(got) != 1 || got[0].RPID != "ssh:resident" || got[0].CredProtect != ctap.UserVerificationOptionalWithCredentialIDList {
		t.Errorf("resident keys: %+v", got)
	}
	k := parseSKKey(t, path)
	input := file(t, lines(clientDataHash("log in"), k.application, encode([]byte(k.handle))))
	try(t, "", "fido2-assert", "-G", "-i", input, key.Path()).fails("FIDO_ERR_NO_CREDENTIALS")
	try(t, lines(pin), "fido2-assert", "-G", "-v", "-i", input, key.Path()).ok()
}

// TestOpenSSHPIN has OpenSSH ask for the PIN, twice at most, which it does when the key refuses to do without.
func TestOpenSSHPIN(t *testing.T) {
	var p person
	key := plugFor(t, &p)
	try(t, lines(pin, pin), "fido2-token", "-S", key.Path()).ok()
	for _, test := range []struct{ typed, retries string }{{wrongPIN, "6"}, {pin, "8"}} {
		askpass := file(t, "#!/bin/sh\necho "+test.typed+"\n")
		if err := os.Chmod(askpass, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("SSH_ASKPASS", askpass)
		t.Setenv("SSH_ASKPASS_REQUIRE", "force")
		p.will(func(context.Context, emulator.PresenceRequest) error {
			p.will(emulator.Approve)
			return emulator.ErrDenied
		})
		_, r := sshKeygen(t, key, "ed25519-sk")
		if test.typed == pin {
			r.ok()
		} else {
			r.fails("PIN incorrect")
		}
		wantInfo(t, key, map[string]string{"pin retries": test.retries})
	}
}

// skKey is a private key file of a security key; it has no private key.
type skKey struct {
	kind, application, handle string
	public                    []byte
}

// parseSKKey reads an unencrypted file (OpenSSH's PROTOCOL.key and PROTOCOL.u2f).
func parseSKKey(t *testing.T, path string) (k skKey) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "OPENSSH PRIVATE KEY" {
		t.Fatalf("%s is no private key of OpenSSH", path)
	}
	outer := &sshReader{bytes.TrimPrefix(block.Bytes, []byte("openssh-key-v1\x00")), t}
	outer.next() // cipher
	outer.next() // key derivation
	outer.next() // and its options
	outer.skip(4)
	k.public = []byte(outer.next())
	inner := &sshReader{[]byte(outer.next()), t}
	inner.skip(8)
	k.kind = inner.next()
	if strings.HasPrefix(k.kind, "sk-ecdsa") {
		inner.next() // curve
	}
	inner.next() // public key
	k.application = inner.next()
	inner.skip(1)
	k.handle = inner.next()
	return k
}

// sign makes an SSH signature of a message in the namespace "file" (OpenSSH's PROTOCOL.sshsig).
func sign(t *testing.T, key *softkey.Key, k skKey, alg, message string) string {
	t.Helper()
	hash := sha512.Sum512([]byte(message))
	signed := append([]byte("SSHSIG"), sshStrings("file", "", "sha512", string(hash[:]))...)
	clientDataHash := sha256.Sum256(signed)
	input := file(t, lines(encode(clientDataHash[:]), k.application, encode([]byte(k.handle))))
	assertion := strings.Split(try(t, "", "fido2-assert", "-G", "-p", "-i", input, key.Path()).ok(), "\n")
	authData, sig := decode(t, assertion[2])[2:], decode(t, assertion[3]) // authenticator data is in a CBOR byte string
	if alg == "es256" {
		var rs struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(sig, &rs); err != nil {
			t.Fatal(err)
		}
		sig = sshStrings(mpint(rs.R), mpint(rs.S))
	}
	blob := append(sshStrings(k.kind, string(sig)), authData[sha256.Size:]...) // flags and counter
	file := append([]byte("SSHSIG\x00\x00\x00\x01"), sshStrings(string(k.public), "file", "", "sha512", string(blob))...)
	return string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: file}))
}

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) < 2 {
		t.Fatalf("%q is not what base64 gives: %v", s, err)
	}
	return b
}

// sshStrings are strings as SSH encodes them (RFC 4251 §5).
func sshStrings(strings ...string) (b []byte) {
	for _, s := range strings {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return b
}

// mpint is a positive number as SSH encodes it, without its length.
func mpint(n *big.Int) string {
	b := n.Bytes()
	if b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return string(b)
}

// sshReader takes strings from the front.
type sshReader struct {
	b []byte
	t *testing.T
}

func (r *sshReader) next() string {
	r.t.Helper()
	n := binary.BigEndian.Uint32(r.skip(4))
	return string(r.skip(int(n)))
}

func (r *sshReader) skip(n int) []byte {
	r.t.Helper()
	if n > len(r.b) {
		r.t.Fatalf("OpenSSH's key file ends early: %d bytes wanted, %d left", n, len(r.b))
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}
