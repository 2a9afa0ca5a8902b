package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrReplaced is a file that is not the one any more that was there before.
var ErrReplaced = errors.New("was replaced meanwhile")

// Shred overwrites a file with zeros, and removes it. was is what the file was when it was read: another one is left
// alone. A disk may have copies all the same: an SSD writes elsewhere, and so do journals, snapshots and backups.
func Shred(path string, was fs.FileInfo) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &fs.PathError{Op: "shred", Path: path, Err: ErrNotRegular}
	case !os.SameFile(info, was):
		return &fs.PathError{Op: "shred", Path: path, Err: ErrReplaced}
	}
	if _, err := io.CopyN(f, zeros{}, info.Size()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// zeros is /dev/zero.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
