package seedfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

func totp(serial string) *seedfile.Token {
	return &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: hotp.Seed("12345678901234567890"), Serial: serial}
}

func TestFieldNames(t *testing.T) {
	count := 0
	for f := seedfile.FieldKind; f <= seedfile.FieldAccessCode; f <<= 1 {
		count++
		names := f.Names()
		if len(names) != 1 {
			t.Fatalf("field %d has names %q", f, names)
		}
		if got, ok := seedfile.ParseField(names[0]); !ok || got != f {
			t.Errorf("%s is %v, %v", names[0], got, ok)
		}
	}
	if count != 20 {
		t.Errorf("%d fields", count)
	}
	if _, ok := seedfile.ParseField("colour"); ok {
		t.Error("a colour is a field")
	}
	if s := (seedfile.FieldSeed | seedfile.FieldUser).String(); s != "seed,user" {
		t.Error(s)
	}
}

// TestCheck: what a message says of a token that does not fit.
func TestCheck(t *testing.T) {
	little := seedfile.Capacity{Kinds: seedfile.TOTP | seedfile.YubicoOTP, Algorithms: []hotp.Algorithm{hotp.SHA1},
		Digits: []int{6}, Periods: []int{30}, MaxSeed: 20, Fields: seedfile.FieldIssuer, Needs: seedfile.FieldSerial}
	for name, c := range map[string]struct {
		change func(*seedfile.Token)
		want   string
	}{
		"fits": {func(*seedfile.Token) {}, ""},
		"hotp": {func(k *seedfile.Token) { k.Parameters = hotp.DefaultHOTP },
			"token A1: lines has no room for its kind (HOTP)"},
		"no serial": {func(k *seedfile.Token) { k.Serial = "" }, "token without a name has no serial, which lines needs"},
		"long": {func(k *seedfile.Token) { k.Seed = make(hotp.Seed, 21) },
			"token A1: lines has no room for its seed (21 bytes, and not at most 20)"},
		"algorithm": {func(k *seedfile.Token) { k.Algorithm = hotp.SHA256 },
			"token A1: lines has no room for its algorithm (SHA256)"},
		"digits": {func(k *seedfile.Token) { k.Digits = 8 }, "token A1: lines has no room for its digits (8 digits)"},
		"period": {func(k *seedfile.Token) { k.Period = 60 }, "token A1: lines has no room for its period (60 seconds)"},
		"t0":     {func(k *seedfile.Token) { k.T0 = 9 }, "token A1: lines has no room for its t0 (9)"},
		"drift":  {func(k *seedfile.Token) { k.Drift = 2 }, "token A1: lines has no room for its drift (2 steps)"},
		"user":   {func(k *seedfile.Token) { k.User = "bob" }, "token A1: lines has no room for its user (bob)"},
		"expiry": {func(k *seedfile.Token) { k.Expiry = time.Unix(0, 0).UTC() },
			"token A1: lines has no room for its expiry (1970-01-01 00:00:00 +0000 UTC)"},
		"access code": {func(k *seedfile.Token) {
			k.Seed = make(hotp.Seed, 16)
			k.Yubico = &seedfile.Yubico{PrivateID: make(hotp.Seed, 6), AccessCode: hotp.Seed("sesame")}
		}, "token A1: lines has no room for its access-code"},
		"empty":   {func(k *seedfile.Token) { k.Seed = nil }, "the seed is empty"},
		"control": {func(k *seedfile.Token) { k.Issuer = "a\nb" }, "its issuer has a control character"},
		"utf8":    {func(k *seedfile.Token) { k.Issuer = "\xff" }, "its issuer is no UTF-8"},
		"endless": {func(k *seedfile.Token) { k.Model = strings.Repeat("x", 1025) },
			"its model is longer than 1024 bytes"},
		"three digits":    {func(k *seedfile.Token) { k.Digits = 3 }, "digits must be 6 to 10, and not 3"},
		"counter of TOTP": {func(k *seedfile.Token) { k.Counter = 1 }, "counter is for hotp alone"},
		"drift of HOTP": {func(k *seedfile.Token) { k.Parameters, k.Drift = hotp.DefaultHOTP, 1 },
			"drift is for totp alone"},
		"aes": {func(k *seedfile.Token) { k.Yubico = &seedfile.Yubico{PrivateID: make(hotp.Seed, 6)} },
			"the seed is no AES key of 16 bytes"},
		"private ID": {func(k *seedfile.Token) { k.Seed, k.Yubico = make(hotp.Seed, 16), &seedfile.Yubico{} },
			"its private-id is not of 6 bytes"},
		"public ID": {func(k *seedfile.Token) {
			k.Seed = make(hotp.Seed, 16)
			k.Yubico = &seedfile.Yubico{PublicID: "ccxx", PrivateID: make(hotp.Seed, 6)}
		}, "its public-id is not of 0 to 32 digits of modhex"},
	} {
		token := totp("A1")
		c.change(token)
		got := ""
		if err := seedfiletest.Lines(little).Check(token, 0); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
}

// TestDrop: what makes the codes is never dropped, whoever asks for it.
func TestDrop(t *testing.T) {
	f := seedfiletest.Lines(seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP,
		Algorithms: []hotp.Algorithm{hotp.SHA1}})
	everything := ^seedfile.Field(0)
	if err := f.Check(totp("A1"), everything); err != nil {
		t.Errorf("a serial number: %v", err)
	}
	t0, counter := totp("A1"), totp("A1")
	t0.T0 = 1
	counter.Parameters, counter.Counter = hotp.DefaultHOTP, 5
	for _, token := range []*seedfile.Token{t0, counter} {
		if err := f.Check(token, everything); !errors.As(err, new(*seedfile.LossError)) {
			t.Errorf("%v: %v", token.Parameters, err)
		}
	}
}

func TestRowError(t *testing.T) {
	for want, e := range map[string]seedfile.RowError{
		"line 3, column 7: token A1: bad": {Line: 3, Column: 7, Token: "A1"},
		"line 3: bad":                     {Line: 3},
		"token A1: bad":                   {Token: "A1"},
		"bad":                             {Column: 7},
	} {
		e.Problem = errors.New("bad")
		if e.Error() != want {
			t.Errorf("%q, expected %q", e.Error(), want)
		}
	}
}

// file makes a file of tokens, by a format that can hold all.
func file(t *testing.T, tokens ...*seedfile.Token) []byte {
	t.Helper()
	b, err := seedfiletest.WriteAll(all(), tokens, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func all() *seedfile.Format {
	return seedfiletest.Lines(seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP | seedfile.YubicoOTP,
		Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512}, Fields: 1<<31 - 1})
}

// convert converts a file into one of 30 seconds and serial numbers alone.
func convert(t *testing.T, c *seedfile.Conversion, in []byte) (string, seedfile.Result, error) {
	t.Helper()
	from, err := all().NewReader(bytes.NewReader(in), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	little := seedfiletest.Lines(seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1},
		Periods: []int{30}, Fields: seedfile.FieldSerial})
	var out bytes.Buffer
	to, err := little.NewWriter(&out, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Run(from, to)
	if err != nil {
		to.Abort()
		return out.String(), r, err
	}
	err = to.Close()
	return out.String(), r, err
}

func TestConversion(t *testing.T) {
	slow := totp("B2")
	slow.Period = 60
	in := file(t, totp("A1"), slow, totp("C3"))
	in = append(in, "nonsense\n"...)
	in = append(in, file(t, totp("D4"))...)

	out, r, err := convert(t, &seedfile.Conversion{}, in)
	var row *seedfile.RowError
	var loss *seedfile.LossError
	if !errors.As(err, &row) || row.Line != 2 || !errors.As(err, &loss) ||
		loss.Field != seedfile.FieldPeriod || out != "" {

		t.Errorf("%v, %q", err, out)
	}
	if r != (seedfile.Result{Read: 2, Written: 1}) {
		t.Errorf("%+v", r)
	}

	var bad []string
	out, r, err = convert(t, &seedfile.Conversion{SkipBad: true, Bad: func(err error) {
		bad = append(bad, err.Error())
	}}, in)
	if err != nil || r != (seedfile.Result{Read: 5, Written: 3, Bad: 2}) {
		t.Errorf("%+v, %v", r, err)
	}
	if len(bad) != 2 || bad[0] != "line 2: token B2: lines has no room for its period (60 seconds)" ||
		!strings.HasPrefix(bad[1], "line 4, column 1: ") {
		t.Errorf("%q", bad)
	}
	if out != string(file(t, totp("A1"), totp("C3"), totp("D4"))) {
		t.Errorf("%q", out)
	}
}

// TestFill gives what is missing, and leaves what is there.
func TestFill(t *testing.T) {
	var fills []seedfile.Fill
	for _, text := range []string{"user=@serial", "account=@user", "issuer=ACME", "serial=X=@Y", "model=@manufacturer"} {
		f, err := seedfile.ParseFill(text)
		if err != nil {
			t.Fatal(err)
		}
		fills = append(fills, f)
	}
	empty, full := totp(""), totp("A1")
	full.Account, full.Issuer = "alice", "acme.org"
	from, err := all().NewReader(bytes.NewReader(file(t, empty, full)), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to, err := all().NewWriter(&out, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := seedfile.Conversion{Fill: fills}
	if _, err := c.Run(from, to); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := seedfiletest.ReadAll(all(), out.Bytes(), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	empty.Issuer, empty.Serial = "ACME", "X=@Y"
	full.User = "A1"
	seedfiletest.Same(t, got, []*seedfile.Token{empty, full})
	for _, text := range []string{"", "user", "user=", "=x", "seed=x", "colour=x", "user=@seed", "user=@", "period=30"} {
		if _, err := seedfile.ParseFill(text); !errors.As(err, new(*seedfile.FillError)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// ends is a file that ends in the middle, and full a disk that is full: neither is the fault of one token.
type ends struct{}

func (ends) Read() (*seedfile.Token, error) {
	return nil, &seedfile.FormatError{Format: "lines", Line: 1, Column: 2, Problem: "it ends too early"}
}
func (ends) Close() error { return nil }

var errFull = errors.New("no space left on device")

type full struct{ seedfile.Writer }

func (full) Write(*seedfile.Token) error { return errFull }

func TestConversionEnds(t *testing.T) {
	c := &seedfile.Conversion{SkipBad: true}
	var format *seedfile.FormatError
	if r, err := c.Run(ends{}, full{}); !errors.As(err, &format) || r.Bad != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	from, err := all().NewReader(bytes.NewReader(file(t, totp("A1"))), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Run(from, full{}); !errors.Is(err, errFull) || r != (seedfile.Result{Read: 1}) {
		t.Errorf("%+v, %v", r, err)
	}
}

// fails is a reader that gives an error, and then the end: what is behind the error, nobody asks for but after a
// *seedfile.RowError.
type fails struct {
	err   error
	reads int
}

func (f *fails) Read() (*seedfile.Token, error) {
	if f.reads++; f.reads == 1 {
		return nil, f.err
	}
	return nil, io.EOF
}
func (f *fails) Close() error { return nil }

func TestConversionOfErrors(t *testing.T) {
	cut := &seedfile.RowError{Line: 1, Problem: io.EOF}
	for _, one := range []struct {
		err error
		bad int
	}{{cut, 1}, {&hotp.SeedError{Problem: "is empty"}, 0}, {io.ErrUnexpectedEOF, 0}} {
		from := &fails{err: one.err}
		r, err := (&seedfile.Conversion{SkipBad: true}).Run(from, full{})
		if (err == nil) != (one.bad > 0) || r.Bad != one.bad || r.Read != 1 || from.reads != 1+one.bad {
			t.Errorf("%v: %+v, %v after %d reads", one.err, r, err, from.reads)
		}
	}
	if _, err := (&seedfile.Conversion{}).Run(&fails{err: cut}, full{}); err != cut {
		t.Errorf("a token that ends too early is no end of the file: %v", err)
	}
	from, err := all().NewReader(bytes.NewReader(file(t, totp("A1"))), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&seedfile.Conversion{SkipBad: true}).Run(from, ended{}); err != io.EOF {
		t.Errorf("a writer's error is no end of the file that is read: %v", err)
	}
}

type ended struct{ seedfile.Writer }

func (ended) Write(*seedfile.Token) error { return io.EOF }

// keeps keeps tokens that it should not.
type keeps struct {
	seedfile.Writer
	tokens []*seedfile.Token
}

func (k *keeps) Write(t *seedfile.Token) error {
	k.tokens = append(k.tokens, t)
	return nil
}

// TestConversionWipes: nothing is left of a secret once it is written, and progress is told.
func TestConversionWipes(t *testing.T) {
	yubico := &seedfile.Token{Serial: "Y", Seed: hotp.Seed("0123456789abcdef"),
		Yubico: &seedfile.Yubico{PrivateID: hotp.Seed("secret"), AccessCode: hotp.Seed("access")}}
	tokens := []*seedfile.Token{yubico}
	for range 2000 {
		tokens = append(tokens, totp("A1"))
	}
	from, err := all().NewReader(bytes.NewReader(file(t, tokens...)), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var told []int
	to := &keeps{}
	c := seedfile.Conversion{Progress: func(n int) { told = append(told, n) }}
	if r, err := c.Run(from, to); err != nil || r.Written != 2001 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, k := range to.tokens {
		secrets := append(hotp.Seed{}, k.Seed...)
		if k.Yubico != nil {
			secrets = append(append(secrets, k.Yubico.PrivateID...), k.Yubico.AccessCode...)
		}
		if !secrets.Equal(make(hotp.Seed, len(secrets))) {
			t.Fatalf("left: %x", []byte(secrets))
		}
	}
	if len(told) != 2 || told[0] != 1000 || told[1] != 2000 {
		t.Errorf("told %v", told)
	}
}

// TestErrorsShowNoSeed: a token in an error or in a log does not show its seed.
func TestErrorsShowNoSeed(t *testing.T) {
	token := totp("A1")
	for _, verb := range []string{"%v", "%+v", "%s", "%x", "%#v"} {
		s := fmt.Sprintf(verb, token)
		if strings.Contains(s, "1234567890") || strings.Contains(s, "3132333435") || strings.Contains(s, "0x31, 0x32") {
			t.Errorf("%s: %s", verb, s)
		}
	}
}
