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
}

// getAssertion implements authenticatorGetAssertion (§6.2.2).
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
	up := !ctap.False(req.Options.UP)
	extensions, err := extensionInputs[ctap.GetAssertionExtensionInputs](a, req.Extensions)
	if err != nil {
		return nil, err
	}
	if err := a.checkGetAssertionExtensions(extensions, up); err != nil {
		return nil, err
	}
	presence := PresenceRequest{Command: ctap.CommandGetAssertion, RPID: *req.RPID}
	flags, err := a.verifyUser(r, &verification{ // step 6
		param: req.PINUVAuthParam, protocol: req.PINUVAuthProtocol, hash: req.ClientDataHash,
		uv: req.Options.UV, up: up, permission: ctap.PermissionGetAssertion, presence: presence,
	})
	if err != nil {
		return nil, err
	}
	found := a.locate(req, flags) // step 7
	if len(found) == 0 {
		return nil, ctap.ErrNoCredentials
	}
	if up && flags&ctap.FlagUP == 0 { // step 9
		if err := a.awaitPresence(r, presence); err != nil {
			return nil, err
		}
		flags |= ctap.FlagUP
	}
	if up {
		a.pin.spend()
	}
	next := &nextAssertion{found, req, extensions, flags}
	return a.assertNext(r, next, len(found))
}

func (a *Authenticator) checkGetAssertion(req *ctap.GetAssertionRequest) error {
	switch {
	case req.RPID == nil, *req.RPID == "", req.ClientDataHash == nil:
		return ctap.ErrMissingParameter
	case len(req.ClientDataHash) != sha256.Size:
		return ctap.ErrInvalidLength
	case req.AllowList != nil && len(req.AllowList) == 0:
		return ctap.ErrInvalidParameter
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
	case a.state.AlwaysUV && !withToken && !a.state.hasFinger() && !ctap.False(req.Options.UP): // step 5
		return ctap.ErrPUATRequired
	default:
		return nil
	}
}

// locate finds the credentials to answer with: any one of the allow list, or else all discoverable ones, newest first
// (step 7, and steps 11 and 12 for the order). credProtect hides some (§12.1).
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

// getNextAssertion implements authenticatorGetNextAssertion (§6.3).
func (a *Authenticator) getNextAssertion(r *request, before pending) (ctap.Response, error) {
	if before.assertion == nil || !before.goesOn(r) {
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
		a.pending = pending{channel: r.channel, last: a.now(), assertion: n}
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
	if c.discoverable { // names only to a verified user who has to choose
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
