package ctap

// Versions of the protocol as authenticatorGetInfo lists them (§6.4).
const (
	VersionFIDO20 = "FIDO_2_0"
	VersionFIDO21 = "FIDO_2_1"
	VersionFIDO22 = "FIDO_2_2"

	VersionFIDO21Pre = "FIDO_2_1_PRE" // has the preview of credential management or of bio enrollment
)

// Option IDs of authenticatorGetInfo (§6.4). An ID that is absent from the map means that the authenticator can't.
const (
	OptionRK                             = "rk"                             // keeps discoverable credentials
	OptionUP                             = "up"                             // can test user presence; true when absent
	OptionUV                             = "uv"                             // verifies the user itself; true once it is set up
	OptionPlat                           = "plat"                           // attached to the platform; false when absent
	OptionClientPIN                      = "clientPin"                      // takes a PIN; true once it is set
	OptionPINUVAuthToken                 = "pinUvAuthToken"                 // gives tokens with permissions
	OptionMakeCredUVNotRqd               = "makeCredUvNotRqd"               // makes credentials that are not discoverable without UV
	OptionAlwaysUV                       = "alwaysUv"                       // every ceremony needs user verification
	OptionBioEnroll                      = "bioEnroll"                      // has authenticatorBioEnrollment; true once in use
	OptionUserVerificationMgmtPreview    = "userVerificationMgmtPreview"    // has its preview, command 0x40
	OptionCredMgmt                       = "credMgmt"                       // has authenticatorCredentialManagement
	OptionCredentialMgmtPreview          = "credentialMgmtPreview"          // has its preview, command 0x41
	OptionLargeBlobs                     = "largeBlobs"                     // has authenticatorLargeBlobs
	OptionAuthnrCfg                      = "authnrCfg"                      // has authenticatorConfig
	OptionEP                             = "ep"                             // attests for an enterprise; true once enabled
	OptionNoMcGaPermissionsWithClientPIN = "noMcGaPermissionsWithClientPin" // a PIN gives no token for ceremonies
	OptionPerCredMgmtRO                  = "perCredMgmtRO"                  // gives persistent read-only tokens (pcmr)
	OptionUVBioEnroll                    = "uvBioEnroll"                    // a finger allows authenticatorBioEnrollment
	OptionUVAcfg                         = "uvAcfg"                         // a finger allows authenticatorConfig
	OptionSetMinPINLen                   = "setMinPINLength"                // has its subcommand setMinPINLength
)

// AAGUID tells the model of an authenticator.
type AAGUID [16]byte

// GetInfoResponse is the answer to authenticatorGetInfo (§6.4). Sizes are in bytes; 0 where the authenticator does
// not say.
type GetInfoResponse struct {
	Versions                 []string                        `cbor:"1,keyasint"`
	Extensions               []string                        `cbor:"2,keyasint,omitzero"`
	AAGUID                   AAGUID                          `cbor:"3,keyasint"`
	Options                  map[string]bool                 `cbor:"4,keyasint,omitzero"`
	MaxMsgSize               uint                            `cbor:"5,keyasint,omitzero"`
	PINUVAuthProtocols       []PINProtocol                   `cbor:"6,keyasint,omitzero"`
	MaxCredentialCountInList uint                            `cbor:"7,keyasint,omitzero"`
	MaxCredentialIDLength    uint                            `cbor:"8,keyasint,omitzero"`
	Transports               []string                        `cbor:"9,keyasint,omitzero"`
	Algorithms               []PublicKeyCredentialParameters `cbor:"10,keyasint,omitzero"`
	MaxLargeBlobArray        uint                            `cbor:"11,keyasint,omitzero"`
	ForcePINChange           bool                            `cbor:"12,keyasint,omitzero"`
	MinPINLength             uint                            `cbor:"13,keyasint,omitzero"` // in Unicode code points
	FirmwareVersion          uint                            `cbor:"14,keyasint,omitzero"`
	MaxCredBlobLength        uint                            `cbor:"15,keyasint,omitzero"`
	MaxMinPINLengthRPIDs     uint                            `cbor:"16,keyasint,omitzero"`
	PreferredUVAttempts      uint                            `cbor:"17,keyasint,omitzero"`
	UVModality               uint                            `cbor:"18,keyasint,omitzero"` // FIDO Registry §3.1
	Certifications           map[string]uint                 `cbor:"19,keyasint,omitzero"` // §7.3; the level of each
	RemainingDiscoverable    *uint                           `cbor:"20,keyasint,omitzero"`
	VendorConfigCommands     []uint64                        `cbor:"21,keyasint,omitzero"` // of vendorPrototype (§6.11.3)
	AttestationFormats       []string                        `cbor:"22,keyasint,omitzero"`
	UVCountSinceLastPINEntry *uint                           `cbor:"23,keyasint,omitzero"`
	LongTouchForReset        bool                            `cbor:"24,keyasint,omitzero"`
	EncIdentifier            Bytes                           `cbor:"25,keyasint,omitzero"` // see DecryptMember
	TransportsForReset       []string                        `cbor:"26,keyasint,omitzero"`
	PINComplexityPolicy      *bool                           `cbor:"27,keyasint,omitzero"` // true while it is enforced
	PINComplexityPolicyURL   Bytes                           `cbor:"28,keyasint,omitzero"` // tells the person about it
	MaxPINLength             uint                            `cbor:"29,keyasint,omitzero"` // in Unicode code points
	EncCredStoreState        Bytes                           `cbor:"30,keyasint,omitzero"`
	ConfigCommands           []uint                          `cbor:"31,keyasint,omitzero"` // of authenticatorConfig (2.3)
}

// ParseGetInfoResponse decodes the answer, without its status byte.
func ParseGetInfoResponse(b []byte) (*GetInfoResponse, error) {
	r, err := parse[GetInfoResponse](b)
	if err == nil && r.Versions == nil {
		return nil, ErrMissingParameter
	}
	return r, err
}

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *GetInfoResponse) Encode() Response { return respond(r) }

// SupportsAlgorithm reports whether alg is among the algorithms listed. A list that is absent says nothing, and ES256
// is what every authenticator has.
func (r *GetInfoResponse) SupportsAlgorithm(alg Algorithm) bool {
	if len(r.Algorithms) == 0 {
		return alg == ES256
	}
	for _, p := range r.Algorithms {
		if p.Type == TypePublicKey && p.Alg == alg {
			return true
		}
	}
	return false
}

// UnmarshalCBOR takes a byte string of 16 bytes.
func (a *AAGUID) UnmarshalCBOR(data []byte) error {
	var b Bytes
	if err := b.UnmarshalCBOR(data); err != nil {
		return err
	}
	if len(b) != len(a) {
		return ErrInvalidLength
	}
	copy(a[:], b)
	return nil
}

// MarshalCBOR gives a byte string of 16 bytes.
func (a AAGUID) MarshalCBOR() ([]byte, error) { return encMode.Marshal(a[:]) }
