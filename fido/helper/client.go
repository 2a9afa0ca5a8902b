package helper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// darkTime is how long a helper has for the answer to a cancel before it is killed. The key is dark within a second.
const darkTime = 900 * time.Millisecond

// client sends requests to one helper process.
type client struct {
	process *process
	turn    chan struct{} // a semaphore: who has put a value in may use what follows
	id      uint32
	broken  error // why the helper can't be used any more
	closed  atomic.Bool
	info    atomic.Pointer[ctap.GetInfoResponse] // from the opening, for the first who asks if nothing was done since
	calm    func()                               // told when the key waits for the person, or this ends: there is time for other things; may be nil
}

func newClient(p *process) *client { return &client{process: p, turn: make(chan struct{}, 1)} }

// call sends a request and gives the reply's body, parsed. A body that parse refuses is the helper's fault.
func call[T any](ctx context.Context, c *client, req request, parse func(body []byte) (T, error)) (v T, err error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return v, ctx.Err()
	}
	switch {
	case c.closed.Load():
		return v, os.ErrClosed
	case c.broken != nil:
		return v, c.broken
	case ctx.Err() != nil:
		return v, ctx.Err()
	}
	body, err := c.exchange(ctx, &req)
	if err != nil {
		return v, err
	}
	defer clear(body) // there may be secrets in it
	if v, err = parse(body); err != nil {
		return v, c.fail(fmt.Errorf("%w: %w", fido.ErrBadReply, err))
	}
	return v, nil
}

func (c *client) exchange(ctx context.Context, req *request) ([]byte, error) {
	c.id++
	req.ID = c.id
	c.info.Store(nil)
	frame, err := req.frame()
	if err != nil {
		return nil, err
	}
	if err := writeFrame(c.process.conn, frame, maxRequest); err != nil {
		return nil, c.died()
	}
	stop := deadlineOn(ctx, c.process.conn, darkTime, func() { c.sendCancel(req.ID) })
	r, err := c.receive(ctx, req.ID)
	stop()
	switch {
	case errors.Is(err, ErrFrame):
		return nil, c.fail(fmt.Errorf("%w: %w", fido.ErrBadReply, err))
	case err != nil && ctx.Err() != nil: // no answer to the cancel
		c.died()
		return nil, ctx.Err()
	case err != nil:
		return nil, c.died()
	}
	switch err := r.err(); {
	case errors.Is(err, ErrFrame):
		return nil, c.fail(fmt.Errorf("%w: %w", fido.ErrBadReply, err))
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	return r.Body, nil // though ctx may have ended just now: what the key has done is not thrown away
}

// sendCancel asks the helper to end an operation. If it can't be sent, the helper won't answer, and is killed for it.
func (c *client) sendCancel(id uint32) {
	cancel := request{ID: id, Op: opCancel}
	if frame, err := cancel.frame(); err == nil {
		writeFrame(c.process.conn, frame, maxRequest)
	}
}

// receive reads the reply, and before it perhaps that the key waits for the person. A helper that says so again and
// again does not keep us.
func (c *client) receive(ctx context.Context, id uint32) (*reply, error) {
	for told := false; ; told = true {
		r, err := c.next(id)
		switch {
		case err != nil:
			return nil, err
		case r.Kind != kindWaiting:
			return r, nil
		case told || r.Status != ctap.StatusOK || r.Text != "" || r.Body != nil:
			return nil, ErrFrame
		}
		fido.Waiting(ctx)
		c.isCalm()
	}
}

func (c *client) isCalm() {
	if c.calm != nil {
		c.calm()
	}
}

func (c *client) next(id uint32) (*reply, error) {
	frame, err := readFrame(c.process.conn, maxReply)
	if err != nil {
		return nil, err
	}
	r, err := parseReply(frame)
	clear(frame)
	if err != nil {
		return nil, err
	}
	if r.ID != id {
		return nil, ErrFrame
	}
	return r, nil
}

// died ends a helper that is gone or doesn't answer.
func (c *client) died() error {
	if c.closed.Load() {
		return os.ErrClosed
	}
	c.process.kill()
	c.broken = fmt.Errorf("%w (%s)", fido.ErrHelperDied, c.process.fate())
	return c.broken
}

// fail ends a helper that can't be trusted any more.
func (c *client) fail(err error) error {
	c.process.kill()
	c.broken = err
	return err
}

func (c *client) close() error {
	c.closed.Store(true)
	c.process.close()
	c.isCalm()
	return nil
}

// key is an open key in a helper process of its own.
type key struct{ *client }

var _ fido.Authenticator = key{}

func (k key) GetInfo(ctx context.Context) (*ctap.GetInfoResponse, error) {
	if info := k.info.Swap(nil); info != nil && ctx.Err() == nil && !k.closed.Load() {
		return info, nil
	}
	return call(ctx, k.client, request{Op: opGetInfo}, parseInfo)
}

func (k key) PINRetries(ctx context.Context) (fido.PINRetries, error) {
	return call(ctx, k.client, request{Op: opPINRetries}, parsePINRetries)
}

func (k key) UVRetries(ctx context.Context) (uint, error) {
	return call(ctx, k.client, request{Op: opUVRetries}, parseUVRetries)
}

func (k key) Select(ctx context.Context) error {
	nothing := func([]byte) (struct{}, error) { return struct{}{}, nil }
	_, err := call(ctx, k.client, request{Op: opSelect}, nothing)
	return err
}

func (k key) MakeCredential(ctx context.Context, r *fido.MakeCredentialRequest) (*fido.MakeCredentialResponse, error) {
	body, err := encodeMakeCredential(r)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	parse := func(body []byte) (*fido.MakeCredentialResponse, error) { return parseCredential(body, r.Salts) }
	return call(ctx, k.client, request{Op: opMakeCredential, Body: body, PIN: r.PIN}, parse)
}

func (k key) GetAssertion(ctx context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
	body, err := encodeGetAssertion(r)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	parse := func(body []byte) ([]fido.GetAssertionResponse, error) { return parseAssertions(body, r) }
	return call(ctx, k.client, request{Op: opGetAssertion, Body: body, PIN: r.PIN}, parse)
}

// Close ends the helper process. An operation in progress fails with os.ErrClosed, and so does every later one.
func (k key) Close() error { return k.close() }
