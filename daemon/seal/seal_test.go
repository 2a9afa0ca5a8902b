package seal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/durable"
)

// credential hands a credential over, as systemd does.
func credential(t *testing.T, content string) Credential {
	t.Helper()
	c := Credential{Dir: t.TempDir()}
	if err := os.WriteFile(c.path(), []byte(content), 0o400); err != nil {
		t.Fatal(err)
	}
	return c
}

// Each kind of Sealer opens what it has sealed, another secret or a changed payload doesn't, and no payload is like
// another.
func TestSealers(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 4)
	for kind, pair := range map[Kind][2]Sealer{
		KindKeyFile:    {KeyFile{filepath.Join(t.TempDir(), "key")}, KeyFile{filepath.Join(t.TempDir(), "key")}},
		KindCredential: {credential(t, long), credential(t, long+"\n")},
		KindPassphrase: {Passphrase{fido.Secret("sesame")}, Passphrase{fido.Secret("Sesame")}},
	} {
		key := NewKey()
		mine, other := pair[0], pair[1]
		payload, err := mine.Seal(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Seal(key); err != nil { // makes its key file
			t.Fatal(err)
		}
		if mine.Kind() != kind || len(payload) > MaxPayload || bytes.Contains(payload, key) {
			t.Errorf("%s: %s, %d bytes", kind, mine.Kind(), len(payload))
		}
		if got, err := mine.Unseal(payload); !bytes.Equal(got, key) || err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if _, err := other.Unseal(payload); err != ErrWrongKey {
			t.Errorf("%s with another secret: %v", kind, err)
		}
		if again, err := mine.Seal(key); bytes.Equal(again, payload) || err != nil {
			t.Errorf("%s sealed the same twice: %v", kind, err)
		}
		for at := 0; at < len(payload); at += 41 {
			changed := bytes.Clone(payload)
			changed[at] ^= 1
			if _, err := mine.Unseal(changed); err != ErrWrongKey {
				t.Errorf("%s with a changed byte %d: %v", kind, at, err)
			}
		}
		if _, err := mine.Unseal(payload[1:]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, cut short: %v", kind, err)
		}
	}
}

// A payload opens as the kind that it was made as, even where the secrets are the same.
func TestKindsAreApart(t *testing.T) {
	secret := strings.Repeat("k", KeySize)
	f := KeyFile{filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(f.Path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	payload, err := f.Seal(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := credential(t, secret).Unseal(payload); err != ErrWrongKey {
		t.Error(err)
	}
}

func TestKeyFile(t *testing.T) {
	f := KeyFile{filepath.Join(t.TempDir(), "key")}
	if _, err := f.Unseal(make([]byte, payloadSize)); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	payload, err := f.Seal(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode() != 0o600 || info.Size() != KeySize {
		t.Errorf("%v, %v", info, err)
	}
	for what, c := range map[string]struct {
		change func() error
		want   error
	}{
		"open to the group": {func() error { return os.Chmod(f.Path, 0o640) }, ErrUnfit},
		"open to all":       {func() error { return os.Chmod(f.Path, 0o604) }, ErrUnfit},
		"short":             {func() error { return os.WriteFile(f.Path, make([]byte, KeySize-1), 0o600) }, ErrUnfit},
		"long":              {func() error { return os.WriteFile(f.Path, make([]byte, KeySize+1), 0o600) }, ErrUnfit},
		"a FIFO":            {func() error { return unix.Mkfifo(f.Path, 0o600) }, durable.ErrNotRegular},
		"a link":            {func() error { return os.Symlink("other", f.Path) }, unix.ELOOP},
	} {
		os.Remove(f.Path)
		os.WriteFile(f.Path, make([]byte, KeySize), 0o600)
		if strings.HasPrefix(what, "a ") {
			os.Remove(f.Path)
		}
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Unseal(payload); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := f.Seal(NewKey()); !errors.Is(err, c.want) { // and puts no other one in its place
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCredential(t *testing.T) {
	if (Credential{}).Given() || (Credential{t.TempDir()}).Given() || !credential(t, "x").Given() {
		t.Error("what systemd has handed over is not seen")
	}
	for _, c := range []struct {
		credential Credential
		want       error
	}{
		{Credential{}, ErrMissing}, {Credential{t.TempDir()}, ErrMissing},
		{credential(t, strings.Repeat("x", minCredential-1)), ErrUnfit},
		{credential(t, strings.Repeat("x", minCredential)), nil},
	} {
		if _, err := c.credential.Seal(NewKey()); !errors.Is(err, c.want) {
			t.Errorf("%v, expected %v", err, c.want)
		}
	}
}

func TestPassphraseLength(t *testing.T) {
	for n, want := range map[int]error{0: ErrUnfit, 1: nil, MaxPassphraseLength: nil, MaxPassphraseLength + 1: ErrUnfit} {
		if _, err := (Passphrase{make(fido.Secret, n)}).Seal(NewKey()); err != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	secret := Passphrase{fido.Secret("sesame-4711")}
	if text := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(text, "sesame") {
		t.Error(text)
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add([]byte((&Sealed{KindKeyFile, []byte("payload")}).Encode()))
	f.Add([]byte((&Sealed{"tpm", make([]byte, MaxPayload)}).Encode()))
	f.Add([]byte("fob-sealed-key/1 keyfile AAAA AAAA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSealed(text)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatal(err)
			}
			// The same with a sum that is right.
			if i := bytes.LastIndexByte(text, ' '); i >= 0 {
				text = append(text[:i:i], " "+checksum(string(text[:i]))...)
				s, err = ParseSealed(text)
			}
		}
		if err == nil && !bytes.Equal(s.Encode(), text) {
			t.Fatalf("%q became %q", text, s.Encode())
		}
	})
}

// Each byte of a sealed key is covered by its sum.
func TestSealedDamage(t *testing.T) {
	text := (&Sealed{KindPassphrase, make([]byte, payloadSize)}).Encode()
	for at := range text {
		changed := bytes.Clone(text)
		changed[at] ^= 1
		if _, err := ParseSealed(changed); !errors.Is(err, ErrInvalid) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
}
