package apps

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// TwoFAS is the backup of 2FAS Authenticator. The app has a few numbers of digits and periods alone.
var TwoFAS = complete(&seedfile.Format{
	Name:      "2fas",
	Title:     "2FAS Authenticator, backup",
	Extension: ".2fas",
	Source:    "2FAS, BackupContent.kt, schema version 4",
	Carries: seedfile.Capacity{Kinds: carries.Kinds, Algorithms: carries.Algorithms, Fields: carries.Fields,
		Digits: []int{6, 7, 8}, Periods: []int{10, 30, 60, 90}},
	Reads:  seedfile.Plain | seedfile.Passphrase,
	Writes: seedfile.Plain | seedfile.Passphrase,
	Detect: func(head []byte) int {
		if begins(head, '{', `"schemaVersion"`) || begins(head, '{', `"services"`, `"otp"`) {
			return 90
		}
		return 0
	},
}, newTwoFASReader, newTwoFASWriter)

// How 2FAS encrypts (OtpBackupService).
const (
	twoFASIterations = 10_000 // of PBKDF2 with HMAC-SHA256
	twoFASSalt       = 256    // bytes
	// twoFASReference is what 2FAS decrypts first, to see whether a passphrase is right.
	twoFASReference = "tRViSsLKzd86Hprh4ceC2OP7xazn4rrt4xhfEUbOjxLX8Rc3mkISXE0lWbmnWfggogbBJhtYgpK6fMl1D6mtsy92" +
		"R3HkdGfwuXbzLebqVFJsR7IZ2w58t938iymwG4824igYy1wi6n2WDpO1Q1P69zwJGs2F5a1qP4MyIiDSD7NCV2Ov" +
		"idXQCBnDlGfmz0f1BQySRkkt4ryiJeCjD2o4QsveJ9uDBUn8ELyOrESv5R5DMDkD4iAF8TXU7KyoJujd"
)

func newTwoFASReader(f *seedfile.Format, in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readJSON(in, f.Name)
	if err != nil {
		return nil, err
	}
	r := &reader{queue: queue{format: f}, file: file, parse: parseTwoFAS}
	list := member(file, "services")
	if sealed := member(file, "servicesEncrypted"); sealed != nil {
		defer clear(file)
		r.hidden = true
		if list, err = openTwoFAS(f, sealed, o); err != nil {
			return nil, err
		}
		r.file = list
	}
	if list = trimSpace(list); len(list) == 0 || list[0] != '[' {
		r.Close()
		return nil, wrongFormat(f, "it has no services")
	}
	r.next = array(list)
	return r, nil
}

// openTwoFAS decrypts the services.
func openTwoFAS(f *seedfile.Format, sealed []byte, o seedfile.ReadOptions) ([]byte, error) {
	var parts [3][]byte // what is encrypted with its tag, salt, nonce
	texts := strings.Split(strings.Trim(string(sealed), `"`), ":")
	for i := range parts {
		var err error
		if len(texts) == len(parts) {
			parts[i], err = base64.StdEncoding.DecodeString(strings.ReplaceAll(texts[i], `\/`, "/"))
		}
		if err != nil || len(parts[i]) == 0 {
			return nil, wrongFormat(f, "servicesEncrypted is not of three parts in Base64")
		}
	}
	plain, err := unlock(o, func(passphrase []byte) ([]byte, error) {
		key, err := twoFASKey(passphrase, parts[1])
		if err != nil {
			return nil, err
		}
		return open(key, parts[2], parts[0])
	})
	if err != nil {
		return nil, err
	}
	if err := checkJSON(plain, f.Name); err != nil {
		clear(plain)
		return nil, err
	}
	return plain, nil
}

func twoFASKey(passphrase, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, stringOf(passphrase), salt, twoFASIterations, keySize)
}

func parseTwoFAS(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Name   string
		Secret secret
		OTP    struct {
			Account, Label, Issuer *string
			TokenType, Algorithm   *string
			Digits, Period         *int
			Counter                uint64
		}
	}
	err := decode(text, &e)
	o := &e.OTP
	t := &seedfile.Token{Account: value(o.Account, value(o.Label, "")), Issuer: value(o.Issuer, e.Name)}
	parts := entry{kind: value(o.TokenType, "TOTP"), algorithm: value(o.Algorithm, "SHA1"), digits: value(o.Digits, 6),
		period: value(o.Period, 30), counter: o.Counter, secret: e.Secret}
	if err == nil {
		err = parts.fill(t)
	}
	clear(e.Secret)
	add(t, err)
}

// value gives what a member is, or otherwise where it is not there or null.
func value[T any](member *T, otherwise T) T {
	if member == nil {
		return otherwise
	}
	return *member
}

func newTwoFASWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	lock, err := lockOf(f, o)
	if err != nil {
		return nil, err
	}
	w := &writer{format: f, out: out, drop: o.Drop, entry: appendTwoFAS,
		head: `{"services":[` + "\n", separator: ",\n", tail: "\n" + `],` + twoFASTail + "}\n"}
	if lock == seedfile.Passphrase {
		w.head, w.tail, w.seal, w.passphrase = "[\n", "\n]", sealTwoFAS, bytes.Clone(o.Secret)
	}
	return w, nil
}

const twoFASTail = `"groups":[],"updatedAt":0,"schemaVersion":4,"appVersionCode":5000009,"appVersionName":"5.1.0",` +
	`"appOrigin":"android"`

func appendTwoFAS(out []byte, n int, t *seedfile.Token) ([]byte, error) {
	name := t.Issuer
	if name == "" {
		name = t.Account
	}
	out = appendText(append(out, `{"name":`...), name)
	out = appendSeed(out, `,"secret":`, t.Seed)
	out = appendText(append(out, `,"updatedAt":0,"otp":{"label":`...), t.Account)
	out = appendText(append(out, `,"account":`...), t.Account)
	out = appendText(append(out, `,"issuer":`...), t.Issuer)
	out = appendNumber(out, `,"digits":`, uint64(t.Digits))
	if t.Type == hotp.HOTP {
		out = appendNumber(out, `,"counter":`, t.Counter)
	} else {
		out = appendNumber(out, `,"period":`, uint64(t.Period))
	}
	out = append(append(out, `,"algorithm":"`...), t.Algorithm.String()...)
	out = append(append(out, `","tokenType":"`...), strings.ToUpper(t.Type.String())...)
	out = appendNumber(out, `","source":"Manual"},"order":{"position":`, uint64(n))
	out = appendText(append(out, `},"icon":{"selected":"Label","label":{"text":`...), initials(name))
	return append(out, `,"backgroundColor":"Default"},`+
		`"iconCollection":{"id":"a5b3fb65-4ec5-43e6-8ec1-49e24ca9e7ad"}}}`...), nil
}

// initials are the two letters that stand for an icon.
func initials(name string) string {
	letters := []rune(strings.ToUpper(name))
	return string(letters[:min(len(letters), 2)])
}

// sealTwoFAS encrypts services.
func sealTwoFAS(plain, passphrase []byte) ([]byte, error) {
	salt := random(twoFASSalt)
	key, err := twoFASKey(passphrase, salt)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	part := func(plain []byte) string {
		nonce, sealed := seal(slices.Clone(key), plain)
		return base64.StdEncoding.EncodeToString(sealed) + ":" + base64.StdEncoding.EncodeToString(salt) + ":" +
			base64.StdEncoding.EncodeToString(nonce)
	}
	return fmt.Appendf(nil, `{"services":[],%s,"servicesEncrypted":"%s","reference":"%s"}`+"\n", twoFASTail, part(plain),
		part([]byte(twoFASReference))), nil
}
