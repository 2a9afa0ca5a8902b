package webauthn

import (
	"crypto/sha256"
	"errors"

	"fob/fido/ctap"
)

// Problems that an AuthenticatorResponseError unwraps to, besides those of MemberError and the status codes of ctap
// for malformed CBOR.
var (
	ErrRPIDHash           = errors.New("is not the hash of the RP ID")
	ErrNoUserPresence     = errors.New("doesn't say that the user is present")
	ErrNoUserVerification = errors.New("doesn't say that the user was verified, which is required")
	ErrBackupState        = errors.New("says that a credential is backed up which can't be")
	ErrUnexpected         = errors.New("was not asked for")
	ErrCredentialUnbidden = errors.New("is not in the list of allowed credentials")
	ErrCredentialUnknown  = errors.New("is missing, and the list of allowed credentials does not tell which it is")
	ErrUserHandle         = errors.New("is not a user handle of 1 to 64 bytes")
)

// AuthenticatorResponseError says why the answer of an authenticator was not accepted: it is malformed or does not
// answer what was asked. Member is the one at fault, e.g. "authData.flags".
type AuthenticatorResponseError struct {
	Member  string
	Problem error
}

func (e *AuthenticatorResponseError) Error() string {
	return "bad answer from the authenticator: " + e.Member + " " + e.Problem.Error()
}

// Unwrap gives the problem.
func (e *AuthenticatorResponseError) Unwrap() error { return e.Problem }

// parseAuthData decodes authenticator data and checks what both ceremonies check (§6.1).
func parseAuthData(b []byte, rpID string, uv UserVerificationRequirement) (*ctap.AuthenticatorData, error) {
	data, err := ctap.ParseAuthenticatorData(b)
	if err != nil {
		return nil, &AuthenticatorResponseError{"authData", err}
	}
	switch {
	case data.RPIDHash != sha256.Sum256([]byte(rpID)):
		return nil, &AuthenticatorResponseError{"authData.rpIdHash", ErrRPIDHash}
	case data.Flags&ctap.FlagUP == 0:
		return nil, &AuthenticatorResponseError{"authData.flags", ErrNoUserPresence}
	case uv == UserVerificationRequired && data.Flags&ctap.FlagUV == 0:
		return nil, &AuthenticatorResponseError{"authData.flags", ErrNoUserVerification}
	case data.Flags&ctap.FlagBS != 0 && data.Flags&ctap.FlagBE == 0:
		return nil, &AuthenticatorResponseError{"authData.flags", ErrBackupState}
	}
	return data, nil
}
