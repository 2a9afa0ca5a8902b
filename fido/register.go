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
}

// Registration is a new credential.
type Registration struct {
	*ctap.MakeCredentialResponse
	Discoverable bool
	Transports   []string
}

// Register makes a credential on a key. It returns ctx.Err() when ctx ends, and the key is dark then.
func Register(ctx context.Context, key Authenticator, d DeviceInfo, p Prompter, o *RegisterOptions) (*Registration, error) {
	c, err := begin(ctx, key, d, p)
	if err != nil {
		return nil, err
	}
	req := &MakeCredentialRequest{
		ClientDataHash: o.ClientDataHash,
		RP:             o.RP,
		User:           o.User,
	}
	if req.Algorithm, err = chooseAlgorithm(c.info, o.Algorithms); err != nil {
		return nil, err
	}
	if req.RK, err = chooseResidentKey(c.info, o.ResidentKey); err != nil {
		return nil, err
	}
	if req.ExcludeList, err = checkList(c.info, o.ExcludeList, o.RP.ID, o.RP.Name, o.User.Name, o.User.DisplayName); err != nil {
		return nil, err
	}
	m, err := chooseMethod(c.info, o.UserVerification, registerNeedsUV(c.info, req.RK))
	if err != nil {
		return nil, err
	}
	var resp *ctap.MakeCredentialResponse
	err = c.verified(ctx, m, func(uv bool, pin PIN) (err error) {
		req.UV, req.PIN = uv, pin
		resp, err = key.MakeCredential(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Registration{resp, req.RK, c.info.Transports}, nil
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
