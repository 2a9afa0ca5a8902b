package nfcbridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/ctapnfc"
)

// Options say how to reach a card. The zero value is for a pcscd in its usual place.
type Options struct {
	Socket string       // of pcscd; empty for the place where libpcsclite would look
	Log    *slog.Logger // nil for none
	// Idle is how long after a request the card is still kept from other programs, so that the requests of a ceremony
	// follow each other undisturbed; 0 means 3 s.
	Idle time.Duration
}

func (o Options) log() *slog.Logger { return cmp.Or(o.Log, slog.New(slog.DiscardHandler)) }

// Key is a FIDO card in a reader as a ctap.Handler. From a request on until Options.Idle after the last one it holds
// the card in a transaction. The next one selects the application again: a pinUvAuthToken and what was enumerated may
// be gone then.
//
// A card that another program holds answers CTAP1_ERR_CHANNEL_BUSY, after three seconds. One that is lost answers
// nothing, as befits a key that is pulled out: ServeCTAP lasts until its context ends, which is for whoever serves the
// Key to do when Lost is closed.
type Key struct {
	U2F, CTAP2 bool // what the card speaks; at least one

	reader  string
	options Options
	lost    chan struct{}

	mu       sync.Mutex // held during a request
	session  *session   // nil between ceremonies
	idle     *time.Timer
	lastUsed time.Time
	err      error // why the card was lost; set before lost is closed
}

// Open looks at the card in a reader, and lets go of it again. It fails with ErrNoFIDO, ErrCardLost, fido.ErrDeviceBusy
// when another program holds the card, and an error of pcsc. The caller closes the Key.
func Open(ctx context.Context, reader string, o Options) (*Key, error) {
	k := &Key{reader: reader, options: o, lost: make(chan struct{})}
	k.idle = time.AfterFunc(k.idleTime(), k.release)
	k.idle.Stop()
	s, err := startSession(ctx, o.Socket, reader)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if err := k.look(ctx, s.reader); err != nil {
		return nil, err
	}
	return k, nil
}

// versionU2F is the answer to SELECT of a card that speaks U2F, with or without CTAP2 (CTAP 2.2 §11.3.3).
const versionU2F = "U2F_V2"

// look finds out what the card speaks.
func (k *Key) look(ctx context.Context, r *ctapnfc.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	info, err := r.CBOR(ctx, []byte{byte(ctap.CommandGetInfo)}, nil)
	sw := ctapnfc.StatusWord(0)
	if err != nil && !errors.As(err, &sw) {
		return explainSelect(err)
	}
	k.U2F = r.Version == versionU2F
	k.CTAP2 = err == nil && ctap.StatusCode(info[0]) == ctap.StatusOK
	if !k.U2F && !k.CTAP2 {
		return fmt.Errorf("%w that answers: %w", ErrNoFIDO, cmp.Or(err, error(ctap.ErrOther)))
	}
	return nil
}

// Device is the CTAPHID side of the Key, for an endpoint to serve.
func (k *Key) Device() ctaphid.Device {
	d := ctaphid.Device{Handler: k, Capabilities: ctaphid.CapWink} // which is ignored, but not 0
	if k.CTAP2 {
		d.Capabilities |= ctaphid.CapCBOR
	}
	if !k.U2F {
		d.Capabilities |= ctaphid.CapNMSG
	}
	return d
}

// Lost is closed when the card is lost. Then Err says why.
func (k *Key) Lost() <-chan struct{} { return k.lost }

// Err is why the card was lost: ErrCardLost; nil before Lost is closed.
func (k *Key) Err() error {
	select {
	case <-k.lost:
		return k.err
	default:
		return nil
	}
}

// ServeCTAP asks the card.
func (k *Key) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	k.mu.Lock()
	defer k.mu.Unlock()
	response, err := k.ask(ctx, r, keepalive)
	if err != nil {
		k.end()
		response = k.fail(ctx, r, err)
	}
	k.lastUsed = time.Now()
	k.idle.Reset(k.idleTime())
	return response
}

func (k *Key) ask(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) (ctap.Response, error) {
	if k.err != nil {
		return nil, k.err
	}
	if k.session == nil {
		s, err := startSession(ctx, k.options.Socket, k.reader)
		if err != nil {
			return nil, err
		}
		k.session = s
	}
	if !r.U2F {
		response, err := k.session.reader.CBOR(ctx, r.Payload, keepalive)
		return response, explain(err)
	}
	patient, stop := outlive(ctx) // U2F can't be cancelled
	defer stop()
	response, err := k.session.reader.Msg(patient, r.Payload)
	return response, explain(err)
}

// fail gives the response to a request that the card has not answered. A status word other than success is not about
// U2F, for there it is the answer.
func (k *Key) fail(ctx context.Context, r ctap.Request, err error) ctap.Response {
	status, sw := ctap.ErrOther, ctapnfc.SWNoPreciseDiagnosis
	switch {
	case errors.Is(context.Cause(ctx), ErrCardLost):
		k.lose(context.Cause(ctx))
		status = ctap.ErrKeepaliveCancel
	case ctx.Err() != nil:
		status = ctap.ErrKeepaliveCancel
	case errors.Is(err, ErrCardLost), errors.Is(err, ErrNoFIDO): // another card may have taken its place
		k.lose(err)
		<-ctx.Done()
		status = ctap.ErrKeepaliveCancel
	case errors.Is(err, fido.ErrDeviceBusy):
		status, sw = ctap.ErrChannelBusy, ctapnfc.SWCommandNotAllowed
	}
	k.options.log().Debug("card did not answer", "reader", k.reader, "err", err)
	if r.U2F {
		return ctapnfc.Response{SW: sw}.Bytes()
	}
	return ctap.Response{byte(status)}
}

func (k *Key) lose(err error) {
	if k.err == nil {
		k.err = err
		close(k.lost)
	}
}

func (k *Key) idleTime() time.Duration { return cmp.Or(k.options.Idle, 3*time.Second) }

// release lets other programs have the card, unless a request has come meanwhile.
func (k *Key) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.lastUsed) >= k.idleTime() {
		k.end()
	}
}

func (k *Key) end() {
	if k.session != nil {
		k.session.end()
		k.session = nil
	}
}

// Close waits for the request in progress and lets go of the card.
func (k *Key) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle.Stop()
	k.end()
	return nil
}
