package audit

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// hostile is a record whose texts are as bad as can be.
func hostile() Record {
	bad := strings.Repeat("\x1b[2J\u202e\xff\"\\\n<", 1000)
	r := Record{Seq: 1, Kind: Call, Verb: bad, Method: bad, RPID: bad, Result: bad, Decision: &Decision{bad, bad},
		Caller: &Caller{Name: bad, Executable: bad, Unit: bad, Terminal: bad}}
	for range 100 {
		r.Keys = append(r.Keys, Key{bad, bad})
	}
	return r
}

// TestHostileTexts: texts that others chose are bounded, and nothing in a line acts on a terminal.
func TestHostileTexts(t *testing.T) {
	r := hostile()
	r.bound()
	line, err := r.seal(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if len(line) > maxLine/2 || bytes.Count(line, []byte("\n")) != 1 || !utf8.Valid(line) {
		t.Errorf("%d bytes", len(line))
	}
	for _, c := range string(line[:len(line)-1]) {
		if !unicode.IsPrint(c) {
			t.Fatalf("%q is in a line", c)
		}
	}
	again, err := verified(testKey, bytes.TrimSuffix(line, []byte("\n")))
	if err != nil || again.RPID != r.RPID || len(again.Keys) != maxKeys ||
		!strings.HasPrefix(again.RPID, `\x1b[2J\u202e\xff`) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestBounded(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"example.com":                 "example.com",
		"müller.example":              "müller.example",
		`app-org\x2d1.scope`:          `app-org\x2d1.scope`,
		"\x1b[0m":                     `\x1b[0m`,
		"a\nb":                        `a\nb`,
		"\xff":                        `\xff`,
		strings.Repeat("x", 20):       strings.Repeat("x", 20),
		strings.Repeat("x", 21):       strings.Repeat("x", 20) + "…",
		strings.Repeat("ü", 11):       strings.Repeat("ü", 10) + "…",
		"x" + strings.Repeat("ü", 11): "x" + strings.Repeat("ü", 9) + "…",
		strings.Repeat("\x01", 6):     `\x01\x01\x01\x01\x01…`,
	} {
		if got := bounded(in, 20); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCanonicalLine(t *testing.T) {
	r := signIn("example.com")
	r.Seq, r.Kind, r.Time = 2, Call, time.Date(2026, 11, 24, 10, 0, 0, 5000, time.UTC)
	line, err := r.seal(testKey)
	if err != nil {
		t.Fatal(err)
	}
	zero := strings.Repeat("0", 64)
	want := `{"seq":2,"time":"2026-11-24T10:00:00.000005Z","kind":"call","verb":"sign-in",` +
		`"method":"fob.Ceremony.SignIn","rp":"example.com","keys":[{"id":"k1","product":"Test Key"}],` +
		`"caller":{"pid":7,"uid":1000,"executable":"/usr/bin/backup"},"result":"done","tookUsec":35000,"prev":"` + zero + `",` +
		`"mac":"` + r.MAC.String() + `"}` + "\n"
	if string(line) != want {
		t.Errorf("%s, want %s", line, want)
	}
	if other, err := r.seal(bytes.Repeat([]byte{1}, KeySize)); err != nil || bytes.Equal(other, line) {
		t.Errorf("another key gives the same: %v", err)
	}
	if _, err := verified(bytes.Repeat([]byte{1}, KeySize), line[:len(line)-1]); err == nil {
		t.Error("another key is taken")
	}
}

// TestBackwards: lines come whole, wherever the blocks end.
func TestBackwards(t *testing.T) {
	for _, size := range []int{1, 100, blockSize/3 - 1, maxLine} {
		var text bytes.Buffer
		var want []string
		for i := range 10 {
			line := fmt.Sprintf("%d%s", i, strings.Repeat("x", size-1))
			want = append(want, line)
			text.WriteString(line + "\n")
		}
		whole := int64(text.Len())
		for _, torn := range []string{"", "torn", strings.Repeat("t", 3*blockSize)} {
			b := bytes.NewReader(append(bytes.Clone(text.Bytes()), torn...))
			i := len(want)
			for line, err := range backwards(b, b.Size()) {
				if i--; i < 0 || err != nil || string(line) != want[i] {
					t.Fatalf("size %d, line %d: %d bytes, %v", size, i, len(line), err)
				}
			}
			if n, err := tail(b, b.Size()); i != 0 || err != nil || b.Size()-n != whole {
				t.Errorf("size %d: %d lines left, tail %d, %v", size, i, n, err)
			}
		}
	}
}

func TestBackwardsBounds(t *testing.T) {
	b := bytes.NewReader(append(bytes.Repeat([]byte{'x'}, 4*blockSize), '\n'))
	n := 0
	for _, err := range backwards(b, b.Size()) {
		if n++; err == nil {
			t.Error("a line of four blocks was given")
		}
	}
	if n != 1 {
		t.Errorf("%d lines", n)
	}
}

// FuzzRecord: what parse takes is what seal gives, and reads the same again.
func FuzzRecord(f *testing.F) {
	r := signIn("example.com")
	line, err := r.seal(testKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line[:len(line)-1])
	bad := hostile()
	bad.bound()
	if line, err = bad.seal(testKey); err != nil {
		f.Fatal(err)
	}
	f.Add(line[:len(line)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, body, err := parse(b)
		if err != nil {
			return
		}
		if again := fmt.Append(bytes.Clone(body), macName, r.MAC, macEnd); !bytes.Equal(again, b) {
			t.Fatalf("%q became %q", b, again)
		}
		if r.MAC != mac(testKey, macLabel, body) {
			if _, err := verified(testKey, b); err == nil {
				t.Fatal("a wrong MAC is taken")
			}
		}
		sealed, err := r.seal(testKey)
		if err != nil {
			return // too long with what JSON escapes
		}
		same, err := verified(testKey, sealed[:len(sealed)-1])
		if err != nil {
			t.Fatal(err)
		}
		if again, err := same.seal(testKey); err != nil || !bytes.Equal(again, sealed) {
			t.Fatalf("%q became %q, %v", sealed, again, err)
		}
		if n := seqOf(sealed); n != same.Seq {
			t.Fatalf("record %d, and the line says %d", same.Seq, n)
		}
	})
}

// FuzzHead: a slot is taken as it was written and in no other form.
func FuzzHead(f *testing.F) {
	h := head{Log: "0123456789abcdef", Seq: 7, First: 1}
	slot, err := h.seal(testKey, 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(slot)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHead(testKey, b, 1)
		if err != nil {
			return
		}
		if again, err := h.seal(testKey, 1); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q became %q, %v", b, again, err)
		}
	})
}
