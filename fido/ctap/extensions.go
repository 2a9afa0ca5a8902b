package ctap

// Extension identifiers (§12).
const (
	ExtensionCredProtect       = "credProtect"       // §12.1
	ExtensionCredBlob          = "credBlob"          // §12.2
	ExtensionLargeBlobKey      = "largeBlobKey"      // §12.3
	ExtensionMinPINLength      = "minPinLength"      // §12.5
	ExtensionHMACSecret        = "hmac-secret"       // §12.7
	ExtensionHMACSecretMC      = "hmac-secret-mc"    // §12.8
	ExtensionThirdPartyPayment = "thirdPartyPayment" // §12.9
)

// CredProtect is a level of credential protection (§12.1). 0 is none given.
type CredProtect uint

const (
	UserVerificationOptional                     CredProtect = 1
	UserVerificationOptionalWithCredentialIDList CredProtect = 2
	UserVerificationRequired                     CredProtect = 3
)

// HMACSecretInput is the input of the extension hmac-secret at getAssertion, and of hmac-secret-mc at makeCredential
// (§12.7, §12.8).
type HMACSecretInput struct {
	KeyAgreement      *KeyAgreement `cbor:"1,keyasint,omitzero"`
	SaltEnc           Bytes         `cbor:"2,keyasint,omitzero"` // one or two salts of 32 bytes, encrypted
	SaltAuth          Bytes         `cbor:"3,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol   `cbor:"4,keyasint,omitzero"` // absent: protocol one
}

// MakeCredentialExtensionInputs are the extension inputs that we know at makeCredential; nil where one was not asked
// for.
type MakeCredentialExtensionInputs struct {
	CredBlob          Bytes            `cbor:"credBlob,omitzero"`
	CredProtect       CredProtect      `cbor:"credProtect,omitzero"`
	HMACSecret        *bool            `cbor:"hmac-secret,omitzero"`
	HMACSecretMC      *HMACSecretInput `cbor:"hmac-secret-mc,omitzero"`
	LargeBlobKey      *bool            `cbor:"largeBlobKey,omitzero"`
	MinPINLength      *bool            `cbor:"minPinLength,omitzero"`
	ThirdPartyPayment *bool            `cbor:"thirdPartyPayment,omitzero"`
}

// MakeCredentialExtensionOutputs are the extension outputs in the authenticator data of makeCredential.
type MakeCredentialExtensionOutputs struct {
	CredBlob     *bool       `cbor:"credBlob,omitzero"` // whether it was stored
	CredProtect  CredProtect `cbor:"credProtect,omitzero"`
	HMACSecret   *bool       `cbor:"hmac-secret,omitzero"`
	HMACSecretMC Bytes       `cbor:"hmac-secret-mc,omitzero"` // encrypted
	MinPINLength uint        `cbor:"minPinLength,omitzero"`   // code points
}

// GetAssertionExtensionInputs are the extension inputs that we know at getAssertion; nil where one was not asked for.
type GetAssertionExtensionInputs struct {
	CredBlob          *bool            `cbor:"credBlob,omitzero"`
	HMACSecret        *HMACSecretInput `cbor:"hmac-secret,omitzero"`
	LargeBlobKey      *bool            `cbor:"largeBlobKey,omitzero"`
	ThirdPartyPayment *bool            `cbor:"thirdPartyPayment,omitzero"`
}

// GetAssertionExtensionOutputs are the extension outputs in the authenticator data of getAssertion.
type GetAssertionExtensionOutputs struct {
	CredBlob          Bytes `cbor:"credBlob,omitzero"`
	HMACSecret        Bytes `cbor:"hmac-secret,omitzero"` // encrypted
	ThirdPartyPayment *bool `cbor:"thirdPartyPayment,omitzero"`
}

// EncodeExtensions gives extension inputs as a request holds them, nil when there is none.
func EncodeExtensions[T MakeCredentialExtensionInputs | GetAssertionExtensionInputs](in T) map[string]RawMessage {
	members := must(parse[map[string]RawMessage](mustMarshal(in)))
	if len(*members) == 0 {
		return nil
	}
	return *members
}

// DecodeExtensions reads the extension inputs that we know of a request. The error is ErrCBORUnexpectedType for one
// that has another type.
func DecodeExtensions[T MakeCredentialExtensionInputs | GetAssertionExtensionInputs](members map[string]RawMessage) (*T, error) {
	if len(members) == 0 {
		return new(T), nil
	}
	b, err := Marshal(members)
	if err != nil {
		return nil, ErrInvalidCBOR
	}
	return parse[T](b)
}

// ExtensionOutputs reads the extension outputs that we know in authenticator data. The error is ErrCBORUnexpectedType
// for one that has another type. Others, also such as nobody asked for, are left to the relying party (WebAuthn §7.1).
func ExtensionOutputs[T MakeCredentialExtensionOutputs | GetAssertionExtensionOutputs](d *AuthenticatorData) (*T, error) {
	if d.Extensions == nil {
		return new(T), nil
	}
	return parse[T](d.Extensions)
}
