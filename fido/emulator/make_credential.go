package emulator

import (
	"crypto/rand"
	"crypto/sha256"
	"unicode/utf8"

	"fob/fido/ctap"
)

const (
	maxUserIDLength = 64  // bytes (WebAuthn §5.4.3)
	maxRPIDLength   = 253 // bytes of a domain name (RFC 1035 §2.3.4)
	maxNameLength   = 64  // bytes kept of a name; longer ones are truncated (WebAuthn §6.4.1)
)

// makeCredential implements authenticatorMakeCredential (§6.1.2). What makes a request malformed is checked before step
// 1.
func (a *Authenticator) makeCredential(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseMakeCredentialRequest(parameters)
	if err != nil {
		return nil, err
	}
	if err := a.checkMakeCredential(req); err != nil {
		return nil, err
	}
	if err := a.checkAuthParam(r, req.PINUVAuthParam, req.PINUVAuthProtocol); err != nil { // steps 1, 2
		return nil, err
	}
	alg, err := a.chooseAlgorithm(req.PubKeyCredParams) // step 3
	if err != nil {
		return nil, err
	}
	if err := a.checkMakeCredentialOptions(req); err != nil { // steps 5 to 9
		return nil, err
	}
	extensions, err := extensionInputs[ctap.MakeCredentialExtensionInputs](a, req.Extensions)
	if err != nil {
		return nil, err
	}
	v := &verification{
		param: req.PINUVAuthParam, protocol: req.PINUVAuthProtocol, hash: req.ClientDataHash,
		uv: req.Options.UV, up: true, permission: ctap.PermissionMakeCredential,
		presence: PresenceRequest{Command: ctap.CommandMakeCredential, RPID: req.RP.ID, User: req.User.Name},
	}
	flags, err := a.verifyUser(r, v) // step 11
	if err != nil {
		return nil, err
	}
	if a.excluded(req, flags) { // step 12
		return nil, a.exclude(r, v.presence, flags)
	}
	if flags, err = a.testPresence(r, v, flags); err != nil { // steps 13, 14
		return nil, err
	}
	if err := a.checkMakeCredentialExtensions(extensions, ctap.True(req.Options.RK)); err != nil { // step 15
		return nil, err
	}
	return a.create(req, alg, extensions, flags)
}

// excluded reports whether the key has a credential of the excludeList. One of credProtect level 3 counts for a
// verified user alone (step 12.2).
func (a *Authenticator) excluded(req *ctap.MakeCredentialRequest, flags ctap.Flags) bool {
	return nil != a.state.findAny(req.ExcludeList, req.RP.ID, func(c *Credential) bool {
		return c.CredProtect < ctap.UserVerificationRequired || flags&ctap.FlagUV != 0
	})
}

// exclude waits for a person, and then answers CREDENTIAL_EXCLUDED, whatever the person did (steps 12.1.4, 12.1.5).
// Only a cancelled request ends in another way.
func (a *Authenticator) exclude(r *request, presence PresenceRequest, flags ctap.Flags) error {
	if flags&ctap.FlagUP == 0 {
		if err := a.awaitPresence(r, presence); err == ctap.ErrKeepaliveCancel {
			return err
		}
	}
	return ctap.ErrCredentialExcluded
}

// checkMakeCredential looks at what the request must have.
func (a *Authenticator) checkMakeCredential(req *ctap.MakeCredentialRequest) error {
	switch {
	case req.ClientDataHash == nil, req.RP == nil, req.User == nil, req.PubKeyCredParams == nil:
		return ctap.ErrMissingParameter
	case req.RP.ID == "", req.User.ID == nil:
		return ctap.ErrMissingParameter
	case len(req.ClientDataHash) != sha256.Size, len(req.User.ID) == 0, len(req.User.ID) > maxUserIDLength,
		len(req.RP.ID) > maxRPIDLength:
		return ctap.ErrInvalidLength
	}
	return a.checkDescriptors(req.ExcludeList)
}

// checkDescriptors looks at an allow or exclude list.
func (a *Authenticator) checkDescriptors(list []ctap.PublicKeyCredentialDescriptor) error {
	if uint(len(list)) > a.MaxCredentialsInList {
		return ctap.ErrLimitExceeded
	}
	for _, d := range list {
		if d.Type == "" || d.ID == nil {
			return ctap.ErrMissingParameter
		}
	}
	return nil
}

// checkAuthParam does steps 1 and 2 of makeCredential and getAssertion: an empty pinUvAuthParam asks the person to choose this
// key by touch; one that is not empty needs a protocol that we speak.
func (a *Authenticator) checkAuthParam(r *request, param *ctap.Bytes, protocol ctap.PINProtocol) error {
	switch {
	case param == nil:
		return nil
	case len(*param) > 0 || !a.PIN:
		return a.checkProtocol(protocol)
	}
	if err := a.awaitConsent(r, PresenceRequest{Command: ctap.CommandSelection}); err != nil { // step 1.2
		return err
	}
	if a.state.hasPIN() { // step 1.3
		return ctap.ErrPINInvalid
	}
	return ctap.ErrPINNotSet
}

// chooseAlgorithm takes the first algorithm of the list that we have; every entry must be well-formed, those behind it
// too (step 3).
func (a *Authenticator) chooseAlgorithm(params []ctap.PublicKeyCredentialParameters) (ctap.Algorithm, error) {
	var chosen ctap.Algorithm
	for _, p := range params {
		if p.Type == "" || p.Alg == 0 { // step 3.1.1
			return 0, ctap.ErrInvalidCBOR
		}
		for _, ours := range a.Algorithms {
			if chosen == 0 && p.Type == ctap.TypePublicKey && p.Alg == ours {
				chosen = ours
			}
		}
	}
	if chosen == 0 { // step 3.2
		return 0, ctap.ErrUnsupportedAlgorithm
	}
	return chosen, nil
}

func (a *Authenticator) checkMakeCredentialOptions(req *ctap.MakeCredentialRequest) error {
	withToken, rk := req.PINUVAuthParam != nil, ctap.True(req.Options.RK)
	uv := ctap.True(req.Options.UV) && !withToken // step 5.2
	switch {
	case uv && !a.state.hasFinger(): // step 5.3
		return ctap.ErrInvalidOption
	case rk && a.MaxDiscoverable == 0: // step 5.4; our getInfo says rk, be it false
		return ctap.ErrUnsupportedOption
	case ctap.False(req.Options.UP): // step 5.6
		return ctap.ErrInvalidOption
	case a.state.AlwaysUV && !a.canVerify(withToken): // step 6
		return a.alwaysUVUnmet()
	case a.state.protected() && !withToken && !uv && !a.state.AlwaysUV && (rk || !a.MakeCredUVNotRqd): // steps 7, 8
		return a.verificationMissing()
	case req.EnterpriseAttestation != nil && !a.state.EnterpriseEnabled: // step 9.1
		return ctap.ErrInvalidParameter
	case req.EnterpriseAttestation != nil && *req.EnterpriseAttestation != ctap.VendorFacilitated &&
		*req.EnterpriseAttestation != ctap.PlatformManaged: // step 9.2.1
		return ctap.ErrInvalidOption
	}
	return nil
}

// create does the rest of step 15, and steps 16 to 19: extensions, the key pair, its place, the counter and the
// attestation.
func (a *Authenticator) create(req *ctap.MakeCredentialRequest, alg ctap.Algorithm,
	extensions *ctap.MakeCredentialExtensionInputs, flags ctap.Flags) (ctap.Response, error) {

	c := newCredential(alg)
	c.RPID, c.RPName = req.RP.ID, truncate(req.RP.Name)
	c.UserID, c.UserName, c.UserDisplayName = req.User.ID, truncate(req.User.Name), truncate(req.User.DisplayName)
	c.discoverable = ctap.True(req.Options.RK)
	a.applyExtensions(c, extensions)
	if c.discoverable {
		if !a.state.hasRoom(c, a.MaxDiscoverable) { // step 17.4
			return nil, ctap.ErrKeyStoreFull
		}
		c.ID = make([]byte, 32)
		rand.Read(c.ID)
	} else {
		c.ID = a.state.wrap(c, rpIDHash(c.RPID))
	}
	outputs, err := a.makeCredentialOutputs(c, extensions, flags)
	if err != nil {
		return nil, err
	}
	count, err := a.count(c, func(s *state) {
		if c.discoverable {
			s.add(c)
		}
	})
	if err != nil {
		return nil, err
	}
	return a.attest(c, a.chooseAttestation(req), flags, count, outputs, req.ClientDataHash)
}

// attest answers with the authenticator data and the attestation of it.
func (a *Authenticator) attest(c *Credential, how Attestation, flags ctap.Flags, count uint32, outputs ctap.RawMessage,
	clientDataHash []byte) (ctap.Response, error) {

	cose, err := c.publicKey()
	if err != nil {
		return nil, err
	}
	authData := (&ctap.AuthenticatorData{
		RPIDHash:   sha256.Sum256([]byte(c.RPID)),
		Flags:      flags,
		SignCount:  count,
		Attested:   &ctap.AttestedCredentialData{AAGUID: a.AAGUID, CredentialID: c.ID, PublicKey: cose},
		Extensions: outputs,
	}).Encode()
	format, statement, err := a.statement(how, c, authData, clientDataHash)
	if err != nil {
		return nil, err
	}
	return (&ctap.MakeCredentialResponse{
		Format: format, AuthData: authData, AttStmt: statement, LargeBlobKey: c.LargeBlobKey,
		EnterpriseAttestation: how == enterpriseAttestation,
	}).Encode(), nil
}

// truncate shortens a name to what the key keeps, without cutting a character in two.
func truncate(name string) string {
	if len(name) <= maxNameLength {
		return name
	}
	end := maxNameLength
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
