package hidraw

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errOverrun means that events were lost: there were more than the socket's buffer holds.
var errOverrun = errors.New("uevents were lost")

// receiveBuffer is asked for, in bytes; the kernel may give less to a user.
const receiveBuffer = 1 << 20

// netlink is a socket that the kernel's and udev's events come to.
type netlink struct {
	f   *os.File
	raw syscall.RawConn
	buf [maxUevent + 1]byte
	oob [128]byte
}

func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK,
		unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, os.NewSyscallError("netlink socket", err)
	}
	n := &netlink{f: os.NewFile(uintptr(fd), "uevents")}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // less will do: an overrun is noticed
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupKernel | groupUdev})
	}
	if err == nil {
		n.raw, err = n.f.SyscallConn()
	}
	if err != nil {
		n.f.Close()
		return nil, os.NewSyscallError("netlink socket", err)
	}
	return n, nil
}

// read waits for a message, which the next read overwrites, until ctx ends.
func (n *netlink) read(ctx context.Context) (m message, err error) {
	err = await(ctx, n.f, n.raw, func(fd int) error {
		size, oobSize, flags, from, err := unix.Recvmsg(fd, n.buf[:], n.oob[:], 0)
		if err != nil {
			return err
		}
		m = message{data: n.buf[:size], cut: flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0, uid: nobody}
		if nl, ok := from.(*unix.SockaddrNetlink); ok {
			m.groups, m.port = nl.Groups, nl.Pid
		}
		if uid, ok := sender(n.oob[:oobSize]); ok {
			m.uid = uid
		}
		return nil
	})
	if errors.Is(err, unix.ENOBUFS) {
		return message{}, errOverrun
	}
	return m, err
}

// nobody is a sender that the kernel does not name.
const nobody = 65534

func sender(oob []byte) (uid uint32, ok bool) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for i := range list {
		if c, err := unix.ParseUnixCredentials(&list[i]); err == nil {
			return c.Uid, true
		}
	}
	return 0, false
}

func (n *netlink) close() error { return n.f.Close() }

// await calls read when there is something to read, and again after EAGAIN, until ctx ends.
func await(ctx context.Context, f *os.File, raw syscall.RawConn, read func(fd int) error) error {
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var err error
	waitErr := raw.Read(func(fd uintptr) bool {
		for err = unix.EINTR; err == unix.EINTR; {
			err = read(int(fd))
		}
		return err != unix.EAGAIN
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waitErr != nil:
		return waitErr
	}
	return err
}
