package fault

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/ctapnfc"
)

// cancelled is the answer of a key that was told to stop, or is gone.
func (c *call) cancelled() ctap.Response {
	if c.request.U2F {
		return ctap.U2FResponse(nil, ctap.U2FUnknown)
	}
	return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
}

// parseStatus reads a status of CTAP, or a status word, which has four digits.
func parseStatus(w *words) (effect, error) {
	word := w.next()
	if digits, ok := strings.CutPrefix(word, "0x"); ok && len(digits) == 4 {
		if n, err := strconv.ParseUint(digits, 16, 16); err == nil {
			return statusWord(n), nil
		}
	}
	code, err := ctap.ParseStatusCode(strings.ReplaceAll(word, "-", "_"))
	if err != nil {
		var names []string
		for n := range 0x100 {
			if name := ctap.StatusCode(n).Name(); !strings.HasPrefix(name, "0x") {
				names = append(names, name)
			}
		}
		return nil, w.wrong(word, append(names, "0xNN", "0xNNNN of U2F or a card")...)
	}
	return status(code), nil
}

// status answers a command of CTAP2.
type status ctap.StatusCode

func (s status) String() string { return "status " + ctap.StatusCode(s).Name() }

func (status) suitsCommand(r ctap.Request) bool { return !r.U2F }

func (s status) serve(context.Context, *call) ctap.Response { return ctap.Response{byte(s)} }

// statusWord answers a command of U2F, or an APDU.
type statusWord uint16

func (s statusWord) String() string { return fmt.Sprintf("status 0x%04x", uint16(s)) }

func (statusWord) suitsCommand(r ctap.Request) bool { return r.U2F }

func (s statusWord) serve(context.Context, *call) ctap.Response {
	return ctap.U2FResponse(nil, ctap.U2FStatus(s))
}

func (s statusWord) exchange(ctx context.Context, x *exchange) []byte {
	if x.out {
		x.next(ctx, x.command)
	}
	return ctapnfc.Response{SW: ctapnfc.StatusWord(s)}.Bytes()
}

// garbageSize is the length of an answer that makes no sense, in bytes: a few packets.
const garbageSize = 200

// garbage answers with success and bytes that are no CBOR, which begin with one that nothing of CBOR begins with.
type garbage struct{ all }

func (garbage) String() string { return "garbage" }

func (garbage) serve(_ context.Context, c *call) ctap.Response {
	const reserved = 0xfc // major type 7, additional information 28 (RFC 8949 §3)
	b := make([]byte, garbageSize)
	for i := range b {
		b[i] = byte(c.chance.Uint32())
	}
	b[0], b[1] = byte(ctap.StatusOK), reserved
	if c.request.U2F {
		return ctap.U2FResponse(b, ctap.U2FNoError)
	}
	return b
}

// truncate gives half of the answer, at least its first byte.
type truncate struct{ all }

func (truncate) String() string { return "truncate" }

func (truncate) serve(ctx context.Context, c *call) ctap.Response {
	r := c.next(ctx)
	return r[:max(min(1, len(r)), len(r)/2)]
}

// oversize gives the answer, and zeros up to the longest message; before the status word in U2F.
type oversize struct{ all }

func (oversize) String() string { return "oversize" }

func (oversize) serve(ctx context.Context, c *call) ctap.Response {
	r := c.next(ctx)
	end := len(r)
	if c.request.U2F {
		end = max(0, end-2)
	}
	zeros := make([]byte, max(0, ctaphid.MaxPayload-len(r)))
	return append(append(append(ctap.Response{}, r[:end]...), zeros...), r[end:]...)
}

// keepalives says many times that the key is at work, or whatever the status means.
type keepalives struct {
	all
	n      uint64
	every  time.Duration
	status ctap.KeepaliveStatus
}

func parseKeepalives(w *words) (_ effect, err error) {
	k := keepalives{every: time.Millisecond, status: ctap.KeepaliveProcessing}
	if k.n, err = w.number(1, maxNumber); err != nil {
		return nil, err
	}
	if w.follows("every") {
		if k.every, err = w.duration(0, maxDuration); err != nil {
			return nil, err
		}
	}
	if w.follows("status") {
		word := w.next()
		n, err := strconv.ParseUint(word, 0, 8)
		if err != nil {
			return nil, w.wrong(word, "the numbers from 0x00 to 0xff")
		}
		k.status = ctap.KeepaliveStatus(n)
	}
	return k, nil
}

func (k keepalives) String() string {
	return fmt.Sprintf("keepalives %d every %v status 0x%02x", k.n, k.every, byte(k.status))
}

func (k keepalives) serve(ctx context.Context, c *call) ctap.Response {
	for n := uint64(0); n < k.n && ctx.Err() == nil; n++ {
		c.keepalive(k.status)
		wait(ctx, k.every)
	}
	return c.next(ctx)
}

// hang never answers.
type hang struct {
	all
	mode string // "", "deaf" or "silent"
}

func parseHang(w *words) (effect, error) {
	for _, mode := range []string{"deaf", "silent"} {
		if w.follows(mode) {
			return hang{mode: mode}, nil
		}
	}
	return hang{}, nil
}

func (h hang) String() string { return strings.TrimSpace("hang " + h.mode) }

// serve obeys over NFC, where a reader that gives up takes the power away, which waits for the key.
func (h hang) serve(ctx context.Context, c *call) ctap.Response {
	if h.mode == "" || c.request.Transport == ctap.TransportNFC {
		<-ctx.Done()
		return c.cancelled()
	}
	if h.mode == "silent" {
		c.stay.silent.Store(true)
	}
	c.stay.await(ctx)
	return c.cancelled()
}

// delay makes a packet, a command or an APDU late.
type delay struct {
	all
	time.Duration
}

func parseDelay(w *words) (effect, error) {
	d, err := w.duration(0, maxDuration)
	return delay{Duration: d}, err
}

func (d delay) String() string { return "delay " + d.Duration.String() }

func (d delay) packets(ctx context.Context, p *packet) ([]ctaphid.Report, error) {
	if !wait(ctx, d.Duration) {
		return nil, ctx.Err()
	}
	return []ctaphid.Report{p.report}, nil
}

func (d delay) serve(ctx context.Context, c *call) ctap.Response {
	if !wait(ctx, d.Duration) {
		return c.cancelled()
	}
	return c.next(ctx)
}

func (d delay) exchange(ctx context.Context, x *exchange) []byte {
	wait(ctx, d.Duration)
	return x.next(ctx, x.command)
}

// unplug pulls the key out. What was on its way is lost.
type unplug struct {
	all
	out time.Duration // until it is put in again; negative for ever
}

// forever is an unplug without end.
const forever = -1

func parseUnplug(w *words) (_ effect, err error) {
	if !w.follows("for") {
		return unplug{out: forever}, nil
	}
	u := unplug{}
	u.out, err = w.duration(0, maxDuration)
	return u, err
}

func (u unplug) String() string {
	if u.out == forever {
		return "unplug"
	}
	return "unplug for " + u.out.String()
}

func (u unplug) packets(ctx context.Context, p *packet) ([]ctaphid.Report, error) {
	p.stay.unplug(ctx, u.out)
	return nil, ctx.Err()
}

func (u unplug) serve(ctx context.Context, c *call) ctap.Response {
	c.stay.unplug(ctx, u.out)
	return c.cancelled()
}

func (u unplug) exchange(ctx context.Context, x *exchange) []byte {
	x.stay.unplug(ctx, u.out)
	return nil
}

func (corruptBit) exchange(ctx context.Context, x *exchange) []byte {
	b := append([]byte(nil), x.command...)
	if x.out {
		b = append(b[:0], x.next(ctx, nil)...)
	}
	if len(b) > 0 {
		flip(b, x.chance.IntN)
	}
	if x.out {
		return b
	}
	return x.next(ctx, b)
}
