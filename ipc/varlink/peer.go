package varlink

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Peer is the process at the other end as it was when it connected (SO_PEERCRED, unix(7)).
// PID is 0 for a process outside our PID namespace, and may since belong to another process.
type Peer struct {
	PID      int32
	UID, GID uint32
	// Process is a pidfd of it (pidfd_open(2)), which another process never gets. Nil for one that is gone. The server
	// closes it with the connection. Before Linux 6.5, which has SO_PEERPIDFD, it is that of the process which had the PID
	// when the connection was accepted.
	Process *os.File
}

var errNoCredentials = errors.New("varlink: not a Unix socket")

// peerOf asks the kernel who connected.
func peerOf(nc net.Conn) (Peer, error) {
	var cred *unix.Ucred
	var process *os.File
	var err error
	if controlErr := control(nc, func(fd int) {
		cred, err = unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			process = processOf(fd, cred.Pid)
		}
	}); controlErr != nil {
		return Peer{}, controlErr
	}
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Process: process}, nil
}

// processOf opens a pidfd of the process at the other end, or gives nil.
func processOf(socket int, pid int32) *os.File {
	fd, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err == unix.ENOPROTOOPT && pid > 0 {
		fd, err = unix.PidfdOpen(int(pid), 0)
	}
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), "pidfd")
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
