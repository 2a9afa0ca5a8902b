package endpoint

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Limits of the system that one more key would exceed, where the errors of the calls would mislead. That of open files is
// unix.EMFILE (RLIMIT_NOFILE) or unix.ENFILE; a key at a pseudo-terminal takes one.
var (
	// ErrNoPTY means that there are as many pseudo-terminals as the kernel allows.
	ErrNoPTY = errors.New("no pseudo-terminal is left (kernel.pty.max)")
	// ErrNoWatch means that this user watches as many files as the kernel allows.
	ErrNoWatch = errors.New("no inotify watch is left (fs.inotify.max_user_instances, fs.inotify.max_user_watches)")
)

// limitError names the limit that an error of a call is about.
func limitError(call string, err error) error {
	named := os.NewSyscallError(call, err)
	switch {
	case errors.Is(err, unix.ENOSPC) && call == "open /dev/ptmx":
		return fmt.Errorf("%w: %w", ErrNoPTY, named)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EMFILE) && call == "inotify_init1" && haveFile():
		return fmt.Errorf("%w: %w", ErrNoWatch, named)
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
