package caller

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/ipc/varlink"
)

const description = `# For tests.
interface org.example.who
method Who() -> ()
`

// serve gives what Of says about each caller, and the socket.
func serve(t *testing.T) (socket string, callers <-chan Caller) {
	t.Helper()
	found := make(chan Caller, 1)
	s := &varlink.Server{}
	err := s.Register(description, map[string]varlink.Handler{"Who": func(_ context.Context, c *varlink.Call) (any, error) {
		found <- Of(c.Peer)
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket, found
}

// TestMain calls Who when it is told to, as the program that is looked at.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "call" {
		os.Exit(call(os.Args[2]))
	}
	os.Exit(m.Run())
}

// call asks Who, tells standard output so, and waits for the end of standard input.
func call(socket string) int {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	defer nc.Close()
	if _, err := nc.Write([]byte("{\"method\":\"org.example.who.Who\"}\x00")); err != nil {
		return 1
	}
	if _, err := bufio.NewReader(nc).ReadBytes(0); err != nil {
		return 1
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

func TestOurselves(t *testing.T) {
	socket, callers := serve(t)
	if call(socket) != 0 {
		t.Fatal("the call failed")
	}
	got := <-callers
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got.PID != int32(os.Getpid()) || got.UID != uint32(os.Getuid()) || got.Executable != program || got.Started == 0 {
		t.Fatalf("%+v", got)
	}
	if name := filepath.Base(program); got.Name == "" || !strings.HasPrefix(name, got.Name) {
		t.Fatalf("%q of %q", got.Name, name)
	}
}

// openTerminal opens a pseudo-terminal, and gives the side of its programs (pts(4)).
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return slave
}

// A program that has a terminal is found with it.
func TestAtATerminal(t *testing.T) {
	socket, callers := serve(t)
	slave := openTerminal(t)
	program := filepath.Join(t.TempDir(), "a program")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", self, program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := exec.CommandContext(t.Context(), program, "call", socket)
	c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	c.ExtraFiles = []*os.File{slave}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	got := <-callers
	in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if got.Terminal != slave.Name() || got.Executable != program || got.Name != "a program" {
		t.Fatalf("%+v", got)
	}
	if want := program + " (" + strings.TrimPrefix(slave.Name(), "/dev/"); !strings.HasPrefix(got.String(), want) {
		t.Fatal(got.String())
	}
}

// The end of a process is seen at its pidfd, though it was not reaped and its PID is taken.
func TestGone(t *testing.T) {
	c := exec.CommandContext(t.Context(), "cat")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(c.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := varlink.Peer{PID: int32(c.Process.Pid), Process: os.NewFile(uintptr(fd), "pidfd")}
	defer p.Process.Close()
	if got := Of(p); got.Name == "" || got.Executable == "" || got.Started == 0 {
		t.Errorf("alive: %+v", got)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := Of(p); got != (Caller{PID: p.PID}) {
		t.Errorf("gone: %+v", got)
	}
	other := varlink.Peer{PID: int32(os.Getpid()), Process: p.Process} // as if we had been given its PID
	if got := Of(other); got != (Caller{PID: other.PID}) {
		t.Errorf("another: %+v", got)
	}
}

func TestExecutable(t *testing.T) {
	folder := t.TempDir()
	file, link := filepath.Join(folder, "program"), filepath.Join(folder, "exe")
	for _, err := range []error{os.WriteFile(file, nil, 0o700), os.Symlink(file, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := executable(link); got != file {
		t.Errorf("%q", got)
	}
	for _, target := range []string{file + " (deleted)", "program", "/\x1b[2J", "/" + strings.Repeat("x", maxText)} {
		other := filepath.Join(t.TempDir(), "exe")
		if err := os.Symlink(target, other); err != nil {
			t.Fatal(err)
		}
		if got := executable(other); got != "" {
			t.Errorf("%q: %q", target, got)
		}
	}
}

func TestUnit(t *testing.T) {
	for cgroup, want := range map[string]string{
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/backup.service\n": "backup.service",
		"0::/user.slice/user-1000.slice/session-2.scope\n":                            "session-2.scope",
		"0::/system.slice/cron.service/inner\n":                                       "cron.service",
		"5:memory:/a.service\n1:name=systemd:/system.slice/b.service\n":               "b.service",
		"0::/\n": "",
		"":       "",
		"0::":    "",
	} {
		if got := unit(cgroup); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
}

func TestString(t *testing.T) {
	for want, c := range map[string]Caller{
		"/usr/bin/backup (backup.service, PID 7)": {PID: 7, Executable: "/usr/bin/backup", Name: "x", Unit: "backup.service"},
		"/usr/bin/fob (pts/3, PID 7)":             {PID: 7, Executable: "/usr/bin/fob", Unit: "s.scope", Terminal: "/dev/pts/3"},
		"sh (PID 7)":                              {PID: 7, Name: "sh"},
		"an unknown program":                      {},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTerminalNumber(t *testing.T) {
	var st unix.Stat_t
	if err := unix.Stat("/dev/tty", &st); err != nil {
		t.Fatal(err)
	}
	if got := terminal(uint64(unix.Major(st.Rdev))<<8 | uint64(unix.Minor(st.Rdev))); got != "/dev/tty" {
		t.Errorf("%q", got)
	}
	if got := terminal(136<<8 | 250 | 4095<<20); got != "" {
		t.Errorf("a terminal that is not there: %q", got)
	}
}

// printed writes a stat as the kernel does.
func printed(s stat) string {
	return "1 (" + s.name + ") S 1 1 1 " + strconv.Itoa(int(int32(s.terminal))) + strings.Repeat(" 0", startedField-ttyField-1) +
		" " + strconv.FormatUint(s.started, 10) + " 0 0\n"
}

func FuzzStat(f *testing.F) {
	f.Add("1 (a) b) c) S 1 1 1 34817 1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0\n")
	f.Add("1 () S 1 1 1 -1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 18446744073709551615 0 0\n")
	f.Add(") (")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := parseStat(in)
		if err != nil {
			return
		}
		if again, err := parseStat(printed(s)); err != nil || again != s {
			t.Fatalf("%+v became %+v: %v", s, again, err)
		}
	})
}

func FuzzUnit(f *testing.F) {
	f.Add("0::/system.slice/cron.service\n")
	f.Add("1:name=systemd:/a.scope\n0::/b.service\n")
	f.Fuzz(func(t *testing.T, in string) {
		if u := unit(in); u != "" && unit("0::/x/"+u+"\n") != u {
			t.Fatalf("%q", u)
		}
	})
}
