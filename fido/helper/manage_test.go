package helper

import (
	"errors"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
)

func TestManagement(t *testing.T) {
	k, events := openKey(t, "good")
	for _, test := range []struct {
		name  string
		do    func() error
		event string
		want  error
	}{
		{"wink", func() error { return k.Wink(t.Context()) }, "wink", nil},
		{"set a PIN", func() error { return k.SetPIN(t.Context(), fido.PIN("123456")) }, "set PIN of 6", nil},
		{"change it", func() error { return k.ChangePIN(t.Context(), fido.PIN("1234"), fido.PIN("567890")) }, "change PIN of 4 to 6", nil},
		{"from a wrong one", func() error { return k.ChangePIN(t.Context(), fido.PIN("12345"), fido.PIN("567890")) },
			"change PIN of 5 to 6", ctap.ErrPINInvalid},
		{"too long", func() error { return k.SetPIN(t.Context(), make(fido.PIN, 64)) }, "", ctap.ErrPINPolicyViolation},
		{"configure", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{Subcommand: ctap.SubcommandToggleAlwaysUV, PIN: fido.PIN("1234")})
		}, "configure 2 min=0 rp=[] force=false", nil},
		{"minimum", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{Subcommand: ctap.SubcommandSetMinPINLength, MinPINLength: 8})
		}, "configure 3 min=8 rp=[] force=false", nil},
		{"relying parties", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{Subcommand: ctap.SubcommandSetMinPINLength, RPIDs: []string{"a.example"}})
		}, "configure 3 min=0 rp=[a.example] force=false", nil},
		{"forced change", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{Subcommand: ctap.SubcommandSetMinPINLength, ForceChange: true})
		}, "configure 3 min=0 rp=[] force=true", nil},
		{"two things at once", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{
				Subcommand: ctap.SubcommandSetMinPINLength, ForceChange: true, MinPINLength: 8})
		}, "", ctap.ErrInvalidParameter},
		{"nothing", func() error {
			return k.Configure(t.Context(), &fido.ConfigRequest{Subcommand: ctap.SubcommandSetMinPINLength})
		}, "", ctap.ErrInvalidParameter},
	} {
		if err := test.do(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.event != "" {
			events.want(t, test.event)
		}
	}
}
