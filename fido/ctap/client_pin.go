package ctap

// Subcommand is a subcommand of authenticatorClientPIN (§6.5.5).
type Subcommand uint

const (
	SubcommandGetPINRetries                            Subcommand = 0x01
	SubcommandGetKeyAgreement                          Subcommand = 0x02
	SubcommandSetPIN                                   Subcommand = 0x03
	SubcommandChangePIN                                Subcommand = 0x04
	SubcommandGetPINToken                              Subcommand = 0x05
	SubcommandGetPINUVAuthTokenUsingUVWithPermissions  Subcommand = 0x06
	SubcommandGetUVRetries                             Subcommand = 0x07
	SubcommandGetPINUVAuthTokenUsingPINWithPermissions Subcommand = 0x09
)

// Permission is what a pinUvAuthToken may be used for (§6.5.5.7, "pinUvAuthToken permissions").
type Permission uint

const (
	PermissionMakeCredential             Permission = 0x01 // mc
	PermissionGetAssertion               Permission = 0x02 // ga
	PermissionCredentialManagement       Permission = 0x04 // cm
	PermissionBioEnrollment              Permission = 0x08 // be
	PermissionLargeBlobWrite             Permission = 0x10 // lbw
	PermissionAuthenticatorConfiguration Permission = 0x20 // acfg
	PermissionPersistentReadOnly         Permission = 0x40 // pcmr: persistentCredentialManagementReadOnly
)

// ClientPINRequest holds the parameters of authenticatorClientPIN (§6.5.5).
type ClientPINRequest struct {
	PINUVAuthProtocol PINProtocol   `cbor:"1,keyasint,omitzero"`
	Subcommand        Subcommand    `cbor:"2,keyasint,omitzero"`
	KeyAgreement      *KeyAgreement `cbor:"3,keyasint,omitzero"`
	PINUVAuthParam    Bytes         `cbor:"4,keyasint,omitzero"`
	NewPINEnc         Bytes         `cbor:"5,keyasint,omitzero"`
	PINHashEnc        Bytes         `cbor:"6,keyasint,omitzero"`
	Permissions       *Permission   `cbor:"9,keyasint,omitzero"`
	RPID              *string       `cbor:"10,keyasint,omitzero"`
}

// ClientPINResponse is the answer to authenticatorClientPIN; which members are set depends on the subcommand.
type ClientPINResponse struct {
	KeyAgreement   *KeyAgreement `cbor:"1,keyasint,omitzero"`
	PINUVAuthToken Bytes         `cbor:"2,keyasint,omitzero"`
	PINRetries     *uint         `cbor:"3,keyasint,omitzero"`
	PowerCycle     *bool         `cbor:"4,keyasint,omitzero"`
	UVRetries      *uint         `cbor:"5,keyasint,omitzero"`
}

// ParseClientPINRequest decodes the parameters of authenticatorClientPIN.
func ParseClientPINRequest(b []byte) (*ClientPINRequest, error) { return parse[ClientPINRequest](b) }

// ParseClientPINResponse decodes the answer, without its status byte.
func ParseClientPINResponse(b []byte) (*ClientPINResponse, error) {
	return parseOptional[ClientPINResponse](b) // setPIN and changePIN answer with the status alone
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *ClientPINRequest) Encode() []byte { return encode(CommandClientPIN, r) }

// Encode gives the response as it travels: StatusOK and the parameters, where there are any.
func (r *ClientPINResponse) Encode() Response {
	if r.KeyAgreement == nil && r.PINUVAuthToken == nil && r.PINRetries == nil && r.UVRetries == nil {
		return Response{byte(StatusOK)}
	}
	return respond(r)
}
