package ctapnfc

import (
	"encoding/binary"
	"fmt"
)

// The most data bytes of one APDU (ISO 7816-3).
const (
	maxShortData    = 255
	maxShortNe      = 256
	maxExtendedData = 65535
	maxExtendedNe   = 65536
)

const headerSize = 4 // CLA, INS, P1, P2

// Command is a command APDU (ISO 7816-4, "Command-response pairs").
type Command struct {
	CLA, INS, P1, P2 byte
	Data             []byte // its length is Lc
	// Ne is the most data bytes that the response may have: 0 when there is no Le field, at most 256, or 65536 when
	// Extended.
	Ne int
	// Extended is true when the lengths are, or shall be, encoded in two bytes rather than one. It means nothing when
	// there are none (case 1).
	Extended bool
}

// ParseCommand decodes a command APDU of any case, 1 to 4, short or extended. Its lengths must agree, else it fails
// with SWWrongLength. Data is a part of b.
func ParseCommand(b []byte) (Command, error) {
	if len(b) < headerSize {
		return Command{}, fmt.Errorf("command APDU of %d bytes: %w", len(b), SWWrongLength)
	}
	c := Command{CLA: b[0], INS: b[1], P1: b[2], P2: b[3]}
	body := b[headerSize:]
	ok := true
	switch {
	case len(body) == 0: // case 1
	case len(body) == 1: // case 2, short
		c.Ne = shortNe(body[0])
	case body[0] != 0:
		ok = c.parseShort(int(body[0]), body[1:])
	default:
		c.Extended = true
		ok = c.parseExtended(body[1:])
	}
	if !ok {
		return Command{}, fmt.Errorf("command APDU of %d bytes: %w", len(b), SWWrongLength)
	}
	return c, nil
}

// parseShort takes what follows a short Lc: data (case 3), then perhaps Le (case 4).
func (c *Command) parseShort(lc int, b []byte) bool {
	switch len(b) - lc {
	case 0:
	case 1:
		c.Ne = shortNe(b[lc])
	default:
		return false
	}
	c.Data = b[:lc:lc]
	return true
}

// parseExtended takes what follows the zero byte that marks extended lengths: Le alone (case 2), or Lc and data (case
// 3), then perhaps Le (case 4).
func (c *Command) parseExtended(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	lc := int(binary.BigEndian.Uint16(b))
	if len(b) == 2 {
		c.Ne = extendedNe(b)
		return true
	}
	b = b[2:]
	switch {
	case lc == 0:
		return false
	case len(b) == lc:
	case len(b) == lc+2:
		c.Ne = extendedNe(b[lc:])
	default:
		return false
	}
	c.Data = b[:lc:lc]
	return true
}

// In an Le field, zero stands for the largest number (ISO 7816-4, "Command-response pairs").
func shortNe(le byte) int {
	if le == 0 {
		return maxShortNe
	}
	return int(le)
}

func extendedNe(le []byte) int {
	if n := int(binary.BigEndian.Uint16(le)); n != 0 {
		return n
	}
	return maxExtendedNe
}

// Bytes encodes the command. It fails with SWWrongLength when Data or Ne is too large for its form.
func (c Command) Bytes() ([]byte, error) {
	maxData, maxNe := maxShortData, maxShortNe
	if c.Extended {
		maxData, maxNe = maxExtendedData, maxExtendedNe
	}
	if len(c.Data) > maxData || c.Ne < 0 || c.Ne > maxNe {
		return nil, fmt.Errorf("command APDU with %d bytes for %d: %w", len(c.Data), c.Ne, SWWrongLength)
	}
	b := make([]byte, 0, headerSize+len(c.Data)+5)
	b = append(b, c.CLA, c.INS, c.P1, c.P2)
	if c.Extended {
		return c.appendExtended(b), nil
	}
	if len(c.Data) > 0 {
		b = append(append(b, byte(len(c.Data))), c.Data...)
	}
	if c.Ne > 0 {
		b = append(b, byte(c.Ne))
	}
	return b, nil
}

func (c Command) appendExtended(b []byte) []byte {
	if len(c.Data) > 0 || c.Ne > 0 {
		b = append(b, 0)
	}
	if len(c.Data) > 0 {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(c.Data))), c.Data...)
	}
	if c.Ne > 0 {
		b = binary.BigEndian.AppendUint16(b, uint16(c.Ne))
	}
	return b
}

// Response is a response APDU (ISO 7816-4, "Command-response pairs").
type Response struct {
	Data []byte // at most 65536 bytes
	SW   StatusWord
}

// ParseResponse decodes a response APDU. It fails with SWWrongLength when b has no status word, or more data than any
// command can ask for. Data is a part of b.
func ParseResponse(b []byte) (Response, error) {
	n := len(b) - 2
	if n < 0 || n > maxExtendedNe {
		return Response{}, fmt.Errorf("response APDU of %d bytes: %w", len(b), SWWrongLength)
	}
	return Response{Data: b[:n:n], SW: StatusWord(binary.BigEndian.Uint16(b[n:]))}, nil
}

// Bytes encodes the response.
func (r Response) Bytes() []byte {
	b := append(make([]byte, 0, len(r.Data)+2), r.Data...)
	return binary.BigEndian.AppendUint16(b, uint16(r.SW))
}
