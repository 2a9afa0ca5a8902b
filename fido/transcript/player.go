package transcript

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"fob/fido/ctap"
)

// Strictness is how alike what was recorded and what happens must be.
type Strictness int

const (
	// Loose lets differ what is another each time. Requests match by their Name. Answers match but for what is in
	// byte strings (keys, signatures, identifiers, ciphertexts) and for signature counters.
	Loose Strictness = iota
	// Strict wants equal bytes.
	Strict
)

// Player answers as the key of a transcript did, so that a client meets again what it met then. It is a ctap.Handler
// and knows no secret. A client that makes a new key agreement gets the recorded key's public key and can't decrypt
// what was encrypted for another session: Loose does for clients up to the point where they use a pinUvAuthToken or
// a secret, and for those that use none. A client whose random numbers repeat gets through all of it.
//
// Requests must come in the recorded order; whose channel and transport they are doesn't matter. One that is not the
// next is answered with CTAP1_ERR_OTHER, and the next one is still awaited. A request that was cancelled waits to be
// cancelled.
type Player struct {
	strictness Strictness

	mu        sync.Mutex // guards the fields below
	exchanges []*exchange
	err       error
}

// NewPlayer makes a Player at the beginning of a transcript. The transcript must not change any more.
func NewPlayer(t *Transcript, s Strictness) *Player {
	return &Player{strictness: s, exchanges: t.exchanges()}
}

// Left is the number of recorded requests that nobody has sent yet.
func (p *Player) Left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.exchanges)
}

// Err is a *MismatchError of the first request that did not match; nil while all did.
func (p *Player) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// MismatchError is a request that was not the next one of the transcript. Got and Want are Names of requests.
type MismatchError struct {
	Got  string
	Want string // empty after the end
	// Number is the place of the wanted request in the transcript, from 1.
	Number int
}

func (e *MismatchError) Error() string {
	switch e.Want {
	case "":
		return fmt.Sprintf("got %s after the end of the transcript", e.Got)
	case e.Got:
		return fmt.Sprintf("%s is not byte for byte request %d of the transcript", e.Got, e.Number)
	default:
		return fmt.Sprintf("got %s, but request %d of the transcript is %s", e.Got, e.Number, e.Want)
	}
}

// ServeCTAP implements ctap.Handler.
func (p *Player) ServeCTAP(ctx context.Context, req ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	x := p.take(Request(req))
	if x == nil {
		return refusal(req)
	}
	for _, k := range x.keepalives {
		keepalive(ctap.KeepaliveStatus(k))
	}
	if x.cancelled {
		<-ctx.Done()
	}
	if x.response == nil { // the recording ended here
		return refusal(req)
	}
	return ctap.Response(x.response)
}

func refusal(r ctap.Request) ctap.Response {
	if r.U2F {
		return ctap.U2FResponse(nil, ctap.U2FUnknown)
	}
	return ctap.Response{byte(ctap.ErrOther)}
}

// take gives the next exchange, if the request is that one's.
func (p *Player) take(r Request) *exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	mismatch := &MismatchError{Got: r.Name()}
	if len(p.exchanges) > 0 {
		x := p.exchanges[0]
		if p.matches(x.request, r) {
			p.exchanges = p.exchanges[1:]
			return x
		}
		mismatch.Want, mismatch.Number = x.request.Name(), x.number
	}
	if p.err == nil {
		p.err = mismatch
	}
	return nil
}

func (p *Player) matches(want, got Request) bool {
	if p.strictness == Strict {
		return want.U2F == got.U2F && bytes.Equal(want.Payload, got.Payload)
	}
	return want.Name() == got.Name()
}
