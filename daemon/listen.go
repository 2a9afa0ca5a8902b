package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"fob/fido/durable"
)

// Errors of Listen.
var (
	ErrAlreadyRunning = errors.New("another program serves this socket")
	ErrNotSocket      = errors.New("something else than a socket is here, which stays as it is")
	ErrUnsafeFolder   = errors.New("the socket's folder must belong to us, with mode 0700")
)

// Listen makes the socket at path, mode 0600, in a folder of mode 0700 that is made when it is missing. What a fobd that
// was killed left behind is removed, but nothing else. Closing the listener removes the socket.
//
// A socket that a program serves stays, and gives ErrAlreadyRunning; where systemd listens, that is started by it.
func Listen(path string) (*Socket, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s: %w", path, ErrNotSocket)
	}
	lock, err := durable.Lock(path + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", path, ErrAlreadyRunning)
	}
	if err != nil {
		return nil, err
	}
	if err := unserved(path); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		lock.Close()
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}) // nobody else can reach into the folder before the mode is set
	if err != nil {
		lock.Close()
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		lock.Close()
		return nil, err
	}
	return &Socket{l, lock}, nil
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

// unserved gives ErrAlreadyRunning when a program listens at path.
func unserved(path string) error {
	c, err := net.Dial("unix", path)
	switch {
	case err == nil:
		c.Close()
		return ErrAlreadyRunning
	case errors.Is(err, unix.EAGAIN): // it has a long queue
		return ErrAlreadyRunning
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// Socket is a socket that we have made.
type Socket struct {
	*net.UnixListener
	lock *os.File
}

// Close removes the socket, and then lets go of the lock.
func (s *Socket) Close() error {
	return errors.Join(s.UnixListener.Close(), s.lock.Close())
}
