package ctaphid

import (
	"cmp"
	"context"
	"time"

	"fob/fido/ctap"
)

// transaction is a request that the Handler works on.
type transaction struct {
	cid      CID
	command  Command // CommandCBOR or CommandMsg
	cancel   context.CancelFunc
	ticker   *time.Ticker
	ticks    <-chan time.Time // of ticker
	status   ctap.KeepaliveStatus
	changed  chan ctap.KeepaliveStatus // from the handler
	response chan ctap.Response        // has room for the one response, so that one that nobody awaits stops no goroutine
}

// startTransaction runs the Handler in a goroutine of its own. forgetCurrent cancels it, Serve waits for it.
func (s *session) startTransaction(ctx context.Context, m Message) {
	ctx, cancel := context.WithCancel(ctx)
	ticker := time.NewTicker(cmp.Or(s.KeepaliveInterval, 100*time.Millisecond))
	t := &transaction{
		cid: m.CID, command: m.Command, cancel: cancel,
		ticker: ticker, ticks: ticker.C,
		status:   ctap.KeepaliveProcessing,
		changed:  make(chan ctap.KeepaliveStatus),
		response: make(chan ctap.Response, 1),
	}
	s.current = t
	request := ctap.Request{Channel: uint32(m.CID), U2F: m.Command == CommandMsg, Payload: m.Payload}
	s.tasks.Go(func() { t.response <- s.call(ctx, request, t.changed) })
}

// call calls the Handler as soon as an aborted call before it has returned.
func (s *session) call(ctx context.Context, r ctap.Request, changed chan<- ctap.KeepaliveStatus) ctap.Response {
	select {
	case s.handler <- struct{}{}:
		defer func() { <-s.handler }()
	case <-ctx.Done():
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	}
	return s.Handler.ServeCTAP(ctx, r, func(status ctap.KeepaliveStatus) {
		select {
		case changed <- status:
		case <-ctx.Done():
		}
	})
}

func (s *session) forgetCurrent() {
	if s.current == nil {
		return
	}
	s.current.cancel()
	s.current.ticker.Stop()
	s.current = nil
}

// cancel obeys CTAPHID_CANCEL (§11.2.9.1.5), which has no response: the handler ends the transaction in the usual way,
// by ErrKeepaliveCancel or with the result that it has just got.
func (s *session) cancel(cid CID) {
	if t := s.current; t != nil && t.cid == cid && t.command == CommandCBOR {
		t.cancel()
	}
}

// keepalive tells the status of the transaction and counts the interval from now.
func (s *session) keepalive(ctx context.Context) error {
	t := s.current
	t.ticker.Reset(cmp.Or(s.KeepaliveInterval, 100*time.Millisecond))
	return s.send(ctx, Message{t.cid, CommandKeepalive, []byte{byte(t.status)}})
}

// reply frames the response. One that is empty or too long is a fault of ours, which the platform is told as such.
func (t *transaction) reply(r ctap.Response) Message {
	switch {
	case len(r) > 0 && len(r) <= MaxPayload:
	case t.command == CommandMsg:
		r = ctap.Response{0x6f, 0x00} // ISO 7816-4 §5.6: no precise diagnosis
	default:
		r = ctap.Response{byte(ctap.ErrOther)}
	}
	return Message{t.cid, t.command, r}
}
