package apps

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// FreeOTPPlus is the export of FreeOTP+. The app knows a token by issuer and account, so that two tokens can't have the
// same, and takes each issuer "Steam" for Steam's own codes.
var FreeOTPPlus = complete(&seedfile.Format{
	Name:      "freeotp-plus",
	Title:     "FreeOTP+, export",
	Extension: ".json",
	Source:    "FreeOTP+, ImportExportUtil.kt and Token.java",
	Carries: seedfile.Capacity{Kinds: carries.Kinds, Algorithms: carries.Algorithms, Fields: carries.Fields,
		Digits: []int{6, 7, 8}},
	Reads:  seedfile.Plain,
	Writes: seedfile.Plain,
	Detect: func(head []byte) int {
		if begins(head, '{', `"tokenOrder"`) || begins(head, '{', `"tokens"`, `"issuerExt"`) {
			return 95
		}
		return 0
	},
}, newFreeOTPPlusReader, newFreeOTPPlusWriter)

// steamIssuer is how FreeOTP+ knows tokens of Steam.
const steamIssuer = "Steam"

// signedBytes are the bytes of a seed as numbers from -128 to 127, as Java has them.
type signedBytes []byte

// UnmarshalJSON takes an array of numbers. The error never repeats what it was given.
func (s *signedBytes) UnmarshalJSON(data []byte) error {
	out := make(signedBytes, 0, hotp.MaxSeed+1) // one more is too long
	next := array(data)
	for number := next(); number != nil && len(out) < cap(out); number = next() {
		b, ok := signedByte(number)
		if !ok {
			clear(out)
			return errors.New("a secret is not of bytes")
		}
		out = append(out, b)
	}
	*s = out
	return nil
}

func signedByte(number []byte) (byte, bool) {
	digits, n := number, 0
	if number[0] == '-' {
		digits = number[1:]
	}
	for _, c := range digits {
		if c < '0' || c > '9' || n > 128 {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if number[0] == '-' {
		n = -n
	}
	return byte(n), -128 <= n && n <= 127
}

func newFreeOTPPlusReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readJSON(in, f.Name)
	if err != nil {
		return nil, err
	}
	list := member(file, "tokens")
	if list == nil {
		clear(file)
		return nil, wrongFormat(f, "it has no tokens")
	}
	return &reader{queue: queue{format: f}, file: file, next: array(list), parse: parseFreeOTPPlus}, nil
}

func parseFreeOTPPlus(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Algo, Type                      string
		Counter                         int64
		Digits, Period                  int
		IssuerExt, IssuerInt, IssuerAlt string
		Label, LabelAlt                 string
		Secret                          signedBytes
	}
	err := decode(text, &e)
	t := &seedfile.Token{Account: firstOf(e.LabelAlt, e.Label), Issuer: firstOf(e.IssuerAlt, e.IssuerExt, e.IssuerInt)}
	defer func() { clear(e.Secret) }()
	switch {
	case err != nil:
	case e.IssuerExt == steamIssuer || t.Issuer == steamIssuer:
		err = seedfile.ErrSteam
	case e.Counter < 0:
		err = errors.New("its counter is negative")
	default:
		// The counter is that of the next code, though the app writes one more into URIs.
		parts := entry{kind: e.Type, algorithm: e.Algo, digits: e.Digits, period: e.Period, counter: uint64(e.Counter)}
		err = parts.parameters(t)
		t.Seed = append(make(hotp.Seed, 0, len(e.Secret)), e.Secret...)
	}
	add(t, err)
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func newFreeOTPPlusWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	l := freeOTPPlusList{format: f.Name, known: make(map[string]bool)}
	return &writer{format: f, out: out, drop: o.Drop, entry: l.append, end: l.appendOrder,
		head: `{"tokens":[` + "\n", separator: ",\n", tail: "]}\n"}, nil
}

// freeOTPPlusList keeps in memory how the app knows the tokens of a file.
type freeOTPPlusList struct {
	format string
	order  []string
	known  map[string]bool
}

func (l *freeOTPPlusList) append(out []byte, _ int, t *seedfile.Token) ([]byte, error) {
	id := t.Account
	if t.Issuer != "" {
		id = t.Issuer + ":" + t.Account
	}
	problem := func(f seedfile.Field, text string) error {
		return &seedfile.ValueError{Format: l.format, Token: t.Name(), Field: f, Problem: text}
	}
	switch {
	case t.Issuer == steamIssuer:
		return out, problem(seedfile.FieldIssuer, "makes the app give codes of Steam")
	case l.known[id]:
		return out, problem(seedfile.FieldAccount, "is that of another token with the same issuer")
	case t.Counter > 1<<63-1:
		return out, problem(seedfile.FieldCounter, "has more than 63 bits")
	}
	l.known[id], l.order = true, append(l.order, id)
	return appendFreeOTPPlus(out, t), nil
}

func appendFreeOTPPlus(out []byte, t *seedfile.Token) []byte {
	out = append(append(out, `{"algo":"`...), t.Algorithm.String()...)
	out = appendNumber(out, `","counter":`, t.Counter)
	out = appendNumber(out, `,"digits":`, uint64(t.Digits))
	out = appendText(append(out, `,"issuerExt":`...), t.Issuer)
	out = appendText(append(out, `,"issuerInt":`...), t.Issuer)
	out = appendText(append(out, `,"label":`...), t.Account)
	period := t.Period
	if t.Type == hotp.HOTP {
		period = hotp.DefaultTOTP.Period // the app has it in all tokens
	}
	out = appendNumber(out, `,"period":`, uint64(period))
	out = append(out, `,"secret":[`...)
	for i, b := range t.Seed {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(int8(b)), 10)
	}
	return fmt.Appendf(out, `],"type":"%s"}`, strings.ToUpper(t.Type.String()))
}

func (l *freeOTPPlusList) appendOrder(out []byte) []byte {
	out = append(out, "\n"+`],"tokenOrder":[`...)
	for i, id := range l.order {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendText(grow(out, 2*len(id)+64), id)
	}
	return out
}
