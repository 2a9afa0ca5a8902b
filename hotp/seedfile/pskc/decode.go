package pskc

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Problems of keys.
var (
	// ErrReference is that of a key whose secret is not in the file, but known to its maker (RFC 6030 §4.3.3).
	ErrReference = errors.New("its seed is not in the file, which has but a reference to it")
	// ErrTime is that of a key whose Time is not 0: some take that for the number of time steps since T0, as RFC 6030
	// has it, and others for T0 itself. With the setting time=ignore it is read.
	ErrTime      = errors.New("its Time is not 0, which has no one meaning; the setting time=ignore passes over it")
	errNoSecret  = errors.New("its Key has no Secret")
	errNoInteger = errors.New("is no integer, or too large")
	errRange     = errors.New("is out of range")
	errKeyless   = errors.New("is encrypted, in a file that names no key and has others that are not")
	errResponse  = errors.New("its codes are not decimal, or have check digits")
)

// ValueError says which value of a key is bad.
type ValueError struct {
	Element string // "Secret", "Counter", ...
	Problem error
}

func (e *ValueError) Error() string { return "its " + e.Element + ": " + e.Problem.Error() }
func (e *ValueError) Unwrap() error { return e.Problem }

// decoder makes tokens of what was read.
type decoder struct {
	*opener
	options                     *readSettings
	assume                      hotp.Parameters
	text                        []byte // of the batch
	scratch                     []byte // a value
	mac                         []byte
	issuer, manufacturer, model string // those of the key before, which are mostly the same
}

func newDecoder(k *keys, o *readSettings) *decoder {
	return &decoder{opener: newOpener(k), options: o,
		scratch: make([]byte, 0, maxContent), mac: make([]byte, 0, maxContent)}
}

// decode makes a token. Its error is a *seedfile.RowError.
func (d *decoder) decode(r *record) (*seedfile.Token, error) {
	t := &seedfile.Token{Line: r.line}
	row, column, err := d.fill(t, r)
	clear(d.scratch[:cap(d.scratch)])
	if err == nil {
		return t, nil
	}
	t.Wipe()
	return nil, &seedfile.RowError{Line: row, Column: column, Token: nameOfBad(t), Problem: err}
}

// nameOfBad gives the name of a token, where it is fit for a message.
func nameOfBad(t *seedfile.Token) string {
	name := t.Name()
	if name == (&seedfile.Token{}).Name() || len(name) > 64 {
		return ""
	}
	return name
}

// fill fills in a token, and tells where a problem is.
func (d *decoder) fill(t *seedfile.Token, r *record) (row, column int, err error) {
	d.texts(t, r)
	if r.problem != nil {
		return r.row, r.col, r.problem
	}
	for _, step := range [...]func(*seedfile.Token, *record) error{d.parameters, d.dates} {
		if err := step(t, r); err != nil {
			return r.line, r.column, err
		}
	}
	for i := range r.values {
		if err := d.value(t, i, r); err != nil {
			return valuePlace(r, i, err)
		}
	}
	return r.line, r.column, Format.Check(t, 0)
}

// valuePlace tells where a value is that has a problem.
func valuePlace(r *record, i int, err error) (row, column int, problem error) {
	v := &r.values[i]
	if v.line == 0 {
		return r.line, r.column, err
	}
	return v.line, v.column, err
}

func (d *decoder) get(s span) []byte {
	if !s.has() {
		return nil
	}
	return d.text[s.from:s.to]
}

// same gives the string of a text, which is mostly the one before.
func (d *decoder) same(last *string, s span) string {
	if b := d.get(s); *last != string(b) {
		*last = string(b)
	}
	return *last
}

func (d *decoder) texts(t *seedfile.Token, r *record) {
	t.Serial = string(d.get(r.serial))
	t.Issuer = d.same(&d.issuer, r.issuer)
	t.Manufacturer = d.same(&d.manufacturer, r.manufacturer)
	t.Model = d.same(&d.model, r.model)
	if r.owner.has() {
		t.User = nameOf(string(d.get(r.owner)))
	}
	if r.user.has() {
		t.Account = nameOf(string(d.get(r.user)))
	} else if r.friendlyName.has() {
		t.Account = string(d.get(r.friendlyName))
	}
	if id := d.get(r.id); string(id) != idOf(t) {
		t.ID = string(id)
	}
}

// idOf gives the Id of a key that has none of its own, for the schema wants one.
func idOf(t *seedfile.Token) string {
	for _, name := range [...]string{t.ID, t.Serial, t.Account, t.User} {
		if name != "" {
			return name
		}
	}
	return ""
}

// parameters reads what codes are made by.
func (d *decoder) parameters(t *seedfile.Token, r *record) error {
	switch profile(d.get(r.algorithm)) {
	case hotp.HOTP:
		t.Type = hotp.HOTP
	case hotp.TOTP:
		t.Type, t.Period = hotp.TOTP, 30
		if d.assume.Period != 0 {
			t.Period = d.assume.Period
		}
	default:
		return &AlgorithmError{"key", string(d.get(r.algorithm))}
	}
	encoding := d.get(r.encoding)
	if len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("DECIMAL")) || isTrue(d.get(r.checkDigits)) {
		return errResponse
	}
	return d.suiteAndLength(t, r)
}

func isTrue(b []byte) bool { return bytes.EqualFold(b, []byte("true")) || string(b) == "1" }

// profile gives the type of a key algorithm (RFC 6030 §10): drafts have a # in place of the last colon.
func profile(uri []byte) hotp.Type {
	name := uri[bytes.LastIndexAny(uri, ":#")+1:]
	switch {
	case bytes.EqualFold(name, []byte("hotp")):
		return hotp.HOTP
	case bytes.EqualFold(name, []byte("totp")):
		return hotp.TOTP
	}
	return 0
}

func (d *decoder) suiteAndLength(t *seedfile.Token, r *record) error {
	t.Algorithm, t.Digits = hotp.SHA1, 6
	if d.assume.Algorithm != 0 {
		t.Algorithm = d.assume.Algorithm
	}
	if d.assume.Digits != 0 {
		t.Digits = d.assume.Digits
	}
	if suite := d.get(r.suite); len(suite) > 0 {
		if t.Algorithm = suiteOf(suite); t.Algorithm == 0 {
			return &AlgorithmError{"hash", string(suite)}
		}
	}
	if length := d.get(r.length); len(length) > 0 {
		n, err := strconv.Atoi(string(length))
		if err != nil {
			return &hotp.ParameterError{Parameter: "digits", Problem: "are no number"}
		}
		t.Digits = n
	}
	return nil
}

// suiteOf gives the hash of a Suite: SHA1, SHA-1, HMAC-SHA1, HMAC-SHA-1 and so on, in letters of either case.
func suiteOf(b []byte) hotp.Algorithm {
	switch string(b) { // without a copy, what most have
	case "SHA1":
		return hotp.SHA1
	case "SHA256":
		return hotp.SHA256
	case "SHA512":
		return hotp.SHA512
	}
	name := strings.TrimPrefix(strings.ToUpper(string(b)), "HMAC-")
	switch strings.Replace(name, "SHA-", "SHA", 1) {
	case "SHA1":
		return hotp.SHA1
	case "SHA256":
		return hotp.SHA256
	case "SHA512":
		return hotp.SHA512
	}
	return 0
}

// dates reads from when on and until when the device and its key are to be used: what both have counts.
func (d *decoder) dates(t *seedfile.Token, r *record) error {
	for _, s := range [...]span{r.start, r.policyStart} {
		start, err := d.date(s, "StartDate")
		if err != nil {
			return err
		}
		if start.After(t.Start) {
			t.Start = start
		}
	}
	for _, s := range [...]span{r.expiry, r.policyExpiry} {
		expiry, err := d.date(s, "ExpiryDate")
		if err != nil {
			return err
		}
		if !expiry.IsZero() && (t.Expiry.IsZero() || expiry.Before(t.Expiry)) {
			t.Expiry = expiry
		}
	}
	return nil
}

var errDate = errors.New("is no date and time")

// date reads a date with a time (XML Schema Part 2 §3.2.7), or without one; without a zone it is UTC's.
func (d *decoder) date(s span, element string) (time.Time, error) {
	if !s.has() || s.from == s.to {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02"} {
		if t, err := time.Parse(layout, string(d.get(s))); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &ValueError{element, errDate}
}

// value reads one of the values. Those that the kind of the token does not have are passed over: privacyIDEA writes
// all of them for each.
func (d *decoder) value(t *seedfile.Token, i int, r *record) error {
	v := &r.values[i]
	switch {
	case i == secretValue && !v.has():
		if r.reference.has() {
			return ErrReference
		}
		return errNoSecret
	case i == secretValue:
		return d.secret(t, v)
	case !v.has() || (i == counterValue) != (t.Type == hotp.HOTP):
		return nil
	}
	n, err := int64(0), error(nil)
	switch {
	case r.privacyIDEA && string(d.get(v.plain)) == "None": // it does not know
		return nil
	case r.privacyIDEA && i == driftValue:
		n, err = d.shift(t, v)
	default:
		n, err = d.integer(v)
	}
	if err != nil {
		return inElement(i, err)
	}
	return d.set(t, i, n)
}

// shift reads the drift that privacyIDEA writes: seconds, in which the time since the last step began counts as well.
func (d *decoder) shift(t *seedfile.Token, v *value) (int64, error) {
	seconds, err := strconv.ParseFloat(string(d.get(v.plain)), 64)
	if err != nil || !(math.Abs(seconds) < maxInt) {
		return 0, errNoInteger
	}
	return int64(math.Ceil(seconds / float64(t.Period))), nil
}

// inElement says which value a problem is of. What is wrong with a MAC is the same for all.
func inElement(i int, err error) error {
	if err == seedfile.ErrMAC || err == ErrNoMAC {
		return err
	}
	return &ValueError{valueNames[i], err}
}

func (d *decoder) set(t *seedfile.Token, i int, n int64) error {
	switch {
	case i == counterValue && n >= 0:
		t.Counter = uint64(n)
	case i == timeValue && n != 0 && !d.options.ignoreTime:
		return ErrTime
	case i == intervalValue && n >= hotp.MinPeriod && n <= hotp.MaxPeriod:
		t.Period = int(n)
	case i == driftValue && n >= minInt && n <= maxInt:
		t.Drift = n
	case i != timeValue:
		return inElement(i, errRange)
	}
	return nil
}

// What xs:int has (XML Schema Part 2 §3.2.17).
const (
	minInt = -1 << 31
	maxInt = 1<<31 - 1
)

// secret reads the seed.
func (d *decoder) secret(t *seedfile.Token, v *value) (err error) {
	plain, err := d.open(v)
	if err != nil {
		return inElement(secretValue, err)
	}
	t.Seed = append(make(hotp.Seed, 0, len(plain)), plain...)
	return t.Seed.Valid()
}

// open gives what a value is, decrypted where it is encrypted, in d.scratch.
func (d *decoder) open(v *value) (plain []byte, err error) {
	if v.plain.has() {
		d.scratch, err = decodeBase64(d.scratch[:0], d.get(v.plain))
		if err != nil {
			return nil, errBase64
		}
		return d.scratch, nil
	}
	if d.keys == nil {
		return nil, errKeyless
	}
	if v.algorithm == 0 {
		return nil, &AlgorithmError{"encryption", string(d.get(v.uri))}
	}
	d.scratch, err = decodeBase64(d.scratch[:0], d.get(v.cipher))
	if err != nil {
		return nil, errBase64
	}
	verified, err := d.authenticate(v)
	if err != nil {
		return nil, err
	}
	return d.decrypt(v.algorithm, d.scratch, !verified)
}

var errBase64 = errors.New("is no Base64")

// authenticate verifies the MAC of the encrypted value in d.scratch, before anything is decrypted (RFC 6030 §6.1.1).
// Without one it goes on where the setting allows it, or where the algorithm authenticates.
func (d *decoder) authenticate(v *value) (verified bool, err error) {
	if d.hmac == nil || !v.mac.has() {
		if d.options.macOptional || encryptions[v.algorithm-1].mode == wrap {
			return false, nil
		}
		return false, ErrNoMAC
	}
	if d.mac, err = decodeBase64(d.mac[:0], d.get(v.mac)); err != nil {
		return false, seedfile.ErrMAC
	}
	if !d.verify(d.scratch, d.mac) {
		return false, seedfile.ErrMAC
	}
	return true, nil
}

// integer reads a value of a number. It stands there in decimal digits; some have Base64 of them, and multiOTP and
// python-pskc encrypt the number itself, most significant byte first.
func (d *decoder) integer(v *value) (int64, error) {
	if v.plain.has() {
		if n, err := strconv.ParseInt(string(d.get(v.plain)), 10, 64); err == nil {
			return n, nil
		}
	}
	plain, err := d.open(v)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(plain), 10, 64); err == nil && d.options.integers != "binary" {
		return n, nil
	}
	if len(plain) == 0 || len(plain) > 8 || plain[0] > 0x7F && len(plain) == 8 || d.options.integers == "decimal" {
		return 0, errNoInteger
	}
	n := int64(0)
	for _, c := range plain {
		n = n<<8 | int64(c)
	}
	return n, nil
}
