package ctap

// TypePublicKey is the one credential type there is (WebAuthn §5.8.2, PublicKeyCredentialType).
const TypePublicKey = "public-key"

// PublicKeyCredentialRpEntity names the relying party (WebAuthn §5.4.2).
type PublicKeyCredentialRpEntity struct {
	ID   string `cbor:"id,omitzero"`
	Name string `cbor:"name,omitempty"`
}

// PublicKeyCredentialUserEntity names the account (WebAuthn §5.4.3). ID is the user handle, 1 to 64 bytes.
type PublicKeyCredentialUserEntity struct {
	ID          Bytes  `cbor:"id,omitzero"`
	Name        string `cbor:"name,omitempty"`
	DisplayName string `cbor:"displayName,omitempty"`
}

// PublicKeyCredentialDescriptor names a credential (WebAuthn §5.8.3).
type PublicKeyCredentialDescriptor struct {
	Type       string   `cbor:"type,omitzero"`
	ID         Bytes    `cbor:"id,omitzero"`
	Transports []string `cbor:"transports,omitempty"`
}

// PublicKeyCredentialParameters is one algorithm that a relying party accepts (WebAuthn §5.3).
type PublicKeyCredentialParameters struct {
	Type string    `cbor:"type,omitzero"`
	Alg  Algorithm `cbor:"alg,omitzero"`
}

// Options are the options of authenticatorMakeCredential and authenticatorGetAssertion; nil where the platform left
// one out. Options that we don't know are ignored, as the specification asks.
type Options struct {
	RK *bool `cbor:"rk,omitempty"` // discoverable credential; makeCredential only
	UP *bool `cbor:"up,omitempty"` // user presence
	UV *bool `cbor:"uv,omitempty"` // built-in user verification
}

// True reports whether an option is present and true.
func True(option *bool) bool { return option != nil && *option }

// False reports whether an option is present and false.
func False(option *bool) bool { return option != nil && !*option }
