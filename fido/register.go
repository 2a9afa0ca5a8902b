package fido

import (
	"context"
	"errors"

	"fob/fido/ctap"
)

// ErrNoResidentKey is a key that cannot keep the discoverable credential that was required of it.
var ErrNoResidentKey = errors.New("the key cannot keep discoverable credentials")

// RegisterOptions say what credential a relying party wants.
type RegisterOptions struct {
	ClientDataHash   []byte // SHA-256, 32 bytes
	RP               ctap.PublicKeyCredentialRpEntity
	User             ctap.PublicKeyCredentialUserEntity
	Algorithms       []ctap.Algorithm // in the relying party's order of preference
	ExcludeList      [][]byte         // credential IDs; a key that holds one refuses with ctap.ErrCredentialExcluded
	ResidentKey      Requirement
	UserVerification Requirement
	Extensions       RegisterExtensions
}

// Registration is a new credential.
type Registration struct {
	*MakeCredentialResponse
	Device       DeviceInfo // the key that it is on
	Discoverable bool
	Transports   []string
}

// Register makes a credential on the one of keys that is touched first. It returns ctx.Err() when ctx ends; all keys
// are dark when it returns.
func Register(ctx context.Context, keys Keys, p Prompter, o *RegisterOptions) (*Registration, error) {
	_, made, err := onAny(ctx, keys, p, func(_ context.Context, c *ceremony) (*attempt[*Registration], error) {
		return c.prepareRegister(o)
	})
	return made, err
}

func (c *ceremony) prepareRegister(o *RegisterOptions) (a *attempt[*Registration], err error) {
	req := MakeCredentialRequest{ClientDataHash: o.ClientDataHash, RP: o.RP, User: o.User}
	if req.Algorithm, err = chooseAlgorithm(c.info, o.Algorithms); err != nil {
		return nil, err
	}
	if req.RK, err = chooseResidentKey(c.info, o.ResidentKey); err != nil {
		return nil, err
	}
	if err := o.Extensions.apply(c.info, &req); err != nil {
		return nil, err
	}
	lists := batches(c.info, o.ExcludeList, len(o.RP.ID)+len(o.RP.Name)+len(o.User.Name)+len(o.User.DisplayName)+
		len(req.Extensions.CredBlob)+extensionsSize)
	m, err := chooseMethod(c.info, o.UserVerification, registerNeedsUV(c.info, req.RK) || req.Salts != nil)
	if err != nil {
		return nil, err
	}
	perform := func(ctx context.Context, uv bool, pin PIN) (made *Registration, err error) {
		r := req
		r.UV, r.PIN = uv, pin
		if r.ExcludeList, err = c.excluded(ctx, o.RP.ID, lists, pin); err != nil {
			return nil, err
		}
		c.making = r.RK
		resp, err := c.key.MakeCredential(ctx, &r)
		if err != nil {
			return nil, err
		}
		return &Registration{resp, c.device, r.RK, c.info.Transports}, nil
	}
	return &attempt[*Registration]{ceremony: c, method: m, perform: perform}, nil
}

// excluded gives the list that keeps the key from making a second credential. One that is too long for a request is cut
// to the credential that the key has; the key itself refuses then, once it is touched.
func (c *ceremony) excluded(ctx context.Context, rpID string, lists [][][]byte, pin PIN) ([][]byte, error) {
	switch len(lists) {
	case 0:
		return nil, nil
	case 1:
		return lists[0], nil
	}
	id, err := c.probe(ctx, rpID, lists, false, pin)
	if err != nil || id == nil {
		return nil, err
	}
	return [][]byte{id}, nil
}

// registerNeedsUV reports whether the key makes no such credential without user verification (CTAP 2.2 §6.1.2 steps 7
// and 8): with a PIN set, only makeCredUvNotRqd excepts credentials that are not discoverable.
func registerNeedsUV(info *ctap.GetInfoResponse, rk bool) bool {
	protected := info.Options[ctap.OptionClientPIN] || info.Options[ctap.OptionUV]
	return protected && (rk || !info.Options[ctap.OptionMakeCredUVNotRqd])
}

func chooseAlgorithm(info *ctap.GetInfoResponse, wanted []ctap.Algorithm) (ctap.Algorithm, error) {
	for _, alg := range wanted {
		if info.SupportsAlgorithm(alg) {
			return alg, nil
		}
	}
	return 0, ctap.ErrUnsupportedAlgorithm
}

func chooseResidentKey(info *ctap.GetInfoResponse, want Requirement) (bool, error) {
	can := info.Options[ctap.OptionRK]
	if want == Required && !can {
		return false, ErrNoResidentKey
	}
	return can && want != Discouraged, nil
}
