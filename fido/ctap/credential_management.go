package ctap

// CredentialManagementSubcommand is a subcommand of authenticatorCredentialManagement (§6.8).
type CredentialManagementSubcommand uint

const (
	SubcommandGetCredsMetadata                      CredentialManagementSubcommand = 0x01
	SubcommandEnumerateRPsBegin                     CredentialManagementSubcommand = 0x02
	SubcommandEnumerateRPsGetNextRP                 CredentialManagementSubcommand = 0x03
	SubcommandEnumerateCredentialsBegin             CredentialManagementSubcommand = 0x04
	SubcommandEnumerateCredentialsGetNextCredential CredentialManagementSubcommand = 0x05
	SubcommandDeleteCredential                      CredentialManagementSubcommand = 0x06
	SubcommandUpdateUserInformation                 CredentialManagementSubcommand = 0x07
)

// CredentialManagementRequest holds the parameters of authenticatorCredentialManagement (§6.8). SubcommandParams stays
// encoded, because the pinUvAuthParam covers its bytes.
type CredentialManagementRequest struct {
	Subcommand        CredentialManagementSubcommand `cbor:"1,keyasint,omitzero"`
	SubcommandParams  RawMessage                     `cbor:"2,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol                    `cbor:"3,keyasint,omitzero"`
	PINUVAuthParam    Bytes                          `cbor:"4,keyasint,omitzero"`
}

// CredentialManagementParams are the subCommandParams of authenticatorCredentialManagement.
type CredentialManagementParams struct {
	RPIDHash     Bytes                          `cbor:"1,keyasint,omitzero"`
	CredentialID *PublicKeyCredentialDescriptor `cbor:"2,keyasint,omitzero"`
	User         *PublicKeyCredentialUserEntity `cbor:"3,keyasint,omitzero"`
}

// CredentialManagementResponse is the answer to authenticatorCredentialManagement; which members are set depends on the
// subcommand.
type CredentialManagementResponse struct {
	ExistingResidentCredentialsCount             *uint                          `cbor:"1,keyasint,omitzero"`
	MaxPossibleRemainingResidentCredentialsCount *uint                          `cbor:"2,keyasint,omitzero"`
	RP                                           *PublicKeyCredentialRpEntity   `cbor:"3,keyasint,omitzero"`
	RPIDHash                                     Bytes                          `cbor:"4,keyasint,omitzero"`
	TotalRPs                                     uint                           `cbor:"5,keyasint,omitzero"`
	User                                         *PublicKeyCredentialUserEntity `cbor:"6,keyasint,omitzero"`
	CredentialID                                 *PublicKeyCredentialDescriptor `cbor:"7,keyasint,omitzero"`
	PublicKey                                    RawMessage                     `cbor:"8,keyasint,omitzero"`
	TotalCredentials                             uint                           `cbor:"9,keyasint,omitzero"`
	CredProtect                                  CredProtect                    `cbor:"10,keyasint,omitzero"`
	LargeBlobKey                                 Bytes                          `cbor:"11,keyasint,omitzero"`
	ThirdPartyPayment                            *bool                          `cbor:"12,keyasint,omitzero"`
}

// ParseCredentialManagementRequest decodes the parameters of authenticatorCredentialManagement.
func ParseCredentialManagementRequest(b []byte) (*CredentialManagementRequest, error) {
	return parse[CredentialManagementRequest](b)
}

// ParseCredentialManagementResponse decodes the answer, without its status byte; deleting and updating answer with the
// status alone.
func ParseCredentialManagementResponse(b []byte) (*CredentialManagementResponse, error) {
	return parseOptional[CredentialManagementResponse](b)
}

// Params decodes the subCommandParams; ErrMissingParameter when there are none.
func (r *CredentialManagementRequest) Params() (*CredentialManagementParams, error) {
	return parseParams[CredentialManagementParams](r.SubcommandParams)
}

// AuthMessage is what the pinUvAuthParam covers: the subcommand and its parameters (§6.8).
func (r *CredentialManagementRequest) AuthMessage() []byte {
	return append([]byte{byte(r.Subcommand)}, r.SubcommandParams...)
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *CredentialManagementRequest) Encode() []byte { return encode(CommandCredentialManagement, r) }

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *CredentialManagementResponse) Encode() Response { return respond(r) }
