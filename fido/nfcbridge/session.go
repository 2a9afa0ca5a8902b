package nfcbridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fob/fido/ctapnfc"
	"fob/fido/pcsc"
)

const (
	// startTime is how long other programs may keep us waiting for a card.
	startTime = 3 * time.Second
	// endTime bounds the wait for pcscd at the end of a session.
	endTime = time.Second
)

// protocols of cards that we can ask. pcscd prefers T=1.
const protocols = pcsc.T0 | pcsc.T1

// session is the time in which a card is ours: a connection, a transaction, and the FIDO application selected. Between
// two sessions there is no connection either: other programs may have the card for themselves, and pcscd takes its
// power away after some seconds.
type session struct {
	client *pcsc.Client
	card   *pcsc.Card // nil before it is connected
	reader *ctapnfc.Reader
}

// startSession waits for other programs to leave the card, at most startTime. Its errors are named by explainSelect.
func startSession(parent context.Context, socket, reader string) (*session, error) {
	ctx, cancel := context.WithTimeout(parent, startTime)
	defer cancel()
	client, err := pcsc.Dial(ctx, socket)
	if err != nil {
		return nil, explain(err)
	}
	s := &session{client: client}
	if err := s.start(ctx, reader); err != nil {
		s.end()
		if parent.Err() != nil {
			return nil, parent.Err()
		}
		return nil, explainSelect(err)
	}
	return s, nil
}

func (s *session) start(ctx context.Context, reader string) (err error) {
	s.card, err = s.client.Connect(ctx, reader, pcsc.Shared, protocols)
	switch {
	case errors.Is(err, context.DeadlineExceeded): // pcscd waits for the end of another transaction
		return fmt.Errorf("%w: %w", pcsc.ErrSharingViolation, err)
	case err != nil:
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	patient, stop := outlive(ctx)
	defer stop()
	if s.reader, err = ctapnfc.Select(patient, s.card); err != nil {
		return err
	}
	s.reader.ShortOnly = true // some readers break off at an extended APDU, and every card knows chains (§11.3.6)
	return nil
}

// begin begins the transaction, also on a card that another program has reset since we connected.
func (s *session) begin(ctx context.Context) error {
	err := s.card.Begin(ctx)
	if !errors.Is(err, pcsc.ErrResetCard) {
		return err
	}
	if err := s.card.Reconnect(ctx, pcsc.Shared, protocols, pcsc.LeaveCard); err != nil {
		return err
	}
	return s.card.Begin(ctx)
}

// graceTime is how long an APDU may go on after its caller has given up, where there is no other way to cancel it.
const graceTime = time.Second

// outlive returns a context that ends graceTime after ctx. A connection that breaks off in a transaction would have
// pcscd reset the card; and one that has just left, and comes back at once, pcscd 1.9.9 would not see then.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })
	return patient, func() { forget(); cancel() }
}

// end leaves the card as it is.
func (s *session) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if s.card != nil {
		s.card.End(ctx, pcsc.LeaveCard)
		s.card.Disconnect(ctx, pcsc.LeaveCard)
	}
	s.client.Close()
}
