package helper

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
)

// lines is a slog.Handler that passes on what helpers wrote.
type lines chan string

func (l lines) Enabled(context.Context, slog.Level) bool { return true }
func (l lines) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool { l <- a.Value.String(); return true })
	return nil
}
func (l lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l lines) WithGroup(string) slog.Handler      { return l }

func (l lines) want(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-l:
		if got != want {
			t.Fatalf("the helper wrote %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the helper did not write %q", want)
	}
}

// wantBoth wants two lines that come by different ways, in any order.
func (l lines) wantBoth(t *testing.T, a, b string) {
	t.Helper()
	select {
	case got := <-l:
		if got == b {
			a, b = b, a
		}
		if got != a {
			t.Fatalf("the helper wrote %q, want %q or %q", got, a, b)
		}
		l.want(t, b)
	case <-time.After(patience):
		t.Fatalf("the helper wrote neither %q nor %q", a, b)
	}
}

// newSource runs this test program as the helper, and checks in the end that nothing is left of it.
func newSource(t *testing.T, behaviour string) (*Source, lines) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l := make(lines, 32)
	files, goroutines := openFiles(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal("goroutines were left behind")
			}
		}
		if n := openFiles(t); n != files {
			t.Errorf("%d files open, %d before", n, files)
		}
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
			t.Errorf("a child is left: %d %v", pid, err)
		}
	})
	return &Source{Path: program, Log: slog.New(l), args: []string{"helper", behaviour}}, l
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// openKey opens the one key of a helper that behaves.
func openKey(t *testing.T, behaviour string) (key, lines) {
	t.Helper()
	s, l := newSource(t, behaviour)
	infos, err := s.Devices(t.Context())
	if err != nil || len(infos) != 1 {
		t.Fatal(infos, err)
	}
	a, err := s.Open(t.Context(), infos[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	l.want(t, "open /dev/zero")
	return a.(key), l
}

// rawKey opens a key of a helper that answers nothing but the opening.
func rawKey(t *testing.T, behaviour string) (key, lines) {
	t.Helper()
	s, l := newSource(t, behaviour)
	c, err := s.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.close() })
	if _, err := c.open(t.Context(), "/dev/zero"); err != nil {
		t.Fatal(err)
	}
	return key{c}, l
}

func TestDevices(t *testing.T) {
	s, _ := newSource(t, "good")
	s.Extra = func() []fido.DeviceInfo {
		return []fido.DeviceInfo{
			{Path: "/dev/null", Product: "emulated", Emulated: true},
			{Path: "/dev/unplugged"},
			{Path: "/etc/passwd"},
		}
	}
	infos, err := s.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(infos) != 2 || infos[0].Path != "/dev/null" || !infos[0].Emulated || infos[1].Path != "/dev/zero" {
		t.Fatalf("%+v", infos)
	}
	if d := infos[1]; d.VendorID != 0x1050 || d.ProductID != 0x407 || d.Manufacturer != "Yu[31mbico" || len(d.ID) != 8 {
		t.Fatalf("%+v", d)
	}
	again, err := s.Devices(t.Context())
	if err != nil || again[0].ID != infos[0].ID || again[1].ID != infos[1].ID || infos[0].ID == infos[1].ID {
		t.Fatalf("%+v, then %+v, %v", infos, again, err)
	}
}

func TestExtraReplacesDiscovered(t *testing.T) {
	s, _ := newSource(t, "good")
	s.Extra = func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: "/dev/zero", Emulated: true}} }
	infos, err := s.Devices(t.Context())
	if err != nil || len(infos) != 1 || !infos[0].Emulated {
		t.Fatal(infos, err)
	}
}

// A pseudo-terminal that is made again has the same path, number and inode.
func TestDeviceIDOfAPseudoTerminal(t *testing.T) {
	master, path := openPTY(t)
	first, err := DeviceID(path)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	slave.WriteString("in use\n")
	slave.Close()
	if again, err := DeviceID(path); err != nil || again != first {
		t.Fatalf("%v in use, %v before: %v", again, first, err)
	}
	var before, after unix.Stat_t
	unix.Stat(path, &before)
	for after = before; after.Ctim == before.Ctim; { // the kernel's clock for files moves in steps of milliseconds
		master.Close()
		master, path = openPTY(t)
		if err := unix.Stat(path, &after); err != nil {
			t.Fatal(err)
		}
	}
	if other, err := DeviceID(path); err != nil || other == first {
		t.Fatalf("%v for both: %v", other, err)
	}
}

func openPTY(t *testing.T) (*os.File, string) {
	t.Helper()
	f, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	return f, "/dev/pts/" + strconv.Itoa(n)
}

func TestOpenStaleID(t *testing.T) {
	s, _ := newSource(t, "good")
	if _, err := s.Open(t.Context(), "aaaaaaaa"); !errors.Is(err, fido.ErrNoDevice) {
		t.Fatal(err)
	}
}

func TestHelperDoesNotStart(t *testing.T) {
	for behaviour, want := range map[string]error{
		"version":  ErrVersion,
		"nonsense": ErrFrame,
		"exit":     fido.ErrHelperStart,
	} {
		s, _ := newSource(t, behaviour)
		if _, err := s.Devices(t.Context()); !errors.Is(err, want) || !errors.Is(err, fido.ErrHelperStart) {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
	for _, path := range []string{"/nowhere/helper", "helper", ""} {
		s := &Source{Path: path}
		if _, err := s.Devices(t.Context()); !errors.Is(err, fido.ErrHelperStart) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestHelperSaysNothing(t *testing.T) {
	s, _ := newSource(t, "mute")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Devices(ctx); err != context.DeadlineExceeded {
		t.Fatal(err)
	}
}

func TestHelperIsIsolated(t *testing.T) {
	s, l := newSource(t, "chatty")
	c, err := s.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	l.want(t, strings.Repeat("x", maxLine)) // the line is cut, and with it the escape sequence
	l.want(t, "env []")
	pid := c.process.cmd.Process.Pid
	if group, err := syscall.Getpgid(pid); group != pid {
		t.Error("process group", group, err)
	}
	if cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd"); cwd != "/" {
		t.Error(cwd, err)
	}
	for _, fd := range []string{"0", "1"} {
		if file, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/fd/" + fd); file != "/dev/null" {
			t.Error(file, err)
		}
	}
}

// What the kernel could not do is said once, and fit for a terminal.
func TestBadlyConfined(t *testing.T) {
	s, l := newSource(t, "confined-badly")
	s.NoDiscovery, s.Extra = true, func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: "/dev/zero"}} }
	infos, err := s.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		k, err := s.Open(t.Context(), infos[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.Close() })
		if i == 0 {
			l.wantBoth(t, "open /dev/zero", "[no Landlock: [2Jbecause]") // one from a pipe, one from the reply
		} else {
			l.want(t, "open /dev/zero")
		}
		k.Close()
		l.want(t, "close")
	}
}

// TestReplugWhileOpening: a helper that is confined to a node of before is none that lacks permission.
func TestReplugWhileOpening(t *testing.T) {
	folder := t.TempDir()
	for name, want := range map[string]error{"same": nil, "other": fido.ErrNoDevice, "denied": fido.ErrDenied} {
		path := filepath.Join(folder, name)
		if err := os.Symlink("/dev/zero", path); err != nil {
			t.Fatal(err)
		}
		s, _ := newSource(t, "replugged")
		if s.args = append(s.args, folder); name == "denied" {
			s.args[1] = name
		}
		s.NoDiscovery, s.Extra = true, func() []fido.DeviceInfo { return []fido.DeviceInfo{{Path: path}} }
		infos, err := s.Devices(t.Context())
		if err != nil || len(infos) != 1 {
			t.Fatal(infos, err)
		}
		k, err := s.Open(t.Context(), infos[0].ID)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			k.Close()
		}
	}
}

func TestBusyKey(t *testing.T) {
	s, l := newSource(t, "busy")
	c, err := s.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		l.want(t, "open /dev/zero")
		l.want(t, "open /dev/zero") // it tried again
		cancel()
	}()
	if _, err := c.open(ctx, "/dev/zero"); err != context.Canceled {
		t.Fatal(err)
	}
}

func TestWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin, attempts := time.Now(), 0
		err := whileBusy(t.Context(), func() error { attempts++; return fido.ErrDeviceBusy })
		if took := time.Since(begin); err != fido.ErrDeviceBusy || attempts != 6 || took > busyTime {
			t.Fatal(err, attempts, took)
		}
		attempts = 0
		err = whileBusy(t.Context(), func() error {
			if attempts++; attempts < 3 {
				return fido.ErrDeviceBusy
			}
			return fido.ErrDenied
		})
		if err != fido.ErrDenied || attempts != 3 {
			t.Fatal(err, attempts)
		}
	})
}

func TestLineLogger(t *testing.T) {
	l := make(lines, maxLines+1)
	w := &lineLogger{log: slog.New(l)}
	for range 2 * maxLines {
		w.Write([]byte("a\x1bb\nc"))
	}
	if len(l) != maxLines || <-l != "ab" || <-l != "cab" {
		t.Fatal(len(l))
	}
}
