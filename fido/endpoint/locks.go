package endpoint

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockName is how /proc/locks names the file at path: device and inode.
func lockName(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", os.NewSyscallError("stat", err)
	}
	return fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino), nil
}

// lockHolder is the process that has locked a file by flock(2), or 0: libfido2 does so with the devices that it opens,
// and waits for others to unlock them. It is 0 as well where /proc doesn't tell.
func lockHolder(name string) int {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer f.Close()
	return findLock(f, name)
}

// findLock looks for a line like "1: FLOCK  ADVISORY  WRITE 1234 00:1a:3 0 EOF" (proc_locks(5)).
func findLock(locks io.Reader, name string) int {
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if len(field) < 6 || field[1] != "FLOCK" || field[5] != name {
			continue
		}
		if pid, err := strconv.Atoi(field[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
