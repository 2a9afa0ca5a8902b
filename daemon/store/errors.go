package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	berrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"fob/daemon/seal"
)

// Errors of a Store.
var (
	ErrNotFound   = errors.New("no such record")
	ErrLocked     = errors.New("the store is locked until somebody gives its passphrase or PIN")
	ErrHeld       = errors.New("another program has the store open")
	ErrCorrupt    = errors.New("the store is damaged")
	ErrReadOnly   = errors.New("the store can only be read")
	ErrFull       = errors.New("there is no room for the store to grow")
	ErrNewer      = errors.New("a newer fob has written the store")
	ErrWrongKey   = seal.ErrWrongKey
	ErrNotEmpty   = errors.New("the store is not empty")
	ErrNotLocked  = errors.New("the store has neither a passphrase nor a PIN")
	ErrTooLong    = errors.New("the record is too long")
	ErrBackup     = errors.New("not a backup of a store, or a damaged one")
	ErrNoFolder   = errors.New("there is no folder for the store")
	ErrClosed     = errors.New("the store is closed")
	ErrBadFolder  = errors.New("the folder of the store must belong to us, and nobody else may write in it")
	errOnlyReads  = errors.New("a transaction of View only reads")
	errHolderGone = errors.New("nobody says who has the store open")
)

// HeldError says which program has the store open, as it has told itself. It unwraps to ErrHeld.
type HeldError struct {
	PID     int    // 0 where that is not known
	Program string // its name; may be empty
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return ErrHeld.Error()
	}
	return fmt.Sprintf("%s (process %d) has the store open", e.Program, e.PID)
}

// Unwrap gives ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }

// CorruptError says what is wrong with the file of a store. It unwraps to ErrCorrupt.
type CorruptError struct {
	Problem string
}

func (e *CorruptError) Error() string { return ErrCorrupt.Error() + ": " + e.Problem }

// Unwrap gives ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

// UnsealError says that the data key does not open, and what has sealed it. It unwraps to seal.ErrWrongKey,
// seal.ErrMissing or what else is wrong with that.
type UnsealError struct {
	Kind seal.Kind
	Err  error
}

func (e *UnsealError) Error() string {
	return fmt.Sprintf("the store, sealed by %s, does not open: %v", e.Kind, e.Err)
}

// Unwrap gives the reason.
func (e *UnsealError) Unwrap() error { return e.Err }

func corrupt(format string, args ...any) error { return &CorruptError{fmt.Sprintf(format, args...)} }

// diskError gives the errors of a disk the type that says what to do. bbolt keeps the text alone of some.
func diskError(err error) error {
	for _, known := range []struct {
		errno unix.Errno
		as    error
	}{
		{unix.ENOSPC, ErrFull}, {unix.EDQUOT, ErrFull}, {unix.EFBIG, ErrFull}, {unix.EROFS, ErrReadOnly},
	} {
		if errors.Is(err, known.errno) || err != nil && strings.HasSuffix(err.Error(), ": "+known.errno.Error()) {
			return fmt.Errorf("%w: %w", known.as, err)
		}
	}
	if errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: it has %d MiB at most", ErrFull, maxFileSize>>20)
	}
	return err
}

// unwritable reports whether an error says that we may not write here.
func unwritable(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission)
}
