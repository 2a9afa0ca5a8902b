package account

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// part decodes one of the parts of a JWT.
func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[i])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestClaims(t *testing.T) {
	w := newWorld(t)
	bound, synced := newSoftKey(false), newSoftKey(true)
	bound.flags &^= 4 // without user verification
	_, err := w.enrolKey(bound, "alice", "bound", admin)
	w.must(err)
	_, err = w.enrolKey(synced, "alice", "synced", admin)
	w.must(err)
	w.must(w.enrolTOTP("alice", "app", admin))
	for _, one := range []struct {
		device, acr string
		amr         []any
		key         *softKey
	}{
		{"bound", "phrh", []any{"hwk", "user"}, bound},
		{"synced", "phr", []any{"swk", "user", "mfa"}, synced},
		{"app", "otp", []any{"otp"}, nil},
	} {
		c, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice", Nonce: one.device, Audience: "deploy",
			Lifetime: time.Minute})
		w.must(err)
		proof := Proof{Code: w.code(w.seeds["app"], 0)}
		if one.key != nil {
			proof = Proof{Response: one.key.signIn(t, c)}
		}
		in, err := w.FinishSignIn(c.ID, proof)
		w.must(err)
		got := part(t, in.JWT, 1)
		for name, want := range map[string]any{
			"iss": "fob:home", "sub": "alice", "aud": "deploy", "nonce": one.device, "device": one.device,
			"device_kind": string(in.Device.Kind), "acr": one.acr, "auth_time": float64(w.clock.Unix()),
			"exp": float64(w.clock.Unix() + 60),
		} {
			if got[name] != want {
				t.Errorf("%s: %s is %v, and not %v", one.device, name, got[name], want)
			}
		}
		if amr, _ := got["amr"].([]any); !slices.Equal(amr, one.amr) {
			t.Errorf("%s: %v", one.device, amr)
		}
	}
}

// TestOpenSSLVerifies has OpenSSL verify JWTs by the keys of the realm, and refuse changed ones.
func TestOpenSSLVerifies(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if err := exec.Command(python, "-c", "import cryptography").Run(); err != nil {
		t.Skip("python3-cryptography is not installed")
	}
	for _, algorithm := range []string{ES256, EdDSA} {
		w := newWorld(t)
		w.realm("signed", Settings{Algorithm: algorithm})
		e, err := w.BeginEnrol(EnrolRequest{Realm: "signed", Principal: Root, Name: "app", Kind: VirtualTOTP})
		w.must(err)
		_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(e.Seed, 0), Code2: w.code(e.Seed, 1)})
		w.must(err)
		w.later()
		c, err := w.BeginSignIn(SignInRequest{Realm: "signed", Principal: Root})
		w.must(err)
		in, err := w.FinishSignIn(c.ID, Proof{Code: w.code(e.Seed, 0)})
		w.must(err)
		set, err := w.Keys("signed")
		w.must(err)
		if part(t, in.JWT, 0)["kid"] != set.Keys[0].ID || part(t, in.JWT, 0)["alg"] != algorithm {
			t.Errorf("%v", part(t, in.JWT, 0))
		}
		keys, err := json.Marshal(set)
		w.must(err)
		verify := func(token string) error {
			dir := t.TempDir()
			w.must(os.WriteFile(filepath.Join(dir, "keys"), keys, 0o600))
			w.must(os.WriteFile(filepath.Join(dir, "jwt"), []byte(token), 0o600))
			return exec.Command(python, "testdata/verify.py", filepath.Join(dir, "keys"), filepath.Join(dir, "jwt")).Run()
		}
		if err := verify(in.JWT); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		parts := strings.Split(in.JWT, ".")
		forged := strings.Replace(string(must(base64.RawURLEncoding.DecodeString(parts[1]))), "root", "boot", 1)
		parts[1] = base64.RawURLEncoding.EncodeToString([]byte(forged))
		if err := verify(strings.Join(parts, ".")); err == nil {
			t.Errorf("%s: a forged one passes", algorithm)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
