package ctap

import "fmt"

// StatusCode is the first byte of every response (CTAP 2.2 §8.2, "Status codes"). A code other than StatusOK is an
// error as it stands: errors.Is(err, ctap.ErrPINInvalid) holds wherever the code came from.
type StatusCode byte

// Status codes, by the specification's names.
const (
	StatusOK StatusCode = 0x00 // CTAP2_OK, CTAP1_ERR_SUCCESS

	ErrInvalidCommand       StatusCode = 0x01 // CTAP1_ERR_INVALID_COMMAND
	ErrInvalidParameter     StatusCode = 0x02 // CTAP1_ERR_INVALID_PARAMETER
	ErrInvalidLength        StatusCode = 0x03 // CTAP1_ERR_INVALID_LENGTH
	ErrInvalidSeq           StatusCode = 0x04 // CTAP1_ERR_INVALID_SEQ
	ErrTimeout              StatusCode = 0x05 // CTAP1_ERR_TIMEOUT
	ErrChannelBusy          StatusCode = 0x06 // CTAP1_ERR_CHANNEL_BUSY
	ErrLockRequired         StatusCode = 0x0A // CTAP1_ERR_LOCK_REQUIRED
	ErrInvalidChannel       StatusCode = 0x0B // CTAP1_ERR_INVALID_CHANNEL
	ErrCBORUnexpectedType   StatusCode = 0x11 // CTAP2_ERR_CBOR_UNEXPECTED_TYPE
	ErrInvalidCBOR          StatusCode = 0x12 // CTAP2_ERR_INVALID_CBOR
	ErrMissingParameter     StatusCode = 0x14 // CTAP2_ERR_MISSING_PARAMETER
	ErrLimitExceeded        StatusCode = 0x15 // CTAP2_ERR_LIMIT_EXCEEDED
	ErrFPDatabaseFull       StatusCode = 0x17 // CTAP2_ERR_FP_DATABASE_FULL
	ErrLargeBlobStorageFull StatusCode = 0x18 // CTAP2_ERR_LARGE_BLOB_STORAGE_FULL
	ErrCredentialExcluded   StatusCode = 0x19 // CTAP2_ERR_CREDENTIAL_EXCLUDED
	ErrProcessing           StatusCode = 0x21 // CTAP2_ERR_PROCESSING
	ErrInvalidCredential    StatusCode = 0x22 // CTAP2_ERR_INVALID_CREDENTIAL
	ErrUserActionPending    StatusCode = 0x23 // CTAP2_ERR_USER_ACTION_PENDING
	ErrOperationPending     StatusCode = 0x24 // CTAP2_ERR_OPERATION_PENDING
	ErrNoOperations         StatusCode = 0x25 // CTAP2_ERR_NO_OPERATIONS
	ErrUnsupportedAlgorithm StatusCode = 0x26 // CTAP2_ERR_UNSUPPORTED_ALGORITHM
	ErrOperationDenied      StatusCode = 0x27 // CTAP2_ERR_OPERATION_DENIED
	ErrKeyStoreFull         StatusCode = 0x28 // CTAP2_ERR_KEY_STORE_FULL
	ErrUnsupportedOption    StatusCode = 0x2B // CTAP2_ERR_UNSUPPORTED_OPTION
	ErrInvalidOption        StatusCode = 0x2C // CTAP2_ERR_INVALID_OPTION
	ErrKeepaliveCancel      StatusCode = 0x2D // CTAP2_ERR_KEEPALIVE_CANCEL
	ErrNoCredentials        StatusCode = 0x2E // CTAP2_ERR_NO_CREDENTIALS
	ErrUserActionTimeout    StatusCode = 0x2F // CTAP2_ERR_USER_ACTION_TIMEOUT
	ErrNotAllowed           StatusCode = 0x30 // CTAP2_ERR_NOT_ALLOWED
	ErrPINInvalid           StatusCode = 0x31 // CTAP2_ERR_PIN_INVALID
	ErrPINBlocked           StatusCode = 0x32 // CTAP2_ERR_PIN_BLOCKED
	ErrPINAuthInvalid       StatusCode = 0x33 // CTAP2_ERR_PIN_AUTH_INVALID
	ErrPINAuthBlocked       StatusCode = 0x34 // CTAP2_ERR_PIN_AUTH_BLOCKED
	ErrPINNotSet            StatusCode = 0x35 // CTAP2_ERR_PIN_NOT_SET
	ErrPUATRequired         StatusCode = 0x36 // CTAP2_ERR_PUAT_REQUIRED (CTAP 2.0: PIN_REQUIRED)
	ErrPINPolicyViolation   StatusCode = 0x37 // CTAP2_ERR_PIN_POLICY_VIOLATION
	ErrRequestTooLarge      StatusCode = 0x39 // CTAP2_ERR_REQUEST_TOO_LARGE
	ErrActionTimeout        StatusCode = 0x3A // CTAP2_ERR_ACTION_TIMEOUT
	ErrUPRequired           StatusCode = 0x3B // CTAP2_ERR_UP_REQUIRED
	ErrUVBlocked            StatusCode = 0x3C // CTAP2_ERR_UV_BLOCKED
	ErrIntegrityFailure     StatusCode = 0x3D // CTAP2_ERR_INTEGRITY_FAILURE
	ErrInvalidSubcommand    StatusCode = 0x3E // CTAP2_ERR_INVALID_SUBCOMMAND
	ErrUVInvalid            StatusCode = 0x3F // CTAP2_ERR_UV_INVALID
	ErrUnauthorizedPerm     StatusCode = 0x40 // CTAP2_ERR_UNAUTHORIZED_PERMISSION
	ErrOther                StatusCode = 0x7F // CTAP1_ERR_OTHER
)

var statusText = map[StatusCode]string{
	StatusOK:                "success",
	ErrInvalidCommand:       "invalid command",
	ErrInvalidParameter:     "invalid parameter",
	ErrInvalidLength:        "invalid length",
	ErrInvalidSeq:           "invalid packet sequence",
	ErrTimeout:              "message timed out",
	ErrChannelBusy:          "channel busy",
	ErrLockRequired:         "channel lock required",
	ErrInvalidChannel:       "invalid channel",
	ErrCBORUnexpectedType:   "unexpected CBOR type",
	ErrInvalidCBOR:          "invalid CBOR",
	ErrMissingParameter:     "missing parameter",
	ErrLimitExceeded:        "limit exceeded",
	ErrFPDatabaseFull:       "fingerprint database full",
	ErrLargeBlobStorageFull: "large blob storage full",
	ErrCredentialExcluded:   "credential excluded",
	ErrProcessing:           "processing",
	ErrInvalidCredential:    "invalid credential",
	ErrUserActionPending:    "user action pending",
	ErrOperationPending:     "operation pending",
	ErrNoOperations:         "no operations",
	ErrUnsupportedAlgorithm: "unsupported algorithm",
	ErrOperationDenied:      "operation denied",
	ErrKeyStoreFull:         "key store full",
	ErrUnsupportedOption:    "unsupported option",
	ErrInvalidOption:        "invalid option",
	ErrKeepaliveCancel:      "keepalive cancel",
	ErrNoCredentials:        "no credentials",
	ErrUserActionTimeout:    "user action timed out",
	ErrNotAllowed:           "not allowed",
	ErrPINInvalid:           "PIN invalid",
	ErrPINBlocked:           "PIN blocked",
	ErrPINAuthInvalid:       "PIN/UV auth parameter invalid",
	ErrPINAuthBlocked:       "PIN authentication blocked until the key is replugged",
	ErrPINNotSet:            "PIN not set",
	ErrPUATRequired:         "PIN/UV auth token required",
	ErrPINPolicyViolation:   "PIN policy violation",
	ErrRequestTooLarge:      "request too large",
	ErrActionTimeout:        "action timed out",
	ErrUPRequired:           "user presence required",
	ErrUVBlocked:            "user verification blocked",
	ErrIntegrityFailure:     "integrity failure",
	ErrInvalidSubcommand:    "invalid subcommand",
	ErrUVInvalid:            "user verification invalid",
	ErrUnauthorizedPerm:     "unauthorized permission",
	ErrOther:                "unspecified error",
}

// Error gives the meaning of the code in words, with the number that a reader can look up.
func (s StatusCode) Error() string {
	if text, ok := statusText[s]; ok {
		return fmt.Sprintf("%s (CTAP 0x%02x)", text, byte(s))
	}
	return fmt.Sprintf("unknown CTAP status 0x%02x", byte(s))
}
