package ctapnfc

import (
	"cmp"
	"context"
	"time"

	"fob/fido/ctap"
)

// Instructions of class 0x80 (CTAP 2.2 §11.3.4, §11.3.7).
const (
	insMsg             = 0x10 // NFCCTAP_MSG
	insCTAPGetResponse = 0x11 // NFCCTAP_GETRESPONSE
	insControl         = 0x12 // NFCCTAP_CONTROL
)

// P1 of these instructions.
const (
	msgPolls     = 0x80 // NFCCTAP_MSG: the client supports NFCCTAP_GETRESPONSE
	pollCancels  = 0x11 // NFCCTAP_GETRESPONSE: cancel the request
	controlEnd   = 0x01 // NFCCTAP_CONTROL: END CTAP_MSG
	versionU2F   = "U2F_V2"
	versionFIDO2 = "FIDO_2_0"
)

// Instructions of U2F (FIDO U2F Raw Message Formats).
const (
	insU2FRegister     = 0x01 // U2F_REGISTER
	insU2FAuthenticate = 0x02 // U2F_AUTHENTICATE
	insU2FVersion      = 0x03 // U2F_VERSION
)

// fido is the Applet that speaks for the Handler.
func (k *Card) fido(ctx context.Context, c Command) Response {
	if isSelect(c) {
		return Response{Data: []byte(k.version()), SW: SWSuccess}
	}
	switch class, ins := c.CLA, c.INS; {
	case class == claCTAP && ins == insMsg && !k.NoCBOR:
		return k.message(ctx, c)
	case class == claCTAP && ins == insCTAPGetResponse && !k.NoCBOR:
		return k.poll(ctx, c)
	case class == claCTAP && ins == insControl && !k.NoCBOR:
		return k.control(c)
	case class == claISO && ins >= insU2FRegister && ins <= insU2FVersion && !k.NoU2F:
		return k.u2f(ctx, c)
	}
	return Response{SW: SWInstructionNotSupported}
}

func (k *Card) version() string {
	if k.NoU2F {
		return versionFIDO2
	}
	return versionU2F
}

// message answers NFCCTAP_MSG (§11.3.7.1).
func (k *Card) message(ctx context.Context, c Command) Response {
	switch {
	case c.P1&^msgPolls != 0 || c.P2 != 0:
		return Response{SW: SWIncorrectP1P2}
	case len(c.Data) == 0:
		return Response{SW: SWWrongLength}
	}
	request := ctap.Request{Transport: ctap.TransportNFC, Payload: c.Data}
	if c.P1&msgPolls == 0 {
		return answer(k.Handler.ServeCTAP(ctx, request, func(ctap.KeepaliveStatus) {}))
	}
	k.pending = start(ctx, k.Handler, request)
	return k.update(ctx)
}

// poll answers NFCCTAP_GETRESPONSE (§11.3.7.2).
func (k *Card) poll(ctx context.Context, c Command) Response {
	switch {
	case c.P1 != 0 && c.P1 != pollCancels || c.P2 != 0:
		return Response{SW: SWIncorrectP1P2}
	case len(c.Data) > 0:
		return Response{SW: SWWrongLength}
	case k.pending == nil:
		return Response{SW: SWConditionsNotSatisfied}
	case c.P1 == pollCancels:
		return answer(k.abandon())
	}
	return k.update(ctx)
}

// control answers NFCCTAP_CONTROL (§11.3.4): after END CTAP_MSG only SELECT brings the application back.
func (k *Card) control(c Command) Response {
	switch {
	case c.P1 != controlEnd || c.P2 != 0:
		return Response{SW: SWIncorrectP1P2}
	case len(c.Data) > 0:
		return Response{SW: SWWrongLength}
	}
	k.selected, k.foreign = nil, false
	return Response{SW: SWSuccess}
}

// u2f hands a U2F command to the Handler, which checks P1 and P2. U2F has no keepalives: a key without touch says so at
// once, by 6985.
func (k *Card) u2f(ctx context.Context, c Command) Response {
	c.Extended, c.Ne = true, maxExtendedNe
	apdu, err := c.Bytes()
	if err != nil {
		return Response{SW: SWWrongLength}
	}
	request := ctap.Request{Transport: ctap.TransportNFC, U2F: true, Payload: apdu}
	raw := k.Handler.ServeCTAP(ctx, request, func(ctap.KeepaliveStatus) {})
	r, err := ParseResponse(raw)
	if err != nil || len(raw) > MaxPayload {
		return Response{SW: SWNoPreciseDiagnosis}
	}
	return r
}

// answer frames the response to a CTAP2 request: the status word is about the framing, the first byte of the data is
// the status (§11.3.5.2). One that is empty or too long is a fault of ours, which the platform is told as such.
func answer(r ctap.Response) Response {
	if len(r) == 0 || len(r) > MaxPayload {
		r = ctap.Response{byte(ctap.ErrOther)}
	}
	return Response{Data: r, SW: SWSuccess}
}

// pending is a request that the Handler works on between two commands.
type pending struct {
	cancel   context.CancelFunc
	status   ctap.KeepaliveStatus
	changed  chan ctap.KeepaliveStatus // holds the latest status that update has not seen
	response chan ctap.Response        // has room for the one response
}

// start runs the Handler in a goroutine of its own, which outlives ctx. Card.abandon cancels it and waits for it,
// Card.update takes its response.
func start(ctx context.Context, h ctap.Handler, r ctap.Request) *pending {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &pending{
		cancel:   cancel,
		status:   ctap.KeepaliveProcessing,
		changed:  make(chan ctap.KeepaliveStatus, 1),
		response: make(chan ctap.Response, 1),
	}
	go func() { p.response <- h.ServeCTAP(ctx, r, p.keepalive) }()
	return p
}

// keepalive replaces the status that waits to be seen. It never waits: nobody looks between two commands.
func (p *pending) keepalive(status ctap.KeepaliveStatus) {
	select {
	case <-p.changed:
	default:
	}
	select {
	case p.changed <- status:
	default:
	}
}

// update waits for the pending request: for its end, news from it, or UpdateInterval.
func (k *Card) update(ctx context.Context) Response {
	p := k.pending
	timer := time.NewTimer(cmp.Or(k.UpdateInterval, 100*time.Millisecond))
	defer timer.Stop()
	select {
	case r := <-p.response:
		p.cancel()
		k.pending = nil
		return answer(r)
	case p.status = <-p.changed:
	case <-timer.C:
	case <-ctx.Done():
		return answer(k.abandon())
	}
	return Response{Data: []byte{byte(p.status)}, SW: SWStatusUpdate}
}

// abandon cancels the pending request, if there is one, and waits for its response.
func (k *Card) abandon() ctap.Response {
	if k.pending == nil {
		return nil
	}
	k.pending.cancel()
	r := <-k.pending.response
	k.pending = nil
	return r
}

// isPoll tells the one command that lets a pending request go on.
func isPoll(c Command) bool { return c.CLA == claCTAP && c.INS == insCTAPGetResponse }
