package otp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"fob/hotp"
)

// What a newer fob has added to a record of this version is still there after this one has changed it.
func TestUnknownMembersStay(t *testing.T) {
	const value = `{"account":"bob","algorithm":"SHA1","color":["<",1.50],"counter":3,"created":"2026-01-02T03:04:05Z",` +
		`"digits":6,"keeper":"store","seedSize":2,"type":"hotp","version":1}` + "\n\n\x00"
	r, err := decode("a", []byte(value))
	if err != nil {
		t.Fatal(err)
	}
	if string(r.handle) != "\n\x00" || r.Counter != 3 || r.Account != "bob" || r.Type != hotp.HOTP {
		t.Errorf("%+v", r.Token)
	}
	r.Counter++
	got, err := r.encode()
	want := strings.NewReplacer(`"counter":3`, `"counter":4`, `<`, `\u003c`).Replace(value)
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestRecordsThatAreNone(t *testing.T) {
	good := `{"version":1,"type":"totp","algorithm":"SHA1","digits":6,"period":30,"seedSize":1,"keeper":"store",` +
		`"created":"2026-01-02T03:04:05Z"}`
	if _, err := decode("a", []byte(good+"\n")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{
		"", good, "\n", "null\n", "[]\n", good[1:] + "\n", strings.Replace(good, "totp", "steam", 1) + "\n",
		strings.Replace(good, "SHA1", "MD5", 1) + "\n", strings.Replace(good, `"digits":6`, `"digits":5`, 1) + "\n",
		strings.Replace(good, `"digits":6`, `"digits":"6"`, 1) + "\n", strings.Replace(good, "digits", "Digits", 1) + "\n",
		strings.Replace(good, `"version":1`, `"version":1,"counter":5`, 1) + "\n",
	} {
		if _, err := decode("a", []byte(bad)); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	newer := strings.Replace(good, `"version":1`, `"version":2`, 1) + "\n"
	if _, err := decode("a", []byte(newer)); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
}

// FuzzRecord: a record that can be read is written so that it reads the same, and then no longer changes.
func FuzzRecord(f *testing.F) {
	for _, p := range []hotp.Parameters{hotp.DefaultTOTP, hotp.DefaultHOTP} {
		r := &record{handle: Handle("seed\n"), Token: Token{Name: "a", Issuer: "ACME", Parameters: p, SeedSize: 5,
			Keeper: InStore, Created: time.Unix(1e9, 0).UTC(), Used: time.Unix(2e9, 0).UTC()}}
		value, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
		f.Add(bytes.Replace(value, []byte("{"), []byte(`{"x":{"y":[null,1e5]},"Version":2,`), 1))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decode("a", value)
		if err != nil {
			return
		}
		once, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode("a", once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		twice, err := again.encode()
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q\n%q, %v", once, twice, err)
		}
		if !bytes.Equal(again.handle, r.handle) || !sameToken(again.Token, r.Token) {
			t.Errorf("%+v\n%+v", again.Token, r.Token)
		}
	})
}

// sameToken compares times as such: a zone may be spelt in several ways.
func sameToken(a, b Token) bool {
	same := a.Created.Equal(b.Created) && a.Used.Equal(b.Used)
	a.Created, a.Used, b.Created, b.Used = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return same && reflect.DeepEqual(a, b)
}
