package ctap

// ModalityFingerprint is the one modality of authenticatorBioEnrollment (§6.7).
const ModalityFingerprint = 1

// BioEnrollmentSubcommand is a subcommand of authenticatorBioEnrollment (§6.7).
type BioEnrollmentSubcommand uint

const (
	SubcommandEnrollBegin              BioEnrollmentSubcommand = 0x01
	SubcommandEnrollCaptureNextSample  BioEnrollmentSubcommand = 0x02
	SubcommandCancelCurrentEnrollment  BioEnrollmentSubcommand = 0x03
	SubcommandEnumerateEnrollments     BioEnrollmentSubcommand = 0x04
	SubcommandSetFriendlyName          BioEnrollmentSubcommand = 0x05
	SubcommandRemoveEnrollment         BioEnrollmentSubcommand = 0x06
	SubcommandGetFingerprintSensorInfo BioEnrollmentSubcommand = 0x07
)

// SampleStatus tells how good a sample of a fingerprint was (§6.7.4, lastEnrollSampleStatus).
type SampleStatus uint

const (
	SampleGood           SampleStatus = 0x00 // CTAP2_ENROLL_FEEDBACK_FP_GOOD
	SampleTooHigh        SampleStatus = 0x01
	SampleTooLow         SampleStatus = 0x02
	SampleTooLeft        SampleStatus = 0x03
	SampleTooRight       SampleStatus = 0x04
	SampleTooFast        SampleStatus = 0x05
	SampleTooSlow        SampleStatus = 0x06
	SamplePoorQuality    SampleStatus = 0x07
	SampleTooSkewed      SampleStatus = 0x08
	SampleTooShort       SampleStatus = 0x09
	SampleMergeFailure   SampleStatus = 0x0A
	SampleExists         SampleStatus = 0x0B
	SampleNoUserActivity SampleStatus = 0x0D
	SampleNoUserPresence SampleStatus = 0x0E
	FingerprintKindTouch              = 1 // fingerprintKind of a touch sensor
	FingerprintKindSwipe              = 2 // fingerprintKind of a swipe sensor
)

// BioEnrollmentRequest holds the parameters of authenticatorBioEnrollment (§6.7). SubcommandParams stays encoded,
// because the pinUvAuthParam covers its bytes.
type BioEnrollmentRequest struct {
	Modality          uint                    `cbor:"1,keyasint,omitzero"`
	Subcommand        BioEnrollmentSubcommand `cbor:"2,keyasint,omitzero"`
	SubcommandParams  RawMessage              `cbor:"3,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol             `cbor:"4,keyasint,omitzero"`
	PINUVAuthParam    Bytes                   `cbor:"5,keyasint,omitzero"`
	GetModality       *bool                   `cbor:"6,keyasint,omitzero"`
}

// BioEnrollmentParams are the subCommandParams of authenticatorBioEnrollment. TimeoutMilliseconds is for one sample.
type BioEnrollmentParams struct {
	TemplateID          Bytes   `cbor:"1,keyasint,omitzero"`
	FriendlyName        *string `cbor:"2,keyasint,omitzero"`
	TimeoutMilliseconds uint    `cbor:"3,keyasint,omitzero"`
}

// TemplateInfo names an enrolled fingerprint (§6.7, templateInfo).
type TemplateInfo struct {
	TemplateID   Bytes  `cbor:"1,keyasint"`
	FriendlyName string `cbor:"2,keyasint,omitzero"`
}

// BioEnrollmentResponse is the answer to authenticatorBioEnrollment; which members are set depends on the subcommand.
type BioEnrollmentResponse struct {
	Modality                           uint           `cbor:"1,keyasint,omitzero"`
	FingerprintKind                    uint           `cbor:"2,keyasint,omitzero"`
	MaxCaptureSamplesRequiredForEnroll uint           `cbor:"3,keyasint,omitzero"`
	TemplateID                         Bytes          `cbor:"4,keyasint,omitzero"`
	LastEnrollSampleStatus             *SampleStatus  `cbor:"5,keyasint,omitzero"`
	RemainingSamples                   *uint          `cbor:"6,keyasint,omitzero"`
	TemplateInfos                      []TemplateInfo `cbor:"7,keyasint,omitzero"`
	MaxTemplateFriendlyName            uint           `cbor:"8,keyasint,omitzero"` // bytes
}

// ParseBioEnrollmentRequest decodes the parameters of authenticatorBioEnrollment.
func ParseBioEnrollmentRequest(b []byte) (*BioEnrollmentRequest, error) {
	return parse[BioEnrollmentRequest](b)
}

// ParseBioEnrollmentResponse decodes the answer, without its status byte; some subcommands answer with the status alone.
func ParseBioEnrollmentResponse(b []byte) (*BioEnrollmentResponse, error) {
	return parseOptional[BioEnrollmentResponse](b)
}

// Params decodes the subCommandParams; ErrMissingParameter when there are none.
func (r *BioEnrollmentRequest) Params() (*BioEnrollmentParams, error) {
	return parseParams[BioEnrollmentParams](r.SubcommandParams)
}

// AuthMessage is what the pinUvAuthParam covers: the modality, the subcommand and its parameters (§6.7).
func (r *BioEnrollmentRequest) AuthMessage() []byte {
	return append([]byte{ModalityFingerprint, byte(r.Subcommand)}, r.SubcommandParams...)
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *BioEnrollmentRequest) Encode() []byte { return encode(CommandBioEnrollment, r) }

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *BioEnrollmentResponse) Encode() Response { return respond(r) }
