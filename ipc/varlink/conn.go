package varlink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// conn is one connection of a server. Two goroutines share it: one reads ahead, one answers the calls in order.
type conn struct {
	server *Server
	nc     net.Conn
	peer   Peer
	queue  chan received // closed by the reading goroutine

	ending atomic.Bool // the server stops, and waits for this connection
	mu     sync.Mutex  // held while a reply is written: a handler may call Continue from any goroutine
	broken error       // of the first write that failed; nothing may follow half a message
}

// received is a call, or what was wrong with it.
type received struct {
	call *Call
	err  error
}

// serve answers the calls of nc until either side ends the connection.
func (s *Server) serve(ctx context.Context, nc net.Conn, peer Peer) {
	c := &conn{server: s, nc: nc, peer: peer,
		queue: make(chan received, cmp.Or(s.MaxPipelined, DefaultMaxPipelined))}
	defer context.AfterFunc(ctx, c.end)()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var reader sync.WaitGroup
	reader.Go(func() { c.read(ctx, cancel) })
	for r := range c.queue {
		if !c.answer(ctx, r) {
			break
		}
	}
	nc.Close() // ends the reader, which may still want to queue a call
	cancel()
	for r := range c.queue {
		r.wipe()
	}
	reader.Wait()
}

// endTimeout is how long a caller may take one reply when the server stops, which waits for it.
const endTimeout = time.Second

// end has the connection end: nothing more is read, and a caller that takes no replies does not delay the others.
func (c *conn) end() {
	c.ending.Store(true)
	stopReading(c.nc)
	_ = c.nc.SetWriteDeadline(time.Now().Add(endTimeout))
}

// writeTimeout is how long the caller may take for a reply.
func (c *conn) writeTimeout() time.Duration {
	timeout := cmp.Or(c.server.WriteTimeout, DefaultWriteTimeout)
	if c.ending.Load() {
		timeout = min(timeout, endTimeout)
	}
	return timeout
}

// stopReading makes the reader see the end of the stream, while replies can still be written.
func stopReading(nc net.Conn) {
	if half, ok := nc.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead()
		return
	}
	nc.Close()
}

// read queues calls until the stream ends or breaks, then calls gone, which ends ctx: a client that hung up, or doesn't
// keep to the protocol, no longer waits for the call that runs.
func (c *conn) read(ctx context.Context, gone func()) {
	defer close(c.queue)
	p := newPace(cmp.Or(c.server.CallsPerSecond, DefaultCallsPerSecond))
	r := &frameReader{conn: c.nc, max: c.maxMessage(), timeout: cmp.Or(c.server.FrameTimeout, DefaultFrameTimeout)}
	defer r.wipe()
	for {
		message, err := r.next()
		var call *Call
		if err == nil {
			call, err = decodeCall(message)
			r.release()
		}
		if err != nil {
			gone()
			c.enqueue(received{err: err}, gone)
			return
		}
		call.Peer, call.conn = c.peer, c
		if wait := p.take(time.Now()); wait > 0 {
			c.pause(ctx, wait, gone)
		}
		c.enqueue(received{call: call}, gone)
	}
}

// pause lets time pass in which nothing is read, so a hang-up has to be asked for. After one there is nothing more to
// come than what was sent, and no reason to wait.
func (c *conn) pause(ctx context.Context, wait time.Duration, gone func()) {
	if hungUp(c.nc) {
		gone()
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// enqueue waits for a place in the queue. Nothing is read meanwhile, so a hang-up has to be asked for.
func (c *conn) enqueue(r received, gone func()) {
	select {
	case c.queue <- r:
		return
	default:
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case c.queue <- r:
			return
		case <-tick.C:
			if hungUp(c.nc) {
				gone()
			}
		}
	}
}

func (r received) wipe() {
	if r.call != nil {
		clear(r.call.Parameters)
	}
}

// answer runs the handler and replies. False means that the connection is of no further use.
func (c *conn) answer(ctx context.Context, r received) bool {
	defer r.wipe()
	if r.err != nil {
		c.complain(r.err)
		return false
	}
	h, err := c.server.handler(r.call)
	var out any
	if err == nil {
		out, err = h(ctx, r.call)
	}
	if err == nil && !r.call.Oneway {
		err = c.reply(out, false)
	}
	if err != nil && c.usable() {
		c.fail(ctx, r.call, err)
	}
	return c.usable()
}

// fail replies with err under its name, or with a name for errors that have none or can't be sent.
func (c *conn) fail(ctx context.Context, call *Call, err error) {
	if !errors.As(err, new(Named)) && ctx.Err() == nil {
		c.server.log().Error("call failed", "method", call.Method, "error", err)
	}
	if call.Oneway {
		return
	}
	named := c.server.named(err, call.Method)
	if c.write(errorReply(named)) != nil { // too large, since it may repeat what the client sent
		_ = c.write(errorReply(&Error{Name: named.VarlinkError()}))
	}
}

// complain tells the client why its connection gets closed, unless it has closed it itself.
func (c *conn) complain(err error) {
	if errors.Is(err, ErrMessageTooLarge) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = InvalidParameter{"message"}
	}
	if invalid, ok := err.(InvalidParameter); ok {
		c.server.log().Warn("connection closed", "pid", c.peer.PID, "uid", c.peer.UID, "error", err)
		_ = c.write(errorReply(invalid))
	}
}

// Continue sends an intermediate reply; v is marshalled as a [Handler]'s reply is. Without "more" in the call it
// returns [ExpectedMore], which the handler may return in turn. Goroutines of the handler may call it concurrently.
func (c *Call) Continue(v any) error {
	if !c.More {
		return ExpectedMore{}
	}
	return c.conn.reply(v, true)
}

func (c *conn) reply(v any, continues bool) error {
	if raw, own := v.(json.RawMessage); own { // by which a handler replies that must leave no copies behind
		defer clear(raw)
	}
	parameters, err := marshal(v)
	if err != nil {
		return err
	}
	defer clear(parameters)
	return c.write(Reply{Parameters: parameters, Continues: continues})
}

func errorReply(named Named) Reply {
	parameters, err := marshal(named)
	if err != nil { // the name alone is still worth sending
		parameters, _ = marshal(nil)
	}
	return Reply{err: named.VarlinkError(), Parameters: parameters}
}

func (c *conn) write(r Reply) error {
	message := r.encode()
	defer clear(message)
	if len(message)-1 > cmp.Or(c.server.MaxReply, c.maxMessage()) {
		return ErrMessageTooLarge
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	c.broken = c.nc.SetWriteDeadline(time.Now().Add(c.writeTimeout()))
	if c.broken == nil {
		_, c.broken = c.nc.Write(message)
	}
	if c.broken != nil {
		c.nc.Close() // the reader sees it and ends the handler's context
	}
	return c.broken
}

func (c *conn) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken == nil
}

func (c *conn) maxMessage() int { return cmp.Or(c.server.MaxMessage, DefaultMaxMessage) }
