// Package transcript writes down what a host and an authenticator say to each other, as text that people read and
// compare, and plays it again: to a client in place of the key, or to another key in place of the client.
//
// # Format
//
// A transcript is lines of UTF-8. The first one is
//
//	# fob transcript 1
//
// Every other line that begins with # is a comment: what the line above it means, in words and in the diagnostic
// notation of CBOR (RFC 8949 §8), shortened where it is long. Comments and empty lines mean nothing to Parse. The
// other lines are events, in the order in which they happened:
//
//	> cbor 00000001 04        a CTAP2 request: its channel, the command byte and the CBOR, in hexadecimal digits
//	> msg 00000001 00030000   a CTAP1/U2F request APDU
//	> nfc-cbor 00000000 04    the same of a card, and so is nfc-msg
//	* processing              the key told that it was busy, STATUS_PROCESSING (CTAP 2.2 §11.2.9.1.7)
//	* up-needed               ... that it waited for a touch, STATUS_UPNEEDED
//	* keepalive 07            ... something else
//	* cancel                  the host cancelled the request, or went away, before the key answered
//	< 00a1…                   the answer to the request above: status byte and CBOR, or R-APDU
//	* power-cycle             the key lost power
//	> packet 00000001…        a CTAPHID packet to the key, without the zeros at its end
//	< packet 00000001…        a packet from the key
//	* key fido2.1             the model of the key; at most once, before all events
//
// No bytes at all are written as "-". A request is answered before the next one begins; the last one may be without
// an answer. Packets stand anywhere: one transcript may hold requests, packets, or both, and then each of them
// twice.
//
// # Secrets
//
// PINs and tokens travel encrypted, so that a transcript has none in the clear. It has all else that was said: RP
// IDs, user names, credential IDs, large blobs and their keys, whatever a U2F key handle holds. Create makes a file
// that only its owner can read; think before you send one to somebody.
package transcript

import (
	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// Limits of a transcript, for those who write and who read one.
const (
	MaxSize    = 64 << 20  // bytes of the whole text
	MaxEvents  = 256 << 10 // events
	MaxPayload = 1<<16 - 1 // bytes of a request or an answer
	MaxKey     = 64        // bytes of Transcript.Key
)

// Transcript is what was said.
type Transcript struct {
	Key    string // the model of the key, one printable word; empty where it is not known
	Events []Event
}

// Event is a Request, a Keepalive, a Cancel, a Response, a PowerCycle or a Packet.
type Event interface {
	// line is the event as it stands in a transcript, without the end of the line.
	line() string
}

// Request is a request to the key. A Response, or the end of the transcript, comes before the next one.
type Request ctap.Request

// Keepalive is what the key told of the open request.
type Keepalive ctap.KeepaliveStatus

// Cancel says that the host cancelled the open request, or went away, before the key answered.
type Cancel struct{}

// Response is the answer to the open request.
type Response ctap.Response

// PowerCycle says that the key lost power. It stands between requests.
type PowerCycle struct{}

// Packet is a CTAPHID packet.
type Packet struct {
	ToKey  bool // from the host to the key
	Report ctaphid.Report
}

// exchange is a request and what became of it.
type exchange struct {
	number     int  // from 1
	powerCycle bool // the key lost power before
	request    Request
	keepalives []Keepalive
	cancelled  bool
	response   Response // nil where the transcript ends before it
}

// exchanges gives the requests of the transcript, each with what became of it.
func (t *Transcript) exchanges() (all []*exchange) {
	var open *exchange
	powerCycle := false
	for _, e := range t.Events {
		switch e := e.(type) {
		case PowerCycle:
			powerCycle = true
		case Request:
			open = &exchange{number: len(all) + 1, powerCycle: powerCycle, request: e}
			all, powerCycle = append(all, open), false
		case Keepalive:
			open.keepalives = append(open.keepalives, e)
		case Cancel:
			open.cancelled = true
		case Response:
			open.response = e
		}
	}
	return all
}
