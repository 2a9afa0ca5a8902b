package varlink

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is the process at the other end as it was when it connected (SO_PEERCRED, unix(7)).
// PID is 0 for a process outside our PID namespace, and may since belong to another process.
type Peer struct {
	PID      int32
	UID, GID uint32
}

var errNoCredentials = errors.New("varlink: not a Unix socket")

// peerOf asks the kernel who connected.
func peerOf(nc net.Conn) (Peer, error) {
	var cred *unix.Ucred
	var err error
	if controlErr := control(nc, func(fd int) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil {
		return Peer{}, controlErr
	}
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid}, nil
}

// hungUp reports whether the other end has closed, even while unread data hides the end of the stream from read(2).
func hungUp(nc net.Conn) bool {
	hup := false
	_ = control(nc, func(fd int) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		hup = err == nil && n > 0
	})
	return hup
}

func control(nc net.Conn, f func(fd int)) error {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return errNoCredentials
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
