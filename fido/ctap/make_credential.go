package ctap

// FormatPacked is the attestation statement format of WebAuthn §8.2, FormatNone that of §8.7.
const (
	FormatPacked = "packed"
	FormatNone   = "none"
)

// Values of enterpriseAttestation (§6.1.2 step 9, §7.1).
const (
	VendorFacilitated uint = 1 // for the relying parties that the vendor wrote into the authenticator
	PlatformManaged   uint = 2 // for those that the platform's administrator chose
)

// MakeCredentialRequest holds the parameters of authenticatorMakeCredential (§6.1). A required member that is nil was
// missing; PINUVAuthParam that is present but empty asks for selection by touch (§6.1.2 step 1).
type MakeCredentialRequest struct {
	ClientDataHash               Bytes                           `cbor:"1,keyasint,omitzero"`
	RP                           *PublicKeyCredentialRpEntity    `cbor:"2,keyasint,omitzero"`
	User                         *PublicKeyCredentialUserEntity  `cbor:"3,keyasint,omitzero"`
	PubKeyCredParams             []PublicKeyCredentialParameters `cbor:"4,keyasint,omitzero"`
	ExcludeList                  []PublicKeyCredentialDescriptor `cbor:"5,keyasint,omitzero"`
	Extensions                   map[string]RawMessage           `cbor:"6,keyasint,omitzero"`
	Options                      Options                         `cbor:"7,keyasint,omitzero"`
	PINUVAuthParam               *Bytes                          `cbor:"8,keyasint,omitzero"`
	PINUVAuthProtocol            PINProtocol                     `cbor:"9,keyasint,omitzero"`
	EnterpriseAttestation        *uint                           `cbor:"10,keyasint,omitzero"`
	AttestationFormatsPreference []string                        `cbor:"11,keyasint,omitzero"`
}

// MakeCredentialResponse is the answer to authenticatorMakeCredential (§6.1.2).
type MakeCredentialResponse struct {
	Format                string     `cbor:"1,keyasint"`
	AuthData              Bytes      `cbor:"2,keyasint"`
	AttStmt               RawMessage `cbor:"3,keyasint"`
	EnterpriseAttestation bool       `cbor:"4,keyasint,omitzero"` // epAtt: the statement is one for an enterprise
	LargeBlobKey          Bytes      `cbor:"5,keyasint,omitzero"`
}

// PackedAttestationStatement is attStmt of the format "packed" (WebAuthn §8.2); without X5C it is self attestation.
type PackedAttestationStatement struct {
	Alg Algorithm `cbor:"alg"`
	Sig Bytes     `cbor:"sig"`
	X5C []Bytes   `cbor:"x5c,omitempty"`
}

// ParseMakeCredentialRequest decodes the parameters of authenticatorMakeCredential.
func ParseMakeCredentialRequest(b []byte) (*MakeCredentialRequest, error) {
	return parse[MakeCredentialRequest](b)
}

// ParseMakeCredentialResponse decodes the answer, without its status byte.
func ParseMakeCredentialResponse(b []byte) (*MakeCredentialResponse, error) {
	r, err := parse[MakeCredentialResponse](b)
	if err == nil && (r.Format == "" || r.AuthData == nil || r.AttStmt == nil) {
		return nil, ErrMissingParameter
	}
	return r, err
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *MakeCredentialRequest) Encode() []byte { return encode(CommandMakeCredential, r) }

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *MakeCredentialResponse) Encode() Response { return respond(r) }

func parse[T any](b []byte) (*T, error) {
	v := new(T)
	if err := Unmarshal(b, v); err != nil {
		return nil, err
	}
	return v, nil
}

// parseOptional decodes a response that may consist of its status byte alone.
func parseOptional[T any](b []byte) (*T, error) {
	if len(b) == 0 {
		return new(T), nil
	}
	return parse[T](b)
}

// parseParams decodes subCommandParams.
func parseParams[T any](b RawMessage) (*T, error) {
	if b == nil {
		return nil, ErrMissingParameter
	}
	return parse[T](b)
}

func encode(c Command, parameters any) []byte {
	return append([]byte{byte(c)}, mustMarshal(parameters)...)
}

func respond(parameters any) Response {
	return append(Response{byte(StatusOK)}, mustMarshal(parameters)...)
}
