package webauthn

import "encoding/json"

// PublicKeyCredentialRequestOptionsJSON is what a relying party asks for at sign-in (§5.5, §5.1.9). Parsed options
// hold effective values. RPID is empty when the options leave it out; AllowCredentials is empty when any discoverable
// credential will do.
type PublicKeyCredentialRequestOptionsJSON struct {
	Challenge        Base64URL                           `json:"challenge"`
	Timeout          uint32                              `json:"timeout,omitempty"` // milliseconds; 0: no wish
	RPID             string                              `json:"rpId,omitempty"`
	AllowCredentials []PublicKeyCredentialDescriptorJSON `json:"allowCredentials,omitempty"`
	UserVerification UserVerificationRequirement         `json:"userVerification"`
	Hints            []string                            `json:"hints,omitempty"`
	Extensions       map[string]json.RawMessage          `json:"extensions,omitempty"`

	AuthenticationExtensions `json:"-"` // what we know of Extensions
}

// ParseRequestOptions reads the options of a sign-in as parseRequestOptionsFromJSON does (§5.1.9), at most MaxJSONSize
// bytes of JSON, bare or as {"publicKey": options}. The error is a *MemberError.
func ParseRequestOptions(b []byte) (*PublicKeyCredentialRequestOptionsJSON, error) {
	o, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	o = unwrap(o)
	options := &PublicKeyCredentialRequestOptionsJSON{
		Challenge:        o.bytes("challenge", required, MinChallengeLength, MaxChallengeLength),
		Timeout:          o.milliseconds("timeout"),
		RPID:             o.text("rpId", optional),
		UserVerification: o.userVerification(),
		Hints:            knownOnly(o.texts("hints", optional), knownHints),
		Extensions:       o.object("extensions", optional).members,
	}
	if _, present := o.members["rpId"]; present && options.RPID == "" {
		o.fail("rpId", ErrLength)
	}
	var skipped bool
	options.AllowCredentials, skipped = o.descriptors("allowCredentials")
	if skipped && len(options.AllowCredentials) == 0 {
		// An empty list means "any credential", which is not what the relying party asked for (§5.8.3).
		o.fail("allowCredentials", ErrNotPublicKey)
	}
	options.AuthenticationExtensions = o.object("extensions", optional).authenticationExtensions(options.AllowCredentials)
	if *o.err != nil {
		return nil, *o.err
	}
	return options, nil
}
