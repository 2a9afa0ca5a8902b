package pskc

import (
	"crypto/aes"
	"errors"
	"io"
	"runtime"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// reader reads the keys of a file in batches: the caller's goroutine scans the file, while others decrypt and verify
// what it has scanned before.
type reader struct {
	parser   parser
	options  *readSettings
	assume   hotp.Parameters
	keys     *keys
	ahead    []*batch // in the order of the file: those that others are at, or are done with
	free     []*batch
	decoders []*decoder
	current  *batch // what Read takes from
	err      error  // that Read gives, when all before it was read
}

// batch is some keys of a file.
type batch struct {
	text    []byte
	records []record
	results []result
	next    int // of results, to be given
	decoder *decoder
	done    chan struct{} // closed when results are complete
}

type result struct {
	token *seedfile.Token
	err   error
}

// maxAhead is how many batches are in work at once.
func maxAhead() int { return min(runtime.GOMAXPROCS(0), 8) + 1 }

func newReader(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	settings, err := parseReadSettings(o.Settings)
	if err != nil {
		return nil, err
	}
	r := &reader{parser: parser{scanner: newScanner(in), signed: settings.signed}, options: settings, assume: o.Assume}
	if err := r.begin(o.Unlock); err != nil {
		r.Close()
		return nil, formatError(err)
	}
	return r, nil
}

// formatError gives an error as those who read other formats know it.
func formatError(err error) error {
	var problem *xmlError
	if errors.As(err, &problem) {
		return &seedfile.FormatError{Format: Format.Name, Line: problem.line, Column: problem.column,
			Problem: problem.problem}
	}
	return err
}

// begin reads what is before the keys, and the first of them, by which it sees whether the key is the right one.
func (r *reader) begin(unlock func(seedfile.Lock, string) (hotp.Seed, error)) error {
	if err := r.parser.begin(); err != nil {
		return err
	}
	first := r.scan()
	r.current = first
	if !r.parser.header.encrypted && r.parser.header.macKey == nil && !first.encrypted() {
		r.decode(first)
		return nil
	}
	if unlock == nil {
		return &seedfile.LockedError{Lock: r.lock(), Hint: r.parser.header.hint}
	}
	return r.unlock(first, unlock)
}

// scan reads a batch. An error is what Read gives behind it.
func (r *reader) scan() *batch {
	b := &batch{text: make([]byte, 0, maxBatch+maxBatch/2), records: make([]record, 0, batchRecords)}
	if n := len(r.free); n > 0 {
		b, r.free = r.free[n-1], r.free[:n-1]
	}
	r.parser.text, r.parser.records = b.text[:0], b.records[:0]
	whole := 0
	whole, r.err = r.parser.batch()
	b.text, b.records = r.parser.text, r.parser.records[:whole]
	r.parser.text, r.parser.records = nil, nil
	if r.err == nil && !r.parser.inside {
		r.err = io.EOF
	}
	return b
}

func (b *batch) encrypted() bool {
	for i := range b.records {
		for j := range b.records[i].values {
			if b.records[i].values[j].cipher.has() {
				return true
			}
		}
	}
	return false
}

// lock is what opens the file.
func (r *reader) lock() seedfile.Lock {
	if r.parser.header.kdf != nil {
		return seedfile.Passphrase
	}
	return seedfile.Key
}

// maxTries is how often a key is asked for.
const maxTries = 16

// unlock asks for the key until it opens the first batch.
func (r *reader) unlock(first *batch, ask func(seedfile.Lock, string) (hotp.Seed, error)) error {
	h := &r.parser.header
	if err := h.complete(first); err != nil {
		return err
	}
	for range maxTries {
		given, err := ask(r.lock(), h.hint)
		if err != nil {
			return err
		}
		r.keys, err = h.open(given)
		given.Wipe()
		if err == nil {
			r.decode(first)
			if r.keys.certain || !first.wrongKey() {
				return nil
			}
			first.wipeResults()
		} else if !errors.Is(err, seedfile.ErrWrongKey) {
			return err
		}
		r.keys.wipe()
	}
	return seedfile.ErrWrongKey
}

// complete checks the parameters of PBKDF2, and takes the size of the key from the first algorithm where they have
// none.
func (h *header) complete(first *batch) error {
	d := h.kdf
	if d == nil {
		return nil
	}
	for i := 0; d.keySize == 0 && i < len(first.records); i++ {
		if a := first.records[i].values[secretValue].algorithm; a != 0 {
			d.keySize = encryptions[a-1].keySize
		}
	}
	if d.iterations == 0 || d.keySize == 0 || len(d.salt) == 0 {
		return &seedfile.FormatError{Format: Format.Name, Problem: "the parameters of PBKDF2 are not complete"}
	}
	return nil
}

// open gives the keys that a secret opens.
func (h *header) open(given hotp.Seed) (*keys, error) {
	main, err := append([]byte(nil), given...), error(nil)
	if h.kdf != nil {
		if main, err = h.kdf.key(given); err != nil {
			return nil, seedfile.ErrWrongKey
		}
	}
	k, err := newKeys(main)
	if err != nil {
		return nil, err
	}
	k.macOf = h.macOf
	if h.macKey == nil { // the same key is for both then
		k.mac = append([]byte(nil), main...)
		return k, nil
	}
	if err := k.openMAC(h); err != nil {
		k.wipe()
		return nil, seedfile.ErrWrongKey
	}
	return k, nil
}

// manyBytes of right padding are none by chance.
const manyBytes = 8

// minMACKey is how long a key of MACs must be, in bytes. No MAC protects the key itself: who changes its encrypted value
// could cut all of it off, and would know the rest.
const minMACKey = 16

// openMAC decrypts the key of MACs. When that has much of the padding of PKCS #7, the main key is right for sure.
func (k *keys) openMAC(h *header) (err error) {
	k.mac, err = k.decrypt(h.macMode, append([]byte(nil), h.macKey...), true)
	wrapped := encryptions[h.macMode-1].mode == wrap
	k.certain = err == nil && (wrapped || len(h.macKey)-len(k.mac) >= aes.BlockSize+manyBytes)
	if err != nil {
		k.mac, err = k.decrypt(h.macMode, append([]byte(nil), h.macKey...), false)
	}
	if err == nil && len(k.mac) < minMACKey {
		err = errKeySize
	}
	return err
}

// wrongKey tells whether there are encrypted seeds and none of them opens: it is the key then, or all were changed.
func (b *batch) wrongKey() bool {
	wrong := false
	for i := range b.results {
		err := b.results[i].err
		switch {
		case !b.records[i].values[secretValue].cipher.has():
		case opensNot(err):
			wrong = true
		default:
			return false
		}
	}
	return wrong
}

// opensNot tells whether an error is what a wrong key makes.
func opensNot(err error) bool {
	return errors.Is(err, seedfile.ErrMAC) || errors.Is(err, errPadding) || errors.Is(err, errUnwrap) ||
		errors.Is(err, errKeySize)
}

// start lets another goroutine decode a batch. Read or Close waits for it.
func (r *reader) start(b *batch) {
	b.done = make(chan struct{})
	b.decoder = r.decoder()
	go func() {
		defer close(b.done)
		b.decode()
	}()
}

// decoder gives one that is not in use.
func (r *reader) decoder() *decoder {
	if n := len(r.decoders); n > 0 {
		d := r.decoders[n-1]
		r.decoders = r.decoders[:n-1]
		return d
	}
	d := newDecoder(r.keys, r.options)
	d.assume = r.assume
	return d
}

// decode decodes a batch at once.
func (r *reader) decode(b *batch) {
	b.decoder = newDecoder(r.keys, r.options)
	b.decoder.assume = r.assume
	b.decode()
	b.decoder = nil
}

func (b *batch) decode() {
	b.results, b.next = b.results[:0], 0
	b.decoder.text = b.text
	for i := range b.records {
		t, err := b.decoder.decode(&b.records[i])
		b.results = append(b.results, result{t, err})
	}
}

// Read gives the next token.
func (r *reader) Read() (*seedfile.Token, error) {
	for r.current == nil || r.current.next == len(r.current.results) {
		r.recycle()
		for r.err == nil && len(r.ahead) < maxAhead() {
			b := r.scan()
			r.start(b)
			r.ahead = append(r.ahead, b)
		}
		if len(r.ahead) == 0 {
			return nil, formatError(r.err)
		}
		r.current, r.ahead = r.ahead[0], r.ahead[1:]
		<-r.current.done
		r.decoders = append(r.decoders, r.current.decoder)
	}
	one := &r.current.results[r.current.next]
	r.current.next++
	t, err := one.token, one.err
	*one = result{}
	return t, err
}

// recycle puts the batch away that was read.
func (r *reader) recycle() {
	if r.current != nil {
		clear(r.current.text)
		r.free = append(r.free, r.current)
		r.current = nil
	}
}

func (b *batch) wipeResults() {
	for i := range b.results {
		if t := b.results[i].token; t != nil {
			t.Wipe()
		}
	}
}

// Close waits for those who decode, and wipes all that nobody has read.
func (r *reader) Close() error {
	for _, b := range r.ahead {
		<-b.done
	}
	r.recycle()
	for _, b := range append(r.ahead, r.free...) {
		b.wipeResults()
		clear(b.text[:cap(b.text)])
	}
	r.ahead, r.free = nil, nil
	r.parser.wipe()
	r.keys.wipe()
	if r.err == nil || errors.Is(r.err, io.EOF) {
		r.err = errClosed
	}
	return nil
}

var errClosed = errors.New("the file is closed")
