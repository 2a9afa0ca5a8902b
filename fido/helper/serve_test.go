package helper

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// session under test: the daemon's end of the connection, and what Serve returned.
type served struct {
	net.Conn
	driver *fakeDriver
	events chan string
	result chan error
	stop   context.CancelFunc
}

func serve(t *testing.T) *served {
	t.Helper()
	ours, file, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{Conn: ours, events: make(chan string, 16), result: make(chan error, 1)}
	s.driver = &fakeDriver{log: func(event string) { s.events <- event }}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	ours.SetDeadline(time.Now().Add(patience))
	ended := inBackground(func() { s.result <- Serve(ctx, theirs, s.driver) })
	t.Cleanup(func() { ours.Close(); <-ended })
	return s
}

func (s *served) greet(t *testing.T) {
	t.Helper()
	if err := greet(s.Conn); err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
}

func (s *served) send(t *testing.T, r request) {
	t.Helper()
	f, err := r.frame()
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFrame(s.Conn, f, maxRequest); err != nil {
		t.Fatal(err)
	}
}

func (s *served) receive(t *testing.T) *reply {
	t.Helper()
	f, err := readFrame(s.Conn, maxReply)
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseReply(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *served) open(t *testing.T) {
	t.Helper()
	s.greet(t)
	s.send(t, request{ID: 1, Op: opOpen, Body: []byte("/dev/key")})
	if r := s.receive(t); r.err() != nil {
		t.Fatal(r.err())
	}
	s.want(t, "open /dev/key")
}

func (s *served) want(t *testing.T, event string) {
	t.Helper()
	select {
	case got := <-s.events:
		if got != event {
			t.Fatalf("event %q, want %q", got, event)
		}
	case <-time.After(patience):
		t.Fatalf("no event, want %q", event)
	}
}

func (s *served) wantEnd(t *testing.T, want error) {
	t.Helper()
	select {
	case err := <-s.result:
		if !errors.Is(err, want) {
			t.Fatalf("Serve gave %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatal("Serve does not end")
	}
}

func makeBody(t *testing.T, rpID string) []byte {
	t.Helper()
	body, err := encodeMakeCredential(makeRequest(rpID, nil))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestServeCancel(t *testing.T) {
	s := serve(t)
	s.open(t)
	s.send(t, request{ID: 2, Op: opMakeCredential, Body: makeBody(t, "wait.example")})
	s.want(t, "touch")
	s.send(t, request{ID: 1, Op: opCancel}) // of an operation that has ended: ignored
	s.send(t, request{ID: 2, Op: opCancel})
	s.want(t, "dark")
	if r := s.receive(t); r.ID != 2 || !errors.Is(r.err(), context.Canceled) {
		t.Fatalf("reply %+v", r)
	}
	s.send(t, request{ID: 2, Op: opCancel}) // again, too late
	s.send(t, request{ID: 3, Op: opPINRetries})
	if r := s.receive(t); r.ID != 3 || r.err() != nil {
		t.Fatalf("reply %+v", r)
	}
	s.Close()
	s.want(t, "close")
	s.wantEnd(t, nil)
}

func TestServeEndsWithTheConnection(t *testing.T) {
	s := serve(t)
	s.open(t)
	s.send(t, request{ID: 2, Op: opMakeCredential, Body: makeBody(t, "wait.example")})
	s.want(t, "touch")
	s.Close()
	s.want(t, "dark")
	s.want(t, "close")
	s.wantEnd(t, nil)
}

func TestServeLeavesAStuckDriverBehind(t *testing.T) {
	s := serve(t)
	s.open(t)
	s.send(t, request{ID: 2, Op: opMakeCredential, Body: makeBody(t, "hang.example")})
	s.want(t, "touch")
	s.Close()
	s.wantEnd(t, nil)
}

func TestServeEndsWithItsContext(t *testing.T) {
	s := serve(t)
	s.open(t)
	s.stop()
	s.want(t, "close")
	s.wantEnd(t, context.Canceled)
}

func TestServeWipesThePIN(t *testing.T) {
	s := serve(t)
	s.open(t)
	s.send(t, request{ID: 2, Op: opMakeCredential, Body: makeBody(t, "a.example"), PIN: fido.PIN("1234")})
	if r := s.receive(t); r.err() != nil {
		t.Fatal(r.err())
	}
	s.Close()
	s.wantEnd(t, nil)
	if len(s.driver.pins) != 1 || string(s.driver.pins[0]) != "\x00\x00\x00\x00" {
		t.Fatal("the PIN is still there")
	}
}

func TestRequestFramesAreWiped(t *testing.T) {
	r := request{ID: 1, Op: opMakeCredential, PIN: fido.PIN("1234")}
	frame, err := r.frame()
	if err != nil {
		t.Fatal(err)
	}
	received := append([]byte(nil), frame[frameHead:]...)
	a, b := net.Pipe()
	go io.Copy(io.Discard, b)
	if err := writeFrame(a, frame, maxRequest); err != nil {
		t.Fatal(err)
	}
	a.Close()
	got, err := parseRequest(received)
	if err != nil || string(got.PIN) != "1234" {
		t.Fatalf("parseRequest: %v", err)
	}
	for _, b := range append(frame, received...) {
		if b != 0 {
			t.Fatal("a frame was not wiped")
		}
	}
}

func TestServeRefusesBeforeOpen(t *testing.T) {
	s := serve(t)
	s.greet(t)
	for i, op := range []operation{opGetInfo, opPINRetries, opSelect, opMakeCredential, opGetAssertion, 99} {
		s.send(t, request{ID: uint32(i), Op: op})
		if r := s.receive(t); !errors.Is(r.err(), ctap.ErrNotAllowed) {
			t.Fatalf("operation %d: %v", op, r.err())
		}
	}
}

func TestServeRefusesWhatItCannotDo(t *testing.T) {
	s := serve(t)
	s.open(t)
	for _, c := range []struct {
		request
		want error
	}{
		{request{Op: opOpen, Body: []byte("/dev/other")}, ctap.ErrNotAllowed},
		{request{Op: 99}, ctap.ErrInvalidCommand},
		{request{Op: opMakeCredential}, ctap.ErrInvalidCBOR},
		{request{Op: opMakeCredential, Body: []byte{0xa1, 1, 0x41, 0xa0}}, ctap.ErrMissingParameter},
		{request{Op: opGetAssertion, Body: []byte{0xa1, 1, 0x41, 0xa0}}, ctap.ErrMissingParameter},
		{request{Op: opGetAssertion, Body: []byte{0xa1, 1, 0x44, 0xa1, 1, 0x61, 'a'}}, ctap.ErrInvalidLength}, // no hash
		{request{Op: opMakeCredential, Body: makeBody(t, "huge.example")}, ctap.ErrLimitExceeded},
	} {
		s.send(t, c.request)
		if r := s.receive(t); !errors.Is(r.err(), c.want) {
			t.Errorf("%v: %v, want %v", c.request, r.err(), c.want)
		}
	}
}

func TestServeConfines(t *testing.T) {
	s := serve(t)
	s.driver.sandbox = Sandbox{Landlock: 7, Seccomp: true}
	s.driver.open = fido.ErrDeviceBusy
	s.greet(t)
	for i := range uint32(2) {
		s.send(t, request{ID: i, Op: opOpen, Body: []byte("/dev/key")})
		s.want(t, "open /dev/key")
		if r := s.receive(t); !errors.Is(r.err(), fido.ErrDeviceBusy) {
			t.Fatal(r.err())
		}
	}
	for _, r := range []request{{Op: opOpen, Body: []byte("/dev/other")}, {Op: opDevices}} {
		s.send(t, r)
		if r := s.receive(t); !errors.Is(r.err(), ctap.ErrNotAllowed) {
			t.Fatal(r.err())
		}
	}
	if !slices.Equal(s.driver.confined, []string{"/dev/key"}) { // once, and before the first attempt to open
		t.Fatal(s.driver.confined)
	}
	s.driver.open = nil
	s.send(t, request{ID: 3, Op: opOpen, Body: []byte("/dev/key")})
	o, err := parseOpened(s.receive(t).Body)
	if err != nil || o.sandbox.Landlock != 7 || !o.sandbox.Seccomp || o.info == nil || o.info.AAGUID != fakeInfo().AAGUID {
		t.Fatal(o, err)
	}
}

func TestServeConfinesDiscovery(t *testing.T) {
	s := serve(t)
	s.greet(t)
	for range 2 {
		s.send(t, request{Op: opDevices})
		if r := s.receive(t); r.err() != nil {
			t.Fatal(r.err())
		}
	}
	s.send(t, request{Op: opOpen, Body: []byte("/dev/key")})
	if r := s.receive(t); !errors.Is(r.err(), ctap.ErrNotAllowed) || !slices.Equal(s.driver.confined, []string{""}) {
		t.Fatal(r.err(), s.driver.confined)
	}
}

// Nothing happens in a process that could not be confined at all.
func TestServeNotConfined(t *testing.T) {
	s := serve(t)
	s.driver.confine = errors.New("no limits")
	s.greet(t)
	for _, r := range []request{
		{Op: opDevices}, {Op: opDevices}, {Op: opOpen, Body: []byte("/dev/key")}, {Op: opOpen, Body: []byte("/dev/key")},
	} {
		s.send(t, r)
		if r := s.receive(t); !errors.Is(r.err(), ctap.ErrOther) {
			t.Fatal(r.err())
		}
	}
	if len(s.events) > 0 {
		t.Fatal(<-s.events)
	}
	s.send(t, request{Op: opOpen})
	if r := s.receive(t); !errors.Is(r.err(), fido.ErrNoDevice) {
		t.Fatal(r.err())
	}
}

func TestServeHostileDaemon(t *testing.T) {
	twice := request{ID: 2, Op: opMakeCredential, Body: makeBody(t, "wait.example")}
	frame, err := twice.frame()
	if err != nil {
		t.Fatal(err)
	}
	frame[2], frame[3] = byte((len(frame)-4)>>8), byte(len(frame)-4)
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":        {[]byte{0, 0, 0, 0}, ErrFrame},
		"oversize":     {[]byte{0, 1, 0, 1}, ErrFrame},
		"garbage":      {[]byte{0, 0, 0, 2, 0, 0xff}, ErrFrame},
		"PIN too long": {append([]byte{0, 0, 0, 65}, make([]byte, 65)...), ErrFrame},
		"PIN cut":      {[]byte{0, 0, 0, 2, 5, '1'}, ErrFrame},
		"trailing":     {[]byte{0, 0, 0, 3, 0, 0xa0, 0}, ErrFrame},
		"truncated":    {[]byte{0, 0, 0, 9, 0}, io.ErrUnexpectedEOF},
		"head cut":     {[]byte{0, 0}, io.ErrUnexpectedEOF},
		"two at once":  {append(append([]byte(nil), frame...), frame...), ErrFrame},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.open(t)
			s.Write(c.raw)
			if c.want == io.ErrUnexpectedEOF {
				s.Conn.(*net.UnixConn).CloseWrite()
			}
			s.wantEnd(t, c.want)
		})
	}
}

func TestServeHello(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"other version": {append([]byte{0, 0, 0, 5}, 0xa2, 1, 9, 2, 1), ErrVersion},
		"garbage":       {[]byte{0, 0, 0, 1, 0xff}, ErrFrame},
		"oversize":      {[]byte{0, 0, 0, maxHello + 1}, ErrFrame},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.Write(c.raw)
			s.wantEnd(t, c.want)
		})
	}
}
