package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"go.etcd.io/bbolt"

	"fob/daemon/seal"
	"fob/fido"
)

// sample makes the file of a store with branches, buckets of their own and free pages, and says what it holds.
func sample(t testing.TB, records int) (options Options, file []byte, holds string) {
	t.Helper()
	s := open(t, memoryFolder(t))
	if err := s.Update(func(tx *Tx) error {
		for i := range records {
			if err := tx.Put("otp", fmt.Sprint("name", i), bytes.Repeat([]byte{byte(i)}, 200)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "otp", "name0", strings.Repeat("long ", 2000)) // a record that takes several pages
	if err := s.Update(func(tx *Tx) error { return tx.Delete("otp", "name1") }); err != nil {
		t.Fatal(err)
	}
	holds, err := content(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	file, err = os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	return s.options, file, holds
}

// damaged opens a changed file. It must hold what it held, or be refused; that the file stays as it is goes without
// saying, for whoever is called to help.
func damaged(t testing.TB, o Options, file []byte, holds string) (harmless bool) {
	t.Helper()
	path := filepath.Join(o.Dir, fileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(o)
	defer s.Close()
	got, err := content(s)
	switch {
	case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewer):
		if err := s.Update(func(tx *Tx) error { return tx.Put("otp", "x", nil) }); err == nil {
			t.Error("a damaged store was written")
		}
	case err != nil || got != holds:
		t.Fatalf("%v; the content is another one", err)
	}
	if left, err := os.ReadFile(path); !bytes.Equal(left, file) || err != nil {
		t.Errorf("the file was changed: %v", err)
	}
	return err == nil
}

// TestEveryByteMatters changes bytes of the pages that are in use, and cuts the file short.
func TestEveryByteMatters(t *testing.T) {
	o, file, holds := sample(t, 40)
	if !damaged(t, o, file, holds) {
		t.Fatal("the sample itself is refused")
	}
	m, err := newestMeta(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{file, m, make([]bool, m.pages)}
	if err := c.bucket(m.root, true); err != nil {
		t.Fatal(err)
	}
	harmless, tried := 0, 0
	for page, used := range c.seen {
		for range 30 {
			at := page*pageSize + rand.IntN(pageSize)
			changed := bytes.Clone(file)
			changed[at] ^= 1 << rand.IntN(8)
			if good := damaged(t, o, changed, holds); used && file[at] != 0 {
				tried++
				if good {
					harmless++
				}
			}
		}
	}
	if tried < 100 || harmless > tried/20 { // such as in what a meta page has before its checksum begins
		t.Errorf("%d changes of %d were harmless", harmless, tried)
	}
	for size := range len(file) {
		if size%3583 == 0 && damaged(t, o, file[:size], holds) && len(bytes.Trim(file[size:], "\x00")) > 0 {
			t.Errorf("a file that was cut at %d of %d bytes is taken", size, len(file))
		}
	}
}

// A record in another's place, an old version of it, and one that is missing, are found by no checksum of the file.
func TestRecordsBelongTogether(t *testing.T) {
	for name, change := range map[string]func(f *file, a, b []byte) error{
		"exchanged": func(f *file, a, b []byte) error {
			return rawUpdate(f, func(boxes map[string][]byte) {
				boxes[string(a)], boxes[string(b)] = boxes[string(b)], boxes[string(a)]
			})
		},
		"missing": func(f *file, a, _ []byte) error {
			return rawUpdate(f, func(boxes map[string][]byte) { boxes[string(a)] = nil })
		},
		"another's": func(f *file, a, b []byte) error {
			return rawUpdate(f, func(boxes map[string][]byte) { boxes[string(a)] = boxes[string(b)] })
		},
	} {
		s := open(t, t.TempDir())
		put(t, s, "otp", "alice", "one")
		put(t, s, "otp", "bob", "two")
		if err := change(s.file, s.file.keys.place("otp", "alice"), s.file.keys.place("otp", "bob")); err != nil {
			t.Fatal(err)
		}
		if _, err := content(reopened(t, s)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	o, file, holds := sample(f, 40)
	f.Add(uint32(4096*2+10), []byte{1})
	f.Add(uint32(4096+16+40), []byte{9, 9})
	f.Add(uint32(0), bytes.Repeat([]byte{0}, 4096))
	f.Fuzz(func(t *testing.T, at uint32, bytes []byte) {
		changed := append([]byte(nil), file...)
		copy(changed[int(at)%len(changed):], bytes)
		damaged(t, o, changed, holds)
	})
}

// FuzzStructure has changed pages checked, as if their meta pages were good: nothing is read beyond them.
func FuzzStructure(f *testing.F) {
	_, file, _ := sample(f, 40)
	m, err := newestMeta(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(m.root*pageSize+10), []byte{9}, m.root, m.freelist)
	f.Add(uint32(m.freelist*pageSize+10), []byte{0xFF, 0xFF}, m.root, m.freelist)
	f.Fuzz(func(t *testing.T, at uint32, change []byte, root, freelist uint64) {
		changed := bytes.Clone(file)
		copy(changed[int(at)%len(changed):], change)
		c := &checker{changed, meta{root: root, freelist: freelist, pages: m.pages}, make([]bool, m.pages)}
		c.bucket(root, true)
		c.freelist()
	})
}

func FuzzBackup(f *testing.F) {
	f.Add([]byte("fob store backup 1\nend 0\n"))
	f.Add([]byte("fob store backup 1\naccount YWxpY2U YQ\nend  \notp  \nend 3\n"))
	f.Add([]byte(encodeBackup([]Record{{"otp", "alice", fido.Secret("one")}, {"otp", "bob", nil}})))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := parseBackup(text)
		if err != nil {
			if records != nil || !errors.Is(err, ErrBackup) {
				t.Fatalf("%v with %v", records, err)
			}
			return
		}
		if again := encodeBackup(records); !bytes.Equal(again, text) {
			t.Fatalf("%q became %q", text, []byte(again))
		}
	})
}

func FuzzHolder(f *testing.F) {
	f.Add([]byte("1234 fobd\n"))
	f.Add([]byte("0 \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := parseHolder(text); err == nil && !bytes.Equal(holderText(h.PID, h.Program), text) {
			t.Fatalf("%q became %+v", text, h)
		}
	})
}

func TestBackup(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "otp", "alice", "one")
	put(t, s, "account", "bob@example.com", strings.Repeat("x", MaxValue))
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := s.Export(&backup, identity.Recipient()); err != nil {
		t.Fatal(err)
	}
	want, err := content(s)
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte, by age.Identity) ([]Record, error) { return ReadBackup(bytes.NewReader(b), by) }
	records, err := read(backup.Bytes(), identity)
	if err != nil {
		t.Fatal(err)
	}

	other := open(t, t.TempDir())
	if aside, err := other.Import(records, false); aside != "" || err != nil {
		t.Error(aside, err)
	}
	holds(t, reopened(t, other), want)
	if _, err := s.Import(nil, false); err != ErrNotEmpty {
		t.Error(err)
	}
	holds(t, s, want)
	aside, err := s.Import(nil, true)
	if err != nil || !strings.Contains(aside, "store.db.replaced-") {
		t.Error(aside, err)
	}
	holds(t, s, "")

	stranger, _ := age.GenerateX25519Identity()
	if _, err := read(backup.Bytes(), stranger); err != ErrWrongKey {
		t.Error(err)
	}
	for at := 0; at < backup.Len(); at += 1997 {
		changed := bytes.Clone(backup.Bytes())
		changed[at] ^= 0x40
		if _, err := read(changed, identity); err == nil {
			t.Errorf("a backup with a changed byte %d is taken", at)
		}
		if _, err := read(backup.Bytes()[:at], identity); err == nil {
			t.Errorf("a backup of %d bytes is taken", at)
		}
	}
	if _, err := read(encrypted(t, "fob store backup 2\n", identity), identity); !errors.Is(err, ErrBackup) ||
		!strings.Contains(err.Error(), "version 2") {
		t.Error(err)
	}
}

func encrypted(t *testing.T, text string, identity *age.X25519Identity) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := age.Encrypt(&out, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What can't be opened is replaced only where that is said, and kept.
func TestImportIntoDamage(t *testing.T) {
	o, file, _ := sample(t, 3)
	file[pageSize+20] ^= 1
	path := filepath.Join(o.Dir, fileName)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s := Open(o)
	defer s.Close()
	records := []Record{{"otp", "alice", fido.Secret("one")}}
	if _, err := s.Import(records, false); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	aside, err := s.Import(records, true)
	if err != nil || !strings.HasPrefix(aside, path+".corrupt-") {
		t.Fatal(aside, err)
	}
	if kept, err := os.ReadFile(aside); !bytes.Equal(kept, file) || err != nil {
		t.Error("the damaged file was changed", err)
	}
	holds(t, reopened(t, s), "otp alice=one\n")
	if st := s.Status(); st.Problem != ErrClosed {
		t.Errorf("%+v", st)
	}
}

// A store that another kind has sealed, which is not at hand, is left alone.
func TestUnknownKind(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Update(func(tx *Tx) error { return tx.Put("otp", "alice", nil) }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.options.Sealers = nil
	again := reopened(t, s)
	var unseal *UnsealError
	_, err := content(again)
	if !errors.As(err, &unseal) || unseal.Kind != seal.KindKeyFile || !errors.Is(err, seal.ErrMissing) {
		t.Error(err)
	}
}

// rawUpdate changes boxes behind the store's back; nil removes one.
func rawUpdate(f *file, change func(boxes map[string][]byte)) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(recordsBucket)
		boxes := map[string][]byte{}
		if err := b.ForEach(func(k, v []byte) error { boxes[string(k)] = bytes.Clone(v); return nil }); err != nil {
			return err
		}
		change(boxes)
		for place, box := range boxes {
			if box == nil {
				if err := b.Delete([]byte(place)); err != nil {
					return err
				}
				continue
			}
			if err := b.Put([]byte(place), box); err != nil {
				return err
			}
		}
		return nil
	})
}
