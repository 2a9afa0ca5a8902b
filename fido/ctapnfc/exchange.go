package ctapnfc

import (
	"context"
	"fmt"
)

// exchange sends a whole command, in the form that suits its length and the card, and returns the whole response.
func (r *Reader) exchange(ctx context.Context, c Command) (Response, error) {
	if len(c.Data) <= maxShortData {
		return r.complete(ctx, c)
	}
	if r.ShortOnly {
		return r.chained(ctx, c)
	}
	extended := c
	extended.Extended, extended.Ne = true, maxExtendedNe
	reply, err := r.complete(ctx, extended)
	if err != nil || reply.SW != SWWrongLength {
		return reply, err
	}
	reply, err = r.chained(ctx, c)
	r.ShortOnly = err == nil && reply.SW != SWWrongLength
	return reply, err
}

// chained sends a command as a chain of short ones (CTAP 2.2 §11.3.6). A part that the card refuses ends it.
func (r *Reader) chained(ctx context.Context, c Command) (Response, error) {
	part := Command{CLA: c.CLA | claChaining, INS: c.INS, P1: c.P1, P2: c.P2}
	for len(c.Data) > maxShortData {
		part.Data, c.Data = c.Data[:maxShortData], c.Data[maxShortData:]
		reply, err := r.transmit(ctx, part)
		if err != nil || reply.SW != SWSuccess {
			return reply, err
		}
	}
	return r.complete(ctx, c)
}

// complete sends one command and collects its response, by GET RESPONSE for as long as the card has more. Each round
// must bring something, so that there are at most MaxPayload of them.
func (r *Reader) complete(ctx context.Context, c Command) (Response, error) {
	whole, err := r.transmit(ctx, c)
	if err != nil {
		return Response{}, err
	}
	for whole.SW.available() > 0 {
		next, err := r.transmit(ctx, Command{INS: insGetResponse, Ne: whole.SW.available()})
		switch more := next.SW.available() > 0 || next.SW == SWSuccess; {
		case err != nil:
			return Response{}, err
		case !more: // a response that broke off is none
			return Response{SW: next.SW}, nil
		case len(next.Data) == 0:
			return Response{}, &BadReplyError{errEmpty}
		}
		whole = Response{Data: append(whole.Data, next.Data...), SW: next.SW}
		if len(whole.Data) > MaxPayload {
			return Response{}, &BadReplyError{errTooLong}
		}
	}
	return whole, nil
}

// transmit sends one APDU and checks the other.
func (r *Reader) transmit(ctx context.Context, c Command) (Response, error) {
	apdu, err := c.Bytes()
	if err != nil {
		return Response{}, err
	}
	b, err := r.card.Transmit(ctx, apdu)
	if err != nil {
		return Response{}, fmt.Errorf("transmit: %w", err)
	}
	reply, err := ParseResponse(b)
	if err != nil {
		return Response{}, &BadReplyError{err}
	}
	if len(reply.Data) > min(c.Ne, MaxPayload) {
		return Response{}, &BadReplyError{errTooLong}
	}
	return reply, nil
}
