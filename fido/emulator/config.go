package emulator

import (
	"slices"

	"fob/fido/ctap"
)

// config implements authenticatorConfig (§6.11).
func (a *Authenticator) config(parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseConfigRequest(parameters)
	if err != nil {
		return nil, err
	}
	var change func(*ctap.ConfigRequest) error
	switch req.Subcommand {
	case 0: // step 1
		return nil, ctap.ErrMissingParameter
	case ctap.SubcommandEnableEnterpriseAttestation:
		change = a.enableEnterpriseAttestation
	case ctap.SubcommandToggleAlwaysUV:
		change = a.toggleAlwaysUV
	case ctap.SubcommandSetMinPINLength:
		change = a.setMinPINLength
	}
	if change == nil || req.Subcommand == ctap.SubcommandEnableEnterpriseAttestation && !a.EnterpriseAttestation {
		return nil, ctap.ErrInvalidParameter // step 2, where §8.1 would have ErrInvalidSubcommand
	}
	if err := a.authorizeConfig(req); err != nil {
		return nil, err
	}
	if err := change(req); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// authorizeConfig does steps 3 and 4: what a PIN, a finger or alwaysUv protects needs a token. Without PIN and finger
// there is none to be had, and so alwaysUv can be turned off without.
func (a *Authenticator) authorizeConfig(req *ctap.ConfigRequest) error {
	if !a.state.protected() && (!a.state.AlwaysUV || req.Subcommand == ctap.SubcommandToggleAlwaysUV) {
		return nil
	}
	if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
		return err
	}
	_, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam,
		ctap.PermissionAuthenticatorConfiguration)
	return err
}

// enableEnterpriseAttestation implements §6.11.1. What is enabled stays so, until a reset.
func (a *Authenticator) enableEnterpriseAttestation(*ctap.ConfigRequest) error {
	if a.state.EnterpriseEnabled {
		return nil
	}
	return a.update(func(s *state) { s.EnterpriseEnabled = true })
}

// toggleAlwaysUV implements §6.11.2.
func (a *Authenticator) toggleAlwaysUV(*ctap.ConfigRequest) error {
	return a.update(func(s *state) { s.AlwaysUV = !s.AlwaysUV })
}

// setMinPINLength implements §6.11.4. The length can only grow, until a reset.
func (a *Authenticator) setMinPINLength(req *ctap.ConfigRequest) error {
	params, err := req.MinPINLength()
	if err != nil {
		return err
	}
	length := a.state.minPINLength() // step 1
	if params.NewMinPINLength != nil {
		length = *params.NewMinPINLength
	}
	if err := a.checkMinPINLength(params, length); err != nil {
		return err
	}
	force := ctap.True(params.ForceChangePIN) || a.state.hasPIN() && a.state.PINLength < length // steps 4, 6
	err = a.update(func(s *state) {
		s.MinPINLength = length
		s.ForcePINChange = s.ForcePINChange || force
		if len(params.MinPINLengthRPIDs) > 0 { // step 8
			s.MinPINLengthRPIDs = params.MinPINLengthRPIDs
		}
	})
	if err == nil && a.state.ForcePINChange { // step 7, resetPinUvAuthToken
		a.pin.token = nil
	}
	return err
}

// checkMinPINLength refuses what setMinPINLength can't do, in the order of its steps. A length that no PIN can have
// and an RP ID that is none are refused beside them.
func (a *Authenticator) checkMinPINLength(params *ctap.SetMinPINLengthParams, length uint) error {
	switch {
	case params.MinPINLengthRPIDs != nil && !a.has(ctap.ExtensionMinPINLength): // step 2
		return ctap.ErrInvalidParameter
	case length < a.state.minPINLength(), length > maxPINLength: // step 3
		return ctap.ErrPINPolicyViolation
	case ctap.True(params.ForceChangePIN) && !a.state.hasPIN(): // step 4
		return ctap.ErrPINNotSet
	case uint(len(params.MinPINLengthRPIDs)) > a.MaxMinPINLengthRPIDs: // step 8
		return ctap.ErrKeyStoreFull
	case slices.ContainsFunc(params.MinPINLengthRPIDs, func(id string) bool { return len(id) > maxRPIDLength }):
		return ctap.ErrInvalidLength
	default:
		return nil
	}
}
