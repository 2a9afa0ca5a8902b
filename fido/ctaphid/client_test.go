package ctaphid

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// withClient runs test with a client of a device in a synctest bubble.
func withClient(t *testing.T, d Device, test func(b *bench, c *Client)) {
	onBench(t, d, func(b *bench) {
		c, err := Open(b.t.Context(), b.host)
		if err != nil {
			b.t.Fatal(err)
		}
		test(b, c)
	})
}

func TestClientAgainstDevice(t *testing.T) {
	d := Device{Version: [3]byte{1, 2, 3}, Wink: func() {}}
	withClient(t, d, func(b *bench, c *Client) {
		t, ctx := b.t, b.t.Context()
		if c.ProtocolVersion != 2 || c.DeviceVersion != d.Version || c.Capabilities != CapWink|CapCBOR {
			t.Errorf("client %+v", c)
		}
		for _, n := range []int{0, 1, 57, 58, 7608, 7609} {
			if err := c.Ping(ctx, []byte(long(n))); err != nil {
				t.Errorf("ping of %d bytes: %v", n, err)
			}
		}
		if err := c.Ping(ctx, make([]byte, 7610)); !errors.Is(err, ErrInvalidLen) {
			t.Errorf("ping of 7610 bytes: %v", err)
		}
		if err := c.Wink(ctx); err != nil {
			t.Error(err)
		}
		if reply, err := c.Msg(ctx, []byte("apdu")); string(reply) != "apdu" || err != nil {
			t.Errorf("msg: %q, %v", reply, err)
		}
		if _, err := c.CBOR(ctx, nil, nil); err != ErrInvalidLen {
			t.Errorf("CBOR of nothing: %v", err)
		}
	})
}

func TestClientTellsKeepalives(t *testing.T) {
	withClient(t, Device{}, func(b *bench, c *Client) {
		var told []ctap.KeepaliveStatus
		reply, err := c.CBOR(b.t.Context(), []byte{1}, func(s ctap.KeepaliveStatus) {
			if told = append(told, s); len(told) == 3 {
				go touch(b)
			}
		})
		if string(reply) != "\x00touched" || err != nil || fmt.Sprint(told) != "[2 2 2]" {
			b.t.Errorf("reply %q, %v, keepalives %v", reply, err, told)
		}
	})
}

func TestClientCancels(t *testing.T) {
	withClient(t, Device{}, func(b *bench, c *Client) {
		for range 3 {
			ctx, cancel := context.WithCancel(b.t.Context())
			reply, err := c.CBOR(ctx, []byte{1}, func(ctap.KeepaliveStatus) { cancel() })
			if reply != nil || err != context.Canceled {
				b.t.Errorf("reply %q, %v", reply, err)
			}
			dark(b)
		}
		if err := c.Ping(b.t.Context(), []byte("x")); err != nil {
			b.t.Error(err)
		}
	})
}

// The answer that was under way when the caller gave up is not lost: a credential may have been made.
func TestCancelComesTooLate(t *testing.T) {
	h := func(ctx context.Context, _ ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
		keepalive(ctap.KeepaliveUPNeeded)
		<-ctx.Done()
		return ctap.Response("\x00made")
	}
	withClient(t, Device{Handler: handlerFunc(h)}, func(b *bench, c *Client) {
		ctx, cancel := context.WithCancel(b.t.Context())
		reply, err := c.CBOR(ctx, []byte{1}, func(ctap.KeepaliveStatus) { cancel() })
		if string(reply) != "\x00made" || err != nil {
			b.t.Errorf("reply %q, %v", reply, err)
		}
	})
}

func TestCancelIsIgnored(t *testing.T) {
	var stop chan struct{}
	h := func(context.Context, ctap.Request, func(ctap.KeepaliveStatus)) ctap.Response {
		<-stop
		return ctap.Response{0}
	}
	withClient(t, Device{Handler: handlerFunc(h)}, func(b *bench, c *Client) {
		stop = make(chan struct{}) // in the bubble, so that time passes while the handler waits
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
		defer cancel()
		started := time.Now()
		reply, err := c.CBOR(ctx, []byte{1}, nil)
		if reply != nil || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnanswered) ||
			time.Since(started) != time.Minute+cancelTimeout {
			b.t.Errorf("after %v: reply %q, %v", time.Since(started), reply, err)
		}
		if err := c.Ping(b.t.Context(), []byte("x")); err != nil { // resynchronises
			b.t.Error(err)
		}
		close(stop)
	})
}

func TestAbandonedMsgIsAborted(t *testing.T) {
	aborted := false
	h := func(ctx context.Context, _ ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		<-ctx.Done()
		aborted = true
		return ctap.Response{0x69, 0x85}
	}
	withClient(t, Device{Handler: handlerFunc(h)}, func(b *bench, c *Client) {
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		if _, err := c.Msg(ctx, []byte("apdu")); err != context.DeadlineExceeded {
			b.t.Error(err)
		}
		synctest.Wait()
		if !aborted {
			b.t.Error("the device still waits")
		}
		if err := c.Ping(b.t.Context(), []byte("x")); err != nil {
			b.t.Error(err)
		}
	})
}

func TestTwoClients(t *testing.T) {
	withClient(t, Device{}, func(b *bench, first *Client) {
		second, err := Open(b.t.Context(), b.host)
		if err != nil {
			b.t.Fatal(err)
		}
		_, err = first.CBOR(b.t.Context(), []byte{1}, func(ctap.KeepaliveStatus) {
			if err := second.Ping(b.t.Context(), nil); err != ErrChannelBusy {
				b.t.Errorf("second client: %v", err)
			}
			go touch(b)
		})
		if err != nil {
			b.t.Errorf("first client: %v", err)
		}
	})
}

func TestClientLocks(t *testing.T) {
	withClient(t, Device{}, func(b *bench, first *Client) {
		t, ctx := b.t, b.t.Context()
		second, err := Open(ctx, b.host)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []time.Duration{-time.Second, 11 * time.Second, time.Millisecond} {
			if err := first.Lock(ctx, d); !errors.Is(err, ErrInvalidPar) {
				t.Errorf("lock of %v: %v", d, err)
			}
		}
		if err := first.Lock(ctx, MaxLock); err != nil {
			t.Error(err)
		}
		if err := second.Ping(ctx, nil); err != ErrChannelBusy {
			t.Errorf("while locked: %v", err)
		}
		if err := second.Lock(ctx, time.Second); err != ErrChannelBusy {
			t.Errorf("lock while locked: %v", err)
		}
		if err := first.Lock(ctx, 0); err != nil {
			t.Error(err)
		}
		if err := second.Ping(ctx, nil); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// A client whose channel was recycled is told so, and opens a new one.
func TestRecycledClient(t *testing.T) {
	withClient(t, Device{MaxChannels: 1}, func(b *bench, first *Client) {
		ctx := b.t.Context()
		if _, err := Open(ctx, b.host); err != nil {
			b.t.Fatal(err)
		}
		if err := first.Ping(ctx, nil); err != ErrInvalidChannel {
			b.t.Errorf("recycled: %v", err)
		}
		again, err := Open(ctx, b.host)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := again.Ping(ctx, nil); err != nil {
			b.t.Error(err)
		}
	})
}

// scripted is a hostile device: it answers INIT well, any other message with the packets given, then with silence.
type scripted struct {
	reports []Report
	replies []Packet
}

func (s *scripted) WriteReport(_ context.Context, r Report) error {
	p := ParsePacket(r)
	replies := s.replies
	if p.Command == CommandInit {
		data := append(p.Data[:nonceSize:nonceSize], 0, 0, 0, 1, 2, 0, 0, 0, 4)
		replies = []Packet{{CID: p.CID, Initial: true, Command: CommandInit, BCNT: 17, Data: data}}
	}
	for _, p := range replies {
		s.reports = append(s.reports, p.Report())
	}
	return nil
}

func (s *scripted) ReadReport(ctx context.Context) (Report, error) {
	if len(s.reports) == 0 {
		<-ctx.Done()
		return Report{}, ctx.Err()
	}
	r := s.reports[0]
	s.reports = s.reports[1:]
	return r, nil
}

func TestHostileReplies(t *testing.T) {
	reply := func(c Command, bcnt uint16) Packet { return Packet{CID: 1, Initial: true, Command: c, BCNT: bcnt} }
	tests := map[string]struct {
		replies []Packet
		bad     bool
		want    error
	}{
		"wrong sequence":     {[]Packet{reply(CommandCBOR, 100), {CID: 1, Seq: 1}}, true, ErrInvalidSeq},
		"message in message": {[]Packet{reply(CommandCBOR, 100), reply(CommandCBOR, 1)}, true, ErrInvalidSeq},
		"too long":           {[]Packet{reply(CommandCBOR, 7610)}, true, ErrInvalidLen},
		"empty":              {[]Packet{reply(CommandCBOR, 0)}, true, ErrInvalidLen},
		"other command":      {[]Packet{reply(CommandMsg, 1)}, true, ErrInvalidCmd},
		"empty keepalive":    {[]Packet{reply(CommandKeepalive, 0)}, true, ErrInvalidLen},
		"empty error":        {[]Packet{reply(CommandError, 0)}, true, ErrInvalidLen},
		"error": {[]Packet{{CID: 1, Initial: true, Command: CommandError, BCNT: 1,
			Data: []byte{6}}}, false, ErrChannelBusy},
		"silence": {nil, false, context.DeadlineExceeded},
		"other channels": {[]Packet{{CID: 2, Initial: true, Command: CommandCBOR, BCNT: 1}, {CID: 2, Seq: 3}}, false,
			context.DeadlineExceeded},
		"no beginning": {[]Packet{{CID: 1}}, true, ErrInvalidSeq},
		"no end":       {[]Packet{reply(CommandCBOR, 100)}, true, ErrMsgTimeout},
		"good": {[]Packet{{CID: 2, Seq: 9}, reply(CommandKeepalive, 1), reply(CommandCBOR, 60), {CID: 1}},
			false, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				c, err := Open(ctx, &scripted{replies: test.replies})
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.CBOR(ctx, []byte{4}, nil)
				if bad := new(*BadReplyError); !errors.Is(err, test.want) || errors.As(err, bad) != test.bad {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

func TestPingComesBackChanged(t *testing.T) {
	pong := Packet{CID: 1, Initial: true, Command: CommandPing, BCNT: 1, Data: []byte("x")}
	c, err := Open(t.Context(), &scripted{replies: []Packet{pong}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
	err = c.Ping(t.Context(), []byte("y"))
	if !errors.Is(err, errEcho) || err.Error() != "bad reply from device: echo differs" {
		t.Error(err)
	}
}

// flood is a device that sends one packet for ever.
type flood struct{ packet Packet }

func (f flood) ReadReport(context.Context) (Report, error) { return f.packet.Report(), nil }
func (f flood) WriteReport(context.Context, Report) error  { return nil }

func TestEndlessKeepalives(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endless := flood{Packet{CID: 1, Initial: true, Command: CommandKeepalive, BCNT: 1, Data: []byte{2}}}
	e := &exchange{client: &Client{conn: endless, cid: 1}, command: CommandCBOR}
	n := 0
	e.onKeepalive = func(ctap.KeepaliveStatus) {
		if n++; n == 1000 {
			cancel()
		}
	}
	if _, err := e.wait(ctx); !errors.Is(err, context.Canceled) || n != 1000 {
		t.Errorf("after %d keepalives: %v", n, err)
	}
}

func TestHostileInit(t *testing.T) {
	answer := func(change func(*Packet)) Conn { return &initReplies{change: change} }
	tests := map[string]struct {
		change func(*Packet)
		want   error
	}{
		"channel 0":   {func(p *Packet) { copy(p.Data[8:], "\x00\x00\x00\x00") }, ErrInvalidChannel},
		"broadcast":   {func(p *Packet) { copy(p.Data[8:], "\xff\xff\xff\xff") }, ErrInvalidChannel},
		"short":       {func(p *Packet) { p.BCNT = 16 }, ErrInvalidLen},
		"two packets": {func(p *Packet) { p.BCNT = 58 }, ErrInvalidLen},
		"longer":      {func(p *Packet) { p.BCNT = 18 }, nil},
		"busy":        {func(p *Packet) { p.Command, p.BCNT, p.Data[0] = CommandError, 1, 6 }, ErrChannelBusy},
		"other nonce": {func(p *Packet) { p.Data[0]++ }, context.DeadlineExceeded},
		"other CID":   {func(p *Packet) { p.CID = 1 }, context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if _, err := Open(ctx, answer(test.change)); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			})
		})
	}
}

// initReplies answers INIT with a response that change has spoilt.
type initReplies struct {
	scripted
	change func(*Packet)
}

func (s *initReplies) WriteReport(ctx context.Context, r Report) error {
	s.scripted.WriteReport(ctx, r)
	p := ParsePacket(s.reports[0])
	s.change(&p)
	s.reports[0] = p.Report()
	return nil
}
