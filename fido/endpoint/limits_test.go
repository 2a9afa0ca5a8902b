package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLimitErrors(t *testing.T) {
	for _, test := range []struct {
		call  string
		errno unix.Errno
		want  error
	}{
		{"open /dev/ptmx", unix.ENOSPC, ErrNoPTY},
		{"open /dev/ptmx", unix.EMFILE, unix.EMFILE},
		{"open /dev/ptmx", unix.ENFILE, unix.ENFILE},
		{"inotify_init1", unix.EMFILE, ErrNoWatch}, // since this test may open more files
		{"inotify_add_watch", unix.ENOSPC, ErrNoWatch},
		{"open /dev/ptmx", unix.EACCES, unix.EACCES},
	} {
		err := limitError(test.call, test.errno)
		if !errors.Is(err, test.want) || !errors.Is(err, test.errno) || !strings.Contains(err.Error(), test.call) {
			t.Errorf("%s, %v: %v", test.call, test.errno, err)
		}
	}
	if err := limitError("inotify_init1", nil); err != nil {
		t.Errorf("no error: %v", err)
	}
}

// TestTooManyFiles plugs keys in until the process may open no more files, which is told as such and nothing else. The
// test program does it in a process of its own.
func TestTooManyFiles(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ENDPOINT_TEST_FILES=64")
	out, err := cmd.CombinedOutput()
	if want := "open pseudo-terminal: open /dev/ptmx: too many open files\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s, want %q", err, out, want)
	}
}

func exhaustFiles(limit uint64) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for range limit {
		p, err := OpenPTY()
		if errors.Is(err, unix.EMFILE) {
			fmt.Println(err)
			return nil
		}
		if err != nil {
			return err
		}
		defer p.Close()
	}
	return errors.New("there is no limit")
}

// Keys in one process share the threads, and the one inotify instance.
func TestManyKeys(t *testing.T) {
	const keys = 200
	files, threads, k := len(descriptors(t)), countThreads(t), newKey()
	var hosts []host
	for range keys {
		p := plugIn(t, k)
		h := openHost(t, p.Path())
		t.Cleanup(h.close)
		hosts = append(hosts, h)
		request(t, h, channel(t, h), "touch")
		await(t, "lit", k.lit)
	}
	if n := len(descriptors(t)) - files - len(hosts); n > keys+8 {
		t.Errorf("%d descriptors for %d keys", n, keys)
	}
	if n := countThreads(t) - threads; n > keys/4+runtime.GOMAXPROCS(0) {
		t.Errorf("%d threads for %d keys", n, keys)
	}
	close(k.touch)
	for range keys {
		await(t, "dark", k.dark)
	}
}

func countThreads(t *testing.T) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fmt.Sscanf(lines.Text(), "Threads: %d", &n)
	}
	return n
}
