package emulator

import (
	"crypto/sha256"

	"fob/fido/ctap"
)

// nextAssertion holds what getNextAssertion needs after a getAssertion that found several credentials.
type nextAssertion struct {
	credentials []*Credential // those not yet asked for
	request     *ctap.GetAssertionRequest
	extensions  *ctap.GetAssertionExtensionInputs
	flags       ctap.Flags
	token       *token // by which the user was verified; nil for none
}

// getAssertion implements authenticatorGetAssertion (§6.2.2). What makes a request malformed is checked before step 1.
func (a *Authenticator) getAssertion(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseGetAssertionRequest(parameters)
	if err != nil {
		return nil, err
	}
	if err := a.checkGetAssertion(req); err != nil {
		return nil, err
	}
	if err := a.checkAuthParam(r, req.PINUVAuthParam, req.PINUVAuthProtocol); err != nil { // steps 1, 2
		return nil, err
	}
	if err := a.checkGetAssertionOptions(req); err != nil { // steps 4, 5
		return nil, err
	}
	up := !ctap.False(req.Options.UP) // step 4.5
	extensions, err := extensionInputs[ctap.GetAssertionExtensionInputs](a, req.Extensions)
	if err != nil {
		return nil, err
	}
	v := &verification{
		param: req.PINUVAuthParam, protocol: req.PINUVAuthProtocol, hash: req.ClientDataHash,
		uv: req.Options.UV, up: up, permission: ctap.PermissionGetAssertion,
		presence: PresenceRequest{Command: ctap.CommandGetAssertion, RPID: *req.RPID},
	}
	flags, err := a.verifyUser(r, v) // step 6
	if err != nil {
		return nil, err
	}
	found := a.locate(req, flags)
	if len(found) == 0 { // step 7.6
		return nil, ctap.ErrNoCredentials
	}
	if flags, err = a.testPresence(r, v, flags); err != nil { // steps 8, 9
		return nil, err
	}
	if err := a.checkGetAssertionExtensions(extensions, up); err != nil { // step 10
		return nil, err
	}
	next := &nextAssertion{credentials: found, request: req, extensions: extensions, flags: flags}
	if v.param != nil {
		next.token = a.pin.token
	}
	return a.assertNext(r, next, len(found))
}

func (a *Authenticator) checkGetAssertion(req *ctap.GetAssertionRequest) error {
	switch {
	case req.RPID == nil, *req.RPID == "", req.ClientDataHash == nil:
		return ctap.ErrMissingParameter
	case len(req.ClientDataHash) != sha256.Size:
		return ctap.ErrInvalidLength
	}
	return a.checkDescriptors(req.AllowList)
}

func (a *Authenticator) checkGetAssertionOptions(req *ctap.GetAssertionRequest) error {
	withToken := req.PINUVAuthParam != nil
	switch {
	case ctap.True(req.Options.UV) && !withToken && !a.state.hasFinger(): // step 4.3
		return ctap.ErrInvalidOption
	case req.Options.RK != nil: // step 4.4
		return ctap.ErrUnsupportedOption
	case a.state.AlwaysUV && !ctap.False(req.Options.UP) && !a.canVerify(withToken): // step 5
		return a.alwaysUVUnmet()
	default:
		return nil
	}
}

// locate finds the credentials to answer with: any one of the allow list, or else all discoverable ones, newest first
// (step 7, and steps 11.1 and 12.2.1 for the order). credProtect hides some (steps 7.4, 7.5). An allow list that is
// empty, which a platform must not send, names none.
func (a *Authenticator) locate(req *ctap.GetAssertionRequest, flags ctap.Flags) []*Credential {
	verified, named := flags&ctap.FlagUV != 0, req.AllowList != nil
	visible := func(c *Credential) bool {
		switch c.CredProtect {
		case ctap.UserVerificationRequired:
			return verified
		case ctap.UserVerificationOptionalWithCredentialIDList:
			return verified || named
		default:
			return true
		}
	}
	if !named {
		return a.state.discoverable(*req.RPID, visible)
	}
	if c := a.state.findAny(req.AllowList, *req.RPID, visible); c != nil {
		return []*Credential{c}
	}
	return nil
}

// getNextAssertion implements authenticatorGetNextAssertion (§6.3); goesOn is its step 3.
func (a *Authenticator) getNextAssertion(r *request, before pending) (ctap.Response, error) {
	if before.assertion == nil || !before.goesOn(r) { // steps 1 to 3
		return nil, ctap.ErrNotAllowed
	}
	return a.assertNext(r, before.assertion, 0)
}

// assertNext answers with the first credential of n and keeps the others for the next command. count is the number of
// credentials found, 0 in a next assertion.
func (a *Authenticator) assertNext(r *request, n *nextAssertion, count int) (ctap.Response, error) {
	resp, err := a.assert(n.credentials[0], n, count)
	if err != nil {
		return nil, err
	}
	if n.credentials = n.credentials[1:]; len(n.credentials) > 0 {
		a.pending = pending{channel: r.channel, last: a.now(), token: n.token, assertion: n} // step 12.2.2
	}
	return resp.Encode(), nil
}

// assert counts, durably, and then signs (step 13).
func (a *Authenticator) assert(c *Credential, n *nextAssertion, found int) (*ctap.GetAssertionResponse, error) {
	key, err := c.signer()
	if err != nil {
		return nil, err
	}
	outputs, err := a.getAssertionOutputs(c, n.extensions, n.flags)
	if err != nil {
		return nil, err
	}
	count, err := a.count(c, func(*state) {})
	if err != nil {
		return nil, err
	}
	authData := (&ctap.AuthenticatorData{
		RPIDHash:   sha256.Sum256([]byte(c.RPID)),
		Flags:      n.flags,
		SignCount:  count,
		Extensions: outputs,
	}).Encode()
	sig, err := sign(key, authData, n.request.ClientDataHash)
	if err != nil {
		return nil, err
	}
	resp := &ctap.GetAssertionResponse{Credential: *c.descriptor(), AuthData: authData, Signature: sig}
	if c.discoverable { // names only to a verified user who has to choose (§6.2.2, "user", and step 12.3)
		resp.User = c.user(n.flags&ctap.FlagUV != 0 && found != 1)
	}
	if found > 1 {
		resp.NumberOfCredentials = uint(found)
	}
	if ctap.True(n.extensions.LargeBlobKey) { // outside the authenticator data (§12.3)
		resp.LargeBlobKey = c.LargeBlobKey
	}
	return resp, nil
}
