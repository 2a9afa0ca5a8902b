package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Writer writes a file of any size, which only its owner can read. Until Commit the file has no name, so that who is
// killed in the middle leaves nothing behind. Where a file system has no such files (NFS, FUSE), it has the name of
// TempName until then, which RemoveLeftovers removes.
type Writer struct {
	path    string
	replace bool
	file    *os.File
	temp    string // its name for now; empty for none
}

// NewWriter begins a file that shall be at path: in place of what is there, or fs.ErrExist.
func NewWriter(path string, replace bool) (*Writer, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil && !replace:
		return nil, &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	case err == nil && !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "replace", Path: path, Err: ErrNotRegular}
	}
	w := &Writer{path: path, replace: replace}
	if w.file, err = nameless(filepath.Dir(path)); err == nil {
		return w, nil
	}
	w.temp = TempName(path)
	if w.file, err = os.OpenFile(w.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: errors.Unwrap(err)} // nobody knows the name for now
	}
	return w, nil
}

// nameless makes a file that can get a name later.
func nameless(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_WRONLY|unix.O_TMPFILE, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(link(f)); err != nil { // no /proc
		f.Close()
		return nil, err
	}
	return f, nil
}

// link is a name by which the kernel knows an open file: linkat takes no file without one from who is not root.
func link(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (int, error) { return w.file.Write(b) }

// Commit puts the file in its place. When it returns nil, that survives a crash; otherwise nothing is left of the file,
// but where the folder alone could not be synchronized.
func (w *Writer) Commit() error {
	err := w.file.Sync()
	if err == nil && w.temp == "" {
		err = w.name()
	}
	if err == nil && w.temp != "" {
		err = w.rename()
	}
	if err != nil {
		w.Abort()
		return err
	}
	w.temp = ""
	return errors.Join(w.file.Close(), SyncFolder(filepath.Dir(w.path)))
}

// name gives a file without a name its own, or one for now where another file has that.
func (w *Writer) name() error {
	to := w.path
	if w.replace {
		to = TempName(w.path)
	}
	if err := unix.Linkat(unix.AT_FDCWD, link(w.file), unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &fs.PathError{Op: "create", Path: w.path, Err: err}
	}
	if w.replace {
		w.temp = to
	}
	return nil
}

func (w *Writer) rename() error {
	flags := uint(unix.RENAME_NOREPLACE)
	if w.replace {
		flags = 0
	}
	if err := unix.Renameat2(unix.AT_FDCWD, w.temp, unix.AT_FDCWD, w.path, flags); err != nil {
		return &fs.PathError{Op: "create", Path: w.path, Err: err}
	}
	return nil
}

// Abort leaves nothing of the file. After Commit it does nothing.
func (w *Writer) Abort() {
	w.file.Close()
	if w.temp != "" {
		os.Remove(w.temp)
		w.temp = ""
	}
}
