package apps

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// Files as the apps write them, and tell more than we do: the fields and spelling are the apps', all else is invented.
// SEED stands for a secret, and § is before what is bad.
var foreign = []struct {
	name   string
	format *seedfile.Format
	file   string
	want   []string // of describe, or errors
}{
	{"aegis", Aegis, `{
    "version": 1,
    "header": {
        "slots": null,
        "params": null
    },
    "db": {
        "version": 3,
        "entries": [
            {
                "type": "totp",
                "uuid": "01234567-89ab-4cde-8f01-23456789abcd",
                "name": "a:b \"c\" \u010daj \/ \ud83d\udd11",
                "issuer": "ACME",
                "note": "]}{[",
                "favorite": true,
                "icon": "iVBORw0KGgo=",
                "icon_mime": "image\/png",
                "info": {
                    "secret": "SEED",
                    "algo": "SHA512",
                    "digits": 7,
                    "period": 20
                },
                "groups": [
                    "01234567-89ab-4cde-8f01-23456789abce"
                ]
            },
            §{
                "type": "steam",
                "name": "gamer",
                "info": { "secret": "SEED", "algo": "SHA1", "digits": 5, "period": 30 }
            },
            §{
                "type": "yandex",
                "name": "y",
                "info": { "secret": "SEED", "algo": "SHA256", "digits": 8, "period": 30, "pin": "1234" }
            },
            §{ "type": "totp", "name": "no numbers", "info": { "secret": "SEED", "algo": "SHA1" } },
            §{ "type": "totp", "name": "a text", "info": ` +
		`{ "secret": "SEED", "algo": "SHA1", "digits": "6", "period": 30 } },
            §{ "type": "totp", "name": "MD5", "info": { "secret": "SEED", "algo": "MD5", "digits": 6, "period": 30 } },
            §{ "type": "totp", "name": "0189", "info": ` +
		`{ "secret": "0189", "algo": "SHA1", "digits": 6, "period": 30 } },
            §{ "type": "totp", "name": "no seed", "info": { "algo": "SHA1", "digits": 6, "period": 30 } },
            §{ "type": "totp", "name": "a number", "info": { "secret": 5, "algo": "SHA1", "digits": 6, "period": 30 } },
            §7,
            { "type": "hotp", "name": "", "issuer": "Bank", "info": ` +
		`{ "secret": "SEED", "algo": "SHA1", "digits": 6, "counter": 9 } }
        ],
        "groups": [ { "uuid": "01234567-89ab-4cde-8f01-23456789abce", "name": "Work" } ],
        "icons_optimized": true
    }
}`, []string{
		`line 10: totp SHA512 7 20 "ACME" "a:b \"c\" čaj / 🔑"`,
		"§: token gamer: codes of Steam are not OATH's",
		`§: token y: is of type "yandex", which is not OATH's`,
		"§: token no numbers: digits must be 6 to 10, and not 0",
		"§: token a text: its info.digits is of the wrong type",
		`§: token MD5: its algorithm is none of OATH's: "MD5"`,
		"§: token 0189: the seed is no Base32: it has other characters than A to Z and 2 to 7",
		"§: token no seed: the seed is empty",
		"§: token a number: is not what it should be",
		"§: is not what it should be",
		`line 46: hotp SHA1 6 9 "Bank" ""`,
	}},
	{"2fas", TwoFAS, `{"services":[{"name":"Mail","secret":"SEED","updatedAt":1700000000000,` +
		`"otp":{"link":"otpauth://totp/x",` +
		`"label":"bob","account":"bob","issuer":"ACME","digits":6,"period":30,"algorithm":"SHA1","tokenType":"TOTP",` +
		`"source":"Link"},"order":{"position":0},"badge":{"color":"Red"},"icon":{"selected":"Label"}},` +
		`{"name":"Old","secret":"seed","type":"ManuallyAdded","otp":{"account":null,"digits":null,"period":null}},` +
		`{"name":"H","secret":"SEED","otp":{"issuer":"","label":"l","tokenType":"HOTP","counter":3}},` +
		`§{"name":"S","secret":"SEED","otp":{"tokenType":"STEAM"}},` +
		`§{"name":"P","secret":"SEED","otp":{"period":20}}],` +
		`"groups":[],"schemaVersion":2,"appOrigin":"ios"}`, []string{
		`line 1: totp SHA1 6 30 "ACME" "bob"`,
		`line 1: totp SHA1 6 30 "Old" ""`,
		`line 1: hotp SHA1 6 3 "" "l"`,
		"§: token S: codes of Steam are not OATH's",
		"§: token without a name: 2fas has no room for its period (20 seconds)",
	}},
	{"andotp", AndOTP, "\ufeff\r\n" + `[{"secret":"SEED======","issuer":"ACME","label":"bob","digits":8,"type":"TOTP",` +
		`"algorithm":"SHA256","thumbnail":"Default","last_used":1600000000000,"used_frequency":3,"period":60,"tags":["a"]},` +
		`{"secret":"SEED","label":"Old - bob - x","digits":6,"type":"HOTP","algorithm":"SHA1","counter":4},` +
		`{"secret":"SEED","issuer":"","label":"A - b","digits":6,"type":"TOTP","algorithm":"SHA1","period":30},` +
		`§{"secret":"SEED","issuer":"Boeing","label":"Sophia","digits":5,"type":"STEAM","algorithm":"SHA1"}]`, []string{
		`line 2: totp SHA256 8 60 "ACME" "bob"`,
		`line 2: hotp SHA1 6 4 "Old" "bob - x"`,
		`line 2: totp SHA1 6 30 "" "A - b"`,
		"§: token Sophia: codes of Steam are not OATH's",
	}},
	{"freeotp-plus", FreeOTPPlus, `{"tokenOrder":["WWE:Mason"],"tokens":[` +
		`{"algo":"SHA512","counter":10299,"digits":8,"issuerExt":"WWE","issuerInt":"W","label":"Mason","period":30,` +
		`"secret":[49, 50,51,52,53,54,55,56,57,48],"type":"HOTP"},` +
		`{"algo":"sha1","counter":0,"digits":6,"issuerExt":"","issuerInt":"Int","label":"l","labelAlt":"mine","period":60,` +
		`"secret":[49,50,51,52,53,54,55,56,57,48],"type":"TOTP"},` +
		`§{"algo":"SHA1","counter":0,"digits":5,"issuerExt":"Steam","label":"s","period":30,"secret":[1],"type":"TOTP"},` +
		`§{"algo":"SHA1","counter":-1,"digits":6,"issuerExt":"I","label":"n","period":30,"secret":[1],"type":"HOTP"},` +
		`§{"algo":"SHA1","digits":6,"issuerExt":"I","label":"b","period":30,"secret":[128],"type":"TOTP"},` +
		`§{"algo":"SHA1","digits":6,"issuerExt":"I","label":"f","period":30,"secret":[1.5],"type":"TOTP"},` +
		`§{"algo":"SHA1","digits":6,"issuerExt":"I","label":"s","period":30,"secret":"GEZD","type":"TOTP"},` +
		`§{"algo":"SHA1","digits":6,"issuerExt":"I","label":"z","period":30,` +
		`"secret":[` + strings.Repeat("1,", 200) + `1],"type":"TOTP"}]}`,
		[]string{
			`line 1: hotp SHA512 8 10299 "WWE" "Mason"`,
			`line 1: totp SHA1 6 60 "Int" "mine"`,
			"§: token s: codes of Steam are not OATH's",
			"§: token n: its counter is negative",
			"§: token b: is not what it should be",
			"§: token f: is not what it should be",
			"§: token s: the seed is empty",
			"§: token z: the seed is longer than 128 bytes",
		}},
	{"bitwarden", Bitwarden, `{
  "encrypted": false,
  "folders": [ { "id": "1", "name": "F" } ],
  "items": [
    { "id": "1", "type": 1, "name": "No TOTP", "login": { "username": "a", "password": "b", "totp": null } },
    { "id": "2", "type": 2, "name": "A note", "notes": "secret", "secureNote": { "type": 0 } },
    { "id": "3", "type": 1, "name": "Shop", "login": { "username": "bob", "totp": "seed seed" } },
    { "id": "4", "type": 1, "name": "Mail", "login": ` +
		`{ "username": "bob", "totp": "otpauth:\/\/totp\/ACME:me?secret=SEED&period=60" } },
    §{ "id": "5", "type": 1, "name": "Games", "login": { "username": null, "totp": "steam://SEED" } },
    §{ "id": "6", "type": 1, "name": "Bank", "login": ` +
		`{ "username": "bob", "totp": "otpauth://hotp/me?secret=SEED&counter=3" } },
    { "id": "7", "type": 1, "name": "Blank", "login": { "username": "bob", "totp": "otpauth://totp/?secret=SEED" } },
    §{ "id": "8", "type": 1, "name": "", "login": { "username": null, "totp": "SEED" } }
  ]
}`, []string{
		`line 7: totp SHA1 6 30 "Shop" "bob"`,
		`line 8: totp SHA1 6 60 "ACME" "me"`,
		"§: token Games: otpauth URI: scheme: codes of Steam are not OATH's",
		"§: token me: bitwarden has no room for its kind (HOTP)",
		`line 11: totp SHA1 6 30 "Blank" "bob"`,
		"§: has neither an issuer nor an account",
	}},
	{"bitwarden-csv", BitwardenCSV, "folder,favorite,type,name,notes,fields," +
		"login_uri,login_username,login_password,login_totp\r\n" +
		",,login,Shop,\"two\nlines, \"\"quoted\"\"\",,,bob,,SEED\r\n" +
		",,note,N,text\n" +
		",1,login,Games,,,,,,§steam://SEED\n" +
		",1,login,Mail,,,,,,otpauth://totp/ACME:me?secret=SEED", []string{
		`line 3: totp SHA1 6 30 "Shop" "bob"`,
		"§: token Games: otpauth URI: scheme: codes of Steam are not OATH's",
		`line 6: totp SHA1 6 30 "ACME" "me"`,
	}},
	{"proton-authenticator", ProtonAuthenticator, `{
  "version": 1,
  "entries": [
    { "id": "1", "content": { "uri": "otpauth://totp/ACME:me?secret=SEED&issuer=ACME&algorithm=SHA1&digits=6&period=30",
      "entry_type": "Totp", "name": "me" }, "note": null },
    { "id": "2", "content": { "uri": "otpauth://totp/?secret=SEED", "entry_type": "Totp", "name": "named" } },
    §{ "id": "3", "content": { "uri": "steam://SEED", "entry_type": "Steam", "name": "gamer" }, "note": "x" },
    §{ "id": "4", "content": { "uri": "", "name": "nothing" } }
  ]
}`, []string{
		`line 4: totp SHA1 6 30 "ACME" "me"`,
		`line 6: totp SHA1 6 30 "" "named"`,
		"§: token gamer: otpauth URI: scheme: codes of Steam are not OATH's",
		"§: token nothing: the seed is empty",
	}},
	{"proton-pass", ProtonPass, `{"version":"1.20.0","userId":"u==","encrypted":false,"vaults":{
"v1==":{"name":"Personal","items":[
{"itemId":"1","data":{"metadata":{"name":"Shop"},"extraFields":[],"type":"login",` +
		`"content":{"itemEmail":"a@b","totpUri":""}}},
{"itemId":"2","data":{"metadata":{"name":"Mail"},"extraFields":[` +
		`{"fieldName":"2nd","type":"totp","data":{"totpUri":"SEED"}},` +
		`{"fieldName":"t","type":"text","data":{"content":"x"}}],"type":"login",` +
		`"content":{"itemEmail":"a@b","itemUsername":"","totpUri":"otpauth://totp/ACME:me?secret=SEED&digits=8"}}}]},
"v2==":{"name":"Empty","items":[]},
"v3==":{"name":"Work","items":[{"itemId":"3","data":{"metadata":{"name":"Note"},"type":"note","content":{}}},
{"itemId":"4","data":{"metadata":{"name":"W"},"type":"login",` +
		`"content":{"itemUsername":"w","totpUri":"SEED"}}}]}}}`, []string{
		`line 4: totp SHA1 8 30 "ACME" "me"`,
		`line 4: totp SHA1 6 30 "Mail" "a@b"`,
		`line 7: totp SHA1 6 30 "W" "w"`,
	}},
	{"stratum", Stratum, `{"Authenticators":[` +
		`{"Type":2,"Icon":null,"Issuer":"ACME","Username":null,"Secret":"SEED","Pin":null,` +
		`"Algorithm":2,"Digits":8,"Period":50,"Counter":0,"Ranking":0},` +
		`{"Type":1,"Issuer":"Bank","Username":"bob","Secret":"SEED","Algorithm":1,"Digits":7,"Period":30,"Counter":50},` +
		`§{"Type":3,"Issuer":"M","Username":"bob","Secret":"SEED","Algorithm":0,"Digits":6,"Period":10},` +
		`§{"Type":4,"Issuer":"S","Username":"bob","Secret":"SEED","Algorithm":0,"Digits":5,"Period":30},` +
		`§{"Type":9,"Issuer":"N","Username":"bob","Secret":"SEED","Algorithm":0,"Digits":5,"Period":30},` +
		`§{"Type":2,"Issuer":"A","Username":"bob","Secret":"SEED","Algorithm":3,"Digits":6,"Period":30},` +
		`§{"Type":2,"Issuer":"","Username":"bob","Secret":"SEED","Algorithm":0,"Digits":6,"Period":30}],` +
		`"Categories":[]}`, []string{
		`line 1: totp SHA512 8 50 "ACME" ""`,
		`line 1: hotp SHA256 7 50 "Bank" "bob"`,
		`§: token bob: is of type "mOTP", which is not OATH's`,
		"§: token bob: codes of Steam are not OATH's",
		`§: token bob: is of type "", which is not OATH's`,
		`§: token bob: its algorithm is none of OATH's: ""`,
		"§: token bob has no issuer, which stratum needs",
	}},
	{"ente", Ente, "otpauth://totp/ACME:bob?secret=SEED&issuer=ACME&algorithm=sha1&digits=6&period=30" +
		"&codeDisplay=%7B%22trashed%22%3Atrue%7D\n" +
		"otpauth://hotp/WWE:Mason?algorithm=sha512&digits=8&issuer=WWE&period=30&secret=SEED&counter=10300" +
		"&codeDisplay=%7B%7D\n" +
		"otpauth://§steam/Boeing:Sophia?secret=SEED&issuer=Boeing&algorithm=SHA1&digits=5&period=30" +
		"&codeDisplay=%7B%7D\n", []string{
		`line 1: totp SHA1 6 30 "ACME" "bob"`,
		`line 2: hotp SHA512 8 10300 "WWE" "Mason"`,
		"§: otpauth URI: type: codes of Steam are not OATH's",
	}},
	{"otpauth", OTPAuth, "\ufeff\r\n  otpauth://totp/a?secret=SEED\r\n\n§https://example.com\n" +
		"otpauth://totp/b?secret=SEED&digits=§5\n" +
		strings.Repeat("x", maxLine) + "§x" + "\n§otpauth://totp/?secret=SEED\n" +
		"otpauth-migration://offline?data=ChsKFDEyMzQ1Njc4OTAxMjM0NTY3ODkwEgNib2I%3D\n" +
		"otpauth://totp/last?secret=SEED", []string{
		`line 2: totp SHA1 6 30 "" "a"`,
		"§: otpauth URI: scheme: is not otpauth",
		"§: otpauth URI: digits: digits must be 6 to 10, and not 5",
		"§: the line is longer than 65536 bytes",
		"§: has neither an issuer nor an account",
		`line 8: totp SHA1 6 30 "" "bob"`,
		`line 9: totp SHA1 6 30 "" "last"`,
	}},
	{"otpauth-migration", Migration, "otpauth-migration://offline?data=ChsKFDEyMzQ1Njc4OTAxMjM0NTY3ODkwEgNib2I%3D\n" +
		"§otpauth://totp/a?secret=SEED\n otpauth-migration://offline?data=§%\n" +
		"§otpauth-migration://offline?data=CgUSA2JvYg==", []string{
		`line 1: totp SHA1 6 30 "" "bob"`,
		"§: is no otpauth-migration URI",
		"§: otpauth URI: data: has a % without two hexadecimal digits",
		"§: token bob: the seed is empty",
	}},
}

// describe tells what was read, but the seed.
func describe(t *seedfile.Token) string {
	factor := uint64(t.Period)
	if t.Type == hotp.HOTP {
		factor = t.Counter
	}
	return fmt.Sprintf("line %d: %s %s %d %d %q %q", t.Line, t.Type, t.Algorithm, t.Digits, factor, t.Issuer, t.Account)
}

func TestForeign(t *testing.T) {
	for _, test := range foreign {
		t.Run(test.name, func(t *testing.T) {
			const seed = "GEZDGNBVGY3TQOJQ" // 1234567890
			file := strings.NewReplacer("SEED", seed, "seed seed", "gezd-gnbv gy3t-qojq",
				`"seed"`, `"`+strings.ToLower(seed)+`"`).
				Replace(test.file)
			file, places := cutPlaces(file)
			if test.format.Detect([]byte(file)) == 0 {
				t.Error("the format does not know the file")
			}
			got := readForeign(t, test.format, file)
			for i := range max(len(got), len(test.want)) {
				want := at(test.want, i)
				if strings.HasPrefix(want, "§") {
					want, places = places[0]+strings.TrimPrefix(want, "§"), places[1:]
				}
				if at(got, i) != want {
					t.Fatalf("entry %d:\ngot  %s\nwant %s", i, at(got, i), want)
				}
			}
		})
	}
}

// cutPlaces takes the marks out of a file, and tells where they were.
func cutPlaces(file string) (rest string, places []string) {
	for {
		before, behind, found := strings.Cut(file, "§")
		if !found {
			return file, places
		}
		lines := strings.TrimPrefix(before, "\ufeff")
		column := len(lines) - strings.LastIndex(lines, "\n")
		places = append(places, fmt.Sprintf("line %d, column %d", 1+strings.Count(lines, "\n"), column))
		file = before + behind
	}
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// readForeign gives what describe tells of each token, and the errors between them.
func readForeign(t *testing.T, f *seedfile.Format, file string) (got []string) {
	t.Helper()
	r, err := f.NewReader(strings.NewReader(file), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		token, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return got
		case errors.As(err, new(*seedfile.RowError)):
			got = append(got, err.Error())
		case err != nil:
			t.Fatal(err)
		default:
			if !strings.HasPrefix("12345678901234567890", string(token.Seed)) || len(token.Seed) < 10 {
				t.Errorf("%s: another seed", token.Name())
			}
			got = append(got, describe(token))
		}
	}
}

// TestProtonPassZIP reads the file that the app gives people.
func TestProtonPassZIP(t *testing.T) {
	pack := func(name string) string {
		var file bytes.Buffer
		archive := zip.NewWriter(&file)
		data, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(data, `{"vaults":{"v":{"items":[{"data":{"metadata":{"name":"W"},`+
			`"content":{"totpUri":"GEZDGNBVGY3TQOJQ"}}}]}}}`)
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		return file.String()
	}
	good := pack("Proton Pass/data.json")
	if n := ProtonPass.Detect([]byte(good)); n != 95 {
		t.Errorf("Detect: %d", n)
	}
	if got := readForeign(t, ProtonPass, good); len(got) != 1 || got[0] != `line 0: totp SHA1 6 30 "W" ""` {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{pack("Proton Pass/data.pgp"), pack("x"), good[:len(good)-1]} {
		_, err := ProtonPass.NewReader(strings.NewReader(bad), seedfile.ReadOptions{})
		if !errors.As(err, new(*seedfile.FormatError)) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

// TestMissingBatch: when not all QR codes of a migration were scanned, tokens would be lost without a word.
func TestMissingBatch(t *testing.T) {
	var tokens []*seedfile.Token
	for range 25 {
		tokens = append(tokens, samples(Migration)[0])
	}
	uris, err := otpauth.AppendMigrations(nil, tokens)
	if err != nil || len(uris) != 3 {
		t.Fatal(len(uris), err)
	}
	for _, test := range []struct {
		uris    [][]byte
		tokens  int
		problem string
	}{
		{uris, 25, ""},
		{[][]byte{uris[2], uris[0], uris[1], uris[0]}, 35, ""},
		{uris[:2], 20, "QR code 3 of 3 is missing: scan all that the app shows"},
		{uris[1:], 15, "QR code 1 of 3 is missing: scan all that the app shows"},
	} {
		r, err := Migration.NewReader(bytes.NewReader(bytes.Join(test.uris, []byte("\n"))), seedfile.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err = r.Read(); err == nil; _, err = r.Read() {
			n++
		}
		var wrong *seedfile.FormatError
		if n != test.tokens || test.problem == "" && !errors.Is(err, io.EOF) ||
			test.problem != "" && (!errors.As(err, &wrong) || wrong.Problem != test.problem) {
			t.Errorf("%d URIs: %d tokens, %v", len(test.uris), n, err)
		}
	}
}

// TestNoFile: what is of no format at all is told at once, with the place where the format knows it.
func TestNoFile(t *testing.T) {
	for _, test := range []struct {
		format *seedfile.Format
		file   string
		want   string
	}{
		{Aegis, "", "no aegis file: line 1, column 1: it is no JSON"},
		{Aegis, "{\n  \"db\": x}", "no aegis file: line 2, column 9: it is no JSON"},
		{Aegis, "{}", "no aegis file: it has no db.entries"},
		{Aegis, `{"db":{"entries":null}}`, "no aegis file: it has no db.entries"},
		{Aegis, `{"db":"AAAA","header":{"slots":[]}}`, "no aegis file: it has 0 passphrases, and not 1 to 16"},
		{TwoFAS, "[]", "no 2fas file: it has no services"},
		{TwoFAS, `{"servicesEncrypted":"AAAA:AAAA"}`, "no 2fas file: servicesEncrypted is not of three parts in Base64"},
		{AndOTP, "{}", "no andotp file: it is neither a list in JSON nor long enough to be encrypted"},
		{FreeOTPPlus, "{}", "no freeotp-plus file: it has no tokens"},
		{Bitwarden, `{"encrypted":true,"data":""}`,
			"no bitwarden file: it is encrypted by Bitwarden: export it as .json without encryption"},
		{Bitwarden, "null", "no bitwarden file: it has no items"},
		{BitwardenCSV, "", "no bitwarden-csv file: it is empty"},
		{BitwardenCSV, "a,b\n", "no bitwarden-csv file: it has no column login_totp"},
		{ProtonAuthenticator, `{"version":1,"salt":"","content":""}`,
			"no proton-authenticator file: it has no entries; one that is encrypted can't be read"},
		{ProtonPass, `{"vaults":[]}`, "no proton-pass file: it has no vaults"},
		{Stratum, "{}", "no stratum file: it has no Authenticators"},
		{Stratum, "AUTHENTICATORPRO", "no stratum file: it ends too early"},
		{Stratum, "AuthenticatorPro",
			"no stratum file: it is encrypted as old versions of the app did: make a new backup with a newer one"},
		{Ente, `{"version":2}`, "no ente file: its version is 2, and not 1"},
		{Ente, `{"version":1}`, "no ente file: the parameters of Argon2id are wrong"},
	} {
		_, err := test.format.NewReader(strings.NewReader(test.file), seedfile.ReadOptions{})
		if !errors.As(err, new(*seedfile.FormatError)) || err.Error() != test.want {
			t.Errorf("%q: got %v, want %s", test.file, err, test.want)
		}
	}
}

var spaces = bytes.Repeat([]byte{' '}, 1<<20)

// endless never ends.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, spaces)
	e.read += n
	return n, nil
}

// TestEndless: a file that does not end takes no more memory than it may.
func TestEndless(t *testing.T) {
	for _, f := range All {
		if f == OTPAuth || f == Migration || f == Ente { // which go on behind lines that are too long
			continue
		}
		in := new(endless)
		r, err := f.NewReader(in, seedfile.ReadOptions{})
		for i := 0; err == nil && i < 3; i++ {
			if _, err = r.Read(); errors.As(err, new(*seedfile.RowError)) {
				err = nil
			}
		}
		if !errors.As(err, new(*seedfile.FormatError)) || in.read > 2*maxFile {
			t.Errorf("%s: %v after %d bytes", f.Name, err, in.read)
		}
	}
}
