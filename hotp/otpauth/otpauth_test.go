package otpauth_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/pquerna/otp"

	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// vector is the seed of RFC 4226's and RFC 6238's vectors: GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ.
var vector = hotp.Seed("12345678901234567890")

func totp(issuer, account string) *seedfile.Token {
	return &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: vector, Issuer: issuer, Account: account}
}

func TestParse(t *testing.T) {
	counting := totp("", "bob")
	counting.Parameters, counting.Counter = hotp.DefaultHOTP, 9
	long := totp("ACME Co", "john.doe@email.com")
	long.Algorithm, long.Digits, long.Period = hotp.SHA512, 8, 60
	for uri, want := range map[string]*seedfile.Token{
		"otpauth://totp/alice?secret=SEED":                                               totp("", "alice"),
		"OTPAUTH://TOTP/alice?SECRET=gezd-gnbv-gy3t-qojq%20gezd%20gnbv%20gy3t%20qojq%3D": totp("", "alice"),
		"otpauth://totp/ACME:alice?secret=SEED":                                          totp("ACME", "alice"),
		"otpauth://totp/ACME%3A%20alice?secret=SEED&issuer=":                             totp("ACME", "alice"),
		"otpauth://totp/alice?issuer=ACME&secret=SEED&":                                  totp("ACME", "alice"),
		"otpauth://totp/?secret=SEED":                                                    totp("", ""),
		"otpauth://totp/ACME:?secret=SEED":                                               totp("ACME", ""),
		"otpauth://totp/a+b@c?secret=SEED&issuer=My+Co":                                  totp("My Co", "a+b@c"),
		"otpauth://totp/TV+:a?secret=SEED&issuer=TV+":                                    totp("TV+", "a"),
		"otpauth://totp/a?issuer=TV%2B&secret=SEED":                                      totp("TV+", "a"),
		"otpauth://totp/a/b c?secret=SEED&issuer=Čaj&image=https%3A%2F%2Fx":              totp("Čaj", "a/b c"),
		"otpauth://totp/alice?secret=SEED&counter=0&tag=a&tag=b":                         totp("", "alice"),
		"otpauth://hotp/bob?secret=SEED&counter=9":                                       counting,
		"otpauth://hotp/bob?secret=SEED&counter=9&period=30":                             counting,
		"otpauth://totp/ACME%20Co:john.doe@email.com?secret=SEED" +
			"&issuer=ACME%20Co&algorithm=sha512&digits=8&period=60": long,
	} {
		uri = strings.Replace(uri, "SEED", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1)
		got, err := otpauth.Parse([]byte(uri))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", uri, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for _, test := range []struct {
		uri, part string
		column    int
	}{
		{"", "scheme", 1},
		{"https://totp/a?secret=" + secret, "scheme", 1},
		{"otpauth:totp/a?secret=" + secret, "scheme", 1},
		{"otpauth://totp?secret=" + secret, "type", 11},
		{"otpauth://motp/a?secret=" + secret, "type", 11},
		{"otpauth://totp/a?secret=" + secret + "#x", "fragment", 57},
		{"otpauth://totp/a:b:c?secret=" + secret, "label", 16},
		{"otpauth://totp/a%3Ab:c?secret=" + secret, "label", 16},
		{"otpauth://totp/%zz?secret=" + secret, "label", 16},
		{"otpauth://totp/a%4?secret=" + secret, "label", 16},
		{"otpauth://totp/a", "secret", 0},
		{"otpauth://totp/a?secret=", "secret", 25},
		{"otpauth://totp/a?secret=01", "secret", 25},
		{"otpauth://totp/a?secret=AB%", "secret", 25},
		{"otpauth://totp/a?secret=" + strings.Repeat("A", 208), "secret", 25},
		{"otpauth://totp/a?%73ecret=" + secret, "name of a parameter", 18},
		{"otpauth://totp/a?secret=" + secret + "&Secret=" + secret, "secret", 65},
		{"otpauth://totp/a?digits=6&digits=6&secret=" + secret, "digits", 34},
		{"otpauth://totp/a?digits=99&secret=" + secret, "digits", 25},
		{"otpauth://totp/a?digits=5&secret=" + secret, "digits", 25},
		{"otpauth://totp/a?digits=&secret=" + secret, "digits", 25},
		{"otpauth://totp/a?digits=+6&secret=" + secret, "digits", 25},
		{"otpauth://totp/a?digits=0x6&secret=" + secret, "digits", 25},
		{"otpauth://totp/a?period=0&secret=" + secret, "period", 25},
		{"otpauth://totp/a?period=30s&secret=" + secret, "period", 25},
		{"otpauth://totp/a?period=4294967326&secret=" + secret, "period", 25},
		{"otpauth://totp/a?counter=x&secret=" + secret, "counter", 26},
		{"otpauth://hotp/a?secret=" + secret, "counter", 0},
		{"otpauth://hotp/a?counter=-1&secret=" + secret, "counter", 26},
		{"otpauth://hotp/a?counter=18446744073709551616&secret=" + secret, "counter", 26},
		{"otpauth://totp/a?algorithm=HMAC-SHA256&secret=" + secret, "algorithm", 28},
		{"otpauth://totp/a?algorithm=MD5&secret=" + secret, "algorithm", 28},
		{"otpauth://totp/a?algorithm=&secret=" + secret, "algorithm", 28},
		{"otpauth://totp/a?encoder=base10&secret=" + secret, "encoder", 26},
		{"otpauth://totp/A:b?issuer=B&secret=" + secret, "issuer", 27},
		{"otpauth://totp/A:b?issuer=a&secret=" + secret, "issuer", 27},
		{"otpauth://totp/b?issuer=A%3AB&secret=" + secret, "issuer", 25},
		{"otpauth://totp/b?issuer=A%3&secret=" + secret, "issuer", 25},
		{"otpauth://totp/b%00?secret=" + secret, "", 0},
		{"otpauth://totp/b%FF?secret=" + secret, "", 0},
		{"otpauth://totp/" + strings.Repeat("a", otpauth.MaxURI), "", 0},
	} {
		got, err := otpauth.Parse([]byte(test.uri))
		var wrong *otpauth.Error
		if got != nil || !errors.As(err, &wrong) || wrong.Part != test.part || wrong.Column != test.column {
			t.Errorf("%s: got %v, %#v", test.uri, got, err)
		}
		if err != nil && strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: the error has the secret: %v", test.uri, err)
		}
	}
}

func TestParseSteam(t *testing.T) {
	for _, uri := range []string{"steam://GEZDGNBVGY3TQOJQ", "otpauth://steam/Steam:a?secret=GEZDGNBVGY3TQOJQ",
		"otpauth://totp/Steam:a?secret=GEZDGNBVGY3TQOJQ&encoder=steam"} {
		if _, err := otpauth.Parse([]byte(uri)); !errors.Is(err, seedfile.ErrSteam) {
			t.Errorf("%s: got %v", uri, err)
		}
	}
}

func TestAppend(t *testing.T) {
	long := totp("ACME Co", "john.doe@email.com")
	long.Algorithm, long.Digits, long.Period = hotp.SHA256, 10, 60
	counting := totp("Č+&#?/%", "")
	counting.Parameters, counting.Counter = hotp.DefaultHOTP, 1<<64-1
	unissued := totp("", "alice")
	unissued.Serial, unissued.Drift = "12", 3
	for _, test := range []struct {
		token *seedfile.Token
		want  string
	}{
		{long, "otpauth://totp/ACME%20Co:john.doe@email.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=ACME%20Co" +
			"&algorithm=SHA256&digits=10&period=60"},
		{counting, "otpauth://hotp/%C4%8C%2B%26%23%3F%2F%25:?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" +
			"&issuer=%C4%8C%2B%26%23%3F%2F%25&algorithm=SHA1&digits=6&counter=18446744073709551615"},
		{unissued, "otpauth://totp/alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30"},
	} {
		got, err := otpauth.Append([]byte("> "), test.token)
		if err != nil || string(got) != "> "+test.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, test.want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	change := func(do func(*seedfile.Token)) *seedfile.Token {
		token := totp("ACME", "alice")
		do(token)
		return token
	}
	for name, test := range map[string]struct {
		token *seedfile.Token
		want  any
	}{
		"T0":            {change(func(t *seedfile.Token) { t.T0 = 1 }), new(*seedfile.LossError)},
		"Yubico":        {change(func(t *seedfile.Token) { *t = yubico }), new(*seedfile.LossError)},
		"no name":       {totp("", ""), new(*seedfile.MissingError)},
		"colon":         {totp("", "a:b"), new(*seedfile.ValueError)},
		"issuer colon":  {totp("a:b", "c"), new(*seedfile.ValueError)},
		"leading space": {totp("ACME", " c"), new(*seedfile.ValueError)},
		"control":       {totp("ACME", "a\nb"), new(*seedfile.TextError)},
		"digits":        {change(func(t *seedfile.Token) { t.Digits = 5 }), new(*hotp.ParameterError)},
		"no seed":       {change(func(t *seedfile.Token) { t.Seed = nil }), new(*hotp.SeedError)},
	} {
		got, err := otpauth.Append([]byte("x"), test.token)
		if string(got) != "x" || !errors.As(err, test.want) {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
}

var yubico = seedfile.Token{Seed: vector[:16],
	Yubico: &seedfile.Yubico{PublicID: "cccccccccccc", PrivateID: hotp.Seed("123456")}}

// random gives a token of which a URI holds all.
func random(r *rand.Rand) *seedfile.Token {
	t := totp(name(r), "a"+name(r))
	t.Seed = make(hotp.Seed, 1+r.IntN(hotp.MaxSeed))
	for i := range t.Seed {
		t.Seed[i] = byte(r.Uint32())
	}
	t.Algorithm, t.Digits, t.Period = hotp.Algorithm(1+r.IntN(3)), 6+r.IntN(5), 1+r.IntN(hotp.MaxPeriod)
	if r.IntN(2) == 0 {
		t.Type, t.Period, t.Counter = hotp.HOTP, 0, r.Uint64()
	}
	return t
}

func name(r *rand.Rand) string {
	runes := []rune("aZ09+&%=?#/@-_.~ čé漢🔑\"'<>;,\\")
	text := make([]rune, r.IntN(20))
	for i := range text {
		text[i] = runes[r.IntN(len(runes))]
	}
	return strings.TrimSpace(string(text))
}

func TestRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		want := random(r)
		uri, err := otpauth.Append(nil, want)
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if len(uri) > otpauth.Size(want) || len(uri) > otpauth.MaxURI {
			t.Errorf("%s is longer than Size says", uri)
		}
		if got, err := otpauth.Parse(uri); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: got %+v, %v\nwant %+v", uri, got, err, want)
		}
	}
}

// TestAnotherReader has what we write read by a program that is not ours.
func TestAnotherReader(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		want := random(r)
		want.Account = strings.ReplaceAll(want.Account, "/", "|") // it cuts labels at each /
		want.Issuer = strings.ReplaceAll(want.Issuer, "/", "|")
		uri, err := otpauth.Append(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := otp.NewKeyFromURL(string(uri))
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if got.Type() != want.Type.String() || got.Issuer() != want.Issuer || got.AccountName() != want.Account ||
			got.Secret() != string(want.Seed.AppendBase32(nil)) || got.Algorithm().String() != want.Algorithm.String() ||
			int(got.Digits()) != want.Digits || want.Type == hotp.TOTP && int(got.Period()) != want.Period {
			t.Errorf("%s: got %+v\nwant %+v", uri, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("otpauth://totp/ACME%20Co:john@email.com?secret=GEZDGNBV&issuer=ACME+Co&algorithm=SHA256&digits=8"))
	f.Add([]byte("otpauth://hotp/alice?secret=GEZD-GNBV&counter=7&period=30&image=x"))
	f.Fuzz(func(t *testing.T, uri []byte) {
		before := bytes.Clone(uri)
		token, err := otpauth.Parse(uri)
		if !bytes.Equal(uri, before) {
			t.Fatal("Parse changed the URI")
		}
		if err != nil {
			if !errors.As(err, new(*otpauth.Error)) {
				t.Fatalf("%T is no *Error", err)
			}
			return
		}
		if token.Issuer == "" && token.Account == "" {
			token.Account = "x"
		}
		again, err := otpauth.Append(nil, token)
		if err != nil {
			t.Fatalf("%q can't be written: %v", uri, err)
		}
		if twice, err := otpauth.Parse(again); err != nil || !reflect.DeepEqual(twice, token) {
			t.Fatalf("%q, written as %q, is %+v, %v", uri, again, twice, err)
		}
	})
}
