package emulator

import (
	"crypto/sha256"
	"time"

	"fob/fido/ctap"
)

const nextAssertionTimeout = 30 * time.Second // between getNextAssertion commands (§6.3)

// nextAssertion holds what getNextAssertion needs after a getAssertion that found several credentials.
type nextAssertion struct {
	channel        uint32
	credentials    []*Credential // those not yet asked for
	flags          ctap.Flags
	clientDataHash []byte
	last           time.Time
}

// getAssertion implements authenticatorGetAssertion (§6.2.2).
func (a *Authenticator) getAssertion(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseGetAssertionRequest(parameters)
	if err != nil {
		return nil, err
	}
	if err := checkGetAssertion(req); err != nil {
		return nil, err
	}
	if err := a.checkAuthParam(r, req.PINUVAuthParam, req.PINUVAuthProtocol); err != nil { // steps 1, 2
		return nil, err
	}
	if err := a.checkGetAssertionOptions(req); err != nil { // step 4
		return nil, err
	}
	var flags ctap.Flags
	if req.PINUVAuthParam != nil { // step 6
		err := a.pin.authorize(req.PINUVAuthProtocol, req.ClientDataHash, *req.PINUVAuthParam,
			ctap.PermissionGetAssertion, *req.RPID)
		if err != nil {
			return nil, err
		}
		flags |= ctap.FlagUV
	}
	found := a.locate(req) // step 7
	if len(found) == 0 {
		return nil, ctap.ErrNoCredentials
	}
	if !ctap.False(req.Options.UP) { // step 9
		if err := a.awaitPresence(r, PresenceRequest{Command: ctap.CommandGetAssertion, RPID: *req.RPID}); err != nil {
			return nil, err
		}
		flags |= ctap.FlagUP
		a.pin.spend()
	}
	resp, err := a.assert(found[0], flags, req.ClientDataHash, len(found))
	if err == nil && len(found) > 1 {
		a.next = &nextAssertion{r.channel, found[1:], flags, req.ClientDataHash, time.Now()}
	}
	return resp, err
}

func checkGetAssertion(req *ctap.GetAssertionRequest) error {
	switch {
	case req.RPID == nil, *req.RPID == "", req.ClientDataHash == nil:
		return ctap.ErrMissingParameter
	case len(req.ClientDataHash) != sha256.Size:
		return ctap.ErrInvalidLength
	case req.AllowList != nil && len(req.AllowList) == 0:
		return ctap.ErrInvalidParameter
	}
	return checkDescriptors(req.AllowList)
}

func (a *Authenticator) checkGetAssertionOptions(req *ctap.GetAssertionRequest) error {
	withToken := req.PINUVAuthParam != nil
	switch {
	case ctap.True(req.Options.UV) && !withToken: // step 4.3: there is no built-in user verification
		return ctap.ErrInvalidOption
	case req.Options.RK != nil: // step 4.4
		return ctap.ErrUnsupportedOption
	default:
		return nil
	}
}

// locate finds the credentials to answer with: any one of the allow list, or else all discoverable ones, newest first
// (step 7, and steps 11 and 12 for the order).
func (a *Authenticator) locate(req *ctap.GetAssertionRequest) []*Credential {
	if req.AllowList == nil {
		return a.state.discoverable(*req.RPID)
	}
	if c := a.state.findAny(req.AllowList, *req.RPID); c != nil {
		return []*Credential{c}
	}
	return nil
}

// getNextAssertion implements authenticatorGetNextAssertion (§6.3).
func (a *Authenticator) getNextAssertion(r *request, n *nextAssertion) (ctap.Response, error) {
	if n == nil || n.channel != r.channel || time.Since(n.last) > nextAssertionTimeout {
		return nil, ctap.ErrNotAllowed
	}
	resp, err := a.assert(n.credentials[0], n.flags, n.clientDataHash, 0)
	if err == nil && len(n.credentials) > 1 {
		n.credentials, n.last = n.credentials[1:], time.Now()
		a.next = n
	}
	return resp, err
}

// assert counts, durably, and then signs. count is the number of credentials found, 0 in a next assertion.
func (a *Authenticator) assert(c *Credential, flags ctap.Flags, clientDataHash []byte, count int) (ctap.Response, error) {
	key, err := c.signer()
	if err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.SignCount++ }); err != nil {
		return nil, err
	}
	authData := (&ctap.AuthenticatorData{
		RPIDHash:  sha256.Sum256([]byte(c.RPID)),
		Flags:     flags,
		SignCount: a.state.SignCount,
	}).Encode()
	sig, err := sign(key, authData, clientDataHash)
	if err != nil {
		return nil, err
	}
	resp := &ctap.GetAssertionResponse{
		Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: c.ID},
		AuthData:   authData,
		Signature:  sig,
	}
	if c.discoverable {
		resp.User = &ctap.PublicKeyCredentialUserEntity{ID: c.UserID}
		if flags&ctap.FlagUV != 0 && count != 1 { // names only to a verified user who has to choose (§6.2.2 step 13)
			resp.User.Name, resp.User.DisplayName = c.UserName, c.UserDisplayName
		}
	}
	if count > 1 {
		resp.NumberOfCredentials = uint(count)
	}
	return resp.Encode(), nil
}
