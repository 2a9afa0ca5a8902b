package store

import (
	"bytes"
	"errors"
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

// Put writes a record, in place of the one of this name. The value is still the caller's, to be wiped.
func (t *Tx) Put(b Bucket, name string, value []byte) error {
	switch {
	case !b.valid():
		return fmt.Errorf("%q is no name of a bucket", string(b))
	case len(name) > MaxName || len(value) > MaxValue:
		return ErrTooLong
	}
	place := t.keys.place(b, name)
	if err := t.takeOut(place); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	box := t.keys.seal(Record{b, name, value}, place)
	t.summary.toggle(t.keys, place, box)
	t.summary.count++
	t.changed = true
	return t.records.Put(place, box)
}

// Delete removes a record, or returns ErrNotFound.
func (t *Tx) Delete(b Bucket, name string) error {
	place := t.keys.place(b, name)
	if err := t.takeOut(place); err != nil {
		return err
	}
	t.changed = true
	return t.records.Delete(place)
}

// takeOut takes a record out of the summary.
func (t *Tx) takeOut(place []byte) error {
	if t.records == nil || !t.records.Writable() {
		return errOnlyReads
	}
	box := t.records.Get(place)
	if box == nil {
		return ErrNotFound
	}
	t.summary.toggle(t.keys, place, box)
	t.summary.count--
	return nil
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
		found.count++
		found.toggle(t.keys, place, box)
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
