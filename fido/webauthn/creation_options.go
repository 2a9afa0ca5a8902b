package webauthn

import (
	"encoding/json"

	"fob/fido/ctap"
)

// Lengths of a challenge, in bytes. WebAuthn asks relying parties for 16 at least (§13.4.3); a shorter one can be
// guessed, so we refuse it.
const (
	MinChallengeLength = 16
	MaxChallengeLength = 1024
)

// PublicKeyCredentialCreationOptionsJSON is what a relying party asks for at registration (§5.4, §5.1.8). Parsed
// options hold effective values: enumerations are known ones, defaults are filled in.
type PublicKeyCredentialCreationOptionsJSON struct {
	RP                     PublicKeyCredentialRpEntity         `json:"rp"`
	User                   PublicKeyCredentialUserEntityJSON   `json:"user"`
	Challenge              Base64URL                           `json:"challenge"`
	PubKeyCredParams       []PublicKeyCredentialParameters     `json:"pubKeyCredParams"`
	Timeout                uint32                              `json:"timeout,omitempty"` // milliseconds; 0: no wish
	ExcludeCredentials     []PublicKeyCredentialDescriptorJSON `json:"excludeCredentials,omitempty"`
	AuthenticatorSelection AuthenticatorSelectionCriteria      `json:"authenticatorSelection"`
	Hints                  []string                            `json:"hints,omitempty"`
	Attestation            AttestationConveyancePreference     `json:"attestation"`
	AttestationFormats     []string                            `json:"attestationFormats,omitempty"`
	Extensions             map[string]json.RawMessage          `json:"extensions,omitempty"`
	RegistrationExtensions `json:"-"`                          // what we know of Extensions
}

// AuthenticatorSelectionCriteria says which authenticators will do and what they should make (§5.4.4).
type AuthenticatorSelectionCriteria struct {
	AuthenticatorAttachment AuthenticatorAttachment     `json:"authenticatorAttachment,omitempty"` // empty: any
	ResidentKey             ResidentKeyRequirement      `json:"residentKey"`
	RequireResidentKey      bool                        `json:"requireResidentKey"` // ResidentKey is "required"
	UserVerification        UserVerificationRequirement `json:"userVerification"`
}

// Allows reports whether alg is among the algorithms that the relying party accepts.
func (o *PublicKeyCredentialCreationOptionsJSON) Allows(alg ctap.Algorithm) bool {
	for _, p := range o.PubKeyCredParams {
		if p.Alg == alg {
			return true
		}
	}
	return false
}

// ParseCreationOptions reads the options of a registration as parseCreationOptionsFromJSON does (§5.1.8), at most
// MaxJSONSize bytes of JSON. It takes them bare or as {"publicKey": options}, which is what servers send for
// navigator.credentials.create. The error is a *MemberError.
func ParseCreationOptions(b []byte) (*PublicKeyCredentialCreationOptionsJSON, error) {
	o, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	o = unwrap(o)
	options := &PublicKeyCredentialCreationOptionsJSON{
		RP:                     o.rp(),
		User:                   o.user(),
		Challenge:              o.bytes("challenge", required, MinChallengeLength, MaxChallengeLength),
		PubKeyCredParams:       o.parameters("pubKeyCredParams"),
		Timeout:                o.milliseconds("timeout"),
		AuthenticatorSelection: o.object("authenticatorSelection", optional).selection(),
		Hints:                  knownOnly(o.texts("hints", optional), knownHints),
		Attestation: known(o.text("attestation", optional), AttestationNone,
			AttestationNone, AttestationIndirect, AttestationDirect, AttestationEnterprise),
		AttestationFormats: o.texts("attestationFormats", optional),
		Extensions:         o.object("extensions", optional).members,

		RegistrationExtensions: o.object("extensions", optional).registrationExtensions(),
	}
	// Credentials of a type that we don't know can't be on the key, so a list that has no other excludes nothing.
	options.ExcludeCredentials, _ = o.descriptors("excludeCredentials")
	if *o.err != nil {
		return nil, *o.err
	}
	return options, nil
}

// unwrap gives the options within {"publicKey": options}.
func unwrap(o object) object {
	if _, bare := o.members["challenge"]; bare {
		return o
	}
	if _, wrapped := o.members["publicKey"]; !wrapped {
		return o
	}
	inner := o.object("publicKey", required)
	inner.path = "" // members are called by the names that the specification gives them
	return inner
}

func (o object) rp() PublicKeyCredentialRpEntity {
	rp := o.object("rp", required)
	id := rp.text("id", optional)
	if _, present := rp.members["id"]; present && id == "" { // not the same as absent: no origin has this RP ID
		rp.fail("id", ErrLength)
	}
	return PublicKeyCredentialRpEntity{ID: id, Name: rp.text("name", required)}
}

func (o object) user() PublicKeyCredentialUserEntityJSON {
	user := o.object("user", required)
	return PublicKeyCredentialUserEntityJSON{
		ID:          user.bytes("id", required, 1, MaxUserIDLength),
		Name:        user.text("name", required),
		DisplayName: user.text("displayName", required),
	}
}

// selection reads authenticatorSelection. An absent residentKey means what requireResidentKey says (§5.4.4).
func (o object) selection() AuthenticatorSelectionCriteria {
	fallback := ResidentKeyDiscouraged
	if o.flag("requireResidentKey") {
		fallback = ResidentKeyRequired
	}
	residentKey := known(o.text("residentKey", optional), fallback,
		ResidentKeyRequired, ResidentKeyPreferred, ResidentKeyDiscouraged)
	return AuthenticatorSelectionCriteria{
		AuthenticatorAttachment: known(o.text("authenticatorAttachment", optional), "",
			AttachmentPlatform, AttachmentCrossPlatform),
		ResidentKey:        residentKey,
		RequireResidentKey: residentKey == ResidentKeyRequired,
		UserVerification:   o.userVerification(),
	}
}
