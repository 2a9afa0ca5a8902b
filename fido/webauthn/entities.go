package webauthn

import (
	"math"
	"slices"

	"fob/fido/ctap"
)

// PublicKeyCredentialRpEntity names the relying party (§5.4.2). ID is empty when the options leave it out: the RP ID
// is then the host of the origin.
type PublicKeyCredentialRpEntity struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
}

// PublicKeyCredentialUserEntityJSON names the account (§5.4.3, §5.1.8). ID is the user handle, 1 to 64 bytes.
type PublicKeyCredentialUserEntityJSON struct {
	ID          Base64URL `json:"id"`
	Name        string    `json:"name"`
	DisplayName string    `json:"displayName"`
}

// PublicKeyCredentialParameters is one algorithm that the relying party accepts (§5.3).
type PublicKeyCredentialParameters struct {
	Type string         `json:"type"`
	Alg  ctap.Algorithm `json:"alg"`
}

// PublicKeyCredentialDescriptorJSON names a credential (§5.8.3, §5.1.8). ID is 1 to 1023 bytes long.
type PublicKeyCredentialDescriptorJSON struct {
	Type       string    `json:"type"`
	ID         Base64URL `json:"id"`
	Transports []string  `json:"transports,omitempty"`
}

// IDs gives the credential IDs of a list.
func IDs(list []PublicKeyCredentialDescriptorJSON) [][]byte {
	ids := make([][]byte, 0, len(list))
	for _, descriptor := range list {
		ids = append(ids, descriptor.ID)
	}
	return ids
}

// UserVerificationRequirement says how much the relying party wants the person verified (§5.8.6).
type UserVerificationRequirement string

const (
	UserVerificationRequired    UserVerificationRequirement = "required"
	UserVerificationPreferred   UserVerificationRequirement = "preferred" // the default
	UserVerificationDiscouraged UserVerificationRequirement = "discouraged"
)

// ResidentKeyRequirement says how much the relying party wants a discoverable credential (§5.4.6).
type ResidentKeyRequirement string

const (
	ResidentKeyRequired    ResidentKeyRequirement = "required"
	ResidentKeyPreferred   ResidentKeyRequirement = "preferred"
	ResidentKeyDiscouraged ResidentKeyRequirement = "discouraged"
)

// AuthenticatorAttachment tells built-in authenticators from those that are plugged in (§5.4.5).
type AuthenticatorAttachment string

const (
	AttachmentPlatform      AuthenticatorAttachment = "platform"
	AttachmentCrossPlatform AuthenticatorAttachment = "cross-platform"
)

// AttestationConveyancePreference says what the relying party wants to learn about the authenticator (§5.4.7).
type AttestationConveyancePreference string

const (
	AttestationNone       AttestationConveyancePreference = "none" // the default
	AttestationIndirect   AttestationConveyancePreference = "indirect"
	AttestationDirect     AttestationConveyancePreference = "direct"
	AttestationEnterprise AttestationConveyancePreference = "enterprise"
)

// knownTransports lists the values of AuthenticatorTransport (§5.8.4).
var knownTransports = []string{"ble", "hybrid", "internal", "nfc", "smart-card", "usb"}

// knownHints lists the values of PublicKeyCredentialHint (§5.8.7).
var knownHints = []string{"client-device", "hybrid", "security-key"}

// known gives value when it is one of all, else fallback. Enumerations are strings in WebAuthn and unknown values
// count as absent, so that new ones can be added (§2.1.1).
func known[T ~string](value string, fallback T, all ...T) T {
	if slices.Contains(all, T(value)) {
		return T(value)
	}
	return fallback
}

// knownOnly drops what is not in all.
func knownOnly(values, all []string) []string {
	return slices.DeleteFunc(values, func(v string) bool { return !slices.Contains(all, v) })
}

func (o object) userVerification() UserVerificationRequirement {
	return known(o.text("userVerification", optional), UserVerificationPreferred,
		UserVerificationRequired, UserVerificationPreferred, UserVerificationDiscouraged)
}

// parameters reads pubKeyCredParams as §5.1.3 does: elements of unknown type are skipped, an empty list
// stands for ES256 and RS256.
func (o object) parameters(name string) []PublicKeyCredentialParameters {
	const rs256 ctap.Algorithm = -257
	list := o.objects(name, required)
	if len(list) == 0 {
		return []PublicKeyCredentialParameters{{ctap.TypePublicKey, ctap.ES256}, {ctap.TypePublicKey, rs256}}
	}
	var parameters []PublicKeyCredentialParameters
	for _, e := range list {
		typ, alg := e.text("type", required), e.integer("alg", required, math.MinInt32, math.MaxInt32)
		if typ == ctap.TypePublicKey {
			parameters = append(parameters, PublicKeyCredentialParameters{typ, ctap.Algorithm(alg)})
		}
	}
	if len(parameters) == 0 {
		o.fail(name, ErrNotPublicKey)
	}
	return parameters
}

// descriptors reads a list of credentials. Those of unknown type are skipped; skipped tells whether there were any.
func (o object) descriptors(name string) (list []PublicKeyCredentialDescriptorJSON, skipped bool) {
	for _, e := range o.objects(name, optional) {
		d := PublicKeyCredentialDescriptorJSON{
			Type:       e.text("type", required),
			ID:         e.bytes("id", required, 1, ctap.MaxCredentialIDLength),
			Transports: knownOnly(e.texts("transports", optional), knownTransports),
		}
		if d.Type != ctap.TypePublicKey {
			skipped = true
			continue
		}
		list = append(list, d)
	}
	return list, skipped
}
