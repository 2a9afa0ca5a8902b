package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"fob/fido"
)

// Limits of records, in bytes.
const (
	MaxName  = 1024
	MaxValue = 64 << 10
)

// maxSize is how much a store holds, in bytes of encrypted records; less in tests. The file has room for more, so that
// records can be deleted when the store is full.
var maxSize uint64 = 16 << 20

// Bucket names the records of one kind: lower-case letters, digits and hyphens, 32 at most.
type Bucket string

const maxBucket = 32

func (b Bucket) valid() bool {
	return b != "" && len(b) <= maxBucket && strings.Trim(string(b), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Tx is a transaction. It is good until the function that got it returns.
type Tx struct {
	keys    *keys
	records *bbolt.Bucket
	summary summary
	changed bool
	plain   []fido.Secret // all that was handed out, to be wiped
}

// Get gives the value of a record, or ErrNotFound. It is wiped when the transaction ends.
func (t *Tx) Get(b Bucket, name string) (fido.Secret, error) {
	if t.records == nil {
		return nil, ErrNotFound
	}
	place := t.keys.place(b, name)
	box := t.records.Get(place)
	if box == nil {
		return nil, ErrNotFound
	}
	r, err := t.open(place, box)
	return r.Value, err
}

// open opens a box and remembers what to wipe.
func (t *Tx) open(place, box []byte) (Record, error) {
	r, plain, err := t.keys.open(place, box)
	if err != nil {
		return Record{}, corrupt("a record was changed")
	}
	t.plain = append(t.plain, plain)
	return r, nil
}

// Put writes a record, in place of the one of this name, or returns ErrFull or ErrTooLong. The value is still the caller's, to be wiped.
func (t *Tx) Put(b Bucket, name string, value []byte) error {
	switch {
	case !b.valid():
		return fmt.Errorf("%q is no name of a bucket", string(b))
	case len(name) > MaxName || len(value) > MaxValue:
		return ErrTooLong
	}
	place := t.keys.place(b, name)
	old, err := t.box(place)
	if err != nil && err != ErrNotFound {
		return err
	}
	box := t.keys.seal(Record{b, name, value}, place)
	if len(box) > len(old) && t.summary.size+uint64(len(box)-len(old)) > maxSize {
		return fmt.Errorf("%w: it holds %d MiB at most", ErrFull, maxSize>>20)
	}
	if old != nil {
		t.summary.remove(t.keys, place, old)
	}
	t.summary.add(t.keys, place, box)
	t.changed = true
	return t.records.Put(place, box)
}

// Delete removes a record, or returns ErrNotFound.
func (t *Tx) Delete(b Bucket, name string) error {
	place := t.keys.place(b, name)
	old, err := t.box(place)
	if err != nil {
		return err
	}
	t.summary.remove(t.keys, place, old)
	t.changed = true
	return t.records.Delete(place)
}

// box gives what is about to be changed.
func (t *Tx) box(place []byte) ([]byte, error) {
	if t.records == nil || !t.records.Writable() {
		return nil, errOnlyReads
	}
	box := t.records.Get(place)
	if box == nil {
		return nil, ErrNotFound
	}
	return box, nil
}

// List gives the names of a bucket's records, sorted.
func (t *Tx) List(b Bucket) ([]string, error) {
	var names []string
	err := t.each(t.keys.prefix(b), func(r Record) { names = append(names, r.Name) })
	slices.Sort(names)
	return names, err
}

// all gives all records, sorted by bucket and name.
func (t *Tx) all() ([]Record, error) {
	var records []Record
	err := t.each(nil, func(r Record) { records = append(records, r) })
	slices.SortFunc(records, Record.compare)
	return records, err
}

// each opens the records whose places begin with prefix.
func (t *Tx) each(prefix []byte, f func(Record)) error {
	if t.records == nil {
		return nil
	}
	c := t.records.Cursor()
	for place, box := c.Seek(prefix); place != nil && bytes.HasPrefix(place, prefix); place, box = c.Next() {
		r, err := t.open(place, box)
		if err != nil {
			return err
		}
		f(r)
	}
	return nil
}

// verify compares the records with the summary.
func (t *Tx) verify() error {
	var found summary
	err := t.records.ForEach(func(place, box []byte) error {
		found.add(t.keys, place, box)
		return nil
	})
	if err == nil && found != t.summary {
		err = corrupt("records were changed, or are missing")
	}
	return err
}

func (t *Tx) wipe() {
	for _, p := range t.plain {
		p.Wipe()
	}
}
