package oathapplet

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"fob/fido/ctapnfc"
)

// bench is an applet on a card.
type bench struct {
	*Applet
	t    *testing.T
	card ctapnfc.Card
}

func newBench(t *testing.T, s State) *bench {
	b := &bench{Applet: New(s), t: t}
	b.card.Applets = map[string]ctapnfc.Applet{AID: b.Serve}
	return b
}

// asks sends an APDU and wants a response, both in hexadecimal.
func (b *bench) asks(command, want string) {
	b.t.Helper()
	c, err := hex.DecodeString(strings.ReplaceAll(command, " ", ""))
	if err != nil {
		b.t.Fatal(err)
	}
	if got := hex.EncodeToString(b.card.Exchange(b.t.Context(), c)); got != strings.ReplaceAll(want, " ", "") {
		b.t.Errorf("%s: %s, and not %s", command, got, want)
	}
}

const selectOATH = "00a40400 07 a0000005272101"

var fixed = State{ID: []byte{1, 2, 3, 4, 5, 6, 7, 8}}

// TestAPDUs has the seed of RFC 4226 under the name "a".
func TestAPDUs(t *testing.T) {
	key := hex.EncodeToString([]byte("12345678901234567890"))
	b := newBench(t, fixed)
	b.asks(selectOATH, "7903050403 71080102030405060708 9000")
	b.asks("00a10000", "9000")
	b.asks("00010000 1b 710161 7316 1106"+key, "9000")
	b.asks("00a20001 05 710161 7400", "7605 06 4c93cf18 9000")
	b.asks("00a20000 05 710161 7400", "7515 06 75a48a19d4cbe100644e8ac1397eea747a2d33ab 9000")
	b.asks("00010000 1d 710174 7316 2106"+key+" 7802", "9000")
	b.asks("00010000 21 710168 7316 1106"+key+" 7a0400000002", "9000")
	b.asks("00010000 21 710169 7316 2106"+key+" 7a0400000002", "6a80") // TOTP has no counter
	b.asks("00a10000", "72021161 72022174 72021168 9000")
	b.asks("00a40001 0a 74080000000000000001", "710161 770106 710174 7c0106 710168 770106 9000")
	b.asks("00a20001 05 710168 7400", "7605 06 082fef30 9000")
	b.asks("00050000 06 710161 710162", "9000")
	b.asks("00050000 06 710162 710168", "6a80")
	b.asks("00050000 06 710161 710163", "6984")
	b.asks("00020000 03 710162", "9000")
	b.asks("00020000 03 710162", "6984")
	b.asks("00a20001 05 710162 7400", "6984")
	b.asks("00a20001 05 710174 7400", "6a80") // no challenge
	b.asks("00a30000 04 7500 7400", "6984")
	b.asks("00040000", "6a86")
	b.asks("00060000", "6d00")
	b.asks("80a10000", "6d00")
	b.asks("0004dead", "9000")
	b.asks("00a10000", "9000")
}

// TestOnlyIncreasing: an account of that property wants ever higher challenges.
func TestOnlyIncreasing(t *testing.T) {
	b := newBench(t, fixed)
	b.asks(selectOATH, "7903050403 71080102030405060708 9000")
	b.asks("00010000 0b 710161 7304 21063132 7801", "9000")
	b.asks("00a20001 0d 710161 74080000000000000005", "7605 06 222ec06c 9000")
	b.asks("00a20001 0d 710161 74080000000000000004", "6982")
	b.asks("00a40001 0a 74080000000000000001", "710161 7c0106 9000")
}

// TestNotSaved: what could not be saved has not happened.
func TestNotSaved(t *testing.T) {
	b := newBench(t, fixed)
	var saved []State
	full := errors.New("disk full")
	b.Save = func(s State) error { saved = append(saved, s); return full }
	b.asks(selectOATH, "7903050403 71080102030405060708 9000")
	b.asks("00010000 09 710161 7304 11063132", "6581")
	full = nil
	b.asks("00a10000", "9000")
	b.asks("00010000 09 710161 7304 11063132", "9000")
	full = errors.New("disk full")
	b.asks("00a20001 05 710161 7400", "6581")
	b.asks("0004dead", "6581")
	if len(b.State().Accounts) != 1 || b.State().Accounts[0].Counter != 0 || len(saved) != 4 {
		t.Errorf("%+v", b.State())
	}
}

func TestState(t *testing.T) {
	s := NewState()
	s.AccessKey = []byte{1}
	s.Accounts = []Account{{Name: "a", Kind: 0x11, Digits: 6, Key: []byte{1}, Counter: 3},
		{Name: "b", Kind: 0x23, Digits: 8, Key: []byte{2}, Touch: true}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again State
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(s, again) || again.Check() != nil {
		t.Errorf("%s: %+v, %v", text, again, err)
	}
	for i, bad := range []func(*State){
		func(s *State) { s.ID = nil },
		func(s *State) { s.Accounts[1].Name = "a" },
		func(s *State) { s.Accounts[1].Name = "" },
		func(s *State) { s.Accounts[1].Kind = 0x24 },
		func(s *State) { s.Accounts[1].Kind = 0x31 },
		func(s *State) { s.Accounts[1].Digits = 9 },
		func(s *State) { s.Accounts[1].Key = nil },
		func(s *State) { s.Accounts = make([]Account, Capacity+1) },
	} {
		c := s.clone()
		if bad(&c); !errors.Is(c.Check(), ErrState) {
			t.Errorf("%d is good", i)
		}
	}
}

// FuzzServe: whatever commands do, the state stays one that could have been saved, and is the one that was.
func FuzzServe(f *testing.F) {
	f.Add("00a4040007a0000005272101", "00010000097101617304110631327", "00a200010571016174 00")
	f.Add("0003000004730074", "00a40001027400", "00a5000000")
	f.Fuzz(func(t *testing.T, one, two, three string) {
		a := New(fixed)
		saved := fixed
		a.Save = func(s State) error { saved = s; return nil }
		a.Touch = func(context.Context, string) error { return errors.New("no") }
		card := ctapnfc.Card{Applets: map[string]ctapnfc.Applet{AID: a.Serve}}
		for _, text := range []string{selectOATH, one, two, three, two} {
			command, _ := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
			if r := card.Exchange(t.Context(), command); len(r) < 2 {
				t.Fatalf("%s: % x", text, r)
			}
			if s := a.State(); s.Check() != nil || fmt.Sprint(s) != fmt.Sprint(saved) {
				t.Fatalf("%+v, and %+v was saved: %v", s, saved, s.Check())
			}
		}
	})
}
