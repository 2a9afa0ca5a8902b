package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// Driver finds keys and opens them: fido/libfido2.
type Driver interface {
	// Confine takes from the process what the key at path does not need, for good; "" is for finding keys. It is called
	// once, before all else.
	Confine(path string) (Sandbox, error)
	// Devices lists the keys that are plugged in; their IDs are left empty.
	Devices() ([]fido.DeviceInfo, error)
	Open(path string) (fido.Authenticator, error)
	// Rehearse opens a key that is only played. It holds the credential whose ID it gives, and needs no touch.
	Rehearse() (key fido.Authenticator, id []byte, err error)
}

// drainTime is how long Serve waits for the key to go dark after the daemon has gone.
const drainTime = time.Second

// Serve answers the daemon at the other end of conn until it closes the connection, which gives nil, sends something
// malformed (ErrFrame, ErrVersion), or ctx ends. An operation in progress is cancelled then. When a driver doesn't
// obey, Serve returns all the same after a second and leaves the operation behind: the process is about to exit.
func Serve(ctx context.Context, conn net.Conn, d Driver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hangUp := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	defer hangUp()
	s := &session{conn: conn, driver: d}
	err := greet(conn)
	if err == nil {
		err = s.serve(ctx)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	cancel()
	s.end()
	return err
}

type session struct {
	conn    net.Conn
	driver  Driver
	key     fido.Authenticator // nil before it is opened; used by the operation in progress
	current *job               // the last operation; nil before the first

	confined bool
	device   string  // what the process is confined to
	sandbox  Sandbox // how
}

// job is an operation. Its goroutine ends by itself, by cancel at the latest, and closes done.
type job struct {
	id       uint32
	cancel   context.CancelFunc
	answered atomic.Bool // the daemon has the reply, or is about to: it may send the next request
	done     chan struct{}
}

func (s *session) serve(ctx context.Context) error {
	for {
		frame, err := readFrame(s.conn, maxRequest)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		req, err := parseRequest(frame)
		if err != nil {
			return err
		}
		if req.Op == opCancel {
			s.cancel(req.ID)
			continue
		}
		if err := s.start(ctx, req); err != nil {
			return err
		}
	}
}

func (s *session) cancel(id uint32) {
	if s.current != nil && s.current.id == id {
		s.current.cancel()
	}
}

// start begins an operation in a goroutine, so that a cancel and the end of the connection are seen meanwhile.
func (s *session) start(ctx context.Context, req *request) error {
	if s.current != nil {
		if !s.current.answered.Load() {
			req.wipe()
			return ErrFrame // one at a time
		}
		<-s.current.done
	}
	ctx, cancel := context.WithCancel(ctx)
	ctx = fido.OnWaiting(ctx, sync.OnceFunc(func() { s.sendOrEnd(&reply{ID: req.ID, Kind: kindWaiting}) }))
	j := &job{id: req.ID, cancel: cancel, done: make(chan struct{})}
	s.current = j
	go func() {
		defer close(j.done)
		defer cancel()
		r := s.answer(ctx, req)
		req.wipe()
		j.answered.Store(true)
		s.sendOrEnd(r)
	}()
	return nil
}

// sendOrEnd ends the connection when the daemon doesn't read.
func (s *session) sendOrEnd(r *reply) {
	if s.send(r) != nil {
		s.conn.Close()
	}
}

func (s *session) answer(ctx context.Context, req *request) *reply {
	body, err := s.do(ctx, req)
	if err != nil {
		return failure(req.ID, err)
	}
	return &reply{ID: req.ID, Body: body}
}

func (s *session) do(ctx context.Context, req *request) ([]byte, error) {
	switch {
	case req.Op == opDevices:
		return s.devices()
	case req.Op == opConfine && s.key == nil:
		return s.prepare(ctx, string(req.Body))
	case req.Op == opOpen && s.key == nil:
		return s.open(ctx, string(req.Body))
	case s.key == nil || req.Op == opOpen || req.Op == opConfine:
		return nil, ctap.ErrNotAllowed
	default:
		return s.ceremony(ctx, req)
	}
}

func (s *session) devices() ([]byte, error) {
	if err := s.confine(""); err != nil {
		return nil, err
	}
	infos, err := s.driver.Devices()
	if err != nil {
		return nil, err
	}
	return encodeDevices(infos)
}

// prepare confines the process to a key that it shall open later.
func (s *session) prepare(ctx context.Context, path string) ([]byte, error) {
	if path == "" {
		return nil, fido.ErrNoDevice
	}
	if err := s.confine(path); err != nil {
		return nil, err
	}
	if err := s.rehearse(ctx); err != nil {
		return nil, err
	}
	return ctap.Marshal(s.sandbox)
}

// rehearse signs in with a key that is only played: what has to be loaded and set up for the first time, half of what a
// ceremony costs, is there when the person waits.
func (s *session) rehearse(ctx context.Context) error {
	key, id, err := s.driver.Rehearse()
	if err != nil {
		return err
	}
	s.key = key
	defer func() {
		s.key = nil
		key.Close()
	}()
	if _, err := s.opened(ctx); err != nil {
		return err
	}
	asked := fido.GetAssertionRequest{ClientDataHash: make([]byte, hashLength), RPID: "example.com", AllowList: [][]byte{id}}
	body, err := encodeGetAssertion(&asked)
	if err != nil {
		return err
	}
	_, err = s.ceremony(ctx, &request{Op: opGetAssertion, Body: body})
	return err
}

func (s *session) open(ctx context.Context, path string) ([]byte, error) {
	if path == "" {
		return nil, fido.ErrNoDevice
	}
	if err := s.confine(path); err != nil {
		return nil, err
	}
	key, err := s.driver.Open(path)
	if err != nil {
		return nil, err
	}
	s.key = key
	return s.opened(ctx)
}

// opened is the body of the reply that a key is open. What the key says of itself, every ceremony needs at once; of a
// key that can't say it, that is told when it is asked for.
func (s *session) opened(ctx context.Context) ([]byte, error) {
	body := openBody{Sandbox: s.sandbox}
	if info, err := s.ceremony(ctx, &request{Op: opGetInfo}); err == nil {
		body.Info = info
	}
	return ctap.Marshal(body)
}

// confine happens once in the life of a process. There is no way to another device afterwards.
func (s *session) confine(device string) error {
	switch {
	case s.confined && s.device != device:
		return ctap.ErrNotAllowed
	case s.confined:
		return nil
	}
	sandbox, err := s.driver.Confine(device)
	if err != nil {
		return err
	}
	s.confined, s.device, s.sandbox = true, device, sandbox
	return nil
}

func (s *session) ceremony(ctx context.Context, req *request) ([]byte, error) {
	switch req.Op {
	case opGetInfo:
		info, err := s.key.GetInfo(ctx)
		if err != nil {
			return nil, err
		}
		return sensible(parseInfo)(ctap.Marshal(info))
	case opPINRetries:
		n, err := s.key.PINRetries(ctx)
		if err != nil {
			return nil, err
		}
		return sensible(parsePINRetries)(ctap.Marshal(n))
	case opUVRetries:
		n, err := s.key.UVRetries(ctx)
		if err != nil {
			return nil, err
		}
		return sensible(parseUVRetries)(ctap.Marshal(n))
	case opSelect:
		return nil, s.key.Select(ctx)
	case opMakeCredential:
		r, err := parseMakeCredential(req.Body, req.PIN)
		if err != nil {
			return nil, err
		}
		defer r.Salts.Wipe()
		cred, err := s.key.MakeCredential(ctx, r)
		if err != nil {
			return nil, err
		}
		defer cred.HMACSecret.Wipe()
		parse := func(body []byte) (*fido.MakeCredentialResponse, error) { return parseCredential(body, r.Salts) }
		return sensible(parse)(encodeCredential(cred))
	case opGetAssertion:
		r, err := parseGetAssertion(req.Body, req.PIN)
		if err != nil {
			return nil, err
		}
		defer r.Salts.Wipe()
		assertions, err := s.key.GetAssertion(ctx, r)
		if err != nil {
			return nil, err
		}
		defer func() {
			for _, a := range assertions {
				a.HMACSecret.Wipe()
			}
		}()
		parse := func(body []byte) ([]fido.GetAssertionResponse, error) { return parseAssertions(body, r) }
		return sensible(parse)(encodeAssertions(assertions))
	default:
		return s.manage(ctx, req)
	}
}

// sensible passes on what a key has answered, encoded, if the daemon will take it: what the key makes up, the helper
// must not be blamed for.
func sensible[T any](parse func(body []byte) (T, error)) func(body []byte, err error) ([]byte, error) {
	return func(body []byte, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		if _, err := parse(body); err != nil {
			return nil, fmt.Errorf("%w: %w", fido.ErrBadAnswer, err)
		}
		return body, nil
	}
}

func (s *session) send(r *reply) error {
	b, err := ctap.Marshal(r)
	if err == nil && len(b) > maxReply {
		b, err = ctap.Marshal(failure(r.ID, ctap.ErrLimitExceeded))
	}
	if err != nil {
		return err
	}
	return writeFrame(s.conn, append(newFrame(len(b)), b...), maxReply)
}

// end waits for the operation in progress, which has been cancelled, and closes the key.
func (s *session) end() {
	defer s.conn.Close()
	if s.current != nil {
		patience := time.NewTimer(drainTime)
		defer patience.Stop()
		select {
		case <-s.current.done:
		case <-patience.C:
			return
		}
	}
	if s.key != nil {
		s.key.Close()
	}
}
