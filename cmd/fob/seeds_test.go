package main

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/formats"
)

// seedWorld is a folder in which to run fob seeds.
type seedWorld struct {
	t         *testing.T
	world     *world
	dir       string
	recipient string // of the private key in the file key
}

func newSeedWorld(t *testing.T) *seedWorld {
	t.Helper()
	dir := t.TempDir()
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return &seedWorld{t, w, dir, key.Recipient().String()}
}

// run runs fob seeds, whose passphrases are file descriptors 3 and 4, and gives what it printed.
func (w *seedWorld) run(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	const passphrase = "correct horse battery"
	c := w.world.withPIN(w.dir, passphrase, append([]string{"seeds"}, args...)...)
	c.ExtraFiles = append(c.ExtraFiles, w.world.withPIN(w.dir, passphrase).ExtraFiles...)
	p, err := start("fob", c)
	if err != nil {
		w.t.Fatal(err)
	}
	if got, err := p.wait(); err != nil || got != code {
		w.t.Fatalf("fob seeds %q ended with %d, %v: %s", args, got, err, p.said.all())
	}
	return p.out.String(), p.err.String()
}

// revealed are the tokens of a file, as fob shows them.
func (w *seedWorld) revealed(args ...string) (list []map[string]any) {
	w.t.Helper()
	out, _ := w.run(0, append([]string{"show", "--json", "--reveal", "--plain"}, args...)...)
	for d := json.NewDecoder(strings.NewReader(out)); d.More(); {
		var token map[string]any
		if err := d.Decode(&token); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, token)
	}
	return list
}

// settingsFor are those that a format must have.
func settingsFor(f *seedfile.Format) (flags []string) {
	for _, s := range f.Settings {
		if s.Must {
			value := "x"
			if len(s.Values) > 0 {
				value = s.Values[0]
			}
			flags = append(flags, "--set", s.Name+"="+value)
		}
	}
	return flags
}

// TestSeedsThroughEveryFormat: new tokens go from a PSKC file into each format that takes tokens by the clock or by a
// counter, encrypted with a passphrase where the format can be, else by age, and from there give the same
// codes, of which oathtool is the judge.
func TestSeedsThroughEveryFormat(t *testing.T) {
	t.Parallel()
	oathtool, err := exec.LookPath("oathtool")
	if err != nil {
		t.Skip("NOT RUN: there is no oathtool")
	}
	w := newSeedWorld(t)
	seen := 0
	for _, kind := range []string{"totp", "hotp"} {
		source := kind + ".pskc"
		w.run(0, "generate", "3", source, "--type", kind, "--serial", "{10000001}", "--manufacturer", "ACME", "--model", "T1",
			"--plain")
		want := w.revealed(source)
		for _, f := range formats.All() {
			is := map[string]seedfile.Kind{"totp": seedfile.TOTP, "hotp": seedfile.HOTP}[kind]
			if f.NewWriter == nil || f.NewReader == nil || f.Carries.Kinds&is == 0 {
				continue
			}
			seen++
			w.through(oathtool, source, kind, f, want)
		}
	}
	if seen < 20 {
		t.Errorf("%d formats", seen)
	}
}

func (w *seedWorld) through(oathtool, source, kind string, f *seedfile.Format, want []map[string]any) {
	w.t.Helper()
	to := f.Name + "-" + kind
	flags := append(settingsFor(f), "--to", f.Name, "--drop", (seedfile.Droppable &^ f.Carries.Needs).String())
	fill := f.Carries.Needs & seedfile.Fillable &^ seedfile.FieldSerial
	if f.Carries.Fields&seedfile.FieldSerial == 0 {
		fill |= f.Carries.Fields & seedfile.FieldAccount
	}
	for _, field := range fill.Names() {
		flags = append(flags, "--fill", field+"=@serial")
	}
	lock, unlock := []string{"--new-passphrase-fd", "3"}, []string{"--passphrase-fd", "3"}
	if f.Writes&seedfile.Passphrase == 0 {
		lock, unlock = []string{"--recipient", w.recipient}, []string{"--identity", "key"}
	}
	w.run(0, slices.Concat([]string{"convert", source, to}, flags, lock)...)
	if f.Writes&seedfile.Passphrase == 0 {
		to += ".age"
	}
	got := w.revealed(append(unlock, to, "--from", f.Name, "--assume", "type="+kind)...)
	if len(got) != len(want) {
		w.t.Fatalf("%s: %d tokens, expected %d", f.Name, len(got), len(want))
	}
	for i := range got {
		if got[i]["seed"] != want[i]["seed"] {
			w.t.Errorf("%s: the seed of token %d is another", f.Name, i)
		}
	}
	w.judge(oathtool, f.Name, got[0])
}

// judge has oathtool make a code with what fob shows, and compares it with fob's.
func (w *seedWorld) judge(oathtool, name string, token map[string]any) {
	w.t.Helper()
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(token["seed"].(string))
	if err != nil {
		w.t.Fatal(err)
	}
	number := func(key string) int { n, _ := token[key].(float64); return int(n) }
	p := hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1, Digits: number("digits")}
	args, factor := []string{"-c", "7"}, uint64(7)
	if token["type"] == "totp" {
		p.Type, p.Period = hotp.TOTP, number("period")
		now := time.Unix(1234567890, 0)
		if factor, err = p.Step(now); err != nil {
			w.t.Fatal(err)
		}
		args = []string{"--totp=" + strings.ToLower(token["algorithm"].(string)),
			fmt.Sprintf("--time-step-size=%ds", p.Period), "-N", "@1234567890"}
	}
	c := exec.Command(oathtool, append(args, "-d", fmt.Sprint(p.Digits), "-")...)
	c.Stdin = strings.NewReader(hex.EncodeToString(seed))
	out, err := c.Output()
	code, codeErr := p.Code(seed, factor)
	if err != nil || codeErr != nil || strings.TrimSpace(string(out)) != code {
		w.t.Errorf("%s: oathtool says %q, %v; fob %q, %v", name, out, err, code, codeErr)
	}
}

// TestSeedsOnAFullDisk: what did not fit is not there, and what was there before is as it was.
func TestSeedsOnAFullDisk(t *testing.T) {
	t.Parallel()
	w := newSeedWorld(t)
	small := filepath.Join(w.dir, "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", small, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("NOT RUN: no small file system: %v", err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	old := filepath.Join(small, "old.pskc")
	w.run(0, "generate", "1", old, "--new-passphrase-fd", "3")
	before, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"new.pskc"}, {"new.age", "--age"}, {"old.pskc", "--force"}} {
		args = append([]string{"generate", "1000", "--new-passphrase-fd", "3", filepath.Join(small, args[0])}, args[1:]...)
		_, stderr := w.run(1, args...)
		if !strings.Contains(stderr, "no space left on device\nhint: nothing is left of the file") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	after, err := os.ReadFile(old)
	if err != nil || !bytes.Equal(after, before) {
		t.Errorf("the old file has changed: %v", err)
	}
	if entries, err := os.ReadDir(small); err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestSeedsToAFullPipe: standard output that takes no more is an error.
func TestSeedsToAFullPipe(t *testing.T) {
	t.Parallel()
	w := newSeedWorld(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var stderr bytes.Buffer
	c := w.world.command(w.dir, "fob", "seeds", "generate", "1000", "-", "--plain")
	c.Stdout, c.Stderr = full, &stderr
	if err := c.Run(); c.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("%v: %s", err, &stderr)
	}
}

// TestSeedKeys: keys are bytes, or as many pairs of digits.
func TestSeedKeys(t *testing.T) {
	raw := []byte("0123456789abcdef")
	for text, want := range map[string]string{
		"0123456789abcdef":                                 string(raw),
		"30313233343536373839616263646566":                 string(raw),
		"30313233343536373839616263646566\n":               string(raw),
		" 30313233343536373839616263646566\r\n":            string(raw),
		"0123456789ABCDEFghijklmnopqrstuv":                 "0123456789ABCDEFghijklmnopqrstuv",
		"\n23456789abcdef\n":                               "\n23456789abcdef\n",
		"":                                                 "",
		"0123456789abcdef\n":                               "",
		"303132333435363738396162636465":                   "",
		"303132333435363738396162636465667":                "",
		strings.Repeat("30", 32):                           strings.Repeat("0", 32),
		strings.Repeat("30", 33):                           "",
		"3031323334353637383961626364656z3031323334353637": "",
	} {
		key, err := parseSeedKey([]byte(text))
		if string(key) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, expected %q", text, []byte(key), err, want)
		}
	}
}

// TestFileNames: what a token is called can't lead out of the folder, nor hide a file.
func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{"ACME1": "ACME1", "../../etc/x": "_.._etc_x", ".hidden": "hidden",
		"a:b*c?d": "a_b_c_d", "bob@example.com": "bob@example.com", "..": ""} {
		if got := fileName(name); got != want {
			t.Errorf("%q: %q, expected %q", name, got, want)
		}
	}
}

// TestDroppableFieldsAreNamed: what the help says can be dropped, --drop takes.
func TestDroppableFieldsAreNamed(t *testing.T) {
	drop, err := parseFields(seedfile.Droppable.Names())
	if err != nil || drop != seedfile.Droppable {
		t.Errorf("%v, %v", drop, err)
	}
	if _, err := parseFields([]string{"seed"}); err == nil || slices.Contains(seedfile.Droppable.Names(), "seed") {
		t.Errorf("%v", err)
	}
}

// TestOpenInput: a FIFO to which nobody writes ends with the context, and is not at its end before somebody does.
func TestOpenInput(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := openInput(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody writes: %v", err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte("tokens"), 0) }()
	f, err := openInput(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "tokens" {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// TestForeign: what is to be done with a file that is no seed file by itself.
func TestForeign(t *testing.T) {
	for head, want := range map[string]string{"": "empty", "PK\x03\x04": "zip", "-----BEGIN PGP": "PGP",
		"\xff\xfeu\x00": "UTF-16", "\xfe\xff\x00u": "UTF-16"} {
		if hint := foreign([]byte(head)); !strings.Contains(hint, want) {
			t.Errorf("%q: %s", head, hint)
		}
	}
}
