// Package store keeps fobd's secrets: OTP seeds, accounts and the like, in one file, encrypted and durable.
//
// The file is bbolt's. Each record is encrypted and authenticated, and so is which records there are; the data key is
// sealed by one of package seal. docs/store.md tells what the file protects against, and what it doesn't.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"fob/daemon/seal"
	"fob/daemon/tpm"
	"fob/fido"
	"fob/fido/durable"
)

// Names in the store's folder.
const (
	fileName = "store.db"
	lockName = "store.lock"
	KeyName  = "store.key" // of the key file
)

// Options say where a store is and how it is opened.
type Options struct {
	Dir     string        // the state folder, which is made when it is needed; empty for none
	Sealers []seal.Sealer // those that need no person; the first one that can seals a new store
	TPM     *tpm.TPM      // opens stores with a PIN; nil for none
	Program string        // tells other programs who has the store open, such as "fobd"
	Log     *slog.Logger  // nil for none
}

// Store is a sealed store. Open makes one, whatever is wrong with the file: each method returns the error then. The
// methods may be called concurrently; transactions take turns.
type Store struct {
	options Options
	mu      sync.Mutex
	closed  bool
	lock    *os.File // nil until the file is opened, and where only reading is possible
	file    *file    // nil while there is none, or it can't be used
}

// Open looks for a store. Nothing is made before the first record is written.
func Open(o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{options: o}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.prepare(); err != nil && !errors.Is(err, ErrLocked) {
		o.Log.Warn("the store can't be used, and what needs it won't work", "folder", o.Dir, "error", err)
	}
	return s
}

// Close closes the file and lets other programs use the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.drop()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// Sealers gives those that need no person.
func (s *Store) Sealers() []seal.Sealer { return s.options.Sealers }

func (s *Store) path() string { return filepath.Join(s.options.Dir, fileName) }

// drop closes the file. The next use opens it anew.
func (s *Store) drop() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.close()
}

// prepare opens the file, unless it is open or there is none; s.file is nil then. While the store is locked, s.file is
// there and the error ErrLocked.
func (s *Store) prepare() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.options.Dir == "":
		return ErrNoFolder
	case s.file != nil && s.file.keys == nil:
		return ErrLocked
	case s.file != nil:
		return nil
	}
	if err := durable.CheckRegular(s.path()); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	readOnly := false
	if err := s.acquire(); unwritable(err) {
		readOnly = true
	} else if err != nil {
		return err
	}
	return s.openFile(readOnly)
}

// acquire takes the lock on the folder, which it makes where there is none.
func (s *Store) acquire() error {
	if s.closed {
		return ErrClosed
	}
	if s.options.Dir == "" {
		return ErrNoFolder
	}
	if s.lock != nil {
		return nil
	}
	if err := makeFolder(s.options.Dir); err != nil {
		return err
	}
	if err := checkFolder(s.options.Dir); err != nil {
		return err
	}
	lock, err := hold(filepath.Join(s.options.Dir, lockName), s.options.Program)
	if err != nil {
		return err
	}
	if err := durable.RemoveLeftovers(s.path()); err != nil {
		lock.Close()
		return err
	}
	s.lock = lock
	return nil
}

// openFile opens the file, and its data key where that takes nobody.
func (s *Store) openFile(readOnly bool) error {
	f, err := openFile(s.path(), readOnly)
	if err != nil {
		return err
	}
	if f.sealed.Kind.NeedsPerson() {
		s.file = f
		return ErrLocked
	}
	i := slices.IndexFunc(s.options.Sealers, func(o seal.Sealer) bool { return o.Kind() == f.sealed.Kind })
	if i < 0 {
		f.close()
		return &UnsealError{f.sealed.Kind, seal.ErrMissing}
	}
	if err := f.unlock(s.options.Sealers[i].Unseal); err != nil {
		f.close()
		if errors.Is(err, ErrCorrupt) {
			return err
		}
		return &UnsealError{f.sealed.Kind, err}
	}
	s.file = f
	return nil
}

// View runs a function that reads. A store that does not exist is empty.
func (s *Store) View(do func(*Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view(do)
}

func (s *Store) view(do func(*Tx) error) error {
	if err := s.prepare(); err != nil {
		return err
	}
	if s.file == nil {
		return do(&Tx{keys: &keys{}})
	}
	return s.spoiled(s.file.view(do))
}

// Update runs a function that reads and writes, and makes a store where there is none. When it returns nil, all that
// was written survives a crash; otherwise nothing was written, except that after an error of the disk nobody knows.
func (s *Store) Update(do func(*Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.prepare(); err != nil {
		return err
	}
	if s.file == nil {
		if err := s.create(); err != nil {
			return err
		}
	}
	if s.file.readOnly {
		return fmt.Errorf("%w: %s", ErrReadOnly, s.path())
	}
	failed, err := s.file.update(do)
	if failed {
		s.options.Log.Error("the store was not written", "error", err)
		s.drop()
	}
	return s.spoiled(err)
}

// spoiled closes a file in which damage was found, so that it is looked at as a whole.
func (s *Store) spoiled(err error) error {
	if errors.Is(err, ErrCorrupt) {
		s.options.Log.Error("the store is damaged", "error", err)
		s.drop()
	}
	return err
}

// create makes an empty store.
func (s *Store) create() error {
	if err := s.acquire(); err != nil {
		return diskError(readOnlyFolder(err))
	}
	if err := s.prepare(); err != nil || s.file != nil { // another program may have made it before we had the lock
		return err
	}
	return s.installNew(nil)
}

// readOnlyFolder is ErrReadOnly where we may not write.
func readOnlyFolder(err error) error {
	if unwritable(err) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}

// byPerson is the Sealer of a store that needs a person, with what that has said.
func (s *Store) byPerson(said fido.Secret) seal.Sealer {
	if s.file.sealed.Kind == seal.KindPassphrase {
		return seal.Passphrase{Passphrase: said}
	}
	t := s.options.TPM
	if t == nil {
		t = new(tpm.TPM) // which says that there is none
	}
	return seal.TPM{TPM: t, Lock: tpm.Lock{PIN: said}}
}

// Unlock opens a store with a passphrase, or with the PIN that the TPM wants; ErrWrongKey where it is another one. One
// that is open stays open then.
func (s *Store) Unlock(said fido.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.prepare(); err != nil && !errors.Is(err, ErrLocked) {
		return err
	}
	if s.file == nil || !s.file.sealed.Kind.NeedsPerson() {
		return ErrNotLocked
	}
	by := s.byPerson(said)
	if s.file.keys == nil {
		return s.spoiled(s.file.unlock(by.Unseal))
	}
	data, err := by.Unseal(s.file.sealed.Payload)
	data.Wipe()
	return err
}

// Status says how a store is.
type Status struct {
	Path     string    // of the file; empty where there is no folder for it
	Problem  error     // why it can't be used, such as ErrLocked; nil where it can, or will be made when it is needed
	Exists   bool      // there is a file
	ReadOnly bool      // it can be read, but not written
	Sealer   seal.Kind // of the file, or of the one that would be made; empty where that is not known
	Records  int       // how many there are
	Size     int64     // of the file, in bytes
	Aside    []string  // older files that were kept
}

// Status looks at the store.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var now Status
	now.Problem = s.prepare()
	if s.options.Dir != "" {
		now.Path, now.Aside = s.path(), s.aside()
		if info, err := os.Lstat(s.path()); err == nil {
			now.Exists, now.Size = true, info.Size()
		}
	}
	switch {
	case s.file != nil:
		now.Sealer, now.ReadOnly = s.file.sealed.Kind, s.file.readOnly
	case now.Problem == nil && len(s.options.Sealers) > 0:
		now.Sealer = s.options.Sealers[0].Kind()
	}
	if now.Problem == nil {
		now.Problem = s.view(func(t *Tx) error {
			now.Records = int(t.summary.count)
			return nil
		})
	}
	return now
}
