package emulator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"fob/fido/ctap"
	"fob/fido/ctapnfc"
)

const (
	selectOATH = "\x00\xa4\x04\x00\x07\xa0\x00\x00\x05\x27\x21\x01"
	putTouched = "\x00\x01\x00\x00\x0b\x71\x01a\x73\x04\x11\x0612\x78\x02" // HOTP, named "a"
	calculate  = "\x00\xa2\x00\x01\x05\x71\x01a\x74\x00"
	listOATH   = "\x00\xa1\x00\x00\x00"
)

// onCard sends APDUs to the OATH application and gives the last response.
func onCard(t *testing.T, a *Authenticator, apdus ...string) (response string) {
	t.Helper()
	applet := a.OATH()
	card := ctapnfc.Card{Applets: map[string]ctapnfc.Applet{"\xa0\x00\x00\x05\x27\x21\x01": applet.Serve}}
	for _, c := range append([]string{selectOATH}, apdus...) {
		response = string(card.Exchange(t.Context(), []byte(c)))
	}
	return response
}

// TestOATH: accounts of OATH are part of the key's state, and no reset of FIDO deletes them.
func TestOATH(t *testing.T) {
	var asked []PresenceRequest
	deny := false
	a, err := New(Options{Presence: func(_ context.Context, r PresenceRequest) error {
		if asked = append(asked, r); deny {
			return ErrDenied
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := onCard(t, a, putTouched, calculate); !strings.HasSuffix(got, "\x90\x00") || len(got) != 9 {
		t.Errorf("% x", got)
	}
	deny = true
	if got := onCard(t, a, calculate); got != "\x69\x82" {
		t.Errorf("% x", got)
	}
	if want := []PresenceRequest{{Account: "a"}, {Account: "a"}}; !slices.Equal(asked, want) {
		t.Errorf("%+v", asked)
	}
	if got := asked[0].purpose(); got != ` for a code of "a"` {
		t.Error(got)
	}
	deny = false
	reset := ctap.Request{Payload: []byte{byte(ctap.CommandReset)}}
	if r := a.ServeCTAP(t.Context(), reset, func(ctap.KeepaliveStatus) {}); r[0] != 0 {
		t.Fatalf("% x", r)
	}
	fixture, err := a.Export()
	if err != nil {
		t.Fatal(err)
	}
	again, err := New(Options{Fixture: fixture})
	if err != nil {
		t.Fatal(err)
	}
	if got := onCard(t, again, listOATH); got != "\x72\x02\x11a\x90\x00" {
		t.Errorf("% x", got)
	}
	if c := again.state.OATH.Accounts[0].Counter; c != 1 {
		t.Errorf("counter %d", c)
	}
	bad := strings.Replace(string(fixture), `"digits": 6`, `"digits": 9`, 1)
	if _, err := New(Options{Fixture: []byte(bad)}); !errors.Is(err, ErrStateInvalid) {
		t.Error(err)
	}
}
