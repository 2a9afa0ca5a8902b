package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// cheapScrypt makes passphrases fast to check, and to guess.
func cheapScrypt(t *testing.T) {
	before := scryptWorkFactor
	scryptWorkFactor = 4
	t.Cleanup(func() { scryptWorkFactor = before })
}

func openSealedState(t *testing.T, path, passphrase string) *StateFile {
	t.Helper()
	f, err := OpenStateFile(path, Passphrase(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestEncryptedState(t *testing.T) {
	cheapScrypt(t)
	path := filepath.Join(t.TempDir(), "key.json")
	f := openSealedState(t, path, "correct horse")
	p := newPlatform(t, Options{File: f})
	c, err := p.makeCredential(credentialRequest(discoverable, forUser("alice")))
	p.must(err)
	p.must(f.Close())
	b, err := os.ReadFile(path)
	p.must(err)
	for _, secret := range []string{"alice", "example.com", "privateKey", "correct horse"} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the file holds %q", secret)
		}
	}
	for passphrase, want := range map[string]error{"": ErrPassphraseWrong, "correct horsf": ErrPassphraseWrong} {
		f := openSealedState(t, path, passphrase)
		if _, err := New(Options{File: f}); !errors.Is(err, want) {
			t.Errorf("%q: %v", passphrase, err)
		}
		p.must(f.Close())
	}
	f = openState(t, path)
	if _, err := New(Options{File: f}); !errors.Is(err, ErrPassphraseMissing) {
		t.Errorf("without a passphrase: %v", err)
	}
	p.must(f.Close())
	if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, b) {
		t.Errorf("a failure has changed the file, %v", err)
	}

	p = newPlatform(t, Options{File: openSealedState(t, path, "correct horse")})
	_, d, err := p.getAssertion(assertionRequest(c))
	p.must(err)
	if d.SignCount != c.signCount+1 {
		t.Errorf("counter %d after %d", d.SignCount, c.signCount)
	}
}

// TestEncryptedStateDamaged: a file in which any part was changed is refused.
func TestEncryptedStateDamaged(t *testing.T) {
	cheapScrypt(t)
	path := filepath.Join(t.TempDir(), "key.json")
	f := openSealedState(t, path, "correct horse")
	newPlatform(t, Options{File: f})
	f.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 30; i < len(whole)-10; i += 41 {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		f := openSealedState(t, path, "correct horse")
		_, err := New(Options{File: f})
		if err == nil || !errors.Is(err, ErrStateInvalid) && !errors.Is(err, ErrPassphraseWrong) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		f.Close()
	}
}

// TestCostlyPassphrase: a file doesn't decide how much memory its passphrase takes.
func TestCostlyPassphrase(t *testing.T) {
	cheapScrypt(t)
	s, err := newSeal(Passphrase("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	costly := regexp.MustCompile(`(-> scrypt \S+) 4\n`).ReplaceAll(s.key, []byte("$1 22\n"))
	if bytes.Equal(costly, s.key) {
		t.Fatalf("%q", s.key)
	}
	if _, err := openSeal(costly, Passphrase("correct horse")); !errors.Is(err, ErrStateInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestClearStateWithPassphrase(t *testing.T) {
	cheapScrypt(t)
	path := filepath.Join(t.TempDir(), "key.json")
	f := openState(t, path)
	newPlatform(t, Options{File: f})
	f.Close()
	f = openSealedState(t, path, "correct horse")
	if _, err := New(Options{File: f}); !errors.Is(err, ErrNotEncrypted) {
		t.Errorf("a clear file: %v", err)
	}
}

// TestFixtures takes a key out of a file, and puts it into another one and into memory.
func TestFixtures(t *testing.T) {
	cheapScrypt(t)
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.json"), filepath.Join(dir, "to.json")
	if _, err := ExportFile(from, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("exported what is not there: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("made %v, %v", entries, err)
	}
	f := openState(t, from)
	p := newPlatform(t, Options{File: f})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	if _, err := ExportFile(from, nil); !errors.Is(err, ErrStateInUse) {
		t.Errorf("exported a file in use: %v", err)
	}
	running, err := p.a.Export()
	p.must(err)
	p.must(f.Close())
	fixture, err := ExportFile(from, nil)
	p.must(err)
	if !bytes.Equal(fixture, running) {
		t.Error("the key and its file differ")
	}

	p.must(ImportFile(to, Passphrase("correct horse"), fixture))
	if err := ImportFile(to, nil, fixture); !errors.Is(err, ErrStateExists) {
		t.Errorf("imported over a file: %v", err)
	}
	if err := ImportFile(filepath.Join(dir, "bad.json"), nil, fixture[1:]); !errors.Is(err, ErrStateInvalid) {
		t.Errorf("imported nonsense: %v", err)
	}
	_, err = New(Options{File: openSealedState(t, to, "correct horse"), Fixture: fixture})
	if !errors.Is(err, ErrStateExists) {
		t.Errorf("a fixture for a file that exists: %v", err)
	}
	for _, p := range []*platform{
		newPlatform(t, Options{Fixture: fixture}),
		newPlatform(t, Options{Fixture: fixture, File: openState(t, filepath.Join(dir, "new.json"))}),
	} {
		resp, _, err := p.getAssertion(assertionRequest(c))
		p.must(err)
		if !verify(c.public, resp.AuthData, resp.Signature) {
			t.Error("the assertion does not verify")
		}
	}
	back, err := ExportFile(filepath.Join(dir, "new.json"), nil)
	if !errors.Is(err, ErrStateInUse) {
		t.Errorf("%d bytes, %v", len(back), err)
	}
}

func TestPassphraseHidesItself(t *testing.T) {
	p := Passphrase("correct horse")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "p", p)
	for _, s := range []string{fmt.Sprint(p), fmt.Sprintf("%s %x %#v", p, p, p), log.String()} {
		if bytes.Contains([]byte(s), []byte("horse")) || bytes.Contains([]byte(s), []byte("686f")) {
			t.Error(s)
		}
	}
	p.Wipe()
	if !bytes.Equal(p, make([]byte, 13)) {
		t.Error("not wiped")
	}
}

func FuzzParseSealed(f *testing.F) {
	f.Add([]byte(`{"version":3,"sealedKey":"YQ==","sealed":"Yg=="}`))
	f.Add([]byte(`{"version":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSealed(b)
		if err != nil || s == nil {
			return
		}
		file := &StateFile{passphrase: Passphrase("x")}
		if _, err := file.open(b); err == nil {
			t.Fatalf("%q opened", b)
		}
	})
}
