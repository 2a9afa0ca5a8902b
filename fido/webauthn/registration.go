package webauthn

import (
	"fmt"
	"slices"

	"filippo.io/mldsa/x509"

	"fob/fido/ctap"
)

// Registration is a registration ceremony that has begun: what the authenticator is to be asked (§5.1.3).
type Registration struct {
	Options        *PublicKeyCredentialCreationOptionsJSON
	RPID           string // effective RP ID
	ClientDataJSON ClientDataJSON
}

// BeginRegistration begins the registration that a page of origin asks for. The error is an *RPIDError.
func BeginRegistration(options *PublicKeyCredentialCreationOptionsJSON, origin string) (*Registration, error) {
	rpID, err := CheckRPID(options.RP.ID, origin)
	if err != nil {
		return nil, err
	}
	data := CollectedClientData{Type: CeremonyCreate, Challenge: options.Challenge, Origin: origin}
	return &Registration{options, rpID, data.Serialize()}, nil
}

// Finish makes the response to the relying party of the authenticator's answer, after checking that it answers what
// was asked. transports are the ways to reach the authenticator; unknown ones are dropped. rk tells whether the
// authenticator was asked for a discoverable credential; it is told to the relying party where extensions.credProps
// is true (§10.1.3). o is what extensions gave besides. The error is an *AuthenticatorResponseError.
func (r *Registration) Finish(made *ctap.MakeCredentialResponse, transports []string, rk bool, o ExtensionOutputs) (
	*RegistrationResponseJSON, error) {
	data, err := parseAuthData(made.AuthData, r.RPID, r.Options.AuthenticatorSelection.UserVerification)
	if err != nil {
		return nil, err
	}
	if made.EnterpriseAttestation && r.Options.Attestation != AttestationEnterprise {
		return nil, &AuthenticatorResponseError{"epAtt", ErrUnexpected}
	}
	alg, spki, err := r.checkAttested(data.Attested)
	if err != nil {
		return nil, err
	}
	object, err := attestationObject(made, data, r.Options.Attestation)
	if err != nil {
		return nil, err
	}
	results, err := r.extensionResults(data, rk, o)
	if err != nil {
		return nil, err
	}
	return &RegistrationResponseJSON{
		ID:                      data.Attested.CredentialID,
		RawID:                   data.Attested.CredentialID,
		Type:                    ctap.TypePublicKey,
		AuthenticatorAttachment: AttachmentCrossPlatform,
		ClientExtensionResults:  results,
		Response: AuthenticatorAttestationResponseJSON{
			ClientDataJSON:     Base64URL(r.ClientDataJSON),
			AuthenticatorData:  Base64URL(made.AuthData),
			Transports:         sortedTransports(transports),
			PublicKey:          spki,
			PublicKeyAlgorithm: alg,
			AttestationObject:  object,
		},
	}, nil
}

// checkAttested checks a new credential and gives its algorithm and SubjectPublicKeyInfo. The latter is nil for an
// algorithm that we don't know (§5.2.1.1).
func (r *Registration) checkAttested(a *ctap.AttestedCredentialData) (ctap.Algorithm, Base64URL, error) {
	const member = "authData.attestedCredentialData"
	if a == nil {
		return 0, nil, &AuthenticatorResponseError{member, ErrMissing}
	}
	if len(a.CredentialID) == 0 {
		return 0, nil, &AuthenticatorResponseError{member + ".credentialId", ErrLength}
	}
	var key struct {
		Alg ctap.Algorithm `cbor:"3,keyasint"`
	}
	if err := ctap.Unmarshal(a.PublicKey, &key); err != nil {
		return 0, nil, &AuthenticatorResponseError{member + ".credentialPublicKey", err}
	}
	if !r.Options.Allows(key.Alg) {
		return 0, nil, &AuthenticatorResponseError{member + ".credentialPublicKey",
			fmt.Errorf("%w: %v was not asked for", ctap.ErrUnsupportedAlgorithm, key.Alg)}
	}
	if !key.Alg.Known() {
		return key.Alg, nil, nil
	}
	public, _, err := ctap.ParseCOSEKey(a.PublicKey)
	if err != nil {
		return 0, nil, &AuthenticatorResponseError{member + ".credentialPublicKey", err}
	}
	// mldsa's knows ML-DSA besides what the standard library knows.
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return 0, nil, &AuthenticatorResponseError{member + ".credentialPublicKey", err}
	}
	return key.Alg, spki, nil
}

// sortedTransports gives what getTransports gives: known values in lexicographical order, each once (§5.2.1).
func sortedTransports(transports []string) []string {
	list := append([]string{}, knownOnly(slices.Clone(transports), knownTransports)...)
	slices.Sort(list)
	return slices.Compact(list)
}
