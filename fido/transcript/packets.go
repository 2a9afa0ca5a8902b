package transcript

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// ReplayPackets sends the packets of a transcript to a device, through the host's end of a connection, and compares
// the messages that come back: Loose their channels, commands, errors and status codes, Strict all their bytes.
// Keepalives are left out, for they depend on time. Where the device allocates another channel than the recorded one
// did, the packets of that channel go to it.
//
// Where the recorded device spoke, this one is waited for until ctx is done. The error is that of ctx or device, or
// ErrNoRequests for a transcript without packets.
func ReplayPackets(ctx context.Context, t *Transcript, device ctaphid.Conn, s Strictness) ([]Difference, error) {
	steps := t.packetSteps()
	if len(steps) == 0 {
		return nil, ErrNoRequests
	}
	r := &packetReplay{strictness: s, channels: make(map[ctaphid.CID]ctaphid.CID)}
	for _, step := range steps {
		if step.message == nil {
			step.packet.CID = r.channel(step.packet.CID)
			if err := device.WriteReport(ctx, step.packet.Report()); err != nil {
				return r.differences, err
			}
			continue
		}
		got, err := receive(ctx, device)
		if err != nil {
			return r.differences, err
		}
		r.compare(step.message.Message, got)
	}
	return r.differences, nil
}

// packetStep is a packet to the key, or a message from it.
type packetStep struct {
	packet  ctaphid.Packet
	message *assembly
}

// packetSteps gives the packets to the key, and where its messages begin, these.
func (t *Transcript) packetSteps() (steps []packetStep) {
	var open *assembly
	for _, e := range t.Events {
		p, ok := e.(Packet)
		if !ok {
			continue
		}
		parsed := ctaphid.ParsePacket(p.Report)
		if p.ToKey {
			steps = append(steps, packetStep{packet: parsed})
			continue
		}
		before := open
		if open = open.add(parsed); open != before {
			steps = append(steps, packetStep{message: open})
		}
	}
	return steps
}

// assembly is a message from the key, as far as it has come.
type assembly struct {
	ctaphid.Message
	missing int // bytes
}

// add takes a packet from the key: of this message, or of the next one. Keepalives, and what goes on with a message
// that nobody saw begin, change nothing.
func (a *assembly) add(p ctaphid.Packet) *assembly {
	switch {
	case p.Initial && p.Command == ctaphid.CommandKeepalive, !p.Initial && a == nil:
		return a
	case p.Initial:
		a = &assembly{ctaphid.Message{CID: p.CID, Command: p.Command}, int(p.BCNT)}
	}
	data := p.Data[:min(a.missing, len(p.Data))]
	a.Payload = append(a.Payload, data...)
	a.missing -= len(data)
	return a
}

// receive reads the device's next message.
func receive(ctx context.Context, device ctaphid.Conn) (ctaphid.Message, error) {
	var a *assembly
	for {
		report, err := device.ReadReport(ctx)
		if err != nil {
			return ctaphid.Message{}, err
		}
		if a = a.add(ctaphid.ParsePacket(report)); a != nil && a.missing == 0 {
			return a.Message, nil
		}
	}
}

type packetReplay struct {
	strictness  Strictness
	channels    map[ctaphid.CID]ctaphid.CID // of the device, by those of the transcript
	messages    int                         // from the key
	differences []Difference
}

func (r *packetReplay) channel(recorded ctaphid.CID) ctaphid.CID {
	if cid, ok := r.channels[recorded]; ok {
		return cid
	}
	return recorded
}

func (r *packetReplay) compare(recorded, got ctaphid.Message) {
	r.messages++
	c := &comparison{number: r.messages, name: packetName(recorded.Command)}
	c.equal("channel", channelName(r.channel(recorded.CID)), channelName(got.CID))
	c.equal("command", packetName(recorded.Command), packetName(got.Command))
	switch {
	case recorded.Command != got.Command:
	case r.strictness == Strict:
		c.equal("bytes", digits(recorded.Payload), digits(got.Payload))
	case recorded.Command == ctaphid.CommandInit:
		r.allocate(c, recorded.Payload, got.Payload)
	case recorded.Command == ctaphid.CommandMsg:
		c.equal("status", statusWord(recorded.Payload), statusWord(got.Payload))
	case recorded.Command == ctaphid.CommandCBOR && len(recorded.Payload) > 0 && len(got.Payload) > 0:
		c.equal("status", ctap.StatusCode(recorded.Payload[0]).Error(), ctap.StatusCode(got.Payload[0]).Error())
	default: // an echo, or the code of an error
		c.equal("bytes", digits(recorded.Payload), digits(got.Payload))
	}
	r.differences = append(r.differences, c.differences...)
}

// allocate notes the channel that CTAPHID_INIT has given: a nonce, the CID and more (CTAP 2.2 §11.2.9.1.3).
func (r *packetReplay) allocate(c *comparison, recorded, got []byte) {
	const nonce, cid = 8, 4
	if len(recorded) < nonce+cid || len(got) < nonce+cid || !bytes.Equal(recorded[:nonce], got[:nonce]) {
		c.equal("bytes", digits(recorded), digits(got))
		return
	}
	from := ctaphid.CID(binary.BigEndian.Uint32(recorded[nonce:]))
	r.channels[from] = ctaphid.CID(binary.BigEndian.Uint32(got[nonce:]))
}

func channelName(c ctaphid.CID) string { return fmt.Sprintf("%08x", uint32(c)) }
