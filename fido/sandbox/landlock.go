package sandbox

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	access "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// places are all that the process may open.
type places struct {
	read []string // files, and folders with all that is below; only to be read
	use  []string // device nodes, to be read, written and asked by ioctl
}

// Rights of Landlock. Scopes of signals and abstract sockets are left to seccomp: before Linux 6.15 a scope would also
// keep the threads of one process from signalling one another, which Go's runtime needs.
const (
	everyFile = landlock.AccessFSSet(1<<17 - 1)
	everyPort = landlock.AccessNetSet(access.AccessNetBindTCP | access.AccessNetConnectTCP)

	readFile   = landlock.AccessFSSet(access.AccessFSReadFile)
	readFolder = landlock.AccessFSSet(access.AccessFSReadFile | access.AccessFSReadDir)
	useDevice  = landlock.AccessFSSet(access.AccessFSReadFile | access.AccessFSWriteFile | access.AccessFSIoctlDev)
)

// restrict gives the version of Landlock that is in force now. Older versions know fewer rights: the right to use ioctl
// comes with version 5, and where it is missing seccomp chooses among the requests alone.
func (p places) restrict() (version uint, err error) {
	abi, err := access.LandlockGetABIVersion()
	if err != nil {
		return 0, fmt.Errorf("not in this kernel, not enabled, or not allowed here (%w)", err)
	}
	var rules []landlock.Rule
	for _, path := range p.read {
		rules = permit(rules, path, readFile, readFolder)
	}
	for _, path := range p.use {
		rules = permit(rules, path, useDevice, 0)
	}
	if err := landlock.MustConfig(everyFile, everyPort).BestEffort().Restrict(rules...); err != nil {
		return 0, err
	}
	return uint(abi), nil
}

// permit adds the rights for what is at path, a folder or anything else. What isn't there needs no right.
func permit(rules []landlock.Rule, path string, file, folder landlock.AccessFSSet) []landlock.Rule {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return rules
	}
	rights := file
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		rights = folder
	}
	if rights == 0 {
		return rules
	}
	return append(rules, landlock.PathAccess(rights, path).IgnoreIfMissing())
}
