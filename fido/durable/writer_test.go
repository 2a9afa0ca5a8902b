package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// named is a Writer on a file system that has no files without a name.
func named(t *testing.T, path string, replace bool) *Writer {
	t.Helper()
	w, err := NewWriter(path, replace)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	w.temp = TempName(path)
	if w.file, err = os.OpenFile(w.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func nobodys(t *testing.T, path string, replace bool) *Writer {
	t.Helper()
	w, err := NewWriter(path, replace)
	if err != nil {
		t.Fatal(err)
	}
	if w.temp != "" {
		t.Skip("NOT RUN: this file system has no files without a name")
	}
	return w
}

// TestWriter: nothing is there before Commit, all of it after it, and nothing after Abort.
func TestWriter(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, string, bool) *Writer{"nameless": nobodys, "named": named} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			w := begin(t, path, false)
			fill(t, w, "one")
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there before its time: %v", err)
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			w.Abort()
			has(t, path, "one")

			w = begin(t, path, true)
			fill(t, w, "two")
			has(t, path, "one")
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
			has(t, path, "two")

			w = begin(t, path, true)
			fill(t, w, "three")
			w.Abort()
			has(t, path, "two")
			alone(t, path)
		})
	}
}

// TestWriterNamesItsFile: an error has the name that the caller knows.
func TestWriterNamesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "file")
	var problem *fs.PathError
	if _, err := NewWriter(path, false); !errors.As(err, &problem) || problem.Path != path ||
		!errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestWriterCreatesOnce: what came meanwhile stays.
func TestWriterCreatesOnce(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, string, bool) *Writer{"nameless": nobodys, "named": named} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			w := begin(t, path, false)
			fill(t, w, "two")
			if err := Create(path, []byte("one")); err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v", err)
			}
			has(t, path, "one")
			alone(t, path)
			if _, err := NewWriter(path, false); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestWriterLeavesOthersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewWriter(path, true); !errors.Is(err, ErrNotRegular) {
		t.Errorf("%v", err)
	}
	if _, err := NewWriter(filepath.Join(path, "x"), true); err == nil {
		t.Error("a file in a FIFO")
	}
}

// TestWriterOnAFullDisk: a file that did not fit is not there.
func TestWriterOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("NOT RUN: no small file system: %v, %s", err, out)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	path := filepath.Join(dir, "file")
	w, err := NewWriter(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 1<<20)); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v", err)
	}
	w.Abort()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func fill(t *testing.T, w *Writer, content string) {
	t.Helper()
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

// has checks what a file has, and that nothing is beside it.
func has(t *testing.T, path, content string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != content {
		t.Errorf("%q, %v, expected %q", b, err, content)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// alone checks that nothing is beside a file.
func alone(t *testing.T, path string) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestShred: the blocks that a file had are zeros, as who has it open sees, and its name is gone.
func TestShred(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, bytes.Repeat([]byte("secret"), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := Shred(path, info); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 60000)
	if n, err := f.Read(b); err != nil || n != len(b) || !bytes.Equal(b, make([]byte, len(b))) {
		t.Errorf("%d bytes, %v; a part of the secret is left", n, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestShredLeavesOthersAlone: what is not the file that was read stays.
func TestShredLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	path, other, to := filepath.Join(dir, "file"), filepath.Join(dir, "other"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.WriteFile(other, []byte("y"), 0o600),
		os.Symlink(path, to)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Shred(other, info); !errors.Is(err, ErrReplaced) {
		t.Errorf("another file: %v", err)
	}
	if err := Shred(to, info); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link: %v", err)
	}
	if err := Shred(dir, info); err == nil {
		t.Error("a folder")
	}
	for file, content := range map[string]string{path: "x", other: "y"} {
		if b, err := os.ReadFile(file); err != nil || string(b) != content {
			t.Errorf("%s: %q, %v", file, b, err)
		}
	}
}
