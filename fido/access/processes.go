package access

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is a process that has to do with a key.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // the kernel's, of 15 characters at most; a program can choose it
}

// Bounds of what is read of /proc.
const (
	maxProcesses = 65536
	maxFiles     = 4096 // of a process
)

// Holders lists the processes that have a node open, as far as we may see that: those of our own user that have not
// made themselves unreadable, as ssh-agent's helpers and fobd's do. Any number of programs may have a hidraw device
// open; each gets a copy of what the key says, so that they disturb one another only when they talk at the same time.
func (s System) Holders(node string) []Process {
	path, err := filepath.EvalSymlinks(s.Path(node))
	if err != nil {
		return nil
	}
	want, err := os.Stat(path)
	if err != nil {
		return nil
	}
	var list []Process
	for _, pid := range s.pids() {
		if s.holds(pid, want) {
			list = append(list, Process{pid, s.comm(pid)})
		}
	}
	return list
}

func (s System) pids() []int {
	var list []int
	for _, name := range names(s.Path("/proc"), maxProcesses) {
		if pid, err := strconv.Atoi(name); err == nil {
			list = append(list, pid)
		}
	}
	slices.Sort(list)
	return list
}

// names lists a folder; none, when it can't be read.
func names(folder string, limit int) []string {
	d, err := os.Open(folder)
	if err != nil {
		return nil
	}
	defer d.Close()
	list, _ := d.Readdirnames(limit)
	return list
}

// holds looks at the links first: asking for the file behind one may wait for a file server that is gone.
func (s System) holds(pid int, want os.FileInfo) bool {
	folder := s.Path(fmt.Sprintf("/proc/%d/fd", pid))
	return slices.ContainsFunc(names(folder, maxFiles), func(fd string) bool {
		link := filepath.Join(folder, fd)
		target, err := os.Readlink(link)
		if err != nil || filepath.Base(target) != want.Name() {
			return false
		}
		info, err := os.Stat(link)
		return err == nil && os.SameFile(info, want)
	})
}

func (s System) comm(pid int) string {
	b, _ := s.read(fmt.Sprintf("/proc/%d/comm", pid))
	return clean(strings.TrimSpace(string(b)))
}

// CardHolders lists the programs that are known to have cards for themselves. pcscd does not tell which does.
func (s System) CardHolders() []Process { return s.running("scdaemon") }

// running lists the processes of a name.
func (s System) running(name string) []Process {
	var list []Process
	for _, pid := range s.pids() {
		if s.comm(pid) == name {
			list = append(list, Process{pid, name})
		}
	}
	return list
}

// advice says what programs want with a key, by how their names begin.
var advice = []struct{ prefix, do string }{
	{"firefox", "close the page in Firefox that asks for a key"},
	{"chrom", "close the page in the browser that asks for a key"},
	{"brave", "close the page in Brave that asks for a key"},
	{"msedge", "close the page in Edge that asks for a key"},
	{"ssh-sk-helper", "touch the key for ssh, or end that ssh"},
	{"scdaemon", "gpgconf --kill scdaemon"},
	{"pcscd", "sudo systemctl stop pcscd.socket pcscd"},
	{"fwupd", "wait until the firmware update is done"},
}

func openedBy(holders []Process) Finding {
	var texts []string
	f := Finding{Code: OpenedBy, Level: Note, Processes: holders, Do: "end them where the key is busy or blinks for them"}
	for _, p := range holders {
		texts = append(texts, fmt.Sprintf("%s (%d)", p.Name, p.PID))
		for _, a := range advice {
			if strings.HasPrefix(strings.ToLower(p.Name), a.prefix) {
				f.Do = a.do
			}
		}
	}
	f.What = "other programs have the key open, which is no harm until both use it: " + strings.Join(texts, ", ")
	return f
}

// Cards says who may have the smart card side (CCID) of keys, which PC/SC and NFC readers need, and FIDO at USB does
// not.
func (s System) Cards() []Finding {
	var list []Finding
	if p := s.running("pcscd"); len(p) > 0 {
		list = append(list, Finding{Code: PCSCDRuns, Level: Note, Processes: p,
			What: "pcscd runs; it has the smart card side of keys and the NFC readers, not FIDO at USB"})
	}
	if p := s.CardHolders(); len(p) > 0 {
		list = append(list, Finding{Code: SCDaemonRuns, Level: Note, Processes: p,
			What: "GnuPG's scdaemon runs; it may keep the smart card side of keys to itself, not FIDO at USB",
			Do:   "gpgconf --kill scdaemon, where a card or an NFC key is busy"})
	}
	return list
}
