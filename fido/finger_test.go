package fido

import (
	"errors"
	"slices"
	"testing"

	"fob/fido/ctap"
)

// TestFingers is about fingers that the key does not know: how often they are tried, and what comes then.
func TestFingers(t *testing.T) {
	const asked, typed = "uv=true pin=", "uv=false pin=1234"
	unknown := func(n int) []error { return slices.Repeat([]error{ctap.ErrUVInvalid}, n) }
	for _, test := range []struct {
		name    string
		options []string
		fingers uint
		untold  bool
		prefers uint
		errs    []error
		asked   []string
		seen    []string
		want    error
	}{
		{name: "the second finger", options: []string{"uv", "clientPin"}, fingers: 3, errs: unknown(1),
			asked: []string{asked, asked}, seen: []string{"finger retries=3 wrong=false", "finger retries=2 wrong=true"}},
		{name: "then the PIN", options: []string{"uv", "clientPin"}, fingers: 5, errs: unknown(3),
			asked: []string{asked, asked, asked, typed},
			seen: []string{"finger retries=5 wrong=false", "finger retries=4 wrong=true", "finger retries=3 wrong=true",
				"pin retries=8 wrong=false", "touch"}},
		{name: "the PIN as soon as the key prefers", options: []string{"uv", "clientPin"}, fingers: 5, prefers: 1, errs: unknown(1),
			asked: []string{asked, typed}, seen: []string{"finger retries=5 wrong=false", "pin retries=8 wrong=false", "touch"}},
		{name: "none left, so the PIN at once", options: []string{"uv", "clientPin"},
			asked: []string{typed}, seen: []string{"pin retries=8 wrong=false", "touch"}},
		{name: "the last one", options: []string{"uv", "clientPin"}, fingers: 1, errs: unknown(1),
			asked: []string{asked, typed}, seen: []string{"finger retries=1 wrong=false", "pin retries=8 wrong=false", "touch"}},
		{name: "a key that doesn't tell", options: []string{"uv", "clientPin"}, untold: true, errs: unknown(1),
			asked: []string{asked, asked}, seen: []string{"finger retries=0 wrong=false", "finger retries=0 wrong=true"}},
		{name: "no PIN to fall back to", options: []string{"uv"}, fingers: 2, errs: unknown(2), asked: []string{asked, asked},
			seen: []string{"finger retries=2 wrong=false", "finger retries=1 wrong=true"}, want: ctap.ErrUVBlocked},
		{name: "a PIN that is for managing", options: []string{"uv", "clientPin", "noMcGaPermissionsWithClientPin"}, fingers: 4,
			errs: unknown(4), asked: slices.Repeat([]string{asked}, 4), want: ctap.ErrUVBlocked},
		{name: "no finger, and a PIN that is for managing", options: []string{"clientPin", "noMcGaPermissionsWithClientPin"},
			want: ErrNoUserVerification},
		{name: "a key that never stops", options: []string{"uv"}, untold: true, errs: unknown(100),
			asked: slices.Repeat([]string{asked}, 25), want: ctap.ErrUVInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			key := &scriptedKey{retries: 8, fingers: test.fingers, fingersUntold: test.untold, errs: test.errs,
				accounts: []string{"alice"},
				info:     ctap.GetInfoResponse{Options: options(test.options...), PreferredUVAttempts: test.prefers}}
			who := &person{pins: []string{"1234"}}
			_, err := SignIn(t.Context(), alone(key), who, &SignInOptions{UserVerification: Required})
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if !slices.Equal(key.asked, test.asked) || test.seen != nil && !slices.Equal(who.seen, test.seen) {
				t.Errorf("the key was asked %q, the person saw %q", key.asked, who.seen)
			}
		})
	}
}
