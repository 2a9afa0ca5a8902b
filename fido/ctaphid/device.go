package ctaphid

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"fob/fido/ctap"
)

// Device is the authenticator's side of CTAPHID. Only Handler must be set; the other fields may be zero. It holds no
// state, so that it may serve several Conns if its Handler may.
type Device struct {
	// Handler answers CTAPHID_CBOR and CTAPHID_MSG. It is called for one request at a time; its responses are at
	// most MaxPayload bytes.
	Handler ctap.Handler
	// Version is the device version: major, minor, build.
	Version [3]byte
	// Capabilities are told to the hosts; 0 means CapCBOR. With CapNMSG, CTAPHID_MSG is refused. CapWink follows
	// from Wink, whatever is set here.
	Capabilities Capability
	// Wink shows the person which device is meant, by a light or a message, and returns at once. With nil,
	// CTAPHID_WINK is refused.
	Wink func()

	// MessageTimeout is how long the next packet of a message may take; 0 means 500 ms (§11.2.5.2).
	MessageTimeout time.Duration
	// KeepaliveInterval is the time between keepalives; 0 means 100 ms, which is also the longest that the
	// specification allows (§11.2.9.1.7).
	KeepaliveInterval time.Duration
	// MaxChannels is the number of channels that are valid at once; 0 means 64. Then the least recently used one is
	// recycled, and its host is told ERR_INVALID_CHANNEL. One that is busy or has the lock stays.
	MaxChannels int
	// Link, where it is not nil, gives what stands between the Device and the Conn that it serves: a recorder, or
	// something that loses packets.
	Link func(Conn) Conn
}

// Serve answers what the hosts send over c until ctx is done, and returns the error of ctx, or until c fails, and
// returns that error. It cancels the Handler and waits for it before it returns.
func (d *Device) Serve(ctx context.Context, c Conn) error {
	if d.Link != nil {
		c = d.Link(c)
	}
	s := &session{
		Device:  d,
		conn:    c,
		input:   make(chan input),
		handled: make(chan struct{}, 1),
		handler: make(chan struct{}, 1),
		timeout: time.NewTimer(0),
	}
	s.timeout.Stop()
	ctx, cancel := context.WithCancel(ctx)
	defer s.tasks.Wait()
	defer cancel()
	defer s.abort()
	s.tasks.Go(func() { s.read(ctx) })
	return s.run(ctx)
}

func (d *Device) capabilities() Capability {
	caps := cmp.Or(d.Capabilities, CapCBOR) &^ CapWink
	if d.Wink != nil {
		caps |= CapWink
	}
	return caps
}

// supports is false for the vendor's commands (§11.2.9.3), of which there are none here.
func (d *Device) supports(c Command) bool {
	switch c {
	case CommandPing, CommandLock:
		return true
	case CommandCBOR:
		return d.capabilities().Has(CapCBOR)
	case CommandMsg:
		return !d.capabilities().Has(CapNMSG)
	case CommandWink:
		return d.Wink != nil
	}
	return false
}

// session is one Serve. Its fields belong to the goroutine in run, but for the channels and tasks.
type session struct {
	*Device
	conn    Conn
	tasks   sync.WaitGroup // the reader, and handlers
	input   chan input
	handled chan struct{} // tells the reader that its last input was dealt with
	handler chan struct{} // has a token in it while the Handler runs

	channels channels
	lock     lock
	half     *assembly    // message of which packets are missing
	timeout  *time.Timer  // runs while half is not nil
	current  *transaction // the one that the Handler works on
}

type input struct {
	report Report
	err    error
}

func (s *session) read(ctx context.Context) {
	for {
		r, err := s.conn.ReadReport(ctx)
		select {
		case s.input <- input{r, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-s.handled:
		case <-ctx.Done():
			return
		}
	}
}

func (s *session) run(ctx context.Context) error {
	for {
		if err := s.step(ctx); err != nil {
			return err
		}
	}
}

func (s *session) step(ctx context.Context) error {
	t := s.current
	if t == nil {
		t = &transaction{} // its channels are nil and never ready
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case in := <-s.input:
		err := s.take(ctx, in)
		s.handled <- struct{}{}
		return err
	case <-s.timeout.C:
		return s.refuseHalf(ctx, ErrMsgTimeout)
	case t.status = <-t.changed:
		return s.keepalive(ctx)
	case <-t.ticks:
		return s.keepalive(ctx)
	case response := <-t.response:
		s.forgetCurrent()
		return s.send(ctx, t.reply(response))
	}
}

func (s *session) take(ctx context.Context, in input) error {
	switch {
	case errors.Is(in.err, ErrHangUp):
		s.abort()
		s.lock.release()
		return nil
	case in.err != nil:
		return fmt.Errorf("read report: %w", in.err)
	}
	p := ParsePacket(in.report)
	if p.Initial {
		return s.initial(ctx, p)
	}
	return s.continuation(ctx, p)
}

// initial takes an initialization packet. The order of the cases is the order of precedence.
func (s *session) initial(ctx context.Context, p Packet) error {
	known := s.channels.allocated(p.CID)
	if known {
		s.channels.used(p.CID)
	}
	switch {
	case p.Command == CommandInit && p.CID == BroadcastCID:
		return s.init(ctx, p)
	case !known:
		return s.refuse(ctx, p.CID, ErrInvalidChannel)
	case p.Command == CommandCancel:
		s.cancel(p.CID)
		return nil
	case s.lock.excludes(p.CID):
		return s.refuse(ctx, p.CID, ErrChannelBusy)
	case p.Command == CommandInit:
		return s.init(ctx, p)
	case s.half != nil && s.busyCID() == p.CID:
		return s.refuseHalf(ctx, ErrInvalidSeq)
	case s.busyCID() != reservedCID:
		return s.refuse(ctx, p.CID, ErrChannelBusy)
	}
	return s.begin(ctx, p)
}

// continuation takes a continuation packet. One that continues nothing is ignored on whatever channel (§11.2.5.4): it
// may belong to a message whose first packet was refused, and a message gets one answer, not one for each packet.
func (s *session) continuation(ctx context.Context, p Packet) error {
	if s.half == nil || s.half.message.CID != p.CID {
		return nil
	}
	if err := s.half.add(p); err != nil {
		return s.refuseHalf(ctx, ErrInvalidSeq)
	}
	return s.proceed(ctx)
}

// init answers CTAPHID_INIT (§11.2.9.1.3): on the broadcast channel it allocates a channel, on a channel it aborts
// what that channel is at (§11.2.5.3). Both leave the transactions of other channels alone.
func (s *session) init(ctx context.Context, p Packet) error {
	if p.BCNT != nonceSize {
		return s.refuse(ctx, p.CID, ErrInvalidLen)
	}
	cid, ok := p.CID, true
	if cid == BroadcastCID {
		cid, ok = s.channels.allocate(cmp.Or(s.MaxChannels, 64), cmp.Or(s.busyCID(), s.lock.owner()))
	} else if cid == s.busyCID() {
		s.abort()
	}
	if !ok {
		return s.refuse(ctx, p.CID, ErrChannelBusy)
	}
	payload := binary.BigEndian.AppendUint32(p.Data[:nonceSize:nonceSize], uint32(cid))
	payload = append(payload, protocolVersion, s.Version[0], s.Version[1], s.Version[2], byte(s.capabilities()))
	return s.send(ctx, Message{p.CID, CommandInit, payload})
}

// begin starts a message. What can be refused by its first packet is refused at once.
func (s *session) begin(ctx context.Context, p Packet) error {
	a, err := assemble(p)
	if err != nil {
		return s.refuse(ctx, p.CID, ErrInvalidLen)
	}
	if !s.supports(p.Command) {
		return s.refuse(ctx, p.CID, ErrInvalidCmd)
	}
	s.half = a
	return s.proceed(ctx)
}

// proceed waits for the next packet of the half message, or executes it when it is complete.
func (s *session) proceed(ctx context.Context) error {
	if !s.half.complete() {
		s.timeout.Reset(cmp.Or(s.MessageTimeout, 500*time.Millisecond))
		return nil
	}
	m := s.half.message
	s.forgetHalf()
	return s.execute(ctx, m)
}

func (s *session) execute(ctx context.Context, m Message) error {
	empty := len(m.Payload) == 0
	switch {
	case m.Command == CommandPing:
		return s.send(ctx, m)
	case m.Command == CommandLock:
		return s.obeyLock(ctx, m)
	case m.Command == CommandWink && empty:
		s.Wink()
		return s.send(ctx, m)
	case m.Command == CommandWink || empty:
		return s.refuse(ctx, m.CID, ErrInvalidLen)
	}
	s.startTransaction(ctx, m)
	return nil
}

// busyCID is the channel that the device is busy with, or reservedCID when it is idle (§11.2.5.1).
func (s *session) busyCID() CID {
	switch {
	case s.current != nil:
		return s.current.cid
	case s.half != nil:
		return s.half.message.CID
	}
	return reservedCID
}

// abort forgets the transaction in progress. The response of its handler, if one comes, is dropped.
func (s *session) abort() {
	s.forgetHalf()
	s.forgetCurrent()
}

func (s *session) forgetHalf() {
	s.timeout.Stop()
	s.half = nil
}

// refuseHalf drops the half message and tells its channel why.
func (s *session) refuseHalf(ctx context.Context, e Error) error {
	cid := s.half.message.CID
	s.forgetHalf()
	return s.refuse(ctx, cid, e)
}

func (s *session) refuse(ctx context.Context, cid CID, e Error) error {
	return s.send(ctx, Message{cid, CommandError, []byte{byte(e)}})
}

// send writes a message, or as much of it as a host takes.
func (s *session) send(ctx context.Context, m Message) error {
	reports, err := m.Reports()
	if err != nil {
		return err
	}
	for _, r := range reports {
		if err := s.conn.WriteReport(ctx, r); errors.Is(err, ErrDropped) {
			return nil
		} else if err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}
