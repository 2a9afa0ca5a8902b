package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Errors of Listen.
var (
	ErrAlreadyRunning = errors.New("another fobd serves this socket")
	ErrUnsafeFolder   = errors.New("the socket's folder must belong to us, with mode 0700")
)

// Listen makes the socket at path, mode 0600, in a folder of mode 0700 that is made when it is missing. What a fobd that
// was killed left behind is removed. Closing the listener removes the socket.
func Listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		lock.Close()
		return nil, err
	}
	l, err := net.Listen("unix", path) // nobody else can reach into the folder before the mode is set
	if err != nil {
		lock.Close()
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		lock.Close()
		return nil, err
	}
	return &listener{l, lock}, nil
}

func checkFolder(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("%s: %w", dir, ErrUnsafeFolder)
	}
	return nil
}

// lockFile takes a lock that the kernel lets go of when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrAlreadyRunning
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// listener lets go of the lock after the socket is gone.
type listener struct {
	net.Listener
	lock *os.File
}

func (l *listener) Close() error {
	return errors.Join(l.Listener.Close(), l.lock.Close())
}
