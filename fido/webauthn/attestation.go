package webauthn

import (
	"strings"

	"fob/fido/ctap"
)

// attestationObject makes the attestation object that the relying party gets (§6.5.4): the statement as the
// authenticator made it, or none where the relying party does not want one.
//
// Level 3 leaves the AAGUID in place for "none"; Level 2 overwrote it with zeros (§5.1.3, branch "none").
func attestationObject(made *ctap.MakeCredentialResponse, data *ctap.AuthenticatorData,
	preference AttestationConveyancePreference) (Base64URL, error) {
	object := struct {
		Format   string          `cbor:"fmt"`
		AttStmt  ctap.RawMessage `cbor:"attStmt"`
		AuthData ctap.Bytes      `cbor:"authData"`
	}{made.Format, made.AttStmt, made.AuthData}
	if len(object.AttStmt) == 0 && object.Format == ctap.FormatNone { // CTAP lets it be absent then
		object.AttStmt = emptyMap
	}
	if err := checkStatement(object.Format, object.AttStmt); err != nil {
		return nil, err
	}
	if preference == AttestationNone && !isAnonymousSelfAttestation(made, data) {
		object.Format, object.AttStmt = ctap.FormatNone, emptyMap
	}
	b, err := ctap.Marshal(object)
	if err != nil {
		return nil, &AuthenticatorResponseError{"attStmt", err}
	}
	return b, nil
}

var emptyMap = ctap.RawMessage{0xa0}

// checkStatement checks a format's identifier (§8.1) and that the statement is one CBOR map.
func checkStatement(format string, statement ctap.RawMessage) error {
	const longest = 32
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }
	if format == "" || len(format) > longest || strings.ContainsFunc(format, unprintable) {
		return &AuthenticatorResponseError{"fmt", ErrValue}
	}
	var members map[string]ctap.RawMessage
	if err := ctap.Unmarshal(statement, &members); err != nil {
		return &AuthenticatorResponseError{"attStmt", err}
	}
	if format == ctap.FormatNone && len(members) != 0 {
		return &AuthenticatorResponseError{"attStmt", ErrValue}
	}
	return nil
}

// isAnonymousSelfAttestation reports whether the statement says nothing about the authenticator, so that it may stay
// where the relying party wants none (§5.1.3). We ask for more than the standard, which looks for x5c alone: nothing
// but alg and sig, so that a key can't smuggle an identity past us in a member of another name.
func isAnonymousSelfAttestation(made *ctap.MakeCredentialResponse, data *ctap.AuthenticatorData) bool {
	var members map[string]ctap.RawMessage
	if made.Format != ctap.FormatPacked || data.Attested.AAGUID != (ctap.AAGUID{}) ||
		ctap.Unmarshal(made.AttStmt, &members) != nil {
		return false
	}
	return len(members) == 2 && members["alg"] != nil && members["sig"] != nil
}
