package check

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
)

func token(serial string, seed hotp.Seed) *seedfile.Token {
	return &seedfile.Token{Parameters: hotp.DefaultTOTP, Serial: serial, Seed: seed}
}

func unhex(t *testing.T, s string) hotp.Seed {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWeak(t *testing.T) {
	for s, want := range map[string]string{
		"3132333435363738393031323334353637383930": "is an example in a document, which everybody knows",
		"48656c6c6f21deadbeef":                     "is an example in a document, which everybody knows",
		"00000000000000000000000000000000":         "is one byte, repeated",
		"ffffffffffffffffffffffffffffffffffffffff": "is one byte, repeated",
		"000102030405060708090a0b0c0d0e0f10111213": "only counts",
		"ff0306090c0f1215181b1e2124272a2d":         "counts in a part of it",
		"fefdfcfbfaf9f8f7f6f5f4f3f2f1f0ef":         "only counts",
		"deadbeefdeadbeefdeadbeefdeadbeefdead":     "repeats itself",
		"8a1f33c207e45b9d8a1f33c207e45b9d":         "repeats itself",
		"8a1f33c207e45b9d41d20000000000000000 9c": "has the same byte many times in a row, " +
			"as one that was cut off and filled up",
		"8a1f33c207e45b9d41d2 7071727374757677 f00d": "counts in a part of it",
		// the hexadecimal digits of a seed, as bytes
		"386131663333633230376534356239643431643239303131": "is a text, " +
			"as one that somebody has typed or forgotten to decode",
		"8a8a1f1f1f8a8a1f1f8a1f8a8a8a1f8a": "is made of few different bytes",

		"8a1f33c207e45b9d41d290117e3355aa0c6bd1f8":         "",
		"8a1f33c207e45b9d":                                 "",
		"8a1f33c207000000000000005b9d41d290117e3355aa0c6b": "", // seven in a row
		"6c6f6e672d7465787421000a7365656473212121":         "", // not all of it is text
	} {
		if got := weak(unhex(t, s)); got != want {
			t.Errorf("%s %q, expected %q", s, got, want)
		}
	}
}

// TestRandomIsNotWeak: of many good seeds, none is found weak, and no two are the same.
func TestRandomIsNotWeak(t *testing.T) {
	c := New()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100000 {
		seed := make(hotp.Seed, 16+random.IntN(49))
		for i := range seed {
			seed[i] = byte(random.Uint32())
		}
		c.Token(token(fmt.Sprint(i), seed))
	}
	if r := c.Close(); !r.OK() || r.Tokens != 100000 || len(r.Counts) > 1 {
		t.Errorf("%+v", r)
	}
}

// TestReport: each kind of finding, with the place of its token.
func TestReport(t *testing.T) {
	good := unhex(t, "8a1f33c207e45b9d41d290117e3355aa0c6bd1f8")
	near := append(hotp.Seed{}, good...)
	near[19]++
	long := token("D4", append(append(hotp.Seed{}, unhex(t, "0123")...), good...))
	long.Algorithm, long.Line = hotp.SHA512, 9
	c := New()
	c.Token(token("A1", good))
	c.Token(token("B2", near))
	c.Bad(&seedfile.RowError{Line: 4, Column: 2, Token: "C3", Problem: errors.New("the seed is no Base32")})
	c.Bad(&seedfile.RowError{Token: "C4", Problem: seedfile.ErrMAC})
	c.Token(long)
	c.Token(token("E5", good[:10]))
	c.Token(token("B2", good))
	c.Token(token("", good))
	yubico := token("F6", good[4:20])
	yubico.Parameters, yubico.Yubico = hotp.Parameters{}, &seedfile.Yubico{}
	c.Token(yubico)
	elsewhere := token("B2", good[1:19])
	elsewhere.Manufacturer = "another"
	c.Token(elsewhere)
	r := c.Close()
	names := make(map[int]string)
	for i := range r.Nameless() {
		names[i] = fmt.Sprint("name ", i)
	}
	r.Name(names)
	want := []Finding{
		{Kind: WeakSeed, Token: "B2", Index: 2, Text: "its seed is nearly that of the token before"},
		{Kind: Unreadable, Token: "C3", Index: 3, Line: 4, Text: "the seed is no Base32"},
		{Kind: WrongMAC, Token: "C4", Index: 4, Text: "its seed was changed: the MAC is wrong"},
		{Kind: SmallSeed, Token: "D4", Index: 5, Line: 9, Text: "its seed has 176 bits; 512 are recommended for SHA512"},
		{Kind: ShortSeed, Token: "E5", Index: 6, Text: "its seed has 80 bits, and RFC 4226 wants 128 at least"},
		{Kind: SmallSeed, Token: "B2", Index: 10, Text: "its seed has 144 bits; 160 are recommended for SHA1"},
		{Kind: DuplicateSeed, Index: 1, Text: "3 tokens have the same seed", Same: []int{1, 7, 8},
			Names: []string{"name 1", "name 7", "name 8"}},
		{Kind: DuplicateSerial, Index: 2, Text: "2 tokens have the same serial number", Same: []int{2, 7},
			Names: []string{"name 2", "name 7"}},
	}
	if !reflect.DeepEqual(r.Findings, want) {
		for i := range max(len(want), len(r.Findings)) {
			t.Errorf("%d: %+v", i, r.Findings[min(i, len(r.Findings)-1)])
		}
	}
	counts := map[Kind]int{WeakSeed: 1, Unreadable: 1, WrongMAC: 1, SmallSeed: 2, ShortSeed: 1, DuplicateSeed: 3,
		DuplicateSerial: 2}
	if !reflect.DeepEqual(r.Counts, counts) || r.Tokens != 8 || r.Bad != 2 || r.OK() {
		t.Errorf("%+v", r)
	}
}

// TestNotesAreNoFault: a seed that is only shorter than recommended.
func TestNotesAreNoFault(t *testing.T) {
	c := New()
	c.Token(token("A1", unhex(t, "8a1f33c207e45b9d41d290117e3355aa")))
	if r := c.Close(); !r.OK() || r.Counts[SmallSeed] != 1 {
		t.Errorf("%+v", r)
	}
}

// TestManyFindings: all are counted, and a few told.
func TestManyFindings(t *testing.T) {
	c := New()
	for range 3 * MaxFindings {
		c.Token(token("A1", make(hotp.Seed, 20)))
	}
	r := c.Close()
	if r.Counts[WeakSeed] != 3*MaxFindings || r.Counts[DuplicateSeed] != 3*MaxFindings ||
		len(r.Findings) != MaxFindings+2 || len(r.Findings[MaxFindings].Same) != MaxFindings {
		t.Errorf("%v, %d findings", r.Counts, len(r.Findings))
	}
}

// TestTable beside a map.
func TestTable(t *testing.T) {
	var table table
	random := rand.New(rand.NewPCG(3, 4))
	lists := make(map[uint64][]int)
	for i := range 10000 {
		hash := random.Uint64N(5000) * 0x1234567890abcdef
		table.add(hash, i)
		lists[hash] = append(lists[hash], i)
	}
	want := make(map[string]bool)
	for _, list := range lists {
		if len(list) > 1 {
			want[fmt.Sprint(list)] = true
		}
	}
	got := table.repeated()
	for _, group := range got {
		if !want[fmt.Sprint(group)] {
			t.Errorf("%v is no group", group)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d groups, expected %d", len(got), len(want))
	}
}

// TestWipes: no seed is left in the checker.
func TestWipes(t *testing.T) {
	c := New()
	c.Token(token("A1", unhex(t, "8a1f33c207e45b9d41d290117e3355aa")))
	c.Close()
	if !c.previous.Equal(make(hotp.Seed, 16)) {
		t.Error("the last seed is left")
	}
}
