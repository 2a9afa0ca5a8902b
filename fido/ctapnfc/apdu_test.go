package ctapnfc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
)

// The seven forms of a command APDU (ISO 7816-4, "Command-response pairs").
func TestCommandForms(t *testing.T) {
	for _, test := range []struct {
		apdu string
		want Command
	}{
		{"00a40400", Command{INS: 0xa4, P1: 4}},
		{"00a4040001", Command{INS: 0xa4, P1: 4, Ne: 1}},
		{"00a40400ff", Command{INS: 0xa4, P1: 4, Ne: 255}},
		{"00a4040000", Command{INS: 0xa4, P1: 4, Ne: 256}},
		{"8010800001 04", Command{CLA: 0x80, INS: 0x10, P1: 0x80, Data: []byte{4}}},
		{"8010800001 0400", Command{CLA: 0x80, INS: 0x10, P1: 0x80, Data: []byte{4}, Ne: 256}},
		{"01020304ff" + hexCount(255), Command{CLA: 1, INS: 2, P1: 3, P2: 4, Data: count(255)}},
		{"01020304ff" + hexCount(255) + "07", Command{CLA: 1, INS: 2, P1: 3, P2: 4, Data: count(255), Ne: 7}},
		{"01020304 000001", Command{CLA: 1, INS: 2, P1: 3, P2: 4, Ne: 1, Extended: true}},
		{"01020304 000000", Command{CLA: 1, INS: 2, P1: 3, P2: 4, Ne: 65536, Extended: true}},
		{"01020304 000001 05", Command{CLA: 1, INS: 2, P1: 3, P2: 4, Data: []byte{5}, Extended: true}},
		{"01020304 000001 05 0100", Command{CLA: 1, INS: 2, P1: 3, P2: 4, Data: []byte{5}, Ne: 256, Extended: true}},
		{"01020304 00ffff" + hexCount(65535) + "0000",
			Command{CLA: 1, INS: 2, P1: 3, P2: 4, Data: count(65535), Ne: 65536, Extended: true}},
	} {
		b := unhex(test.apdu)
		if got, err := ParseCommand(b); !reflect.DeepEqual(got, test.want) || err != nil {
			t.Errorf("%.40s: %+v, %v", test.apdu, got, err)
		}
		if got, err := test.want.Bytes(); !bytes.Equal(got, b) || err != nil {
			t.Errorf("%.40s: encoded % x, %v", test.apdu, got, err)
		}
	}
}

func TestBadCommands(t *testing.T) {
	for _, apdu := range []string{
		"", "00", "000000",
		"00000000 0000",            // neither short nor extended
		"00000000 0201",            // short of data
		"00000000 01020304",        // after Le
		"00000000 000002 01",       // short of data, extended
		"00000000 000001 0102",     // half an Le
		"00000000 000001 01020304", // after Le
		"00000000 000000 0000",     // Lc of 0
		"00000000 000000 00",
	} {
		if c, err := ParseCommand(unhex(apdu)); !errors.Is(err, SWWrongLength) || !reflect.DeepEqual(c, Command{}) {
			t.Errorf("%s: %+v, %v", apdu, c, err)
		}
	}
	for _, c := range []Command{
		{Data: count(256)}, {Ne: 257}, {Ne: -1},
		{Data: make([]byte, 65536), Extended: true}, {Ne: 65537, Extended: true},
	} {
		if b, err := c.Bytes(); !errors.Is(err, SWWrongLength) {
			t.Errorf("encoded % x, %v", b, err)
		}
	}
}

func TestResponse(t *testing.T) {
	for _, s := range []string{"9000", "6a82", "0102036103", hexCount(65536) + "9000"} {
		r, err := ParseResponse(unhex(s))
		if err != nil || hex.EncodeToString(r.Bytes()) != s {
			t.Errorf("%.40s: %v, %v", s, r.SW, err)
		}
	}
	for _, b := range [][]byte{nil, {0x90}, make([]byte, 65539)} {
		if _, err := ParseResponse(b); !errors.Is(err, SWWrongLength) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestStatusWordText(t *testing.T) {
	for sw, want := range map[StatusWord]string{
		SWWrongLength: "wrong length (SW 6700)",
		0x6110:        "response bytes still available (SW 6110)",
		0x6c20:        "wrong Le field (SW 6c20)",
		0x1234:        "unknown status word 1234",
	} {
		if sw.Error() != want {
			t.Errorf("%04x: %q, want %q", uint16(sw), sw.Error(), want)
		}
	}
}

func TestBytesAvailable(t *testing.T) {
	for n, want := range map[int]StatusWord{1: 0x6101, 255: 0x61ff, 256: 0x6100, 9999: 0x6100} {
		if sw := bytesAvailable(n); sw != want || sw.available() != min(n, 256) {
			t.Errorf("%d: %04x, available %d", n, uint16(sw), sw.available())
		}
	}
	if n := SWSuccess.available(); n != 0 {
		t.Errorf("9000: %d available", n)
	}
}

// FuzzCommand: what can be decoded, encodes to the same bytes.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"00a4040008a0000006472f0001", "8010800001 0400", "00c0000010", "00030000 000000",
		"00030000 000001 ff", "00030000 000001 ff 0000", "0003000000", ""} {
		f.Add(unhex(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommand(b)
		if err != nil {
			if !errors.Is(err, SWWrongLength) {
				t.Fatal(err)
			}
			return
		}
		if again, err := c.Bytes(); !bytes.Equal(again, b) || err != nil {
			t.Errorf("% x: encoded % x, %v", b, again, err)
		}
	})
}

// FuzzResponse: what can be decoded, encodes to the same bytes.
func FuzzResponse(f *testing.F) {
	f.Add(unhex("9000"))
	f.Add(unhex("026100"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseResponse(b)
		if err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Errorf("% x: encoded % x", b, r.Bytes())
		}
	})
}
