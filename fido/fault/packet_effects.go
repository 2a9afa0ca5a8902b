package fault

import (
	"context"
	"encoding/binary"

	"fob/fido/ctaphid"
)

// drop loses a packet.
type drop struct{ all }

func (drop) String() string { return "drop" }

func (drop) packets(context.Context, *packet) ([]ctaphid.Report, error) { return nil, nil }

// duplicate brings a packet twice.
type duplicate struct{ all }

func (duplicate) String() string { return "duplicate" }

func (duplicate) packets(_ context.Context, p *packet) ([]ctaphid.Report, error) {
	return []ctaphid.Report{p.report, p.report}, nil
}

// parseCorrupt reads what is wrong.
func parseCorrupt(w *words) (effect, error) {
	part, err := w.choose("bit", "cid", "seq", "nonce", "short", "long", "huge")
	if part == "bit" {
		return corruptBit{}, err
	}
	return corrupt{part}, err
}

// corruptBit flips a bit of a packet or an APDU.
type corruptBit struct{ all }

func (corruptBit) String() string { return "corrupt bit" }

func (corruptBit) packets(_ context.Context, p *packet) ([]ctaphid.Report, error) {
	r := p.report
	flip(r[:], p.chance.IntN)
	return []ctaphid.Report{r}, nil
}

// flip inverts a bit, of which at least eight are there.
func flip(b []byte, choose func(int) int) {
	n := choose(8 * len(b))
	b[n/8] ^= 1 << (n % 8)
}

// corrupt makes a part of a packet wrong.
type corrupt struct{ part string }

func (c corrupt) String() string { return "corrupt " + c.part }

// suitsPacket is for packets that have the part.
func (c corrupt) suitsPacket(p ctaphid.Packet) bool {
	switch c.part {
	case "cid":
		return true
	case "seq":
		return !p.Initial
	case "nonce":
		return p.Initial && p.Command == ctaphid.CommandInit
	case "short":
		return p.Initial && p.BCNT > 0
	default:
		return p.Initial
	}
}

// Where the parts of a packet are (CTAP 2.2 §11.2.4, §11.2.9.1.3).
const (
	cidEnd     = 4
	seqAt      = 4
	bcntAt     = 5
	nonceAt    = 7
	nonceEnd   = 15
	packetRoom = 59 // of a continuation packet, in bytes
)

func (c corrupt) packets(_ context.Context, p *packet) ([]ctaphid.Report, error) {
	r := p.report
	length := r[bcntAt : bcntAt+2]
	bcnt := binary.BigEndian.Uint16(length)
	switch c.part {
	case "cid":
		flip(r[:cidEnd], p.chance.IntN)
	case "seq":
		r[seqAt] ^= 1 << p.chance.IntN(7) // the eighth bit would make it an initialization packet
	case "nonce":
		flip(r[nonceAt:nonceEnd], p.chance.IntN)
	case "short":
		binary.BigEndian.PutUint16(length, bcnt/2)
	case "long":
		binary.BigEndian.PutUint16(length, min(bcnt, ctaphid.MaxPayload-packetRoom)+packetRoom)
	case "huge":
		binary.BigEndian.PutUint16(length, 0xffff)
	}
	return []ctaphid.Report{r}, nil
}
