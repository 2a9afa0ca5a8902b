package hotp

import (
	"bytes"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseSeed(t *testing.T) {
	for _, one := range []struct{ text, want string }{
		{"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "12345678901234567890"},
		{"gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "12345678901234567890"},
		{"\tGEZD-GNBV-GY3T-QOJQ\r\nGEZD-GNBV-GY3T-QOJQ\n", "12345678901234567890"},
		{"MY======", "f"}, {"MZXQ====", "fo"}, {"MZXW6===", "foo"}, {"MZXW6YQ=", "foob"}, {"MZXW6YTB", "fooba"},
		{"MZXW6YTBOI======", "foobar"}, {"my", "f"}, {"mzxq", "fo"}, {"mzxw6", "foo"}, {"mzxw6yq", "foob"},
		{"MY ==\n====", "f"}, {"MY=", "f"}, {"MZXW6YTB=", "fooba"},
		{"MZ", "f"}, // the bits that are left are not 0
		{strings.Repeat("A", 205), strings.Repeat("\x00", 128)},
	} {
		if got, err := ParseSeed([]byte(one.text)); err != nil || string(got) != one.want {
			t.Errorf("%q: %q, %v", one.text, []byte(got), err)
		}
	}
}

func TestParseSeedErrors(t *testing.T) {
	for _, one := range []struct{ text, want string }{
		{"", "the seed is empty"},
		{" -\n", "the seed is empty"},
		{"=", "the seed is empty"},
		{"========", "the seed is empty"},
		{"A", "the seed is no Base32: there is a letter too many or too few"},
		{"AAA", "the seed is no Base32: there is a letter too many or too few"},
		{"MZXW6YTBOIZDGN", "the seed is no Base32: there is a letter too many or too few"},
		{"AAAAA===AAAAA===", "the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{"GEZDGNB1", "the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{"GEZDGNB\x00", "the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{"GEZDGNB\xff", "the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{"GEZDGNé", "the seed is no Base32: it has other characters than A to Z and 2 to 7"},
		{strings.Repeat("A", 207), "the seed is longer than 128 bytes"},
	} {
		got, err := ParseSeed([]byte(one.text))
		if got != nil || !errors.As(err, new(*SeedError)) || err.Error() != one.want {
			t.Errorf("%q: %q, %v", one.text, []byte(got), err)
		}
	}
}

// FuzzParseSeed compares with encoding/base32, which wants capital letters and the right padding.
func FuzzParseSeed(f *testing.F) {
	for _, text := range []string{"GEZDGNBV", "my", "MY======", "MZXW6YTBOIZDGN", "a-b c\n", "=", "AAA=====", "AB=C",
		""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		got, err := ParseSeed(text)
		if !bytes.Equal(given, text) {
			t.Fatal("it changed what it was given")
		}
		if want, ok := decodeByLibrary(string(text)); ok != (err == nil) || ok && string(got) != want {
			t.Fatalf("%q: %q, %v, and by encoding/base32 %q, %v", text, []byte(got), err, want, ok)
		}
		if err != nil {
			return
		}
		again, err := ParseSeed(got.AppendBase32(nil))
		if err != nil || !again.Equal(got) {
			t.Fatalf("%q: encoded and decoded it is %x, %v, and not %x", text, []byte(again), err, []byte(got))
		}
	})
}

func decodeByLibrary(text string) (seed string, ok bool) {
	upper := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(" -\t\r\n", r):
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, text)
	upper = strings.TrimRight(upper, "=")
	upper += strings.Repeat("=", (8-len(upper)%8)%8)
	b, err := base32.StdEncoding.DecodeString(upper)
	return string(b), err == nil && len(b) > 0 && len(b) <= MaxSeed
}

func TestAppendBase32(t *testing.T) {
	if got := string(Seed("foobar").AppendBase32([]byte("seed="))); got != "seed=MZXW6YTBOI" {
		t.Error(got)
	}
}

// A seed does not print itself, whoever prints it.
func TestSeedIsSilent(t *testing.T) {
	seed := Seed("secret seed")
	holder := struct{ Seed Seed }{seed}
	log := new(bytes.Buffer)
	slog.New(slog.NewTextHandler(log, nil)).Info("m", "seed", seed, "holder", holder)
	said := log.String() + fmt.Sprintf("%v %+v %#v %s %x %q %d %v %+v",
		seed, seed, seed, seed, seed, seed, seed, holder, &holder)
	for _, secret := range []string{"secret", "7365637265", "115 101", "0x73"} {
		if strings.Contains(said, secret) {
			t.Errorf("it is in %q", said)
		}
	}
	if out, err := json.Marshal(holder); err == nil {
		t.Errorf("JSON: %s", out)
	}
}

func TestNewSeed(t *testing.T) {
	a, b := NewSeed(20), NewSeed(20)
	if len(a) != 20 || a.Equal(b) || a.Equal(make(Seed, 20)) {
		t.Error("two new seeds are not both random")
	}
	a.Wipe()
	if !a.Equal(make(Seed, 20)) {
		t.Error("it was not wiped")
	}
}
