package audit

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/fido/durable"
)

var testKey = bytes.Repeat([]byte{7}, KeySize)

func keyOf(key []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return key, nil }
}

// newLog gives a log in dir.
func newLog(t testing.TB, dir string) *Log {
	t.Helper()
	l := &Log{Dir: dir, Key: keyOf(testKey)}
	t.Cleanup(func() { l.Close() })
	return l
}

// smallFiles gives a log whose files hold a few records.
func smallFiles(t testing.TB, dir string) *Log {
	l := newLog(t, dir)
	l.MaxSize, l.Keep = 2000, 4
	return l
}

// tempDir is a folder as it must be, in memory where there is room for it: a disk takes its time for each record.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fob-audit-test")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func signIn(rp string) Record {
	return Record{Verb: "sign-in", Method: "fob.Ceremony.SignIn", RPID: rp, Keys: []Key{{"k1", "Test Key"}},
		Caller: &Caller{PID: 7, UID: 1000, Executable: "/usr/bin/backup"}, Result: Done, Took: 35000}
}

func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(signIn(fmt.Sprintf("%d.example.com", i))); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t testing.TB, l *Log, known ...Known) *Report {
	t.Helper()
	report, err := l.Verify(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func clean(t testing.TB, l *Log) *Report {
	t.Helper()
	report := verify(t, l)
	for _, f := range report.Findings {
		t.Errorf("found: %s", f)
	}
	return report
}

// all gives the records of a log.
func all(t testing.TB, l *Log) (list []Record) {
	t.Helper()
	for before := uint64(0); ; {
		page, err := l.Before(t.Context(), Filter{}, before, 7)
		if err != nil {
			t.Fatal(err)
		}
		list = append(slices.Clone(page.Records), list...)
		if before = page.More; before == 0 {
			return list
		}
	}
}

func TestAppend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "audit")
	l := newLog(t, dir)
	fill(t, l, 20)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 5) // it is opened again
	report := clean(t, l)
	if report.Records != 26 || report.First != 1 || report.Last != 26 || report.Files != 1 || len(report.Notes) != 0 {
		t.Errorf("%+v", report)
	}
	list := all(t, l)
	if len(list) != 26 || list[0].Kind != Begin || list[0].Log != report.Log || list[25].RPID != "4.example.com" {
		t.Errorf("%d records: %+v", len(list), list)
	}
	for i, r := range list {
		if r.Seq != uint64(i+1) || i > 0 && r.Prev != list[i-1].MAC || time.Since(r.Time) > time.Minute {
			t.Errorf("record %d is %+v", i+1, r)
		}
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, fileName(1): 0o600, headName: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
}

// TestRotation: old files go, and that the log does not begin at its beginning any more is no finding.
func TestRotation(t *testing.T) {
	l := smallFiles(t, tempDir(t))
	fill(t, l, 60)
	report := clean(t, l)
	if report.Files != 4 || report.First < 2 || report.Last < 61 || len(report.Notes) != 1 {
		t.Errorf("%+v", report)
	}
	for _, p := range must(list(l.Dir)) {
		first, err := firstRecord(l.Dir, p, testKey)
		if err != nil || first.Kind != Rotated || first.Log != report.Log || first.Seq != p.first {
			t.Errorf("%+v, %v", first, err)
		}
	}
	l.Close()
	fill(t, l, 1)
	clean(t, l)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestRotationKilled: a crash between the head and the removal leaves a file that the next start removes.
func TestRotationKilled(t *testing.T) {
	l := smallFiles(t, tempDir(t))
	fill(t, l, 20)
	oldest := must(list(l.Dir))[0]
	path := filepath.Join(l.Dir, oldest.name)
	content := must(os.ReadFile(path))
	fill(t, l, 40)
	l.Close()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	clean(t, l)
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is still there")
	}
}

func TestOneWriter(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 3)
	other := newLog(t, l.Dir)
	err := other.Append(signIn("other.example.com"))
	if !errors.Is(err, durable.ErrLocked) || !errors.As(err, new(*Unavailable)) {
		t.Errorf("two write the log: %v", err)
	}
	if list := all(t, other); len(list) != 4 { // and may read it
		t.Errorf("%d records", len(list))
	}
	l.Close()
	fill(t, other, 1)
	if list := all(t, other); list[4].Kind != Gap || list[4].Lost != 1 {
		t.Errorf("%+v", list)
	}
	clean(t, other)
}

func TestFolders(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "open"), 0o755),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Symlink(dir, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"open", "file", "link"} {
		l := newLog(t, filepath.Join(dir, name))
		if err := l.Open(); err == nil {
			t.Errorf("%s holds a log", name)
		}
		if l.Status().Problem == nil {
			t.Errorf("%s: the status is good", name)
		}
	}
}

// TestLostRecords: a disk that takes nothing loses records, which is told when it takes them again.
func TestLostRecords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	var said bytes.Buffer
	l := newLog(t, dir)
	l.Log = slog.New(slog.NewTextHandler(&said, nil))
	fill(t, l, 3)
	l.file.Close() // writing fails from now on
	if err := errors.Join(os.Rename(dir, dir+"-away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.Append(signIn("lost.example.com")); !errors.As(err, new(*Unavailable)) {
			t.Errorf("appended: %v", err)
		}
	}
	if s := l.Status(); s.Lost != 3 || s.Problem == nil || s.Last != 4 {
		t.Errorf("%+v", s)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+"-away", dir)); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	list := all(t, l)
	if len(list) != 6 || list[4].Kind != Gap || list[4].Lost != 3 || list[5].RPID != "0.example.com" {
		t.Errorf("%+v", list)
	}
	if s := l.Status(); s.Lost != 0 || s.Problem != nil {
		t.Errorf("%+v", s)
	}
	if report := clean(t, l); len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "3 could not be written") {
		t.Errorf("%q", report.Notes)
	}
	if n := strings.Count(said.String(), "is lost"); n != 3 {
		t.Errorf("said %d times: %s", n, said.String())
	}
}

// TestHalfWritten: what there is of a record that could not be written is taken back, also when that is not possible at
// once.
func TestHalfWritten(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 2)
	path := l.file.Name()
	f := must(os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0))
	must(f.WriteString(`{"seq":4,"half`))
	f.Close()
	l.file.Close()
	if err := l.Append(signIn("lost.example.com")); err == nil {
		t.Fatal("appended")
	}
	fill(t, l, 1)
	if report := clean(t, l); report.Last != 5 {
		t.Errorf("%+v", report)
	}
	for _, r := range all(t, l) {
		if r.Kind == Torn {
			t.Errorf("%+v", r)
		}
	}
}

// TestTakeBackLate: what could not be taken back at once stays where another process has gone on behind it.
func TestTakeBackLate(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 2)
	l.undo = &part{name: filepath.Base(l.file.Name()), size: l.size}
	l.Close()
	other := newLog(t, l.Dir)
	fill(t, other, 2)
	other.Close()
	fill(t, l, 1)
	if report := clean(t, l); report.Last != 6 {
		t.Errorf("%+v", report)
	}
}

// TestRemoved: a log that is removed while it is written begins anew.
func TestRemoved(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 2)
	first := l.Status().Log
	if err := os.RemoveAll(l.Dir); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	if s := l.Status(); s.Log == first || s.Last != 2 {
		t.Errorf("%+v", s)
	}
	clean(t, l)
}

// TestDamaged: a log that was changed at its end is kept for a person to look at.
func TestDamaged(t *testing.T) {
	for name, harm := range map[string]func(dir, last string) error{
		"end cut off":   func(_, last string) error { return os.Truncate(last, 0) },
		"record edited": func(_, last string) error { return flipByte(last, -100) },
		"head edited":   func(dir, _ string) error { return flipByte(filepath.Join(dir, headName), 30) },
		"head removed":  func(dir, _ string) error { return os.Remove(filepath.Join(dir, headName)) },
		"slot repeated": copySlot,
		"files removed": func(_, last string) error { return os.Remove(last) },
		"head a folder": func(dir, _ string) error { return replaceByFolder(filepath.Join(dir, headName)) },
		"a long line":   func(_, last string) error { return appendTo(last, strings.Repeat("x", 2*maxLine)+"\n") },
		"a folder":      func(_, last string) error { return replaceByFolder(last) },
		"a link": func(dir, last string) error {
			return errors.Join(os.Rename(last, filepath.Join(dir, "moved")), os.Symlink("moved", last))
		},
		"another's head": func(dir, _ string) error { return otherHead(dir) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t, tempDir(t))
			fill(t, l, 3)
			first := l.Status().Log
			l.Close()
			if err := harm(l.Dir, filepath.Join(l.Dir, fileName(1))); err != nil {
				t.Fatal(err)
			}
			if report := snapshotReport(t, l); report.Found == 0 {
				t.Error("nothing is found")
			}
			fill(t, l, 2)
			list := all(t, l)
			if len(list) != 3 || list[0].Kind != Damaged || list[0].Log == first {
				t.Fatalf("%+v", list)
			}
			aside := filepath.Join(l.Dir, list[0].Aside)
			if entries, err := os.ReadDir(aside); err != nil || len(entries) == 0 {
				t.Errorf("%v, %v", entries, err)
			}
			report := verify(t, l)
			if len(report.Findings) != 1 || report.Findings[0].Seq != 1 {
				t.Errorf("%v", report.Findings)
			}
		})
	}
}

func flipByte(path string, at int) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// copySlot gives the head an older end, of which only the other slot knows.
func copySlot(dir, last string) error {
	path := filepath.Join(dir, headName)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	copy(b, b[slotSize:])
	if h, err := parseHead(testKey, b[:slotSize], 1); err == nil && h.Seq == 4 { // the older is in the other
		b, _ = os.ReadFile(path)
		copy(b[slotSize:], b[:slotSize])
	}
	return os.WriteFile(path, b, 0o600)
}

func appendTo(path, text string) error {
	b, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, append(b, text...), 0o600))
}

func replaceByFolder(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }

func otherHead(dir string) error {
	other := bytes.Repeat([]byte{8}, KeySize)
	return errors.Join(os.Remove(filepath.Join(dir, headName)), createHead(dir, other, head{Log: "x", First: 1}))
}

// TestCrash: whatever a crash leaves of the record that was being written, and of the head, nothing is taken for a
// change, and no record that was acknowledged is lost.
func TestCrash(t *testing.T) {
	made := newLog(t, tempDir(t))
	fill(t, made, 3)
	before := must(os.ReadFile(filepath.Join(made.Dir, headName)))
	fill(t, made, 1)
	after := must(os.ReadFile(filepath.Join(made.Dir, headName)))
	text := must(os.ReadFile(made.file.Name()))
	last := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for n := last; n <= len(text); n++ {
		heads := [][]byte{before}
		if n == len(text) {
			heads = append(heads, after)
		}
		for _, head := range heads {
			crashed(t, text[:n], head, n-last, n == len(text))
		}
	}
}

// crashed opens a log with half a record, torn bytes long, or a whole one.
func crashed(t *testing.T, text, head []byte, torn int, whole bool) {
	t.Helper()
	l := newLog(t, tempDir(t))
	if err := errors.Join(os.WriteFile(filepath.Join(l.Dir, fileName(1)), text, 0o600),
		os.WriteFile(filepath.Join(l.Dir, headName), head, 0o600)); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1)
	clean(t, l)
	list := all(t, l)
	switch {
	case whole && (len(list) != 6 || list[4].Kind != Call):
		t.Errorf("%d records behind a whole one", len(list))
	case !whole && torn == 0 && len(list) != 5:
		t.Errorf("%d records behind none", len(list))
	case !whole && torn > 0 && (len(list) != 6 || list[4].Kind != Torn || list[4].Bytes != int64(torn)):
		t.Errorf("%d records behind %d bytes", len(list), torn)
	}
	l.Close()
}

// TestCrashAtBirth: a log whose first moments were interrupted begins.
func TestCrashAtBirth(t *testing.T) {
	for _, half := range []string{"", `{"seq":1,`} {
		l := newLog(t, tempDir(t))
		if err := errors.Join(createHead(l.Dir, testKey, head{Log: "x", First: 1}),
			os.WriteFile(filepath.Join(l.Dir, fileName(1)), []byte(half), 0o600)); err != nil {
			t.Fatal(err)
		}
		fill(t, l, 2)
		clean(t, l)
		if list := all(t, l); list[len(list)-1].Kind != Call {
			t.Errorf("%+v", list)
		}
	}
}

// TestCrashInRotation: a new file with no whole record in it is none.
func TestCrashInRotation(t *testing.T) {
	for _, half := range []string{"", `{"seq":`} {
		l := newLog(t, tempDir(t))
		fill(t, l, 2)
		l.Close()
		if err := os.WriteFile(filepath.Join(l.Dir, fileName(4)), []byte(half), 0o600); err != nil {
			t.Fatal(err)
		}
		fill(t, l, 1)
		clean(t, l)
	}
}

func TestKeyFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fob")
	path := filepath.Join(dir, "audit.key")
	key, err := KeyFile(path)()
	if err != nil || len(key) != KeySize || bytes.Equal(key, make([]byte, KeySize)) {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	if again, err := KeyFile(path)(); err != nil || !bytes.Equal(again, key) {
		t.Errorf("another key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for name, harm := range map[string]error{
		"short": os.WriteFile(filepath.Join(dir, "short"), key[:31], 0o600),
		"open":  os.WriteFile(filepath.Join(dir, "open"), key, 0o644),
		"link":  os.Symlink(path, filepath.Join(dir, "link")),
		"dir":   os.Mkdir(filepath.Join(dir, "dir"), 0o700),
	} {
		if _, err := KeyFile(filepath.Join(dir, name))(); err == nil || harm != nil {
			t.Errorf("%s: %v, %v", name, err, harm)
		}
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("HOME", "/home/u")
	for _, test := range []struct{ state, xdg, want string }{
		{"", "", "/home/u/.local/state/fob/audit"},
		{"", "/xdg", "/xdg/fob/audit"},
		{"", "relative", "/home/u/.local/state/fob/audit"},
		{"/var/lib/fob:/var/lib/other", "/xdg", "/var/lib/fob/audit"},
	} {
		t.Setenv("STATE_DIRECTORY", test.state)
		t.Setenv("XDG_STATE_HOME", test.xdg)
		if got, err := DefaultDir(); got != test.want || err != nil {
			t.Errorf("%+v: %s, %v", test, got, err)
		}
	}
}

// TestConcurrent: many append, and others read and verify meanwhile.
func TestConcurrent(t *testing.T) {
	l := smallFiles(t, tempDir(t))
	l.Keep = 1000
	var writers, readers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 25 {
				if err := l.Append(signIn("example.com")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	readers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-l.Changed():
			}
			clean(t, l)
			if n > 0 {
				all(t, l)
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	if report := clean(t, l); report.Last < 101 {
		t.Errorf("%+v", report)
	}
}
