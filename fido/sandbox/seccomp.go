package sandbox

import (
	"errors"
	"os"
	"runtime"
	"slices"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// rule allows a system call when all its conditions hold.
type rule = seccomp.NameWithConditions

// allowed are the system calls that need no look at their arguments, those in front that are made most often. They were
// measured (strace) with libfido2 1.12, libudev 252, glibc 2.36 and Go 1.26, with and without the race detector; those
// after the blank lines are their likes in other versions and on other processors, which can do no more.
var allowed = []string{
	"read", "write", "futex", "ppoll", "epoll_pwait", "nanosleep", "close", "madvise", "munmap", "rt_sigprocmask",
	"fstat", "newfstatat", "getdents64", "fcntl", "flock", "lseek", "pread64", "readlinkat", "access",
	"epoll_ctl", "epoll_create1", "eventfd2", "getrandom", "brk", "mlock", "munlock", "mremap", "mincore",
	"rt_sigaction", "rt_sigreturn", "sigaltstack", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"getpid", "gettid", "exit", "exit_group",

	"readv", "writev", "poll", "select", "pselect6", "epoll_wait", "epoll_pwait2", "clock_nanosleep", "restart_syscall",
	"stat", "lstat", "fstatat", "statx", "readlink", "faccessat", "faccessat2", "statfs", "fstatfs", "name_to_handle_at",
	"getcwd", "dup", "dup3", "pipe2",
	"clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu", "uname", "sysinfo", "umask",
	"getuid", "geteuid", "getgid", "getegid", "getppid", "getrlimit", "getrusage", "times", "membarrier", "msync",
	"getsockopt", "getsockname", "getpeername", "shutdown",
	"timer_create", "timer_settime", "timer_delete", "setitimer", "futex_wait", "futex_wake", "futex_waitv",
}

// deadly are the system calls that nothing of ours makes, and that lead out of the process or deep into the kernel. Who
// tries one is killed, for the daemon to see. Everything else that is not allowed fails with EPERM.
var deadly = []string{
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp",
	"pidfd_getfd", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo",
	"bpf", "userfaultfd", "perf_event_open", "io_uring_setup", "io_uring_enter", "io_uring_register",
	"add_key", "request_key", "keyctl",
	"mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_by_handle_at",
	"open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
	"iopl", "ioperm", "modify_ldt", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime",
}

// absent are system calls that glibc then does without: their arguments are in memory, which a filter can't read.
var absent = []string{"clone3", "openat2"}

// Requests to hidraw nodes by libfido2: size and content of the report descriptor, vendor and product.
// The last two carry the length of a structure (linux/hidraw.h: 4100 and 8 bytes).
const (
	hidiocgrdescsize = 0x80044801
	hidiocgrdesc     = 0x90044802
	hidiocgrawinfo   = 0x80084803
)

// conditional are the system calls whose arguments matter.
func conditional() []rule {
	self := uint64(os.Getpid())
	const creates = unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND | unix.O_TMPFILE&^unix.O_DIRECTORY
	return []rule{
		when("mmap", without(2, unix.PROT_EXEC)),
		when("mprotect", without(2, unix.PROT_EXEC)),
		when("openat", without(2, creates)),
		when("open", without(1, creates)),
		when("clone", with(0, unix.CLONE_THREAD)),
		when("tgkill", is(0, self)),
		when("kill", is(0, self)),
		when("ioctl", is(1, hidiocgrdescsize)),
		when("ioctl", is(1, hidiocgrdesc)),
		when("ioctl", is(1, hidiocgrawinfo)),
		when("ioctl", is(1, unix.TCGETS)), // isatty, in C's library
		when("prctl", is(0, unix.PR_SET_VMA)),
		when("prctl", is(0, unix.PR_SET_NAME)),
		when("prctl", is(0, unix.PR_GET_NAME)),
		when("prlimit64", is(0, 0), is(2, 0)), // only to look
		when("prlimit64", is(0, self), is(2, 0)),
	}
}

// The sockets by which libfido2 reaches the kernel's NFC devices, and what it does with them.
var (
	nfcSockets = []rule{
		when("socket", is(0, unix.AF_NFC)),
		when("socket", is(0, unix.AF_NETLINK), is(2, unix.NETLINK_GENERIC)),
	}
	nfcCalls = []string{"bind", "connect", "setsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg"}
)

func when(name string, conditions ...seccomp.Condition) rule {
	return rule{Name: name, Conditions: conditions}
}

func is(argument uint32, value uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: seccomp.Equal, Value: value}
}

func with(argument uint32, bit uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: seccomp.BitsSet, Value: bit}
}

func without(argument uint32, bits uint64) seccomp.Condition {
	return seccomp.Condition{Argument: argument, Operation: seccomp.BitsNotSet, Value: bits}
}

// policy gives the filter for a processor's table of system calls. What is not in the table does not exist there.
func policy(table *arch.Info, nfc bool) seccomp.Policy {
	names, rules := allowed, conditional()
	if nfc {
		names, rules = slices.Concat(allowed, nfcCalls), append(rules, nfcSockets...)
	}
	known := func(name string) bool { _, ok := table.SyscallNames[name]; return ok }
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno, // EPERM
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: filtered(names, known)},
			{Action: seccomp.ActionAllow, NamesWithCondtions: filtered(rules, func(r rule) bool { return known(r.Name) })},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: filtered(absent, known)},
			{Action: seccomp.ActionKillProcess, Names: filtered(deadly, known)},
		},
	}
}

func filtered[T any](list []T, keep func(T) bool) (kept []T) {
	for _, v := range list {
		if keep(v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// filter lets the kernel check every system call of every thread from now on. With nfc, sockets for that are allowed.
func filter(nfc bool) error {
	table, err := arch.GetInfo("")
	if err != nil {
		return err
	}
	runtime.LockOSThread() // "no new privileges" belongs to the thread that installs the filter
	defer runtime.UnlockOSThread()
	err = seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy:     policy(table, nfc),
	})
	if err != nil {
		return err
	}
	return tryFilter()
}

// tryFilter does something that the filter forbids. That loading it gave no error is not enough: a thread that can't be
// given the filter shows in the result, which the package for it does not look at.
func tryFilter() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return errors.New("the filter is not in force")
	}
	return nil
}
