package fido

import (
	"errors"
	"slices"
	"testing"

	"fob/fido/ctap"
)

// TestConfigure is about what a key is asked, how the person is verified for it, and what is refused before.
func TestConfigure(t *testing.T) {
	alwaysUV := func(on bool) func(*testing.T, Candidate, Prompter) error {
		return func(t *testing.T, k Candidate, p Prompter) error { return SetAlwaysUV(t.Context(), k, p, on) }
	}
	enterprise := func(t *testing.T, k Candidate, p Prompter) error {
		return EnableEnterpriseAttestation(t.Context(), k, p)
	}
	minimum := func(r ConfigRequest) func(*testing.T, Candidate, Prompter) error {
		r.Subcommand = ctap.SubcommandSetMinPINLength
		return func(t *testing.T, k Candidate, p Prompter) error { return Configure(t.Context(), k, p, r) }
	}
	for _, test := range []struct {
		name  string
		do    func(*testing.T, Candidate, Prompter) error
		info  ctap.GetInfoResponse
		asked []string
		want  error
	}{
		{"with the PIN", alwaysUV(true), ctap.GetInfoResponse{Options: options("authnrCfg", "!alwaysUv", "clientPin")},
			[]string{"configure 2 pin=1234 min=0 rp=[] force=false"}, nil},
		{"already so", alwaysUV(true), ctap.GetInfoResponse{Options: options("authnrCfg", "alwaysUv", "clientPin")}, nil, nil},
		{"no longer", alwaysUV(false), ctap.GetInfoResponse{Options: options("authnrCfg", "alwaysUv", "clientPin")},
			[]string{"configure 2 pin=1234 min=0 rp=[] force=false"}, nil},
		{"a key that can't", alwaysUV(true), ctap.GetInfoResponse{Options: options("authnrCfg", "clientPin")},
			nil, Unsupported("to be configured in this way (alwaysUv)")},
		{"a key that can't at all", enterprise, ctap.GetInfoResponse{Options: options("!ep", "clientPin")},
			nil, Unsupported("to be configured in this way (ep)")},
		{"a key that nothing protects", enterprise, ctap.GetInfoResponse{Options: options("authnrCfg", "!ep", "!clientPin")},
			[]string{"configure 1 pin= min=0 rp=[] force=false"}, nil},
		{"a finger does", enterprise, ctap.GetInfoResponse{
			Options: options("authnrCfg", "!ep", "clientPin", "uv", "uvAcfg", "pinUvAuthToken")},
			[]string{"configure 1 pin= min=0 rp=[] force=false"}, nil},
		{"a finger doesn't", enterprise, ctap.GetInfoResponse{
			Options: options("authnrCfg", "!ep", "clientPin", "uv", "pinUvAuthToken")},
			[]string{"configure 1 pin=1234 min=0 rp=[] force=false"}, nil},
		{"a finger doesn't, and there is no PIN", enterprise, ctap.GetInfoResponse{
			Options: options("authnrCfg", "!ep", "uv", "pinUvAuthToken")}, nil, ErrNoUserVerification},
		{"no PIN yet, and none is set by the way", alwaysUV(true), ctap.GetInfoResponse{
			Options: options("authnrCfg", "!alwaysUv", "!clientPin", "uv")}, nil, ErrNoUserVerification},
		{"a PIN that must be changed, and is not by the way", alwaysUV(true), ctap.GetInfoResponse{
			Options: options("authnrCfg", "!alwaysUv", "clientPin"), ForcePINChange: true}, nil, ErrPINChangeRequired},
		{"minimum", minimum(ConfigRequest{MinPINLength: 8}), ctap.GetInfoResponse{
			Options: options("authnrCfg", "setMinPINLength", "clientPin"), MinPINLength: 4},
			[]string{"configure 3 pin=1234 min=8 rp=[] force=false"}, nil},
		{"a shorter minimum", minimum(ConfigRequest{MinPINLength: 6}), ctap.GetInfoResponse{
			Options: options("authnrCfg", "setMinPINLength", "clientPin"), MinPINLength: 8}, nil, ctap.ErrPINPolicyViolation},
		{"too many relying parties", minimum(ConfigRequest{RPIDs: []string{"a", "b"}}), ctap.GetInfoResponse{
			Options: options("authnrCfg", "setMinPINLength", "clientPin"), MaxMinPINLengthRPIDs: 1},
			nil, Unsupported("to tell more than 1 relying parties the length of its PIN")},
		{"no PIN to be changed", minimum(ConfigRequest{ForceChange: true}), ctap.GetInfoResponse{
			Options: options("authnrCfg", "setMinPINLength", "!clientPin")}, nil, ctap.ErrPINNotSet},
	} {
		key := &scriptedKey{info: test.info, retries: 8, fingers: 3}
		err := test.do(t, alone(key).Now[0], &person{pins: []string{"1234"}})
		if !errors.Is(err, test.want) || !slices.Equal(key.asked, test.asked) {
			t.Errorf("%s: %v, the key was asked %q", test.name, err, key.asked)
		}
	}
}
