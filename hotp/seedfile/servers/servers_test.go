package servers

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

const samples = "../../../testdata/seedfile/"

// The seeds of the vectors of RFC 6238, appendix B.
var (
	seed20 = hotp.Seed("12345678901234567890")
	seed32 = hotp.Seed("12345678901234567890123456789012")
	seed64 = hotp.Seed("1234567890123456789012345678901234567890123456789012345678901234")
)

func totp(serial string, digits, period int) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20,
		Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: digits, Period: period}}
}

func counting(serial string, digits int, counter uint64) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20, Counter: counter,
		Parameters: hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1, Digits: digits}}
}

func with(t *seedfile.Token, change func(*seedfile.Token)) *seedfile.Token {
	change(t)
	return t
}

func settings(pairs ...string) map[string]string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func yubikey(serial, public string) *seedfile.Token {
	return &seedfile.Token{Serial: serial, Seed: seed20[:16],
		Yubico: &seedfile.Yubico{PublicID: public, PrivateID: hotp.Seed{1, 2, 3, 4, 5, 0xff}}}
}

const user1, user2 = "0cadbf92-af6b-4cf3-ba77-3f381e059551", "1cadbf92-af6b-4cf3-ba77-3f381e059551"

// tests have a golden file for each way of a format, and make what the format can hold of a random token.
var tests = []struct {
	format   *seedfile.Format
	sample   string
	settings map[string]string
	adapt    func(*seedfile.Token)
	tokens   []*seedfile.Token
}{
	{Duo, "duo-hotp.csv", settings("type", "hotp"), kind(hotp.HOTP, 6, 0),
		[]*seedfile.Token{counting("30001", 6, 0), counting("30002", 6, 17)}},
	{Duo, "duo-totp-8.csv", settings("type", "totp", "digits", "8"), kind(hotp.TOTP, 8, 30),
		[]*seedfile.Token{totp("30003", 8, 30), totp("30004", 8, 30)}},
	{DuoYubiKey, "duo-yubikey.csv", nil, ykman,
		[]*seedfile.Token{yubikey("5061432", "vvccccftenej"), yubikey("1", "vvcccccccccb")}},
	{DuoYubiKey, "duo-yubikey-any.csv", settings("public-id", "any"), func(t *seedfile.Token) { t.Yubico.PublicID = "" },
		[]*seedfile.Token{yubikey("Y-1", "")}},
	{PingID, "pingid.csv", settings("type", "totp", "period", "60"), kind(hotp.TOTP, 6, 60),
		[]*seedfile.Token{totp("2308734700388", 6, 60)}},
	{SecureAuthHOTP, "secureauth-hotp.txt", settings("digits", "6"), kind(hotp.HOTP, 6, 0),
		[]*seedfile.Token{counting("key of alice", 6, 0), counting("key of bob", 6, 5)}},
	{SecureAuthHOTP, "secureauth-hotp-hex.txt", settings("encoding", "hex"), kind(hotp.HOTP, 6, 0),
		[]*seedfile.Token{counting("key", 6, 9)}},
	{SecureAuthTOTP, "secureauth-totp.txt", settings("period", "60"), kind(hotp.TOTP, 6, 60),
		[]*seedfile.Token{totp("1000133508267", 6, 60), totp("", 6, 60)}},
	{NetIQ, "netiq.csv", nil, nil,
		[]*seedfile.Token{counting("Token003", 6, 0), totp("Token004", 6, 60), totp("Token002", 8, 30)}},
	{PrivacyIDEA, "privacyidea.csv", nil, guessed,
		[]*seedfile.Token{counting("token01", 6, 7), totp("token02", 6, 30), with(totp("token03", 8, 60),
			func(t *seedfile.Token) { t.Seed, t.Algorithm = seed32, hotp.SHA256 })}},
	{PrivacyIDEA2, "privacyidea-2.csv", settings("resolver", "ldap", "realm", "acme"), guessed,
		[]*seedfile.Token{with(counting("token01", 6, 7), func(t *seedfile.Token) { t.User = "alice" }),
			totp("token02", 6, 30)}},
	{LinOTP, "linotp.csv", nil, nil,
		[]*seedfile.Token{counting("lin01", 6, 0), with(totp("lin02", 8, 60),
			func(t *seedfile.Token) { t.Seed, t.Algorithm = seed32, hotp.SHA256 }), with(totp("lin03", 6, 30),
			func(t *seedfile.Token) { t.Seed, t.Algorithm = seed64, hotp.SHA512 })}},
	{EntraCSV, "entra.csv", nil, nil,
		[]*seedfile.Token{with(totp("1234567", 6, 60), func(t *seedfile.Token) {
			t.User, t.Manufacturer, t.Model = "helga@contoso.com", "Contoso", "HardwareKey"
		}), with(totp("1234568", 6, 30), func(t *seedfile.Token) { t.Manufacturer, t.Model = `Contoso, "Inc"`, "Größe 2" })}},
	{EntraGraph, "entra-graph.json", nil, graphUser,
		[]*seedfile.Token{with(totp("TOTP123456", 6, 30), func(t *seedfile.Token) {
			t.Manufacturer, t.Model, t.User = "Contoso", "Hardware Token 1000", user1
		}), with(totp("TOTP654321", 6, 60), func(t *seedfile.Token) {
			t.Manufacturer, t.Model, t.Seed, t.Algorithm = "Contoso", `Token "2"`, seed32, hotp.SHA256
		})}},
	{Okta, "okta.jsonl", settings("factor-profile-id", "fpr20l2mDyaUGWGCa0g4"), profile,
		[]*seedfile.Token{with(totp("", 6, 30), func(t *seedfile.Token) { t.User = "alice@example.com" }),
			with(totp("", 6, 30), func(t *seedfile.Token) { t.User = "00u15s1KDETTQMQYABRL" })}},
	{Okta, "okta-base32.jsonl", settings("factor-profile-id", "fpr1", "encoding", "base32", "algorithm", "SHA1",
		"digits", "6", "period", "30"), profile,
		[]*seedfile.Token{with(totp("", 6, 30), func(t *seedfile.Token) { t.User = "a/b c" })}},
	{Vault, "vault.jsonl", nil, func(t *seedfile.Token) {
		if t.Serial == "" {
			t.Serial = "serial"
		}
	},
		[]*seedfile.Token{with(totp("token-1", 8, 60), func(t *seedfile.Token) {
			t.Account, t.Issuer, t.Seed, t.Algorithm = "alice@example.com", "ACME & Co", seed32, hotp.SHA256
		}), with(totp("", 6, 30), func(t *seedfile.Token) { t.Account = "bob@example.com" })}},
}

func kind(k hotp.Type, digits, period int) func(*seedfile.Token) {
	return func(t *seedfile.Token) {
		t.Type, t.Digits, t.Period = k, digits, period
		if k == hotp.TOTP {
			t.Counter = 0
		}
	}
}

func ykman(t *seedfile.Token) {
	n := uint32(0)
	for _, c := range t.Serial {
		n = 31*n + uint32(c)
	}
	t.Serial = decimal(n)
	t.Yubico.PublicID, _ = publicID(t.Serial)
}

func decimal(n uint32) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return decimal(n/10) + string(rune('0'+n%10))
}

func guessed(t *seedfile.Token) { t.Algorithm = guessedHash(len(t.Seed)) }

func graphUser(t *seedfile.Token) {
	if t.User != "" {
		t.User = user2
	}
}

func profile(t *seedfile.Token) { t.Algorithm, t.Digits, t.Period = hotp.SHA1, 6, 30 }

func TestFormats(t *testing.T) {
	for _, test := range tests {
		t.Run(test.sample, func(t *testing.T) {
			trip := seedfiletest.Trip{Write: seedfile.WriteOptions{Settings: test.settings}, Adapt: test.adapt}
			seedfiletest.Golden(t, test.format, samples+test.sample, test.tokens, trip)
			trip.RoundTrip(t, test.format)
			trip.Refuses(t, test.format)
		})
	}
}

// TestForeign reads files as makers and people make them, with what the writers here never do.
func TestForeign(t *testing.T) {
	for _, test := range []struct {
		format   *seedfile.Format
		file     string
		settings map[string]string
		tokens   []*seedfile.Token
	}{
		{EntraCSV, "\ufeffMODEL,Serial Number,UPN,time interval,Secret Key,Manufacturer,\r\n" +
			"c200, 7 ,\"a@b.c\",30,gezd gnbv-GY3TQOJQGEZDGNBVGY3TQOJQ,\"Feitian \"\"F\"\"\",\r\n\r\n", nil,
			[]*seedfile.Token{with(totp("7", 6, 30), func(t *seedfile.Token) {
				t.User, t.Model, t.Manufacturer = "a@b.c", "c200", `Feitian "F"`
			})}},
		{EntraGraph, "\ufeff{\r\n \"value\": [ {\"serialNumber\":\"1\",\"manufacturer\":\"m\",\"model\":\"n\",\"more\":[1]," +
			"\"secretKey\":\"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\",\"timeIntervalInSeconds\":\"30\"}], \"other\": {}}", nil,
			[]*seedfile.Token{with(totp("1", 6, 30), func(t *seedfile.Token) { t.Manufacturer, t.Model = "m", "n" })}},
		{Duo, "1,3132333435363738393031323334353637383930,\n", settings("type", "totp"), []*seedfile.Token{totp("1", 6, 30)}},
		{SecureAuthTOTP, "Totptoken\nGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n", nil, []*seedfile.Token{totp("", 6, 30)}},
		{NetIQ, "Token001,3132333435363738393031323334353637383930\nT, 3132333435363738393031323334353637383930 , TOTP", nil,
			[]*seedfile.Token{counting("Token001", 6, 0), totp("T", 6, 30)}},
		{PrivacyIDEA, "# my tokens\ntok1, 3132333435363738393031323334353637383930\n#\n", nil,
			[]*seedfile.Token{counting("tok1", 6, 0)}},
		{PrivacyIDEA2, "#  version:2 of it\nbob, a, b, tok1, 3132333435363738393031323334353637383930\n",
			settings("realm", "*", "resolver", "a"),
			[]*seedfile.Token{with(counting("tok1", 6, 0), func(t *seedfile.Token) { t.User = "bob" })}},
		{LinOTP, "a,31323334353637383930313233343536373839303132333435363738393031323334353637383930313233343536373839" +
			"303132333435363738393031323334,totp\nb,3132333435363738393031323334353637383930313233343536373839303132", nil,
			[]*seedfile.Token{with(totp("a", 6, 30), func(t *seedfile.Token) { t.Seed, t.Algorithm = seed64, hotp.SHA512 }),
				with(counting("b", 6, 0), func(t *seedfile.Token) { t.Seed, t.Algorithm = seed32, hotp.SHA256 })}},
		{Vault, `{"method":"POST","path":"/v1/mfa/totp/keys/k","body":{"url":"otpauth://totp/ACME:bob?secret=` +
			`GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\u0026issuer=ACME&period=60"}}`, settings("mount", "mfa/totp"),
			[]*seedfile.Token{with(totp("k", 6, 60), func(t *seedfile.Token) { t.Account, t.Issuer = "bob", "ACME" })}},
		{Vault, `{"method":"POST","path":"/v1/totp/keys/k","body":{"key":"gezdgnbvgy3tqojqgezdgnbvgy3tqojq"}}`, nil,
			[]*seedfile.Token{totp("k", 6, 30)}},
	} {
		tokens, err := seedfiletest.ReadAll(test.format, []byte(test.file), seedfile.ReadOptions{Settings: test.settings})
		if err != nil {
			t.Errorf("%s: %v", test.format.Name, err)
		}
		seedfiletest.Same(t, tokens, test.tokens)
	}
}

// TestBadRows: each error says where it is, and nothing of a seed.
func TestBadRows(t *testing.T) {
	const good = "3132333435363738393031323334353637383930"
	for _, test := range []struct {
		format   *seedfile.Format
		file     string
		settings map[string]string
		want     string
	}{
		{Duo, "1," + good + "\n2,zz" + good + "\n", settings("type", "hotp"),
			"line 2, column 3: token 2: the seed is not in hexadecimal digits"},
		{Duo, "1\n", settings("type", "hotp"), "line 1: token 1: the line has 1 columns, and not 2 at least"},
		{Duo, "1," + good + ",1,1\n", settings("type", "hotp"),
			"line 1, column 46: token 1: the line has 4 columns, and not 3 at most"},
		{Duo, "1," + good + ", -1\n", settings("type", "hotp"), "line 1, column 45: token 1: a number was expected"},
		{Duo, "1," + good + ",1\n", settings("type", "totp"),
			"line 1, column 44: token 1: there is a counter, but tokens of type totp have none"},
		{Duo, "1," + good, nil, "duo: setting type must be given: hotp or totp, of which the file has no word"},
		{Duo, "1," + good, settings("type", "motp"), "duo: setting type must be hotp or totp"},
		{Duo, "1," + good, settings("type", "totp", "digits", "7"), "duo: setting digits must be 6 or 8"},
		{Duo, "," + good, settings("type", "totp"), "line 1, column 1: token without a name has no serial, which duo needs"},
		{Duo, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,1," + good, settings("type", "hotp"),
			"line 1, column 34: the seed has an odd number of hexadecimal digits"},
		{DuoYubiKey, "x,0102030405ff," + good, nil, "line 1, column 1: token x: the serial number is no decimal number, " +
			"so that there is no public ID to it (setting public-id=any does without)"},
		{DuoYubiKey, "1,0102030405," + good[8:], nil, "line 1, column 3: token 1: its private-id is not of 6 bytes"},
		{DuoYubiKey, "1,0102030405ff," + good, nil, "line 1, column 16: token 1: the seed is no AES key of 16 bytes"},
		{PingID, "1," + good, settings("type", "totp", "period", "90"), "pingid: setting period must be 30 or 60"},
		{NetIQ, "\n T , " + good + ", ocra", nil, "line 2, column 48: token T: the type is neither hotp nor totp"},
		{NetIQ, "T, " + good + ", hotp, 6, 60", nil,
			"line 1, column 55: token T: there is a period, but tokens of type hotp have none"},
		{NetIQ, "T, " + good + ", totp, 5, 60", nil, "line 1, column 52: token T: digits must be 6 to 10, and not 5"},
		{NetIQ, "T, " + good + ", totp, 7, 60", nil,
			"line 1, column 52: token T: netiq has no room for its digits (7 digits)"},
		{NetIQ, "T, " + good + ", totp, 6, 99999999999999999999", nil, "line 1, column 55: token T: a number was expected"},
		{NetIQ, "T, " + good + ", totp, 6, 99999999999", nil, "line 1, column 55: token T: the number is too large"},
		{NetIQ, "T\x00, " + good, nil, "line 1, column 1: its serial has a control character"},
		{NetIQ, "T\xff, " + good, nil, "line 1, column 1: its serial is no UTF-8"},
		{LinOTP, "T, " + good + ", totp, 6, 60, md5", nil,
			"line 1, column 59: token T: the algorithm is none of sha1, sha256 and sha512"},
		{PrivacyIDEA, "# version: 2\n", nil,
			"no privacyidea file: line 1, column 1: it is of version 2, which is the format privacyidea-2"},
		{PrivacyIDEA2, "T, " + good, nil, `no privacyidea-2 file: line 1, column 1: the first line must be "# version: 2"`},
		{PrivacyIDEA2, "# version: 22\na,b,c,T, " + good, nil,
			`no privacyidea-2 file: line 2, column 1: the first line must be "# version: 2"`},
		{PrivacyIDEA2, "# version: 2\na,b,c,T, " + good, settings("resolver", "b"),
			`line 2, column 5: token T: the setting realm says "", and not what stands here (* for any)`},
		{SecureAuthHOTP, "name|GEZDGNBV|x", nil, "line 1, column 15: token name: a number was expected"},
		{SecureAuthHOTP, "name|1EZDGNBV|0", nil,
			"line 1, column 6: token name: the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{EntraCSV, "upn,serial number,secret,time interval\n", nil, "no entra-csv file: line 1, column 19: the header must " +
			"be upn,serial number,secret key,time interval,manufacturer,model, and has another column here"},
		{EntraCSV, "upn,serial number,secret key\n", nil,
			"no entra-csv file: line 1, column 1: the header lacks the column time interval"},
		{EntraCSV, "upn,upn,secret key\n", nil, "no entra-csv file: line 1, column 5: the header has the column upn twice"},
		{EntraCSV, entraHeader + "\na@b,1,GEZDGNBV,90,,\n", nil,
			"line 2, column 16: token 1: entra-csv has no room for its period (90 seconds)"},
		{EntraCSV, entraHeader + "\n\"a@b,1,GEZDGNBV,90,,\n", nil, "line 2, column 1: the quote has no end"},
		{EntraCSV, entraHeader + "\n\"a\"@b,1,GEZDGNBV,90,,\n", nil, "line 2, column 4: behind a quote, the column must end"},
		{EntraCSV, entraHeader + ",\na@b,1,GEZDGNBV,30,,,x\n", nil,
			"line 2, column 21: token 1: there is something in a column that has no name"},
		{EntraCSV, "\xff\xfeu\x00p\x00", nil, "no entra-csv file: line 1, column 1: it is UTF-16: save it as UTF-8"},
		{EntraCSV, strings.Repeat("x", 70000), nil, "line 1, column 65537: the line is longer than 65536 bytes"},
		{EntraGraph, "{\n\"value\":[\n{\"serialNumber\":\"1\",\"secretKey\":\"1\"}]}", nil,
			"line 3: token 1: the seed is no Base32: there is a letter too many or too few"},
		{EntraGraph, "{\"value\":[{\"serialNumber\":1}]}", nil, "line 1: the value of serialNumber is of another kind"},
		{EntraGraph, "{\"value\":[{\"secretKey\":1234}]}", nil, "line 1: the seed is no text of letters and digits"},
		{EntraGraph, "{\"value\":[\n\n", nil, "no entra-graph file: line 3, column 1: it is no JSON, or ends too early"},
		{EntraGraph, "[]", nil, "no entra-graph file: line 1, column 1: a { was expected"},
		{EntraGraph, "{}", nil, "no entra-graph file: line 1, column 1: it has no value"},
		{EntraGraph, "{\"value\":[]} x", nil, "no entra-graph file: line 1, column 1: something stands behind the end"},
		{EntraGraph, "{\"value\":[{\"model\":\"" + strings.Repeat("x", 70000), nil,
			"no entra-graph file: line 1, column 1: a token is longer than 64 KiB"},
		{Okta, "\n{}", nil, "line 2, column 1: it is no request with the method POST"},
		{Okta, "{", nil, "line 1, column 1: it is no JSON, or ends too early"},
		{Okta, `{"method":"POST","path":"/api/v1/users/u/factors"}`, nil,
			"line 1, column 1: it is no request to enrol a custom factor"},
		{Vault, `{"method":"POST","path":"/v1/totp/keys/k","body":{"generate":true}}`, nil,
			"line 1, column 1: Vault is to generate the key, so that there is none here"},
		{Vault, `{"method":"POST","path":"/v1/sys/seal"}`, nil,
			"line 1, column 1: it is no request to make a key at /v1/totp/keys/NAME"},
		{Vault, `{"method":"POST","path":"/v1/totp/keys/k","body":{"key":"GEZA","algorithm":"MD5"}}`, nil,
			"line 1: token k: algorithm must be SHA1, SHA256 or SHA512"},
	} {
		_, err := seedfiletest.ReadAll(test.format, []byte(test.file), seedfile.ReadOptions{Settings: test.settings})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %.40q:\n%v, expected\n%v", test.format.Name, test.file, err, test.want)
		}
	}
}

// TestGoesOn: a bad row does not hide those behind it.
func TestGoesOn(t *testing.T) {
	for _, test := range []struct {
		format *seedfile.Format
		file   string
	}{
		{EntraCSV, entraHeader + "\n,1,!,30,,\n" + strings.Repeat("x", 1<<20) + "\n\"\n,2,GEZA,30,,\n"},
		{EntraGraph, `{"value":[{"serialNumber":"1"},3,{"serialNumber":2},{"serialNumber":"2","manufacturer":"m",` +
			`"model":"n","secretKey":"GEZA","timeIntervalInSeconds":30}]}`},
	} {
		r, err := test.format.NewReader(strings.NewReader(test.file), seedfile.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := r.Read(); !errors.As(err, new(*seedfile.RowError)) {
				t.Errorf("%s: %v, expected the error of a row", test.format.Name, err)
			}
		}
		if token, err := r.Read(); err != nil || token.Serial != "2" {
			t.Errorf("%s: %v, %v", test.format.Name, token, err)
		}
		if _, err := r.Read(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, expected the end", test.format.Name, err)
		}
	}
}

// TestRefused: what no capacity says.
func TestRefused(t *testing.T) {
	named := func(serial string) *seedfile.Token { return counting(serial, 6, 0) }
	for _, test := range []struct {
		format   *seedfile.Format
		settings map[string]string
		tokens   []*seedfile.Token
		want     string
	}{
		{NetIQ, nil, []*seedfile.Token{named("=1+1")}, `token =1+1: its serial begins with '=', as a formula of a ` +
			`spreadsheet does (change it first), which netiq can't hold`},
		{NetIQ, nil, []*seedfile.Token{named("@SUM")}, `token @SUM: its serial begins with '@', as a formula of a ` +
			`spreadsheet does (change it first), which netiq can't hold`},
		{NetIQ, nil, []*seedfile.Token{named("a,b")},
			"token a,b: its serial has a ',', which separates columns, which netiq can't hold"},
		{NetIQ, nil, []*seedfile.Token{named("a ")}, "token a : its serial has a space at an end, which netiq can't hold"},
		{PrivacyIDEA, nil, []*seedfile.Token{named("#1")},
			"token #1: its serial begins with '#', as a comment does, which privacyidea can't hold"},
		{EntraCSV, nil, []*seedfile.Token{with(totp("1", 6, 30), func(t *seedfile.Token) { t.User = "-x@y" })},
			"token 1: its user begins with '-', as a formula of a spreadsheet does (change it first), which " +
				"entra-csv can't hold"},
		{Duo, nil, []*seedfile.Token{totp("1", 6, 30), totp("2", 8, 30)},
			"token 2: duo has no room for its digits (8 digits in a file of 6 digits: write it into another one)"},
		{Duo, nil, []*seedfile.Token{totp("1", 6, 30), named("2")},
			"token 2: duo has no room for its kind (HOTP in a file of totp: write it into another one)"},
		{PingID, settings("period", "60"), []*seedfile.Token{totp("1", 6, 30)},
			"token 1: pingid has no room for its period (30 seconds in a file of 60 seconds: write it into another one)"},
		{PrivacyIDEA, nil, []*seedfile.Token{with(named("1"), func(t *seedfile.Token) { t.Seed = seed32 })},
			"token 1: privacyidea has no room for its algorithm (SHA1, but by its seed of 32 bytes privacyIDEA " +
				"takes it for SHA256)"},
		{PrivacyIDEA, nil, []*seedfile.Token{with(named("1"), func(t *seedfile.Token) { t.Algorithm = hotp.SHA256 })},
			"token 1: privacyidea has no room for its algorithm (SHA256, but by its seed of 20 bytes " +
				"privacyIDEA takes it for SHA1)"},
		{PrivacyIDEA2, settings("realm", "a,b"), nil, "privacyidea-2: setting realm must be a name"},
		{DuoYubiKey, nil, []*seedfile.Token{yubikey("1", "vvcccccccccd")}, "token 1: its public-id is not made of the " +
			"serial number (setting public-id=any gives it up), which duo-yubikey can't hold"},
		{Okta, nil, nil, "okta: setting factor-profile-id must be given"},
		{Okta, settings("factor-profile-id", "f"),
			[]*seedfile.Token{with(totp("", 6, 30), func(t *seedfile.Token) { t.User = ".." })},
			"token ..: its user is a step in a path, which okta can't hold"},
		{Vault, nil, []*seedfile.Token{totp("", 6, 30)}, "token without a name has no serial, which vault needs"},
		{Vault, nil, []*seedfile.Token{totp("..", 6, 30)},
			"token ..: its serial has other characters than letters, digits and .-_@ in it, which vault can't hold"},
		{Vault, settings("mount", "../sys"), nil, "vault: setting mount must be a path such as totp"},
		{EntraGraph, nil, []*seedfile.Token{with(totp("1", 6, 30), func(t *seedfile.Token) {
			t.Manufacturer, t.Model, t.User = "m", "n", "a@b.c"
		})},
			"token 1: its user is not the ID of an object, such as " +
				"0cadbf92-af6b-4cf3-ba77-3f381e059551, which entra-graph can't hold"},
	} {
		_, err := seedfiletest.WriteAll(test.format, test.tokens, seedfile.WriteOptions{Settings: test.settings})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n%v, expected\n%v", test.format.Name, err, test.want)
		}
	}
}

// TestRefusedIsNotTheFirst: a token that was refused says nothing about those behind it.
func TestRefusedIsNotTheFirst(t *testing.T) {
	var file strings.Builder
	w, err := Duo.NewWriter(&file, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(totp("a,b", 8, 30)); !errors.As(err, new(*seedfile.ValueError)) {
		t.Error(err)
	}
	if err := errors.Join(w.Write(counting("1", 6, 0)), w.Close()); err != nil {
		t.Error(err)
	}
	if got := file.String(); got != "1,3132333435363738393031323334353637383930\n" {
		t.Errorf("wrote %q", got)
	}
}

// TestReaderFails: an error of the file itself stays what it is.
func TestReaderFails(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, test := range tests {
		in := io.MultiReader(strings.NewReader("\n"), errorReader{broken})
		r, err := test.format.NewReader(in, seedfile.ReadOptions{Settings: test.settings})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(); !errors.Is(err, broken) {
			t.Errorf("%s: %v", test.format.Name, err)
		}
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// fuzz is a fuzz target of the first way of a format.
func fuzz(f *testing.F, format *seedfile.Format) {
	for _, test := range tests {
		if test.format != format {
			continue
		}
		file, err := os.ReadFile(samples + test.sample)
		if err != nil {
			f.Fatal(err)
		}
		seedfiletest.Trip{Write: seedfile.WriteOptions{Settings: test.settings}}.Fuzz(f, format, file)
		return
	}
}

func FuzzDuo(f *testing.F)            { fuzz(f, Duo) }
func FuzzDuoYubiKey(f *testing.F)     { fuzz(f, DuoYubiKey) }
func FuzzPingID(f *testing.F)         { fuzz(f, PingID) }
func FuzzSecureAuthHOTP(f *testing.F) { fuzz(f, SecureAuthHOTP) }
func FuzzSecureAuthTOTP(f *testing.F) { fuzz(f, SecureAuthTOTP) }
func FuzzNetIQ(f *testing.F)          { fuzz(f, NetIQ) }
func FuzzPrivacyIDEA(f *testing.F)    { fuzz(f, PrivacyIDEA) }
func FuzzPrivacyIDEA2(f *testing.F)   { fuzz(f, PrivacyIDEA2) }
func FuzzLinOTP(f *testing.F)         { fuzz(f, LinOTP) }
func FuzzEntraCSV(f *testing.F)       { fuzz(f, EntraCSV) }
func FuzzEntraGraph(f *testing.F)     { fuzz(f, EntraGraph) }
func FuzzOkta(f *testing.F)           { fuzz(f, Okta) }
func FuzzVault(f *testing.F)          { fuzz(f, Vault) }
