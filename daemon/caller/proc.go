package caller

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stat is what we want of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	name     string // comm
	terminal uint64 // tty_nr, a device number; 0 for none
	started  uint64 // starttime, in clock ticks since boot
}

var errStat = errors.New("malformed stat of a process")

// The fields after the name, which stands in parentheses and may contain anything: field 3 is the first.
const (
	ttyField     = 7 - 3
	startedField = 22 - 3
)

func parseStat(s string) (stat, error) {
	begin, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if begin < 0 || end < begin {
		return stat{}, errStat
	}
	fields := strings.Fields(s[end+1:])
	if len(fields) <= startedField {
		return stat{}, errStat
	}
	tty, err := strconv.ParseInt(fields[ttyField], 10, 32) // the kernel prints an int
	if err != nil {
		return stat{}, errStat
	}
	started, err := strconv.ParseUint(fields[startedField], 10, 64)
	if err != nil {
		return stat{}, errStat
	}
	return stat{s[begin+1 : end], uint64(uint32(tty)), started}, nil
}

// terminal names the device of a number as the kernel prints it, which is not that of unix.Mkdev: the major number
// has bits 8 to 19, the minor number the others.
func terminal(number uint64) string {
	major, minor := number>>8&0xfff, number&0xff|number>>12&0xfff00
	if number == 0 {
		return ""
	}
	path := ""
	if major >= 136 && major <= 143 { // Unix98 pseudo-terminals (Documentation/admin-guide/devices.txt)
		path = fmt.Sprintf("/dev/pts/%d", (major-136)<<20|minor)
	} else {
		path = node(major, minor)
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Rdev != unix.Mkdev(uint32(major), uint32(minor)) {
		return "" // of another mount namespace
	}
	return path
}

// node asks sysfs for the name of a device.
func node(major, minor uint64) string {
	b, err := os.ReadFile(fmt.Sprintf("/sys/dev/char/%d:%d/uevent", major, minor))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "DEVNAME="); ok {
			return "/dev/" + strings.TrimSpace(name)
		}
	}
	return ""
}

// unit finds the systemd unit in /proc/PID/cgroup (cgroups(7)): the innermost part of the path that is named like one.
// Paths in the unified hierarchy, "0::", and in that of systemd are looked at.
func unit(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) < 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue
		}
		steps := strings.Split(parts[2], "/")
		for i := len(steps) - 1; i >= 0; i-- {
			if strings.HasSuffix(steps[i], ".service") || strings.HasSuffix(steps[i], ".scope") {
				return steps[i]
			}
		}
	}
	return ""
}
