package ctaphid

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// The CTAPHID traps of the specification, and where they are tested. Names in quotes are of the table rules.
//
//   - channel 0, broadcast without INIT: "channel 0", "broadcast without INIT", "INIT on channel 0"
//   - INIT on a busy channel aborts and answers: "INIT aborts", "INIT in the middle", "INIT aborts, then anew"
//   - INIT does not disturb others: "INIT of another's while busy", "broadcast INIT while busy"
//   - another channel while busy, and the transaction goes on: "another channel while busy",
//     "another channel in the middle"
//   - continuation out of order: "out of order", "twice the same packet"; of nothing: "continuation of nothing"
//   - first packet in the middle of a message: "new message in the middle"
//   - length over 7609: "7610 bytes", TestHostileReplies ("too long")
//   - half a message for 500 ms: "half message", "slow message"
//   - CANCEL, its answer, and where it is ignored: "CANCEL" and those that begin with it, TestClientCancels
//   - keepalive at 100 ms, and at once when presence is awaited: "keepalives", TestStatusStartsWithProcessing
//   - LOCK: lock_test.go, TestClientLocks
//   - PING of any length: "PING" and those that begin with it
//   - unknown and vendor commands: "unknown command", "vendor command", "last vendor command"
//   - recycled channels: TestChannelsAreRecycled, TestOnlyChannelIsBusy, TestAllocateSkips, TestRecycledClient

const (
	processing = "\x01"
	upNeeded   = "\x02"
	cancelled  = "\x2d"
	initReply  = "abcdefgh\x00\x00\x00\x01\x02\x01\x02\x03\x04" // to "abcdefgh" on chanA
)

// Steps that come often.
func ping(cid CID, payload string) step { return host(cid, CommandPing, payload) }
func pong(cid CID, payload string) step { return device(cid, CommandPing, payload) }
func request(cid CID) step              { return host(cid, CommandCBOR, "\x01") }
func waits(cid CID) step                { return device(cid, CommandKeepalive, upNeeded) }
func touched(cid CID) step              { return device(cid, CommandCBOR, "\x00touched") }
func cancel(cid CID) step               { return host(cid, CommandCancel, "") }
func open(cid CID) step                 { return func(b *bench) { b.open(cid) } }

var (
	lit         = []step{request(chanA), waits(chanA)}
	isCancelled = device(chanA, CommandCBOR, cancelled)
	reinit      = host(chanA, CommandInit, "abcdefgh")
	reinitDone  = device(chanA, CommandInit, initReply)
)

var rules = map[string][]step{
	"channel 0":                         {host(0, CommandPing, "x"), refused(0, ErrInvalidChannel)},
	"INIT on channel 0":                 {host(0, CommandInit, "12345678"), refused(0, ErrInvalidChannel)},
	"broadcast without INIT":            {host(BroadcastCID, CommandPing, "x"), refused(BroadcastCID, ErrInvalidChannel)},
	"channel never allocated":           {host(9, CommandPing, "x"), refused(9, ErrInvalidChannel)},
	"INIT on a channel never allocated": {host(9, CommandInit, "12345678"), refused(9, ErrInvalidChannel)},
	"continuation on such a channel":    {next(9, 0), quiet},
	"INIT of 7 bytes":                   {host(BroadcastCID, CommandInit, "1234567"), refused(BroadcastCID, ErrInvalidLen)},
	"INIT of 9 bytes on a channel":      {host(chanA, CommandInit, "123456789"), refused(chanA, ErrInvalidLen)},
	"INIT resynchronises":               {reinit, reinitDone},

	"PING":                 {ping(chanA, "hello"), pong(chanA, "hello")},
	"PING of nothing":      {ping(chanA, ""), pong(chanA, "")},
	"PING of one packet":   {ping(chanA, long(57)), pong(chanA, long(57))},
	"PING of two packets":  {ping(chanA, long(58)), pong(chanA, long(58))},
	"PING of most packets": {ping(chanA, long(7609)), pong(chanA, long(7609))},
	"7610 bytes":           {initial(chanA, CommandPing, 7610), refused(chanA, ErrInvalidLen), next(chanA, 0), quiet},

	"unknown command":           {host(chanA, 0x02, "x"), refused(chanA, ErrInvalidCmd)},
	"unknown command, long":     {host(chanA, 0x02, long(200)), refused(chanA, ErrInvalidCmd), quiet},
	"vendor command":            {host(chanA, 0x40, "x"), refused(chanA, ErrInvalidCmd)},
	"last vendor command":       {host(chanA, 0x7f, "x"), refused(chanA, ErrInvalidCmd)},
	"KEEPALIVE from a host":     {host(chanA, CommandKeepalive, "\x01"), refused(chanA, ErrInvalidCmd)},
	"ERROR from a host":         {host(chanA, CommandError, "\x01"), refused(chanA, ErrInvalidCmd)},
	"WINK without capability":   {host(chanA, CommandWink, ""), refused(chanA, ErrInvalidCmd)},
	"CBOR of nothing":           {host(chanA, CommandCBOR, ""), refused(chanA, ErrInvalidLen), calls(0)},
	"MSG of nothing":            {host(chanA, CommandMsg, ""), refused(chanA, ErrInvalidLen), calls(0)},
	"MSG goes to the handler":   {host(chanA, CommandMsg, "apdu"), device(chanA, CommandMsg, "apdu"), calls(1)},
	"CBOR goes to the handler":  join(lit, touch, touched(chanA), calls(1), quiet),
	"long CBOR":                 {host(chanA, CommandCBOR, long(300)), waits(chanA)},
	"handler may run twice":     join(lit, touch, touched(chanA), request(chanA), waits(chanA)),
	"continuation of nothing":   {next(chanA, 0), quiet},
	"continuation past the end": {ping(chanA, long(58)), pong(chanA, long(58)), next(chanA, 1), quiet},

	"out of order": {initial(chanA, CommandPing, 200), next(chanA, 1), refused(chanA, ErrInvalidSeq),
		next(chanA, 0), quiet},
	"twice the same packet": {initial(chanA, CommandPing, 200), next(chanA, 0), next(chanA, 0),
		refused(chanA, ErrInvalidSeq)},
	"new message in the middle": {initial(chanA, CommandPing, 200), ping(chanA, "x"),
		refused(chanA, ErrInvalidSeq), next(chanA, 0), quiet},
	"INIT in the middle": {initial(chanA, CommandPing, 200), reinit, reinitDone, next(chanA, 0), quiet,
		after(time.Second), quiet},
	"CANCEL in the middle": {initial(chanA, CommandPing, 58), cancel(chanA), quiet, next(chanA, 0),
		pong(chanA, string(fill(58)))},
	"half message": {initial(chanA, CommandPing, 200), after(499 * time.Millisecond), quiet,
		after(time.Millisecond), refused(chanA, ErrMsgTimeout), next(chanA, 0), quiet},
	"slow message": {initial(chanA, CommandPing, 117), after(400 * time.Millisecond), next(chanA, 0),
		after(400 * time.Millisecond), quiet, after(100 * time.Millisecond), refused(chanA, ErrMsgTimeout)},
	"another channel in the middle": {initial(chanA, CommandPing, 58), ping(chanB, "x"),
		refused(chanB, ErrChannelBusy), next(chanB, 0), quiet, next(chanA, 0), pong(chanA, string(fill(58)))},
	"INIT of another in the middle": {initial(chanA, CommandPing, 58), open(3), next(chanA, 0),
		pong(chanA, string(fill(58)))},
	"hang-up in the middle": {initial(chanA, CommandPing, 200), hangUp, next(chanA, 0), after(time.Second), quiet},

	"another channel while busy": join(lit, ping(chanB, long(100)), refused(chanB, ErrChannelBusy), quiet, touch,
		touched(chanA)),
	"same channel while busy": join(lit, ping(chanA, long(100)), refused(chanA, ErrChannelBusy), quiet, touch,
		touched(chanA)),
	"unknown channel while busy":   join(lit, host(9, CommandPing, "x"), refused(9, ErrInvalidChannel)),
	"broadcast INIT while busy":    join(lit, open(3), touch, touched(chanA)),
	"INIT of another's while busy": {request(chanB), waits(chanB), reinit, reinitDone, touch, touched(chanB)},
	"INIT aborts":                  join(lit, reinit, reinitDone, dark, after(time.Second), quiet),
	"INIT aborts, then anew":       join(lit, reinit, reinitDone, request(chanB), waits(chanB), touch, touched(chanB)),
	"hang-up aborts":               join(lit, hangUp, dark, after(time.Second), quiet, ping(chanB, "x"), pong(chanB, "x")),
	"hang-up idle":                 {hangUp, quiet, ping(chanA, "x"), pong(chanA, "x")},

	"CANCEL":                    join(lit, cancel(chanA), isCancelled, quiet, dark),
	"CANCEL of another channel": join(lit, cancel(chanB), quiet, touch, touched(chanA)),
	"CANCEL when idle":          {cancel(chanA), quiet, request(chanA), waits(chanA)},
	"CANCEL twice":              join(lit, cancel(chanA), isCancelled, cancel(chanA), quiet),

	"keepalives": join(lit, after(99*time.Millisecond), quiet, after(time.Millisecond), waits(chanA),
		after(100*time.Millisecond), waits(chanA), touch, touched(chanA), after(time.Second), quiet),
}

func TestRules(t *testing.T) {
	for name, steps := range rules {
		t.Run(name, func(t *testing.T) {
			onBench(t, Device{Version: [3]byte{1, 2, 3}}, func(b *bench) {
				b.open(chanA)
				b.open(chanB)
				do(b, steps)
			})
		})
	}
}

func do(b *bench, steps []step) {
	b.t.Helper()
	for i, s := range steps {
		s(b)
		if b.t.Failed() {
			b.t.Fatalf("in step %d", i)
		}
	}
}

func join(first []step, rest ...step) []step { return append(first[:len(first):len(first)], rest...) }

func long(n int) string { return strings.Repeat("0123456789", n/10+1)[:n] }

func TestChannelsAreRecycled(t *testing.T) {
	onBench(t, Device{Version: [3]byte{1, 2, 3}, MaxChannels: 2}, func(b *bench) {
		b.open(chanA)
		b.open(chanB)
		do(b, []step{host(chanA, CommandPing, "x"), device(chanA, CommandPing, "x")})
		b.open(3)
		do(b, []step{
			ping(chanB, "x"), refused(chanB, ErrInvalidChannel),
			request(chanA), waits(chanA),
			cancel(3), // uses 3, so the busy channel is the older one
		})
		b.open(4)
		do(b, []step{ping(3, "x"), refused(3, ErrInvalidChannel), touch, touched(chanA)})
	})
}

func TestOnlyChannelIsBusy(t *testing.T) {
	onBench(t, Device{Version: [3]byte{1, 2, 3}, MaxChannels: 1}, func(b *bench) {
		b.open(chanA)
		do(b, join(lit, host(BroadcastCID, CommandInit, "12345678"), refused(BroadcastCID, ErrChannelBusy)))
	})
}

func TestAllocateSkips(t *testing.T) {
	c := channels{last: BroadcastCID - 1, cids: []CID{1}}
	if cid, ok := c.allocate(8, 0); cid != 2 || !ok {
		t.Errorf("allocated %d, %v, want 2", cid, ok)
	}
}

func TestWink(t *testing.T) {
	winks := 0
	onBench(t, Device{Wink: func() { winks++ }}, func(b *bench) {
		b.message(BroadcastCID, CommandInit, "12345678")
		b.expect(BroadcastCID, CommandInit, "12345678\x00\x00\x00\x01\x02\x00\x00\x00\x05")
		do(b, []step{host(chanA, CommandWink, "x"), refused(chanA, ErrInvalidLen)})
		do(b, []step{host(chanA, CommandWink, ""), device(chanA, CommandWink, "")})
	})
	if winks != 1 {
		t.Errorf("%d winks, want 1", winks)
	}
}

func TestCapabilities(t *testing.T) {
	onBench(t, Device{Capabilities: CapNMSG | CapWink}, func(b *bench) {
		b.message(BroadcastCID, CommandInit, "12345678")
		b.expect(BroadcastCID, CommandInit, "12345678\x00\x00\x00\x01\x02\x00\x00\x00\x08")
		do(b, []step{
			host(chanA, CommandMsg, "apdu"), refused(chanA, ErrInvalidCmd),
			host(chanA, CommandCBOR, "\x04"), refused(chanA, ErrInvalidCmd), calls(0),
		})
	})
}

func TestRequestSaysChannelAndProtocol(t *testing.T) {
	var got []ctap.Request
	h := func(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		got = append(got, r)
		return ctap.Response{0}
	}
	onBench(t, Device{Version: [3]byte{1, 2, 3}, Handler: handlerFunc(h)}, func(b *bench) {
		b.open(chanA)
		b.open(chanB)
		do(b, []step{host(chanA, CommandCBOR, "\x04"), device(chanA, CommandCBOR, "\x00")})
		do(b, []step{host(chanB, CommandMsg, "apdu"), device(chanB, CommandMsg, "\x00")})
	})
	if len(got) != 2 || got[0].Channel != 1 || got[0].U2F || string(got[0].Payload) != "\x04" ||
		got[1].Channel != 2 || !got[1].U2F || string(got[1].Payload) != "apdu" {
		t.Errorf("handler got %+v", got)
	}
}

func TestStatusStartsWithProcessing(t *testing.T) {
	var status chan ctap.KeepaliveStatus
	h := func(ctx context.Context, _ ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
		for s := range status {
			keepalive(s)
		}
		return ctap.Response{0}
	}
	onBench(t, Device{Version: [3]byte{1, 2, 3}, Handler: handlerFunc(h)}, func(b *bench) {
		status = make(chan ctap.KeepaliveStatus) // in the bubble, so that time passes while the handler waits
		say := func(s ctap.KeepaliveStatus) step { return func(*bench) { status <- s } }
		b.open(chanA)
		do(b, []step{
			host(chanA, CommandCBOR, "\x01"), quiet,
			after(100 * time.Millisecond), device(chanA, CommandKeepalive, processing),
			after(50 * time.Millisecond), say(ctap.KeepaliveUPNeeded), device(chanA, CommandKeepalive, upNeeded),
			after(99 * time.Millisecond), quiet, after(time.Millisecond), device(chanA, CommandKeepalive, upNeeded),
			say(ctap.KeepaliveProcessing), device(chanA, CommandKeepalive, processing),
			func(*bench) { close(status) }, device(chanA, CommandCBOR, "\x00"),
		})
	})
}

func TestBadResponses(t *testing.T) {
	h := func(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		return make(ctap.Response, map[byte]int{'0': 0, 'm': MaxPayload, 'x': MaxPayload + 1}[r.Payload[0]])
	}
	onBench(t, Device{Version: [3]byte{1, 2, 3}, Handler: handlerFunc(h)}, func(b *bench) {
		b.open(chanA)
		do(b, []step{
			host(chanA, CommandCBOR, "m"), device(chanA, CommandCBOR, string(make([]byte, MaxPayload))),
			host(chanA, CommandCBOR, "x"), device(chanA, CommandCBOR, "\x7f"),
			host(chanA, CommandCBOR, "0"), device(chanA, CommandCBOR, "\x7f"),
			host(chanA, CommandMsg, "x"), device(chanA, CommandMsg, "\x6f\x00"),
		})
	})
}

// A handler that is slow to stop holds up the next request, but is never called twice at once, and no INIT.
func TestAbortedHandlerIsAwaited(t *testing.T) {
	var stop chan struct{}
	running, calls := 0, 0
	h := func(ctx context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		calls++
		if running++; running > 1 {
			t.Error("handler called while it runs")
		}
		defer func() { running-- }()
		<-stop
		return ctap.Response{0, r.Payload[0]}
	}
	onBench(t, Device{Version: [3]byte{1, 2, 3}, Handler: handlerFunc(h)}, func(b *bench) {
		stop = make(chan struct{}) // in the bubble, so that time passes while the handler waits
		b.open(chanA)
		reinit := []step{host(chanA, CommandInit, "abcdefgh"), device(chanA, CommandInit, initReply)}
		do(b, []step{host(chanA, CommandCBOR, "1"), quiet}) // until the handler runs
		do(b, reinit)
		do(b, []step{host(chanA, CommandCBOR, "2"), host(chanA, CommandCancel, ""), device(chanA, CommandCBOR,
			cancelled)})
		do(b, []step{host(chanA, CommandCBOR, "3")})
		do(b, reinit)
		do(b, []step{host(chanA, CommandCBOR, "4"), after(100 * time.Millisecond), device(chanA,
			CommandKeepalive, processing)})
		close(stop)
		do(b, []step{device(chanA, CommandCBOR, "\x004"), quiet})
	})
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

// brokenConn fails to write with an error, once it has one.
type brokenConn struct {
	Conn
	err *error
}

func (c brokenConn) WriteReport(ctx context.Context, r Report) error {
	if *c.err != nil {
		return *c.err
	}
	return c.Conn.WriteReport(ctx, r)
}

func TestHostThatDoesNotRead(t *testing.T) {
	onBench(t, Device{Version: [3]byte{1, 2, 3}}, func(b *bench) {
		b.open(chanA)
		for range 4 {
			b.message(chanA, CommandPing, long(MaxPayload))
		}
		synctest.Wait()
		for range pipeBuffer {
			<-b.host.in
		}
		do(b, []step{quiet, host(chanA, CommandPing, "x"), device(chanA, CommandPing, "x")})
	})
}

func TestServeEndsWithItsConn(t *testing.T) {
	for _, side := range []string{"read", "write"} {
		synctest.Test(t, func(t *testing.T) {
			end, host := Pipe()
			broken := errors.New("broken")
			fail := &broken
			if side == "read" {
				fail = new(error)
				end = unplugged{end, broken}
			}
			served := make(chan error)
			go func() { served <- (&Device{}).Serve(t.Context(), brokenConn{end, fail}) }()
			if side == "write" {
				host.WriteReport(t.Context(), Packet{Initial: true, CID: 0}.Report())
			}
			if err := <-served; !errors.Is(err, broken) || !strings.Contains(err.Error(), side) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

type unplugged struct {
	Conn
	err error
}

func (c unplugged) ReadReport(context.Context) (Report, error) { return Report{}, c.err }
