package emulator

import (
	"bytes"

	"fob/fido/ctap"
)

// credentialManagement implements authenticatorCredentialManagement (§6.8).
func (a *Authenticator) credentialManagement(r *request, parameters []byte, before pending) (ctap.Response, error) {
	req, err := ctap.ParseCredentialManagementRequest(parameters)
	if err != nil {
		return nil, err
	}
	switch req.Subcommand {
	case 0:
		return nil, ctap.ErrMissingParameter
	case ctap.SubcommandGetCredsMetadata:
		return a.getCredsMetadata(req)
	case ctap.SubcommandEnumerateRPsBegin:
		return a.enumerateRPsBegin(r, req)
	case ctap.SubcommandEnumerateRPsGetNextRP:
		return a.enumerateRPsGetNextRP(r, before)
	case ctap.SubcommandEnumerateCredentialsBegin:
		return a.enumerateCredentialsBegin(r, req)
	case ctap.SubcommandEnumerateCredentialsGetNextCredential:
		return a.enumerateCredentialsGetNext(r, before)
	case ctap.SubcommandDeleteCredential:
		return a.deleteCredential(req)
	case ctap.SubcommandUpdateUserInformation:
		return a.updateUserInformation(req)
	default:
		return nil, ctap.ErrInvalidSubcommand
	}
}

// authorizeManagement checks the pinUvAuthParam of a request. admits says whether a token that is bound to an RP ID
// will do; nil when none will.
func (a *Authenticator) authorizeManagement(req *ctap.CredentialManagementRequest, admits func(rpID string) bool) error {
	if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
		return err
	}
	if a.readsByPersistentToken(req) {
		return nil
	}
	t, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam, ctap.PermissionCredentialManagement)
	if err != nil {
		return err
	}
	if t.rpID != "" && (admits == nil || !admits(t.rpID)) {
		return ctap.ErrPINAuthInvalid
	}
	return nil
}

// readsByPersistentToken reports whether a request that changes nothing came with the persistentPinUvAuthToken (pcmr).
func (a *Authenticator) readsByPersistentToken(req *ctap.CredentialManagementRequest) bool {
	switch req.Subcommand {
	case ctap.SubcommandGetCredsMetadata, ctap.SubcommandEnumerateRPsBegin, ctap.SubcommandEnumerateCredentialsBegin:
	default:
		return false
	}
	return a.PersistentToken && a.state.ReadOnlyGranted &&
		req.PINUVAuthProtocol.Verify(a.state.PersistentToken, req.AuthMessage(), req.PINUVAuthParam)
}

// getCredsMetadata implements §6.8.2.
func (a *Authenticator) getCredsMetadata(req *ctap.CredentialManagementRequest) (ctap.Response, error) {
	if err := a.authorizeManagement(req, nil); err != nil {
		return nil, err
	}
	existing := uint(len(a.state.Credentials))
	remaining := a.MaxDiscoverable - existing
	return (&ctap.CredentialManagementResponse{
		ExistingResidentCredentialsCount:             &existing,
		MaxPossibleRemainingResidentCredentialsCount: &remaining,
	}).Encode(), nil
}

// enumerateRPsBegin implements §6.8.3.
func (a *Authenticator) enumerateRPsBegin(r *request, req *ctap.CredentialManagementRequest) (ctap.Response, error) {
	if err := a.authorizeManagement(req, nil); err != nil {
		return nil, err
	}
	rps := a.state.onePerRP()
	if len(rps) == 0 {
		return nil, ctap.ErrNoCredentials
	}
	return a.rpResponse(r, rps, uint(len(rps))), nil
}

func (a *Authenticator) enumerateRPsGetNextRP(r *request, before pending) (ctap.Response, error) {
	if len(before.rps) == 0 || !before.goesOn(r) {
		return nil, ctap.ErrNotAllowed
	}
	return a.rpResponse(r, before.rps, 0), nil
}

// rpResponse tells of the first of rps and keeps the others for the next command.
func (a *Authenticator) rpResponse(r *request, rps []*Credential, total uint) ctap.Response {
	a.pending = pending{channel: r.channel, last: a.now(), rps: rps[1:]}
	c := rps[0]
	return (&ctap.CredentialManagementResponse{
		RP:       &ctap.PublicKeyCredentialRpEntity{ID: c.RPID, Name: c.RPName},
		RPIDHash: rpIDHash(c.RPID),
		TotalRPs: total,
	}).Encode()
}

// onePerRP gives a credential of each RP, in the order in which the RPs were first registered at.
func (s *state) onePerRP() []*Credential {
	var list []*Credential
	seen := make(map[string]bool)
	for i := range s.Credentials {
		if c := &s.Credentials[i]; !seen[c.RPID] {
			seen[c.RPID] = true
			list = append(list, c)
		}
	}
	return list
}

// enumerateCredentialsBegin implements §6.8.4.
func (a *Authenticator) enumerateCredentialsBegin(r *request, req *ctap.CredentialManagementRequest) (ctap.Response, error) {
	params, err := req.Params()
	if err != nil {
		return nil, err
	}
	if params.RPIDHash == nil {
		return nil, ctap.ErrMissingParameter
	}
	sameRP := func(rpID string) bool { return bytes.Equal(rpIDHash(rpID), params.RPIDHash) }
	if err := a.authorizeManagement(req, sameRP); err != nil {
		return nil, err
	}
	var found []*Credential
	for i := range a.state.Credentials {
		if c := &a.state.Credentials[i]; sameRP(c.RPID) {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, ctap.ErrNoCredentials
	}
	return a.credentialResponse(r, found, uint(len(found)))
}

func (a *Authenticator) enumerateCredentialsGetNext(r *request, before pending) (ctap.Response, error) {
	if len(before.credentials) == 0 || !before.goesOn(r) {
		return nil, ctap.ErrNotAllowed
	}
	return a.credentialResponse(r, before.credentials, 0)
}

// credentialResponse tells of the first credential and keeps the others for the next command.
func (a *Authenticator) credentialResponse(r *request, list []*Credential, total uint) (ctap.Response, error) {
	a.pending = pending{channel: r.channel, last: a.now(), credentials: list[1:]}
	c := list[0]
	public, err := c.publicKey()
	if err != nil {
		return nil, err
	}
	resp := &ctap.CredentialManagementResponse{
		User:             c.user(true),
		CredentialID:     c.descriptor(),
		PublicKey:        public,
		TotalCredentials: total,
		CredProtect:      c.CredProtect,
		LargeBlobKey:     c.LargeBlobKey,
	}
	if a.has(ctap.ExtensionThirdPartyPayment) {
		resp.ThirdPartyPayment = &c.ThirdPartyPayment
	}
	return resp.Encode(), nil
}

// named gives the discoverable credential that a request names, after checking that its token may manage it.
func (a *Authenticator) named(req *ctap.CredentialManagementRequest, params *ctap.CredentialManagementParams) (*Credential, error) {
	if params.CredentialID == nil || params.CredentialID.ID == nil {
		return nil, ctap.ErrMissingParameter
	}
	var found *Credential
	for i := range a.state.Credentials {
		if c := &a.state.Credentials[i]; bytes.Equal(c.ID, params.CredentialID.ID) {
			found = c
		}
	}
	itsRP := func(rpID string) bool { return found != nil && found.RPID == rpID }
	if err := a.authorizeManagement(req, itsRP); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, ctap.ErrNoCredentials
	}
	return found, nil
}

// deleteCredential implements §6.8.5.
func (a *Authenticator) deleteCredential(req *ctap.CredentialManagementRequest) (ctap.Response, error) {
	params, err := req.Params()
	if err != nil {
		return nil, err
	}
	c, err := a.named(req, params)
	if err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.remove(c.ID) }); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// updateUserInformation implements §6.8.6: the names change, the user ID stays.
func (a *Authenticator) updateUserInformation(req *ctap.CredentialManagementRequest) (ctap.Response, error) {
	params, err := req.Params()
	if err != nil {
		return nil, err
	}
	if params.User == nil || params.User.ID == nil {
		return nil, ctap.ErrMissingParameter
	}
	c, err := a.named(req, params)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(c.UserID, params.User.ID) {
		return nil, ctap.ErrInvalidParameter
	}
	changed := *c
	changed.UserName, changed.UserDisplayName = truncate(params.User.Name), truncate(params.User.DisplayName)
	err = a.update(func(s *state) {
		s.replace(changed)
		s.credentialsChanged()
	})
	if err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}
