package pskc

import (
	"bytes"
	"crypto/aes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

// TestRefusedOptions: keys, passphrases and settings that can't be.
func TestRefusedOptions(t *testing.T) {
	linotp := func(s settings) settings {
		s["dialect"] = "linotp"
		return s
	}
	for name, test := range map[string]struct {
		options seedfile.WriteOptions
		problem string
	}{
		"no lock": {seedfile.WriteOptions{}, "pskc: setting lock must be plain, a key or a passphrase"},
		"two locks": {seedfile.WriteOptions{Lock: seedfile.Plain | seedfile.Key},
			"pskc: setting lock must be plain, a key or a passphrase"},
		"no key":   {seedfile.WriteOptions{Lock: seedfile.Key}, "the key must have 16 bytes, and not 0"},
		"long key": {seedfile.WriteOptions{Lock: seedfile.Key, Secret: key32}, "the key must have 16 bytes, and not 32"},
		"short key": {seedfile.WriteOptions{Lock: seedfile.Key, Secret: key16, Settings: settings{"cipher": "aes256"}},
			"the key must have 32 bytes, and not 16"},
		"no passphrase": {seedfile.WriteOptions{Lock: seedfile.Passphrase}, "the passphrase is empty"},
		"few iterations": {seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: passphrase,
			Settings: settings{"iterations": "999"}}, "pskc: setting iterations must be 1000 to 10000000"},
		"LinOTP, short": {seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: hotp.Seed("12345"),
			Settings: linotp(settings{})}, "the passphrase must have 6 to 64 characters for linotp"},
		"LinOTP, long": {seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: bytes.Repeat([]byte("1"), 65),
			Settings: linotp(settings{})}, "the passphrase must have 6 to 64 characters for linotp"},
		"LinOTP, umlaut": {seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: hotp.Seed("geheimnisträger"),
			Settings: linotp(settings{})}, "the passphrase has a character that linotp does not take: it must be ASCII"},
		"LinOTP, cipher": {seedfile.WriteOptions{Lock: seedfile.Key, Secret: key32,
			Settings: linotp(settings{"cipher": "aes256"})}, "pskc: setting cipher can't be aes256 for linotp"},
		"LinOTP, MAC": {seedfile.WriteOptions{Lock: seedfile.Key, Secret: key16,
			Settings: linotp(settings{"hmac": "sha256"})}, "pskc: setting hmac can't be sha256 for linotp"},
		"privacyIDEA, PRF": {seedfile.WriteOptions{Lock: seedfile.Passphrase, Secret: passphrase,
			Settings: settings{"dialect": "privacyidea", "prf": "sha256"}},
			"pskc: setting prf can't be sha256 for privacyidea"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Format.NewWriter(io.Discard, test.options); err == nil || err.Error() != test.problem {
				t.Errorf("%v, expected %s", err, test.problem)
			}
		})
	}
}

// TestRefusedTokens: what XML, the schema or a consumer can't hold. Where the field may get lost, it can be dropped.
func TestRefusedTokens(t *testing.T) {
	good := func(change func(*seedfile.Token)) *seedfile.Token {
		token := &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: seed20, Serial: "FOB1", Account: "alice"}
		change(token)
		return token
	}
	counting := func(n uint64) func(*seedfile.Token) {
		return func(t *seedfile.Token) { t.Parameters, t.Counter = hotp.DefaultHOTP, n }
	}
	for name, test := range map[string]struct {
		token   *seedfile.Token
		dialect string
		field   seedfile.Field
		problem string
	}{
		"counter": {good(counting(math.MaxInt64 + 1)), "generic", seedfile.FieldCounter,
			"token FOB1: its counter is above 9223372036854775807, which pskc can't hold"},
		"counter of ykman": {good(counting(1 << 32)), "ykman", seedfile.FieldCounter,
			"token FOB1: its counter is above 4294967295, which pskc for ykman can't hold"},
		"drift": {good(func(t *seedfile.Token) { t.Drift = 1 << 31 }), "generic", seedfile.FieldDrift,
			"token FOB1: its drift has more than 32 bits, which pskc can't hold"},
		"drift of LinOTP": {good(func(t *seedfile.Token) { t.Drift = 1 }), "linotp", seedfile.FieldDrift,
			"token FOB1: pskc for linotp has no room for its drift (1 steps)"},
		"T0 of FreeIPA": {good(func(t *seedfile.Token) { t.T0 = 1 }), "freeipa", seedfile.FieldT0,
			"token FOB1: pskc for freeipa has no room for its t0 (1)"},
		"7 digits of FreeIPA": {good(func(t *seedfile.Token) { t.Digits = 7 }), "freeipa", seedfile.FieldDigits,
			"token FOB1: pskc for freeipa has no room for its digits (7 digits)"},
		"no account for ykman": {good(func(t *seedfile.Token) { t.Account = "" }), "ykman", 0,
			"token FOB1 has no account, which pskc for ykman needs"},
		"space": {good(func(t *seedfile.Token) { t.Issuer = "ACME " }), "generic", seedfile.FieldIssuer,
			"token FOB1: its issuer has a space at its beginning or end, which pskc can't hold"},
		"no character": {good(func(t *seedfile.Token) { t.Model = "\uffff" }), "generic", seedfile.FieldModel,
			"token FOB1: its model has a character that XML does not have, which pskc can't hold"},
		"expiry of ykman": {good(func(t *seedfile.Token) { t.Expiry = noon }), "ykman", seedfile.FieldExpiry,
			"token FOB1: pskc for ykman has no room for its expiry (2026-03-01 12:00:00 +0000 UTC)"},
		"year": {good(func(t *seedfile.Token) { t.Start = noon.AddDate(8000, 0, 0) }), "generic", seedfile.FieldStart,
			"token FOB1: its start is not in the years 1 to 9999, which pskc can't hold"},
	} {
		t.Run(name, func(t *testing.T) {
			o := seedfile.WriteOptions{Lock: seedfile.Plain, Settings: settings{"dialect": test.dialect}}
			if _, err := seedfiletest.WriteAll(Format, []*seedfile.Token{test.token}, o); err == nil ||
				err.Error() != test.problem {
				t.Errorf("%v, expected %s", err, test.problem)
			}
			if o.Drop = test.field & seedfile.Droppable; o.Drop == 0 {
				return
			}
			file, err := seedfiletest.WriteAll(Format, []*seedfile.Token{test.token}, o)
			if err != nil {
				t.Fatal(err)
			}
			clearFields(test.token, test.field)
			got, err := readThrough(Format, string(file), seedfile.ReadOptions{})
			if err != nil {
				t.Error(err)
			}
			seedfiletest.Same(t, got, []*seedfile.Token{test.token})
		})
	}
}

// TestNothingTwice: each value has an initialization vector of its own, each file other keys of MACs and salts.
func TestNothingTwice(t *testing.T) {
	tokens := make([]*seedfile.Token, 600)
	for i := range tokens {
		tokens[i] = &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: seed20, Serial: "FOB1"}
	}
	seen := make(map[string]bool)
	for range 2 {
		file, err := seedfiletest.WriteAll(Format, tokens, ways["passphrase"])
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"<xenc:CipherValue>", "<ValueMAC>", "<Specified>"} {
			for _, behind := range strings.Split(string(file), part)[1:] {
				value, _, _ := strings.Cut(behind, "<")
				if value = value[:22]; seen[value] { // an initialization vector, and more
					t.Fatalf("%s%s stands twice", part, value)
				}
				seen[value] = true
			}
		}
		if bytes.Contains(file, []byte("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=")) {
			t.Error("the seed is in it")
		}
	}
	if want := 2 * (2*len(tokens) + 2); len(seen) != want {
		t.Errorf("%d values, expected %d", len(seen), want)
	}
}

// TestWriterKeepsNothing: a token may be wiped when it is written, and a key when the writer is there.
func TestWriterKeepsNothing(t *testing.T) {
	secret := bytes.Clone(key16)
	var file bytes.Buffer
	w, err := Format.NewWriter(&file, seedfile.WriteOptions{Lock: seedfile.Key, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	tokens := many(2*batchRecords + 1)
	for _, token := range tokens {
		c := seedfiletest.Clone(token)
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
		c.Wipe()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := seedfiletest.ReadAll(Format, file.Bytes(), unlocking(key16, nil))
	if err != nil {
		t.Error(err)
	}
	seedfiletest.Same(t, got, tokens)
}

// TestAbort: whoever stops in the middle leaves no goroutine behind, nor seeds.
func TestAbort(t *testing.T) { synctest.Test(t, testAbort) } // it fails where a goroutine stays

func testAbort(t *testing.T) {
	opened, err := Format.NewWriter(io.Discard, ways["plain"])
	if err != nil {
		t.Fatal(err)
	}
	w := opened.(*writer)
	for _, token := range many(batchRecords + 1) {
		if err := w.Write(token); err != nil {
			t.Fatal(err)
		}
	}
	batches := append([]*writeBatch{w.current}, w.work...)
	if len(batches) != 2 {
		t.Fatalf("%d batches", len(batches))
	}
	w.Abort()
	for _, b := range batches {
		for _, left := range [][]byte{b.seeds[:cap(b.seeds)], b.out[:cap(b.out)]} {
			if len(bytes.Trim(left, "\x00")) > 0 {
				t.Error("a seed is left")
			}
		}
	}
	if err := w.Write(many(1)[0]); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestEmpty(t *testing.T) {
	if _, err := seedfiletest.WriteAll(Format, nil, ways["plain"]); err != ErrEmpty {
		t.Error(err)
	}
}

// failing takes n bytes, and then fails.
type failing struct{ n int }

var errFull = errors.New("the disk is full")

func (f *failing) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

// TestWriteErrors: an error of the file is told at last by Close, wherever it comes.
func TestWriteErrors(t *testing.T) {
	tokens := many(6 * batchRecords)
	file, err := seedfiletest.WriteAll(Format, tokens, ways["plain"])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 200, len(file) / 2, len(file) - 1} {
		w, err := Format.NewWriter(&failing{n}, ways["plain"])
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			if err := w.Write(token); err != nil && err != errFull {
				t.Error(err)
			}
		}
		if err := w.Close(); err != errFull {
			t.Errorf("at %d: %v", n, err)
		}
	}
}

// TestBound: what a token takes at most is never less than what it takes, so that its seed is never copied.
func TestBound(t *testing.T) {
	for _, c := range []string{`"`, "<", "\\", ",", "a", "🔑"} {
		worst := strings.Repeat(c, seedfile.MaxText/len(c))
		token := seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: make(hotp.Seed, hotp.MaxSeed), Serial: worst,
			Account: worst,
			Issuer:  worst, User: worst, Manufacturer: worst, Model: worst, Start: noon, Expiry: noon.Add(time.Nanosecond),
			Drift: minInt}
		for _, id := range []string{"", worst + "1"} {
			token.ID = id
			opened, err := newWriter(io.Discard, ways["aes256"])
			if err != nil {
				t.Fatal(err)
			}
			b := opened.(*writer).newBatch()
			b.add(token)
			b.encode()
			if len(b.out) > b.bound || cap(b.out) != b.bound {
				t.Errorf("%d bytes in %d, and not at most %d", len(b.out), cap(b.out), b.bound)
			}
			opened.Abort()
		}
	}
}

func TestUnwrapVectors(t *testing.T) {
	for _, test := range [...]struct{ key, wrapped, plain string }{
		{"000102030405060708090A0B0C0D0E0F", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5", // RFC 3394 §4.1
			"00112233445566778899AABBCCDDEEFF"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", // §4.4
			"031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2",
			"00112233445566778899AABBCCDDEEFF0001020304050607"},
		{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", // RFC 5649 §6
			"138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", "c37b7e6492584340bed12207808941155068f738"},
		{"5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "afbeb0f07dfbf5419200f2ccb50bb24f", "466f7250617369"},
	} {
		block, err := aes.NewCipher(fromHex(test.key))
		if err != nil {
			t.Fatal(err)
		}
		got, err := unwrap(block, fromHex(test.wrapped))
		if err != nil || !fromHex(test.plain).Equal(got) {
			t.Errorf("%x, %v, expected %s", got, err, test.plain)
		}
		for i := range fromHex(test.wrapped) {
			bad := fromHex(test.wrapped)
			bad[i] ^= 1
			if got, err := unwrap(block, bad); err != errUnwrap {
				t.Errorf("changed at %d: %x, %v", i, got, err)
			}
		}
	}
	for _, n := range []int{0, 8, 15, 17, 8 * 66} {
		block, err := aes.NewCipher(key16)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unwrap(block, make([]byte, n)); err != errUnwrap {
			t.Errorf("%d bytes: %x, %v", n, got, err)
		}
	}
}

// TestPadding: with a MAC, padding is that of XML Encryption (§5.2): its last byte counts alone; else that of PKCS #7.
func TestPadding(t *testing.T) {
	k, err := newKeys(bytes.Clone(key16))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range [...]struct {
		end             string
		lenient, strict bool
	}{
		{"\x01", true, true}, {"\x03\x03\x03", true, true}, {"ab\x03", true, false}, {"\x00", false, false}, {"\x11",
			false, false},
		{strings.Repeat("\x10", 16), true, true},
	} {
		text := strings.Repeat("x", 2*aes.BlockSize-len(test.end)) + test.end
		for strict, want := range map[bool]bool{false: test.lenient, true: test.strict} {
			e := encryptor{block: k.blocks[0]}
			sealed := e.appendEncrypted(nil, make([]byte, aes.BlockSize), hotp.Seed(text))
			plain, err := k.decrypt(1, sealed[:len(sealed)-aes.BlockSize], strict) // without the padding of its own
			if (err == nil) != want || err == nil && string(plain) != text[:len(text)-int(text[len(text)-1])] {
				t.Errorf("%q, strict %t: %q, %v", test.end, strict, plain, err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "alice": "CN=alice", "alice@example.com": "CN=alice@example.com",
		"UID=jsmith,DC=example": "UID=jsmith,DC=example",
		"CN=a,DC=b":             "CN=a,DC=b", "CN=a": `CN=CN\=a`, "a, b": `CN=a\, b`, " a ": `CN=\20a\20`, `"`: `CN=\"`,
	} {
		if got := dnOf(name); got != want || nameOf(got) != name {
			t.Errorf("%q: %q, and back %q, expected %q", name, got, nameOf(got), want)
		}
	}
	for userID, want := range map[string]string{"CN=": "CN=", "cn=Alice": "Alice", `CN=a\2Cb`: "a,b",
		`CN=a\xx`: `CN=a\xx`, `CN=a\`: `CN=a\`} {
		if got := nameOf(userID); got != want {
			t.Errorf("%q: %q, expected %q", userID, got, want)
		}
	}
}

// FuzzNames: each name comes back, whatever it is.
func FuzzNames(f *testing.F) {
	for _, name := range []string{"alice", "CN=a", "UID=a,DC=b", " a\\", "CN=\\20"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		dn := dnOf(name)
		if got := nameOf(dn); got != name {
			t.Errorf("%q: %q, and back %q", name, dn, got)
		}
		if strings.TrimSpace(dn) != dn && strings.TrimSpace(name) == name {
			t.Errorf("%q: %q would be trimmed", name, dn)
		}
	})
}
