package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fob/daemon/seal"
	"fob/fido"
	"fob/fido/durable"
)

// options are those of a store with a key file.
func testOptions(dir string) Options {
	return Options{Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: filepath.Join(dir, KeyName)}}, Program: "test"}
}

// open opens the store in a folder until the test ends.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	s := Open(testOptions(dir))
	t.Cleanup(func() { s.Close() })
	return s
}

// reopened closes a store and opens it again.
func reopened(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := Open(s.options)
	t.Cleanup(func() { again.Close() })
	return again
}

func put(t testing.TB, s *Store, b Bucket, name, value string) {
	t.Helper()
	if err := s.Update(func(tx *Tx) error { return tx.Put(b, name, []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

// content is what a store holds, one line a record.
func content(s *Store) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.records()
	var text strings.Builder
	for _, r := range records {
		fmt.Fprintf(&text, "%s %s=%s\n", r.Bucket, r.Name, string(r.Value))
	}
	return text.String(), err
}

func holds(t testing.TB, s *Store, want string) {
	t.Helper()
	if got, err := content(s); got != want || err != nil {
		t.Errorf("the store holds %q, %v; expected %q", got, err, want)
	}
}

func TestRecords(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state", "fob"))
	holds(t, s, "")
	for _, do := range []func(*Tx) error{
		func(tx *Tx) error { return tx.Put("otp", "alice", nil) }, func(tx *Tx) error { return tx.Delete("otp", "alice") },
	} {
		if err := s.View(do); err != errOnlyReads {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(s.options.Dir); left != nil {
		t.Errorf("a look has made %v", left)
	}
	put(t, s, "otp", "alice", "one")
	put(t, s, "otp", "bob", "")
	put(t, s, "account", "alice", "three")
	put(t, s, "otp", "alice", "two")
	const all = "account alice=three\notp alice=two\notp bob=\n"
	holds(t, s, all)
	s = reopened(t, s)
	holds(t, s, all)

	err := s.View(func(tx *Tx) error {
		names, err := tx.List("otp")
		if !slices.Equal(names, []string{"alice", "bob"}) || err != nil {
			t.Errorf("%v, %v", names, err)
		}
		if v, err := tx.Get("otp", "alice"); string(v) != "two" || err != nil {
			t.Errorf("%q, %v", []byte(v), err)
		}
		if _, err := tx.Get("otp", "carol"); err != ErrNotFound {
			t.Error(err)
		}
		if err := tx.Put("otp", "carol", nil); err != errOnlyReads {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Update(func(tx *Tx) error { return tx.Delete("otp", "carol") }); err != ErrNotFound {
		t.Error(err)
	}
	if err := s.Update(func(tx *Tx) error { return tx.Delete("otp", "alice") }); err != nil {
		t.Error(err)
	}
	holds(t, reopened(t, s), "account alice=three\notp bob=\n")
}

// What fails, or is no change, writes nothing.
func TestRollback(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	before, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for _, do := range []func(*Tx) error{
		func(tx *Tx) error { return errors.Join(tx.Put("otp", "alice", []byte("two")), enough) },
		func(tx *Tx) error { return errors.Join(tx.Delete("otp", "alice"), enough) },
	} {
		if err := s.Update(do); !errors.Is(err, enough) {
			t.Error(err)
		}
	}
	if err := s.Update(func(tx *Tx) error { _, err := tx.Get("otp", "alice"); return err }); err != nil {
		t.Error(err)
	}
	holds(t, s, "otp alice=one\n")
	if after, err := os.ReadFile(s.path()); !bytes.Equal(before, after) || err != nil {
		t.Error("the file has changed", err)
	}
}

func TestLimits(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		bucket      Bucket
		name, value int
		good        bool
	}{
		{"a", MaxName, MaxValue, true}, {"a", 0, 0, true}, {"a-1", 1, 1, true},
		{"a", MaxName + 1, 0, false}, {"a", 0, MaxValue + 1, false},
		{"", 1, 1, false}, {"A", 1, 1, false}, {"a b", 1, 1, false}, {Bucket(strings.Repeat("a", 33)), 1, 1, false},
	} {
		err := s.Update(func(tx *Tx) error {
			return tx.Put(c.bucket, strings.Repeat("n", c.name), make([]byte, c.value))
		})
		if c.good != (err == nil) {
			t.Errorf("%q, name of %d, value of %d bytes: %v", c.bucket, c.name, c.value, err)
		}
	}
}

// The file shows no name, bucket or value; and what a transaction has handed out is wiped after it.
func TestNothingInTheClear(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "bucketname", "recordname", "recordvalue")
	file, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"bucketname", "recordname", "recordvalue"} {
		if bytes.Contains(file, []byte(secret)) {
			t.Errorf("%s is in the clear", secret)
		}
	}
	var kept fido.Secret
	s.View(func(tx *Tx) (err error) {
		kept, err = tx.Get("bucketname", "recordname")
		return err
	})
	if !bytes.Equal(kept, make([]byte, len("recordvalue"))) {
		t.Errorf("%q is left", []byte(kept))
	}
	text := fmt.Sprintf("%v %+v %#v", kept, Record{Value: fido.Secret("recordvalue")}, s.file.data)
	if strings.Contains(text, "recordvalue") {
		t.Error(text)
	}
	for name, mode := range map[string]os.FileMode{"": 0o700, fileName: 0o600, lockName: 0o600, KeyName: 0o600} {
		info, err := os.Stat(filepath.Join(s.options.Dir, name))
		if err != nil || name != "" && info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, %v", name, info.Mode(), err)
		}
	}
}

// The second of two says who is the first, until that one ends; so does a store that both would have made.
func TestHeld(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	put(t, first, "otp", "alice", "one")
	var held *HeldError
	err := second.View(func(*Tx) error { return nil })
	if !errors.As(err, &held) || held.PID != os.Getpid() || held.Program != "test" || !errors.Is(err, ErrHeld) {
		t.Errorf("%v", err)
	}
	if err := second.Update(func(*Tx) error { return nil }); !errors.Is(err, ErrHeld) {
		t.Error(err)
	}
	if _, err := second.Import(nil, true); !errors.Is(err, ErrHeld) {
		t.Error(err)
	}
	if _, err := second.Reset(); !errors.Is(err, ErrHeld) {
		t.Error(err)
	}
	first.Close()
	holds(t, second, "otp alice=one\n")
	if err := first.View(func(*Tx) error { return nil }); err != ErrClosed {
		t.Error(err)
	}
}

func TestUnusable(t *testing.T) {
	noFolder := Open(Options{})
	if err := noFolder.Update(func(*Tx) error { return nil }); err != ErrNoFolder {
		t.Error(err)
	}
	if st := noFolder.Status(); st.Problem != ErrNoFolder || st.Path != "" {
		t.Errorf("%+v", st)
	}
	open := func(dir string, change func(dir string) error) error {
		s := open(t, dir)
		put(t, s, "otp", "alice", "one")
		s.Close()
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		_, err := content(Open(s.options))
		return err
	}
	key := func(dir string) string { return filepath.Join(dir, KeyName) }
	file := func(dir string) string { return filepath.Join(dir, fileName) }
	other := make([]byte, seal.KeySize)
	for name, c := range map[string]struct {
		change func(dir string) error
		want   error
	}{
		"the key file is missing": {func(dir string) error { return os.Remove(key(dir)) }, seal.ErrMissing},
		"another key file":        {func(dir string) error { return os.WriteFile(key(dir), other, 0o600) }, ErrWrongKey},
		"a short key file":        {func(dir string) error { return os.Truncate(key(dir), 31) }, seal.ErrUnfit},
		"an open key file":        {func(dir string) error { return os.Chmod(key(dir), 0o640) }, seal.ErrUnfit},
		"an open folder":          {func(dir string) error { return os.Chmod(dir, 0o770) }, ErrBadFolder},
		"an empty file":           {func(dir string) error { return os.Truncate(file(dir), 0) }, ErrCorrupt},
		"a link": {func(dir string) error {
			return errors.Join(os.Rename(file(dir), filepath.Join(dir, "other")), os.Symlink("other", file(dir)))
		}, durable.ErrNotRegular},
	} {
		if err := open(t.TempDir(), c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPassphrase(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	if err := s.Unlock(fido.Secret("sesame")); err != ErrNotLocked {
		t.Error(err)
	}
	if _, err := s.Seal(seal.Passphrase{Passphrase: fido.Secret("sesame")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.options.Dir, KeyName)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the key file is left:", err)
	}
	holds(t, s, "otp alice=one\n")
	s = reopened(t, s)
	if _, err := content(s); err != ErrLocked {
		t.Error(err)
	}
	if st := s.Status(); st.Problem != ErrLocked || st.Sealer != seal.KindPassphrase {
		t.Errorf("%+v", st)
	}
	if err := s.Update(func(*Tx) error { return nil }); err != ErrLocked {
		t.Error(err)
	}
	if _, err := s.Seal(s.options.Sealers[0]); err != ErrLocked {
		t.Error(err)
	}
	if err := s.Unlock(fido.Secret("open")); err != ErrWrongKey {
		t.Error(err)
	}
	if err := s.Unlock(fido.Secret("sesame")); err != nil {
		t.Error(err)
	}
	holds(t, s, "otp alice=one\n")
	if err := s.Unlock(fido.Secret("open")); err != ErrWrongKey {
		t.Error(err)
	}
	holds(t, s, "otp alice=one\n") // it stays open
	put(t, s, "otp", "bob", "two")
	if _, err := s.Seal(s.options.Sealers[0]); err != nil {
		t.Error(err)
	}
	holds(t, reopened(t, s), "otp alice=one\notp bob=two\n")
}

// The old data key opens nothing any more.
func TestSealMakesANewKey(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	old := slices.Clone(s.file.data)
	if _, err := s.Seal(s.options.Sealers[0]); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(old, s.file.data) {
		t.Error("the data key is the same")
	}
	holds(t, reopened(t, s), "otp alice=one\n")
}

func TestReset(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	aside, err := s.Reset()
	if err != nil {
		t.Fatal(err)
	}
	holds(t, s, "")
	put(t, s, "otp", "bob", "two")
	second, err := s.Reset() // within the same second
	if err != nil || second == aside {
		t.Error(second, err)
	}
	if st := s.Status(); !slices.Contains(st.Aside, aside) || !slices.Contains(st.Aside, second) || len(st.Aside) != 2 {
		t.Errorf("%+v", st)
	}
	s.Close()
	if err := os.Rename(aside, s.path()); err != nil {
		t.Fatal(err)
	}
	s = reopened(t, s)
	holds(t, s, "otp alice=one\n")
	// Its key file is needed as long as there are older files.
	left, err := s.Seal(seal.Passphrase{Passphrase: fido.Secret("sesame")})
	if err != nil || !slices.Equal(left, []string{second}) {
		t.Error(left, err)
	}
	if _, err := os.Stat(filepath.Join(s.options.Dir, KeyName)); err != nil {
		t.Error(err)
	}
}
