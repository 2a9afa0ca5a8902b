// Package emulator is a FIDO2 authenticator in software. It answers CTAP2 requests as a security key does, keeps its
// credentials in memory or in a file, and asks a policy, not a finger, for user presence. It stands in for hardware in
// tests and CI, and protects nothing: whoever reads its memory or its file has its keys.
//
// An Authenticator is a ctap.Handler; fido/endpoint makes a device of it that other programs can open.
//
// Sections and steps cited are those of CTAP 2.2, and of CTAP 2.3, which counts alike; CTAP 2.1 counts a few of the
// later steps of §6.5.5 one lower. Steps of §6.5.5 are those of the authenticator's own list, which begins with the
// mandatory parameters. What a step refuses is refused before anything that a later step would: precedence_*_test.go go
// through them, one by one.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"fob/fido/ctap"
)

const (
	userActionTimeout = 30 * time.Second // how long the key waits for a touch
	resetWindow       = 10 * time.Second // after power-up (§6.6)
)

// Options configure an Authenticator. The zero value is a key in memory that is always touched at once.
type Options struct {
	Profile  *Profile // nil for that of the state file, or the default one
	Presence Presence // nil for Approve
	// Algorithms are those that the key has instead of its profile's, the preferred one first; nil for the profile's. This
	// is how to get ML-DSA-44, which no profile has.
	Algorithms []ctap.Algorithm
	// Attestation is how CTAP2 credentials are attested where the platform has no preference; empty for SelfAttestation.
	Attestation Attestation
	// EnterpriseRPIDs are the relying parties that vendor-facilitated enterprise attestation is for (§7.1.1).
	EnterpriseRPIDs []string
	File            *StateFile // nil to keep the state in memory
	Fixture         []byte     // what Export gave, for a key that begins with that state; a File must not exist then
	// Now is the key's clock, by which tokens expire and the window for a reset closes; nil for time.Now. How long the key
	// waits for a touch is real time, whatever Now says.
	Now func() time.Time
	Log *slog.Logger // nil for none; gets commands and status codes, never a secret
}

// Authenticator is an emulated key. It serves one request at a time, whatever the number of its transports.
type Authenticator struct {
	*Profile
	presence    Presence
	attestation Attestation
	enterprise  []string // RP IDs
	file        *StateFile
	log         *slog.Logger
	now         func() time.Time

	turn chan struct{} // holds a value while nobody is being served; guards everything up to touch

	state     state
	poweredUp time.Time
	tapped    bool // powering up was a tap that no request has used
	pin       pinState
	pending   pending
	enrolling *enrollment
	touch     *u2fTouch

	shown    shown
	failures failures
}

// pending is what a stateful command has left for the commands that go on with it (§6, "stateful commands"). Any other
// command ends it.
type pending struct {
	channel     uint32
	last        time.Time // of the command before
	token       *token    // that authorized the first command; nil for none
	assertion   *nextAssertion
	rps         []*Credential // one for each RP
	credentials []*Credential
	blobs       *blobWrite
}

// pendingTimeout is how long a platform may take to go on (§6.3).
const pendingTimeout = 30 * time.Second

// goesOn reports whether a command of this channel may go on with what is pending. It may not when the token has
// expired that stands behind it (§6).
func (p *pending) goesOn(r *request) bool {
	return p.channel == r.channel && r.now.Sub(p.last) <= pendingTimeout && (p.token == nil || !p.token.expired(r.now))
}

// ErrOtherProfile is a state file of a key of another profile than was asked for.
var ErrOtherProfile = errors.New("the state file is of a key with another profile")

// New makes an emulated key, powered up. With a StateFile it has the credentials, PIN and counter that the file holds.
func New(o Options) (*Authenticator, error) {
	profile := o.Profile
	if profile == nil {
		profile = must(LookupProfile(DefaultProfile))
	}
	a := &Authenticator{
		presence:    o.Presence,
		attestation: o.Attestation,
		enterprise:  o.EnterpriseRPIDs,
		file:        o.File,
		log:         o.Log,
		now:         o.Now,
		turn:        make(chan struct{}, 1),
		state:       newState(profile),
	}
	if a.presence == nil {
		a.presence = Approve
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if err := a.loadState(&o); err != nil {
		return nil, err
	}
	if o.Profile != nil && a.state.Profile != profile.Name {
		return nil, fmt.Errorf("%w: %s, not %s", ErrOtherProfile, a.state.Profile, profile.Name)
	}
	if a.state.Profile != profile.Name {
		var err error
		if profile, err = LookupProfile(a.state.Profile); err != nil {
			return nil, err
		}
	}
	if o.Algorithms != nil {
		profile = profile.with(o.Algorithms)
	}
	a.Profile = profile
	a.powerUp()
	a.endTurn()
	return a, nil
}

// loadState begins with the fixture, what the file holds, or else the state of a new key.
func (a *Authenticator) loadState(o *Options) error {
	if o.Fixture != nil {
		s, err := parseState(o.Fixture)
		if err != nil {
			return err
		}
		a.state = *s
	}
	if a.file == nil {
		return nil
	}
	if o.Fixture != nil {
		if err := a.file.mustNotExist(); err != nil {
			return err
		}
	}
	return a.file.load(&a.state)
}

// PowerCycle does what unplugging the key and plugging it in again does: it lifts the block after three wrong PINs,
// ends tokens and opens the window for a reset. It waits for the request that is being served.
func (a *Authenticator) PowerCycle() {
	<-a.turn
	a.powerUp()
	a.endTurn()
}

func (a *Authenticator) powerUp() {
	a.forgetTouch()
	a.poweredUp, a.tapped = a.now(), true
	a.pending, a.enrolling = pending{}, nil
	a.pin = newPINState(a.now)
}

// ServeCTAP implements ctap.Handler.
func (a *Authenticator) ServeCTAP(ctx context.Context, req ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	select {
	case <-a.turn:
		defer a.endTurn()
	case <-ctx.Done():
		return fail(ctap.ErrKeepaliveCancel)
	}
	if ctx.Err() != nil { // while it waited for its turn
		return fail(ctap.ErrKeepaliveCancel)
	}
	resp, err := a.serve(&request{ctx, req.Transport, req.Channel, keepalive, a.now()}, req)
	if err != nil {
		resp = fail(err)
	}
	a.note(req, resp)
	return resp
}

// note logs what was asked and how it ended, and nothing that was said.
func (a *Authenticator) note(req ctap.Request, resp ctap.Response) {
	command, status := "u2f", ""
	switch {
	case req.U2F && len(resp) >= 2:
		status = fmt.Sprintf("0x%x", []byte(resp[len(resp)-2:]))
	case !req.U2F && len(req.Payload) > 0:
		command, status = ctap.Command(req.Payload[0]).String(), ctap.StatusCode(resp[0]).Name()
	default:
		return
	}
	a.log.Debug("request", "command", command, "channel", req.Channel, "status", status)
}

// request is what the commands know of the transport that called them.
type request struct {
	context.Context
	transport ctap.Transport
	channel   uint32
	keepalive func(ctap.KeepaliveStatus)
	now       time.Time // when it began
}

func (a *Authenticator) serve(r *request, req ctap.Request) (ctap.Response, error) {
	if req.U2F {
		return a.u2f(r, req.Payload), nil
	}
	a.forgetTouch()
	switch {
	case len(req.Payload) == 0 || !a.CTAP2():
		return nil, ctap.ErrInvalidCommand
	case uint(len(req.Payload)) > a.MaxMsgSize:
		return nil, ctap.ErrRequestTooLarge
	}
	command, parameters := ctap.Command(req.Payload[0]), req.Payload[1:]
	before := a.pending
	a.pending = pending{}
	if err := a.failures.take(command); err != nil {
		return nil, err
	}
	switch command {
	case ctap.CommandGetInfo, ctap.CommandGetNextAssertion, ctap.CommandReset, ctap.CommandSelection:
		if len(parameters) > 0 { // they have none
			return nil, ctap.ErrInvalidLength
		}
	}
	switch command {
	case ctap.CommandMakeCredential:
		return a.makeCredential(r, parameters)
	case ctap.CommandGetAssertion:
		return a.getAssertion(r, parameters)
	case ctap.CommandGetNextAssertion:
		return a.getNextAssertion(r, before)
	case ctap.CommandGetInfo:
		return a.getInfo(), nil
	case ctap.CommandClientPIN:
		if !a.PIN {
			return nil, ctap.ErrInvalidCommand
		}
		return a.clientPIN(r, parameters)
	case ctap.CommandReset:
		return a.reset(r)
	case ctap.CommandBioEnrollment, ctap.CommandBioEnrollmentPreview:
		if a.MaxFingerprints == 0 || command == ctap.CommandBioEnrollmentPreview && !a.BioEnrollmentPreview {
			return nil, ctap.ErrInvalidCommand
		}
		return a.bioEnrollment(r, parameters)
	case ctap.CommandCredentialManagement, ctap.CommandCredentialManagementPreview:
		if command == ctap.CommandCredentialManagement && !a.CredentialManagement ||
			command == ctap.CommandCredentialManagementPreview && !a.CredentialManagementPreview {
			return nil, ctap.ErrInvalidCommand
		}
		return a.credentialManagement(r, parameters, before)
	case ctap.CommandSelection:
		if !a.Tokens { // before CTAP 2.1
			return nil, ctap.ErrInvalidCommand
		}
		return a.selection(r)
	case ctap.CommandLargeBlobs:
		if a.MaxLargeBlobArray == 0 {
			return nil, ctap.ErrInvalidCommand
		}
		return a.largeBlobs(r, parameters, before)
	case ctap.CommandConfig:
		if !a.Config {
			return nil, ctap.ErrInvalidCommand
		}
		return a.config(parameters)
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
			if errors.Is(err, ctap.ErrKeyStoreFull) {
				return err
			}
			return &saveError{err}
		}
	}
	a.state = next
	return nil
}

// saveError is a state that could not be made durable. A platform learns no more than ErrOther.
type saveError struct{ error }

func (e *saveError) Error() string   { return "state not saved: " + e.error.Error() }
func (e *saveError) Unwrap() []error { return []error{ctap.ErrOther, e.error} }

// selection implements authenticatorSelection (§6.9).
func (a *Authenticator) selection(r *request) (ctap.Response, error) {
	if err := a.awaitPresence(r, PresenceRequest{Command: ctap.CommandSelection}); err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// reset implements authenticatorReset (§6.6). Time and transport are those of the request's arrival, not of the touch.
func (a *Authenticator) reset(r *request) (ctap.Response, error) {
	if r.transport != ctap.TransportNFC && r.now.Sub(a.poweredUp) > resetWindow {
		return nil, ctap.ErrNotAllowed
	}
	if err := a.awaitPresence(r, PresenceRequest{Command: ctap.CommandReset}); err != nil {
		return nil, err
	}
	if err := a.update(func(s *state) { s.reset(a.Profile) }); err != nil {
		return nil, err
	}
	a.pin, a.enrolling = newPINState(a.now), nil
	return ctap.Response{byte(ctap.StatusOK)}, nil
}
