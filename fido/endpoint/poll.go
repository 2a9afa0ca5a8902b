package endpoint

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func pollFD(fd int, events int16) unix.PollFd { return unix.PollFd{Fd: int32(fd), Events: events} }

// poll waits until one of the descriptors is ready or timeout has passed, for ever if it is negative, and returns what
// happened to each. A signal may end it early.
func poll(timeout time.Duration, fds ...unix.PollFd) ([]int16, error) {
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	_, err := unix.Poll(fds, ms)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, os.NewSyscallError("poll", err)
	}
	revents := make([]int16, len(fds))
	for i := range fds {
		revents[i] = fds[i].Revents
	}
	return revents, nil
}
