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
	case 0:
		return nil, ctap.ErrMissingParameter
	case ctap.SubcommandEnableEnterpriseAttestation:
		if !a.EnterpriseAttestation {
			return nil, ctap.ErrInvalidSubcommand
		}
		change = a.enableEnterpriseAttestation
	case ctap.SubcommandToggleAlwaysUV:
		change = a.toggleAlwaysUV
	case ctap.SubcommandSetMinPINLength:
		change = a.setMinPINLength
	default:
		return nil, ctap.ErrInvalidSubcommand
	}
	if a.state.protected() {
		if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
			return nil, err
		}
		_, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam,
			ctap.PermissionAuthenticatorConfiguration)
		if err != nil {
			return nil, err
		}
	}
	if err := change(req); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
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
	length := a.state.minPINLength()
	if params.NewMinPINLength != nil {
		length = *params.NewMinPINLength
	}
	switch {
	case length < a.state.minPINLength(), length > maxPINLength:
		return ctap.ErrPINPolicyViolation
	case uint(len(params.MinPINLengthRPIDs)) > a.MaxMinPINLengthRPIDs:
		return ctap.ErrKeyStoreFull
	case slices.ContainsFunc(params.MinPINLengthRPIDs, func(id string) bool { return len(id) > maxRPIDLength }):
		return ctap.ErrInvalidLength
	case ctap.True(params.ForceChangePIN) && !a.state.hasPIN():
		return ctap.ErrPINNotSet
	}
	force := ctap.True(params.ForceChangePIN) || a.state.hasPIN() && a.state.PINLength < length
	err = a.update(func(s *state) {
		s.MinPINLength = length
		s.ForcePINChange = s.ForcePINChange || force
		if params.MinPINLengthRPIDs != nil {
			s.MinPINLengthRPIDs = params.MinPINLengthRPIDs
		}
	})
	if err == nil && force {
		a.pin.token = nil // resetPinUvAuthToken
	}
	return err
}
