package ctaphid

import "fmt"

// Command is the CMD of an initialization packet without its top bit (§11.2.9). Commands 0x40 to 0x7f are the
// vendor's (§11.2.9.3).
type Command byte

const (
	CommandPing      Command = 0x01 // CTAPHID_PING, §11.2.9.1.4
	CommandMsg       Command = 0x03 // CTAPHID_MSG: a CTAP1/U2F APDU, §11.2.9.1.1
	CommandLock      Command = 0x04 // CTAPHID_LOCK, §11.2.9.2.2
	CommandInit      Command = 0x06 // CTAPHID_INIT, §11.2.9.1.3
	CommandWink      Command = 0x08 // CTAPHID_WINK, §11.2.9.2.1
	CommandCBOR      Command = 0x10 // CTAPHID_CBOR: a CTAP2 command, §11.2.9.1.2
	CommandCancel    Command = 0x11 // CTAPHID_CANCEL, §11.2.9.1.5
	CommandKeepalive Command = 0x3b // CTAPHID_KEEPALIVE, §11.2.9.1.7
	CommandError     Command = 0x3f // CTAPHID_ERROR, §11.2.9.1.6
)

// Capability is a set of flags in the response to CTAPHID_INIT (§11.2.9.1.3). None of them tells of CTAPHID_LOCK.
type Capability byte

const (
	CapWink Capability = 0x01 // CAPABILITY_WINK: implements CTAPHID_WINK
	CapCBOR Capability = 0x04 // CAPABILITY_CBOR: implements CTAPHID_CBOR
	CapNMSG Capability = 0x08 // CAPABILITY_NMSG: does not implement CTAPHID_MSG
)

// Has reports whether every flag of f is set.
func (c Capability) Has(f Capability) bool { return c&f == f }

// protocolVersion is the CTAPHID protocol version identifier in the response to CTAPHID_INIT (§11.2.9.1.3).
const protocolVersion = 2

// CTAPHID_INIT carries a nonce of 8 bytes; the response has 17 bytes: nonce, CID, protocol version, three bytes of
// device version, capabilities (§11.2.9.1.3).
const (
	nonceSize        = 8
	initResponseSize = 17
)

// Error is the code in a CTAPHID_ERROR (§11.2.9.1.6): the framing failed, there is no CTAP status. A Device gives each
// of them but the two that say so.
type Error byte

const (
	ErrInvalidCmd     Error = 0x01 // ERR_INVALID_CMD: a command that the device doesn't have
	ErrInvalidPar     Error = 0x02 // ERR_INVALID_PAR: a lock of more than 10 s
	ErrInvalidLen     Error = 0x03 // ERR_INVALID_LEN: more than MaxPayload, or not what the command takes
	ErrInvalidSeq     Error = 0x04 // ERR_INVALID_SEQ: not the next packet of the message
	ErrMsgTimeout     Error = 0x05 // ERR_MSG_TIMEOUT: the next packet did not come
	ErrChannelBusy    Error = 0x06 // ERR_CHANNEL_BUSY: a transaction or a lock is in the way
	ErrLockRequired   Error = 0x0a // ERR_LOCK_REQUIRED: never, since no command here asks for a lock
	ErrInvalidChannel Error = 0x0b // ERR_INVALID_CHANNEL: a channel that was not allocated, or has been recycled
	ErrOther          Error = 0x7f // ERR_OTHER: never; what a Handler can't do has a CTAP status
)

var errorText = map[Error]string{
	ErrInvalidCmd:     "invalid command",
	ErrInvalidPar:     "invalid parameter",
	ErrInvalidLen:     "invalid message length",
	ErrInvalidSeq:     "invalid packet sequence",
	ErrMsgTimeout:     "message timed out",
	ErrChannelBusy:    "channel busy",
	ErrLockRequired:   "channel lock required",
	ErrInvalidChannel: "invalid channel",
	ErrOther:          "unspecified error",
}

// Error gives the meaning of the code in words, with its number.
func (e Error) Error() string {
	if text, ok := errorText[e]; ok {
		return fmt.Sprintf("%s (CTAPHID 0x%02x)", text, byte(e))
	}
	return fmt.Sprintf("unknown CTAPHID error 0x%02x", byte(e))
}
