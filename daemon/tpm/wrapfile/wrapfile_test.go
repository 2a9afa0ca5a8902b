package wrapfile

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/hotp"
	"fob/hotp/seedfile"
)

const key = `-----BEGIN TPM2B_PUBLIC-----
AFoAIwALAAMEcgAAAAYAgABDABAAAwAQACB7Bbo1r368q+j6AteYaS6C113SnF2w
QjOKOLbJKPkGBgAg6ieFK2B315lYlKA4gNCHAtpmKlqEvtC8wtMWdU/6eHM=
-----END TPM2B_PUBLIC-----
`

func tokens() []*seedfile.Token {
	hotpToken := &seedfile.Token{Parameters: hotp.DefaultHOTP, Serial: "4712", User: "bob@example.com", Counter: 7,
		Seed: hotp.Seed("abcdefghijklmnopqrst")}
	totp := &seedfile.Token{
		Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 8, Period: 60, T0: 9},
		Issuer:     "ACME <&>", Account: "alice", Seed: hotp.Seed("12345678901234567890123456789012")}
	return []*seedfile.Token{hotpToken, totp}
}

func write(t testing.TB, to *tpm.SRK) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := Format(to).NewWriter(&b, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens() {
		if err := w.Write(token); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (all []*Token, err error) {
	err = Read(bytes.NewReader(b), func(t *Token) error {
		all = append(all, t)
		return nil
	})
	return all, err
}

// What an issuer writes without a TPM, that TPM can use, and no seed is in the clear.
func TestRoundTrip(t *testing.T) {
	by := tpmtest.Start(t).TPM()
	to, err := by.SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := write(t, to)
	if !Is(b) || Is([]byte(`{"format":"another"}`)) {
		t.Error("it is not known for what it is")
	}
	all, err := read(b)
	if err != nil || len(all) != 2 {
		t.Fatal(len(all), err)
	}
	for i, token := range tokens() {
		got := all[i]
		if bytes.Contains(b, token.Seed) {
			t.Error("a seed is in the clear")
		}
		if got.Parameters != token.Parameters || got.Serial != token.Serial || got.Account != token.Account ||
			got.Issuer != token.Issuer || got.User != token.User || got.Counter != token.Counter ||
			got.SeedSize != len(token.Seed) {
			t.Errorf("%+v", got)
		}
		if _, err := by.Import(t.Context(), got.Key); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusals(t *testing.T) {
	to, err := tpm.ParseSRK([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	whole := string(write(t, to))
	lines := strings.SplitAfter(whole, "\n")
	for what, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":             {"", ErrInvalid},
		"another file":        {"token,seed\n", ErrInvalid},
		"a newer one":         {strings.Replace(whole, `"version":1`, `"version":2`, 1), ErrNewer},
		"an older one":        {strings.Replace(whole, `"version":1`, `"version":0`, 1), ErrInvalid},
		"without its end":     {strings.Join(lines[:3], ""), ErrInvalid},
		"a token is missing":  {lines[0] + lines[1] + lines[3], ErrInvalid},
		"more behind the end": {whole + "\n", ErrInvalid},
		"digits":              {strings.Replace(whole, `"digits":6`, `"digits":5`, 1), ErrInvalid},
		"an unknown member":   {strings.Replace(whole, `"digits":6`, `"color":1,"digits":6`, 1), ErrInvalid},
		"spaces":              {strings.Replace(whole, `"digits":6`, `"digits": 6`, 1), ErrInvalid},
		"no type":             {strings.Replace(whole, `"hotp"`, `"steam"`, 1), ErrInvalid},
		"a long line":         {lines[0] + strings.Repeat("x", maxLine) + "\n", ErrInvalid},
		"a damaged key":       {strings.Replace(whole, `"wrapped":"AQ`, `"wrapped":"Ag`, 1), ErrInvalid},
	} {
		if _, err := read([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w, err := Format(to).NewWriter(new(bytes.Buffer), seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	expires := tokens()[0]
	expires.Model = "model 1"
	var lost *seedfile.LossError
	if err := w.Write(expires); !errors.As(err, &lost) || lost.Field != seedfile.FieldModel {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := Read(strings.NewReader(whole), func(*Token) error { return stop }); err != stop {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	to, err := tpm.ParseSRK([]byte(key))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(write(f, to))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := read(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNewer) {
				t.Error(err)
			}
			return
		}
		again := encode(header{formatName, version})
		for _, token := range all {
			again = append(again, token.encode()...)
		}
		again = append(again, encode(end{len(all)})...)
		if strings.TrimRight(string(again), "\n") != strings.TrimRight(string(b), "\n") {
			t.Errorf("%q is written as %q", b, again)
		}
	})
}
