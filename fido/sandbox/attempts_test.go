//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// attempt is something that a helper has no business with.
type attempt struct {
	try func() error
	// What comes of it in each sandbox: in none, in that of a device, and with Landlock alone where that has a say.
	free, confined, landlock string
}

func call(number uintptr, args ...uintptr) func() error {
	var a [6]uintptr
	copy(a[:], args)
	return func() error {
		if _, _, errno := unix.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

func openFile(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func socket(domain, kind, protocol int) func() error {
	return func() error {
		fd, err := unix.Socket(domain, kind, protocol)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

var (
	parent = uintptr(os.Getppid())
	nobody = ^uintptr(0) // a process, a file that does not exist
)

// attempts that would do harm where nothing confines them have arguments that the kernel refuses after the filter.
var attempts = map[string]attempt{
	"open a file":            {openFile("/etc/passwd", unix.O_RDONLY), done, "EACCES", "EACCES"},
	"open a folder":          {openFile("/", unix.O_RDONLY|unix.O_DIRECTORY), done, "EACCES", "EACCES"},
	"open another device":    {openFile("/dev/zero", unix.O_RDWR), done, "EACCES", "EACCES"},
	"open a terminal":        {openFile("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY), done, "EACCES", "EACCES"},
	"open its own memory":    {openFile("/proc/self/mem", unix.O_RDWR), done, "EACCES", "EACCES"},
	"open its parent's maps": {openFile(fmt.Sprintf("/proc/%d/maps", parent), unix.O_RDONLY), done, "EACCES", "EACCES"},
	"open its environment":   {openFile("/proc/self/environ", unix.O_RDONLY), done, "EACCES", "EACCES"},
	"make a file":            {openFile("/tmp", unix.O_TMPFILE|unix.O_RDWR), done, "EPERM", "EACCES"},
	"empty a file":           {openFile(device, unix.O_WRONLY|unix.O_TRUNC), done, "EPERM", ""},
	"open by openat2":        {call(unix.SYS_OPENAT2), "EINVAL", "ENOSYS", ""},
	"truncate":               {call(unix.SYS_TRUNCATE), "EFAULT", "EPERM", ""},
	"unlink":                 {call(unix.SYS_UNLINKAT), "EFAULT", "EPERM", ""},
	"make a folder":          {call(unix.SYS_MKDIRAT), "EFAULT", "EPERM", ""},
	"make a node":            {call(unix.SYS_MKNODAT, 0, 0, unix.S_IFCHR), "EFAULT", "EPERM", ""},
	"link":                   {call(unix.SYS_LINKAT), "EFAULT", "EPERM", ""},
	"change a mode":          {call(unix.SYS_FCHMODAT), "EFAULT", "EPERM", ""},
	"leave its folder":       {call(unix.SYS_CHDIR), "EFAULT", "EPERM", ""},

	"socket of the Internet": {socket(unix.AF_INET, unix.SOCK_STREAM, 0), done, "EPERM", ""},
	"socket of IPv6":         {socket(unix.AF_INET6, unix.SOCK_DGRAM, 0), "", "EPERM", ""}, // IPv6 may be off
	"Unix socket":            {socket(unix.AF_UNIX, unix.SOCK_STREAM, 0), done, "EPERM", ""},
	"generic netlink":        {socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC), done, "EPERM", ""},
	"netlink of uevents":     {socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT), done, "EPERM", ""},
	"NFC socket":             {socket(unix.AF_NFC, unix.SOCK_SEQPACKET, 0), "", "EPERM", ""}, // few kernels have it
	"pair of sockets":        {call(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM), "EFAULT", "EPERM", ""},
	"connect":                {call(unix.SYS_CONNECT, nobody), "EBADF", "EPERM", ""},
	"connect to a port":      {connectTCP, "ECONNREFUSED", "EPERM", "EACCES"},
	"bind":                   {call(unix.SYS_BIND, nobody), "EBADF", "EPERM", ""},
	"listen":                 {call(unix.SYS_LISTEN, nobody), "EBADF", "EPERM", ""},
	"accept":                 {call(unix.SYS_ACCEPT4, nobody), "EBADF", "EPERM", ""},
	"send a file descriptor": {call(unix.SYS_SENDMSG, nobody), "EBADF", "EPERM", ""},
	"send":                   {call(unix.SYS_SENDTO, nobody), "EBADF", "EPERM", ""},
	"take a file descriptor": {call(unix.SYS_RECVMSG, nobody), "EBADF", "EPERM", ""},
	"type into a terminal":   {call(unix.SYS_IOCTL, 0, unix.TIOCSTI), "ENOTTY", "EPERM", ""},
	"take the terminal":      {call(unix.SYS_IOCTL, 0, unix.TIOCSCTTY), "ENOTTY", "EPERM", ""},
	"watch files":            {call(unix.SYS_INOTIFY_INIT1, nobody), "EINVAL", "EPERM", ""},
	"put memory in a file":   {memfd, done, "EPERM", ""},
	"shared memory":          {call(unix.SYS_SHMGET, 0, 0), "EINVAL", "EPERM", ""},
	"executable memory":      {executable, done, "EPERM", ""},
	"make memory executable": {mprotect, done, "EPERM", ""},
	"make itself dumpable":   {call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1), done, "EPERM", ""},
	"raise a limit":          {raiseLimit, done, "EPERM", ""},
	"become another user":    {call(unix.SYS_SETRESUID, nobody, nobody, nobody), done, "EPERM", ""},
	"another personality":    {call(unix.SYS_PERSONALITY, 0xffffffff), done, "EPERM", ""},
	"another filter":         {call(unix.SYS_SECCOMP, nobody), "EINVAL", "EPERM", ""},
	"signal its parent":      {call(unix.SYS_KILL, parent, 0), done, "EPERM", ""},
	"signal all":             {call(unix.SYS_KILL, nobody, nobody), "EINVAL", "EPERM", ""},
	"signal a thread":        {call(unix.SYS_TGKILL, parent, parent, 0), done, "EPERM", ""},
	// What looks at arguments must not take one for the number of a system call.
	"signal by a deadly number": {call(unix.SYS_KILL, unix.SYS_PTRACE, 0), "", "EPERM", ""},
	"ask by an allowed number":  {call(unix.SYS_IOCTL, unix.PR_SET_NAME, unix.SYS_PRCTL), "EBADF", "EPERM", ""},
	"signal any thread":         {call(unix.SYS_TKILL, parent, 0), done, "EPERM", ""},
	"handle of its parent":      {pidfd, done, "EPERM", ""},
	"signal by handle":          {call(unix.SYS_PIDFD_SEND_SIGNAL, nobody), "EBADF", killed, ""},
	"take its parent's files":   {call(unix.SYS_PIDFD_GETFD, nobody), "EBADF", killed, ""},
	"new process":               {fork, done, "EPERM", ""},
	"new process by clone3":     {call(unix.SYS_CLONE3), "EINVAL", "ENOSYS", ""},
	"run a program":             {call(unix.SYS_EXECVE), "EFAULT", killed, ""},
	"run a program by a file":   {call(unix.SYS_EXECVEAT, nobody), "EFAULT", killed, ""},
	"trace":                     {call(unix.SYS_PTRACE, unix.PTRACE_ATTACH, nobody), "ESRCH", killed, ""},
	"read another's memory":     {call(unix.SYS_PROCESS_VM_READV, parent, 0, 0, 0, 0, 1), "EINVAL", killed, ""},
	"write another's memory":    {call(unix.SYS_PROCESS_VM_WRITEV, parent, 0, 0, 0, 0, 1), "EINVAL", killed, ""},
	"mount":                     {call(unix.SYS_MOUNT), "", killed, ""}, // root only, and so on below
	"unmount":                   {call(unix.SYS_UMOUNT2), "", killed, ""},
	"another root":              {call(unix.SYS_CHROOT), "", killed, ""},
	"new namespaces":            {call(unix.SYS_UNSHARE, nobody), "EINVAL", killed, ""},
	"another's namespaces":      {call(unix.SYS_SETNS, nobody), "EBADF", killed, ""},
	"BPF":                       {call(unix.SYS_BPF, nobody), "", killed, ""},
	"io_uring":                  {call(unix.SYS_IO_URING_SETUP), "", killed, ""},
	"enter an io_uring":         {call(unix.SYS_IO_URING_ENTER, nobody), "", killed, ""},
	"userfaultfd":               {call(unix.SYS_USERFAULTFD, nobody), "", killed, ""},
	"performance events":        {call(unix.SYS_PERF_EVENT_OPEN), "", killed, ""},
	"keys of the kernel":        {call(unix.SYS_KEYCTL, nobody), "", killed, ""},
	"file by its handle":        {call(unix.SYS_OPEN_BY_HANDLE_AT), "", killed, ""},
	"module of the kernel":      {call(unix.SYS_FINIT_MODULE, nobody), "", killed, ""},
	"another kernel":            {call(unix.SYS_KEXEC_LOAD, 0, 17), "", killed, ""},
	"set the clock":             {call(unix.SYS_CLOCK_SETTIME, nobody), "", killed, ""},
	"swap":                      {call(unix.SYS_SWAPON), "", killed, ""},
	"mount by the new calls":    {call(unix.SYS_FSOPEN), "", killed, ""},
	"use its device":            {openFile(device, unix.O_RDWR), done, done, done},
	"ask its device":            {call(unix.SYS_IOCTL, 0, hidiocgrdescsize), "ENOTTY", "ENOTTY", ""},
	"read a system's folder":    {openFile("/sys/class", unix.O_RDONLY), done, "EACCES", "EACCES"},
	"write a system's file":     {openFile("/sys/devices/system/cpu/online", unix.O_WRONLY), "", "EACCES", "EACCES"},
	"netlink of routes":         {socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE), done, "EPERM", ""},
	"lower its limits":          {checkLimits, done, "EPERM", ""},
}

// connectTCP tries a port where nobody listens.
func connectTCP() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrInet4{Port: 1, Addr: [4]byte{127, 0, 0, 1}})
}

func memfd() error {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func executable() error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		unix.Munmap(b)
	}
	return err
}

func mprotect() error {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer unix.Munmap(b)
	return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
}

func raiseLimit() error {
	return unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
}

func pidfd() error {
	fd, err := unix.PidfdOpen(int(parent), 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// fork makes a process without the Go runtime's knowledge. It ends before it could do anything.
func fork() error {
	pid, _, errno := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
	switch {
	case errno != 0:
		return errno
	case pid == 0:
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func checkLimits() error {
	if err := Limit(); err != nil {
		return err
	}
	for resource, limit := range limits {
		var got unix.Rlimit
		if err := unix.Getrlimit(resource, &got); err != nil || got.Cur != limit || got.Max != limit {
			return fmt.Errorf("limit of resource %d: %+v, %v", resource, got, err)
		}
	}
	return nil
}
