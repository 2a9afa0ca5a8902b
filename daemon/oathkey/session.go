package oathkey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"fob/fido/pcsc"
	"fob/hotp/ykoath"
)

const (
	patience = 5 * time.Second
	// endTime bounds the wait for pcscd at the end of a session.
	endTime = time.Second
	// graceTime is how long an APDU may go on after its caller has given up: to break it off has pcscd reset the key.
	graceTime = time.Second
)

// protocols of keys.
const protocols = pcsc.T0 | pcsc.T1

// session is a transaction with a card whose OATH application is selected.
type session struct {
	*ykoath.Session
	card   *pcsc.Card
	client *pcsc.Client
}

// start begins a session with the card in a reader. Its errors are explained.
func (k Keys) start(parent context.Context, reader string) (*session, error) {
	ctx, cancel := context.WithTimeout(parent, cmp.Or(k.Patience, patience))
	defer cancel()
	client, err := pcsc.Dial(ctx, k.Socket)
	if err != nil {
		return nil, explain(err)
	}
	s := &session{client: client}
	if err := s.begin(ctx, reader); err != nil {
		s.end()
		if parent.Err() != nil {
			return nil, parent.Err()
		}
		return nil, explain(err)
	}
	return s, nil
}

func (s *session) begin(ctx context.Context, reader string) (err error) {
	s.card, err = s.client.Connect(ctx, reader, pcsc.Shared, protocols)
	switch {
	case errors.Is(err, context.DeadlineExceeded): // pcscd waits for the end of another transaction
		return fmt.Errorf("%w: %w", pcsc.ErrSharingViolation, err)
	case err != nil:
		return err
	}
	err = s.card.Begin(ctx)
	if errors.Is(err, pcsc.ErrResetCard) { // by another program, since we connected
		if err = s.card.Reconnect(ctx, pcsc.Shared, protocols, pcsc.LeaveCard); err == nil {
			err = s.card.Begin(ctx)
		}
	}
	if err != nil {
		return err
	}
	s.Session, err = ykoath.Select(ctx, s)
	return err
}

// Transmit implements ykoath.Card.
func (s *session) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })()
	reply, err := s.card.Transmit(patient, command)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return reply, explain(err)
}

// end leaves the key as it is.
func (s *session) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if s.card != nil {
		s.card.End(ctx, pcsc.LeaveCard)
		s.card.Disconnect(ctx, pcsc.LeaveCard)
	}
	s.client.Close()
}
