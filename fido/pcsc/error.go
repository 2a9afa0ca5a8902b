package pcsc

import "fmt"

// Error is a code of pcscd's other than success (pcsclite.h). It is an error as it stands:
// errors.Is(err, pcsc.ErrSharingViolation) holds wherever it came from.
type Error uint32

// Codes, by pcsc-lite's names without SCARD_.
const (
	ErrInternal           Error = 0x80100001 // F_INTERNAL_ERROR
	ErrCancelled          Error = 0x80100002 // E_CANCELLED
	ErrInvalidHandle      Error = 0x80100003 // E_INVALID_HANDLE
	ErrInvalidParameter   Error = 0x80100004 // E_INVALID_PARAMETER
	ErrInvalidTarget      Error = 0x80100005 // E_INVALID_TARGET
	ErrNoMemory           Error = 0x80100006 // E_NO_MEMORY
	ErrWaitedTooLong      Error = 0x80100007 // F_WAITED_TOO_LONG
	ErrInsufficientBuffer Error = 0x80100008 // E_INSUFFICIENT_BUFFER
	ErrUnknownReader      Error = 0x80100009 // E_UNKNOWN_READER
	ErrTimeout            Error = 0x8010000a // E_TIMEOUT
	ErrSharingViolation   Error = 0x8010000b // E_SHARING_VIOLATION: another program holds the card
	ErrNoSmartcard        Error = 0x8010000c // E_NO_SMARTCARD
	ErrUnknownCard        Error = 0x8010000d // E_UNKNOWN_CARD
	ErrCantDispose        Error = 0x8010000e // E_CANT_DISPOSE
	ErrProtoMismatch      Error = 0x8010000f // E_PROTO_MISMATCH
	ErrNotReady           Error = 0x80100010 // E_NOT_READY
	ErrInvalidValue       Error = 0x80100011 // E_INVALID_VALUE
	ErrSystemCancelled    Error = 0x80100012 // E_SYSTEM_CANCELLED
	ErrComm               Error = 0x80100013 // F_COMM_ERROR
	ErrUnknown            Error = 0x80100014 // F_UNKNOWN_ERROR
	ErrInvalidATR         Error = 0x80100015 // E_INVALID_ATR
	ErrNotTransacted      Error = 0x80100016 // E_NOT_TRANSACTED: the card gave no answer
	ErrReaderUnavailable  Error = 0x80100017 // E_READER_UNAVAILABLE
	ErrShutdown           Error = 0x80100018 // P_SHUTDOWN
	ErrPCITooSmall        Error = 0x80100019 // E_PCI_TOO_SMALL
	ErrReaderUnsupported  Error = 0x8010001a // E_READER_UNSUPPORTED
	ErrDuplicateReader    Error = 0x8010001b // E_DUPLICATE_READER
	ErrCardUnsupported    Error = 0x8010001c // E_CARD_UNSUPPORTED
	ErrNoService          Error = 0x8010001d // E_NO_SERVICE: pcscd does not run
	ErrServiceStopped     Error = 0x8010001e // E_SERVICE_STOPPED: also pcscd's answer to a version that it doesn't speak
	ErrUnsupportedFeature Error = 0x8010001f // E_UNSUPPORTED_FEATURE, and E_UNEXPECTED
	ErrNoReaders          Error = 0x8010002e // E_NO_READERS_AVAILABLE
	ErrUnsupportedCard    Error = 0x80100065 // W_UNSUPPORTED_CARD
	ErrUnresponsiveCard   Error = 0x80100066 // W_UNRESPONSIVE_CARD
	ErrUnpoweredCard      Error = 0x80100067 // W_UNPOWERED_CARD
	ErrResetCard          Error = 0x80100068 // W_RESET_CARD: another program has reset the card; Reconnect
	ErrRemovedCard        Error = 0x80100069 // W_REMOVED_CARD
	ErrSecurityViolation  Error = 0x8010006a // W_SECURITY_VIOLATION: polkit does not let this program use the card
)

type errorText struct{ name, text string }

var errorTexts = map[Error]errorText{
	ErrInternal:           {"SCARD_F_INTERNAL_ERROR", "internal error of pcscd"},
	ErrCancelled:          {"SCARD_E_CANCELLED", "cancelled"},
	ErrInvalidHandle:      {"SCARD_E_INVALID_HANDLE", "invalid handle"},
	ErrInvalidParameter:   {"SCARD_E_INVALID_PARAMETER", "invalid parameter"},
	ErrInvalidTarget:      {"SCARD_E_INVALID_TARGET", "invalid target"},
	ErrNoMemory:           {"SCARD_E_NO_MEMORY", "pcscd is out of memory or connections"},
	ErrWaitedTooLong:      {"SCARD_F_WAITED_TOO_LONG", "waited too long"},
	ErrInsufficientBuffer: {"SCARD_E_INSUFFICIENT_BUFFER", "insufficient buffer"},
	ErrUnknownReader:      {"SCARD_E_UNKNOWN_READER", "unknown reader"},
	ErrTimeout:            {"SCARD_E_TIMEOUT", "timeout"},
	ErrSharingViolation:   {"SCARD_E_SHARING_VIOLATION", "another program holds the card"},
	ErrNoSmartcard:        {"SCARD_E_NO_SMARTCARD", "no card in the reader"},
	ErrUnknownCard:        {"SCARD_E_UNKNOWN_CARD", "unknown card"},
	ErrCantDispose:        {"SCARD_E_CANT_DISPOSE", "cannot dispose of the card"},
	ErrProtoMismatch:      {"SCARD_E_PROTO_MISMATCH", "the card does not speak the protocol"},
	ErrNotReady:           {"SCARD_E_NOT_READY", "reader or card not ready"},
	ErrInvalidValue:       {"SCARD_E_INVALID_VALUE", "invalid value"},
	ErrSystemCancelled:    {"SCARD_E_SYSTEM_CANCELLED", "cancelled by the system"},
	ErrComm:               {"SCARD_F_COMM_ERROR", "communication error"},
	ErrUnknown:            {"SCARD_F_UNKNOWN_ERROR", "unknown error"},
	ErrInvalidATR:         {"SCARD_E_INVALID_ATR", "invalid ATR"},
	ErrNotTransacted:      {"SCARD_E_NOT_TRANSACTED", "the card gave no answer"},
	ErrReaderUnavailable:  {"SCARD_E_READER_UNAVAILABLE", "the reader is gone"},
	ErrShutdown:           {"SCARD_P_SHUTDOWN", "shutdown"},
	ErrPCITooSmall:        {"SCARD_E_PCI_TOO_SMALL", "protocol control information too small"},
	ErrReaderUnsupported:  {"SCARD_E_READER_UNSUPPORTED", "unsupported reader"},
	ErrDuplicateReader:    {"SCARD_E_DUPLICATE_READER", "duplicate reader"},
	ErrCardUnsupported:    {"SCARD_E_CARD_UNSUPPORTED", "unsupported card"},
	ErrNoService:          {"SCARD_E_NO_SERVICE", "pcscd does not run"},
	ErrServiceStopped:     {"SCARD_E_SERVICE_STOPPED", "pcscd has stopped"},
	ErrUnsupportedFeature: {"SCARD_E_UNSUPPORTED_FEATURE", "unsupported feature"},
	ErrNoReaders:          {"SCARD_E_NO_READERS_AVAILABLE", "no reader"},
	ErrUnsupportedCard:    {"SCARD_W_UNSUPPORTED_CARD", "unsupported card"},
	ErrUnresponsiveCard:   {"SCARD_W_UNRESPONSIVE_CARD", "the card does not respond"},
	ErrUnpoweredCard:      {"SCARD_W_UNPOWERED_CARD", "the card has no power"},
	ErrResetCard:          {"SCARD_W_RESET_CARD", "another program has reset the card"},
	ErrRemovedCard:        {"SCARD_W_REMOVED_CARD", "the card was removed"},
	ErrSecurityViolation:  {"SCARD_W_SECURITY_VIOLATION", "polkit does not let this program use the card"},
}

// Error gives the meaning of the code in words, with the name that a reader can look up.
func (e Error) Error() string {
	if t, ok := errorTexts[e]; ok {
		return fmt.Sprintf("%s (%s)", t.text, t.name)
	}
	return fmt.Sprintf("unknown PC/SC error %08x", uint32(e))
}

// code is the error of a reply's last field, nil for SCARD_S_SUCCESS.
func code(rv uint32) error {
	if rv == 0 {
		return nil
	}
	return Error(rv)
}

// BadReplyError is a reply that breaks the protocol. The connection is closed then. Err says what is wrong.
type BadReplyError struct{ Err error }

func (e *BadReplyError) Error() string { return "bad reply from pcscd: " + e.Err.Error() }
func (e *BadReplyError) Unwrap() error { return e.Err }

func badReply(format string, args ...any) error { return &BadReplyError{fmt.Errorf(format, args...)} }

// VersionError is a pcscd whose protocol this package does not speak.
type VersionError struct{ Major, Minor int32 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("pcscd speaks version %d:%d of its protocol, not 4:4 or 4:5", e.Major, e.Minor)
}
