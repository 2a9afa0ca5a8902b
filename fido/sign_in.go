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
	Extensions       SignInExtensions
}

// Assertion is a signature, and the key that it is of.
type Assertion struct {
	*GetAssertionResponse
	Device DeviceInfo
}

// SignIn makes an assertion on the one of keys that is touched first. With an allow list, and several keys, only those
// light up that have one of its credentials, as far as keys tell. Where several discoverable credentials match, the
// person chooses the account. It returns ctx.Err() when ctx ends; all keys are dark when it returns.
func SignIn(ctx context.Context, keys Keys, p Prompter, o *SignInOptions) (*Assertion, error) {
	c, found, err := onAny(ctx, keys, p, func(ctx context.Context, c *ceremony) (*attempt[assertions], error) {
		return c.prepareSignIn(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	chosen, err := c.choose(ctx, found)
	for i := range found {
		if &found[i] != chosen {
			found[i].HMACSecret.Wipe()
		}
	}
	if err != nil {
		return nil, err
	}
	return &Assertion{chosen, c.device}, nil
}

// assertions are one for each credential that matched.
type assertions []GetAssertionResponse

func (c *ceremony) prepareSignIn(ctx context.Context, o *SignInOptions) (*attempt[assertions], error) {
	req := GetAssertionRequest{RPID: o.RPID, ClientDataHash: o.ClientDataHash}
	m, err := chooseMethod(c.info, o.UserVerification, o.Extensions.apply(c.info, &req))
	if err != nil {
		return nil, err
	}
	lists := batches(c.info, o.AllowList, len(o.RPID)+extensionsSize)
	if len(lists) == 0 && len(o.AllowList) > 0 { // an empty list would mean any credential
		return nil, ctap.ErrNoCredentials
	}
	known, err := c.holds(ctx, o.RPID, lists)
	if err != nil {
		return nil, err
	}
	if known != nil {
		lists = [][][]byte{{known}}
	}
	perform := func(ctx context.Context, uv bool, pin PIN) (assertions, error) {
		r := req
		r.UV, r.PIN = uv, pin
		return c.assert(ctx, &r, lists, &o.Extensions)
	}
	return &attempt[assertions]{ceremony: c, method: m, holds: known != nil, perform: perform}, nil
}

// holds finds the credential of an allow list that the key has, where that matters: among several keys, or in a list
// that is too long for a request. It is nil when the key doesn't tell; one that can't verify a person tells all, and is
// of no use then.
func (c *ceremony) holds(ctx context.Context, rpID string, lists [][][]byte) ([]byte, error) {
	if len(lists) == 0 || len(lists) == 1 && !c.several {
		return nil, nil
	}
	id, err := c.probe(ctx, rpID, lists, false, nil)
	switch {
	case isStatus(err, ctap.ErrInvalidOption, ctap.ErrUnsupportedOption, ctap.ErrPUATRequired, ctap.ErrUPRequired):
		return nil, nil // it makes no assertion without a touch
	case err != nil:
		return nil, err
	case id == nil && !c.info.Options[ctap.OptionUV] && !c.info.Options[ctap.OptionClientPIN]:
		return nil, ctap.ErrNoCredentials
	}
	return id, nil
}

// assert asks for an assertion. In lists that are too long for one request, or whose credentials have salts of their
// own, it finds the credential first.
func (c *ceremony) assert(ctx context.Context, r *GetAssertionRequest, lists [][][]byte, x *SignInExtensions) (
	assertions, error) {

	if len(lists) > 0 {
		r.AllowList = lists[0]
	}
	evaluates := x.evaluates(c.info)
	if len(lists) > 1 || evaluates && x.saltsDiffer(r.AllowList) {
		id, err := c.find(ctx, r, lists)
		switch {
		case err != nil:
			return nil, err
		case id == nil:
			return nil, ctap.ErrNoCredentials
		}
		r.AllowList = [][]byte{id}
	}
	if evaluates {
		r.Salts = x.Salts
		if len(r.AllowList) > 0 {
			r.Salts = x.saltsOf(r.AllowList[0])
		}
	}
	return c.key.GetAssertion(ctx, r)
}

// find is probe with the person verified as r says. A fingerprint is asked for only when the key doesn't tell without.
func (c *ceremony) find(ctx context.Context, r *GetAssertionRequest, lists [][][]byte) ([]byte, error) {
	id, err := c.probe(ctx, r.RPID, lists, false, r.PIN)
	if r.UV && (err == nil && id == nil || isStatus(err, ctap.ErrPUATRequired, ctap.ErrUPRequired)) {
		return c.probe(ctx, r.RPID, lists, true, nil)
	}
	return id, err
}

// choose lets the person pick one of several accounts.
func (c *ceremony) choose(ctx context.Context, found []GetAssertionResponse) (*GetAssertionResponse, error) {
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
