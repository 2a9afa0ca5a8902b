package ctap

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// VersionU2F is what a key that speaks CTAP1/U2F calls that protocol.
const VersionU2F = "U2F_V2"

// U2FInstruction is the INS of a CTAP1/U2F command (FIDO U2F Raw Message Formats §3).
type U2FInstruction byte

const (
	U2FRegister     U2FInstruction = 0x01
	U2FAuthenticate U2FInstruction = 0x02
	U2FVersion      U2FInstruction = 0x03
)

// U2FControl is P1 of U2F_AUTHENTICATE (FIDO U2F Raw Message Formats §5.1).
type U2FControl byte

const (
	U2FCheckOnly                   U2FControl = 0x07
	U2FEnforceUserPresenceAndSign  U2FControl = 0x03
	U2FDontEnforceUserPresenceSign U2FControl = 0x08
)

// U2FStatus is the status word of a U2F response (FIDO U2F Raw Message Formats §3.3). Any but U2FNoError is an error.
type U2FStatus uint16

const (
	U2FNoError                 U2FStatus = 0x9000
	U2FWrongLength             U2FStatus = 0x6700
	U2FConditionsNotSatisfied  U2FStatus = 0x6985 // touch the key
	U2FCommandNotAllowed       U2FStatus = 0x6986
	U2FWrongData               U2FStatus = 0x6A80 // not a key handle of ours
	U2FInstructionNotSupported U2FStatus = 0x6D00
	U2FClassNotSupported       U2FStatus = 0x6E00
	U2FUnknown                 U2FStatus = 0x6F00
)

// Error gives the meaning of the status word.
func (s U2FStatus) Error() string {
	switch s {
	case U2FConditionsNotSatisfied:
		return "conditions not satisfied (SW 6985)"
	case U2FWrongData:
		return "wrong data (SW 6A80)"
	default:
		return fmt.Sprintf("U2F status word %04X", uint16(s))
	}
}

// U2FRequest is a CTAP1/U2F command (FIDO U2F Raw Message Formats §3.1).
type U2FRequest struct {
	Instruction U2FInstruction
	Control     U2FControl // P1
	Data        []byte
}

// ParseU2FRequest decodes a command APDU in the extended form that U2F uses, or in the short one. The error is a
// U2FStatus.
func ParseU2FRequest(b []byte) (*U2FRequest, error) {
	if len(b) < 4 {
		return nil, U2FWrongLength
	}
	if b[0] != 0 {
		return nil, U2FClassNotSupported
	}
	data, err := apduData(b[4:])
	if err != nil {
		return nil, err
	}
	return &U2FRequest{Instruction: U2FInstruction(b[1]), Control: U2FControl(b[2]), Data: data}, nil
}

// apduData gives the data of a command APDU (ISO 7816-4 §5.1), whose expected length doesn't matter here.
func apduData(b []byte) ([]byte, error) {
	switch {
	case len(b) <= 1: // nothing, or a short Le
		return nil, nil
	case b[0] != 0: // a short Lc
		n := int(b[0])
		if rest := len(b) - 1 - n; rest == 0 || rest == 1 {
			return b[1 : 1+n], nil
		}
	case len(b) == 3: // an extended Le
		return nil, nil
	case len(b) > 3:
		n := int(binary.BigEndian.Uint16(b[1:]))
		if rest := len(b) - 3 - n; rest == 0 || rest == 2 {
			return b[3 : 3+n], nil
		}
	}
	return nil, U2FWrongLength
}

// Encode gives the command as it travels: an extended APDU.
func (r *U2FRequest) Encode() []byte {
	b := []byte{0, byte(r.Instruction), byte(r.Control), 0}
	if len(r.Data) > 0 {
		b = append(b, 0, byte(len(r.Data)>>8), byte(len(r.Data)))
		b = append(b, r.Data...)
		return append(b, 0, 0)
	}
	return append(b, 0, 0, 0)
}

// U2FResponse makes a response APDU.
func U2FResponse(data []byte, s U2FStatus) Response {
	return binary.BigEndian.AppendUint16(append(Response(nil), data...), uint16(s))
}

// U2FKeyParameters are what both commands with a credential have in common: the challenge and application parameters,
// SHA-256 of the client data and of the RP ID.
type U2FKeyParameters struct {
	Challenge, Application [sha256.Size]byte
	KeyHandle              []byte // of authenticate
}

// RegisterParameters decodes the data of U2F_REGISTER (§4.1).
func (r *U2FRequest) RegisterParameters() (*U2FKeyParameters, error) {
	if len(r.Data) != 2*sha256.Size {
		return nil, U2FWrongLength
	}
	return &U2FKeyParameters{
		Challenge:   [sha256.Size]byte(r.Data[:sha256.Size]),
		Application: [sha256.Size]byte(r.Data[sha256.Size:]),
	}, nil
}

// AuthenticateParameters decodes the data of U2F_AUTHENTICATE (§5.1).
func (r *U2FRequest) AuthenticateParameters() (*U2FKeyParameters, error) {
	const head = 2*sha256.Size + 1
	if len(r.Data) < head || len(r.Data) != head+int(r.Data[head-1]) {
		return nil, U2FWrongLength
	}
	return &U2FKeyParameters{
		Challenge:   [sha256.Size]byte(r.Data[:sha256.Size]),
		Application: [sha256.Size]byte(r.Data[sha256.Size : 2*sha256.Size]),
		KeyHandle:   r.Data[head:],
	}, nil
}
