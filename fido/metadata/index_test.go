package metadata

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/durable"
	"fob/fido/metadata/metadatatest"
)

// signedIndex gives the index of a BLOB with this number, from a service of that name.
func signedIndex(t *testing.T, a *metadatatest.Authority, s Service, number int) *Index {
	t.Helper()
	payload := metadatatest.Payload(number, "2026-11-01", metadatatest.Entry(yubikey, "YubiKey 5 Series with NFC",
		metadatatest.Report{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2020-05-12"}))
	return must[*Index](t)(s.Verify(must[[]byte](t)(a.Sign(payload)), today))
}

func TestSave(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	path := filepath.Join(t.TempDir(), "a", "b", "models.json")
	var e *IndexError
	if _, err := ReadIndex(path); !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) || e.Hint() == "" {
		t.Errorf("before: %v", err)
	}
	index := signedIndex(t, a, s, 277)
	for range 2 { // the same again is no mistake
		if err := index.Save(path, false); err != nil {
			t.Fatal(err)
		}
	}
	if again := must[*Index](t)(ReadIndex(path)); !reflect.DeepEqual(again, index) {
		t.Errorf("%+v became %+v", index, again)
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", p, info.Mode(), err)
		}
	}
	index.NextUpdate = "soon"
	if err := index.Save(path, true); !errors.Is(err, ErrIndexForm) {
		t.Errorf("saved what can't be read: %v", err)
	}
}

// TestRollback: neither an older BLOB nor one of another service takes the place of what is there, unless by force.
func TestRollback(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	other, otherService := newService(t, "ES256", today, nil)
	path := filepath.Join(t.TempDir(), "models.json")
	save := func(index *Index, replace bool, problem error) {
		t.Helper()
		before, _ := os.ReadFile(path)
		err := index.Save(path, replace)
		if problem == nil {
			if err != nil {
				t.Error(err)
			}
			return
		}
		checkRefused(t, err, problem)
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
			t.Errorf("changed, %v", err)
		}
	}
	save(signedIndex(t, a, s, 277), false, nil)
	save(signedIndex(t, a, s, 276), false, ErrOlder)
	save(signedIndex(t, a, s, 278), false, nil)
	save(signedIndex(t, other, otherService, 999), false, ErrOther)
	renamed := signedIndex(t, a, s, 279)
	renamed.Service = "example.com"
	save(renamed, false, ErrOther)
	more := s
	more.Roots = append(slices.Clone(otherService.Roots), s.Roots...) // a root that comes, and one that goes
	save(signedIndex(t, a, more, 277), false, ErrOlder)
	save(signedIndex(t, a, more, 279), false, nil)
	save(signedIndex(t, other, otherService, 280), false, nil)
	save(signedIndex(t, a, s, 1), false, ErrOther)
	save(signedIndex(t, a, s, 1), true, nil)
}

// TestSaveLeavesAlone: what is no index of ours is neither trusted nor lost.
func TestSaveLeavesAlone(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	index := signedIndex(t, a, s, 277)
	path := filepath.Join(t.TempDir(), "models.json")
	lock := must[*os.File](t)(durable.Lock(path + ".lock"))
	if err := index.Save(path, true); !errors.Is(err, durable.ErrLocked) || err.(*IndexError).Hint() == "" {
		t.Errorf("while another imports: %v", err)
	}
	lock.Close()
	for content, problem := range map[string]error{"": ErrIndexForm, `{"version":2,"x":[]}`: ErrIndexVersion, "[]": ErrIndexForm,
		strings.Repeat(" ", MaxIndexSize+1): ErrIndexSize} {

		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := index.Save(path, false); !errors.Is(err, problem) || err.(*IndexError).Hint() == "" {
			t.Errorf("%.20q: %v", content, err)
		}
	}
	if err := index.Save(path, true); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, replace := range []bool{false, true} {
		if err := index.Save(path, replace); !errors.Is(err, durable.ErrNotRegular) || err.(*IndexError).Hint() == "" {
			t.Errorf("a FIFO, replace %v: %v", replace, err)
		}
	}
}

// TestSaveTogether: of many imports at once the newest stays.
func TestSaveTogether(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	path := filepath.Join(t.TempDir(), "models.json")
	var wg sync.WaitGroup
	for n := range 10 {
		index := signedIndex(t, a, s, n+1)
		wg.Go(func() {
			for {
				err := index.Save(path, false)
				if !errors.Is(err, durable.ErrLocked) {
					break
				}
			}
		})
	}
	wg.Wait()
	if index := must[*Index](t)(ReadIndex(path)); index.Number != 10 {
		t.Errorf("number %d stayed", index.Number)
	}
	if entries := must[[]os.DirEntry](t)(os.ReadDir(filepath.Dir(path))); len(entries) != 2 { // and the lock
		t.Errorf("left behind: %v", entries)
	}
}

// TestModels: a daemon sees what another process has imported since.
func TestModels(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	path := filepath.Join(t.TempDir(), "models.json")
	id := ctap.AAGUID(must[AAGUID](t)(ParseAAGUID(yubikey)))
	models := Open(path)
	look := func(number int64, problem error) {
		t.Helper()
		_, ok := models.Lookup(id)
		index, err := models.Index()
		if problem != nil {
			if ok || index != nil || !errors.Is(err, problem) {
				t.Errorf("%v, %+v, %v", ok, index, err)
			}
			return
		}
		if !ok || err != nil || index.Number != number {
			t.Errorf("%v, %+v, %v", ok, index, err)
		}
		if again, _ := models.Index(); again != index {
			t.Error("read again without need")
		}
		if _, ok := models.Lookup(ctap.AAGUID{}); ok {
			t.Error("a model without an AAGUID")
		}
	}
	look(0, fs.ErrNotExist)
	for n := range 3 { // files of one size and time
		if err := errors.Join(signedIndex(t, a, s, 277+n).Save(path, false), os.Chtimes(path, today, today)); err != nil {
			t.Fatal(err)
		}
		look(int64(277+n), nil)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	look(0, fs.ErrNotExist)
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	look(279, nil)
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(0, ErrIndexForm)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	look(0, fs.ErrNotExist)
	if err := signedIndex(t, a, s, 1).Save(path, false); err != nil {
		t.Fatal(err)
	}
	look(1, nil)
	if err := errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	look(0, durable.ErrNotRegular)
}

func TestModelsTogether(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	path := filepath.Join(t.TempDir(), "models.json")
	id := ctap.AAGUID(must[AAGUID](t)(ParseAAGUID(yubikey)))
	if err := signedIndex(t, a, s, 1).Save(path, false); err != nil {
		t.Fatal(err)
	}
	models := Open(path)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if _, ok := models.Lookup(id); !ok {
					t.Error("not found while another file comes")
				}
			}
		})
	}
	for n := range 10 {
		if err := signedIndex(t, a, s, n+2).Save(path, false); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

func TestDefaultPath(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	for dir, want := range map[string]string{"/data": "/data/fob/models.json", "": "/home/alice/.local/share/fob/models.json",
		"relative": "/home/alice/.local/share/fob/models.json"} {

		t.Setenv("XDG_DATA_HOME", dir)
		if got := must[string](t)(DefaultPath()); got != want {
			t.Errorf("XDG_DATA_HOME=%q: %s", dir, got)
		}
	}
}

func TestOverdue(t *testing.T) {
	for next, overdue := range map[string]bool{"": false, "2026-09-30": true, "2026-10-01": false, "2026-10-02": false} {
		if got := (&Index{NextUpdate: next}).Overdue(today); got != overdue {
			t.Errorf("%q: %v", next, got)
		}
	}
}

func TestParseIndexIsStrict(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	good := string(must[[]byte](t)(signedIndex(t, a, s, 277).Encode()))
	for _, change := range [][2]string{
		{`"no":277`, `"no":-1`}, {`"no":277`, `"no":277.0`}, {`"no":277`, `"no":277,"no":277`}, {`"others":0`, `"others":-1`},
		{`2026-11-01`, `2026-13-01`}, {`2020-05-12`, `2020-05-32`}, {`fido2`, `fido2\u001b[31m`}, {`"models"`, `"Models"`},
		{`YubiKey`, strings.Repeat("YubiKey", 100)}, {yubikey, strings.ToUpper(yubikey)}, {yubikey, strings.Repeat("0", 36)},
		{yubikey, "00000000-0000-0000-0000-000000000000"}, {a.Algorithm, "\u202e"}, {`"models":`, `"x":1,"models":`},
		{"}\n", "}"}, {"}\n", "}\n\n"}, {fingerprint(a.Root), "00"}, {fingerprint(a.Root), strings.ToUpper(fingerprint(a.Root))},
		{`"models":[`, `"models":[{"aaguid":"` + yubikey + `","description":"","protocolFamily":"","authenticatorVersion":0},`},
		{`"models":[`, `"models":[{"aaguid":"ff` + yubikey[2:] + `","description":"","protocolFamily":"","authenticatorVersion":0},`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if _, err := ParseIndex([]byte(bad)); bad == good || !errors.Is(err, ErrIndexForm) {
			t.Errorf("%q: %v", change, err)
		}
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"version":1,"service":"mds.fidoalliance.org","roots":null,"no":1,"imported":"2026-10-01T12:00:00Z","signer":` +
		`{"subject":"","root":"","certificate":"` + strings.Repeat("0", 64) + `","algorithm":"ES256"},"others":0,"unreadable":0,` +
		`"models":[{"aaguid":"` + yubikey + `","description":"x","protocolFamily":"fido2","authenticatorVersion":5,` +
		`"upv":[{"major":1,"minor":0}],"statusReports":[{"status":"REVOKED","effectiveDate":"2026-01-31"}]}]}` + "\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		index, err := ParseIndex(in)
		if err != nil {
			if !errors.As(err, new(*IndexError)) {
				t.Fatal(err)
			}
			return
		}
		if out, err := index.Encode(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("%s became %s, %v", in, out, err)
		}
		for _, m := range index.Models {
			if found, ok := index.Lookup(m.AAGUID); !ok || found.AAGUID != m.AAGUID {
				t.Errorf("%v is not found", m.AAGUID)
			}
		}
	})
}
