package ctaphid

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// The two channels that every bench has allocated.
const (
	chanA CID = 1
	chanB CID = 2
)

type handlerFunc func(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response

func (f handlerFunc) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	return f(ctx, r, k)
}

// bench is a device in a synctest bubble, seen by a host that sends single reports.
type bench struct {
	t       *testing.T
	host    hostEnd
	hangUps chan struct{}
	touch   chan struct{} // ends the request of the touching handler
	calls   int           // of the handler
	running int
}

// hangUpConn is a device's end of which the hosts can hang up.
type hangUpConn struct {
	deviceEnd
	hangUps <-chan struct{}
}

func (c hangUpConn) ReadReport(ctx context.Context) (Report, error) {
	select {
	case <-c.hangUps:
		return Report{}, ErrHangUp
	case r := <-c.in:
		return r, nil
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
}

// touching answers "\x00touched" to CBOR after a touch, and echoes U2F requests at once.
func (b *bench) touching(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	b.calls++
	b.running++
	defer func() { b.running-- }()
	if b.running > 1 {
		b.t.Error("handler called while it runs")
	}
	if r.U2F {
		return r.Payload
	}
	keepalive(ctap.KeepaliveUPNeeded)
	select {
	case <-b.touch:
		return ctap.Response("\x00touched")
	case <-ctx.Done():
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	}
}

// onBench runs test against a device, and fails unless Serve ends with everything that it has started.
func onBench(t *testing.T, d Device, test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		device, host := Pipe()
		b := &bench{t: t, host: host.(hostEnd), hangUps: make(chan struct{}), touch: make(chan struct{})}
		if d.Handler == nil {
			d.Handler = handlerFunc(b.touching)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- d.Serve(ctx, hangUpConn{device.(deviceEnd), b.hangUps}) }()
		defer func() { // also when test gives up
			cancel()
			if err := <-served; !errors.Is(err, context.Canceled) {
				t.Errorf("Serve: %v", err)
			}
		}()
		test(b)
	})
}

func (b *bench) send(p Packet) {
	if err := b.host.WriteReport(b.t.Context(), p.Report()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) message(cid CID, c Command, payload string) {
	reports, err := Message{cid, c, []byte(payload)}.Reports()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, r := range reports {
		b.send(ParsePacket(r))
	}
}

// expect takes the next message of the device, which must be there without time passing.
func (b *bench) expect(cid CID, c Command, payload string) {
	b.t.Helper()
	want, _ := Message{cid, c, []byte(payload)}.Reports()
	for _, w := range want {
		synctest.Wait()
		select {
		case got := <-b.host.in:
			if got != w {
				b.t.Fatalf("device sent\n%swant\n%s", hex.Dump(got[:]), hex.Dump(w[:]))
			}
		default:
			b.t.Fatalf("device sent nothing, want\n%s", hex.Dump(w[:]))
		}
	}
}

func (b *bench) quiet() {
	b.t.Helper()
	synctest.Wait()
	select {
	case r := <-b.host.in:
		b.t.Fatalf("device sent\n%swant nothing", hex.Dump(r[:]))
	default:
	}
}

func (b *bench) open(want CID) {
	b.t.Helper()
	b.message(BroadcastCID, CommandInit, "12345678")
	b.expect(BroadcastCID, CommandInit, "12345678\x00\x00\x00"+string(rune(want))+"\x02\x01\x02\x03\x04")
}

// A step is one line of a table.
type step func(b *bench)

func host(cid CID, c Command, payload string) step {
	return func(b *bench) { b.message(cid, c, payload) }
}
func initial(cid CID, c Command, bcnt uint16) step {
	return func(b *bench) {
		b.send(Packet{CID: cid, Initial: true, Command: c, BCNT: bcnt, Data: fill(initialRoom)})
	}
}
func next(cid CID, seq byte) step {
	return func(b *bench) { b.send(Packet{CID: cid, Seq: seq, Data: fill(continuationRoom)}) }
}
func device(cid CID, c Command, payload string) step {
	return func(b *bench) { b.t.Helper(); b.expect(cid, c, payload) }
}
func refused(cid CID, e Error) step { return device(cid, CommandError, string([]byte{byte(e)})) }
func after(d time.Duration) step    { return func(*bench) { time.Sleep(d) } }
func quiet(b *bench)                { b.t.Helper(); b.quiet() }
func hangUp(b *bench)               { b.hangUps <- struct{}{} }
func touch(b *bench)                { b.touch <- struct{}{} }

func calls(n int) step {
	return func(b *bench) {
		b.t.Helper()
		if synctest.Wait(); b.calls != n {
			b.t.Fatalf("handler called %d times, want %d", b.calls, n)
		}
	}
}
func dark(b *bench) {
	b.t.Helper()
	if synctest.Wait(); b.running != 0 {
		b.t.Fatal("handler still runs")
	}
}

func fill(n int) []byte { return bytes.Repeat([]byte{'f'}, n) }
