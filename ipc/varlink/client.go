package varlink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
)

// Conn is a client's connection. Calls from several goroutines take turns.
type Conn struct {
	MaxMessage int // bytes of one message in either direction; 0 means 1 MiB; set it before the first call

	nc   net.Conn
	r    frameReader
	turn chan struct{} // holds one token: who has it may use nc and r
}

// Dial connects to the Unix socket at path.
func Dial(ctx context.Context, path string) (*Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("varlink: %w", err)
	}
	return NewConn(nc), nil
}

// NewConn makes a client's connection of nc, which Close closes.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, r: frameReader{conn: nc}, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// Close ends the connection; calls that wait for a reply fail, and the server cancels what it does for them.
func (c *Conn) Close() error { return c.nc.Close() }

// Call calls a method, in being its parameters (nil for none), and decodes the reply into out (nil to drop it).
// An error of the service is an [*Error]. When ctx ends before the reply, the connection is closed.
func (c *Conn) Call(ctx context.Context, method string, in, out any) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	reply, err := c.exchange(ctx, Call{Method: method}, in)
	if err != nil {
		return err
	}
	defer clear(reply.Parameters)
	if reply.Continues {
		c.nc.Close() // there is more to come that nobody waits for
		return fmt.Errorf("%w: unexpected \"continues\"", ErrMalformed)
	}
	return reply.Bind(out)
}

// Oneway calls a method without waiting for it: the service sends neither reply nor error.
func (c *Conn) Oneway(ctx context.Context, method string, in any) error {
	done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return c.send(ctx, Call{Method: method, Oneway: true}, in)
}

// Stream calls a method with "more" and yields its replies as they come, up to the last, for which Continues is false.
// An error is yielded once and ends the iteration. Leaving the loop before the last reply closes the connection, as does
// the end of ctx; both cancel the call at the server. Other calls wait until the loop ends.
func (c *Conn) Stream(ctx context.Context, method string, in any) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		done, err := c.begin(ctx)
		if err != nil {
			yield(Reply{}, err)
			return
		}
		more := true
		defer func() {
			if more { // replies that nobody will read
				c.nc.Close()
			}
			done()
		}()
		reply, err := c.exchange(ctx, Call{Method: method, More: true}, in)
		for {
			more = err == nil && reply.Continues
			goOn := yield(reply, err)
			clear(reply.Parameters)
			if !more || !goOn {
				return
			}
			reply, err = c.receive(ctx)
		}
	}
}

// begin takes the turn and ties the connection to ctx until done is called.
func (c *Conn) begin(ctx context.Context) (done func(), err error) {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c.r.max = c.maxMessage()
	release := context.AfterFunc(ctx, func() { c.nc.Close() })
	return func() {
		release()
		c.turn <- struct{}{}
	}, nil
}

// exchange sends a call and returns its first reply.
func (c *Conn) exchange(ctx context.Context, call Call, in any) (Reply, error) {
	sendErr := c.send(ctx, call, in)
	var network net.Error
	if sendErr != nil && !errors.As(sendErr, &network) {
		return Reply{}, sendErr
	}
	reply, err := c.receive(ctx)
	var refused *Error
	if sendErr != nil && !errors.As(err, &refused) { // a server that won't serve us says so, then closes
		return Reply{}, sendErr
	}
	return reply, err
}

func (c *Conn) send(ctx context.Context, call Call, in any) error {
	if in != nil {
		parameters, err := marshal(in)
		if err != nil {
			return err
		}
		defer clear(parameters)
		call.Parameters = parameters
	}
	message := call.encode()
	defer clear(message)
	if len(message)-1 > c.maxMessage() {
		return ErrMessageTooLarge
	}
	if ctx.Err() != nil { // nothing of the call goes out, and the connection is being closed
		return context.Cause(ctx)
	}
	_, err := c.nc.Write(message)
	return c.cause(ctx, err)
}

// receive returns the next reply; one with an error is returned as that error.
func (c *Conn) receive(ctx context.Context) (Reply, error) {
	message, err := c.r.next()
	if err != nil {
		c.nc.Close()
		c.r.wipe()
		return Reply{}, c.cause(ctx, err)
	}
	reply, err := decodeReply(message)
	c.r.release()
	switch {
	case err != nil:
		c.nc.Close()
		return Reply{}, err
	case reply.err != "":
		return Reply{}, &Error{Name: reply.err, Parameters: reply.Parameters}
	}
	return reply, nil
}

// cause says what ended the connection: the caller's context, or the other side.
func (c *Conn) cause(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("varlink: %w", err)
}

func (c *Conn) maxMessage() int { return cmp.Or(c.MaxMessage, DefaultMaxMessage) }
