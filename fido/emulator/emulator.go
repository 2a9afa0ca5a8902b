// Package emulator is a FIDO2 authenticator in software. It answers CTAP2 requests as a security key does, keeps its
// credentials in memory or in a file, and asks a policy, not a finger, for user presence. It stands in for hardware in
// tests and CI, and protects nothing: whoever reads its memory or its file has its keys.
//
// An Authenticator is a ctap.Handler; fido/endpoint makes a device of it that other programs can open. Sections cited
// are those of CTAP 2.2.
package emulator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"fob/fido/ctap"
)

// Limits of the emulated key, as authenticatorGetInfo tells them.
const (
	maxMsgSize               = 4096 // bytes of a request
	maxCredentialCountInList = 32
	maxCredentialIDLength    = 128 // bytes
	maxDiscoverable          = 100 // credentials
)

const (
	userActionTimeout = 30 * time.Second // how long the key waits for a touch
	resetWindow       = 10 * time.Second // after power-up (§6.6)
)

// DefaultAAGUID is the model that an emulated key gives itself out for.
var DefaultAAGUID = ctap.AAGUID{
	0xd3, 0x96, 0xe0, 0x33, 0x7a, 0xc2, 0xea, 0xe2, 0xb2, 0x8c, 0xac, 0xa9, 0x55, 0x5f, 0xbc, 0xa0,
}

// Options configure an Authenticator. The zero value is a key in memory that is always touched at once.
type Options struct {
	AAGUID   *ctap.AAGUID // nil for DefaultAAGUID
	Presence Presence     // nil for Approve
	File     *StateFile   // nil to keep the state in memory
	Log      *slog.Logger // nil for none; gets commands and status codes, never a secret
}

// Authenticator is an emulated key. It serves one request at a time, whatever the number of its transports.
type Authenticator struct {
	aaguid   ctap.AAGUID
	presence Presence
	file     *StateFile
	log      *slog.Logger

	turn chan struct{} // holds a value while nobody is being served; guards everything below

	state     state
	poweredUp time.Time
	pin       pinState
	next      *nextAssertion
}

// New makes an emulated key, powered up. With a StateFile it has the credentials, PIN and counter that the file holds.
func New(o Options) (*Authenticator, error) {
	a := &Authenticator{
		aaguid:   DefaultAAGUID,
		presence: o.Presence,
		file:     o.File,
		log:      o.Log,
		turn:     make(chan struct{}, 1),
		state:    newState(),
	}
	if o.AAGUID != nil {
		a.aaguid = *o.AAGUID
	}
	if a.presence == nil {
		a.presence = Approve
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.file != nil {
		if err := a.file.load(&a.state); err != nil {
			return nil, err
		}
	}
	a.powerUp()
	a.turn <- struct{}{}
	return a, nil
}

// PowerCycle does what unplugging the key and plugging it in again does: it lifts the block after three wrong PINs,
// ends tokens and opens the window for a reset. It waits for the request that is being served.
func (a *Authenticator) PowerCycle() {
	<-a.turn
	a.powerUp()
	a.turn <- struct{}{}
}

func (a *Authenticator) powerUp() {
	a.poweredUp = time.Now()
	a.next = nil
	a.pin = newPINState()
}

// ServeCTAP implements ctap.Handler.
func (a *Authenticator) ServeCTAP(ctx context.Context, req ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	select {
	case <-a.turn:
		defer func() { a.turn <- struct{}{} }()
	case <-ctx.Done():
		return fail(ctap.ErrKeepaliveCancel)
	}
	resp, err := a.serve(&request{Context: ctx, channel: req.Channel, keepalive: keepalive}, req)
	if err != nil {
		resp = fail(err)
	}
	if len(req.Payload) > 0 {
		a.log.Debug("request", "command", req.Payload[0], "channel", req.Channel, "status", resp[0])
	}
	return resp
}

// request is what the commands know of the transport that called them.
type request struct {
	context.Context
	channel   uint32
	keepalive func(ctap.KeepaliveStatus)
}

func (a *Authenticator) serve(r *request, req ctap.Request) (ctap.Response, error) {
	switch {
	case req.U2F || len(req.Payload) == 0:
		return nil, ctap.ErrInvalidCommand
	case len(req.Payload) > maxMsgSize:
		return nil, ctap.ErrRequestTooLarge
	}
	command, parameters := ctap.Command(req.Payload[0]), req.Payload[1:]
	next := a.next
	a.next = nil // any command but getNextAssertion forgets the assertions that are left (§6.3)
	switch command {
	case ctap.CommandMakeCredential:
		return a.makeCredential(r, parameters)
	case ctap.CommandGetAssertion:
		return a.getAssertion(r, parameters)
	case ctap.CommandGetNextAssertion:
		return a.getNextAssertion(r, next)
	case ctap.CommandGetInfo:
		return a.getInfo(), nil
	case ctap.CommandClientPIN:
		return a.clientPIN(parameters)
	case ctap.CommandReset:
		return a.reset(r)
	case ctap.CommandSelection:
		return a.selection(r)
	default:
		return nil, ctap.ErrInvalidCommand
	}
}

// fail is the response that an error makes.
func fail(err error) ctap.Response {
	var status ctap.StatusCode
	if !errors.As(err, &status) {
		status = ctap.ErrOther
	}
	return ctap.Response{byte(status)}
}

// update changes the state and makes the change durable before it takes effect, so that what the key answered is
// never lost in a crash. change must not write to slices that it shares with the old state.
func (a *Authenticator) update(change func(*state)) error {
	next := a.state
	change(&next)
	if a.file != nil {
		if err := a.file.save(&next); err != nil {
			a.log.Error("state not saved", "err", err)
			return ctap.ErrOther
		}
	}
	a.state = next
	return nil
}

// getInfo implements authenticatorGetInfo (§6.4). FIDO_2_1 stays unnamed until the key has all that it promises.
func (a *Authenticator) getInfo() ctap.Response {
	remaining := uint(maxDiscoverable - len(a.state.Credentials))
	info := &ctap.GetInfoResponse{
		Versions: []string{ctap.VersionFIDO20},
		AAGUID:   a.aaguid,
		Options: map[string]bool{
			ctap.OptionPlat:             false,
			ctap.OptionRK:               true,
			ctap.OptionUP:               true,
			ctap.OptionClientPIN:        a.state.hasPIN(),
			ctap.OptionPINUVAuthToken:   true,
			ctap.OptionMakeCredUVNotRqd: true,
		},
		MaxMsgSize:               maxMsgSize,
		PINUVAuthProtocols:       []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
		MaxCredentialCountInList: maxCredentialCountInList,
		MaxCredentialIDLength:    maxCredentialIDLength,
		Transports:               []string{"usb"},
		MinPINLength:             minPINLength,
		FirmwareVersion:          1,
		RemainingDiscoverable:    &remaining,
	}
	for _, alg := range algorithms {
		info.Algorithms = append(info.Algorithms,
			ctap.PublicKeyCredentialParameters{Type: ctap.TypePublicKey, Alg: alg})
	}
	return info.Encode()
}

// selection implements authenticatorSelection (§6.9).
func (a *Authenticator) selection(r *request) (ctap.Response, error) {
	if err := a.awaitPresence(r, PresenceRequest{Command: ctap.CommandSelection}); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// reset implements authenticatorReset (§6.6).
func (a *Authenticator) reset(r *request) (ctap.Response, error) {
	if time.Since(a.poweredUp) > resetWindow {
		return nil, ctap.ErrNotAllowed
	}
	if err := a.awaitPresence(r, PresenceRequest{Command: ctap.CommandReset}); err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { *s = newState() }); err != nil {
		return nil, err
	}
	a.pin = newPINState()
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// Credentials lists the discoverable credentials, oldest first, for those who test with the key.
func (a *Authenticator) Credentials() []Credential {
	<-a.turn
	defer func() { a.turn <- struct{}{} }()
	return slices.Clone(a.state.Credentials)
}
