package ipc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"unicode/utf8"
)

func TestSecretDoesNotPrint(t *testing.T) {
	s := Secret("31415926")
	for _, text := range []string{fmt.Sprintf("%v %s %q %x %+v", s, s, s, s, Answer{PIN: s}), fmt.Sprint(s.LogValue())} {
		if bytes.Contains([]byte(text), []byte("31415926")) || bytes.Contains([]byte(text), []byte("3331")) {
			t.Errorf("printed: %s", text)
		}
	}
	if b, err := json.Marshal(Answer{PIN: s}); err == nil {
		t.Errorf("encoded: %s", b)
	}
	for _, wrong := range []string{`{"pin":31415926}`, `{"pin":["31415926"]}`} {
		if err := json.Unmarshal([]byte(wrong), new(Answer)); err == nil || bytes.Contains([]byte(err.Error()), []byte("31415926")) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// FuzzSecret holds our decoding of JSON strings, and our encoding, to encoding/json.
func FuzzSecret(f *testing.F) {
	for _, seed := range []string{`"1234"`, `"\"\\\/\b\f\n\r\t"`, `"\u00e4\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"ä"`, `1`, `null`, `"\ud83d\u0041"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want *string
		wantErr := json.Unmarshal(b, &want)
		var got Secret
		err := json.Unmarshal(b, &got)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v; encoding/json says %v", b, err, wantErr)
		}
		if err != nil || want == nil {
			return
		}
		if utf8.Valid(b) && string(got) != *want { // encoding/json replaces invalid UTF-8; for a PIN that is refused later
			t.Fatalf("%q: %q, want %q", b, []byte(got), *want)
		}
		encoded := got.AppendJSON(make([]byte, 0, got.maxJSON()))
		if len(encoded) > got.maxJSON() {
			t.Fatalf("%q: %d bytes encoded", []byte(got), len(encoded))
		}
		var again Secret
		if err := json.Unmarshal(encoded, &again); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q became %q (%v)", []byte(got), []byte(again), err)
		}
	})
}
