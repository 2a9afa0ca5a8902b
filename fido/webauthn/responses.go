package webauthn

import (
	"bytes"
	"math"

	"fob/fido/ctap"
)

// RegistrationResponseJSON is what the relying party gets at the end of a registration (§5.1).
type RegistrationResponseJSON struct {
	ID                      Base64URL                                 `json:"id"` // the credential ID, 1 to 1023 bytes
	RawID                   Base64URL                                 `json:"rawId"`
	Type                    string                                    `json:"type"`
	AuthenticatorAttachment AuthenticatorAttachment                   `json:"authenticatorAttachment,omitempty"`
	ClientExtensionResults  AuthenticationExtensionsClientOutputsJSON `json:"clientExtensionResults"`
	Response                AuthenticatorAttestationResponseJSON      `json:"response"`
}

// AuthenticatorAttestationResponseJSON is what the authenticator made of a registration (§5.1). PublicKey is a
// SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7); nil when the client does not know the algorithm.
type AuthenticatorAttestationResponseJSON struct {
	ClientDataJSON     Base64URL      `json:"clientDataJSON"`
	AuthenticatorData  Base64URL      `json:"authenticatorData"`
	Transports         []string       `json:"transports"`
	PublicKey          Base64URL      `json:"publicKey,omitempty"`
	PublicKeyAlgorithm ctap.Algorithm `json:"publicKeyAlgorithm"`
	AttestationObject  Base64URL      `json:"attestationObject"`
}

// AuthenticationResponseJSON is what the relying party gets at the end of a sign-in (§5.1).
type AuthenticationResponseJSON struct {
	ID                      Base64URL                                 `json:"id"` // the credential ID, 1 to 1023 bytes
	RawID                   Base64URL                                 `json:"rawId"`
	Type                    string                                    `json:"type"`
	AuthenticatorAttachment AuthenticatorAttachment                   `json:"authenticatorAttachment,omitempty"`
	ClientExtensionResults  AuthenticationExtensionsClientOutputsJSON `json:"clientExtensionResults"`
	Response                AuthenticatorAssertionResponseJSON        `json:"response"`
}

// AuthenticatorAssertionResponseJSON is what the authenticator made of a sign-in (§5.1). UserHandle is nil when the
// authenticator gave none.
type AuthenticatorAssertionResponseJSON struct {
	ClientDataJSON    Base64URL `json:"clientDataJSON"`
	AuthenticatorData Base64URL `json:"authenticatorData"`
	Signature         Base64URL `json:"signature"`
	UserHandle        Base64URL `json:"userHandle,omitempty"`
}

// ParseRegistrationResponse reads a registration response, at most MaxJSONSize bytes of JSON. It checks form alone:
// what is in the attestation object is for the relying party to verify. The error is a *MemberError.
func ParseRegistrationResponse(b []byte) (*RegistrationResponseJSON, error) {
	o, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	inner := o.object("response", required)
	response := &RegistrationResponseJSON{
		ID:                      o.credentialID(),
		RawID:                   o.bytes("rawId", required, 1, ctap.MaxCredentialIDLength),
		Type:                    o.credentialType(),
		AuthenticatorAttachment: o.attachment(),
		ClientExtensionResults:  o.extensionResults(),
		Response: AuthenticatorAttestationResponseJSON{
			ClientDataJSON:     inner.bytes("clientDataJSON", required, 1, MaxJSONSize),
			AuthenticatorData:  inner.bytes("authenticatorData", required, 1, MaxJSONSize),
			Transports:         inner.texts("transports", required),
			PublicKey:          inner.bytes("publicKey", optional, 1, MaxJSONSize),
			PublicKeyAlgorithm: ctap.Algorithm(inner.integer("publicKeyAlgorithm", required, math.MinInt32, math.MaxInt32)),
			AttestationObject:  inner.bytes("attestationObject", required, 1, MaxJSONSize),
		},
	}
	if *o.err != nil {
		return nil, *o.err
	}
	return response, nil
}

// ParseAuthenticationResponse reads a sign-in response, at most MaxJSONSize bytes of JSON. It checks form alone: the
// signature is for the relying party to verify. The error is a *MemberError.
func ParseAuthenticationResponse(b []byte) (*AuthenticationResponseJSON, error) {
	o, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	inner := o.object("response", required)
	response := &AuthenticationResponseJSON{
		ID:                      o.credentialID(),
		RawID:                   o.bytes("rawId", required, 1, ctap.MaxCredentialIDLength),
		Type:                    o.credentialType(),
		AuthenticatorAttachment: o.attachment(),
		ClientExtensionResults:  o.extensionResults(),
		Response: AuthenticatorAssertionResponseJSON{
			ClientDataJSON:    inner.bytes("clientDataJSON", required, 1, MaxJSONSize),
			AuthenticatorData: inner.bytes("authenticatorData", required, 1, MaxJSONSize),
			Signature:         inner.bytes("signature", required, 1, MaxJSONSize),
			UserHandle:        inner.bytes("userHandle", optional, 1, MaxUserIDLength),
		},
	}
	if *o.err != nil {
		return nil, *o.err
	}
	return response, nil
}

// credentialID reads id, which says the same as rawId.
func (o object) credentialID() Base64URL {
	id := o.bytes("id", required, 1, ctap.MaxCredentialIDLength)
	if !bytes.Equal(id, o.bytes("rawId", required, 1, ctap.MaxCredentialIDLength)) {
		o.fail("rawId", ErrValue)
	}
	return id
}

func (o object) credentialType() string {
	typ := o.text("type", required)
	if typ != ctap.TypePublicKey {
		o.fail("type", ErrValue)
	}
	return typ
}

func (o object) attachment() AuthenticatorAttachment {
	return known(o.text("authenticatorAttachment", optional), "", AttachmentPlatform, AttachmentCrossPlatform)
}
