package ctaphid

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// FuzzDevice feeds a session: 65 bytes are a report and, first, what happens before it. The device never panics or
// hangs, its packets are well formed, and Serve ends with nothing left behind, for synctest fails otherwise.
func FuzzDevice(f *testing.F) {
	seed := func(records ...[]byte) { f.Add(bytes.Join(records, nil)) }
	at := func(op byte, p Packet) []byte { r := p.Report(); return append([]byte{op}, r[:]...) }
	open := at(0, Packet{CID: BroadcastCID, Initial: true, Command: CommandInit, BCNT: 8})
	cbor := at(0, Packet{CID: 1, Initial: true, Command: CommandCBOR, BCNT: 1, Data: []byte{1}})
	half := at(0, Packet{CID: 2, Initial: true, Command: CommandPing, BCNT: 200})
	seed(open, cbor, at(0, Packet{CID: 1, Initial: true, Command: CommandCancel}))
	seed(open, cbor, at(opHangUp, Packet{CID: 1, Initial: true, Command: CommandInit, BCNT: 8}), cbor, at(opTouch, Packet{}))
	seed(open, open, half, cbor, at(0, Packet{CID: 2}), at(0, Packet{CID: 2, Seq: 1}), at(opWait|9, Packet{CID: 2, Seq: 2}))
	seed(open, open, at(0, Packet{CID: 1, Initial: true, Command: CommandLock, BCNT: 1, Data: []byte{1}}), half)
	seed(open, half, at(opWait|60, Packet{CID: 1, Initial: true, Command: CommandMsg, BCNT: 4}))

	f.Fuzz(func(t *testing.T, data []byte) {
		onBench(t, Device{MaxChannels: 3, Wink: func() {}}, func(b *bench) {
			for ; len(data) > 0; data = data[min(len(data), ReportSize+1):] {
				b.happen(data[0])
				var r Report
				copy(r[:], data[1:])
				b.send(ParsePacket(r))
				b.check()
			}
		})
	})
}

// Operations of FuzzDevice, in the first byte of a record.
const (
	opHangUp = 0x80
	opTouch  = 0x40
	opWait   = 0x20 // the lower bits times 10 ms
)

func (b *bench) happen(op byte) {
	switch {
	case op&opHangUp != 0:
		b.hangUps <- struct{}{}
	case op&opTouch != 0:
		synctest.Wait()
		select {
		case b.touch <- struct{}{}:
		default:
		}
	case op&opWait != 0:
		time.Sleep(time.Duration(op&^opWait) * 10 * time.Millisecond)
	}
}

// check reads what the device has sent so far: whole messages that a device may send.
func (b *bench) check() {
	var a *assembly
	for {
		synctest.Wait()
		select {
		case r := <-b.host.in:
			a = b.checkPacket(a, ParsePacket(r))
		default:
			if a != nil {
				b.t.Fatal("device sent half a message")
			}
			return
		}
	}
}

func (b *bench) checkPacket(a *assembly, p Packet) *assembly {
	var err error
	switch {
	case p.Initial != (a == nil):
		b.t.Fatalf("device sent %+v out of order", p)
	case p.Initial:
		a, err = assemble(p)
	case p.CID != a.message.CID:
		b.t.Fatalf("device sent %+v on another channel", p)
	default:
		err = a.add(p)
	}
	if err != nil {
		b.t.Fatalf("device sent %+v: %v", p, err)
	}
	if !a.complete() {
		return a
	}
	switch a.message.Command {
	case CommandInit, CommandPing, CommandCBOR, CommandMsg, CommandKeepalive, CommandError, CommandWink, CommandLock:
	default:
		b.t.Fatalf("device sent command %#x", a.message.Command)
	}
	return nil
}

// FuzzClient sends a client arbitrary replies: whatever they are, it ends with a reply or an error.
func FuzzClient(f *testing.F) {
	good, _ := Message{1, CommandCBOR, []byte(long(100))}.Reports()
	f.Add(bytes.Join([][]byte{good[0][:], good[1][:]}, nil))
	f.Add([]byte("\x00\x00\x00\x01\xbb\x00\x01\x02"))
	f.Add([]byte("\x00\x00\x00\x01\xbf\x00\x01\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{}
			for ; len(data) > 0; data = data[min(len(data), ReportSize):] {
				var r Report
				copy(r[:], data)
				s.replies = append(s.replies, ParsePacket(r))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			c, err := Open(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			reply, err := c.CBOR(ctx, []byte{4}, func(ctap.KeepaliveStatus) {})
			if (len(reply) == 0) == (err == nil) || len(reply) > MaxPayload {
				t.Errorf("reply of %d bytes, %v", len(reply), err)
			}
		})
	})
}
