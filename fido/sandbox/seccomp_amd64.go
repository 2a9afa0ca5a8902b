package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// System calls that only amd64 has: older forms of others.
var (
	processorsAllowed = []uint32{
		unix.SYS_NEWFSTATAT, unix.SYS_ACCESS,

		unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_READLINK, unix.SYS_POLL, unix.SYS_SELECT, unix.SYS_EPOLL_WAIT,
		unix.SYS_TIME, unix.SYS_GETRLIMIT,
	}
	processorsConditional = []rule{when(unix.SYS_OPEN, without(1, creates))}
	processorsDeadly      = []uint32{
		unix.SYS_FORK, unix.SYS_VFORK, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT,
	}
)
