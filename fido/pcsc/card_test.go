package pcsc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

func TestConnectFails(t *testing.T) {
	c := dial(t, func(d *daemon) {
		for ok := d.begins(); ok; {
			var m connectMsg
			if ok = d.hears(cmdConnect, &m); ok {
				m.RV = uint32(ErrSharingViolation)
				d.says(m)
			}
		}
	})
	for range 2 { // an error of pcscd's leaves the connection as it is
		if _, err := c.Connect(until(t), "reader", Exclusive, T1); err != ErrSharingViolation {
			t.Error(err)
		}
	}
	if _, err := c.Connect(until(t), strings.Repeat("x", maxReaderName), Shared, T1); err != ErrUnknownReader {
		t.Error("long name:", err)
	}
}

// TestCard makes each call about a card once.
func TestCard(t *testing.T) {
	k := connect(t, func(d *daemon) {
		var b, s cardMsg
		var e, o disposeMsg
		var r reconnectMsg
		var a attribMsg
		d.hears(cmdBeginTransaction, &b)
		d.says(b)
		d.hears(cmdStatus, &s)
		s.RV = uint32(ErrResetCard)
		d.says(s)
		d.hears(cmdReconnect, &r)
		r.Active = T0
		d.says(r)
		d.hears(cmdGetAttrib, &a)
		a.Length = uint32(copy(a.Data[:], "vendor"))
		d.says(a)
		d.hears(cmdEndTransaction, &e)
		d.says(e)
		d.hears(cmdDisconnect, &o)
		d.says(o)
		if b.Card != theCard || s.Card != theCard || r.Card != theCard || a.Card != theCard || e.Card != theCard {
			t.Error("another card")
		}
		if r.ShareMode != Exclusive || r.Preferred != T0 || r.Initialization != ResetCard {
			t.Errorf("reconnect %+v", r)
		}
		if a.Attr != VendorName || e.Disposition != LeaveCard || o.Disposition != UnpowerCard {
			t.Errorf("%+v, %+v, %+v", a.Attr, e, o)
		}
	})
	if err := k.Begin(until(t)); err != nil {
		t.Error(err)
	}
	if err := k.Status(until(t)); err != ErrResetCard {
		t.Error(err)
	}
	if err := k.Reconnect(until(t), Exclusive, T0, ResetCard); err != nil || k.Protocol != T0 {
		t.Error(err, k.Protocol)
	}
	if v, err := k.Attribute(until(t), VendorName); err != nil || string(v) != "vendor" {
		t.Errorf("%q, %v", v, err)
	}
	if err := k.End(until(t), LeaveCard); err != nil {
		t.Error(err)
	}
	if err := k.Disconnect(until(t), UnpowerCard); err != nil {
		t.Error(err)
	}
}

// TestBeginWaits waits for another program's transaction to end, or for the caller to give up.
func TestBeginWaits(t *testing.T) {
	attempts := make(chan int, 1)
	k := connect(t, func(d *daemon) {
		n := 0
		for m := (cardMsg{}); d.hears(cmdBeginTransaction, &m); n++ {
			if n != 2 {
				m.RV = uint32(ErrSharingViolation)
			}
			d.says(m)
		}
		attempts <- n
	})
	if err := k.Begin(until(t)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*lockInterval/2)
	defer cancel()
	if err := k.Begin(ctx); !errors.Is(err, ErrSharingViolation) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	k.client.Close()
	if n := <-attempts; n < 4 || n > 6 {
		t.Errorf("%d attempts", n)
	}
}

func TestTransmit(t *testing.T) {
	command := bytes.Repeat([]byte{0xa5}, maxAPDU)
	response := bytes.Repeat([]byte{0x5a}, 1<<16+2)
	k := connect(t, func(d *daemon) {
		for {
			var m transmitMsg
			if !d.hears(cmdTransmit, &m) {
				return
			}
			apdu := make([]byte, m.SendLength)
			if _, err := io.ReadFull(d.conn, apdu); err != nil || !bytes.Equal(apdu, command[:len(apdu)]) {
				t.Errorf("APDU of %d bytes, %v", len(apdu), err)
			}
			if m.SendProtocol != T1 || m.RecvLength != maxAPDU {
				t.Errorf("transmit %+v", m)
			}
			switch len(apdu) {
			case 4:
				m.RV, m.RecvLength = uint32(ErrRemovedCard), 0
				d.says(m)
				continue
			case 5:
				m.RecvLength = 1
				d.says(m)
				d.conn.Write([]byte{0x90})
				continue
			}
			m.RecvLength = uint32(len(response))
			d.says(m)
			d.conn.Write(response)
		}
	})
	for range 2 {
		if r, err := k.Transmit(until(t), command); err != nil || !bytes.Equal(r, response) {
			t.Errorf("response of %d bytes, %v", len(r), err)
		}
		if _, err := k.Transmit(until(t), command[:4]); err != ErrRemovedCard {
			t.Error(err)
		}
		if _, err := k.Transmit(until(t), command[:5]); err != ErrNotTransacted {
			t.Error("response of one byte:", err)
		}
	}
	if _, err := k.Transmit(until(t), make([]byte, maxAPDU+1)); !errors.Is(err, ErrInsufficientBuffer) {
		t.Error("long APDU:", err)
	}
}

// TestHostileReplies has answers about a card that make no sense, or break off.
func TestHostileReplies(t *testing.T) {
	ok := transmitMsg{Card: theCard, RecvLength: 2}
	long, other, half := ok, ok, ok
	long.RecvLength = maxAPDU + 1
	other.Card++
	half.RecvLength = 100
	for name, c := range map[string]struct {
		msg transmitMsg
		bad bool
	}{"long": {long, true}, "another card": {other, true}, "half": {half, false}} {
		k := connect(t, func(d *daemon) {
			d.hears(cmdTransmit, new(transmitMsg))
			io.CopyN(io.Discard, d.conn, 4)
			d.says(c.msg)
			d.conn.Write([]byte("\x90\x00"))
		})
		r, err := k.Transmit(until(t), make([]byte, 4))
		if bad := new(BadReplyError); errors.As(err, &bad) != c.bad || errors.Is(err, ErrNoService) == c.bad {
			t.Errorf("%s: %x, %v", name, r, err)
		}
		if err := k.Status(until(t)); err != os.ErrClosed {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
	k := connect(t, func(d *daemon) {
		d.hears(cmdGetAttrib, new(attribMsg))
		d.says(attribMsg{Card: theCard, Length: maxAttribute + 1})
	})
	bad := new(BadReplyError)
	if a, err := k.Attribute(until(t), VendorName); !errors.As(err, &bad) {
		t.Errorf("long attribute: %q, %v", a, err)
	}
}

// TestSilence has a daemon that never answers.
func TestSilence(t *testing.T) {
	released := make(chan struct{})
	defer close(released)
	socket := listen(t, func(*daemon) { <-released })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, socket); err != context.DeadlineExceeded {
		t.Error(err)
	}
}
