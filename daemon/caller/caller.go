// Package caller tells which program calls: what a person is asked about, what policy goes by, what the audit log keeps.
//
// It is read from /proc (proc(5)) while a pidfd shows that the process is still the one that connected, so a PID that was
// given to another process does not lie. What a program may do to itself stays possible: it may execute another program
// after it has connected, load code into one that it starts, move itself to another unit of its user's manager, and open
// a terminal of its own. So a Caller keeps honest programs apart, and no hostile one of the same user away.
package caller

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"fob/ipc/varlink"
)

// Caller is a program that calls. A text is empty where it is not known; none has control characters.
type Caller struct {
	PID int32 // 0 for a process outside our PID namespace
	UID uint32
	// Started is when the process began, in clock ticks since boot: with PID, it names a process once and for all. 0 for one
	// that was gone when we looked.
	Started uint64
	// Name is the kernel's name of the process, 15 bytes at most. A program can choose its own.
	Name string
	// Executable is the absolute path of the program file. It is empty for a file that was deleted or replaced since, and
	// for one that our mount namespace has not, or has another of, at that path.
	Executable string
	// Unit is the systemd unit, such as backup.service or session-2.scope.
	Unit string
	// Terminal is the device of the controlling terminal, such as /dev/pts/3.
	Terminal string
}

// maxText is how many bytes of a text are kept.
const maxText = 256

// Of looks at a peer. What can't be read stays empty: the process may be gone, or hide.
func Of(p varlink.Peer) Caller {
	c := Caller{PID: p.PID, UID: p.UID}
	if p.PID <= 0 || p.Process == nil {
		return c
	}
	found := look(c, fmt.Sprintf("/proc/%d", p.PID))
	if !alive(p.Process) { // the PID may have been another's while we looked
		return c
	}
	return found
}

// look fills in what the folder of a process in /proc tells.
func look(c Caller, folder string) Caller {
	if b, err := os.ReadFile(folder + "/stat"); err == nil {
		if s, err := parseStat(string(b)); err == nil {
			c.Name, c.Started, c.Terminal = cleaned(s.name), s.started, terminal(s.terminal)
		}
	}
	if b, err := os.ReadFile(folder + "/cgroup"); err == nil {
		c.Unit = cleaned(unit(string(b)))
	}
	c.Executable = executable(folder + "/exe")
	return c
}

// alive reports whether the process of a pidfd runs: the file is readable when it has ended (pidfd_open(2)).
func alive(pidfd *os.File) bool {
	running := false
	raw, err := pidfd.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		running = err == nil && n == 0
	})
	return running
}

// executable reads the link to the program file. The path counts only where it leads to the same file for us: a process
// in another mount namespace may have anything there.
func executable(link string) string {
	path, err := os.Readlink(link)
	if err != nil || !filepath.IsAbs(path) || len(path) > maxText || path != cleaned(path) {
		return ""
	}
	its, err := os.Stat(link)
	if err != nil {
		return ""
	}
	if ours, err := os.Stat(path); err != nil || !os.SameFile(its, ours) {
		return ""
	}
	return path
}

// cleaned removes what a terminal or a notification might act upon, and cuts.
func cleaned(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// String names the program for people: "/usr/bin/backup (backup.service, PID 123)".
func (c Caller) String() string {
	name := c.Executable
	if name == "" {
		name = c.Name
	}
	if name == "" {
		name = "an unknown program"
	}
	var where []string
	switch {
	case c.Terminal != "":
		where = append(where, strings.TrimPrefix(c.Terminal, "/dev/"))
	case c.Unit != "":
		where = append(where, c.Unit)
	}
	if c.PID > 0 {
		where = append(where, fmt.Sprintf("PID %d", c.PID))
	}
	if len(where) == 0 {
		return name
	}
	return name + " (" + strings.Join(where, ", ") + ")"
}
