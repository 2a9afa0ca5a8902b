package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"fob/daemon/seal"
	"fob/fido"
	"fob/fido/durable"
)

// maxFileSize is how large a file can become, in bytes: four times what is in it, for bbolt leaves gaps. It is read as a
// whole when it is opened.
const maxFileSize = 64 << 20

// version is the schema of the store. A store with another one is left alone.
const version = "1"

// The buckets of the file, and the keys of the first, which is in the clear but for the summary.
var (
	headerBucket  = []byte("fob")
	recordsBucket = []byte("records")
	versionKey    = []byte("version")
	sealedKey     = []byte("sealed key")
	summaryKey    = []byte("summary")
)

// file is an open store file.
type file struct {
	db       *bbolt.DB
	sealed   *seal.Sealed
	readOnly bool
	data     fido.Secret // the data key; nil while the store is locked
	keys     *keys       // made of it
}

// openFile opens a file whose structure is sound; its records are for unlock to look at.
func openFile(path string, readOnly bool) (*file, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if err := checkStructure(b); err != nil {
		return nil, corrupt("%v", err)
	}
	if !readOnly && unix.Access(path, unix.W_OK) != nil {
		readOnly = true
	}
	db, err := bbolt.Open(path, 0o600, options(readOnly))
	if errors.Is(err, berrors.ErrTimeout) { // a program that is no fobd has it
		return nil, &HeldError{}
	}
	if err != nil {
		return nil, err
	}
	db.AllocSize = maxFileSize // grow by doubling, up to that
	f := &file{db: db, readOnly: readOnly}
	if err := db.View(f.readHeader); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func options(readOnly bool) *bbolt.Options {
	return &bbolt.Options{
		ReadOnly: readOnly, PageSize: pageSize, MaxSize: maxFileSize, FreelistType: bbolt.FreelistMapType,
		Timeout: time.Nanosecond, // who holds the file is not waited for
		OpenFile: func(path string, flag int, mode os.FileMode) (*os.File, error) {
			return os.OpenFile(path, flag|unix.O_NOFOLLOW, mode)
		},
	}
}

// readFile reads a whole store, which must be a regular file.
func readFile(path string) ([]byte, error) {
	if err := durable.CheckRegular(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(b) > maxFileSize {
		err = corrupt("the file is too large")
	}
	return b, err
}

// readHeader reads what is in the clear.
func (f *file) readHeader(tx *bbolt.Tx) error {
	header, records := tx.Bucket(headerBucket), tx.Bucket(recordsBucket)
	if header == nil || records == nil {
		return corrupt("the file is no store")
	}
	if v := string(header.Get(versionKey)); v != version {
		if n, err := strconv.ParseUint(v, 10, 16); err == nil && n > 1 {
			return fmt.Errorf("%w: its version is %d", ErrNewer, n)
		}
		return corrupt("the version is damaged")
	}
	sealed, err := seal.ParseSealed(header.Get(sealedKey))
	if err != nil {
		return corrupt("the sealed data key is damaged")
	}
	f.sealed = sealed
	return nil
}

// unlock opens the data key and verifies that all records are there.
func (f *file) unlock(unseal func(payload []byte) (fido.Secret, error)) error {
	data, err := unseal(f.sealed.Payload)
	if err != nil {
		return err
	}
	k, err := newKeys(data)
	if err != nil {
		data.Wipe()
		return err
	}
	f.data, f.keys = data, k
	if err := f.view((*Tx).verify); err != nil {
		f.lock()
		return err
	}
	return nil
}

// lock forgets the data key.
func (f *file) lock() {
	if f.keys != nil {
		f.keys.wipe()
	}
	f.data.Wipe()
	f.data, f.keys = nil, nil
}

func (f *file) close() error {
	f.lock()
	return f.db.Close()
}

// begin makes a transaction of one of bbolt's.
func (f *file) begin(tx *bbolt.Tx) (*Tx, error) {
	sum, err := openSummary(f.keys, tx.Bucket(headerBucket).Get(summaryKey))
	if err != nil {
		return nil, corrupt("the summary was changed")
	}
	return &Tx{keys: f.keys, records: tx.Bucket(recordsBucket), summary: sum}, nil
}

func (f *file) view(do func(*Tx) error) error {
	return f.db.View(func(tx *bbolt.Tx) error {
		t, err := f.begin(tx)
		if err != nil {
			return err
		}
		defer t.wipe()
		return do(t)
	})
}

// errUnchanged rolls a transaction back that has changed nothing.
var errUnchanged = errors.New("nothing has changed")

// update reports, besides the error, whether it is the disk's: what bbolt has in memory can't be trusted then.
func (f *file) update(do func(*Tx) error) (failed bool, err error) {
	committing := false
	err = f.db.Update(func(tx *bbolt.Tx) error {
		t, err := f.begin(tx)
		if err != nil {
			return err
		}
		defer t.wipe()
		if err := do(t); err != nil {
			return err
		}
		if !t.changed {
			return errUnchanged
		}
		committing = true
		return tx.Bucket(headerBucket).Put(summaryKey, t.summary.seal(f.keys))
	})
	if err == errUnchanged {
		return false, nil
	}
	return committing && err != nil, diskError(err)
}

// build writes a new store file, which is on the disk when it returns. The name is one that durable.RemoveLeftovers
// removes after a crash.
func build(path string, sealed *seal.Sealed, data fido.Secret, records []Record) (temp string, err error) {
	k, err := newKeys(data)
	if err != nil {
		return "", err
	}
	defer k.wipe()
	temp = durable.TempName(path)
	db, err := bbolt.Open(temp, 0o600, options(false))
	if err != nil {
		os.Remove(temp)
		return "", diskError(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return fill(tx, k, sealed, records) })
	if err = errors.Join(err, db.Close()); err != nil {
		os.Remove(temp)
		return "", diskError(err)
	}
	return temp, nil
}

// fill makes the buckets of a new file, and puts the records in.
func fill(tx *bbolt.Tx, k *keys, sealed *seal.Sealed, records []Record) error {
	header, err := tx.CreateBucket(headerBucket)
	if err != nil {
		return err
	}
	t := &Tx{keys: k}
	if t.records, err = tx.CreateBucket(recordsBucket); err != nil {
		return err
	}
	for _, r := range records {
		if err := t.Put(r.Bucket, r.Name, r.Value); err != nil {
			return err
		}
	}
	return errors.Join(header.Put(versionKey, []byte(version)), header.Put(sealedKey, sealed.Encode()),
		header.Put(summaryKey, t.summary.seal(k)))
}
