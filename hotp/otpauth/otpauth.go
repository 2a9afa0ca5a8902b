// Package otpauth reads and writes the URIs by which phones are given tokens: otpauth:// ("Key Uri Format" of Google
// Authenticator) and otpauth-migration://, in which that program hands over several at once.
//
// A URI is a secret as a whole: whoever has one wipes it.
package otpauth

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// MaxURI is how long an otpauth URI may be, in bytes: what the longest token needs, and as much again.
const MaxURI = 20 << 10

// Carries is what an otpauth URI can hold.
var Carries = seedfile.Capacity{
	Kinds:      seedfile.HOTP | seedfile.TOTP,
	Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
	Fields:     seedfile.FieldAccount | seedfile.FieldIssuer | seedfile.FieldCounter,
}

var format = seedfile.Format{Name: "an otpauth URI", Carries: Carries}

// Error says what is wrong with a URI. It never has the secret.
type Error struct {
	Part    string // "scheme", "type", "label", or the name of the parameter; empty for the whole
	Column  int    // where the part begins, from 1 on, in bytes; 0 for the whole
	Problem error
}

func (e *Error) Error() string {
	if e.Part == "" {
		return "otpauth URI: " + e.Problem.Error()
	}
	return fmt.Sprintf("otpauth URI: %s: %s", e.Part, e.Problem)
}

func (e *Error) Unwrap() error { return e.Problem }

// part is a piece of a URI, with where it begins.
type part struct {
	name string
	text []byte
	at   int // from 0 on
}

func (p part) wrong(problem string) error { return p.because(errors.New(problem)) }

func (p part) because(problem error) error { return &Error{p.name, p.at + 1, problem} }

// cut splits a part at the first of sep, which belongs to neither.
func (p part) cut(sep string) (before, after part, found bool) {
	b, a, found := bytes.Cut(p.text, []byte(sep))
	return part{p.name, b, p.at}, part{p.name, a, p.at + len(p.text) - len(a)}, found
}

// Parse reads an otpauth URI. It keeps nothing of it, and makes no copy of the secret but the seed.
//
// It is strict where codes depend on it: numbers are decimal, in their limits, and not empty; there is no algorithm but
// SHA1, SHA256 and SHA512; a parameter that is given twice is wrong; the counter of hotp must be there. Names of
// parameters, and the words for type and algorithm, may be in either case. What it does not know it ignores, such as
// image or color, as all readers do. A period in a URI of hotp, and a counter in one of totp, must be numbers and have
// no meaning. Neither issuer nor account may have a colon; both may be empty, and then the caller needs another name;
// an issuer before the account and the parameter issuer must be the same. In the query + is a space, as forms have it,
// unless that makes issuers differ which else are the same.
//
// Its error is an *Error, which wraps seedfile.ErrSteam for the codes of Steam.
func Parse(uri []byte) (*seedfile.Token, error) {
	if len(uri) > MaxURI {
		return nil, &Error{Problem: fmt.Errorf("is longer than %d bytes", MaxURI)}
	}
	kind, rest, err := cutType(uri)
	if err != nil {
		return nil, err
	}
	label, query, _ := rest.cut("?")
	q, err := cutQuery(query)
	if err != nil {
		return nil, err
	}
	t := &seedfile.Token{Parameters: hotp.Parameters{Type: kind}}
	if err := q.fill(t); err != nil {
		return nil, err
	}
	label.name = "label"
	if err := fillNames(t, label, q["issuer"]); err != nil {
		return nil, err
	}
	if t.Seed, err = q.seed(); err != nil {
		return nil, err
	}
	if err := format.Check(t, 0); err != nil {
		t.Wipe()
		return nil, q.blame(err)
	}
	return t, nil
}

// cutType reads what stands before the label.
func cutType(uri []byte) (hotp.Type, part, error) {
	scheme, rest, found := part{"scheme", uri, 0}.cut("://")
	switch {
	case found && bytes.EqualFold(scheme.text, []byte("steam")): // as Bitwarden has it
		return 0, part{}, scheme.because(seedfile.ErrSteam)
	case !found || !bytes.EqualFold(scheme.text, []byte("otpauth")):
		return 0, part{}, scheme.wrong("is not otpauth")
	}
	rest.name = "type"
	if i := bytes.IndexByte(rest.text, '#'); i >= 0 {
		return 0, part{}, part{"fragment", nil, rest.at + i}.wrong("can't be in such a URI")
	}
	kind, rest, found := rest.cut("/")
	switch {
	case !found:
		return 0, part{}, kind.wrong("has no label behind it")
	case bytes.EqualFold(kind.text, []byte("totp")):
		return hotp.TOTP, rest, nil
	case bytes.EqualFold(kind.text, []byte("hotp")):
		return hotp.HOTP, rest, nil
	case bytes.EqualFold(kind.text, []byte("steam")): // as Aegis has it
		return 0, part{}, kind.because(seedfile.ErrSteam)
	}
	return 0, part{}, kind.wrong("is neither hotp nor totp")
}

// known are the parameters that have a meaning here.
var known = []string{"secret", "issuer", "algorithm", "digits", "period", "counter", "encoder"}

// query is the known parameters of a URI, as they stand there.
type query map[string]part

func cutQuery(rest part) (query, error) {
	q := make(query)
	for more := true; more; {
		var one part
		one, rest, more = rest.cut("&")
		name, value, _ := one.cut("=")
		if bytes.IndexByte(name.text, '%') >= 0 {
			name.name = "name of a parameter"
			return nil, name.wrong("must not be escaped")
		}
		for _, word := range known {
			if !bytes.EqualFold(name.text, []byte(word)) {
				continue
			}
			value.name = word
			if _, again := q[word]; again {
				return nil, value.wrong("is given twice")
			}
			q[word] = value
		}
	}
	return q, nil
}

// fill reads the parameters that make codes, but the seed.
func (q query) fill(t *seedfile.Token) error {
	if e, found := q["encoder"]; found { // KeePassXC marks other codes than OATH's by it
		if bytes.EqualFold(e.text, []byte("steam")) {
			return e.because(seedfile.ErrSteam)
		}
		return e.wrong("makes other codes than OATH's")
	}
	p := hotp.DefaultHOTP
	if t.Type == hotp.TOTP {
		p = hotp.DefaultTOTP
	}
	t.Parameters = p
	var err error
	if t.Algorithm, err = q.algorithm(); err != nil {
		return err
	}
	digits, err := q.number("digits", uint64(p.Digits), 8)
	if err != nil {
		return err
	}
	period, err := q.number("period", uint64(p.Period), 31)
	if err != nil {
		return err
	}
	counter, err := q.number("counter", 0, 64)
	if err != nil {
		return err
	}
	t.Digits = int(digits)
	if t.Type == hotp.TOTP {
		t.Period = int(period)
		return nil
	}
	t.Counter = counter
	if _, found := q["counter"]; !found {
		return &Error{Part: "counter", Problem: errors.New("is missing, which hotp needs")}
	}
	return nil
}

func (q query) algorithm() (hotp.Algorithm, error) {
	p, found := q["algorithm"]
	if !found {
		return hotp.SHA1, nil
	}
	for a := hotp.SHA1; a <= hotp.SHA512; a++ {
		if bytes.EqualFold(p.text, []byte(a.String())) {
			return a, nil
		}
	}
	return 0, p.wrong("must be SHA1, SHA256 or SHA512")
}

// number reads a decimal number of that many bits.
func (q query) number(name string, other uint64, bits int) (uint64, error) {
	p, found := q[name]
	if !found {
		return other, nil
	}
	n, err := strconv.ParseUint(string(p.text), 10, bits)
	if err != nil {
		return 0, p.wrong("is no number, or too large")
	}
	return n, nil
}

func (q query) seed() (hotp.Seed, error) {
	p, found := q["secret"]
	if !found {
		return nil, &Error{Part: "secret", Problem: errors.New("is missing")}
	}
	text := make([]byte, 0, len(p.text))
	defer func() { clear(text[:cap(text)]) }()
	text, ok := appendUnescaped(text, p.text, false)
	if !ok {
		return nil, p.wrong(badEscape)
	}
	seed, err := hotp.ParseSeed(text)
	if err != nil {
		seed.Wipe()
		return nil, p.because(err)
	}
	return seed, nil
}

// blame says where a URI has what is wrong with the token that was read.
func (q query) blame(err error) error {
	var wrong *hotp.ParameterError
	if errors.As(err, &wrong) {
		if p, found := q[wrong.Parameter]; found {
			return p.because(err)
		}
	}
	return &Error{Problem: err}
}

// fillNames reads issuer and account.
func fillNames(t *seedfile.Token, label, issuer part) error {
	text, ok := appendUnescaped(nil, label.text, false)
	if !ok {
		return label.wrong(badEscape)
	}
	prefix, account, err := SplitLabel(string(text))
	if err != nil {
		return label.because(err)
	}
	t.Account, t.Issuer = account, prefix
	for _, plus := range []bool{true, false} {
		name, ok := appendUnescaped(nil, issuer.text, plus)
		if !ok {
			return issuer.wrong(badEscape)
		}
		parameter := trim(string(name))
		switch {
		case strings.Contains(parameter, ":"):
			return issuer.wrong("has a colon")
		case parameter == "" || parameter == prefix:
			return nil
		case prefix == "":
			t.Issuer = parameter
			return nil
		}
	}
	return issuer.wrong("differs from the one before the account")
}

// SplitLabel gives the issuer and the account of a label that stands for both, such as "ACME: alice@example.com".
// Without a colon there is no issuer.
func SplitLabel(label string) (issuer, account string, err error) {
	issuer, account, found := strings.Cut(label, ":")
	if !found {
		issuer, account = "", label
	}
	if strings.Contains(account, ":") {
		return "", "", errors.New("has more than one colon")
	}
	return trim(issuer), trim(account), nil
}

func trim(s string) string { return strings.TrimFunc(s, unicode.IsSpace) }
