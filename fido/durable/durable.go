// Package durable keeps small files that survive a crash at any point and that belong to one program at a time.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotRegular is what is no regular file: a device, a FIFO, a symbolic link, a folder. Replacing one would change
// more than a file's content.
var ErrNotRegular = errors.New("is not a regular file")

// ErrLocked is a lock that another program holds.
var ErrLocked = errors.New("another program holds the lock")

// Replace writes a file that only its owner can read, in place of what was there. When it returns nil, the new content
// survives a crash; when a crash comes before, the old content is still there, whole.
func Replace(path string, content []byte) error {
	if err := CheckRegular(path); err != nil {
		return err
	}
	return write(path, content, 0)
}

// CheckRegular returns ErrNotRegular for what Replace does not replace; nil for a file, and where there is nothing.
func CheckRegular(path string) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
	}
	return nil
}

// Create is Replace for a file that must not exist yet; fs.ErrExist when it does.
func Create(path string, content []byte) error {
	return write(path, content, unix.RENAME_NOREPLACE)
}

// RemoveLeftovers removes what writers of path that were killed have left beside it. Nobody else may be writing it.
func RemoveLeftovers(path string) error {
	dir, prefix := filepath.Dir(path), "."+filepath.Base(path)+"."
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), prefix); ok && e.Type().IsRegular() && isNumber(rest) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// isNumber reports whether s is what os.CreateTemp puts in the place of a star.
func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

func write(path string, content []byte, renameFlags uint) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err = unix.Renameat2(unix.AT_FDCWD, temp.Name(), unix.AT_FDCWD, path, renameFlags); err != nil {
		return &fs.PathError{Op: "rename", Path: path, Err: err}
	}
	return SyncFolder(dir)
}

// TempName is a name beside path for its next content, which RemoveLeftovers removes after a crash, and Rename puts in
// place of path. It is for content that is written by other means than Replace.
func TempName(path string) string {
	return filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d", filepath.Base(path), rand.Uint64()))
}

// Rename gives a file that is on the disk another name in its folder, in place of what has it. When it returns nil,
// that survives a crash.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncFolder(filepath.Dir(to))
}

// SyncFolder makes durable what names a folder has.
func SyncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Lock takes the lock file at path, which is made when it is missing, or returns ErrLocked at once. Closing the file
// lets go of it, and so does the end of the process, however it comes.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}
