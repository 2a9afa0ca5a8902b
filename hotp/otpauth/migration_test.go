package otpauth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// migration gives the URI of a message.
func migration(message string) []byte {
	data := base64.StdEncoding.EncodeToString([]byte(message))
	return []byte("otpauth-migration://offline?data=" + url.QueryEscape(data))
}

func TestParseMigration(t *testing.T) {
	first := totp("ACME", "alice@example.com")
	second := totp("", "bob")
	second.Parameters = hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA256, Digits: 8}
	second.Counter = 300
	m, err := otpauth.ParseMigration(migration("" +
		"\x0a\x3d\x0a\x1412345678901234567890\x12\x16ACME:alice@example.com\x1a\x04ACME\x20\x01\x28\x01\x30\x02\x42\x01x" +
		"\x0a\x24\x0a\x1412345678901234567890\x12\x03bob\x20\x02\x28\x02\x30\x01\x38\xac\x02" +
		"\x0a\x1f\x0a\x1412345678901234567890\x12\x03eve\x20\x04\x28\x01" + // MD5
		"\x10\x02\x18\x03\x20\x02\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(m.Tokens, []*seedfile.Token{first, second}) {
		t.Errorf("got %+v and %+v", m.Tokens[0], m.Tokens[1])
	}
	if len(m.Bad) != 1 || m.Bad[0].Error() != "token eve: its algorithm is not one of OATH's: 4" {
		t.Errorf("got %v", m.Bad)
	}
	if m.ID != -1 || m.Index != 2 || m.Size != 3 {
		t.Errorf("got batch %d of %d of %d", m.Index, m.Size, m.ID)
	}
	m.Wipe()
	if !m.Tokens[0].Seed.Equal(make(hotp.Seed, 20)) {
		t.Error("the seed was not wiped")
	}
}

func TestParseMigrationDefaults(t *testing.T) {
	m, err := otpauth.ParseMigration(migration("\x0a\x1b\x0a\x1412345678901234567890\x12\x03bob"))
	if err != nil || !reflect.DeepEqual(m.Tokens, []*seedfile.Token{totp("", "bob")}) {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestParseMigrationRefuses(t *testing.T) {
	for name, uri := range map[string][]byte{
		"scheme":       []byte("otpauth://offline?data="),
		"type":         []byte("otpauth-migration://online?data="),
		"no data":      []byte("otpauth-migration://offline"),
		"other":        []byte("otpauth-migration://offline?date="),
		"escape":       []byte("otpauth-migration://offline?data=%"),
		"Base64":       []byte("otpauth-migration://offline?data=a"),
		"long":         []byte("otpauth-migration://offline?data=" + strings.Repeat("A", otpauth.MaxMigration)),
		"cut":          migration("\x0a\x1b\x0a"),
		"field 0":      migration("\x02\x00"),
		"group":        migration("\x0b\x0c"),
		"wrong wire":   migration("\x08\x01"),
		"version":      migration("\x10\x03"),
		"index":        migration("\x18\x02\x20\x02"),
		"long varint":  migration("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		"bytes' index": migration("\x22\x01\x02"),
	} {
		_, err := otpauth.ParseMigration(uri)
		if !errors.As(err, new(*otpauth.Error)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestParseMigrationBad(t *testing.T) {
	const seed = "\x0a\x1412345678901234567890"
	for name, message := range map[string]string{
		"no seed":          "\x12\x03bob",
		"long seed":        "\x0a\x81\x01" + strings.Repeat("x", 129),
		"digits":           seed + "\x28\x03",
		"type":             seed + "\x30\x03",
		"negative counter": seed + "\x30\x01\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"issuers":          seed + "\x12\x03A:b\x1a\x01C",
		"colons":           seed + "\x12\x05A:b:c",
		"issuer's colon":   seed + "\x1a\x03A:B",
		"no UTF-8":         seed + "\x12\x01\xff",
		"wire":             seed + "\x12\x01\xff\x22\x01\x01",
		"cut":              seed + "\x12",
	} {
		m, err := otpauth.ParseMigration(migration(fmt.Sprintf("\x0a%c", len(message)) + message))
		if len(message) > 127 {
			m, err = otpauth.ParseMigration(migration("\x0a" + string([]byte{byte(len(message)) | 0x80, 1}) + message))
		}
		if err != nil || len(m.Tokens) != 0 || len(m.Bad) != 1 {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
}

func TestAppendMigrations(t *testing.T) {
	var want []*seedfile.Token
	r := rand.New(rand.NewPCG(5, 6))
	for range 35 {
		token := random(r)
		token.Digits = 6 + 2*r.IntN(2)
		if token.Type == hotp.TOTP {
			token.Period = 30
		}
		token.Counter >>= 1
		want = append(want, token)
	}
	uris, err := otpauth.AppendMigrations(nil, want)
	if err != nil || len(uris) < 4 {
		t.Fatal(len(uris), err)
	}
	var got []*seedfile.Token
	var first *otpauth.Migration
	for i, uri := range uris {
		m, err := otpauth.ParseMigration(uri)
		if err != nil || len(m.Bad) > 0 || m.Index != i || m.Size != len(uris) || len(m.Tokens) > 10 || len(uri) > 2000 {
			t.Fatalf("batch %d of %d bytes: %+v, %v", i, len(uri), m, err)
		}
		if first == nil {
			first = m
		}
		if m.ID != first.ID || m.ID < 0 {
			t.Errorf("batch %d has the ID %d, and the first one %d", i, m.ID, first.ID)
		}
		got = append(got, m.Tokens...)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("other tokens came back")
	}
}

func TestMigrationSplits(t *testing.T) {
	long := totp("", strings.Repeat("a", 1024))
	for _, test := range []struct {
		tokens []*seedfile.Token
		uris   int
	}{
		{nil, 0}, {[]*seedfile.Token{long}, 1}, {[]*seedfile.Token{long, long}, 2},
		{repeat(totp("", "a"), 10), 1}, {repeat(totp("", "a"), 11), 2},
	} {
		uris, err := otpauth.AppendMigrations(nil, test.tokens)
		if err != nil || len(uris) != test.uris {
			t.Errorf("%d tokens: got %d URIs, %v", len(test.tokens), len(uris), err)
		}
	}
}

func repeat(t *seedfile.Token, n int) (all []*seedfile.Token) {
	for range n {
		all = append(all, t)
	}
	return all
}

func TestAppendMigrationsRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*seedfile.Token)
		want   any
	}{
		"period":  {func(t *seedfile.Token) { t.Period = 60 }, new(*seedfile.LossError)},
		"digits":  {func(t *seedfile.Token) { t.Digits = 7 }, new(*seedfile.LossError)},
		"T0":      {func(t *seedfile.Token) { t.T0 = 7 }, new(*seedfile.LossError)},
		"Yubico":  {func(t *seedfile.Token) { *t = yubico }, new(*seedfile.LossError)},
		"counter": {func(t *seedfile.Token) { t.Parameters, t.Counter = hotp.DefaultHOTP, 1<<63 }, new(*seedfile.ValueError)},
		"colon":   {func(t *seedfile.Token) { t.Account = "a:b" }, new(*seedfile.ValueError)},
		"no name": {func(t *seedfile.Token) { t.Account, t.Issuer = "", "" }, new(*seedfile.MissingError)},
	} {
		token := totp("ACME", "alice")
		test.change(token)
		uris, err := otpauth.AppendMigrations(nil, []*seedfile.Token{totp("A", "b"), token})
		if uris != nil || !errors.As(err, test.want) {
			t.Errorf("%s: got %d URIs, %v", name, len(uris), err)
		}
	}
}

func FuzzParseMigration(f *testing.F) {
	f.Add([]byte("\x0a\x2d\x0a\x1412345678901234567890\x12\x06ACME:a\x1a\x04ACME" +
		"\x20\x01\x28\x01\x30\x02\x42\x01x\x10\x02"))
	f.Add([]byte("\x0a\x24\x0a\x1412345678901234567890\x12\x03bob\x20\x02\x28\x02\x30\x01\x38\xac\x02\x18\x01\x28\x05"))
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := otpauth.ParseMigration(migration(string(message)))
		if err != nil {
			return
		}
		var named []*seedfile.Token
		for _, token := range m.Tokens {
			if token.Account != "" || token.Issuer != "" {
				named = append(named, token)
			}
		}
		uris, err := otpauth.AppendMigrations(nil, named)
		if err != nil {
			t.Fatalf("%+v can't be written: %v", m, err)
		}
		for _, uri := range uris {
			again, err := otpauth.ParseMigration(uri)
			if err != nil || len(again.Bad) > 0 || !reflect.DeepEqual(again.Tokens, named[:len(again.Tokens)]) {
				t.Fatalf("%q, written as %q, is %+v, %v", message, uri, again, err)
			}
			named = named[len(again.Tokens):]
		}
		if len(named) > 0 {
			t.Fatalf("%d tokens got lost", len(named))
		}
	})
}
