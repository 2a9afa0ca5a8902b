package ctapnfc

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// Operations of FuzzCard, in the first byte of a record. The second byte is the length of the APDU that follows.
const (
	opReset = 0x80
	opTouch = 0x40
	opOpen  = 0x20 // selects the FIDO application
)

// FuzzCard plays a session of arbitrary APDUs: the card never panics or hangs, gives no more than was asked for, sends
// status updates only to readers that know them, and leaves nothing behind after Reset, for synctest fails otherwise.
func FuzzCard(f *testing.F) {
	record := func(op byte, apdu string) []byte {
		b := unhex(apdu)
		return append([]byte{op, byte(len(b))}, b...)
	}
	seed := func(records ...[]byte) { f.Add(bytes.Join(records, nil)) }
	seed(record(0, selectFIDO), record(0, msg), record(0, end))
	seed(record(opOpen, wait), record(0, poll), record(opTouch, poll))
	seed(record(opOpen, wait), record(0, cancel), record(opReset, poll))
	seed(record(opOpen, wait), record(opReset|opOpen, "00030000 01"), record(0, get))
	seed(record(opOpen, "90100000 01 02"), record(0, "80100000 01 03 01"), record(0, "80c00000 000001"))
	seed(record(opOpen, "80108000 000002 0304 0001"), record(0, getFour))

	f.Fuzz(func(t *testing.T, data []byte) {
		onBench(t, Card{}, func(b *bench) {
			for len(data) >= 2 {
				op, n := data[0], min(int(data[1]), len(data)-2)
				b.happen(op)
				b.check(data[2 : 2+n])
				data = data[2+n:]
			}
		})
	})
}

func (b *bench) happen(op byte) {
	if op&opReset != 0 {
		b.card.Reset()
	}
	if op&opOpen != 0 {
		open(b)
	}
	if op&opTouch != 0 {
		synctest.Wait()
		select {
		case b.touch <- struct{}{}:
		default:
		}
	}
}

// check exchanges an APDU. What waits for a touch that does not come is cancelled after an hour.
func (b *bench) check(apdu []byte) {
	ctx, stop := context.WithTimeout(b.t.Context(), time.Hour)
	defer stop()
	r, err := ParseResponse(b.card.Exchange(ctx, apdu))
	if err != nil {
		b.t.Fatal(err)
	}
	sw := r.SW
	if sw.available() > 0 {
		sw = SWBytesAvailable
	}
	if _, ok := statusWordText[sw]; !ok {
		b.t.Fatalf("% x answered %v", apdu, r.SW)
	}
	c, err := ParseCommand(apdu)
	switch {
	case err != nil:
		if r.SW != SWWrongLength || len(r.Data) > 0 {
			b.t.Fatalf("% x answered % x", apdu, r.Bytes())
		}
	case c.Ne > 0 && len(r.Data) > c.Ne:
		b.t.Fatalf("% x answered by %d bytes", apdu, len(r.Data))
	case r.SW == SWStatusUpdate && !isPoll(c) && c.P1&msgPolls == 0:
		b.t.Fatalf("% x answered by a status update", apdu)
	}
}

// FuzzReader sends a reader arbitrary replies, each behind its length: whatever they are, it ends with a reply or an
// error. Then there are no more.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x03\x00\x90\x00"))
	f.Add([]byte("\x03\x02\x91\x00\x03\x00\x61\x01\x03\x01\x90\x00"))
	f.Add([]byte("\x02\x67\x00\x02\x90\x00\x04\x00\x01\x61\x00\x03\x05\x61\x00\x02\x90\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			card := transceiver(func(_ context.Context, command []byte) ([]byte, error) {
				if len(data) == 0 {
					return nil, errEmpty
				}
				n := min(int(data[0]), len(data)-1)
				reply := data[1 : 1+n]
				data = data[1+n:]
				return reply, nil
			})
			for _, size := range []int{1, 600} {
				r := &Reader{card: card}
				reply, err := r.CBOR(t.Context(), count(size), func(ctap.KeepaliveStatus) {})
				if (len(reply) == 0) == (err == nil) || len(reply) > MaxPayload {
					t.Errorf("reply of %d bytes, %v", len(reply), err)
				}
			}
		})
	})
}
