package ctaphid

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"fob/fido/ctap"
)

const (
	// cancelTimeout bounds the wait for the answer to a cancelled request, and for that to the CTAPHID_INIT that ends one.
	// Keys answer within milliseconds; the person who pressed Ctrl-C should not wait longer than this for one that
	// doesn't.
	cancelTimeout = time.Second
	// restTimeout bounds the wait for the next packet of a reply that has begun. Devices give hosts half of it.
	restTimeout = time.Second
)

// Client is the host's side of CTAPHID: one channel of a device. Its methods must not be called at the same time.
//
// They return an Error when the device answers CTAPHID_ERROR, and a *BadReplyError when it breaks the protocol. Replies
// are bounded in size but not in time: a device may send keepalives for as long as ctx lets it.
type Client struct {
	ProtocolVersion byte
	DeviceVersion   [3]byte // major, minor, build
	Capabilities    Capability

	conn Conn
	cid  CID
	lost bool // a transaction was left unfinished, so CTAPHID_INIT must come before the next one
}

// BadReplyError is a reply that breaks the protocol. Err is the Error that a device would give for such a request, or
// says what is wrong.
type BadReplyError struct{ Err error }

func (e *BadReplyError) Error() string { return "bad reply from device: " + e.Err.Error() }
func (e *BadReplyError) Unwrap() error { return e.Err }

// ErrUnanswered is a device that goes on with a request that was cancelled, a second later.
var ErrUnanswered = errors.New("the device does not answer a cancel")

var errEcho = errors.New("echo differs")

// Open allocates a channel.
func Open(ctx context.Context, conn Conn) (*Client, error) {
	c := &Client{conn: conn, cid: BroadcastCID}
	if err := c.init(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// CBOR sends a CTAP2 command, its byte followed by CBOR, and returns the response: at least a status byte. It calls
// onKeepalive, which may be nil, at each keepalive.
//
// When ctx is done, it sends CTAPHID_CANCEL and waits for the device's answer, at most a second. It returns the error
// of ctx then, with ErrUnanswered if there is none, unless the device had completed the command already: then it
// returns that response.
func (c *Client) CBOR(ctx context.Context, payload []byte, onKeepalive func(ctap.KeepaliveStatus)) ([]byte, error) {
	e, err := c.begin(ctx, CommandCBOR, payload)
	if err != nil {
		return nil, err
	}
	e.onKeepalive = onKeepalive
	reply, err := e.wait(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return e.cancel(ctx)
	}
	return notEmpty(reply, err)
}

// Msg sends a CTAP1/U2F command APDU and returns the response APDU. CTAPHID cannot cancel it; when ctx is done, Resync
// aborts it, which takes a second at most.
func (c *Client) Msg(ctx context.Context, apdu []byte) ([]byte, error) {
	reply, err := c.transact(ctx, CommandMsg, apdu)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		if lost := c.Resync(context.WithoutCancel(ctx)); lost != nil {
			return nil, fmt.Errorf("%w; %w", ctx.Err(), lost)
		}
		return nil, ctx.Err()
	}
	return notEmpty(reply, err)
}

// Resync ends a transaction that was left unfinished, by CTAPHID_INIT on its channel (§11.2.5.3): the device is idle
// then, and no answer is under way. It does nothing where there is none. Every request begins with it. It waits for a
// second at most.
func (c *Client) Resync(ctx context.Context) error {
	if !c.lost {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	if err := c.init(ctx); err != nil {
		return fmt.Errorf("resynchronise: %w", err)
	}
	return nil
}

// Ping has the device echo data, of at most MaxPayload bytes.
func (c *Client) Ping(ctx context.Context, data []byte) error {
	echo, err := c.transact(ctx, CommandPing, data)
	if err == nil && !bytes.Equal(echo, data) {
		return &BadReplyError{errEcho}
	}
	return err
}

// Wink asks the device to show itself. A device without CapWink answers ErrInvalidCmd.
func (c *Client) Wink(ctx context.Context) error {
	_, err := c.transact(ctx, CommandWink, nil)
	return err
}

// Lock keeps other channels from the device for d, in whole seconds up to MaxLock: they get ErrChannelBusy. Another
// Lock begins the time anew, and one of 0 ends it. A device without CTAPHID_LOCK answers ErrInvalidCmd.
func (c *Client) Lock(ctx context.Context, d time.Duration) error {
	if d < 0 || d > MaxLock || d%time.Second != 0 {
		return fmt.Errorf("lock of %v: %w", d, ErrInvalidPar)
	}
	_, err := c.transact(ctx, CommandLock, []byte{byte(d / time.Second)})
	return err
}

func notEmpty(reply []byte, err error) ([]byte, error) {
	if err == nil && len(reply) == 0 {
		return nil, &BadReplyError{ErrInvalidLen}
	}
	return reply, err
}

func (c *Client) transact(ctx context.Context, command Command, payload []byte) ([]byte, error) {
	e, err := c.begin(ctx, command, payload)
	if err != nil {
		return nil, err
	}
	return e.wait(ctx)
}

// init asks for a channel, or resynchronises the one that c has (§11.2.5.3). Replies that hosts before us left unread,
// and those to other hosts, differ by channel or nonce.
func (c *Client) init(ctx context.Context) error {
	var nonce [nonceSize]byte
	rand.Read(nonce[:])
	if err := c.send(ctx, Message{c.cid, CommandInit, nonce[:]}); err != nil {
		return err
	}
	for {
		p, err := c.read(ctx)
		switch {
		case err != nil:
			return err
		case p.Initial && p.Command == CommandError && p.BCNT == 1:
			return Error(p.Data[0])
		case p.Initial && p.Command == CommandInit && bytes.Equal(p.Data[:nonceSize], nonce[:]):
			return c.opened(p)
		}
	}
}

// opened takes the response to CTAPHID_INIT. A longer one is valid: later versions may add to it.
func (c *Client) opened(p Packet) error {
	if p.BCNT < initResponseSize || p.BCNT > initialRoom {
		return &BadReplyError{ErrInvalidLen}
	}
	r := p.Data[nonceSize:]
	cid := CID(binary.BigEndian.Uint32(r))
	if cid == reservedCID || cid == BroadcastCID || c.cid != BroadcastCID && c.cid != cid {
		return &BadReplyError{ErrInvalidChannel}
	}
	c.cid, c.lost = cid, false
	c.ProtocolVersion, c.DeviceVersion, c.Capabilities = r[4], [3]byte(r[5:8]), Capability(r[8])
	return nil
}

func (c *Client) send(ctx context.Context, m Message) error {
	reports, err := m.Reports()
	if err != nil {
		return err
	}
	for _, r := range reports {
		if err := c.conn.WriteReport(ctx, r); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

// read returns the next packet of c's channel.
func (c *Client) read(ctx context.Context) (Packet, error) {
	for ctx.Err() == nil { // however many reports a Conn has ready
		r, err := c.conn.ReadReport(ctx)
		if err != nil {
			return Packet{}, fmt.Errorf("read report: %w", err)
		}
		if p := ParsePacket(r); p.CID == c.cid {
			return p, nil
		}
	}
	return Packet{}, ctx.Err()
}

// exchange is a request that was sent and its reply, as far as it has come.
type exchange struct {
	client      *Client
	command     Command
	onKeepalive func(ctap.KeepaliveStatus) // may be nil
	reply       *assembly
}

// begin sends a request. The client counts as lost until wait has the whole answer.
func (c *Client) begin(ctx context.Context, command Command, payload []byte) (*exchange, error) {
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("payload of %d bytes: %w", len(payload), ErrInvalidLen)
	}
	if err := c.Resync(ctx); err != nil {
		return nil, err
	}
	c.lost = true
	if err := c.send(ctx, Message{c.cid, command, payload}); err != nil {
		return nil, err
	}
	return &exchange{client: c, command: command}, nil
}

// wait returns the reply. After an error of ctx it may be called again.
func (e *exchange) wait(ctx context.Context) ([]byte, error) {
	for {
		p, err := e.next(ctx)
		if err != nil {
			return nil, err
		}
		if err := e.take(p); err != nil {
			return nil, err
		}
		if e.reply != nil && e.reply.complete() {
			e.client.lost = false
			return e.reply.message.Payload, nil
		}
	}
}

// next reads a packet. The device may take its time to begin, but not to go on.
func (e *exchange) next(ctx context.Context) (Packet, error) {
	if e.reply == nil {
		return e.client.read(ctx)
	}
	patience, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	p, err := e.client.read(patience)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return Packet{}, &BadReplyError{ErrMsgTimeout}
	}
	return p, err
}

func (e *exchange) take(p Packet) (err error) {
	switch {
	case !p.Initial && e.reply == nil: // a reply without its beginning
		err = ErrInvalidSeq
	case !p.Initial:
		err = e.reply.add(p)
	case e.reply != nil:
		err = ErrInvalidSeq
	case p.Command == e.command:
		e.reply, err = assemble(p)
	case p.BCNT != 1:
		err = ErrInvalidLen
	case p.Command == CommandKeepalive:
		e.keepalive(ctap.KeepaliveStatus(p.Data[0]))
	case p.Command == CommandError:
		e.client.lost = false
		return Error(p.Data[0])
	default:
		err = ErrInvalidCmd
	}
	if err != nil {
		return &BadReplyError{err}
	}
	return nil
}

func (e *exchange) keepalive(status ctap.KeepaliveStatus) {
	if e.onKeepalive != nil {
		e.onKeepalive(status)
	}
}

// cancel ends the exchange whose ctx is done.
func (e *exchange) cancel(ctx context.Context) ([]byte, error) {
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	e.onKeepalive = nil
	err := e.client.send(grace, Message{e.client.cid, CommandCancel, nil})
	if err != nil {
		return nil, fmt.Errorf("%w; cancel: %w", ctx.Err(), err)
	}
	reply, err := notEmpty(e.wait(grace))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w; %w: %w", ctx.Err(), ErrUnanswered, err)
	case reply[0] == byte(ctap.ErrKeepaliveCancel):
		return nil, ctx.Err()
	}
	return reply, nil
}
