package audit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido/durable"
)

// KeySize is how long the key of a log is, in bytes.
const KeySize = 32

// ErrBadKey is a key file that is none: of another size, or not ours alone.
var ErrBadKey = errors.New("is no key of an audit log: 32 bytes, for its owner alone")

// KeyFile gives a source of the key that is in the file at path, mode 0600. A file that is missing is made, with a new
// key, in a folder that is made too.
func KeyFile(path string) func() ([]byte, error) {
	return func() ([]byte, error) {
		key, err := readKey(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		made := make([]byte, KeySize)
		rand.Read(made)
		if err := durable.Create(path, made); err != nil && !errors.Is(err, fs.ErrExist) { // another was faster
			return nil, err
		}
		return readKey(path)
	}
}

func readKey(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 || info.Size() != KeySize {
		return nil, fmt.Errorf("%s: %w", path, ErrBadKey)
	}
	key := make([]byte, KeySize)
	_, err = f.ReadAt(key, 0)
	return key, err
}

// DefaultDir is where the log of a fobd is: audit in $STATE_DIRECTORY, which systemd sets (systemd.exec(5)), else
// fob/audit in $XDG_STATE_HOME, else in ~/.local/state.
func DefaultDir() (string, error) {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "audit"), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "fob", "audit"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "fob", "audit"), nil
}
