package ctapnfc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fob/fido/ctap"
)

// cancelTimeout bounds the wait for a card after the caller has given up.
const cancelTimeout = time.Second

// pollInterval is the least time from one NFCCTAP_GETRESPONSE to the next. A card that takes as long to answer is asked
// again at once.
const pollInterval = 100 * time.Millisecond

// Transceiver carries APDUs to a card.
type Transceiver interface {
	// Transmit sends a command APDU and waits for the response APDU, which may be of any length. Once ctx is done it
	// may return the error of ctx, with the command sent or not.
	Transmit(ctx context.Context, command []byte) ([]byte, error)
}

// Reader is the platform's side: the FIDO application of a card. Its methods must not be called at the same time.
//
// They return a StatusWord when the card answers one, and a *BadReplyError when it breaks the protocol. Replies are
// bounded in size but not in time: a card may send status updates for as long as ctx lets it.
type Reader struct {
	// Version is U2F_V2 or FIDO_2_0. A card that says U2F_V2 may speak CTAP2 as well: authenticatorGetInfo tells
	// (§11.3.3).
	Version string
	// ShortOnly has commands of more than 255 bytes sent as chains rather than as extended APDUs. It becomes true when
	// the card takes only the former. Set it where the hardware between can't carry the latter.
	ShortOnly bool

	card Transceiver
	lost bool // an exchange was left unfinished or the application deselected, so SELECT must come before the next one
}

// BadReplyError is a reply that breaks the protocol. Err says what is wrong.
type BadReplyError struct{ Err error }

func (e *BadReplyError) Error() string { return "bad reply from card: " + e.Err.Error() }
func (e *BadReplyError) Unwrap() error { return e.Err }

var (
	errVersion = errors.New("unknown version")
	errEmpty   = errors.New("no data")
	errTooLong = errors.New("more data than asked for")
)

// Select selects the FIDO application (§11.3.3). A card without one answers SWFileNotFound.
func Select(ctx context.Context, card Transceiver) (*Reader, error) {
	r := &Reader{card: card}
	if err := r.selectFIDO(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Reader) selectFIDO(ctx context.Context) error {
	reply, err := r.exchange(ctx, Command{INS: insSelect, P1: selectByName, Data: []byte(AID), Ne: maxShortNe})
	if err != nil {
		return err
	}
	version := string(reply.Data)
	switch {
	case reply.SW != SWSuccess:
		return reply.SW
	case version != versionU2F && version != versionFIDO2:
		return &BadReplyError{errVersion}
	}
	r.Version, r.lost = version, false
	return nil
}

// Deselect ends the session (§11.3.4), so that the tap counts for nothing more. A later call selects the application
// again.
func (r *Reader) Deselect(ctx context.Context) error {
	r.lost = true
	reply, err := r.exchange(ctx, Command{CLA: claCTAP, INS: insControl, P1: controlEnd})
	if err == nil && reply.SW != SWSuccess {
		err = reply.SW
	}
	return err
}

// Msg sends a CTAP1/U2F command APDU of any form and returns the response APDU, whatever its status word. U2F cannot be
// cancelled; when ctx is done the exchange is left behind.
func (r *Reader) Msg(ctx context.Context, apdu []byte) ([]byte, error) {
	c, err := ParseCommand(apdu)
	if err != nil {
		return nil, err
	}
	c.Extended, c.Ne = false, maxShortNe
	if err := r.begin(ctx, c.Data); err != nil {
		return nil, err
	}
	reply, err := r.exchange(ctx, c)
	if err != nil {
		return nil, err
	}
	r.lost = false
	return reply.Bytes(), nil
}

// CBOR sends a CTAP2 command, its byte followed by CBOR, and returns the response: at least a status byte. It calls
// onKeepalive, which may be nil, at each status update.
//
// When ctx is done, it cancels the request and waits for the card's answer, at most a second. It returns the error of
// ctx then, unless the card had completed the command already: then it returns that response.
func (r *Reader) CBOR(ctx context.Context, payload []byte, onKeepalive func(ctap.KeepaliveStatus)) ([]byte, error) {
	if len(payload) == 0 {
		return nil, fmt.Errorf("payload of 0 bytes: %w", SWWrongLength)
	}
	if err := r.begin(ctx, payload); err != nil {
		return nil, err
	}
	reply, err := r.request(ctx, payload, onKeepalive)
	if err == nil {
		r.lost = false
		err = checkCBOR(reply)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%w; wait for the cancelled request: %v", ctx.Err(), err)
	case err != nil:
		return nil, err
	case ctx.Err() != nil && reply.Data[0] == byte(ctap.ErrKeepaliveCancel):
		return nil, ctx.Err()
	}
	return reply.Data, nil
}

// begin makes the card ready for a request. The application counts as lost until its reply is complete.
func (r *Reader) begin(ctx context.Context, payload []byte) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("payload of %d bytes: %w", len(payload), SWWrongLength)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r.lost {
		if err := r.selectFIDO(ctx); err != nil {
			return fmt.Errorf("select again: %w", err)
		}
	}
	r.lost = true
	return nil
}

func checkCBOR(r Response) error {
	switch {
	case r.SW != SWSuccess:
		return r.SW
	case len(r.Data) == 0:
		return &BadReplyError{errEmpty}
	}
	return nil
}

// request sends NFCCTAP_MSG, then NFCCTAP_GETRESPONSE until the card has done with it, and once the cancelling form
// when ctx is done. APDUs are not broken off for that: the card would be left in a state that we don't know.
func (r *Reader) request(ctx context.Context, payload []byte, onKeepalive func(ctap.KeepaliveStatus),
) (Response, error) {
	grace, stop := graceful(ctx)
	defer stop()
	next := time.NewTimer(0) // a touch may have come meanwhile, so the first time is at once
	defer next.Stop()
	done := ctx.Done()
	c := Command{CLA: claCTAP, INS: insMsg, P1: msgPolls, Data: payload, Ne: maxShortNe}
	for {
		reply, err := r.exchange(grace, c)
		if err != nil || reply.SW != SWStatusUpdate {
			return reply, err
		}
		if len(reply.Data) != 1 {
			return Response{}, &BadReplyError{fmt.Errorf("status update of %d bytes", len(reply.Data))}
		}
		if onKeepalive != nil && done != nil {
			onKeepalive(ctap.KeepaliveStatus(reply.Data[0]))
		}
		c = Command{CLA: claCTAP, INS: insCTAPGetResponse, Ne: maxShortNe}
		select {
		case <-next.C:
			next.Reset(pollInterval)
		case <-done:
			done, c.P1 = nil, pollCancels
		case <-grace.Done():
			return Response{}, grace.Err()
		}
	}
}

// graceful returns a context that outlives ctx by cancelTimeout. The goroutine that ends it then ends at stop.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(cancelTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-grace.Done():
		}
	})
	return grace, func() { forget(); cancel() }
}
