package apps

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// flushAt is how much of a plain file is collected before it is written, in bytes.
const flushAt = 64 << 10

// writer writes a file of entries: what stands before them, between them and behind them, and all of it encrypted
// where seal is not nil.
type writer struct {
	format *seedfile.Format
	out    io.Writer
	drop   seedfile.Field

	head, separator, tail string
	// entry appends the entry of a token, of which n are before it, and needs at most entryRoom.
	entry func(out []byte, n int, t *seedfile.Token) ([]byte, error)
	end   func(out []byte) []byte // appends what stands before the tail; nil: nothing does
	seal  func(plain, passphrase []byte) ([]byte, error)
	// passphrase is the writer's own, and wiped at the end.
	passphrase []byte

	text    []byte // what is not written yet
	written int
}

// entryRoom is how many bytes an entry of a token needs at most: each format writes each name a few times, the longest
// of them percent-encoded, and the seed once, the longest as decimal numbers.
func entryRoom(t *seedfile.Token) int {
	return 2048 + 16*(len(t.Account)+len(t.Issuer)) + 8*len(t.Seed)
}

// Write implements seedfile.Writer.
func (w *writer) Write(t *seedfile.Token) error {
	if err := w.format.Check(t, w.drop); err != nil {
		return err
	}
	w.text = grow(w.text, len(w.head)+len(w.separator)+entryRoom(t))
	begin := len(w.text)
	w.text = append(w.text, w.before()...)
	text, err := w.entry(w.text, w.written, t)
	if err != nil {
		w.text = w.text[:begin]
		return err
	}
	w.text = text
	w.written++
	switch {
	case w.seal == nil && len(w.text) > flushAt:
		return w.flush()
	case len(w.text) > maxFile:
		return fmt.Errorf("an encrypted file can't have more than %d MiB", maxFile>>20)
	}
	return nil
}

// before gives what stands before the next entry.
func (w *writer) before() string {
	if w.written == 0 {
		return w.head
	}
	return w.separator
}

func (w *writer) flush() error {
	_, err := w.out.Write(w.text)
	clear(w.text)
	w.text = w.text[:0]
	return err
}

// Close implements seedfile.Writer.
func (w *writer) Close() error {
	defer w.Abort()
	if w.written == 0 {
		w.text = append(w.text, w.head...)
	}
	if w.end != nil {
		w.text = w.end(w.text)
	}
	w.text = append(grow(w.text, len(w.tail)), w.tail...)
	if w.seal != nil {
		sealed, err := w.seal(w.text, w.passphrase)
		if err != nil {
			return err
		}
		_, err = w.out.Write(sealed)
		return err
	}
	return w.flush()
}

// Abort implements seedfile.Writer.
func (w *writer) Abort() {
	clear(w.text[:cap(w.text)])
	clear(w.passphrase)
}

// appendSeed appends a key and the seed in Base32.
func appendSeed(out []byte, key string, seed hotp.Seed) []byte {
	out = append(out, key...)
	out = append(out, '"')
	return append(seed.AppendBase32(out), '"')
}

func appendNumber(out []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(out, key...), n, 10)
}

// entryID gives the UUID of an entry (RFC 9562 §5.8, version 8) for apps that know entries by it: the same entry at the
// same place has the same one.
func entryID(n int, t *seedfile.Token) string {
	text := fmt.Appendf(make([]byte, 0, entryRoom(t)), "%d %q %q ", n, t.Issuer, t.Account)
	defer clear(text[:cap(text)])
	sum := sha256.Sum256(append(text, t.Seed...))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return hex.EncodeToString(id[:4]) + "-" + hex.EncodeToString(id[4:6]) + "-" + hex.EncodeToString(id[6:8]) + "-" +
		hex.EncodeToString(id[8:10]) + "-" + hex.EncodeToString(id[10:])
}
