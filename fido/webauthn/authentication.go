package webauthn

import (
	"bytes"
	"slices"

	"fob/fido/ctap"
)

// Authentication is a sign-in ceremony that has begun: what the authenticator is to be asked (§5.1.4).
type Authentication struct {
	Options        *PublicKeyCredentialRequestOptionsJSON
	RPID           string // effective RP ID
	ClientDataJSON ClientDataJSON
}

// BeginAuthentication begins the sign-in that a page of origin asks for. The error is an *RPIDError.
func BeginAuthentication(options *PublicKeyCredentialRequestOptionsJSON, origin string) (*Authentication, error) {
	rpID, err := CheckRPID(options.RPID, origin)
	if err != nil {
		return nil, err
	}
	data := CollectedClientData{Type: CeremonyGet, Challenge: options.Challenge, Origin: origin}
	return &Authentication{options, rpID, data.Serialize()}, nil
}

// Finish makes the response to the relying party of one of the authenticator's assertions, after checking that it
// answers what was asked. The signature is for the relying party to verify: it knows the public key. o is what
// extensions gave besides. The error is an *AuthenticatorResponseError.
func (a *Authentication) Finish(got *ctap.GetAssertionResponse, o ExtensionOutputs) (*AuthenticationResponseJSON, error) {
	data, err := parseAuthData(got.AuthData, a.RPID, a.Options.UserVerification)
	if err != nil {
		return nil, err
	}
	if data.Attested != nil { // §6.3.3: not in an assertion
		return nil, &AuthenticatorResponseError{"authData.attestedCredentialData", ErrUnexpected}
	}
	if len(got.Signature) == 0 {
		return nil, &AuthenticatorResponseError{"signature", ErrMissing}
	}
	id, err := a.credentialID(&got.Credential)
	if err != nil {
		return nil, err
	}
	handle, err := userHandle(got.User)
	if err != nil {
		return nil, err
	}
	results, err := a.extensionResults(data, o)
	if err != nil {
		return nil, err
	}
	return &AuthenticationResponseJSON{
		ID:                      id,
		RawID:                   id,
		Type:                    ctap.TypePublicKey,
		AuthenticatorAttachment: AttachmentCrossPlatform,
		ClientExtensionResults:  results,
		Response: AuthenticatorAssertionResponseJSON{
			ClientDataJSON:    Base64URL(a.ClientDataJSON),
			AuthenticatorData: Base64URL(got.AuthData),
			Signature:         Base64URL(got.Signature),
			UserHandle:        handle,
		},
	}, nil
}

// credentialID tells which credential signed. An authenticator may leave it out when it was offered just one (CTAP
// 2.2 §6.2.2).
func (a *Authentication) credentialID(c *ctap.PublicKeyCredentialDescriptor) (Base64URL, error) {
	allowed := IDs(a.Options.AllowCredentials)
	switch {
	case len(c.ID) == 0 && len(allowed) == 1:
		return allowed[0], nil
	case len(c.ID) == 0:
		return nil, &AuthenticatorResponseError{"credential.id", ErrCredentialUnknown}
	case len(c.ID) > ctap.MaxCredentialIDLength:
		return nil, &AuthenticatorResponseError{"credential.id", ErrLength}
	case c.Type != ctap.TypePublicKey:
		return nil, &AuthenticatorResponseError{"credential.type", ErrValue}
	case len(allowed) == 0:
		return Base64URL(c.ID), nil
	case slices.ContainsFunc(allowed, func(id []byte) bool { return bytes.Equal(id, c.ID) }):
		return Base64URL(c.ID), nil
	}
	return nil, &AuthenticatorResponseError{"credential.id", ErrCredentialUnbidden}
}

func userHandle(user *ctap.PublicKeyCredentialUserEntity) (Base64URL, error) {
	if user == nil {
		return nil, nil
	}
	if len(user.ID) == 0 || len(user.ID) > MaxUserIDLength {
		return nil, &AuthenticatorResponseError{"user.id", ErrUserHandle}
	}
	return Base64URL(user.ID), nil
}
