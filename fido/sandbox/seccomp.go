//go:build amd64 || arm64

package sandbox

import (
	"os"

	"golang.org/x/sys/unix"
)

// allowed are the system calls that need no look at their arguments, beside those of the processor's own (see
// processorsAllowed). The first lines were measured (strace) with libfido2 1.12, libudev 252, glibc 2.36 and Go 1.26,
// with and without the race detector; those below the blank line are their likes in other versions, which can do no
// more.
var allowed = []uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_FUTEX, unix.SYS_PPOLL, unix.SYS_EPOLL_PWAIT, unix.SYS_NANOSLEEP,
	unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_GETDENTS64, unix.SYS_FCNTL, unix.SYS_FLOCK, unix.SYS_LSEEK,
	unix.SYS_PREAD64, unix.SYS_READLINKAT, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2,
	unix.SYS_BRK, unix.SYS_MADVISE, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_MLOCK, unix.SYS_MUNLOCK,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETRANDOM,
	unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,

	unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PSELECT6, unix.SYS_EPOLL_PWAIT2, unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_RESTART_SYSCALL, unix.SYS_FUTEX_WAIT, unix.SYS_FUTEX_WAKE, unix.SYS_FUTEX_WAITV, unix.SYS_MEMBARRIER,
	unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_STATFS, unix.SYS_FSTATFS,
	unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_GETCWD, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_PIPE2, unix.SYS_MSYNC,
	unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_GETTIMEOFDAY, unix.SYS_GETCPU, unix.SYS_UNAME,
	unix.SYS_SYSINFO, unix.SYS_UMASK, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID,
	unix.SYS_GETPPID, unix.SYS_GETRUSAGE, unix.SYS_TIMES, unix.SYS_GETSOCKOPT, unix.SYS_GETSOCKNAME,
	unix.SYS_GETPEERNAME, unix.SYS_SHUTDOWN, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE,
	unix.SYS_SETITIMER,
}

// deadly are the system calls that nothing of ours makes, and that lead out of the process or deep into the kernel. Who
// tries one is killed, for the daemon to see. Everything else that is not allowed fails with EPERM.
var deadly = []uint32{
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PROCESS_MADVISE, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_BPF, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
	unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_ADJTIMEX, unix.SYS_CLOCK_ADJTIME,
}

// absent are system calls that glibc then does without: their arguments are in memory, which a filter can't read.
var absent = []uint32{unix.SYS_CLONE3, unix.SYS_OPENAT2}

// Requests to hidraw nodes by libfido2: size and content of the report descriptor, vendor and product (linux/hidraw.h).
const (
	hidiocgrdescsize = 0x80044801
	hidiocgrdesc     = 0x90044802
	hidiocgrawinfo   = 0x80084803
)

// creates are the flags of open that make or empty a file.
const creates = unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY

// conditional are the system calls whose arguments matter; rules of the same call are alternatives.
func conditional() []rule {
	self := uint64(os.Getpid())
	return []rule{
		when(unix.SYS_MMAP, without(2, unix.PROT_EXEC)),
		when(unix.SYS_MPROTECT, without(2, unix.PROT_EXEC)),
		when(unix.SYS_OPENAT, without(2, creates)),
		when(unix.SYS_CLONE, with(0, unix.CLONE_THREAD)),
		when(unix.SYS_TGKILL, is(0, self)),
		when(unix.SYS_KILL, is(0, self)),
		when(unix.SYS_IOCTL, is(1, hidiocgrdescsize)),
		when(unix.SYS_IOCTL, is(1, hidiocgrdesc)),
		when(unix.SYS_IOCTL, is(1, hidiocgrawinfo)),
		when(unix.SYS_IOCTL, is(1, unix.TCGETS)), // isatty, in C's library
		when(unix.SYS_PRCTL, is(0, unix.PR_SET_VMA)),
		when(unix.SYS_PRCTL, is(0, unix.PR_SET_NAME)),
		when(unix.SYS_PRCTL, is(0, unix.PR_GET_NAME)),
		when(unix.SYS_PRLIMIT64, is(0, 0), is(2, 0)), // only to look
		when(unix.SYS_PRLIMIT64, is(0, self), is(2, 0)),
	}
}

// The sockets by which libfido2 reaches the kernel's NFC devices, and what it does with them.
var (
	nfcSockets = []rule{
		when(unix.SYS_SOCKET, is(0, unix.AF_NFC)),
		when(unix.SYS_SOCKET, is(0, unix.AF_NETLINK), is(2, unix.NETLINK_GENERIC)),
	}
	nfcCalls = []uint32{
		unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_SETSOCKOPT, unix.SYS_SENDTO, unix.SYS_RECVFROM, unix.SYS_SENDMSG,
		unix.SYS_RECVMSG,
	}
)
