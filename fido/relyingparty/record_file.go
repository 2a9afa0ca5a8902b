package relyingparty

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// MaxRecordSize is the size of the largest record that is read or written, in bytes.
const MaxRecordSize = 64 << 10

// ReadRecord reads the record in a file. The error is a *RecordError; it unwraps to fs.ErrNotExist where there is no
// such file.
func ReadRecord(path string) (*Record, error) {
	b, err := readBounded(path)
	if err != nil {
		return nil, &RecordError{path, err}
	}
	r, err := parseRecord(b)
	if err != nil {
		return nil, &RecordError{path, err}
	}
	return r, nil
}

func readBounded(path string) ([]byte, error) {
	// Opening a FIFO would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(ErrNotRegular, err)
	}
	return io.ReadAll(io.LimitReader(f, MaxRecordSize+1))
}

// WriteRecord writes a record to a file that only its owner can read, in place of what was there. When it returns nil
// the record will survive a crash; when it returns an error, or a crash comes before, the old file is still there,
// whole. (After an error in the very last step, making the folder durable, it is the new one, whole as well.) The
// error is a *RecordError.
func WriteRecord(path string, r *Record) error {
	b, err := r.Encode()
	if err != nil {
		err = errors.Unwrap(err)
	} else {
		err = replaceFile(path, b)
	}
	if err != nil {
		return &RecordError{path, err}
	}
	return nil
}

func replaceFile(path string, b []byte) (err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".fob-record-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a rename durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
