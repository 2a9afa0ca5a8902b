package libfido2

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// A key that speaks CTAP1/U2F alone registers and signs in through libfido2, which knows how CTAP2 requests become U2F
// commands (CTAP 2.2 §10). What it can't do is refused here.

// u2fInfo is what there is to say of such a key. Its credentials are known by key handles, whose length is one byte.
func u2fInfo() *ctap.GetInfoResponse {
	return &ctap.GetInfoResponse{
		Versions:              []string{ctap.VersionU2F},
		MaxCredentialIDLength: math.MaxUint8,
		Transports:            []string{"usb"},
	}
}

// registerByU2F gives the request that such a key can serve: ES256, and no more proof than a touch (CTAP 2.2 §10.2).
func registerByU2F(r *fido.MakeCredentialRequest) (*fido.MakeCredentialRequest, error) {
	switch {
	case r.RK, r.UV, r.PIN != nil, r.Salts != nil, r.EnterpriseAttestation != 0:
		return nil, ctap.ErrUnsupportedOption
	case r.Algorithm != ctap.ES256:
		return nil, ctap.ErrUnsupportedAlgorithm
	}
	changed := *r
	changed.ExcludeList = keyHandles(r.ExcludeList)
	return &changed, nil
}

// u2fStatement leaves out of a statement what libfido2 adds, "alg", which has no place there (WebAuthn §8.6).
func u2fStatement(attStmt ctap.RawMessage) (ctap.RawMessage, error) {
	var s struct {
		Sig ctap.Bytes   `cbor:"sig"`
		X5C []ctap.Bytes `cbor:"x5c"`
	}
	if err := ctap.Unmarshal(attStmt, &s); err != nil {
		return nil, fmt.Errorf("%w (%w)", fido.ErrBadAnswer, err)
	}
	return ctap.Marshal(s)
}

// signInByU2F finds the credential that the key has, and gives the request for it alone, or nothing more to ask for: a
// silent one is answered by what was found, without a signature.
func (d *Device) signInByU2F(
	ctx context.Context, r *fido.GetAssertionRequest,
) (*fido.GetAssertionRequest, []fido.GetAssertionResponse, error) {
	if r.UV || r.PIN != nil || r.Salts != nil {
		return nil, nil, ctap.ErrUnsupportedOption
	}
	application := sha256.Sum256([]byte(r.RPID))
	for _, id := range keyHandles(distinct(r.AllowList)) {
		switch has, err := d.hasKeyHandle(ctx, application, id); {
		case err != nil:
			return nil, nil, err
		case has && r.Silent:
			data := ctap.AuthenticatorData{RPIDHash: application}
			var found fido.GetAssertionResponse
			found.Credential = ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: id}
			found.AuthData, found.Signature = data.Encode(), []byte{}
			return nil, []fido.GetAssertionResponse{found}, nil
		case has:
			changed := *r
			changed.AllowList = [][]byte{id}
			return &changed, nil, nil
		}
	}
	return nil, nil, ctap.ErrNoCredentials
}

// hasKeyHandle asks by U2F_AUTHENTICATE, check-only, which needs no touch (FIDO U2F Raw Message Formats §5.1).
func (d *Device) hasKeyHandle(ctx context.Context, application [sha256.Size]byte, id []byte) (bool, error) {
	var challenge [sha256.Size]byte
	check := ctap.U2FRequest{
		Instruction: ctap.U2FAuthenticate,
		Control:     ctap.U2FCheckOnly,
		Data:        slices.Concat(challenge[:], application[:], []byte{byte(len(id))}, id),
	}
	var answer []byte
	err := d.inTurn(ctx, func() (err error) {
		answer, err = d.transact(ctx, ctaphid.CommandMsg, check.Encode())
		return err
	})
	switch code := u2fStatus(answer); {
	case err != nil:
		return false, err
	case code == ctap.U2FConditionsNotSatisfied:
		return true, nil
	case code == ctap.U2FWrongData, code == ctap.U2FWrongLength: // which some keys say of a handle that is not theirs
		return false, nil
	default:
		return false, u2fError(code)
	}
}

// keyHandles leaves out credential IDs that no such key has made.
func keyHandles(ids [][]byte) (list [][]byte) {
	for _, id := range ids {
		if len(id) > 0 && len(id) <= math.MaxUint8 {
			list = append(list, id)
		}
	}
	return list
}

// u2fError names a status word that a key should not have given.
func u2fError(code ctap.U2FStatus) error {
	switch code {
	case ctap.U2FNoError:
		return fido.ErrBadAnswer
	case ctap.U2FCommandNotAllowed:
		return fmt.Errorf("%w (%w)", ctap.ErrNotAllowed, code)
	case ctap.U2FInstructionNotSupported, ctap.U2FClassNotSupported:
		return fmt.Errorf("%w (%w)", ctap.ErrInvalidCommand, code)
	default:
		return fmt.Errorf("%w (%w)", ctap.ErrOther, code)
	}
}
