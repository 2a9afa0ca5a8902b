// Package sandbox takes from a helper process what driving one security key does not need, before a byte of the key's
// is read. C code that a hostile device has taken over then has a socket to the daemon, its device, and no more:
//
//   - Landlock (Linux 5.13): no file can be opened but the device's node; while keys are listed, sysfs, the data of
//     udev and the hidraw nodes;
//   - seccomp: no system call but those that were seen to be needed. No other process can be made, run, traced, read or
//     signalled, no socket opened, no memory made executable. What no honest program would try ends the process;
//   - limits of files, of the size of what is written, and of processor time.
//
// "No new privileges" and not being dumpable come first, from cmd/fob-fido-helper, while there is one thread only.
//
// A kernel, or the container around it, may lack one of the first two. The key works all the same, and the report says
// what is missing.
package sandbox

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido/helper"
)

// sysfs is where the kernel's NFC devices are, which have no node.
const sysfs = "/sys/"

// Device confines the process, all its threads, for good to the one device at path.
func Device(path string) helper.Sandbox {
	if strings.HasPrefix(path, sysfs) {
		return confine(places{read: []string{path}}, true)
	}
	return confine(places{use: []string{path}}, false)
}

// Discovery confines the process, all its threads, for good to what libudev reads to list devices, and to the hidraw
// nodes that are there now, which libfido2 asks for their report descriptors.
func Discovery() helper.Sandbox {
	nodes, _ := filepath.Glob("/dev/hidraw*") // the pattern is well-formed
	return confine(places{
		read: []string{"/sys/bus", "/sys/class", "/sys/devices", "/run/udev", "/etc/udev/udev.conf"},
		use:  nodes,
	}, false)
}

// confine applies Landlock first: the filter of system calls would not let it.
func confine(p places, nfc bool) (report helper.Sandbox) {
	version, err := p.restrict()
	if err != nil {
		report.Missing = append(report.Missing, fmt.Sprintf("no Landlock: %v", err))
	}
	report.Landlock = version
	if err := filter(nfc); err != nil {
		report.Missing = append(report.Missing, fmt.Sprintf("no seccomp: %v", err))
	} else {
		report.Seccomp = true
	}
	return report
}

// Limits of a helper process. Its memory is limited from the start, see cmd/fob-fido-helper. There is no limit of
// threads: the kernel counts those of all processes of a user together.
var limits = map[int]uint64{
	unix.RLIMIT_NOFILE:   64,
	unix.RLIMIT_FSIZE:    0,   // bytes of a file; a device and a socket are none
	unix.RLIMIT_CPU:      600, // seconds; a ceremony takes some milliseconds
	unix.RLIMIT_MSGQUEUE: 0,
}

// Limit lowers the limits of the process.
func Limit() error {
	for resource, limit := range limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit of resource %d: %w", resource, err)
		}
	}
	return nil
}
