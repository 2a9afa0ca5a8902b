// Package ctaphid is both ends of CTAPHID, the framing of CTAP over USB HID (CTAP 2.2 §11.2): a [Device] turns reports
// of 64 bytes into requests to a [ctap.Handler], a [Client] turns requests into reports.
//
// A message of up to 7609 bytes travels as one initialization packet and up to 128 continuation packets, on a channel
// that CTAPHID_INIT allocates to each program that opens the device. The device serves one transaction at a time,
// whatever its channel. What carries the reports (a hidraw node, a pseudo-terminal, a [Pipe]) is a [Conn].
package ctaphid

import "encoding/binary"

// ReportSize is the length of every report in bytes, in both directions (§11.2.8.1).
const ReportSize = 64

// Report is one HID report, without the report number that Linux's hidraw puts before it.
type Report [ReportSize]byte

// CID is a channel identifier (§11.2.3).
type CID uint32

const (
	BroadcastCID CID = 0xffffffff // CTAPHID_BROADCAST_CID: asks for a channel of one's own by CTAPHID_INIT
	reservedCID  CID = 0          // never allocated
)

const (
	initialHeader      = 7 // CID, CMD, BCNTH, BCNTL
	continuationHeader = 5 // CID, SEQ
	initialRoom        = ReportSize - initialHeader
	continuationRoom   = ReportSize - continuationHeader
	initialBit         = 0x80 // set in CMD, clear in SEQ
)

// Packet is what a report says (§11.2.4): an initialization packet when Initial is true, else a continuation packet.
type Packet struct {
	CID     CID
	Initial bool
	Command Command // of an initialization packet, without its top bit
	BCNT    uint16  // of an initialization packet: length of the whole message in bytes
	Seq     byte    // of a continuation packet: 0 to 127
	Data    []byte  // at most 57 bytes in an initialization packet, 59 in a continuation packet; zeros follow
}

// ParsePacket decodes a report. Every report is some packet; Data is all the room, padding included.
func ParsePacket(r Report) Packet {
	p := Packet{CID: CID(binary.BigEndian.Uint32(r[:])), Initial: r[4]&initialBit != 0}
	if p.Initial {
		p.Command = Command(r[4] &^ initialBit)
		p.BCNT = binary.BigEndian.Uint16(r[5:])
		p.Data = r[initialHeader:]
		return p
	}
	p.Seq = r[4]
	p.Data = r[continuationHeader:]
	return p
}

// Report encodes the packet. Data that has no room is cut off.
func (p Packet) Report() Report {
	var r Report
	binary.BigEndian.PutUint32(r[:], uint32(p.CID))
	if p.Initial {
		r[4] = byte(p.Command) | initialBit
		binary.BigEndian.PutUint16(r[5:], p.BCNT)
		copy(r[initialHeader:], p.Data)
		return r
	}
	r[4] = p.Seq &^ initialBit
	copy(r[continuationHeader:], p.Data)
	return r
}
