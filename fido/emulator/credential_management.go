package emulator

import (
	"bytes"

	"fob/fido/ctap"
)

// management is a request of authenticatorCredentialManagement. Its params are empty where it has none.
type management struct {
	*ctap.CredentialManagementRequest
	params *ctap.CredentialManagementParams
}

// credentialManagement implements authenticatorCredentialManagement (§6.8). What continues an enumeration needs no
// token; the others begin with the same steps.
func (a *Authenticator) credentialManagement(r *request, parameters []byte, before pending) (ctap.Response, error) {
	parsed, err := ctap.ParseCredentialManagementRequest(parameters)
	if err != nil {
		return nil, err
	}
	params, err := paramsOf(parsed.SubcommandParams, parsed.Params)
	if err != nil {
		return nil, err
	}
	req := &management{parsed, params}
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
	default: // §8.1
		return nil, ctap.ErrInvalidSubcommand
	}
}

// authorizeManagement does steps 1 to 6 of §6.8.2 to §6.8.6 and gives the token, or nil for the persistent one. admits
// says whether a token that is bound to an RP ID will do; nil when none will.
func (a *Authenticator) authorizeManagement(req *management, admits func(rpID string) bool) (*token, error) {
	if req.PINUVAuthParam == nil { // step 1
		return nil, ctap.ErrPUATRequired
	}
	if req.missesParams() { // step 2
		return nil, ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil { // steps 2, 3
		return nil, err
	}
	if a.readsByPersistentToken(req) {
		return nil, nil
	}
	t, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam,
		ctap.PermissionCredentialManagement)
	if err != nil { // steps 4, 5
		return nil, err
	}
	if t.rpID != "" && (admits == nil || !admits(t.rpID)) { // step 6
		return nil, ctap.ErrPINAuthInvalid
	}
	return t, nil
}

// missesParams reports whether the subcommand comes without the parameters that it must have.
func (req *management) missesParams() bool {
	noCredential := req.params.CredentialID == nil || req.params.CredentialID.ID == nil
	switch req.Subcommand {
	case ctap.SubcommandEnumerateCredentialsBegin:
		return req.params.RPIDHash == nil
	case ctap.SubcommandDeleteCredential:
		return noCredential
	case ctap.SubcommandUpdateUserInformation:
		return noCredential || req.params.User == nil || req.params.User.ID == nil
	default:
		return false
	}
}

// readsByPersistentToken reports whether a request that changes nothing came with the persistentPinUvAuthToken (pcmr).
func (a *Authenticator) readsByPersistentToken(req *management) bool {
	switch req.Subcommand {
	case ctap.SubcommandGetCredsMetadata, ctap.SubcommandEnumerateRPsBegin, ctap.SubcommandEnumerateCredentialsBegin:
	default:
		return false
	}
	return a.PersistentToken && a.state.ReadOnlyGranted &&
		req.PINUVAuthProtocol.Verify(a.state.PersistentToken, req.AuthMessage(), req.PINUVAuthParam)
}

// getCredsMetadata implements §6.8.2.
func (a *Authenticator) getCredsMetadata(req *management) (ctap.Response, error) {
	if _, err := a.authorizeManagement(req, nil); err != nil {
		return nil, err
	}
	existing := uint(len(a.state.Credentials))
	remaining := a.MaxDiscoverable - existing
	return (&ctap.CredentialManagementResponse{
		ExistingResidentCredentialsCount:             &existing,
		MaxPossibleRemainingResidentCredentialsCount: &remaining,
	}).Encode(), nil
}

// enumerateRPsBegin implements the first subcommand of §6.8.3.
func (a *Authenticator) enumerateRPsBegin(r *request, req *management) (ctap.Response, error) {
	t, err := a.authorizeManagement(req, nil)
	if err != nil {
		return nil, err
	}
	rps := a.state.onePerRP()
	if len(rps) == 0 { // step 7
		return nil, ctap.ErrNoCredentials
	}
	a.pending = pending{channel: r.channel, token: t, rps: rps}
	return a.nextRP(uint(len(rps))), nil
}

// enumerateRPsGetNextRP implements the second subcommand of §6.8.3.
func (a *Authenticator) enumerateRPsGetNextRP(r *request, before pending) (ctap.Response, error) {
	if len(before.rps) == 0 || !before.goesOn(r) {
		return nil, ctap.ErrNotAllowed
	}
	a.pending = before
	return a.nextRP(0), nil
}

// nextRP tells of the first RP that is pending and keeps the others for the next command. total is their number in the
// first answer, else 0.
func (a *Authenticator) nextRP(total uint) ctap.Response {
	c := a.pending.rps[0]
	a.pending.rps, a.pending.last = a.pending.rps[1:], a.now()
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

// enumerateCredentialsBegin implements the first subcommand of §6.8.4. A token that is bound to this RP will do, as
// CTAP 2.1 has it; libfido2 asks for such a token.
func (a *Authenticator) enumerateCredentialsBegin(r *request, req *management) (ctap.Response, error) {
	sameRP := func(rpID string) bool { return bytes.Equal(rpIDHash(rpID), req.params.RPIDHash) }
	t, err := a.authorizeManagement(req, sameRP)
	if err != nil {
		return nil, err
	}
	var found []*Credential
	for i := range a.state.Credentials {
		if c := &a.state.Credentials[i]; sameRP(c.RPID) {
			found = append(found, c)
		}
	}
	if len(found) == 0 { // step 7
		return nil, ctap.ErrNoCredentials
	}
	a.pending = pending{channel: r.channel, token: t, credentials: found}
	return a.nextCredential(uint(len(found)))
}

// enumerateCredentialsGetNext implements the second subcommand of §6.8.4.
func (a *Authenticator) enumerateCredentialsGetNext(r *request, before pending) (ctap.Response, error) {
	if len(before.credentials) == 0 || !before.goesOn(r) {
		return nil, ctap.ErrNotAllowed
	}
	a.pending = before
	return a.nextCredential(0)
}

// nextCredential tells of the first credential that is pending and keeps the others for the next command. total is
// their number in the first answer, else 0.
func (a *Authenticator) nextCredential(total uint) (ctap.Response, error) {
	c := a.pending.credentials[0]
	a.pending.credentials, a.pending.last = a.pending.credentials[1:], a.now()
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

// named gives the discoverable credential that a request names, when its token may manage it. A bound token does not
// learn whether a credential of another RP exists (§6.8.5 and §6.8.6 steps 6, 7).
func (a *Authenticator) named(req *management) (*Credential, error) {
	var found *Credential
	for i := range a.state.Credentials {
		c := &a.state.Credentials[i]
		if req.params.CredentialID != nil && bytes.Equal(c.ID, req.params.CredentialID.ID) {
			found = c
		}
	}
	itsRP := func(rpID string) bool { return found != nil && found.RPID == rpID }
	if _, err := a.authorizeManagement(req, itsRP); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, ctap.ErrNoCredentials
	}
	return found, nil
}

// deleteCredential implements §6.8.5.
func (a *Authenticator) deleteCredential(req *management) (ctap.Response, error) {
	c, err := a.named(req)
	if err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.remove(c.ID) }); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// updateUserInformation implements §6.8.6: names change, or go where none are given; the user ID stays.
func (a *Authenticator) updateUserInformation(req *management) (ctap.Response, error) {
	c, err := a.named(req)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(c.UserID, req.params.User.ID) {
		return nil, ctap.ErrInvalidParameter
	}
	changed := *c
	changed.UserName, changed.UserDisplayName = truncate(req.params.User.Name), truncate(req.params.User.DisplayName)
	err = a.update(func(s *state) {
		s.replace(changed)
		s.credentialsChanged()
	})
	if err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}
