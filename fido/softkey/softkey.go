// Package softkey plugs an emulated security key in: an emulator at an endpoint, ready for other programs to open.
package softkey

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/ctapnfc"
	"fob/fido/emulator"
)

// Options say what key to plug in. The zero value is a key without a PIN, in memory, that is always touched at once.
type Options struct {
	Profile  *emulator.Profile // nil for that of the state file, or the default one
	Presence emulator.Presence // nil for emulator.Approve
	// Algorithms are those of the key instead of its profile's; nil for the profile's.
	Algorithms []ctap.Algorithm
	// Attestation is how CTAP2 credentials are attested; empty for emulator.SelfAttestation.
	Attestation emulator.Attestation
	// EnterpriseRPIDs are the relying parties that vendor-facilitated enterprise attestation is for.
	EnterpriseRPIDs []string

	State      string              // path of a state file; empty to keep the state in memory
	Passphrase emulator.Passphrase // of an encrypted state file, nil for one in the clear; the caller wipes it
	Fixture    []byte              // what Export gave: a key in memory, or a new State, begins with it
	PIN        fido.PIN            // nil to leave the PIN as it is; the caller wipes it
	Log        *slog.Logger        // nil for none
	Now        func() time.Time    // the key's clock; nil for time.Now
	Place      Place               // where to plug it in; nil for PTY
	OATH       bool                // with VPCD: have an OATH application beside FIDO
	Wink       func()              // what the key does when a host asks it to show itself; nil for nothing

	// Moved, where it is not nil, is told of each Insert and Remove, and where the key is now or was until then. It must
	// neither wait nor use the key.
	Moved func(path string, inserted bool)
	// Wrap, where it is not nil, gives what stands between the endpoint and the key, and sees each request. It should be
	// a ctap.PowerCycler that hands PowerCycle on.
	Wrap func(ctap.Handler) ctap.Handler
	// Link, where it is not nil, gives what stands between the host and the key, and sees each packet. Cards have none.
	Link func(ctaphid.Conn) ctaphid.Conn
	// LinkCard, where it is not nil, gives what stands between the reader and a card, and sees each APDU.
	LinkCard func(ctapnfc.Exchange) ctapnfc.Exchange
}

// Errors of Insert and Remove.
var (
	ErrRemoved  = errors.New("the emulated key is not plugged in")
	ErrInserted = errors.New("the emulated key is plugged in already")
)

// Key is an emulated key, which is plugged in until Close, but between Remove and Insert.
type Key struct {
	*emulator.Authenticator
	file     *emulator.StateFile
	handler  ctap.Handler
	place    Place
	link     func(ctaphid.Conn) ctaphid.Conn
	linkCard func(ctapnfc.Exchange) ctapnfc.Exchange
	oath     bool
	winks    func()                           // nil for nothing
	moved    func(path string, inserted bool) // nil for nothing
	log      *slog.Logger
	path     atomic.Pointer[string] // nil while it is removed; to be had while mu is held
	lost     chan struct{}          // closed when the key can't be served any more

	mu     sync.Mutex // guards the fields below, and is held while the key is plugged in or out
	socket *socket    // what it is plugged into; nil while it is removed
	closed bool
	err    error // why it was lost
}

// socket is one stay of a key at an endpoint.
type socket struct {
	Endpoint
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Serve, once done is closed
}

// Plug plugs a key in until Close is called. ctx is for the plugging in alone. A state file that another program uses
// gives emulator.ErrStateInUse, a PIN that is too short or too long ctap.ErrPINPolicyViolation, a PIN for a key that
// takes none ctap.ErrInvalidCommand; other errors are those of the Place.
func Plug(ctx context.Context, o Options) (key *Key, err error) {
	k := &Key{place: o.Place, link: o.Link, linkCard: o.LinkCard, winks: o.Wink, moved: o.Moved,
		oath: o.OATH, log: o.Log, lost: make(chan struct{})}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	if k.place == nil {
		k.place = PTY
	}
	defer func() {
		if err != nil {
			k.release()
		}
	}()
	if o.State != "" {
		if k.file, err = emulator.OpenStateFile(o.State, o.Passphrase); err != nil {
			return nil, err
		}
	}
	k.Authenticator, err = emulator.New(emulator.Options{
		Profile: o.Profile, Presence: o.Presence, Algorithms: o.Algorithms, Attestation: o.Attestation,
		EnterpriseRPIDs: o.EnterpriseRPIDs, File: k.file, Fixture: o.Fixture, Log: o.Log, Now: o.Now})
	if err != nil {
		return nil, err
	}
	if o.PIN != nil {
		if err = k.SetPIN(o.PIN); err != nil {
			return nil, err
		}
	}
	k.handler = k.Authenticator
	if o.Wrap != nil {
		k.handler = o.Wrap(k.Authenticator)
	}
	if err = k.insert(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// PowerCycle does what unplugging the key and plugging it in again does. What Wrap has given sees it.
func (k *Key) PowerCycle() {
	if p, ok := k.handler.(ctap.PowerCycler); ok {
		p.PowerCycle()
		return
	}
	k.Authenticator.PowerCycle()
}

// Insert plugs the key in again after Remove, where it was before. At a pseudo-terminal its path may be another one.
// The errors are ErrInserted, os.ErrClosed after Close, and those of Plug.
func (k *Key) Insert(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return os.ErrClosed
	case k.socket != nil:
		return ErrInserted
	}
	k.PowerCycle()
	if err := k.insert(ctx); err != nil {
		return err
	}
	k.tellMoved(k.Path(), true)
	return nil
}

func (k *Key) tellMoved(path string, inserted bool) {
	if k.moved != nil {
		k.moved(path, inserted)
	}
}

// insert makes an endpoint and serves it, in a goroutine that Remove, Close or the loss of the endpoint ends.
func (k *Key) insert(ctx context.Context) error {
	e, err := k.place(ctx, k)
	if err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.Background())
	s := &socket{Endpoint: e, cancel: cancel, done: make(chan struct{})}
	k.socket = s
	path := s.Path()
	k.path.Store(&path)
	go func() {
		s.err = s.Serve(serving, k.handler)
		close(s.done)
		if serving.Err() == nil {
			k.lose(s)
		}
	}()
	return nil
}

// lose notes that what the key was plugged into went away.
func (k *Key) lose(s *socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.socket == s { // nobody has taken it out meanwhile
		k.close()
	}
}

// Remove takes the key out, as a person does who pulls it: requests in progress end, and the path is gone. ErrRemoved
// is a key that is out already, os.ErrClosed one after Close.
func (k *Key) Remove() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return os.ErrClosed
	case k.socket == nil:
		return ErrRemoved
	}
	path := k.Path()
	err := k.remove()
	k.tellMoved(path, false)
	return err
}

func (k *Key) remove() error {
	s := k.socket
	k.socket = nil
	k.path.Store(nil)
	s.cancel()
	<-s.done
	k.PowerCycle() // a U2F request may still wait for a touch
	err := s.err
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

// Lost is closed when nobody can reach the key any more: after Close, or when what it was plugged into went away.
// Remove does not close it.
func (k *Key) Lost() <-chan struct{} { return k.lost }

// Path is where other programs find the key, such as /dev/pts/3; empty while it is removed. It never waits.
func (k *Key) Path() string {
	if path := k.path.Load(); path != nil {
		return *path
	}
	return ""
}

// Info describes the key to a fido.Source; the ID is for the source to give.
func (k *Key) Info() fido.DeviceInfo {
	return fido.DeviceInfo{Path: k.Path(), Manufacturer: "fob", Product: "fob emulated key", Emulated: true}
}

// Close unplugs the key for good and returns when nothing of it is left. The error is why it was lost before, if it
// was.
func (k *Key) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.close()
	}
	return k.err
}

func (k *Key) close() {
	k.closed = true
	if k.socket != nil {
		k.err = errors.Join(k.err, k.remove())
	}
	k.err = errors.Join(k.err, k.release())
	close(k.lost)
}

// release lets other programs use the state file.
func (k *Key) release() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}
