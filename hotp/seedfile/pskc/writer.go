package pskc

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// writer collects tokens in batches. Others encrypt and encode them; the caller's goroutine writes them in their order.
type writer struct {
	out     io.Writer
	options seedfile.WriteOptions
	dialect *dialect
	format  *seedfile.Format
	keys    *keys  // nil: plain
	method  string // what encrypts: behind the # of its URI
	header  []byte // until it is written
	current *writeBatch
	work    []*writeBatch // in order: those that others are at, or are done with
	free    []*writeBatch
	empty   bool // no token was written
	err     error
}

// writeBatch is some tokens. Their seeds are its own.
type writeBatch struct {
	tokens []seedfile.Token
	seeds  []byte
	out    []byte
	bound  int // of what out will be, in bytes
	ivs    [batchRecords * aes.BlockSize]byte
	sealed []byte // a value that is encrypted
	mac    []byte
	seal   *encryptor // nil: plain
	method string
	friend bool
	done   chan struct{}
}

// ErrEmpty is that of a file without a token: PSKC has one at least (RFC 6030 §4).
var ErrEmpty = errors.New("a PSKC file must have a token, and there is none to be written")

func newWriter(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	get, err := parse(o.Settings)
	if err != nil {
		return nil, err
	}
	d := dialectOf(get("dialect"))
	w := &writer{out: out, options: o, dialect: d, format: d.format(), empty: true}
	switch o.Lock {
	case seedfile.Plain:
		w.header = appendRoot(nil)
	case seedfile.Key, seedfile.Passphrase:
		if err := w.lock(get); err != nil {
			w.keys.wipe()
			return nil, err
		}
	default:
		return nil, &seedfile.SettingError{Format: Format.Name, Name: "lock", Problem: "must be plain, a key or a passphrase"}
	}
	w.options.Secret = nil // it is the caller's
	return w, nil
}

// lock prepares the keys of an encrypted file, and its header.
func (w *writer) lock(get func(string) string) error {
	size, macHash, err := w.algorithms(get)
	if err != nil {
		return err
	}
	main := append([]byte(nil), w.options.Secret...)
	var d *derivation
	prf := ""
	if w.options.Lock == seedfile.Passphrase {
		if d, prf, err = w.derivation(get, size); err == nil {
			main, err = d.key(w.options.Secret)
		}
	} else if len(main) != size {
		err = &SecretError{fmt.Sprintf("the key must have %d bytes, and not %d", size, len(main))}
	}
	if err == nil {
		w.keys, err = newKeys(main)
	}
	if err != nil {
		clear(main)
		return err
	}
	w.keys.macOf = hashes[macHash]
	w.keys.mac = make([]byte, w.keys.macOf().Size())
	rand.Read(w.keys.mac)
	w.header = w.appendHeader(nil, get("key-name"), d, prf, macHash)
	return nil
}

// SecretError says that a key or passphrase can't be the one of a file.
type SecretError struct{ Problem string }

func (e *SecretError) Error() string { return e.Problem }

// algorithms gives the size of the key, and the hash of the MACs.
func (w *writer) algorithms(get func(string) string) (size int, macHash string, err error) {
	cipher, err := w.dialect.choose("cipher", get("cipher"), w.dialect.ciphers)
	if err != nil {
		return 0, "", err
	}
	w.method = cipher + "-cbc"
	macHash, err = w.dialect.choose("hmac", get("hmac"), w.dialect.hmacs)
	return encryptions[encryptionOf([]byte(w.method))-1].keySize, macHash, err
}

// minIterations is the least that RFC 8018 §4.2 has.
const minIterations = 1000

func (w *writer) derivation(get func(string) string, size int) (*derivation, string, error) {
	prf, err := w.dialect.choose("prf", get("prf"), w.dialect.prfs)
	if err != nil {
		return nil, "", err
	}
	if err := w.dialect.passphraseProblem(w.options.Secret); err != nil {
		return nil, "", err
	}
	d := &derivation{salt: make([]byte, 16), iterations: w.dialect.iterations, keySize: size, prf: hashes[prf]}
	rand.Read(d.salt)
	if d.iterations == 0 {
		d.iterations = defaultIterations
	}
	if text := get("iterations"); text != "" {
		d.iterations, err = strconv.Atoi(text)
		if err != nil || d.iterations < minIterations || d.iterations > maxIterations {
			return nil, "", &seedfile.SettingError{Format: Format.Name, Name: "iterations",
				Problem: fmt.Sprintf("must be %d to %d", minIterations, maxIterations)}
		}
	}
	return d, prf, nil
}

// passphraseProblem tells why a consumer does not take a passphrase.
func (d *dialect) passphraseProblem(secret hotp.Seed) error {
	if len(secret) == 0 {
		return &SecretError{"the passphrase is empty"}
	}
	if d.passphrase[1] == 0 {
		return nil
	}
	for _, c := range secret {
		if c >= utf8.RuneSelf {
			return &SecretError{"the passphrase has a character that " + d.name + " does not take: it must be ASCII"}
		}
	}
	if len(secret) < d.passphrase[0] || len(secret) > d.passphrase[1] {
		return &SecretError{fmt.Sprintf("the passphrase must have %d to %d characters for %s",
			d.passphrase[0], d.passphrase[1], d.name)}
	}
	return nil
}

// appendRoot appends the start tag of the root element.
func appendRoot(out []byte) []byte {
	out = append(out, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<KeyContainer Version="1.0" xmlns="`+pskcSpace+`"`...)
	return append(out, ">\n"...)
}

// appendHeader appends what stands before the keys of an encrypted file (RFC 6030 §6.1, §6.2).
func (w *writer) appendHeader(out []byte, name string, d *derivation, prf, macHash string) []byte {
	out = appendRoot(out)
	out = append(out[:len(out)-len(">\n")], ` xmlns:ds="`+dsSpace+`" xmlns:xenc="`+xencSpace+
		`" xmlns:xenc11="`+xenc11Space+`">`+"\n"...)
	out = append(out, "<EncryptionKey>"...)
	if d == nil {
		out = appendElement(out, "ds:KeyName", orElse(name, "Pre-shared key"))
	} else {
		out = d.append(out, orElse(name, "Passphrase"), prf)
	}
	iv := make([]byte, aes.BlockSize)
	rand.Read(iv)
	s := encryptor{block: w.keys.blocks[encryptionOf([]byte(w.method))-1]}
	out = append(out, "</EncryptionKey>\n<MACMethod Algorithm=\""+hmacURI(macHash)+"\"><MACKey>"...)
	out = appendEncryptedData(out, w.method, s.appendEncrypted(nil, iv, w.keys.mac))
	return append(out, "</MACKey></MACMethod>\n"...)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// append appends how the key is made of a passphrase. Consumers want PBKDF2-params in the namespace of PKCS #5, and
// what is in it in none.
func (d *derivation) append(out []byte, name, prf string) []byte {
	out = append(out, `<xenc11:DerivedKey><xenc11:KeyDerivationMethod Algorithm="`+pkcs5Space+`pbkdf2">`+
		`<pkcs5:PBKDF2-params xmlns:pkcs5="`+pkcs5Space+`" xmlns=""><Salt><Specified>`...)
	out = base64.StdEncoding.AppendEncode(out, d.salt)
	out = append(out, "</Specified></Salt><IterationCount>"...)
	out = strconv.AppendInt(out, int64(d.iterations), 10)
	out = append(out, "</IterationCount><KeyLength>"...)
	out = strconv.AppendInt(out, int64(d.keySize), 10)
	out = append(out, `</KeyLength><PRF Algorithm="`+hmacURI(prf)+`"/></pkcs5:PBKDF2-params>`+
		`</xenc11:KeyDerivationMethod>`...)
	out = appendElement(out, "xenc11:MasterKeyName", name)
	return append(out, "</xenc11:DerivedKey>"...)
}

func hmacURI(hash string) string {
	if hash == "sha1" {
		return dsSpace + "hmac-sha1"
	}
	return "http://www.w3.org/2001/04/xmldsig-more#hmac-" + hash
}

// Write implements seedfile.Writer.
func (w *writer) Write(t *seedfile.Token) error {
	if w.err != nil {
		return w.err
	}
	c, err := w.check(*t)
	if err != nil {
		return err
	}
	if w.current == nil {
		w.current = w.newBatch()
	}
	w.current.add(c)
	w.empty = false
	if len(w.current.tokens) == batchRecords {
		w.err = w.flush()
	}
	return w.err
}

// check tells whether the format and the dialect can hold a token, and gives it without what may get lost.
func (w *writer) check(t seedfile.Token) (seedfile.Token, error) {
	drop := w.options.Drop & seedfile.Droppable
	if err := w.format.Check(&t, drop); err != nil {
		return t, err
	}
	clearFields(&t, drop&w.dialect.lost)
	for field, problem := w.unwritable(&t); problem != ""; field, problem = w.unwritable(&t) {
		if drop&field == 0 {
			return t, &seedfile.ValueError{Format: w.format.Name, Token: t.Name(), Field: field, Problem: problem}
		}
		clearFields(&t, field)
	}
	return t, nil
}

// clearFields takes fields from a token that may get lost.
func clearFields(t *seedfile.Token, fields seedfile.Field) {
	for _, one := range [...]struct {
		field seedfile.Field
		text  *string
	}{
		{seedfile.FieldSerial, &t.Serial}, {seedfile.FieldID, &t.ID}, {seedfile.FieldAccount, &t.Account},
		{seedfile.FieldIssuer, &t.Issuer}, {seedfile.FieldUser, &t.User},
		{seedfile.FieldManufacturer, &t.Manufacturer}, {seedfile.FieldModel, &t.Model},
	} {
		if fields&one.field != 0 {
			*one.text = ""
		}
	}
	if fields&seedfile.FieldStart != 0 {
		t.Start = time.Time{}
	}
	if fields&seedfile.FieldExpiry != 0 {
		t.Expiry = time.Time{}
	}
	if fields&seedfile.FieldDrift != 0 {
		t.Drift = 0
	}
}

// unwritable tells of a value that XML, the schema of PSKC or the consumer has no way to hold.
func (w *writer) unwritable(t *seedfile.Token) (seedfile.Field, string) {
	for _, one := range [...]struct {
		field seedfile.Field
		text  string
		ends  bool // it may have spaces at its ends
	}{
		{seedfile.FieldSerial, t.Serial, false}, {seedfile.FieldID, t.ID, true}, {seedfile.FieldIssuer, t.Issuer, false},
		{seedfile.FieldManufacturer, t.Manufacturer, false}, {seedfile.FieldModel, t.Model, false},
		{seedfile.FieldAccount, t.Account, !w.dialect.friendlyName}, {seedfile.FieldUser, t.User, true},
	} {
		if !one.ends && strings.Trim(one.text, " ") != one.text {
			return one.field, "has a space at its beginning or end"
		}
		if strings.ContainsAny(one.text, "\ufffe\uffff") {
			return one.field, "has a character that XML does not have"
		}
	}
	switch {
	case t.Counter > w.dialect.counters():
		return seedfile.FieldCounter, fmt.Sprintf("is above %d", w.dialect.counters())
	case t.Drift < minInt || t.Drift > maxInt: // xs:int
		return seedfile.FieldDrift, "has more than 32 bits"
	case badYear(t.Start.UTC().Year()):
		return seedfile.FieldStart, "is not in the years 1 to 9999"
	case badYear(t.Expiry.UTC().Year()):
		return seedfile.FieldExpiry, "is not in the years 1 to 9999"
	}
	return 0, ""
}

func badYear(year int) bool { return year < 1 || year > 9999 }

// newBatch gives an empty batch.
func (w *writer) newBatch() *writeBatch {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	b := &writeBatch{tokens: make([]seedfile.Token, 0, batchRecords), seeds: make([]byte, 0, batchRecords*hotp.MaxSeed),
		method: w.method, friend: w.dialect.friendlyName}
	if w.keys != nil {
		b.seal = &encryptor{w.keys.blocks[encryptionOf([]byte(w.method))-1], hmac.New(w.keys.macOf, w.keys.mac)}
		b.sealed = make([]byte, 0, hotp.MaxSeed+2*aes.BlockSize)
	}
	return b
}

// add appends a token.
func (b *writeBatch) add(t seedfile.Token) {
	from := len(b.seeds)
	b.seeds = append(b.seeds, t.Seed...)
	t.Seed = b.seeds[from:]
	b.tokens = append(b.tokens, t)
	b.bound += boundOf(&t)
}

// boundOf gives more bytes than a token takes: its texts with the longest escapes, and the elements around them.
func boundOf(t *seedfile.Token) int {
	texts := len(t.Serial) + 2*len(t.ID) + 3*len(t.Account) + len(t.Issuer) + 3*len(t.User) + len(t.Manufacturer) +
		len(t.Model)
	return 2048 + 6*texts + 2*len(t.Seed)
}

// flush hands the current batch over, and writes those that are done where too many are in work.
func (w *writer) flush() error {
	b := w.current
	w.current = nil
	b.done = make(chan struct{})
	w.work = append(w.work, b)
	go func() {
		defer close(b.done)
		b.encode()
	}()
	if len(w.work) < maxAhead() {
		return nil
	}
	return w.drain()
}

// drain writes the oldest batch, and the header before the first.
func (w *writer) drain() error {
	b := w.work[0]
	w.work = w.work[1:]
	<-b.done
	defer w.recycle(b)
	if w.header != nil {
		if _, err := w.out.Write(w.header); err != nil {
			return err
		}
		w.header = nil
	}
	_, err := w.out.Write(b.out)
	return err
}

// recycle wipes a batch and puts it away.
func (w *writer) recycle(b *writeBatch) {
	clear(b.seeds)
	clear(b.out)
	clear(b.tokens)
	b.tokens, b.seeds, b.out, b.bound = b.tokens[:0], b.seeds[:0], b.out[:0], 0
	w.free = append(w.free, b)
}

// Close implements seedfile.Writer.
func (w *writer) Close() error {
	defer w.Abort()
	if w.err == nil && w.empty {
		w.err = ErrEmpty
	}
	if w.err == nil && w.current != nil {
		w.err = w.flush()
	}
	for w.err == nil && len(w.work) > 0 {
		w.err = w.drain()
	}
	if w.err == nil {
		_, w.err = io.WriteString(w.out, "</KeyContainer>\n")
	}
	return w.err
}

// Abort implements seedfile.Writer.
func (w *writer) Abort() {
	for _, b := range w.work {
		<-b.done
		w.recycle(b)
	}
	if w.current != nil {
		w.recycle(w.current)
	}
	w.work, w.current, w.free = nil, nil, nil
	w.keys.wipe()
	if w.err == nil {
		w.err = errClosed
	}
}
