package pskc

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

// judged are tokens with all that a file can have, and with next to nothing.
func judged() []*seedfile.Token {
	return []*seedfile.Token{
		{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 8, Period: 60}, Drift: -4,
			Seed: hotp.Seed("12345678901234567890123456789012"), Serial: "FOB00000001", ID: "key <1> & \"more\"",
			Account: "alice@example.com",
			Issuer:  "ACME & Söhne", User: "CN=Alice,DC=example", Manufacturer: "ACME <Tokens>", Model: "One", Start: noon,
			Expiry: noon.AddDate(5, 0, 0)},
		{Parameters: hotp.DefaultHOTP, Seed: hotp.Seed("12345678901234567890"), Serial: "FOB00000002", Counter: 1 << 40,
			Account: "bob, the builder", User: "bob"},
		{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA512, Digits: 6, Period: 30},
			Seed: hotp.Seed(strings.Repeat("1234567890123456", 8)), Serial: "FOB00000003", Account: "CN=Carol"},
		{Parameters: hotp.DefaultTOTP, Seed: hotp.Seed("1")},
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// written writes a file of tokens into a folder of the test.
func written(t *testing.T, tokens []*seedfile.Token, o seedfile.WriteOptions) string {
	t.Helper()
	file, err := seedfiletest.WriteAll(Format, tokens, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokens.pskcxml")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// allWays are the ways, for each dialect where it can have them.
func allWays() map[string]seedfile.WriteOptions {
	all := make(map[string]seedfile.WriteOptions)
	for name, o := range ways {
		all[name] = o
	}
	for _, d := range dialects[1:] {
		for _, name := range []string{"plain", "aes128", "passphrase"} {
			o := ways[name]
			o.Settings = settings{"dialect": d.name}
			if name == "passphrase" {
				o.Settings["iterations"] = "1000"
			}
			o.Drop = seedfile.Droppable
			all[name+" for "+d.name] = o
		}
	}
	return all
}

// fitting are those of tokens that a file can hold.
func fitting(t *testing.T, o seedfile.WriteOptions) (tokens []*seedfile.Token) {
	t.Helper()
	for _, token := range judged() {
		if _, err := seedfiletest.WriteAll(Format, []*seedfile.Token{token}, o); err == nil {
			tokens = append(tokens, token)
		}
	}
	if len(tokens) < 2 {
		t.Fatalf("only %d tokens fit", len(tokens))
	}
	return tokens
}

// TestPskctoolValidates: all that is written is by the schema of RFC 6030.
func TestPskctoolValidates(t *testing.T) {
	for name, o := range allWays() {
		t.Run(name, func(t *testing.T) {
			path := written(t, fitting(t, o), o)
			cmd := exec.Command("pskctool", "--validate", "--quiet", path) // without --quiet it never fails
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s (it is in the package pskctool)", err, out)
			}
		})
	}
}

// TestPskctoolCanFail: it does tell of a file that is not by the schema.
func TestPskctoolCanFail(t *testing.T) {
	path := written(t, judged(), ways["plain"])
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.ReplaceAll(file, []byte("Suite>"), []byte("Sweet>"))
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("pskctool", "--validate", "--quiet", path).Run(); err == nil {
		t.Error("an unknown element is valid for pskctool")
	}
}

// TestPskctoolReads: pskctool reads the values that were written.
func TestPskctoolReads(t *testing.T) {
	out, err := exec.Command("pskctool", "--info", "--strict", written(t, judged(), ways["plain"])).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packages := strings.Split(string(out), "\tKeyPackage ")[1:]
	for i, token := range judged() {
		want := []string{"Key Secret (base64): " + base64.StdEncoding.EncodeToString(token.Seed),
			"Algorithm: urn:ietf:params:xml:ns:keyprov:pskc:" + token.Type.String(), "Suite: " + token.Algorithm.String(),
			fmt.Sprintf("Response Format Length: %d", token.Digits), "Response Format Encoding: DECIMAL"}
		for name, value := range map[string]string{"SerialNo": token.Serial, "Manufacturer": token.Manufacturer,
			"Model":  token.Model,
			"Issuer": token.Issuer, "Id": idOf(token), "Key User Id": dnOf(token.Account), "UserId": dnOf(token.User)} {
			if value != "" {
				want = append(want, name+": "+value)
			}
		}
		if token.Type == hotp.HOTP {
			want = append(want, fmt.Sprintf("Key Counter: %d", token.Counter))
		} else {
			want = append(want, fmt.Sprintf("Key TimeInterval: %d", token.Period))
			if token.Drift != 0 {
				want = append(want, fmt.Sprintf("Key TimeDrift: %d", uint32(token.Drift))) // as it prints what is negative
			}
		}
		got := strings.Split(packages[i], "\n")
		for _, line := range want {
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(strings.TrimSpace(s), line) }) {
				t.Errorf("no %q in %s", line, packages[i])
			}
		}
	}
}

// judgment is what testdata/judge.py prints of a key.
type judgment struct {
	Serial, ID, Algorithm, Suite, Encoding, Seed       string
	Manufacturer, Model, Issuer, Account, FriendlyName string
	User, Start, Expiry, MAC, KeyName                  string
	Digits, Counter, Period, Drift                     int64
	Checked                                            bool
}

// judge lets python-pskc decrypt a file.
func judge(t *testing.T, path string, lock seedfile.Lock, secret hotp.Seed) (keys []judgment, err error) {
	t.Helper()
	name := map[seedfile.Lock]string{seedfile.Plain: "plain", seedfile.Key: "key",
		seedfile.Passphrase: "passphrase"}[lock]
	cmd := exec.Command("/usr/bin/python3", "testdata/judge.py")
	cmd.Stdin = strings.NewReader(path + "\n" + name + "\n" + hex.EncodeToString(secret) + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s (it is in the package python3-pskc)", err, stderr.Bytes())
	}
	return keys, json.Unmarshal(out, &keys)
}

// TestPythonDecrypts: python-pskc finds each MAC right, and reads what was written.
func TestPythonDecrypts(t *testing.T) {
	for name, o := range allWays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens := fitting(t, o)
			keys, err := judge(t, written(t, tokens, o), o.Lock, o.Secret)
			if err != nil {
				t.Fatal(err)
			}
			if len(keys) != len(tokens) {
				t.Fatalf("%d keys, expected %d", len(keys), len(tokens))
			}
			d := dialectOf(o.Settings["dialect"])
			for i, token := range tokens {
				if got, want := keys[i], expected(token, d, o); got != want {
					t.Errorf("%+v\nexpected\n%+v", got, want)
				}
			}
		})
	}
}

// expected is what python-pskc is to read of a token.
func expected(token *seedfile.Token, d *dialect, o seedfile.WriteOptions) judgment {
	date := func(t time.Time, lost seedfile.Field) string {
		if t.IsZero() || d.lost&lost != 0 {
			return ""
		}
		return t.Format(time.RFC3339)
	}
	j := judgment{Serial: token.Serial, ID: idOf(token), Algorithm: pskcSpace + ":" + token.Type.String(),
		Suite: token.Algorithm.String(), Encoding: "DECIMAL", Seed: hex.EncodeToString(token.Seed),
		Manufacturer: token.Manufacturer, Model: token.Model, Issuer: token.Issuer, User: dnOf(token.User),
		Start: date(token.Start, seedfile.FieldStart), Expiry: date(token.Expiry, seedfile.FieldExpiry),
		Digits: int64(token.Digits), Counter: int64(token.Counter), Period: int64(token.Period), Drift: token.Drift,
		Checked: true}
	if d.lost&seedfile.FieldDrift != 0 {
		j.Drift = 0
	}
	if j.Account = dnOf(token.Account); d.friendlyName {
		j.Account, j.FriendlyName = "", token.Account
	}
	switch {
	case o.Lock == seedfile.Plain:
		return j
	case o.Settings["key-name"] != "":
		j.KeyName = o.Settings["key-name"]
	case o.Lock == seedfile.Key:
		j.KeyName = "Pre-shared key"
	default:
		j.KeyName = "Passphrase"
	}
	j.MAC = hmacURI(orElse(o.Settings["hmac"], "sha1"))
	return j
}

// TestPythonSeesChanges: python-pskc does find a MAC wrong that is.
func TestPythonSeesChanges(t *testing.T) {
	path := written(t, judged()[:1], ways["aes128"])
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, changed(t, file), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := judge(t, path, seedfile.Key, key16); err == nil || !strings.Contains(err.Error(),
		"MAC value does not match") {
		t.Error(err)
	}
}

// changed flips a bit of the last ValueMAC.
func changed(t *testing.T, file []byte) []byte {
	t.Helper()
	file = bytes.Clone(file)
	i := bytes.LastIndex(file, []byte("<ValueMAC>")) + len("<ValueMAC>")
	if file[i] == 'A' {
		file[i] = 'B'
	} else {
		file[i] = 'A'
	}
	return file
}
