package endpoint

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Limits of the system that a key more would exceed.
var (
	// ErrNoPTY means that there are as many pseudo-terminals as the kernel allows (/proc/sys/kernel/pty/max).
	ErrNoPTY = errors.New("no pseudo-terminal is left: end some programs, or raise the limit" +
		" (sysctl -w kernel.pty.max=8192)")
	// ErrNoWatch means that this user watches as many files as the kernel allows (inotify(7)).
	ErrNoWatch = errors.New("no inotify watch is left: raise the limits (sysctl -w fs.inotify.max_user_instances=1024" +
		" fs.inotify.max_user_watches=1048576)")
	// ErrTooManyFiles means that the process, or the system, has as many files open as it may (RLIMIT_NOFILE). A key at a
	// pseudo-terminal takes one.
	ErrTooManyFiles = errors.New("too many open files: raise the limit (ulimit -n)")
)

// limitError says which limit an error of a call is about. inotify_init1 gives EMFILE for two of them.
func limitError(call string, err error) error {
	if err == nil {
		return nil
	}
	full, files := errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
	named := os.NewSyscallError(call, err)
	switch {
	case full && call == "open /dev/ptmx":
		return fmt.Errorf("%w: %w", ErrNoPTY, named)
	case full, files && call == "inotify_init1" && haveFile():
		return fmt.Errorf("%w: %w", ErrNoWatch, named)
	case files:
		return fmt.Errorf("%w: %w", ErrTooManyFiles, named)
	}
	return named
}

// haveFile says that the process may open one more file.
func haveFile() bool {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
