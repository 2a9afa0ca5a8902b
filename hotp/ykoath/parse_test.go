package ykoath

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"fob/hotp"
)

func TestNames(t *testing.T) {
	long := strings.Repeat("é", 32)
	for _, test := range []struct {
		id   string
		t    hotp.Type
		want Name
	}{
		{"bob", hotp.TOTP, Name{"", "bob", 30}},
		{"ACME:bob", hotp.TOTP, Name{"ACME", "bob", 30}},
		{"60/ACME:bob", hotp.TOTP, Name{"ACME", "bob", 60}},
		{"60/ACME:bob", hotp.HOTP, Name{"60/ACME", "bob", 0}},
		{"ACME:a:b", hotp.TOTP, Name{"ACME", "a:b", 30}},
		{"/x", hotp.TOTP, Name{"", "/x", 30}},
		{"60/", hotp.TOTP, Name{"", "60/", 30}},
		{"0/x", hotp.TOTP, Name{"", "0/x", 30}},
		{"-1/x", hotp.TOTP, Name{"", "-1/x", 30}},
		{"99999999999999999999/x", hotp.TOTP, Name{"", "99999999999999999999/x", 30}},
		{"86400/x", hotp.TOTP, Name{"", "x", 86400}},
		{"86401/x", hotp.TOTP, Name{"", "86401/x", 30}},
		{":bob", hotp.TOTP, Name{"", ":bob", 30}},
		{"bob:", hotp.TOTP, Name{"", "bob:", 30}},
		{"30/15/x", hotp.TOTP, Name{"", "15/x", 30}},
		{long, hotp.HOTP, Name{"", long, 0}},
	} {
		got := ParseID(test.id, test.t)
		if got != test.want {
			t.Errorf("%q: %+v, and not %+v", test.id, got, test.want)
		}
		if id, err := got.ID(test.t); id != test.id || err != nil {
			t.Errorf("%q became %q, %v", test.id, id, err)
		}
	}
	for _, bad := range []Name{{"", "", 30}, {"ACME", "", 30}, {"A:B", "c", 30}, {"", "a:b", 30}, {"", "a", 0},
		{"", "a", 86401}, {"", long + "n", 30}, {"", strings.Repeat("n", 62), 60}} {
		if id, err := bad.ID(hotp.TOTP); err == nil {
			t.Errorf("%+v is %q", bad, id)
		}
	}
}

// FuzzID: an ID says what is read from it, whatever it is.
func FuzzID(f *testing.F) {
	for _, id := range []string{"60/ACME:bob", "0/a", "30/1/x", "::", "/", "1/:a", "é:\xff"} {
		f.Add(id, true)
	}
	f.Fuzz(func(t *testing.T, id string, totp bool) {
		kind := hotp.HOTP
		if totp {
			kind = hotp.TOTP
		}
		n := ParseID(id, kind)
		again, err := n.ID(kind)
		if err != nil {
			if id != "" && len(id) <= MaxID-len("30/") {
				t.Fatalf("%q is %+v: %v", id, n, err)
			}
			return
		}
		if back := ParseID(again, kind); back != n {
			t.Fatalf("%q is %+v, and %q is %+v", id, n, again, back)
		}
	})
}

// encode is the reverse of parseObjects.
func encode(objects []object) (b []byte) {
	for _, o := range objects {
		b = appendObject(b, o.tag, o.value)
	}
	return b
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte{0x72, 2, 0x21, 'a', 0x71, 0})
	f.Add(appendObject(nil, tagKey, make([]byte, 0x80)))
	f.Add(appendObject(nil, tagKey, make([]byte, 0x100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		objects, err := parseObjects(b)
		if err == nil && !bytes.Equal(encode(objects), b) {
			t.Fatalf("% x became % x", b, encode(objects))
		}
	})
}

func FuzzSelect(f *testing.F) {
	f.Add([]byte("\x79\x03\x05\x04\x03\x71\x0812345678"))
	f.Add([]byte("\x79\x03\x05\x04\x03\x71\x0812345678\x74\x0812345678\x7b\x01\x01"))
	f.Add([]byte("\x79\x03\x04\x0d\x00\x82\x01\x08\x8f\x04abcd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Session
		if s.parseSelect(b) != nil {
			return
		}
		v := appendObject(nil, tagVersion, []byte{s.Version.Major, s.Version.Minor, s.Version.Patch})
		if s.salt != nil {
			v = appendObject(v, tagName, s.salt)
		}
		if s.challenge != nil {
			v = appendObject(v, tagChallenge, s.challenge)
		}
		if s.Nitrokey {
			objects, _ := parseObjects(b)
			i := len(objects) - 1
			for objects[i].tag != tagSerial {
				i--
			}
			v = appendObject(v, tagSerial, objects[i].value)
		}
		if err := again.parseSelect(v); err != nil || again.DeviceID != s.DeviceID || again.Locked() != s.Locked() ||
			again.Version != s.Version {
			t.Fatalf("% x became %+v, %v", b, again, err)
		}
	})
}

func FuzzList(f *testing.F) {
	f.Add([]byte("\x72\x04\x21bob\x72\x02\x13a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseList(b)
		if err != nil {
			return
		}
		objects, _ := parseObjects(b)
		objects = slices.DeleteFunc(objects, func(o object) bool { // what is none of OATH
			_, _, ok := parseKind(o.value[0])
			return !ok
		})
		var again []byte
		for _, c := range all {
			again = appendObject(again, tagListed, []byte{kindOf(c.Type, c.Algorithm)}, []byte(c.ID))
		}
		if !bytes.Equal(again, encode(objects)) {
			t.Fatalf("% x became % x", b, again)
		}
	})
}

func FuzzAll(f *testing.F) {
	f.Add([]byte("\x71\x03bob\x76\x05\x06\x00\x01\x02\x03\x71\x01h\x77\x01\x06\x71\x01t\x7c\x01\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseAll(b)
		if err != nil {
			return
		}
		objects, _ := parseObjects(b)
		for i, c := range all {
			tag := objects[2*i+1].tag
			if string(objects[2*i].value) != c.ID || (tag == tagTouch) != c.Touch || (tag == tagHOTP) != (c.Type == hotp.HOTP) ||
				(tag == tagTruncated) != (c.Code != "") {
				t.Fatalf("% x: %+v", b, c)
			}
			if c.Code != "" && len(c.Code) != int(objects[2*i+1].value[0]) {
				t.Fatalf("% x: %+v", b, c)
			}
		}
		if 2*len(all) != len(objects) {
			t.Fatalf("% x: %d", b, len(all))
		}
	})
}
