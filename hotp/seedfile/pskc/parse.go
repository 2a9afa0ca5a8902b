package pskc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"fob/hotp/seedfile"
)

// span is a text in that of a batch. A text that the file does not have ends before it begins.
type span struct{ from, to int32 }

var none = span{0, -1}

func (s span) has() bool { return s.to >= s.from }

// value is a value that may be encrypted (RFC 6030 §4.2).
type value struct {
	plain, cipher, mac span
	algorithm          uint8 // a number in encryptions, or 0
	uri                span  // of the algorithm
	line, column       int
}

func (v *value) has() bool { return v.plain.has() || v.cipher.has() }

var noValue = value{plain: none, cipher: none, mac: none, uri: none}

// The values of a key.
const (
	secretValue = iota
	counterValue
	timeValue
	intervalValue
	driftValue
	values
)

var valueNames = [values]string{"Secret", "Counter", "Time", "TimeInterval", "TimeDrift"}

// record is what a file has of a key: texts, of which nothing was looked at yet.
type record struct {
	serial, manufacturer, model, owner, start, expiry span // of the device
	id, algorithm, issuer, suite, length, encoding    span
	checkDigits, reference, friendlyName, user        span
	policyStart, policyExpiry                         span
	values                                            [values]value
	privacyIDEA                                       bool // who wrote it
	line, column                                      int
	problem                                           error // what can't be of it
	row, col                                          int   // where that is
}

var noRecord = record{serial: none, manufacturer: none, model: none, owner: none, start: none, expiry: none, id: none,
	algorithm: none, issuer: none, suite: none, length: none, encoding: none, checkDigits: none, reference: none,
	friendlyName: none, user: none, policyStart: none, policyExpiry: none,
	values: [values]value{noValue, noValue, noValue, noValue, noValue}}

// fail notes the first problem of the key, which is where the scanner stands.
func (r *record) fail(s *scanner, problem error) {
	if r.problem == nil {
		r.problem, r.row, r.col = problem, s.row, s.column
	}
}

// maxBatch is how many bytes of texts a batch has, roughly; it is passed by one key at most.
const (
	maxBatch     = 128 << 10
	batchRecords = 256
	maxKeys      = 16      // of a device
	maxContent   = 4 << 10 // of an element that counts, in bytes
)

// parser reads the elements of a file.
type parser struct {
	*scanner
	text     []byte // of the batch
	records  []record
	header   header
	inside   bool // a key package has begun, whose start tag was read last
	packages int
	signed   bool // a file with a signature is read, too
}

// header is what stands before the keys.
type header struct {
	encrypted bool   // there is an EncryptionKey
	hint      string // the name of the key
	kdf       *derivation
	macOf     func() hash.Hash
	macKey    []byte // encrypted; nil: it is the main key
	macMode   uint8  // the algorithm of that
}

// content appends the text of the element, whose start tag was read, up to its end tag, without spaces at its ends.
// Elements within it are passed over.
func (p *parser) content() (span, error) {
	from := len(p.text)
	for {
		k, err := p.next()
		switch {
		case err != nil:
			return none, err
		case k == elementEnd:
			return p.trim(from), nil
		case k == elementStart:
			if err := p.skip(); err != nil {
				return none, err
			}
			continue
		}
		if len(p.text)-from+len(p.scanner.text) > maxContent {
			p.text = p.text[:from]
			if err := p.skip(); err != nil {
				return none, err
			}
			return none, errLong
		}
		p.text = append(p.text, p.scanner.text...)
	}
}

// errLong says that content passed over a text.
var errLong = fmt.Errorf("a text of it is longer than %d bytes", maxContent)

// trim gives the text from a place on.
func (p *parser) trim(from int) span {
	to := len(p.text)
	for from < to && isSpace(p.text[from]) {
		from++
	}
	for from < to && isSpace(p.text[to-1]) {
		to--
	}
	return span{int32(from), int32(to)}
}

// keep appends a copy of a text.
func (p *parser) keep(b []byte) span {
	p.text = append(p.text, b...)
	return span{int32(len(p.text) - len(b)), int32(len(p.text))}
}

func (p *parser) get(s span) []byte {
	if !s.has() {
		return nil
	}
	return p.text[s.from:s.to]
}

// skip passes over the rest of an element, whose start tag was read.
func (p *parser) skip() error {
	for depth := 1; depth > 0; {
		k, err := p.next()
		switch {
		case err != nil:
			return err
		case k == elementStart:
			depth++
		case k == elementEnd:
			depth--
		}
	}
	return nil
}

// child reads the next element within one, and gives its name; false after the end tag of the outer one.
func (p *parser) child() (element, bool, error) {
	for {
		k, err := p.next()
		switch {
		case err != nil:
			return 0, false, err
		case k == elementEnd:
			return 0, false, nil
		case k == elementStart && known(p.space):
			return elementOf(p.local), true, nil
		case k == elementStart:
			return unknown, true, nil
		}
	}
}

// each calls f for each element within one. f must read it to its end.
func (p *parser) each(f func(element) error) error {
	for {
		e, ok, err := p.child()
		if err != nil || !ok {
			return err
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// attribute gives an attribute of the element, in letters of either case, or none.
func (p *parser) attribute(names ...string) span {
	for _, a := range p.attrs {
		for _, name := range names {
			if len(a.name) == len(name) && bytes.EqualFold(a.name, []byte(name)) {
				return p.keep(a.value)
			}
		}
	}
	return none
}

// begin reads the file up to its first key package.
func (p *parser) begin() error {
	for {
		k, err := p.next()
		if err != nil {
			return err
		}
		if k == elementStart {
			break
		}
	}
	if elementOf(p.local) != keyContainer || !known(p.space) {
		return p.strictly("its root element is " + quote(p.local) + ", and not KeyContainer")
	}
	if version := p.get(p.attribute("Version")); len(version) > 0 && string(version) != "1.0" && string(version) != "1" {
		return p.strictly("the version of PSKC must be 1.0, and not " + quote(version))
	}
	return p.toPackage()
}

// toPackage reads up to the next key package, or to the end of the file.
func (p *parser) toPackage() error {
	for {
		e, ok, err := p.child()
		switch {
		case err != nil:
			return err
		case !ok:
			return p.finish()
		case e == keyPackage:
			p.inside = true
			p.packages++
			return nil
		}
		if err := p.outside(e); err != nil {
			return err
		}
	}
}

// finish reads what is behind the root element.
func (p *parser) finish() error {
	if _, err := p.next(); err != nil {
		return err
	}
	if p.packages == 0 {
		return p.strictly("it has no KeyPackage")
	}
	return nil
}

// outside reads an element beside the key packages.
func (p *parser) outside(e element) error {
	switch {
	case e == encryptionKey && p.packages == 0 && !p.header.encrypted:
		return p.encryptionKey()
	case e == macMethod && p.packages == 0 && p.header.macOf == nil:
		return p.macMethod()
	case e == encryptionKey || e == macMethod:
		return p.strictly(string(p.local) + " must stand before the key packages, and once")
	case e == signature && !p.signed:
		return p.strictly("it is signed, and nothing here verifies that; the setting signature=ignore reads it all the same")
	}
	return p.skip()
}

// encryptionKey reads how the key of the file is called, or made (RFC 6030 §6.1, §6.2).
func (p *parser) encryptionKey() error {
	p.header.encrypted = true
	return p.each(func(e element) error {
		switch e {
		case keyName, masterKeyName:
			return p.hint()
		case derivedKey:
			return p.each(p.derivedKey)
		case x509Data, encryptedKey:
			return ErrCertificate
		}
		return p.skip()
	})
}

func (p *parser) hint() error {
	p.text = p.text[:0]
	name, err := p.content()
	if text := string(p.get(name)); p.header.hint == "" && len(text) <= seedfile.MaxText {
		p.header.hint = strings.ToValidUTF8(text, "")
	}
	return err
}

func (p *parser) derivedKey(e element) error {
	switch e {
	case keyDerivationMethod:
		p.text = p.text[:0]
		uri := string(p.get(p.attribute("Algorithm")))
		if !strings.EqualFold(string(fragment([]byte(uri))), "pbkdf2") {
			return &AlgorithmError{"key derivation", uri}
		}
		p.header.kdf = &derivation{prf: hashes["sha1"]}
		return p.each(func(e element) error {
			if e == pbkdf2Params {
				return p.each(p.pbkdf2)
			}
			return p.skip()
		})
	case masterKeyName:
		return p.hint()
	}
	return p.skip()
}

// pbkdf2 reads a parameter (RFC 8018, Appendix C: PBKDF2-params).
func (p *parser) pbkdf2(e element) (err error) {
	d := p.header.kdf
	switch e {
	case salt:
		return p.each(func(e element) error {
			if e == specified {
				return p.salt()
			}
			return p.skip()
		})
	case iterationCount:
		d.iterations, err = p.number(e, 1, maxIterations)
	case keyLength:
		d.keySize, err = p.number(e, 16, 32)
	case prf:
		return p.prf()
	default:
		return p.skip()
	}
	return err
}

func (p *parser) salt() error {
	p.text = p.text[:0]
	row, column := p.row, p.column
	text, err := p.content()
	if err != nil {
		return err
	}
	p.row, p.column = row, column
	salt, err := decodeBase64(nil, p.get(text))
	if err != nil || len(salt) > maxSalt {
		return p.strictly(fmt.Sprintf("the salt is no Base64 of at most %d bytes", maxSalt))
	}
	p.header.kdf.salt = salt
	return nil
}

func (p *parser) number(e element, lowest, highest int) (int, error) {
	name := map[element]string{iterationCount: "IterationCount", keyLength: "KeyLength"}[e]
	p.text = p.text[:0]
	row, column := p.row, p.column
	text, err := p.content()
	if err != nil {
		return 0, err
	}
	p.row, p.column = row, column
	n, err := strconv.Atoi(string(p.get(text)))
	if err != nil || n < lowest || n > highest {
		return 0, p.strictly(fmt.Sprintf("%s must be %d to %d", name, lowest, highest))
	}
	return n, nil
}

// prf reads the pseudorandom function: its attribute, or, as python-pskc writes it, its text; SHA-1 where it has none.
func (p *parser) prf() error {
	p.text = p.text[:0]
	uri := p.get(p.attribute("Algorithm"))
	text, err := p.content()
	if err != nil {
		return err
	}
	if len(uri) == 0 {
		uri = p.get(text)
	}
	if len(uri) == 0 {
		return nil
	}
	if p.header.kdf.prf = hashOf(string(uri)); p.header.kdf.prf == nil {
		return &AlgorithmError{"key derivation", string(uri)}
	}
	return nil
}

// macMethod reads how MACs are made (RFC 6030 §6.1.1). Where there are none, python-pskc writes one without an
// algorithm.
func (p *parser) macMethod() error {
	uri := string(p.get(p.attribute("Algorithm")))
	if uri == "" {
		return p.skip()
	}
	if p.header.macOf = hashOf(uri); p.header.macOf == nil {
		return &AlgorithmError{"MAC", uri}
	}
	return p.each(func(e element) error {
		switch e {
		case macKey:
			return p.macKey()
		case macKeyReference:
			return p.strictly("its MAC key is a reference, which nothing here can follow")
		}
		return p.skip()
	})
}

func (p *parser) macKey() error {
	if p.header.macKey != nil {
		return p.strictly("it has two MAC keys")
	}
	r := noRecord
	v := &r.values[secretValue]
	p.text = p.text[:0]
	if err := p.encrypted(&r, v); err != nil {
		return err
	}
	if v.algorithm == 0 {
		return &AlgorithmError{"encryption", string(p.get(v.uri))}
	}
	encrypted, err := decodeBase64(nil, p.get(v.cipher))
	if err != nil || len(encrypted) == 0 {
		return p.strictly("the MAC key is no Base64")
	}
	p.header.macKey, p.header.macMode = encrypted, v.algorithm
	return nil
}

// encrypted reads what is within EncryptedValue, or MACKey.
func (p *parser) encrypted(r *record, v *value) error {
	return p.each(func(e element) error {
		switch e {
		case encryptionMethod:
			if v.uri.has() {
				return p.skip()
			}
			v.uri = p.attribute("Algorithm")
			v.algorithm = encryptionOf(p.get(v.uri))
		case cipherData:
			return p.each(func(e element) error {
				if e == cipherValue {
					return p.field(r, &v.cipher)
				}
				return p.skip()
			})
		}
		return p.skip()
	})
}

// batch reads keys, as many as fit, into empty records and text, and tells how many of them are complete: with an
// error, there may be some before it.
func (p *parser) batch() (complete int, err error) {
	for p.inside && len(p.records) < batchRecords && len(p.text) < maxBatch {
		p.inside = false
		if err := p.keyPackage(); err != nil {
			return complete, err
		}
		complete = len(p.records)
		if err := p.toPackage(); err != nil {
			return complete, err
		}
	}
	return complete, nil
}

var (
	errNoKey = errors.New("its KeyPackage has no Key")
	errTwice = errors.New("an element of it stands twice, and nothing says which of both counts")
)

// keyPackage reads a device and its keys: RFC 6030 §4.1 has one at most, its drafts had several.
func (p *parser) keyPackage() error {
	device, first := noRecord, len(p.records)
	device.line, device.column = p.row, p.column
	err := p.each(func(e element) error {
		switch e {
		case deviceInfo:
			return p.each(func(e element) error { return p.deviceInfo(&device, e) })
		case key:
			if len(p.records) == first+maxKeys {
				return p.strictly(fmt.Sprintf("a device has more than %d keys", maxKeys))
			}
			p.records = append(p.records, device)
			return p.key(&p.records[len(p.records)-1])
		}
		return p.skip()
	})
	if err != nil || len(p.records) > first {
		return err
	}
	device.problem, device.row, device.col = errNoKey, device.line, device.column
	p.records = append(p.records, device)
	return nil
}

// field reads a text, once.
func (p *parser) field(r *record, to *span) error {
	if to.has() {
		return p.twice(r)
	}
	row, column := p.row, p.column
	text, err := p.content()
	*to = text
	if err == errLong && r.problem == nil {
		r.problem, r.row, r.col = errLong, row, column
	}
	if err == errLong {
		return nil
	}
	return err
}

// twice notes that an element must not be there again, and passes over it.
func (p *parser) twice(r *record) error {
	r.fail(p.scanner, errTwice)
	return p.skip()
}

func (p *parser) deviceInfo(r *record, e element) error {
	switch e {
	case manufacturer:
		return p.field(r, &r.manufacturer)
	case serialNo:
		return p.field(r, &r.serial)
	case model:
		return p.field(r, &r.model)
	case startDate:
		return p.field(r, &r.start)
	case expiryDate:
		return p.field(r, &r.expiry)
	case userID:
		return p.field(r, &r.owner)
	}
	return p.skip()
}

// key reads a key (RFC 6030 §4.1).
func (p *parser) key(r *record) error {
	r.id = p.attribute("Id", "KeyId")
	r.algorithm = p.attribute("Algorithm", "KeyAlgorithm")
	return p.each(func(e element) error {
		switch e {
		case issuer:
			return p.field(r, &r.issuer)
		case algorithmParameters:
			return p.each(func(e element) error { return p.parameters(r, e) })
		case keyReference:
			return p.field(r, &r.reference)
		case friendlyName:
			if r.friendlyName.has() { // there may be one for each language
				return p.skip()
			}
			return p.field(r, &r.friendlyName)
		case data:
			return p.each(func(e element) error { return p.data(r, e) })
		case userID:
			return p.field(r, &r.user)
		case policy:
			return p.each(func(e element) error { return p.policy(r, e) })
		}
		return p.skip()
	})
}

func (p *parser) parameters(r *record, e element) error {
	switch e {
	case suite:
		if r.suite.has() {
			return p.twice(r)
		}
		hashalgo := p.attribute("hashalgo") // privacyIDEA
		err := p.field(r, &r.suite)
		if r.privacyIDEA = hashalgo.has(); r.privacyIDEA && r.suite.from == r.suite.to {
			r.suite = hashalgo
		}
		return err
	case responseFormat:
		if r.length.has() {
			return p.twice(r)
		}
		r.length, r.encoding = p.attribute("Length"), p.attribute("Encoding", "Format")
		r.checkDigits = p.attribute("CheckDigits", "CheckDigit")
	}
	return p.skip()
}

func (p *parser) policy(r *record, e element) error {
	switch e {
	case startDate:
		return p.field(r, &r.policyStart)
	case expiryDate:
		return p.field(r, &r.policyExpiry)
	}
	return p.skip()
}

// data reads a value (RFC 6030 §4.3.4).
func (p *parser) data(r *record, e element) error {
	switch e {
	case secret:
		return p.value(r, &r.values[secretValue])
	case counter:
		return p.value(r, &r.values[counterValue])
	case timeElement:
		return p.value(r, &r.values[timeValue])
	case timeInterval:
		return p.value(r, &r.values[intervalValue])
	case timeDrift:
		return p.value(r, &r.values[driftValue])
	}
	return p.skip()
}

func (p *parser) value(r *record, v *value) error {
	if v.line > 0 {
		return p.twice(r)
	}
	v.line, v.column = p.row, p.column
	return p.each(func(e element) error {
		switch e {
		case plainValue:
			return p.field(r, &v.plain)
		case encryptedValue:
			if v.cipher.has() || v.uri.has() {
				return p.twice(r)
			}
			return p.encrypted(r, v)
		case valueMAC:
			return p.field(r, &v.mac)
		}
		return p.skip()
	})
}

// decodeBase64 appends what b decodes to, which may have spaces and line ends in it (XML Schema Part 2
// §3.2.16).
func decodeBase64(out, b []byte) ([]byte, error) {
	if bytes.ContainsAny(b, " \t") {
		b = bytes.Map(func(r rune) rune {
			if r == ' ' || r == '\t' {
				return -1
			}
			return r
		}, b)
		defer clear(b)
	}
	return base64.StdEncoding.AppendDecode(out, b)
}
