package audit

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain plays the program that writes a log, for tests that kill it, or one in a namespace with a journal.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FOB_AUDIT_WRITER"); dir != "" {
		os.Exit(writer(dir))
	}
	if dir := os.Getenv("FOB_AUDIT_JOURNAL"); dir != "" {
		os.Exit(journalTest(dir))
	}
	os.Exit(m.Run())
}

// writer appends records and tells the number of each that is acknowledged. FOB_AUDIT_SIZE is how large a file may
// become before the disk is full, until standard input has a line.
func writer(dir string) int {
	l := &Log{Dir: dir, Key: keyOf(testKey), MaxSize: 3000, Keep: 3}
	unlimited := func() {}
	if size, err := strconv.ParseUint(os.Getenv("FOB_AUDIT_SIZE"), 10, 64); err == nil {
		l.MaxSize = 0
		if unlimited, err = limitFiles(size); err != nil {
			return 1
		}
	}
	lost := 0
	for {
		err := l.Append(signIn("example.com"))
		switch {
		case err == nil && lost > 0:
			fmt.Println("lost", lost)
			return 0
		case err == nil:
			fmt.Println(l.Status().Last)
		case !errors.Is(err, unix.EFBIG):
			fmt.Println(err)
			return 1
		default:
			if lost++; lost == 3 {
				unlimited()
			}
		}
	}
}

// limitFiles has writes behind a size fail, after what fits is written, as a full disk does.
func limitFiles(size uint64) (unlimited func(), err error) {
	signal.Ignore(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		return nil, err
	}
	set := func(cur uint64) error { return unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: cur, Max: was.Max}) }
	return func() { _ = set(was.Cur) }, set(size)
}

func startWriter(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), append(env, "FOB_AUDIT_WRITER="+dir, "GORACE=atexit_sleep_ms=0")...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewScanner(out)
}

// TestKilled kills a writer again and again, wherever it is. What it had acknowledged is there each time, and nothing
// looks as if somebody had changed it.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	acknowledged := uint64(0)
	for range 30 {
		c, lines := startWriter(t, dir)
		for n := rand.IntN(40); n >= 0 && lines.Scan(); n-- {
			last, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Fatal(lines.Text())
			}
			acknowledged = last
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // it was faster
			if last, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil {
				acknowledged = last
			}
		}
		_ = c.Wait()
		s, err := look(dir, testKey)
		if err != nil {
			t.Fatal(err)
		}
		v := &verifier{snapshot: s}
		if err := v.verify(t.Context()); err != nil || v.report.Found > 0 || v.report.Last < acknowledged {
			t.Fatalf("%v; acknowledged %d, %+v", err, acknowledged, v.report)
		}
	}
	l := newLog(t, dir)
	fill(t, l, 1)
	if report := clean(t, l); report.Last <= acknowledged {
		t.Errorf("%+v", report)
	}
}

// TestFullDisk: what fits of a record is taken back, and how many were lost is told when there is room again. The
// kernel itself says that the disk is full: files can't become larger.
func TestFullDisk(t *testing.T) {
	for size := 2000; size < 2400; size += 40 {
		dir := filepath.Join(t.TempDir(), "audit")
		c, lines := startWriter(t, dir, "FOB_AUDIT_SIZE="+strconv.Itoa(size))
		var said []string
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		if err := c.Wait(); err != nil || said[len(said)-1] != "lost 3" {
			t.Fatalf("%v: %q", err, said)
		}
		l := newLog(t, dir)
		clean(t, l)
		lost := uint64(0)
		for _, r := range all(t, l) { // a record of what was lost may fit where a whole one does not
			lost += r.Lost
		}
		if lost != 3 {
			t.Errorf("%d are told of as lost", lost)
		}
		l.Close()
	}
}
