package fido

import (
	"context"

	"fob/fido/ctap"
)

// SignInOptions say which credential a relying party wants a signature of.
type SignInOptions struct {
	ClientDataHash   []byte // SHA-256, 32 bytes
	RPID             string
	AllowList        [][]byte // credential IDs; none for any discoverable credential
	UserVerification Requirement
}

// SignIn makes an assertion on a key. Where several discoverable credentials match, the person chooses the account. It
// returns ctx.Err() when ctx ends, and the key is dark then.
func SignIn(ctx context.Context, key Authenticator, d DeviceInfo, p Prompter, o *SignInOptions) (*ctap.GetAssertionResponse, error) {
	c, err := begin(ctx, key, d, p)
	if err != nil {
		return nil, err
	}
	m, err := chooseMethod(c.info, o.UserVerification, false)
	if err != nil {
		return nil, err
	}
	allowed, err := checkList(c.info, o.AllowList, o.RPID)
	switch {
	case err != nil:
		return nil, err
	case len(allowed) == 0 && len(o.AllowList) > 0: // an empty list would mean any credential
		return nil, ctap.ErrNoCredentials
	}
	req := &GetAssertionRequest{RPID: o.RPID, ClientDataHash: o.ClientDataHash, AllowList: allowed}
	var found []ctap.GetAssertionResponse
	err = c.verified(ctx, m, func(uv bool, pin PIN) (err error) {
		req.UV, req.PIN = uv, pin
		found, err = key.GetAssertion(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c.choose(ctx, found)
}

// choose lets the person pick one of several accounts.
func (c *ceremony) choose(ctx context.Context, found []ctap.GetAssertionResponse) (*ctap.GetAssertionResponse, error) {
	switch len(found) {
	case 0:
		return nil, ErrBadAnswer
	case 1:
		return &found[0], nil
	}
	accounts := make([]ctap.PublicKeyCredentialUserEntity, len(found))
	for i, a := range found {
		if a.User != nil {
			accounts[i] = *a.User
		}
	}
	i, err := c.prompt.Choose(ctx, c.device, accounts)
	if err != nil {
		return nil, err
	}
	if i < 0 || i >= len(found) {
		return nil, ErrDeclined
	}
	return &found[i], nil
}
