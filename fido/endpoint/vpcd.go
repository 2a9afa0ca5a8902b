package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctapnfc"
)

// VPCDAddr is where vpcd waits for the card of its first reader, "Virtual PCD 00 00", unless /etc/reader.conf.d/vpcd
// says otherwise. The second reader has the next port.
const VPCDAddr = "127.0.0.1:35963"

var (
	// ErrNoReader means that nobody waits for a card.
	ErrNoReader = errors.New("no virtual reader: install the packages vsmartcard-vpcd and pcscd, and start pcscd" +
		" (systemctl start pcscd)")
	// ErrReaderTaken means that a reader is there but did not look for our card. It holds one card at a time.
	ErrReaderTaken = errors.New("the virtual reader does not take the card: perhaps there is another one in it")
	// ErrReaderGone means that the reader has dropped the card while OpenVPCD waited for it.
	ErrReaderGone = errors.New("the virtual reader is gone: pcscd has ended or dropped the card")
)

// atr is what the card says of itself when it is powered up, as a reader of contactless cards tells it (PC/SC part 3,
// §3.1.3.2.3.1): protocols T=0 and T=1, then historical bytes (ISO 7816-4, "Historical bytes"). They say that the card
// selects applications by full name, understands command chaining and extended lengths, and was issued by "fob".
var atr = []byte("\x3b\x89\x80\x01\x80\x73\x80\x21\xc0\x53fob\xa2")

// VPCD is an NFC key in a virtual reader: a card that vsmartcard's vpcd, a driver of pcscd, reaches over TCP. Whoever
// asks pcscd finds it, as long as it is there: from OpenVPCD until Serve ends.
//
// Where systemd starts pcscd for each program that needs it, it ends a minute after the last one. The card is without
// power then, and is put in again within a fraction of a second when there is a reader.
type VPCD struct {
	// Card has the settings of the card; its Handler is not used. Set it before Serve.
	Card ctapnfc.Card
	// Link, where it is not nil, gives what stands between the reader and the Card. Set it before Serve.
	Link func(ctapnfc.Exchange) ctapnfc.Exchange

	addr  string
	conn  *vpcdConn // nil when the card is out of the reader
	first vpcdFrame // what the reader said last, not yet obeyed
	service
}

// OpenVPCD puts a card into the reader at addr, such as VPCDAddr, and waits until the reader powers it up; pcscd looks
// about every 400 ms. It waits for pcscd to drop another card, so ctx should have a deadline. Serve should follow soon:
// pcscd is waiting for the card's answer.
//
// It fails with ErrNoReader when nobody listens, and with ErrReaderTaken when ctx is done.
func OpenVPCD(ctx context.Context, addr string) (*VPCD, error) {
	v := &VPCD{addr: addr}
	if err := vpcdError(ctx, v.putIn(ctx)); err != nil {
		return nil, err
	}
	return v, nil
}

// putIn puts the card in, and once more if the reader doesn't use it. When it fails, the card is out.
func (v *VPCD) putIn(ctx context.Context) error {
	err := v.insert(ctx)
	if err == nil && v.first.is(vpcdATR) {
		v.eject(ctx)
		err = v.insert(ctx)
	}
	if err == nil {
		err = ctx.Err() // the connection may be closed already
	}
	if err != nil {
		v.takeOut()
	}
	return err
}

// takeOut is for a card that may be out already.
func (v *VPCD) takeOut() {
	if v.conn != nil {
		v.conn.Close()
		v.conn = nil
	}
}

func vpcdError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrReaderTaken, ctx.Err())
	case errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("%w: %w", ErrNoReader, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrReaderGone, err)
	}
	return nil
}

// vpcdLooks is how often the reader looks at a card, by asking for its ATR, before it powers it up.
const vpcdLooks = 2

// insert connects and waits until the reader has looked at the card, then for what it says next.
//
// If it goes on looking rather than to power the card up, it has not noticed that the card before it has gone, as
// happens to one that comes within 400 ms of the other, and would never use it. It will notice that this one goes.
func (v *VPCD) insert(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", v.addr)
	if err != nil {
		return err
	}
	v.conn = &vpcdConn{conn.(*net.TCPConn)}
	defer whenDone(ctx, func() { conn.Close() })()
	v.first, err = v.conn.hear()
	for looks := 0; err == nil && v.first.is(vpcdATR) && looks < vpcdLooks; looks++ {
		if err = v.conn.say(atr); err == nil {
			v.first, err = v.conn.hear()
		}
	}
	return err
}

// eject takes the card out and waits until the reader has seen that.
func (v *VPCD) eject(ctx context.Context) {
	defer whenDone(ctx, func() { v.conn.Close() })()
	defer v.conn.Close()
	err := v.conn.CloseWrite()
	for err == nil {
		_, err = v.conn.hear()
	}
}

// Path is the address of the reader.
func (v *VPCD) Path() string { return v.addr }

// vpcdInterval is the time from one look for a lost reader to the next. A program that has had pcscd started sees the
// card soon enough to wait for it.
const vpcdInterval = 100 * time.Millisecond

// Serve answers the reader through h, whose requests are of TransportNFC, until ctx is done, and returns its error, or
// until Close, and returns os.ErrClosed. It cancels the request in progress and waits for it. Then the card is out of
// the reader; Serve may be called again later to put it in.
//
// A reader that is lost takes the power from the card. Serve waits until it is back, or until it takes the card when
// there is another one in it. When the card is powered up or reset it tells h, if that is a ctap.PowerCycler.
func (v *VPCD) Serve(ctx context.Context, h ctap.Handler) error {
	return v.run(ctx, func(ctx context.Context) error {
		s := v.session(h)
		look := time.NewTicker(vpcdInterval)
		defer look.Stop()
		for {
			if v.conn != nil || v.putIn(ctx) == nil {
				s.serve(ctx, *v.conn, v.first)
				v.takeOut()
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-look.C:
			}
		}
	})
}

func (v *VPCD) session(h ctap.Handler) *cardSession {
	s := &cardSession{card: v.Card, powerUp: func() {}}
	s.card.Handler = h
	s.exchanges = s.card.Exchange
	if v.Link != nil {
		s.exchanges = v.Link(s.exchanges)
	}
	if p, ok := h.(ctap.PowerCycler); ok {
		s.powerUp = p.PowerCycle
	}
	return s
}

// Close takes the card out of the reader: it ends Serve and waits for it. A second Close returns os.ErrClosed.
func (v *VPCD) Close() error {
	return v.close(func() error {
		v.takeOut()
		return nil
	})
}

// cardSession is one Serve. While the card is in the reader, the reader's next frame is awaited even when the card is at
// work, for that is how it learns that it has lost power.
type cardSession struct {
	card      ctapnfc.Card
	exchanges ctapnfc.Exchange // of card, or what stands before it
	powerUp   func()

	conn   vpcdConn // of this stay in the reader, as is what follows
	input  chan vpcdInput
	cancel context.CancelFunc // ends the exchange in progress, or nil
	reply  chan []byte        // has room for its response
}

type vpcdInput struct {
	frame vpcdFrame
	err   error
}

// serve is one stay of the card in the reader: it returns when ctx is done or the reader is lost.
func (s *cardSession) serve(ctx context.Context, conn vpcdConn, first vpcdFrame) {
	s.conn, s.input = conn, make(chan vpcdInput)
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer s.conn.Close()
	defer cancel()
	defer s.powerOff()
	reader.Go(func() { s.read(ctx) })
	for err := s.take(ctx, first); err == nil; {
		err = s.step(ctx)
	}
}

func (s *cardSession) read(ctx context.Context) {
	for {
		f, err := s.conn.hear()
		select {
		case s.input <- vpcdInput{f, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (s *cardSession) step(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case in := <-s.input:
		if in.err != nil {
			return in.err
		}
		return s.take(ctx, in.frame)
	case r := <-s.reply:
		s.forgetExchange()
		if ctx.Err() != nil { // it is why there is an answer
			return ctx.Err()
		}
		return s.conn.say(r)
	}
}

// take takes what the reader says. If it says so while the card is at work, it has lost its patience; the answer still
// comes first, unless the card loses power, which leaves nothing.
func (s *cardSession) take(ctx context.Context, f vpcdFrame) error {
	switch {
	case f.is(vpcdOff):
		s.powerOff()
		return nil
	case f.is(vpcdOn), f.is(vpcdReset):
		s.powerOff()
		s.powerUp()
		return nil
	}
	if late := s.interrupt(); late != nil {
		if err := s.conn.say(late); err != nil {
			return err
		}
	}
	if f.is(vpcdATR) {
		return s.conn.say(atr)
	}
	s.exchange(ctx, f)
	return nil
}

// exchange has the card answer a command in a goroutine of its own. interrupt ends it and waits for it.
func (s *cardSession) exchange(ctx context.Context, apdu []byte) {
	ctx, s.cancel = context.WithCancel(ctx)
	reply := make(chan []byte, 1)
	s.reply = reply
	go func() { reply <- s.exchanges(ctx, apdu) }()
}

// interrupt cancels the exchange in progress, if there is one, and returns its response.
func (s *cardSession) interrupt() []byte {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	r := <-s.reply
	s.forgetExchange()
	return r
}

func (s *cardSession) forgetExchange() {
	s.cancel()
	s.cancel, s.reply = nil, nil
}

func (s *cardSession) powerOff() {
	s.interrupt()
	s.card.Reset()
}
