package pskc

import (
	"bytes"
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

const samples = "../../../testdata/seedfile/pskc/"

func sample(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(samples + name + ".xml")
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func fromHex(s string) hotp.Seed {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// unlocking gives options that unlock with a secret.
func unlocking(secret hotp.Seed, s settings) seedfile.ReadOptions {
	return seedfile.ReadOptions{Settings: s, Unlock: func(seedfile.Lock, string) (hotp.Seed, error) {
		return bytes.Clone(secret), nil
	}}
}

var (
	seed20    = hotp.Seed("12345678901234567890")             // RFC 4226, Appendix D
	seed32    = hotp.Seed("12345678901234567890123456789012") // RFC 6238, Appendix B
	figureKey = fromHex("12345678901234567890123456789012")   // RFC 6030, figure 6
	sixDigits = hotp.DefaultHOTP
	eightHOTP = hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1, Digits: 8}
	figure3   = seedfile.Token{Parameters: eightHOTP, Seed: seed20, Serial: "987654321", ID: "12345678",
		Issuer:       "Issuer",
		Manufacturer: "Manufacturer", User: "DC=example-bank,DC=net", Account: "UID=jsmith,DC=example-bank,DC=net"}
	figure6 = seedfile.Token{Parameters: eightHOTP, Seed: seed20, Serial: "987654321", ID: "12345678", Issuer: "Issuer",
		Manufacturer: "Manufacturer"}
	python = seedfile.Token{Parameters: hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA256, Digits: 6},
		Seed:   seed20,
		Serial: "PY000001", Manufacturer: "ACME", Account: "alice@example.com", Counter: 1234}
)

func bulk(serials ...string) (tokens []*seedfile.Token) {
	for _, serial := range serials {
		tokens = append(tokens, &seedfile.Token{Parameters: eightHOTP, Seed: seed20, Serial: serial, ID: "1",
			Issuer:       "Issuer",
			Manufacturer: "TokenVendorAcme", Start: day(2006, 5, 2), Expiry: day(2006, 5, 30)})
	}
	return tokens
}

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// TestSamples: the figures of RFC 6030, and a file in each dialect.
func TestSamples(t *testing.T) {
	for name, test := range map[string]struct {
		options seedfile.ReadOptions
		want    []*seedfile.Token
	}{
		"rfc6030-figure2": {want: []*seedfile.Token{{Parameters: sixDigits, Seed: hotp.Seed("1234"), ID: "12345678",
			Issuer: "Issuer-A"}}},
		"rfc6030-figure3":  {want: []*seedfile.Token{&figure3}},
		"rfc6030-figure6":  {unlocking(figureKey, nil), []*seedfile.Token{&figure6}},
		"rfc6030-figure7":  {unlocking(hotp.Seed("qwerty"), nil), []*seedfile.Token{&figure6}},
		"rfc6030-figure9":  {unlocking(nil, settings{"signature": "ignore"}), []*seedfile.Token{&figure3}},
		"rfc6030-figure10": {want: bulk("654321", "123456", "9999999", "9999998")},
		"privacyidea": {unlocking(figureKey, nil), []*seedfile.Token{
			{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 6, Period: 60}, Seed: seed32,
				Serial: "TOTP0001", Issuer: "privacyIDEA", Manufacturer: "key of a test", Drift: -1},
			{Parameters: hotp.DefaultTOTP, Seed: seed20, Serial: "TOTP0002", Issuer: "privacyIDEA",
				Manufacturer: "key of a test"},
			{Parameters: sixDigits, Seed: seed20, Serial: "HOTP0001", Issuer: "privacyIDEA", Manufacturer: "key of a test",
				Counter: 7}}},
		"privacyidea-2": {unlocking(figureKey, settings{"mac": "optional"}), []*seedfile.Token{
			{Parameters: sixDigits, Seed: seed20, Serial: "HOTP0001", Issuer: "privacyIDEA", Manufacturer: "key of a test",
				Counter: 7}}},
		"multiotp": {unlocking(figureKey, nil), []*seedfile.Token{
			{Parameters: hotp.DefaultTOTP, Seed: seed20, Serial: "MO000001", Issuer: "multiOTP", Manufacturer: "multiOTP"},
			{Parameters: eightHOTP, Seed: seed20, Serial: "MO000002", Issuer: "multiOTP", Manufacturer: "multiOTP",
				Counter: 1000}}},
		"feitian": {want: []*seedfile.Token{{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 6,
			Period: 60},
			Seed: seed20, Serial: "2600000000001", Manufacturer: "Feitian Technology Co.,Ltd", Start: day(2012, 8, 1),
			Expiry: day(2037, 12, 31)}}},
		"draft": {want: []*seedfile.Token{{Parameters: eightHOTP, Seed: seed20, Serial: "0755225266", Manufacturer: "ACME",
			Issuer: "ACME", Counter: 3}}},
		"python-pskc":        {unlocking(hotp.Seed("qwerty"), nil), []*seedfile.Token{&python}},
		"python-pskc-sha256": {unlocking(hotp.Seed("qwerty"), nil), []*seedfile.Token{&python}},
		"python-pskc-kw":     {unlocking(seed32, nil), []*seedfile.Token{&python}},
		"python-pskc-3des":   {unlocking(hotp.Seed("123456789012345678901234"), nil), []*seedfile.Token{&python}},
	} {
		t.Run(name, func(t *testing.T) {
			file := sample(t, name)
			if Format.Detect(file[:min(len(file), seedfile.HeadSize)]) < 80 {
				t.Error("not detected")
			}
			got, err := seedfiletest.ReadAll(Format, file, test.options)
			if err != nil {
				t.Error(err)
			}
			seedfiletest.Same(t, got, test.want)
		})
	}
}

// TestGolden: what is written is as it was, byte for byte.
func TestGolden(t *testing.T) {
	seedfiletest.Golden(t, Format, samples+"plain.xml", judged(), seedfiletest.Trip{})
}

// TestRefusedFiles: files that can't be read, and keys, with the place of the problem.
func TestRefusedFiles(t *testing.T) {
	figure6 := string(sample(t, "rfc6030-figure6"))
	figure7 := string(sample(t, "rfc6030-figure7"))
	figure3 := string(sample(t, "rfc6030-figure3"))
	replaced := func(file, old, new string) string {
		t.Helper()
		if !strings.Contains(file, old) {
			t.Fatalf("no %s", old)
		}
		return strings.Replace(file, old, new, 1)
	}
	twice := func(file, element string) string { return replaced(file, element, element+element) }
	for name, test := range map[string]struct {
		file    string
		secret  hotp.Seed
		problem string
	}{
		"reference": {string(sample(t, "rfc6030-figure4")), nil,
			"line 3, column 3: token 987654321: " + ErrReference.Error()},
		"PIN": {string(sample(t, "rfc6030-figure5")), nil,
			`line 24, column 3: token 987654321: key algorithm "urn:ietf:params:xml:ns:keyprov:pskc:pin" is not supported`},
		"certificate": {string(sample(t, "rfc6030-figure8")), nil, ErrCertificate.Error()},
		"signature": {string(sample(t, "rfc6030-figure9")), nil,
			"no pskc file: line 20, column 3: it is signed, and nothing here verifies that; " +
				"the setting signature=ignore reads it all the same"},
		"no MAC": {string(sample(t, "privacyidea-2")), figureKey,
			"line 25, column 1: token HOTP0001: " + ErrNoMAC.Error()},
		"wrong key": {figure6, key16, seedfile.ErrWrongKey.Error()},
		"short key": {figure6, key16[:8], seedfile.ErrWrongKey.Error()},
		"MAC": {replaced(figure6, "Su+N", "Su+O"), figureKey,
			"line 20, column 9: token 987654321: " + seedfile.ErrMAC.Error()},
		"cipher text": {replaced(figure6, "AAECA", "BAECA"), figureKey,
			"line 20, column 9: token 987654321: " + seedfile.ErrMAC.Error()},
		"unknown encryption": {strings.ReplaceAll(figure6, "#aes128-cbc", "#aes128-gcm"), figureKey,
			`encryption algorithm "http://www.w3.org/2001/04/xmlenc#aes128-gcm" is not supported`},
		"unknown MAC": {replaced(figure6, "#hmac-sha1", "#hmac-md5"), figureKey,
			`MAC algorithm "http://www.w3.org/2000/09/xmldsig#hmac-md5" is not supported`},
		"no MAC method": {replaced(replaced(figure6, "<MACMethod", "<Other"), "</MACMethod", "</Other"), figureKey,
			"line 20, column 9: token 987654321: " + ErrNoMAC.Error()},
		"no passphrase": {figure7, nil, seedfile.ErrWrongKey.Error()},
		"iterations": {replaced(figure7, ">1000<", ">10000001<"), hotp.Seed("qwerty"),
			"no pskc file: line 12, column 11: IterationCount must be 1 to 10000000"},
		"no iterations": {replaced(figure7, "<IterationCount>1000</IterationCount>", ""), hotp.Seed("qwerty"),
			"no pskc file: the parameters of PBKDF2 are not complete"},
		"derivation": {replaced(figure7, "#pbkdf2", "#pbkdf1"), nil,
			`key derivation algorithm "http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf1" is not supported`},
		"PRF": {replaced(figure7, "<PRF/>", "<PRF>hmac-md5</PRF>"), nil,
			`key derivation algorithm "hmac-md5" is not supported`},
		"root": {"<a/>", nil, `no pskc file: line 1, column 1: its root element is "a", and not KeyContainer`},
		"version": {replaced(figure3, `Version="1.0"`, `Version="2.0"`), nil,
			`no pskc file: line 2, column 1: the version of PSKC must be 1.0, and not "2.0"`},
		"no key package": {`<KeyContainer/>`, nil, "no pskc file: line 1, column 16: it has no KeyPackage"},
		"no key":         {`<KeyContainer><KeyPackage/></KeyContainer>`, nil, "line 1, column 15: " + errNoKey.Error()},
		"no secret": {replaced(replaced(figure3, "<Secret>", "<Secrets>"), "</Secret>", "</Secrets>"), nil,
			"line 3, column 3: token 987654321: " + errNoSecret.Error()},
		"two serials": {twice(figure3, "<SerialNo>987654321</SerialNo>"), nil,
			"line 6, column 37: token 987654321: " + errTwice.Error()},
		"two secrets": {twice(figure3, "<Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>"), nil,
			"line 14, column 79: token 987654321: " + errTwice.Error()},
		"long serial": {replaced(figure3, "987654321", strings.Repeat("9", maxContent+1)), nil,
			"line 6, column 7: token UID=jsmith,DC=example-bank,DC=net: " + errLong.Error()},
		"no Base64": {replaced(figure3, "MTIz", "M!Iz"), nil,
			"line 14, column 9: token 987654321: its Secret: is no Base64"},
		"no integer": {replaced(figure3, ">0<", ">x<"), nil,
			"line 15, column 9: token 987654321: its Counter: is no Base64"},
		"check digits": {replaced(figure3, "Length=", `CheckDigits="true" Length=`), nil,
			"line 3, column 3: token 987654321: " + errResponse.Error()},
		"hexadecimal": {replaced(figure3, "DECIMAL", "HEXADECIMAL"), nil,
			"line 3, column 3: token 987654321: " + errResponse.Error()},
		"digits": {replaced(figure3, `"8"`, `"11"`), nil,
			"line 3, column 3: token 987654321: digits must be 6 to 10, and not 11"},
		"suite": {replaced(figure3, "<ResponseFormat", "<Suite>MD5</Suite><ResponseFormat"), nil,
			`line 3, column 3: token 987654321: hash algorithm "MD5" is not supported`},
		"time": {replaced(string(sample(t, "feitian")), ">0<", ">1<"), nil,
			"line 16, column 5: token 2600000000001: " + ErrTime.Error()},
		"period": {replaced(string(sample(t, "feitian")), ">60<", ">0<"), nil,
			"line 19, column 5: token 2600000000001: its TimeInterval: is out of range"},
		"date": {replaced(string(sample(t, "feitian")), "2012-08-01T", "2012-18-01T"), nil,
			"line 3, column 2: token 2600000000001: its StartDate: is no date and time"},
		"control": {replaced(figure3, "Issuer<", "Is&#10;suer<"), nil,
			"line 3, column 3: token 987654321: its issuer has a control character"},
		"end": {strings.TrimSuffix(figure3, "</KeyContainer>\n"), nil,
			`no pskc file: line 20, column 1: the file ends, but element "KeyContainer" is open`},
		"late key": {replaced(figure3, "</KeyContainer>", "<EncryptionKey/></KeyContainer>"), nil,
			"no pskc file: line 20, column 1: EncryptionKey must stand before the key packages, and once"},
		"two MAC keys": {replaced(figure6, "</MACKey>", "</MACKey><MACKey><CipherData/></MACKey>"), figureKey,
			"no pskc file: line 11, column 14: it has two MAC keys"},
		"doctype": {replaced(figure3, "<KeyContainer", "<!DOCTYPE KeyContainer><KeyContainer"), nil,
			"no pskc file: line 2, column 1: it has a DOCTYPE, which is not read"},
		"many keys": {"<KeyContainer><KeyPackage>" + strings.Repeat("<Key/>", maxKeys+1), nil,
			"no pskc file: line 1, column 123: a device has more than 16 keys"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readThrough(Format, test.file, unlocking(test.secret, nil))
			if got := fmt.Sprint(err); got != test.problem {
				t.Errorf("%s\nexpected\n%s", got, test.problem)
			}
		})
	}
}

// readThrough reads all of a file, and gives the first error.
func readThrough(f *seedfile.Format, file string, o seedfile.ReadOptions) (tokens []*seedfile.Token, first error) {
	r, err := f.NewReader(strings.NewReader(file), o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		token, err := r.Read()
		if errors.Is(err, io.EOF) {
			return tokens, first
		}
		if err != nil && first == nil {
			first = err
		}
		switch {
		case err == nil:
			tokens = append(tokens, token)
		case !errors.As(err, new(*seedfile.RowError)):
			return tokens, first
		}
	}
}

// many are tokens that differ.
func many(n int) (tokens []*seedfile.Token) {
	for i := range n {
		tokens = append(tokens, &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: fmt.Appendf(nil, "seed of token %06d",
			i),
			Serial: fmt.Sprintf("FOB%06d", i), Manufacturer: "ACME", Account: fmt.Sprintf("user%d@example.com", i)})
	}
	return tokens
}

// TestMany: the order of tokens is kept over many batches, by all ways.
func TestMany(t *testing.T) {
	tokens := many(7*batchRecords + 3)
	for name, o := range ways {
		file, err := seedfiletest.WriteAll(Format, tokens, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := seedfiletest.ReadAll(Format, file, unlocking(o.Secret, nil))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seedfiletest.Same(t, got, tokens)
		for i := range got {
			if got[i].Line != got[0].Line+i {
				t.Fatalf("%s: token %d on line %d", name, i, got[i].Line)
			}
		}
	}
}

// TestChangedSeed: of the seeds of a file, those that were changed are refused, each at its place, and no other.
func TestChangedSeed(t *testing.T) {
	tokens := many(2*batchRecords + 10)
	file, err := seedfiletest.WriteAll(Format, tokens, ways["aes128"])
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	const header, bad = 4, 2*batchRecords + 5
	lines[header+bad] = changed(t, lines[header+bad])
	column := bytes.Index(lines[header+bad], []byte("<Secret>")) + 1
	got, err := readThrough(Format, string(bytes.Join(lines, nil)), unlocking(key16, nil))
	var row *seedfile.RowError
	if !errors.As(err, &row) || !errors.Is(err, seedfile.ErrMAC) || row.Line != header+bad+1 || row.Column != column ||
		row.Token != tokens[bad].Serial {
		t.Errorf("%v, expected line %d, column %d", err, header+bad+1, column)
	}
	seedfiletest.Same(t, got, append(tokens[:bad:bad], tokens[bad+1:]...))
}

// TestMACBeforeDecrypting: a value whose MAC is wrong is not decrypted (RFC 6030 §6.1.1): whether its padding is right
// does not show.
func TestMACBeforeDecrypting(t *testing.T) {
	k, err := newKeys(bytes.Clone(key16))
	if err != nil {
		t.Fatal(err)
	}
	k.macOf, k.mac = hashes["sha1"], []byte("a key of a MAC, wow!")
	for _, text := range []string{strings.Repeat("A", 4*aes.BlockSize), ""} {
		d := newDecoder(k, &readSettings{})
		d.text = []byte(base64.StdEncoding.EncodeToString([]byte(text)) + base64.StdEncoding.EncodeToString(make([]byte,
			20)))
		n := int32(base64.StdEncoding.EncodedLen(len(text)))
		v := noValue
		v.cipher, v.mac, v.algorithm = span{0, n}, span{n, int32(len(d.text))}, encryptionOf([]byte("aes128-cbc"))
		if _, err := d.open(&v); err != seedfile.ErrMAC {
			t.Errorf("%q: %v", text, err)
		}
		if string(d.scratch) != text {
			t.Errorf("%q became %q", text, d.scratch)
		}
	}
}

// TestUnlock: the passphrase is asked for until it is right or nobody answers; who asks learns what the file calls it.
func TestUnlock(t *testing.T) {
	errEnough := errors.New("enough")
	for name, test := range map[string]struct {
		answers []string
		asked   int
		err     error
	}{
		"third":  {[]string{"a", "b", string(passphrase)}, 3, nil},
		"none":   {nil, 1, errEnough},
		"enough": {[]string{"a", "b"}, 3, errEnough},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := seedfiletest.WriteAll(Format, many(3), ways["passphrase"])
			if err != nil {
				t.Fatal(err)
			}
			var given []hotp.Seed
			asked := 0
			_, err = seedfiletest.ReadAll(Format, file, seedfile.ReadOptions{Unlock: func(lock seedfile.Lock,
				hint string) (hotp.Seed, error) {
				if lock != seedfile.Passphrase || hint != "of <tests>" {
					t.Errorf("asked for %d %q", lock, hint)
				}
				if asked++; asked > len(test.answers) {
					return nil, errEnough
				}
				given = append(given, hotp.Seed(test.answers[asked-1]))
				return given[asked-1], nil
			}})
			if !errors.Is(err, test.err) || asked != test.asked {
				t.Errorf("%v after %d", err, asked)
			}
			for _, secret := range given {
				if !secret.Equal(make(hotp.Seed, len(secret))) {
					t.Error("an answer was not wiped")
				}
			}
		})
	}
}

// TestUnlockEnds: who gives the same wrong key for ever is not asked for ever.
func TestUnlockEnds(t *testing.T) {
	file, err := seedfiletest.WriteAll(Format, many(1), ways["aes128"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seedfiletest.ReadAll(Format, file, unlocking(figureKey, nil)); err != seedfile.ErrWrongKey {
		t.Error(err)
	}
}

func TestLocked(t *testing.T) {
	for name, want := range map[string]seedfile.LockedError{
		"rfc6030-figure6": {Lock: seedfile.Key, Hint: "Pre-shared-key"}, "rfc6030-figure7": {Lock: seedfile.Passphrase,
			Hint: "My Password 1"}} {
		_, err := seedfiletest.ReadAll(Format, sample(t, name), seedfile.ReadOptions{})
		var locked *seedfile.LockedError
		if !errors.As(err, &locked) || *locked != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAssume: what a file does not tell is what the caller assumes.
func TestAssume(t *testing.T) {
	const file = `<KeyContainer><KeyPackage><Key Algorithm="totp"><Data><Secret><PlainValue>MTIzNDU2</PlainValue></Secret>` +
		`</Data></Key></KeyPackage></KeyContainer>`
	for _, test := range [...]struct{ assume, want hotp.Parameters }{
		{hotp.Parameters{}, hotp.DefaultTOTP},
		{hotp.Parameters{Algorithm: hotp.SHA512, Digits: 8, Period: 60}, hotp.Parameters{Type: hotp.TOTP,
			Algorithm: hotp.SHA512, Digits: 8, Period: 60}},
	} {
		tokens, err := readThrough(Format, file, seedfile.ReadOptions{Assume: test.assume})
		if err != nil || len(tokens) != 1 || tokens[0].Parameters != test.want {
			t.Errorf("%v, %v", tokens, err)
		}
	}
}

// TestSuites: all spellings of a hash.
func TestSuites(t *testing.T) {
	for suite, want := range map[string]hotp.Algorithm{
		"SHA1": hotp.SHA1, "SHA-1": hotp.SHA1, "HMAC-SHA1": hotp.SHA1, "HMAC-SHA-1": hotp.SHA1, "hmac-sha1": hotp.SHA1,
		"SHA256": hotp.SHA256, "sha-256": hotp.SHA256, "HMAC-SHA256": hotp.SHA256, "HMAC-SHA-256": hotp.SHA256,
		"SHA512": hotp.SHA512, "HMAC-SHA512": hotp.SHA512, "SHA384": 0, "SHA": 0, "": 0, "HMAC-": 0, "SHA1x": 0,
	} {
		if got := suiteOf([]byte(suite)); got != want {
			t.Errorf("%q: %v, expected %v", suite, got, want)
		}
	}
}

// TestIntegers: where a number could be digits as well as bytes, the setting tells.
func TestIntegers(t *testing.T) {
	d := newDecoder(nil, &readSettings{})
	for _, test := range [...]struct {
		text, setting string
		want          int64
	}{
		{"12", "", 12}, {"-3", "", -3}, {"MTI=", "", 12}, {"AQA=", "", 256}, {"MTI=", "binary", 0x3132}, {"MTI=",
			"decimal", 12},
	} {
		d.options.integers, d.text = test.setting, []byte(test.text)
		v := noValue
		v.plain = span{0, int32(len(test.text))}
		if got, err := d.integer(&v); got != test.want || err != nil {
			t.Errorf("%s %s: %d, %v", test.text, test.setting, got, err)
		}
	}
}

// TestExtensions: elements of other namespaces are passed over, with all that is in them, and so are comments.
func TestExtensions(t *testing.T) {
	file := strings.Replace(string(sample(t, "rfc6030-figure3")), "<Data>",
		`<Extensions><x:Data xmlns:x="urn:x"><x:Secret/></x:Data></Extensions>`+
			`<x:Data xmlns:x="urn:x"><Secret/></x:Data><Data><x:Secret xmlns:x="urn:x"/>`, 1)
	file = strings.Replace(file, "<PlainValue>MTIz", "<PlainValue><!-- --> <?x ?> \n MT<![CDATA[I]]>&#122;", 1)
	tokens, err := readThrough(Format, file, seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seedfiletest.Same(t, tokens, []*seedfile.Token{&figure3})
}

// TestClose: whoever stops in the middle leaves no goroutine behind, nor seeds that were read ahead.
func TestClose(t *testing.T) { synctest.Test(t, testClose) } // it fails where a goroutine stays

func testClose(t *testing.T) {
	file, err := seedfiletest.WriteAll(Format, many(20*batchRecords), ways["aes128"])
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Format.NewReader(bytes.NewReader(file), unlocking(key16, nil))
	if err != nil {
		t.Fatal(err)
	}
	for range batchRecords + 1 {
		if _, err := opened.Read(); err != nil {
			t.Fatal(err)
		}
	}
	r := opened.(*reader)
	ahead := append([]*batch{r.current}, r.ahead...)
	if len(ahead) < 2 {
		t.Fatal("nothing is read ahead")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	for _, b := range ahead {
		for _, one := range b.results {
			if one.token != nil && !one.token.Seed.Equal(make(hotp.Seed, len(one.token.Seed))) {
				t.Fatal("a seed is left")
			}
		}
		if len(bytes.Trim(b.text[:cap(b.text)], "\x00")) > 0 {
			t.Error("the text of a batch is left")
		}
	}
	if !bytes.Equal(r.keys.main, make([]byte, 16)) || !bytes.Equal(r.keys.mac, make([]byte, 20)) {
		t.Error("a key is left")
	}
	if _, err := r.Read(); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// TestReadErrors: when the file itself fails, that is no end of it.
func TestReadErrors(t *testing.T) {
	file, err := seedfiletest.WriteAll(Format, many(3*batchRecords), ways["plain"])
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	for _, at := range []int{0, 100, len(file) / 2, len(file) - 1} {
		r, err := Format.NewReader(io.MultiReader(bytes.NewReader(file[:at]), iotest.ErrReader(broken)),
			seedfile.ReadOptions{})
		for err == nil {
			_, err = r.Read()
		}
		if !errors.Is(err, broken) {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, value := range map[string]string{"mac": "perhaps", "color": "red", "dialect": "okta"} {
		_, readErr := Format.NewReader(strings.NewReader("<KeyContainer/>"),
			seedfile.ReadOptions{Settings: settings{name: value}})
		_, writeErr := Format.NewWriter(io.Discard, seedfile.WriteOptions{Lock: seedfile.Plain,
			Settings: settings{name: value}})
		for _, err := range []error{readErr, writeErr} {
			var setting *seedfile.SettingError
			if !errors.As(err, &setting) || setting.Name != name {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
	}
}

// FuzzReader: what is read can be written, and is the same when it is read again. Passphrases are out of it, for
// PBKDF2 would take all the time.
func FuzzReader(f *testing.F) {
	files, err := filepath.Glob(samples + "*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	trip := seedfiletest.Trip{Write: seedfile.WriteOptions{Lock: seedfile.Key, Secret: figureKey},
		Read: seedfile.ReadOptions{
			Settings: settings{"mac": "optional"},
			Unlock: func(lock seedfile.Lock, _ string) (hotp.Seed, error) {
				if lock != seedfile.Key {
					return nil, errors.New("no passphrase")
				}
				return bytes.Clone(figureKey), nil
			}}}
	trip.Fuzz(f, Format)
}

// TestMACByMainKey: without a MACKey, the key of the file is that of its MACs, too; and when none of them is right, the
// key is the wrong one.
func TestMACByMainKey(t *testing.T) {
	file := string(sample(t, "rfc6030-figure6"))
	before, rest, _ := strings.Cut(file, "<MACKey>")
	_, behind, ok := strings.Cut(rest, "</MACKey>")
	if !ok {
		t.Fatal("no MACKey")
	}
	file = before + behind
	if _, err := readThrough(Format, file, unlocking(figureKey, nil)); err != seedfile.ErrWrongKey {
		t.Error(err)
	}
	sealed, err := base64.StdEncoding.DecodeString("AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv")
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, figureKey)
	mac.Write(sealed)
	file = strings.Replace(file, "Su+NvtQfmvfJzF6bmQiJqoLRExc=", base64.StdEncoding.EncodeToString(mac.Sum(nil)), 1)
	tokens, err := readThrough(Format, file, unlocking(figureKey, nil))
	if err != nil {
		t.Fatal(err)
	}
	seedfiletest.Same(t, tokens, []*seedfile.Token{&figure6})
}

// TestShortMACKey: whoever changes the encrypted key of MACs, so that all of it is padding, makes no MACs with what is
// left.
func TestShortMACKey(t *testing.T) {
	block, err := aes.NewCipher(figureKey)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]error{0: seedfile.ErrWrongKey, 8: seedfile.ErrWrongKey, 16: nil, 20: nil} {
		macKey := bytes.Repeat([]byte{7}, n)
		seal := encryptor{block: block, hmac: hmac.New(sha1.New, macKey)}
		iv := make([]byte, aes.BlockSize)
		encrypted := seal.appendEncrypted(nil, iv, seed20)
		text := base64.StdEncoding.EncodeToString
		_, err := readThrough(Format, `<KeyContainer xmlns="`+pskcSpace+`" xmlns:xenc="`+xencSpace+`"><EncryptionKey/><MACMethod Algorithm="`+
			hmacURI("sha1")+`"><MACKey>`+string(appendEncryptedData(nil, "aes128-cbc", seal.appendEncrypted(nil, iv, macKey)))+
			`</MACKey></MACMethod><KeyPackage><Key Id="1" Algorithm="hotp"><Data><Secret><EncryptedValue>`+
			string(appendEncryptedData(nil, "aes128-cbc", encrypted))+`</EncryptedValue><ValueMAC>`+
			text(seal.appendMAC(nil, encrypted))+`</ValueMAC></Secret></Data></Key></KeyPackage></KeyContainer>`,
			unlocking(figureKey, nil))
		if err != want {
			t.Errorf("a key of MACs of %d bytes: %v", n, err)
		}
	}
}

// TestKeys: a device that has several keys gives a token for each.
func TestKeys(t *testing.T) {
	key := func(id string) string {
		return `<Key Id="` + id + `" Algorithm="hotp"><Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue>` +
			`</Secret></Data></Key>`
	}
	tokens, err := readThrough(Format, `<KeyContainer><KeyPackage><DeviceInfo><SerialNo>1</SerialNo></DeviceInfo>`+
		key("a")+key("b")+`</KeyPackage></KeyContainer>`, seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seedfiletest.Same(t, tokens, []*seedfile.Token{
		{Parameters: sixDigits, Seed: seed20, Serial: "1", ID: "a"},
		{Parameters: sixDigits, Seed: seed20, Serial: "1", ID: "b"}})
}
