package emulator

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"fob/fido/ctap"
)

func openState(t *testing.T, path string) *StateFile {
	t.Helper()
	f, err := OpenStateFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	f := openState(t, path)
	p := newPlatform(t, Options{File: f})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	wrapped, err := p.makeCredential(credentialRequest())
	p.must(err)
	_, err = p.pinToken(ctap.PINProtocolTwo, "0000", 0)
	p.wants(err, ctap.ErrPINInvalid)
	_, before, err := p.getAssertion(assertionRequest(wrapped))
	p.must(err)

	if _, err := OpenStateFile(path, nil); !errors.Is(err, ErrStateInUse) {
		t.Errorf("a second program: %v", err)
	}
	p.must(f.Close())
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	p = newPlatform(t, Options{File: openState(t, path)})
	resp, after, err := p.getAssertion(assertionRequest(wrapped))
	p.must(err)
	if !verify(wrapped.public, resp.AuthData, resp.Signature) || after.SignCount <= before.SignCount {
		t.Errorf("counter %d after %d", after.SignCount, before.SignCount)
	}
	if retries, _ := p.pinRetries(); retries != maxPINRetries-1 {
		t.Errorf("%d retries", retries)
	}
}

// TestStateThatCannotBeSaved: the key acknowledges nothing that it could not make durable.
func TestStateThatCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{File: openState(t, filepath.Join(dir, "key.json"))})
	c, err := p.makeCredential(credentialRequest(discoverable))
	p.must(err)
	p.must(os.RemoveAll(dir))
	_, err = p.makeCredential(credentialRequest(discoverable, forUser("bob")))
	p.wants(err, ctap.ErrOther)
	_, _, err = p.getAssertion(assertionRequest(c))
	p.wants(err, ctap.ErrOther)
	if n := len(p.a.Credentials()); n != 1 {
		t.Errorf("%d credentials", n)
	}
	if err := p.a.SetPIN([]byte("1234")); !errors.Is(err, ctap.ErrOther) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a PIN at the workbench: %v", err)
	}
}

func TestStateFileThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	for _, content := range []string{"", "{}", "[]", `{"version":1}`, `{"version":2}`, `{"version":2,"profile":"none"}`, "\x00"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f := openState(t, path)
		if _, err := New(Options{File: f}); !errors.Is(err, ErrStateInvalid) {
			t.Errorf("%q: %v", content, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != content {
			t.Errorf("%q became %q, %v", content, left, err)
		}
		f.Close()
	}
}

func FuzzParseState(f *testing.F) {
	s := newState(&fido21)
	c := newCredential(ctap.ES256)
	c.ID, c.RPID = []byte{1}, "example.com"
	s.add(c)
	b, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := parseState(b)
		if err != nil {
			if !errors.Is(err, ErrStateInvalid) {
				t.Fatal(err)
			}
			return
		}
		again, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseState(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		third, err := json.Marshal(second)
		if err != nil || !reflect.DeepEqual(third, again) {
			t.Fatalf("%s became %s", again, third)
		}
	})
}

// FuzzServeCTAP sends arbitrary commands to a key with a PIN and a credential: it answers each with a status.
func FuzzServeCTAP(f *testing.F) {
	f.Add(credentialRequest().Encode(), assertionRequest().Encode())
	f.Add([]byte{byte(ctap.CommandGetInfo)}, []byte{byte(ctap.CommandClientPIN), 0xa1, 2, 1})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := newPlatform(t, Options{})
		p.must(p.a.SetPIN([]byte("1234")))
		for _, payload := range [][]byte{first, second, {byte(ctap.CommandGetNextAssertion)}} {
			p.send(payload)
		}
		if retries, _ := p.pinRetries(); retries > maxPINRetries {
			t.Fatalf("%d retries", retries)
		}
	})
}
