package ctap

import (
	"fmt"
	"strconv"
	"strings"
)

// statusNames are the names of §8.2 without their prefix, CTAP1_ERR_ or CTAP2_ERR_.
var statusNames = map[StatusCode]string{
	StatusOK:                "SUCCESS",
	ErrInvalidCommand:       "INVALID_COMMAND",
	ErrInvalidParameter:     "INVALID_PARAMETER",
	ErrInvalidLength:        "INVALID_LENGTH",
	ErrInvalidSeq:           "INVALID_SEQ",
	ErrTimeout:              "TIMEOUT",
	ErrChannelBusy:          "CHANNEL_BUSY",
	ErrLockRequired:         "LOCK_REQUIRED",
	ErrInvalidChannel:       "INVALID_CHANNEL",
	ErrCBORUnexpectedType:   "CBOR_UNEXPECTED_TYPE",
	ErrInvalidCBOR:          "INVALID_CBOR",
	ErrMissingParameter:     "MISSING_PARAMETER",
	ErrLimitExceeded:        "LIMIT_EXCEEDED",
	ErrFPDatabaseFull:       "FP_DATABASE_FULL",
	ErrLargeBlobStorageFull: "LARGE_BLOB_STORAGE_FULL",
	ErrCredentialExcluded:   "CREDENTIAL_EXCLUDED",
	ErrProcessing:           "PROCESSING",
	ErrInvalidCredential:    "INVALID_CREDENTIAL",
	ErrUserActionPending:    "USER_ACTION_PENDING",
	ErrOperationPending:     "OPERATION_PENDING",
	ErrNoOperations:         "NO_OPERATIONS",
	ErrUnsupportedAlgorithm: "UNSUPPORTED_ALGORITHM",
	ErrOperationDenied:      "OPERATION_DENIED",
	ErrKeyStoreFull:         "KEY_STORE_FULL",
	ErrUnsupportedOption:    "UNSUPPORTED_OPTION",
	ErrInvalidOption:        "INVALID_OPTION",
	ErrKeepaliveCancel:      "KEEPALIVE_CANCEL",
	ErrNoCredentials:        "NO_CREDENTIALS",
	ErrUserActionTimeout:    "USER_ACTION_TIMEOUT",
	ErrNotAllowed:           "NOT_ALLOWED",
	ErrPINInvalid:           "PIN_INVALID",
	ErrPINBlocked:           "PIN_BLOCKED",
	ErrPINAuthInvalid:       "PIN_AUTH_INVALID",
	ErrPINAuthBlocked:       "PIN_AUTH_BLOCKED",
	ErrPINNotSet:            "PIN_NOT_SET",
	ErrPUATRequired:         "PUAT_REQUIRED",
	ErrPINPolicyViolation:   "PIN_POLICY_VIOLATION",
	ErrRequestTooLarge:      "REQUEST_TOO_LARGE",
	ErrActionTimeout:        "ACTION_TIMEOUT",
	ErrUPRequired:           "UP_REQUIRED",
	ErrUVBlocked:            "UV_BLOCKED",
	ErrIntegrityFailure:     "INTEGRITY_FAILURE",
	ErrInvalidSubcommand:    "INVALID_SUBCOMMAND",
	ErrUVInvalid:            "UV_INVALID",
	ErrUnauthorizedPerm:     "UNAUTHORIZED_PERMISSION",
	ErrOther:                "OTHER",
}

// Name is the specification's name of the code without its prefix, such as PIN_BLOCKED; 0x99 for a code without a name.
func (s StatusCode) Name() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("0x%02x", byte(s))
}

// ParseStatusCode reads a status code as people write it: a name, in any case, with or without the prefix CTAP1_ERR_ or
// CTAP2_ERR_, or a number from 0 to 255, such as 50 or 0x32.
func ParseStatusCode(s string) (StatusCode, error) {
	if n, ok := parseByte(s); ok {
		return StatusCode(n), nil
	}
	name := strings.ToUpper(s)
	for _, prefix := range []string{"CTAP1_ERR_", "CTAP2_ERR_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	for code, n := range statusNames {
		if n == name {
			return code, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no CTAP status: a name such as PIN_BLOCKED, or a number up to 0xff", s)
}

// commandNames are the names of §6 without their prefix, authenticator.
var commandNames = map[Command]string{
	CommandMakeCredential:              "makeCredential",
	CommandGetAssertion:                "getAssertion",
	CommandGetInfo:                     "getInfo",
	CommandClientPIN:                   "clientPIN",
	CommandReset:                       "reset",
	CommandGetNextAssertion:            "getNextAssertion",
	CommandBioEnrollment:               "bioEnrollment",
	CommandCredentialManagement:        "credentialManagement",
	CommandSelection:                   "selection",
	CommandLargeBlobs:                  "largeBlobs",
	CommandConfig:                      "config",
	CommandBioEnrollmentPreview:        "bioEnrollmentPreview",
	CommandCredentialManagementPreview: "credentialManagementPreview",
}

// String is the specification's name of the command without its prefix, such as makeCredential; 0x99 for a command
// without a name.
func (c Command) String() string {
	if name, ok := commandNames[c]; ok {
		return name
	}
	return fmt.Sprintf("0x%02x", byte(c))
}

// ParseCommand reads a command as people write it: a name, in any case, with or without the prefix "authenticator", or
// a number from 1 to 255, such as 4 or 0x04.
func ParseCommand(s string) (Command, error) {
	if n, ok := parseByte(s); ok && n != 0 {
		return Command(n), nil
	}
	name := strings.TrimPrefix(strings.ToLower(s), "authenticator")
	for command, n := range commandNames {
		if strings.ToLower(n) == name {
			return command, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no CTAP command: a name such as makeCredential, or a number up to 0xff", s)
}

func parseByte(s string) (byte, bool) {
	n, err := strconv.ParseUint(s, 0, 8)
	return byte(n), err == nil
}

// sampleNames are the names of §6.7.4 without their prefix, CTAP2_ENROLL_FEEDBACK_FP_ or CTAP2_ENROLL_FEEDBACK_.
var sampleNames = map[SampleStatus]string{
	SampleGood:           "GOOD",
	SampleTooHigh:        "TOO_HIGH",
	SampleTooLow:         "TOO_LOW",
	SampleTooLeft:        "TOO_LEFT",
	SampleTooRight:       "TOO_RIGHT",
	SampleTooFast:        "TOO_FAST",
	SampleTooSlow:        "TOO_SLOW",
	SamplePoorQuality:    "POOR_QUALITY",
	SampleTooSkewed:      "TOO_SKEWED",
	SampleTooShort:       "TOO_SHORT",
	SampleMergeFailure:   "MERGE_FAILURE",
	SampleExists:         "EXISTS",
	SampleNoUserActivity: "NO_USER_ACTIVITY",
	SampleNoUserPresence: "NO_USER_PRESENCE_TRANSITION",
}

// String is the specification's name of the status without its prefix, such as TOO_FAST.
func (s SampleStatus) String() string {
	if name, ok := sampleNames[s]; ok {
		return name
	}
	return fmt.Sprintf("0x%02x", uint(s))
}

// ParseSampleStatus reads what String gives, in any case.
func ParseSampleStatus(s string) (SampleStatus, error) {
	for status, n := range sampleNames {
		if strings.EqualFold(n, s) {
			return status, nil
		}
	}
	return 0, fmt.Errorf("%.40q is no status of a fingerprint's sample, such as TOO_FAST", s)
}
