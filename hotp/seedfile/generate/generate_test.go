package generate

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"fob/hotp"
	"fob/hotp/seedfile"
)

func scheme(t *testing.T, text string) *Serial {
	t.Helper()
	s, err := ParseSerial(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func all(t *testing.T, o Options) (tokens []*seedfile.Token, err error) {
	t.Helper()
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for {
		token, err := g.Read()
		if err != nil {
			return tokens, err
		}
		tokens = append(tokens, token)
	}
}

func TestSerial(t *testing.T) {
	for text, want := range map[string][]string{
		"ACME{000001}": {"ACME000001", "ACME000002"},
		"{7}":          {"7", "8"},
		"a{0998}-b":    {"a0998-b", "a0999-b", "a1000-b"},
	} {
		s := scheme(t, text)
		for i, w := range want {
			if got := s.At(i); got != w {
				t.Errorf("%s %d: %s, expected %s", text, i, got, w)
			}
		}
		if s.String() != text {
			t.Errorf("%s, expected %s", s, text)
		}
	}
	for text, room := range map[string]int{"{7}": 3, "{0}": 10, "{000001}": 999999,
		"{000000000000000001}": 999999999999999999} {

		s := scheme(t, text)
		if s.Room() != room || len(s.At(room-1)) != len(text)-2 {
			t.Errorf("%s: room for %d, expected %d; the last one is %s", text, s.Room(), room, s.At(room-1))
		}
	}
	for _, text := range []string{"", "ACME", "ACME{}", "ACME{x}", "{1}{2}", "{1", "1}", "{{1}}", "{-1}", "{+1}", "{ 1}",
		"{0000000000000000001}"} {

		if _, err := ParseSerial(text); !errors.As(err, new(*SerialError)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParseSerial(f *testing.F) {
	f.Add("ACME{000001}")
	f.Add("{7}b")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSerial(text)
		if err == nil && (s.String() != text || s.Room() < 1) {
			t.Errorf("%q, %d", s.String(), s.Room())
		}
	})
}

// TestTokens: all have what was asked for, and each its own seed.
func TestTokens(t *testing.T) {
	o := Options{Count: 500, Serial: scheme(t, "ACME{001}"), Parameters: hotp.Parameters{
		Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 8, Period: 60}, Manufacturer: "ACME", Model: "T1",
		Issuer: "acme.org", ID: true, Account: true, Users: strings.NewReader("alice\nbob\n")}
	tokens, err := all(t, o)
	if err != io.EOF || len(tokens) != 500 {
		t.Fatalf("%d, %v", len(tokens), err)
	}
	seeds := make(map[string]bool)
	for i, token := range tokens {
		seeds[string(token.Seed)] = true
		if len(token.Seed) != 32 {
			t.Errorf("a seed of %d bytes", len(token.Seed))
		}
		token.Seed = nil
		serial := fmt.Sprintf("ACME%03d", i+1)
		want := seedfile.Token{Parameters: o.Parameters, Manufacturer: "ACME", Model: "T1", Issuer: "acme.org",
			Serial: serial, ID: serial, Account: serial}
		if i < 2 {
			want.User = []string{"alice", "bob"}[i]
			want.Account = want.User
		}
		if fmt.Sprint(*token) != fmt.Sprint(want) {
			t.Errorf("%+v, expected %+v", token, want)
		}
	}
	if len(seeds) != 500 {
		t.Errorf("%d seeds", len(seeds))
	}
}

// TestNoSerial: of the serial number there is an account alone.
func TestNoSerial(t *testing.T) {
	tokens, err := all(t, Options{Count: 1, Serial: scheme(t, "A{1}"), Parameters: hotp.DefaultTOTP, NoSerial: true,
		Account: true})
	if err != io.EOF || tokens[0].Serial != "" || tokens[0].Account != "A1" {
		t.Errorf("%+v, %v", tokens[0], err)
	}
}

// TestSeedSize: as long as the hash, unless told.
func TestSeedSize(t *testing.T) {
	for _, c := range []struct {
		algorithm  hotp.Algorithm
		size, want int
	}{{hotp.SHA1, 0, 20}, {hotp.SHA256, 0, 32}, {hotp.SHA512, 0, 64}, {hotp.SHA1, 16, 16}, {hotp.SHA1, 128, 128}} {
		p := hotp.DefaultHOTP
		p.Algorithm = c.algorithm
		tokens, err := all(t, Options{Count: 1, Parameters: p, SeedSize: c.size})
		if err != io.EOF || len(tokens) != 1 || len(tokens[0].Seed) != c.want || tokens[0].Serial != "" {
			t.Errorf("%v: %+v, %v", c, tokens, err)
		}
	}
}

func TestUsers(t *testing.T) {
	for list, want := range map[string]string{
		"alice\nbob\n":                         "alice,bob",
		"\ufeffalice\r\n\r\n  bob  \r\n":       "alice,bob",
		"\ufeff\"upn\",x\r\nalice,1\r\nbob,2":  "alice,bob",
		"name,User,x\nAlice A,alice,1\nB,bob,": "alice,bob",
		"upn\n\"o'hara, pat\"\n":               "o'hara, pat",
		"alice\n\"bob\n":                       "alice!the list of users, line 2: extraneous or missing \" in quoted-field",
		"name,user\nAlice\n":                   "!the list of users, line 2: there is no user",
		"alice\n\"\"\n":                        "alice!the list of users, line 2: there is no user",
		"":                                     "",
		"user\n":                               "",
	} {
		got := ""
		tokens, err := all(t, Options{Parameters: hotp.DefaultTOTP, Users: iotest.OneByteReader(strings.NewReader(list))})
		for i, token := range tokens {
			if i > 0 {
				got += ","
			}
			got += token.User
		}
		if err != io.EOF {
			got += "!" + err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, expected %q", list, got, want)
		}
	}
}

// TestCounts: of tokens, users and serial numbers, which must go together.
func TestCounts(t *testing.T) {
	users := func() io.Reader { return strings.NewReader("alice\nbob\ncarol\n") }
	few := func(n int) Options { return Options{Count: n, Parameters: hotp.DefaultTOTP, Users: users()} }
	if tokens, err := all(t, few(2)); err != ErrUsers || len(tokens) != 2 {
		t.Errorf("%d, %v", len(tokens), err)
	}
	if tokens, err := all(t, few(3)); err != io.EOF || len(tokens) != 3 {
		t.Errorf("%d, %v", len(tokens), err)
	}
	tokens, err := all(t, Options{Serial: scheme(t, "{8}"), Parameters: hotp.DefaultTOTP, Users: users()})
	if !errors.As(err, new(*SerialError)) || len(tokens) != 2 {
		t.Errorf("%d, %v", len(tokens), err)
	}
	broken := io.MultiReader(strings.NewReader("alice\nbob\n"), iotest.ErrReader(iotest.ErrTimeout))
	if _, err := all(t, Options{Parameters: hotp.DefaultTOTP, Users: broken}); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%v", err)
	}
	for want, o := range map[error]Options{
		ErrNoCount:      {Parameters: hotp.DefaultTOTP},
		&SizeError{15}:  {Count: 1, Parameters: hotp.DefaultTOTP, SeedSize: 15},
		&SizeError{129}: {Count: 1, Parameters: hotp.DefaultTOTP, SeedSize: 129},
		&SerialError{"{8}", "has numbers for 2 tokens alone"}: {
			Count: 3, Parameters: hotp.DefaultTOTP, Serial: scheme(t, "{8}")},
		&hotp.ParameterError{Parameter: "type", Problem: "must be hotp or totp"}: {Count: 1},
	} {
		if _, err := New(o); err == nil || err.Error() != want.Error() {
			t.Errorf("%v, expected %v", err, want)
		}
	}
}

// TestEndlessUsers: what is no list is not read into memory.
func TestEndlessUsers(t *testing.T) {
	in := &counting{Reader: zeros{}}
	_, err := all(t, Options{Users: in, Parameters: hotp.DefaultTOTP})
	if !errors.Is(err, errRow) || in.read > 2*maxRow {
		t.Errorf("%v after %d bytes", err, in.read)
	}
	long := strings.Repeat(strings.Repeat("a", 100)+"\n", 2*maxRow/100)
	if tokens, err := all(t, Options{Users: strings.NewReader(long), Parameters: hotp.DefaultTOTP}); err != io.EOF ||
		len(tokens) != 2*maxRow/100 {
		t.Errorf("%d tokens, %v", len(tokens), err)
	}
}

type counting struct {
	io.Reader
	read int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read += n
	return n, err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
