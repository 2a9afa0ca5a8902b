package apps

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// AndOTP is the backup of andOTP.
var AndOTP = complete(&seedfile.Format{
	Name:      "andotp",
	Title:     "andOTP, backup",
	Extension: ".json",
	Source:    "andOTP 0.9, otp_accounts.json and otp_accounts.json.aes",
	Carries:   carries,
	Reads:     seedfile.Plain | seedfile.Passphrase,
	Writes:    seedfile.Plain | seedfile.Passphrase,
	Detect:    detectAndOTP,
}, newAndOTPReader, newAndOTPWriter)

// How andOTP encrypts: the iterations of PBKDF2 with HMAC-SHA1 as a number of four bytes, salt, nonce, and what
// AES-256-GCM gives.
const (
	andOTPSalt          = 12 // bytes
	andOTPIterations    = 150_000
	maxAndOTPIterations = 2_000_000 // the app has 140,000 to 160,000
	andOTPHeader        = 4 + andOTPSalt + nonceSize
)

// detectAndOTP is not sure of encrypted files, which have nothing to know them by.
func detectAndOTP(head []byte) int {
	switch {
	case begins(head, '[', `"secret"`, `"thumbnail"`):
		return 90
	case begins(head, '[', `"secret"`, `"label"`):
		return 60
	case len(head) > andOTPHeader+tagSize && !utf8.Valid(head[:andOTPHeader]) && andOTPCost(head) == nil:
		return 10
	}
	return 0
}

func andOTPCost(file []byte) error {
	if n := binary.BigEndian.Uint32(file); n < 1000 || n > maxAndOTPIterations {
		return fmt.Errorf("it wants %d iterations, and not 1,000 to %d", n, maxAndOTPIterations)
	}
	return nil
}

func newAndOTPReader(f *seedfile.Format, in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readFile(in, f.Name)
	if err != nil {
		return nil, err
	}
	r := &reader{queue: queue{format: f}, file: file, parse: parseAndOTP}
	if !begins(file, '[') {
		defer clear(file)
		r.hidden = true
		if r.file, err = openAndOTP(f, file, o); err != nil {
			return nil, err
		}
	}
	if err := checkJSON(r.file, f.Name); err != nil {
		r.Close()
		return nil, err
	}
	list := trimSpace(r.file)
	if list[0] != '[' {
		r.Close()
		return nil, wrongFormat(f, "it is no list")
	}
	r.next = array(list)
	return r, nil
}

func openAndOTP(f *seedfile.Format, file []byte, o seedfile.ReadOptions) ([]byte, error) {
	if len(file) < andOTPHeader+tagSize {
		return nil, wrongFormat(f, "it is neither a list in JSON nor long enough to be encrypted")
	}
	if err := andOTPCost(file); err != nil {
		return nil, wrongFormat(f, err.Error())
	}
	iterations, salt := int(binary.BigEndian.Uint32(file)), file[4:4+andOTPSalt]
	return unlock(o, func(passphrase []byte) ([]byte, error) {
		key, err := pbkdf2.Key(sha1.New, stringOf(passphrase), salt, iterations, keySize)
		if err != nil {
			return nil, err
		}
		return open(key, file[4+andOTPSalt:andOTPHeader], file[andOTPHeader:])
	})
}

func parseAndOTP(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Secret          secret
		Issuer          *string
		Label           string
		Type, Algorithm string
		Digits, Period  int
		Counter         uint64
	}
	err := decode(text, &e)
	t := &seedfile.Token{Account: e.Label, Issuer: value(e.Issuer, "")}
	if e.Issuer == nil { // as old versions of the app have it
		if issuer, account, found := strings.Cut(e.Label, " - "); found {
			t.Issuer, t.Account = issuer, account
		}
	}
	parts := entry{kind: e.Type, algorithm: e.Algorithm, digits: e.Digits, period: e.Period,
		counter: e.Counter, secret: e.Secret}
	if err == nil {
		err = parts.fill(t)
	}
	clear(e.Secret)
	add(t, err)
}

func newAndOTPWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	lock, err := lockOf(f, o)
	if err != nil {
		return nil, err
	}
	w := &writer{format: f, out: out, drop: o.Drop, entry: appendAndOTP, head: "[\n", separator: ",\n", tail: "\n]\n"}
	if lock == seedfile.Passphrase {
		w.seal, w.passphrase = sealAndOTP, bytes.Clone(o.Secret)
	}
	return w, nil
}

func appendAndOTP(out []byte, _ int, t *seedfile.Token) ([]byte, error) {
	out = append(out, `{"secret":"`...)
	out = append(base32.StdEncoding.AppendEncode(out, t.Seed), '"') // the app pads
	out = appendText(append(out, `,"issuer":`...), t.Issuer)
	out = appendText(append(out, `,"label":`...), t.Account)
	out = appendNumber(out, `,"digits":`, uint64(t.Digits))
	out = append(append(out, `,"type":"`...), strings.ToUpper(t.Type.String())...)
	out = append(append(out, `","algorithm":"`...), t.Algorithm.String()...)
	out = append(out, `","thumbnail":"Default","last_used":0,"used_frequency":0`...)
	if t.Type == hotp.HOTP {
		out = appendNumber(out, `,"counter":`, t.Counter)
	} else {
		out = appendNumber(out, `,"period":`, uint64(t.Period))
	}
	return append(out, `,"tags":[]}`...), nil
}

func sealAndOTP(plain, passphrase []byte) ([]byte, error) {
	salt := random(andOTPSalt)
	key, err := pbkdf2.Key(sha1.New, stringOf(passphrase), salt, andOTPIterations, keySize)
	if err != nil {
		return nil, err
	}
	nonce, sealed := seal(key, plain)
	file := binary.BigEndian.AppendUint32(nil, andOTPIterations)
	return append(append(append(file, salt...), nonce...), sealed...), nil
}
