package relyingparty

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"fob/fido/ctap"
	"fob/fido/durable"
	"fob/fido/webauthn"
)

// exampleRecord has the public key of RFC 8032 §7.1, test 1.
const exampleRecord = `{
  "version": 1,
  "rpId": "example.com",
  "origin": "https://login.example.com",
  "user": {
    "id": "AQID",
    "name": "alice@example.com",
    "displayName": "Alice"
  },
  "credential": {
    "id": "_w",
    "publicKey": "pAEBAycgBiFYINdamAGCsQq31Uv-08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
    "algorithm": -8,
    "aaguid": "00000000-0000-0000-0000-000000000000",
    "signCount": 7,
    "userVerified": true,
    "backupEligible": true,
    "backupState": false,
    "transports": [
      "usb"
    ],
    "discoverable": true,
    "attestationFormat": "none"
  },
  "created": "2026-01-02T03:04:05Z",
  "lastUsed": "2026-01-02T03:04:06Z"
}
`

func TestParseRecord(t *testing.T) {
	r, err := ParseRecord([]byte(exampleRecord))
	if err != nil {
		t.Fatal(err)
	}
	if r.User.Name != "alice@example.com" || r.Credential.SignCount != 7 || r.Credential.Algorithm != ctap.EdDSA ||
		r.LastUsed.Unix()-r.Created.Unix() != 1 || !r.Credential.Discoverable {
		t.Errorf("%+v", r)
	}
	if b, err := r.Encode(); err != nil || string(b) != exampleRecord {
		t.Errorf("%s, %v", b, err)
	}
}

func TestParseRecordErrors(t *testing.T) {
	for _, c := range []struct {
		old, new string
		want     error
		member   string
	}{
		{`"version": 1`, `"version": 2, "future": []`, ErrRecordVersion, ""},
		{`"version": 1,`, ``, ErrRecordVersion, ""},
		{`"rpId": "example.com"`, `"rpId": "example.com", "rpId": "example.org"`, webauthn.ErrDuplicateMember, "rpId"},
		{`"rpId": "example.com"`, `"rpId": "example.com", "RPID": "login.example.com"`, ErrRecordForm, ""},
		{`"rpId": "example.com"`, `"rpId": "com"`, webauthn.ErrPublicSuffix, "rpId"},
		{`"rpId": "example.com"`, `"rpId": ""`, webauthn.ErrMissing, "rpId"},
		{`"https://login.example.com"`, `"http://login.example.com"`, webauthn.ErrInsecureOrigin, "rpId"},
		{`"AQID"`, `""`, webauthn.ErrLength, "user.id"},
		{`"AQID"`, `"AQI="`, webauthn.ErrNotBase64URL, ""},
		{`"alice@example.com"`, `""`, webauthn.ErrValue, "user.name"},
		{`"Alice"`, `""`, webauthn.ErrValue, "user.displayName"},
		{`"_w"`, `""`, webauthn.ErrLength, "credential.id"},
		{`"pAEB`, `"pAEC`, ctap.ErrUnsupportedAlgorithm, "credential.publicKey"},
		{`"pAEB`, `"oAEB`, ctap.ErrInvalidCBOR, "credential.publicKey"},
		{`"algorithm": -8`, `"algorithm": -7`, webauthn.ErrValue, "credential.algorithm"},
		{`"algorithm": -8`, `"algorithm": -8.0`, ErrRecordForm, ""},
		{`00000000-`, `0000000-0`, webauthn.ErrValue, "credential.aaguid"},
		{`"signCount": 7`, `"signCount": -1`, ErrRecordForm, ""},
		{`"signCount": 7`, `"signCount": 4294967296`, ErrRecordForm, ""},
		{`"signCount": 7,`, ``, ErrRecordForm, ""},
		{`"backupEligible": true`, `"backupEligible": false`, nil, ""},
		{`"backupEligible": true,
    "backupState": false`, `"backupEligible": false,
    "backupState": true`, webauthn.ErrBackupState, "credential.backupState"},
		{`"transports": [
      "usb"
    ]`, `"transports": null`, webauthn.ErrMissing, "credential.transports"},
		{`"attestationFormat": "none"`, `"attestationFormat": ""`, webauthn.ErrMissing, "credential.attestationFormat"},
		{`"2026-01-02T03:04:05Z"`, `"yesterday"`, ErrRecordForm, ""},
		{`"2026-01-02T03:04:05Z"`, `"0001-01-01T00:00:00Z"`, webauthn.ErrMissing, "created"},
		{`"created"`, `"secret": "x", "created"`, ErrRecordForm, ""},
		{exampleRecord, exampleRecord + "x", webauthn.ErrSyntax, ""},
		{exampleRecord, "null", ErrRecordVersion, ""},
		{exampleRecord, strings.Repeat(" ", MaxRecordSize) + exampleRecord, ErrRecordSize, ""},
	} {
		in := strings.Replace(exampleRecord, c.old, c.new, 1)
		if in == exampleRecord {
			t.Fatalf("%s is not in the record", c.old)
		}
		r, err := ParseRecord([]byte(in))
		if c.want == nil {
			if err != nil {
				t.Errorf("%.200s: %v", c.new, err)
			}
			continue
		}
		var record *RecordError
		var member *webauthn.MemberError
		if r != nil || !errors.Is(err, c.want) || !errors.As(err, &record) ||
			c.member != "" && (!errors.As(err, &member) || member.Member != c.member) {
			t.Errorf("%.200s: %v", c.new, err)
		}
	}
}

func TestWriteRecord(t *testing.T) {
	r, err := ParseRecord([]byte(exampleRecord))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "alice.json")
	for i := range 3 { // a new file, and then in place of an old one
		r.Credential.SignCount = uint32(i)
		if err := WriteRecord(path, r); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadRecord(path); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	checkFiles(t, folder, "alice.json")
}

func checkFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("files %q, want %q: %v", got, want, err)
	}
}

func TestWriteRecordErrors(t *testing.T) {
	r, err := ParseRecord([]byte(exampleRecord))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "alice.json")
	if err := WriteRecord(path, r); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	bad := *r
	bad.RPID = "com"
	long := *r
	long.Credential.Transports = []string{strings.Repeat("x", MaxRecordSize)}
	for _, c := range []struct {
		path string
		r    *Record
		want error
	}{
		{path, &bad, webauthn.ErrPublicSuffix},
		{path, &long, ErrRecordSize},
		{filepath.Join(folder, "missing", "alice.json"), r, fs.ErrNotExist},
		{filepath.Join(folder, "folder"), r, durable.ErrNotRegular},
	} {
		err := WriteRecord(c.path, c.r)
		var e *RecordError
		if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Path != c.path {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	checkFiles(t, folder, "alice.json", "folder")
	if got, err := ReadRecord(path); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("the old record is %+v, %v", got, err)
	}
}

func TestReadRecordErrors(t *testing.T) {
	folder := t.TempDir()
	large, fifo := filepath.Join(folder, "large"), filepath.Join(folder, "fifo")
	if err := os.WriteFile(large, bytes.Repeat([]byte(" "), MaxRecordSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		large: ErrRecordSize, fifo: durable.ErrNotRegular, folder: durable.ErrNotRegular, "/dev/zero": durable.ErrNotRegular,
		filepath.Join(folder, "missing"): fs.ErrNotExist,
	} {
		_, err := ReadRecord(path)
		var e *RecordError
		if !errors.Is(err, want) || !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestRecordReadWhileWritten reads a record again and again while it is replaced: every time it is whole.
func TestRecordReadWhileWritten(t *testing.T) {
	r, err := ParseRecord([]byte(exampleRecord))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "alice.json")
	if err := WriteRecord(path, r); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		var err error
		for i := 0; i < 50 && err == nil; i++ {
			next := *r
			next.Credential.SignCount += uint32(i)
			next.User.DisplayName = strings.Repeat("Alice ", 1+i)
			err = WriteRecord(path, &next)
		}
		done <- err
	}()
	for {
		if _, err := ReadRecord(path); err != nil {
			t.Error(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(exampleRecord))
	f.Add([]byte(strings.Replace(exampleRecord, "Alice", `<\u2028\ud800>`, 1)))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := ParseRecord(in)
		if err != nil {
			var e *RecordError
			if r != nil || !errors.As(err, &e) {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, in); err != nil || !bytes.Equal(compact.Bytes(), out) {
			t.Errorf("%s became %s, %v", in, out, err)
		}
		if again, err := ParseRecord(out); err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("read again: %+v, %v", again, err)
		}
	})
}
