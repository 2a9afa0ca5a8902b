package apps

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha1"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

// adapt gives a random token a name, where the format needs one.
func adapt(t *seedfile.Token) {
	if t.Account == "" {
		t.Account = fmt.Sprintf("%x", []byte(t.Seed))
	}
}

var writable = slices.DeleteFunc(slices.Clone(All), func(f *seedfile.Format) bool { return f.Writes == 0 })

func TestRoundTrip(t *testing.T) {
	for _, f := range writable {
		t.Run(f.Name, func(t *testing.T) {
			seedfiletest.Trip{Adapt: adapt}.RoundTrip(t, f)
		})
	}
}

func TestRefuses(t *testing.T) {
	for _, f := range writable {
		t.Run(f.Name, func(t *testing.T) {
			seedfiletest.Trip{Adapt: adapt}.Refuses(t, f)
		})
	}
}

var passphrase = hotp.Seed("correct horse, čistá baterie")

var encrypting = slices.DeleteFunc(slices.Clone(writable), func(f *seedfile.Format) bool {
	return f.Writes&seedfile.Passphrase == 0
})

func TestEncryptedRoundTrip(t *testing.T) {
	for _, f := range encrypting {
		t.Run(f.Name, func(t *testing.T) {
			seedfiletest.Trip{Adapt: adapt,
				Write: seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: passphrase}}.RoundTrip(t, f)
		})
	}
}

// samples are tokens with what is hard for a format, as far as it has room for it.
func samples(f *seedfile.Format) []*seedfile.Token {
	rfc6238 := func(n int) hotp.Seed { return hotp.Seed(strings.Repeat("1234567890", 7)[:n]) }
	all := []*seedfile.Token{
		{Parameters: hotp.DefaultTOTP, Seed: rfc6238(20), Issuer: "ACME Co", Account: "alice@example.com"},
		{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 8, Period: 60}, Seed: rfc6238(32),
			Issuer: `Čaj & "Káva", s.r.o.`, Account: `bob\žluťoučký/+=%`},
		{Parameters: hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA512, Digits: 8}, Seed: rfc6238(64),
			Issuer: "Bank", Account: "", Counter: 1 << 40},
		{Parameters: hotp.DefaultTOTP, Seed: hotp.Seed("\x00\x80\x7f\xff0123456789"), Issuer: "Bank", Account: "carol"},
	}
	return slices.DeleteFunc(all, func(t *seedfile.Token) bool { return f.Check(t, 0) != nil })
}

var update = flag.Bool("update", false, "writes the samples anew")

// TestSamples reads and writes files that are kept.
func TestSamples(t *testing.T) {
	for _, f := range writable {
		t.Run(f.Name, func(t *testing.T) {
			path := filepath.Join("../../../testdata/seedfile/apps", f.Name+f.Extension)
			if *update {
				file, err := seedfiletest.WriteAll(f, samples(f), seedfile.WriteOptions{Lock: seedfile.Plain})
				if err := errors.Join(err, os.WriteFile(path, file, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			if len(samples(f)) < 2 {
				t.Error("the format has no room for the samples")
			}
			seedfiletest.Golden(t, f, path, samples(f), seedfiletest.Trip{})
		})
	}
}

// TestDetect: each format knows its own files, and is surer of them than all others.
func TestDetect(t *testing.T) {
	for _, f := range writable {
		for _, lock := range []seedfile.Lock{seedfile.Plain, seedfile.Passphrase} {
			if f.Writes&lock == 0 {
				continue
			}
			file, err := seedfiletest.WriteAll(f, samples(f), seedfile.WriteOptions{Lock: lock, Secret: passphrase})
			if err != nil {
				t.Fatal(err)
			}
			file = file[:min(len(file), seedfile.HeadSize)]
			sure := f.Detect(file)
			if sure == 0 {
				t.Errorf("%s does not know its own file", f.Name)
			}
			for _, other := range All {
				if n := other.Detect(file); other != f && n >= sure {
					t.Errorf("%s is %d sure of a file of %s, which is %d", other.Name, n, f.Name, sure)
				}
			}
		}
	}
}

// judge runs a program that knows the formats, and has nothing of ours.
func judge(t *testing.T, what string, f *seedfile.Format, file []byte) []byte {
	t.Helper()
	const debianPython = "/usr/bin/python3" // which has python3-cryptography
	cmd := exec.CommandContext(t.Context(), debianPython, "testdata/judge.py", what, f.Name, string(passphrase))
	cmd.Stdin = bytes.NewReader(file)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", what, f.Name, err, &problem)
	}
	return out
}

var knows = seedfile.ReadOptions{Unlock: func(seedfile.Lock, string) (hotp.Seed, error) {
	return bytes.Clone(passphrase), nil
}}

// TestOthersEncrypt reads what another program has encrypted.
func TestOthersEncrypt(t *testing.T) {
	for _, f := range encrypting {
		t.Run(f.Name, func(t *testing.T) {
			plain, err := seedfiletest.WriteAll(f, samples(f), seedfile.WriteOptions{Lock: seedfile.Plain})
			if err != nil {
				t.Fatal(err)
			}
			switch f {
			case Aegis:
				plain = member(plain, "db")
			case TwoFAS:
				plain = member(plain, "services")
			}
			got, err := seedfiletest.ReadAll(f, judge(t, "seal", f, plain), knows)
			if err != nil {
				t.Fatal(err)
			}
			seedfiletest.Same(t, got, samples(f))
		})
	}
}

// TestOthersDecrypt has another program decrypt what we have written.
func TestOthersDecrypt(t *testing.T) {
	for _, f := range encrypting {
		t.Run(f.Name, func(t *testing.T) {
			file, err := seedfiletest.WriteAll(f, samples(f),
				seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: passphrase})
			if err != nil {
				t.Fatal(err)
			}
			plain := judge(t, "open", f, file)
			switch f {
			case Aegis:
				plain = fmt.Appendf(nil, `{"header":{"slots":null},"db":%s}`, plain)
			case TwoFAS:
				plain = fmt.Appendf(nil, `{"schemaVersion":4,"services":%s}`, plain)
			}
			got, err := seedfiletest.ReadAll(f, plain, seedfile.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			seedfiletest.Same(t, got, samples(f))
		})
	}
}

func TestUnlock(t *testing.T) {
	f := TwoFAS
	file, err := seedfiletest.WriteAll(f, samples(f), seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: passphrase})
	if err != nil {
		t.Fatal(err)
	}
	asks := func(answers ...string) (given []hotp.Seed, err error) {
		ask := func(l seedfile.Lock, _ string) (hotp.Seed, error) {
			if l != seedfile.Passphrase {
				t.Errorf("asked for lock %d", l)
			}
			if len(given) == len(answers) {
				return nil, io.ErrUnexpectedEOF
			}
			given = append(given, hotp.Seed(answers[len(given)]))
			return given[len(given)-1], nil
		}
		r, err := f.NewReader(bytes.NewReader(file), seedfile.ReadOptions{Unlock: ask})
		if err == nil {
			_, err = r.Read()
			r.Close()
		}
		return given, err
	}
	for _, test := range []struct {
		answers []string
		err     error
	}{
		{nil, io.ErrUnexpectedEOF},
		{[]string{"wrong"}, io.ErrUnexpectedEOF},
		{[]string{"wrong", "wrong"}, seedfile.ErrWrongKey},
		{[]string{"wrong", "worse", string(passphrase)}, nil},
	} {
		given, err := asks(test.answers...)
		if !errors.Is(err, test.err) || len(given) != len(test.answers) {
			t.Errorf("%q: asked %d times, %v", test.answers, len(given), err)
		}
		for _, g := range given {
			if !g.Equal(make(hotp.Seed, len(g))) {
				t.Errorf("%q: a passphrase was not wiped", test.answers)
			}
		}
	}
	if _, err := f.NewReader(bytes.NewReader(file), seedfile.ReadOptions{}); !errors.As(err, new(*seedfile.LockedError)) {
		t.Errorf("without a passphrase: %v", err)
	}
}

// TestStream: messages of all lengths come back, and none of their bytes can be changed.
func TestStream(t *testing.T) {
	key, header := random(keySize), random(streamHeader)
	for n := range 200 {
		plain := random(n)
		sealed, err := sealStream(key, header, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := openStream(key, header, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: %x, %v", n, got, err)
		}
		sealed[n%len(sealed)] ^= 1
		if _, err := openStream(key, header, sealed); !errors.Is(err, seedfile.ErrWrongKey) {
			t.Errorf("%d bytes, one changed: %v", n, err)
		}
	}
}

// TestChanged: no byte of what is encrypted can be changed.
func TestChanged(t *testing.T) {
	salt := random(andOTPSalt)
	key, err := pbkdf2.Key(sha1.New, string(passphrase), salt, 1000, keySize)
	if err != nil {
		t.Fatal(err)
	}
	nonce, sealed := seal(key, []byte("[]"))
	file := slices.Concat([]byte{0, 0, 1000 >> 8, 1000 & 255}, salt, nonce, sealed)
	if _, err := seedfiletest.ReadAll(AndOTP, file, knows); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{3, 4, 16, andOTPHeader, len(file) - 1} {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if _, err := seedfiletest.ReadAll(AndOTP, changed, knows); !errors.Is(err, seedfile.ErrWrongKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestWriteOptions(t *testing.T) {
	for _, f := range writable {
		for name, o := range map[string]seedfile.WriteOptions{
			"no lock":       {},
			"key":           {Lock: seedfile.Key, Secret: passphrase},
			"no passphrase": {Lock: seedfile.Passphrase},
		} {
			if _, err := f.NewWriter(io.Discard, o); !errors.As(err, new(*seedfile.SettingError)) {
				t.Errorf("%s, %s: %v", f.Name, name, err)
			}
		}
	}
}

// TestCosts: what a hostile file wants of a computer is refused before anybody is asked for a passphrase.
func TestCosts(t *testing.T) {
	aegis := func(n, r, p, slots int) string {
		slot := fmt.Sprintf(`{"type":1,"key":"%064d",`+
			`"key_params":{"nonce":"%024d","tag":"%032d"},"n":%d,"r":%d,"p":%d,"salt":"00"}`,
			0, 0, 0, n, r, p)
		return `{"header":{"slots":[` + strings.Repeat(slot+",", slots-1) + slot +
			`],"params":{"nonce":"000000000000000000000000","tag":"00000000000000000000000000000000"}},"db":"AAAA"}`
	}
	asked := errors.New("asked")
	o := seedfile.ReadOptions{Unlock: func(seedfile.Lock, string) (hotp.Seed, error) { return nil, asked }}
	ente := func(memory, time int) string {
		return fmt.Sprintf(`{"version":1,"kdfParams":{"memLimit":%d,"opsLimit":%d,"salt":"AAAAAAAAAAAAAAAAAAAAAA=="},`+
			`"encryptedData":"AAAAAAAAAAAAAAAAAAAAAAAA","encryptionNonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, memory, time)
	}
	for file, want := range map[string]bool{
		ente(64<<20, 3):                              true,
		ente(1<<30, 4):                               true,
		ente(1<<28, 16):                              true,
		ente(1<<30, 5):                               false,
		ente(1<<31, 1):                               false,
		ente(4096, 1):                                false,
		ente(1<<20, 0):                               false,
		ente(1<<20, -1):                              false,
		aegis(1<<15, 8, 1, 1):                        true,
		aegis(1<<15, 8, 1, 16):                       true,
		aegis(1<<15, 8, 1, 17):                       false,
		aegis(1<<17, 8, 1, 1):                        true,
		aegis(1<<18, 8, 1, 1):                        false,
		aegis(1<<15, 1<<30, 1, 1):                    false,
		aegis(1<<62, 8, 1, 1):                        false,
		aegis(3, 8, 1, 1):                            false,
		aegis(-4, 8, 1, 1):                           false,
		aegis(1<<15, 0, 1, 1):                        false,
		aegis(1<<15, 8, 0, 1):                        false,
		aegis(1<<15, 8, 5, 1):                        false,
		"\x00\x02\x00\x00" + strings.Repeat("x", 50): true,
		"\x7f\x00\x00\x00" + strings.Repeat("x", 50): false,
		"\x00\x00\x00\x01" + strings.Repeat("x", 50): false,
	} {
		f := Aegis
		switch {
		case file[0] != '{':
			f = AndOTP
		case strings.Contains(file, "kdfParams"):
			f = Ente
		}
		_, err := f.NewReader(strings.NewReader(file), o)
		if errors.Is(err, asked) != want || !want && !errors.As(err, new(*seedfile.FormatError)) {
			t.Errorf("%.300q: %v", file, err)
		}
	}
}

// TestClose: a reader leaves no seed in the memory of the file.
func TestClose(t *testing.T) {
	file, err := seedfiletest.WriteAll(Aegis, samples(Aegis), seedfile.WriteOptions{Lock: seedfile.Plain})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Aegis.NewReader(bytes.NewReader(file), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	held := r.(*reader).file
	if !bytes.Equal(held, file) {
		t.Fatal("another file is held")
	}
	r.Close()
	if !bytes.Equal(held, make([]byte, len(file))) {
		t.Error("the file was not wiped")
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}
