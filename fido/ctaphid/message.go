package ctaphid

import "fmt"

// MaxPayload is the longest payload of a message in bytes: what 1 initialization packet and 128 continuation packets
// hold (§11.2.4).
const MaxPayload = initialRoom + 128*continuationRoom // 7609

// Message is a request or a response, put together.
type Message struct {
	CID     CID
	Command Command
	Payload []byte // at most MaxPayload bytes
}

// Reports cuts the message into reports. It fails with ErrInvalidLen when the payload is too long.
func (m Message) Reports() ([]Report, error) {
	if len(m.Payload) > MaxPayload {
		return nil, fmt.Errorf("payload of %d bytes: %w", len(m.Payload), ErrInvalidLen)
	}
	first := Packet{CID: m.CID, Initial: true, Command: m.Command, BCNT: uint16(len(m.Payload)), Data: m.Payload}
	reports := []Report{first.Report()}
	rest := m.Payload[min(len(m.Payload), initialRoom):]
	for seq := byte(0); len(rest) > 0; seq++ {
		reports = append(reports, Packet{CID: m.CID, Seq: seq, Data: rest}.Report())
		rest = rest[min(len(rest), continuationRoom):]
	}
	return reports, nil
}

// assembly is a message of which packets are still to come.
type assembly struct {
	message Message
	length  int  // of the whole payload, as the initialization packet promised
	seq     byte // of the next continuation packet
}

// assemble begins a message. It fails with ErrInvalidLen when the packet promises more than MaxPayload bytes.
func assemble(p Packet) (*assembly, error) {
	if p.BCNT > MaxPayload {
		return nil, ErrInvalidLen
	}
	a := &assembly{message: Message{CID: p.CID, Command: p.Command}, length: int(p.BCNT)}
	a.append(p.Data)
	return a, nil
}

// add takes the next continuation packet of the same channel. It fails with ErrInvalidSeq when it is not the next one.
func (a *assembly) add(p Packet) error {
	if p.Seq != a.seq {
		return ErrInvalidSeq
	}
	a.seq++
	a.append(p.Data)
	return nil
}

func (a *assembly) append(data []byte) {
	missing := a.length - len(a.message.Payload)
	a.message.Payload = append(a.message.Payload, data[:min(len(data), missing)]...)
}

func (a *assembly) complete() bool { return len(a.message.Payload) == a.length }
