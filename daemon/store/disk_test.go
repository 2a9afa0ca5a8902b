package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// newVersion writes a version into a store.
func newVersion(t *testing.T, s *Store, v string) {
	t.Helper()
	err := s.file.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(headerBucket).Put(versionKey, []byte(v)) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestVersions(t *testing.T) {
	for v, want := range map[string]error{
		"2": ErrNewer, "65535": ErrNewer, "0": ErrCorrupt, "": ErrCorrupt, "x": ErrCorrupt} {

		s := open(t, t.TempDir())
		put(t, s, "otp", "alice", "one")
		newVersion(t, s, v)
		if _, err := content(reopened(t, s)); !errors.Is(err, want) {
			t.Errorf("version %q: %v", v, err)
		}
	}
}

// TestFull fills the store up to its limit: what was there is there, records can be replaced and deleted, and then there
// is room again.
func TestFull(t *testing.T) {
	usual := maxSize
	maxSize = 20 * MaxValue
	defer func() { maxSize = usual }()
	s := open(t, memoryFolder(t))
	large := bytes.Repeat([]byte{1}, MaxValue)
	fill := func(name int) error {
		return s.Update(func(tx *Tx) error { return tx.Put("otp", fmt.Sprint(name), large) })
	}
	for n := range 19 { // a record is a little larger than its value
		if err := fill(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := fill(19); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	for n := range 100 {
		if err := fill(n % 19); err != nil {
			t.Fatal(err)
		}
	}
	s = reopened(t, s)
	if st := s.Status(); st.Records != 19 || st.Problem != nil || st.Size > 4*int64(maxSize) {
		t.Errorf("%+v", st)
	}
	if err := s.Update(func(tx *Tx) error { return tx.Delete("otp", "3") }); err != nil {
		t.Error(err)
	}
	if err := fill(19); err != nil {
		t.Error(err)
	}
}

// onDisk runs a test again as root of a user namespace of its own, with a disk of 256 KiB at folder "disk" of a
// temporary folder. It reports whether this is that run.
func onDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	if dir := os.Getenv(diskFolder); dir != "" {
		return dir, true
	}
	dir = t.TempDir()
	c := exec.Command("unshare", "--mount", "--map-root-user", "sh", "-ec",
		`mount -t tmpfs -o size=256k,mode=0700 fob "$0"; exec "$@"`, dir, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), diskFolder+"="+dir, "GORACE=atexit_sleep_ms=0")
	out, err := c.CombinedOutput()
	if strings.Contains(string(out), "unshare failed") || strings.Contains(string(out), "mount: ") {
		t.Skipf("NOT RUN: no disk of our own here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v: %s", err, out)
	}
	return "", false
}

const diskFolder = "FOB_TEST_DISK"

// TestFullDisk: on a disk that is full, writes fail with a word, what was written is there, and when there is room
// again all goes on.
func TestFullDisk(t *testing.T) {
	dir, ok := onDisk(t)
	if !ok {
		return
	}
	s := open(t, filepath.Join(dir, "fob"))
	var written []string
	var err error
	for n := 0; err == nil && n < 100; n++ {
		name := fmt.Sprint("name", n)
		if err = s.Update(func(tx *Tx) error { return tx.Put("otp", name, make([]byte, 20000)) }); err == nil {
			written = append(written, name)
		}
	}
	if !errors.Is(err, ErrFull) || len(written) == 0 {
		t.Fatalf("after %d records: %v", len(written), err)
	}
	for _, s := range []*Store{s, reopened(t, s)} {
		if s.closed {
			continue
		}
		err := s.View(func(tx *Tx) error {
			for _, name := range written {
				if _, err := tx.Get("otp", name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := s.Reset(); err != nil && !errors.Is(err, ErrFull) {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "fob", ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestReadOnlyDisk: what was written can be read, and writes fail with a word; so do they where there is no store.
func TestReadOnlyDisk(t *testing.T) {
	dir, ok := onDisk(t)
	if !ok {
		return
	}
	s := open(t, filepath.Join(dir, "fob"))
	put(t, s, "otp", "alice", "one")
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err == nil {
		t.Error("a disk with files that are open for writing became read-only")
	}
	s.Close()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	holds(t, s, "otp alice=one\n")
	if st := s.Status(); !st.ReadOnly || st.Problem != nil || st.Records != 1 {
		t.Errorf("%+v", st)
	}
	none := open(t, filepath.Join(dir, "none"))
	holds(t, none, "")
	for _, s := range []*Store{s, none} {
		if err := s.Update(func(tx *Tx) error { return tx.Put("otp", "bob", nil) }); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		if _, err := s.Reset(); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
		if _, err := s.Seal(s.options.Sealers[0]); !errors.Is(err, ErrReadOnly) {
			t.Error(err)
		}
	}
}

// TestHeldByProcess: the second one of two processes says which is the first, and gets its turn when that one is
// killed.
func TestHeldByProcess(t *testing.T) {
	dir := t.TempDir()
	c := writerCommand(dir, 1<<20)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	var held *HeldError
	if _, err := content(s); !errors.As(err, &held) || held.PID != c.Process.Pid || held.Program != "test" {
		t.Errorf("%v, not process %d", err, c.Process.Pid)
	}
	c.Process.Kill()
	c.Wait()
	if text, err := content(s); err != nil || text == "" {
		t.Errorf("%q, %v", text, err)
	}
}

// Files that are kept aside within one second have different names.
func TestAsideNames(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	seen := map[string]bool{}
	for range 3 {
		aside, err := s.Reset()
		if err != nil || seen[aside] {
			t.Fatal(aside, err)
		}
		seen[aside] = true
	}
	year := time.Now().UTC().Format("2006")
	if aside := s.Status().Aside; len(aside) != 3 || !strings.Contains(aside[0], "replaced-"+year) {
		t.Errorf("%v", aside)
	}
}
