//go:build amd64 || arm64

package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"fob/fido/helper"
)

// device is what the confined process may use in these tests.
const device = "/dev/null"

// sandboxes are the ways to be confined. A process that tries something is in one of them, never the test itself.
var sandboxes = map[string]func() helper.Sandbox{
	"none":      func() helper.Sandbox { return helper.Sandbox{} },
	"device":    func() helper.Sandbox { return Device(device) },
	"discovery": Discovery,
	"nfc":       func() helper.Sandbox { return Device(sysfs + "devices") },
	"landlock": func() (s helper.Sandbox) {
		s.Landlock, _ = places{use: []string{device}}.restrict()
		return s
	},
	"seccomp": func() helper.Sandbox { return helper.Sandbox{Seccomp: filter(false) == nil} },
}

// TestMain is also the program that is confined and tries something: "try SANDBOX WHAT", or says how well it is:
// "report", and "refused" where a container forbids to be confined.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "report" {
		json.NewEncoder(os.Stdout).Encode(Device(device))
		syscall.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == "refused" {
		forbid(unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_SECCOMP)
		json.NewEncoder(os.Stdout).Encode(Device(device))
		syscall.Exit(0)
	}
	if len(os.Args) == 4 && os.Args[1] == "try" {
		syscall.Exit(try(sandboxes[os.Args[2]], os.Args[3])) // os.Exit would sleep under the race detector
	}
	os.Exit(m.Run())
}

// try tells on standard output what came of it. All threads try it: some that were there before, and a new one.
func try(confine func() helper.Sandbox, what string) int {
	const threads = 4
	begin, results := make(chan struct{}), make(chan error)
	var ready sync.WaitGroup
	attempt := func() {
		runtime.LockOSThread()
		ready.Done()
		<-begin
		results <- attempts[what].try()
	}
	ready.Add(threads)
	for range threads {
		go attempt()
	}
	ready.Wait()
	if report := confine(); len(report.Missing) > 0 {
		fmt.Println(report.Missing)
		return 1
	}
	ready.Add(1)
	go attempt()
	close(begin)
	outcomes := map[string]bool{}
	for range threads + 1 {
		outcomes[name(<-results)] = true
	}
	for result := range outcomes {
		fmt.Println(result)
	}
	return 0
}

// Outcomes of an attempt, beside the names of errors.
const (
	done   = "done"
	killed = "killed"
)

func name(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return done
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	default:
		return err.Error()
	}
}

// outcome runs a process that tries something.
func outcome(t *testing.T, sandbox, what string) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "try", sandbox, what)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == unix.SIGSYS {
		return killed
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", what, err, out)
	}
	return strings.TrimSpace(string(out))
}

// available is how well a process can be confined here.
var available = sync.OnceValue(func() helper.Sandbox { return reportOf("report") })

func reportOf(kind string) (s helper.Sandbox) {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	out, err := exec.Command(program, kind).Output()
	if err != nil || json.Unmarshal(out, &s) != nil {
		panic(fmt.Sprintf("%s, %v", out, err))
	}
	return s
}

// needs skips a test where the kernel, or the container around us, lacks what it is about.
func needs(t *testing.T, landlock uint, seccomp bool) {
	t.Helper()
	got := available()
	if got.Landlock < landlock || seccomp && !got.Seccomp {
		t.Skipf("NOT RUN: needs Landlock %d (here %d) and seccomp %v (here %v)", landlock, got.Landlock, seccomp, got.Seccomp)
	}
}

// TestNothingElse: each attempt succeeds in a process that is free, or fails for another reason than the sandbox.
func TestNothingElse(t *testing.T) {
	needs(t, 1, true)
	for what, a := range attempts {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			free := outcome(t, "none", what)
			if a.free != "" && free != a.free || free == killed {
				t.Errorf("where nothing confines: %s, want %s", free, a.free)
			}
			if got := outcome(t, "device", what); got != a.confined {
				t.Errorf("%s, want %s", got, a.confined)
			}
		})
	}
}

// TestLandlockAlone: what Landlock forbids it forbids without the filter, which is in front of it.
func TestLandlockAlone(t *testing.T) {
	needs(t, 1, false)
	for what, a := range attempts {
		if a.landlock == "" || what == "connect to a port" && available().Landlock < 4 {
			continue
		}
		if got := outcome(t, "landlock", what); got != a.landlock {
			t.Errorf("%s: %s, want %s", what, got, a.landlock)
		}
	}
}

// TestSeccompAlone: on a kernel without Landlock files can be read. That is all that is lost.
func TestSeccompAlone(t *testing.T) {
	needs(t, 0, true)
	for what, want := range map[string]string{
		"open a file": done, "make a file": "EPERM", "socket of the Internet": "EPERM", "run a program": killed,
	} {
		if got := outcome(t, "seccomp", what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

func TestDiscovery(t *testing.T) {
	needs(t, 1, true)
	for what, want := range map[string]string{
		"read a system's folder": done, "write a system's file": "EACCES", "open a file": "EACCES",
		"use its device": "EACCES", "open another device": "EACCES", "Unix socket": "EPERM", "NFC socket": "EPERM", "netlink of uevents": "EPERM",
	} {
		if got := outcome(t, "discovery", what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

// The kernel's NFC devices are reached by sockets: of NFC itself, and of generic netlink.
func TestKernelNFC(t *testing.T) {
	needs(t, 1, true)
	for what, want := range map[string]string{
		"NFC socket": outcome(t, "none", "NFC socket"), "generic netlink": done, "connect": "EBADF",
		"netlink of routes": "EPERM", "netlink of uevents": "EPERM", "Unix socket": "EPERM",
		"socket of the Internet": "EPERM", "pair of sockets": "EPERM", "listen": "EPERM", "open a file": "EACCES", "open another device": "EACCES",
	} {
		if got := outcome(t, "nfc", what); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

// forbid makes system calls fail, as container runtimes do.
func forbid(calls ...uint32) {
	p := append([]bpf.Instruction{bpf.LoadAbsolute{Off: offsetCall, Size: 4}}, appendResult(nil, refuse, calls)...)
	raw, err := bpf.Assemble(append(p, allow))
	if err == nil {
		err = load(raw)
	}
	if err != nil {
		panic(err)
	}
}

// TestRefused: where nothing can be had the report says so, and the process goes on.
func TestRefused(t *testing.T) {
	needs(t, 0, true)
	s := reportOf("refused")
	if s.Landlock != 0 || s.Seccomp || len(s.Missing) != 2 || !strings.Contains(s.Missing[0], "operation not permitted") {
		t.Errorf("%+v", s)
	}
}

func TestLimits(t *testing.T) {
	if got := outcome(t, "none", "lower its limits"); got != done {
		t.Error(got)
	}
}
