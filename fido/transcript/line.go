package transcript

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

const (
	header    = "# fob transcript 1"
	headStem  = "# fob transcript " // of every version
	noPayload = "-"
)

// Errors of a line, in a ParseError.
var (
	ErrNotTranscript = errors.New("not a transcript of fob")
	ErrVersion       = errors.New("a transcript of another version")
	ErrSyntax        = errors.New("not a line of a transcript")
	ErrOrder         = errors.New("an event out of order")
	ErrTooLarge      = errors.New("larger than a transcript may be")
)

// kind is how a request travelled.
type kind struct {
	transport ctap.Transport
	u2f       bool
}

var kindNames = map[kind]string{
	{ctap.TransportUSB, false}: "cbor",
	{ctap.TransportUSB, true}:  "msg",
	{ctap.TransportNFC, false}: "nfc-cbor",
	{ctap.TransportNFC, true}:  "nfc-msg",
}

func (r Request) line() string {
	return fmt.Sprintf("> %s %08x %s", kindNames[kind{r.Transport, r.U2F}], r.Channel, digits(r.Payload))
}

func (r Response) line() string { return "< " + digits(r) }

func (Cancel) line() string { return "* cancel" }

func (PowerCycle) line() string { return "* power-cycle" }

func (k Keepalive) line() string {
	switch ctap.KeepaliveStatus(k) {
	case ctap.KeepaliveProcessing:
		return "* processing"
	case ctap.KeepaliveUPNeeded:
		return "* up-needed"
	default:
		return fmt.Sprintf("* keepalive %02x", byte(k))
	}
}

func (p Packet) line() string {
	arrow := "<"
	if p.ToKey {
		arrow = ">"
	}
	return arrow + " packet " + digits(bytes.TrimRight(p.Report[:], "\x00"))
}

func digits(b []byte) string {
	if len(b) == 0 {
		return noPayload
	}
	return hex.EncodeToString(b)
}

// parseLine reads one event.
func parseLine(line string) (Event, error) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return nil, ErrSyntax
	}
	switch is := words[0] + " " + words[1]; {
	case len(words) == 3 && (is == "> packet" || is == "< packet"):
		return parsePacket(words[0] == ">", words[2])
	case len(words) == 4 && words[0] == ">":
		return parseRequest(words[1], words[2], words[3])
	case len(words) == 2 && words[0] == "<":
		payload, err := parseDigits(words[1], MaxPayload)
		return Response(payload), err
	case len(words) == 3 && is == "* keepalive":
		status, err := parseDigits(words[2], 1)
		if err != nil || len(status) != 1 {
			return nil, ErrSyntax
		}
		return Keepalive(status[0]), nil
	case len(words) == 2:
		return parseWord(is)
	}
	return nil, ErrSyntax
}

func parseWord(line string) (Event, error) {
	for _, e := range []Event{
		Cancel{}, PowerCycle{}, Keepalive(ctap.KeepaliveProcessing), Keepalive(ctap.KeepaliveUPNeeded),
	} {
		if line == e.line() {
			return e, nil
		}
	}
	return nil, ErrSyntax
}

func parseRequest(name, channel, payload string) (Event, error) {
	cid, err := parseDigits(channel, 4)
	if err != nil || len(cid) != 4 {
		return nil, ErrSyntax
	}
	for k, n := range kindNames {
		if n == name {
			r := Request{Transport: k.transport, U2F: k.u2f, Channel: binary.BigEndian.Uint32(cid)}
			r.Payload, err = parseDigits(payload, MaxPayload)
			return r, err
		}
	}
	return nil, ErrSyntax
}

func parsePacket(toKey bool, s string) (Event, error) {
	b, err := parseDigits(s, ctaphid.ReportSize)
	if err != nil {
		return nil, err
	}
	p := Packet{ToKey: toKey}
	copy(p.Report[:], b)
	return p, nil
}

// parseDigits reads at most so many bytes.
func parseDigits(s string, most int) ([]byte, error) {
	if s == noPayload {
		return []byte{}, nil
	}
	if len(s) > 2*most {
		return nil, ErrTooLarge
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, ErrSyntax
	}
	return b, nil
}

// validKey reports whether s can stand behind "* key".
func validKey(s string) bool {
	if len(s) == 0 || len(s) > MaxKey {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
