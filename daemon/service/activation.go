package service

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"
)

// SocketName is the name of our socket among others that a unit may pass (systemd.socket(5), FileDescriptorName=).
const SocketName = "varlink"

// Errors of Inherited.
var (
	ErrSockets = errors.New("systemd passes several sockets, and not exactly one of them is named " + SocketName)
	ErrSocket  = errors.New("what systemd passes is not a Unix stream socket that listens (ListenStream=, Accept=no)")
)

// Inherited gives the socket that systemd listened at before it started us (sd_listen_fds(3)), nil when there is none. It
// stays with systemd: closing the listener leaves it in its folder. Others that were passed are closed, and the variables
// that tell of them are removed.
func Inherited() (*net.UnixListener, error) {
	files := activation.Files(true)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	f, err := ours(files)
	if f == nil || err != nil {
		return nil, err
	}
	return listenerOf(f)
}

// ours finds our socket.
func ours(files []*os.File) (f *os.File, err error) {
	if len(files) == 1 {
		return files[0], nil
	}
	for _, other := range files {
		if other.Name() != SocketName {
			continue
		}
		if f != nil {
			return nil, ErrSockets
		}
		f = other
	}
	if f == nil && len(files) > 0 {
		return nil, ErrSockets
	}
	return f, nil
}

// listenerOf makes a listener of a copy of f.
func listenerOf(f *os.File) (*net.UnixListener, error) {
	for _, is := range []struct{ option, value int }{
		{unix.SO_DOMAIN, unix.AF_UNIX}, {unix.SO_TYPE, unix.SOCK_STREAM}, {unix.SO_ACCEPTCONN, 1},
	} {
		if got, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, is.option); err != nil || got != is.value {
			return nil, ErrSocket
		}
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSocket, err)
	}
	return l.(*net.UnixListener), nil // of a Unix socket it is
}
