package store

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"

	"filippo.io/age"

	"fob/fido"
)

// A backup is an age file (age-encryption.org/v1) of this text, each line ended by a line feed:
//
//	fob store backup 1
//	BUCKET NAME VALUE      for each record, sorted by bucket and name; NAME and VALUE are base64url without padding
//	end COUNT
//
// docs/store.md has an example.
const (
	backupFirst = "fob store backup 1\n"
	backupLast  = "end "
)

// MaxBackup is more than any backup has, in bytes: base64 makes four bytes of three, and age adds little.
const MaxBackup = 64 << 20

var backupEncoding = base64.RawURLEncoding.Strict()

// compare orders records by bucket and name.
func (r Record) compare(other Record) int {
	return cmp.Or(cmp.Compare(r.Bucket, other.Bucket), cmp.Compare(r.Name, other.Name))
}

// Export writes a backup of all records, encrypted to recipients.
func (s *Store) Export(w io.Writer, recipients ...age.Recipient) error {
	s.mu.Lock()
	records, err := s.records()
	s.mu.Unlock()
	defer WipeRecords(records)
	if err != nil {
		return err
	}
	text := encodeBackup(records)
	defer text.Wipe()
	encrypted, err := age.Encrypt(w, recipients...)
	if err != nil {
		return err
	}
	if _, err := encrypted.Write(text); err != nil {
		return err
	}
	return encrypted.Close()
}

// ReadBackup reads the records of a backup; ErrBackup where it is none. The caller wipes them, which WipeRecords does.
func ReadBackup(r io.Reader, identity age.Identity) ([]Record, error) {
	clearText, err := age.Decrypt(r, identity)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, ErrWrongKey
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	text, err := readAll(clearText)
	defer text.Wipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	return parseBackup(text)
}

// readAll is io.ReadAll that leaves no copies behind and reads MaxBackup at most. What was read comes with an error,
// too.
func readAll(r io.Reader) (fido.Secret, error) {
	text := make(fido.Secret, 0, 64<<10)
	for {
		n, err := r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		switch {
		case err == io.EOF:
			return text, nil
		case err != nil:
			return text, err
		case len(text) > MaxBackup:
			return text, fmt.Errorf("over %d MiB", MaxBackup>>20)
		case len(text) == cap(text):
			larger := append(make(fido.Secret, 0, 2*cap(text)), text...)
			text.Wipe()
			text = larger
		}
	}
}

// encodeBackup gives records, which are sorted, as text. The caller wipes it.
func encodeBackup(records []Record) fido.Secret {
	size := len(backupFirst) + len(backupLast) + 24
	for _, r := range records {
		size += len(r.Bucket) + backupEncoding.EncodedLen(len(r.Name)) + backupEncoding.EncodedLen(len(r.Value)) + 3
	}
	text := append(make(fido.Secret, 0, size), backupFirst...) // never grows
	for _, r := range records {
		text = append(append(text, r.Bucket...), ' ')
		text = append(backupEncoding.AppendEncode(text, []byte(r.Name)), ' ')
		text = append(backupEncoding.AppendEncode(text, r.Value), '\n')
	}
	text = strconv.AppendInt(append(text, backupLast...), int64(len(records)), 10)
	return append(text, '\n')
}

// parseBackup reverses encodeBackup.
func parseBackup(text fido.Secret) (records []Record, err error) {
	defer func() {
		if err != nil {
			WipeRecords(records)
			records = nil
		}
	}()
	rest, ok := bytes.CutPrefix(text, []byte(backupFirst))
	if !ok {
		return nil, newerBackup(text)
	}
	for {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return records, fmt.Errorf("%w: it was cut short", ErrBackup)
		}
		if count, ok := bytes.CutPrefix(line, []byte(backupLast)); ok && bytes.Count(line, []byte(" ")) == 1 {
			if string(count) != strconv.Itoa(len(records)) || len(after) > 0 {
				return records, fmt.Errorf("%w: its end is not right", ErrBackup)
			}
			return records, nil
		}
		r, ok := parseRecord(line)
		if !ok || len(records) > 0 && records[len(records)-1].compare(r) >= 0 {
			r.Value.Wipe()
			return records, fmt.Errorf("%w: record %d", ErrBackup, len(records)+1)
		}
		records, rest = append(records, r), after
	}
}

// newerBackup is the error of a text that does not begin as ours.
func newerBackup(text fido.Secret) error {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	number, ok := bytes.CutPrefix(line, []byte("fob store backup "))
	if n, err := strconv.ParseUint(string(number), 10, 16); ok && err == nil && n > 1 {
		return fmt.Errorf("%w: it is of version %d, which a newer fob has written", ErrBackup, n)
	}
	return ErrBackup
}

// parseRecord reads a line. The value comes with a false, too.
func parseRecord(line []byte) (r Record, ok bool) {
	words := bytes.Split(line, []byte(" "))
	if len(words) != 3 || bytes.IndexByte(line, '\r') >= 0 {
		return Record{}, false
	}
	name, err := backupEncoding.AppendDecode(nil, words[1])
	if err != nil {
		return Record{}, false
	}
	value := make(fido.Secret, backupEncoding.DecodedLen(len(words[2])))
	n, err := backupEncoding.Decode(value, words[2])
	r = Record{Bucket(words[0]), string(name), value[:n]}
	return r, err == nil && r.Bucket.valid() && len(name) <= MaxName && n <= MaxValue
}

// How much guessing the passphrase of a backup costs, as powers of two (age-encryption.org/v1, scrypt): some tenths of
// a second and 128 MiB of memory for those that we write. age's own program takes twice as much, and nobody is let to
// make us take more.
const (
	workFactor    = 17
	maxWorkFactor = 18
)

// PassphraseRecipient is for a backup that a passphrase opens. age keeps a copy of it that can't be wiped.
func PassphraseRecipient(passphrase fido.Secret) (age.Recipient, error) {
	r, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(workFactor)
	return r, nil
}

// PassphraseIdentity opens a backup with a passphrase.
func PassphraseIdentity(passphrase fido.Secret) (age.Identity, error) {
	i, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, ErrWrongKey
	}
	i.SetMaxWorkFactor(maxWorkFactor)
	return i, nil
}
