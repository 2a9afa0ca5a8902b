package relyingparty

import (
	"errors"
	"io"
	"os"
	"syscall"

	"fob/fido/durable"
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
		return nil, errors.Join(durable.ErrNotRegular, err)
	}
	return io.ReadAll(io.LimitReader(f, MaxRecordSize+1))
}

// WriteRecord writes a record to a file that only its owner can read, in place of a file that was there. When it returns
// nil the record will survive a crash; else the old file is still there, whole. The error is a *RecordError.
func WriteRecord(path string, r *Record) error { return writeRecord(path, r, durable.Replace) }

// CreateRecord is WriteRecord for a file that must not exist yet; the error unwraps to fs.ErrExist when it does.
func CreateRecord(path string, r *Record) error { return writeRecord(path, r, durable.Create) }

func writeRecord(path string, r *Record, write func(path string, b []byte) error) error {
	b, err := r.Encode()
	if err != nil {
		err = errors.Unwrap(err)
	} else {
		err = write(path, b)
	}
	if err != nil {
		return &RecordError{path, err}
	}
	return nil
}
