package ctap

// GetAssertionRequest holds the parameters of authenticatorGetAssertion (§6.2). RPID and ClientDataHash that are nil
// were missing; so was an AllowList that is nil, while one that is empty was sent so.
type GetAssertionRequest struct {
	RPID              *string                         `cbor:"1,keyasint,omitzero"`
	ClientDataHash    Bytes                           `cbor:"2,keyasint,omitzero"`
	AllowList         []PublicKeyCredentialDescriptor `cbor:"3,keyasint,omitzero"`
	Extensions        map[string]RawMessage           `cbor:"4,keyasint,omitzero"`
	Options           Options                         `cbor:"5,keyasint,omitzero"`
	PINUVAuthParam    *Bytes                          `cbor:"6,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol                     `cbor:"7,keyasint,omitzero"`
}

// GetAssertionResponse is the answer to authenticatorGetAssertion and authenticatorGetNextAssertion (§6.2.2, §6.3).
// NumberOfCredentials is set in the first answer only, and only when there are several.
type GetAssertionResponse struct {
	Credential          PublicKeyCredentialDescriptor  `cbor:"1,keyasint,omitzero"` // may be left out for an allow list of one
	AuthData            Bytes                          `cbor:"2,keyasint"`
	Signature           Bytes                          `cbor:"3,keyasint"`
	User                *PublicKeyCredentialUserEntity `cbor:"4,keyasint,omitzero"`
	LargeBlobKey        Bytes                          `cbor:"7,keyasint,omitzero"`
	NumberOfCredentials uint                           `cbor:"5,keyasint,omitzero"`
}

// ParseGetAssertionRequest decodes the parameters of authenticatorGetAssertion.
func ParseGetAssertionRequest(b []byte) (*GetAssertionRequest, error) {
	return parse[GetAssertionRequest](b)
}

// ParseGetAssertionResponse decodes the answer, without its status byte.
func ParseGetAssertionResponse(b []byte) (*GetAssertionResponse, error) {
	r, err := parse[GetAssertionResponse](b)
	if err == nil && (r.AuthData == nil || r.Signature == nil) {
		return nil, ErrMissingParameter
	}
	return r, err
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *GetAssertionRequest) Encode() []byte { return encode(CommandGetAssertion, r) }

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *GetAssertionResponse) Encode() Response { return respond(r) }
