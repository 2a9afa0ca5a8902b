package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"fob/daemon/seal"
	"fob/daemon/tpm"
	"fob/fido"
	"fob/fido/durable"
)

// A store is made, sealed anew and replaced in one way: a new file is written beside it, which takes its name when it
// is on the disk. A crash leaves the old store or the new one.

// installNew puts a file with a new data key in place of the store, sealed by the first that can.
func (s *Store) installNew(records []Record) error {
	err := seal.ErrMissing
	for _, by := range s.options.Sealers {
		err = s.sealAnew(by, records)
		if by.Kind() != seal.KindTPM || !errors.As(err, new(*tpm.Error)) {
			return err
		}
		s.options.Log.Warn("the TPM can't seal the store, and the next best does", "error", err)
	}
	return err
}

// sealAnew is installNew with a Sealer of the caller's choice.
func (s *Store) sealAnew(by seal.Sealer, records []Record) error {
	data := seal.NewKey()
	defer data.Wipe()
	payload, err := by.Seal(data)
	if err != nil {
		return diskError(readOnlyFolder(err))
	}
	return s.install(&seal.Sealed{Kind: by.Kind(), Payload: payload}, data, records)
}

// install puts a new file in place of the store, and opens it.
func (s *Store) install(sealed *seal.Sealed, data fido.Secret, records []Record) error {
	temp, err := build(s.path(), sealed, data, records)
	if err != nil {
		return err
	}
	data = slices.Clone(data) // the old file wipes its own
	defer data.Wipe()
	if err := errors.Join(s.drop(), durable.Rename(temp, s.path())); err != nil {
		os.Remove(temp)
		return diskError(err)
	}
	f, err := openFile(s.path(), false)
	if err != nil {
		return err
	}
	if err := f.unlock(func([]byte) (fido.Secret, error) { return slices.Clone(data), nil }); err != nil {
		f.close()
		return err
	}
	s.file = f
	return nil
}

// Seal seals the store with another Sealer. It gets a new data key, so that the old one, and what had sealed it, opens
// it no more; a key file that is of no use any more is removed. aside lists copies of the store that were kept before,
// which stay as they are, and so does their key file.
func (s *Store) Seal(by seal.Sealer) (aside []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.records()
	defer WipeRecords(records)
	if err == nil {
		err = s.writable()
	}
	if err != nil {
		return nil, err
	}
	if err := s.sealAnew(by, records); err != nil {
		return nil, err
	}
	if aside = s.aside(); len(aside) == 0 && by.Kind() != seal.KindKeyFile {
		err = s.removeKeyFile()
	}
	return aside, err
}

// records gives copies of all records, also with an error. The caller wipes them.
func (s *Store) records() (records []Record, err error) {
	err = s.view(func(t *Tx) error {
		all, err := t.all()
		for _, r := range all {
			records = append(records, Record{r.Bucket, r.Name, slices.Clone(r.Value)})
		}
		return err
	})
	return records, err
}

// WipeRecords overwrites the values of records.
func WipeRecords(records []Record) {
	for _, r := range records {
		r.Value.Wipe()
	}
}

// writable makes sure that we may write.
func (s *Store) writable() error {
	if err := s.acquire(); err != nil {
		return diskError(readOnlyFolder(err))
	}
	if s.file != nil && s.file.readOnly {
		return fmt.Errorf("%w: %s", ErrReadOnly, s.path())
	}
	return nil
}

func (s *Store) removeKeyFile() error {
	err := os.Remove(filepath.Join(s.options.Dir, KeyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncFolder(s.options.Dir))
}

// Import puts records in the place of all. A store that has some, or can't be opened, is replaced only where that is
// said; aside is where the old file is then. One that is open keeps its data key and its Sealer.
func (s *Store) Import(records []Record, replace bool) (aside string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	problem := s.view(func(t *Tx) error {
		count = int(t.summary.count)
		return nil
	})
	if problem != nil && !replace {
		return "", problem
	}
	if count > 0 && !replace {
		return "", ErrNotEmpty
	}
	if aside, err = s.makeWay(problem, count); err != nil {
		return "", err
	}
	if s.file != nil && s.file.keys != nil {
		return aside, s.install(s.file.sealed, s.file.data, records)
	}
	return aside, s.installNew(records)
}

// Reset begins anew with a store without records, which is sealed as a new one; aside is where the old file is then.
func (s *Store) Reset() (aside string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if aside, err = s.makeWay(s.prepare(), 1); err != nil {
		return "", err
	}
	return aside, s.installNew(nil)
}

// makeWay keeps aside what another file is about to replace, unless that is a good store without records.
func (s *Store) makeWay(problem error, count int) (aside string, err error) {
	if err := s.writable(); err != nil {
		return "", err
	}
	if problem == nil && count == 0 {
		return "", nil
	}
	return s.keepAside(problem)
}

// keepAside gives the file a second name, under which it stays when another one takes its place.
func (s *Store) keepAside(problem error) (aside string, err error) {
	word := asideWords[0]
	if errors.Is(problem, ErrCorrupt) {
		word = asideWords[1]
	}
	base := s.path() + word + time.Now().UTC().Format("20060102T150405Z")
	aside = base
	for n := 2; ; n++ {
		err := unix.Linkat(unix.AT_FDCWD, s.path(), unix.AT_FDCWD, aside, 0)
		switch {
		case errors.Is(err, unix.EEXIST):
			aside = fmt.Sprintf("%s-%d", base, n)
		case errors.Is(err, unix.ENOENT):
			return "", nil
		case err != nil:
			return "", diskError(&fs.PathError{Op: "link", Path: aside, Err: err})
		default:
			return aside, durable.SyncFolder(s.options.Dir)
		}
	}
}

// asideWords tell files that were kept aside: good ones, and damaged ones.
var asideWords = [2]string{".replaced-", ".corrupt-"}

// aside lists the files that were kept aside.
func (s *Store) aside() []string {
	var list []string
	entries, _ := os.ReadDir(s.options.Dir) // without a folder there are none
	for _, e := range entries {
		for _, word := range asideWords {
			if strings.HasPrefix(e.Name(), fileName+word) {
				list = append(list, filepath.Join(s.options.Dir, e.Name()))
			}
		}
	}
	return list
}
