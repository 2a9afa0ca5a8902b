package fido

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"fob/fido/ctap"
)

// TestNewPINs is about PINs that are set or changed, by themselves and on the way to something else.
func TestNewPINs(t *testing.T) {
	set := func(t *testing.T, k *scriptedKey, p *person) error { return SetPIN(t.Context(), alone(k).Now[0], p) }
	change := func(t *testing.T, k *scriptedKey, p *person) error { return ChangePIN(t.Context(), alone(k).Now[0], p) }
	signIn := func(t *testing.T, k *scriptedKey, p *person) error {
		_, err := SignIn(t.Context(), alone(k), p, &SignInOptions{UserVerification: Required})
		return err
	}
	forced := ctap.GetInfoResponse{Options: options("clientPin"), ForcePINChange: true, MinPINLength: 6}
	for _, test := range []struct {
		name         string
		do           func(*testing.T, *scriptedKey, *person) error
		info         ctap.GetInfoResponse
		errs         []error
		pins, chosen []string
		asked, seen  []string
		want         error
	}{
		{
			name: "set", do: set, info: ctap.GetInfoResponse{Options: options("!clientPin")}, chosen: []string{"1234"},
			asked: []string{"set pin=1234"}, seen: []string{"new pin min=4 replaces=false refused=false"},
		},
		{
			name: "set, refused at first", do: set, info: ctap.GetInfoResponse{Options: options("!clientPin"), MinPINLength: 6},
			chosen: []string{"111111", "314159"}, errs: []error{ctap.ErrPINPolicyViolation},
			asked: []string{"set pin=111111", "set pin=314159"},
			seen:  []string{"new pin min=6 replaces=false refused=false", "new pin min=6 replaces=false refused=true"},
		},
		{
			name: "set, refused and given up", do: set, info: ctap.GetInfoResponse{Options: options("!clientPin")},
			chosen: []string{"1111"}, errs: []error{ctap.ErrPINPolicyViolation}, asked: []string{"set pin=1111"},
			seen: []string{"new pin min=4 replaces=false refused=false", "new pin min=4 replaces=false refused=true"},
			want: ErrDeclined,
		},
		{name: "set where there is one", do: set, info: ctap.GetInfoResponse{Options: options("clientPin")}, want: ErrPINSet},
		{name: "set on a key that takes none", do: set, info: ctap.GetInfoResponse{Options: options("uv")}, want: ErrPINless},
		{
			name: "change", do: change, info: ctap.GetInfoResponse{Options: options("clientPin")},
			pins: []string{"1234"}, chosen: []string{"5678"}, asked: []string{"change pin=1234 to 5678"},
			seen: []string{"pin retries=8 wrong=false", "new pin min=4 replaces=true refused=false"},
		},
		{
			name: "change, wrong at first", do: change, info: ctap.GetInfoResponse{Options: options("clientPin")},
			pins: []string{"1243", "1234"}, chosen: []string{"5678"}, errs: []error{ctap.ErrPINInvalid},
			asked: []string{"change pin=1243 to 5678", "change pin=1234 to 5678"},
			seen:  []string{"pin retries=8 wrong=false", "new pin min=4 replaces=true refused=false", "pin retries=7 wrong=true"},
		},
		{
			name: "change, wrong", do: change, info: ctap.GetInfoResponse{Options: options("clientPin")},
			pins: []string{"1243"}, chosen: []string{"5678"}, errs: []error{ctap.ErrPINInvalid},
			asked: []string{"change pin=1243 to 5678"},
			seen:  []string{"pin retries=8 wrong=false", "new pin min=4 replaces=true refused=false", "pin retries=7 wrong=true"},
			want:  ctap.ErrPINInvalid,
		},
		{
			name: "change, refused at first", do: change, info: ctap.GetInfoResponse{Options: options("clientPin")},
			pins: []string{"1234"}, chosen: []string{"1234", "5678"}, errs: []error{ctap.ErrPINPolicyViolation},
			asked: []string{"change pin=1234 to 1234", "change pin=1234 to 5678"},
			seen: []string{"pin retries=8 wrong=false", "new pin min=4 replaces=true refused=false",
				"new pin min=4 replaces=true refused=true"},
		},
		{
			name: "change where there is none", do: change, info: ctap.GetInfoResponse{Options: options("!clientPin")},
			want: ctap.ErrPINNotSet,
		},
		{
			name: "set on the way", do: signIn, info: ctap.GetInfoResponse{Options: options("!clientPin")}, chosen: []string{"1234"},
			asked: []string{"set pin=1234", "uv=false pin=1234"},
			seen:  []string{"new pin min=4 replaces=false refused=false"},
		},
		{
			name: "not set on the way", do: signIn, info: ctap.GetInfoResponse{Options: options("!clientPin")},
			seen: []string{"new pin min=4 replaces=false refused=false"}, want: ErrNoUserVerification,
		},
		{
			name: "changed on the way", do: signIn, info: forced, pins: []string{"123456"}, chosen: []string{"567890"},
			asked: []string{"change pin=123456 to 567890", "uv=false pin=567890"},
			seen:  []string{"pin retries=8 wrong=false", "new pin min=6 replaces=true refused=false"},
		},
		{
			name: "not changed on the way", do: signIn, info: forced, pins: []string{"123456"},
			seen: []string{"pin retries=8 wrong=false", "new pin min=6 replaces=true refused=false"},
			want: ErrPINChangeRequired,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := &scriptedKey{info: test.info, retries: 8, errs: test.errs, accounts: []string{"alice"}}
			who := &person{pins: test.pins, chosen: test.chosen}
			if err := test.do(t, key, who); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			who.seen = slices.DeleteFunc(who.seen, func(s string) bool { return s == "touch" })
			if !slices.Equal(key.asked, test.asked) || !slices.Equal(who.seen, test.seen) {
				t.Errorf("the key was asked %q, the person %q", key.asked, who.seen)
			}
			for _, pin := range key.pins {
				if !bytes.Equal(pin, make([]byte, len(pin))) {
					t.Error("a PIN was not wiped")
				}
			}
		})
	}
}
