package emulator

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"fob/fido/ctap"
)

const (
	u2fGrace     = 100 * time.Millisecond // in which a touch that comes at once is an answer to the request itself
	u2fAbandoned = time.Second            // without the platform asking again, until the key stops waiting
)

// u2fTouch is a key that blinks for a U2F request. U2F does not wait: the platform is told to ask again (FIDO U2F Raw
// Message Formats §4, "test-of-user-presence-required"), so the wait goes on between its requests.
type u2fTouch struct {
	request   PresenceRequest
	cancel    context.CancelFunc
	abandoned *time.Timer
	done      chan error // gets the answer, once
}

// u2f answers a CTAP1/U2F command (FIDO U2F Raw Message Formats; what it shares with CTAP2: §10 of CTAP).
func (a *Authenticator) u2f(r *request, payload []byte) ctap.Response {
	data, err := a.serveU2F(r, payload)
	if err == nil {
		return ctap.U2FResponse(data, ctap.U2FNoError)
	}
	var status ctap.U2FStatus
	if !errors.As(err, &status) {
		status = ctap.U2FUnknown
	}
	return ctap.U2FResponse(nil, status)
}

func (a *Authenticator) serveU2F(r *request, payload []byte) ([]byte, error) {
	req, err := ctap.ParseU2FRequest(payload)
	switch {
	case err != nil:
		return nil, err
	case !a.U2F:
		return nil, ctap.U2FInstructionNotSupported
	case a.state.AlwaysUV && a.state.uvRetries() == 0, a.state.AlwaysUV && !a.state.hasFinger(): // §7.2.4 of CTAP
		return nil, ctap.U2FCommandNotAllowed
	}
	switch req.Instruction {
	case ctap.U2FVersion:
		if len(req.Data) > 0 {
			return nil, ctap.U2FWrongLength
		}
		return []byte(ctap.VersionU2F), nil
	case ctap.U2FRegister:
		return a.u2fRegister(r, req)
	case ctap.U2FAuthenticate:
		return a.u2fAuthenticate(r, req)
	default:
		return nil, ctap.U2FInstructionNotSupported
	}
}

// u2fRegister implements U2F_REGISTER (§4 of the raw message formats).
func (a *Authenticator) u2fRegister(r *request, req *ctap.U2FRequest) ([]byte, error) {
	p, err := req.RegisterParameters()
	if err != nil {
		return nil, err
	}
	if !a.u2fTouched(r, PresenceRequest{Command: ctap.CommandMakeCredential}) {
		return nil, ctap.U2FConditionsNotSatisfied
	}
	batch, err := a.attestationKey()
	if err != nil {
		return nil, err
	}
	key, err := batch.key()
	if err != nil {
		return nil, err
	}
	c := newCredential(ctap.ES256)
	c.ID = a.state.wrap(c, p.Application[:])
	signer, err := c.signer()
	if err != nil {
		return nil, err
	}
	public, err := signer.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		return nil, err
	}
	signed := append([]byte{0}, p.Application[:]...)
	signed = append(append(append(signed, p.Challenge[:]...), c.ID...), public...)
	digest := sha256.Sum256(signed)
	sig, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	out := append([]byte{5}, public...)
	out = append(append(out, byte(len(c.ID))), c.ID...)
	return append(append(out, batch.Certificates[0]...), sig...), nil
}

// u2fAuthenticate implements U2F_AUTHENTICATE (§5 of the raw message formats).
func (a *Authenticator) u2fAuthenticate(r *request, req *ctap.U2FRequest) ([]byte, error) {
	p, err := req.AuthenticateParameters()
	if err != nil {
		return nil, err
	}
	c := a.state.findHash(p.KeyHandle, p.Application[:])
	if c == nil || c.Algorithm != ctap.ES256 || c.CredProtect == ctap.UserVerificationRequired {
		return nil, ctap.U2FWrongData
	}
	var flags byte
	switch req.Control {
	case ctap.U2FCheckOnly:
		return nil, ctap.U2FConditionsNotSatisfied
	case ctap.U2FEnforceUserPresenceAndSign:
		if !a.u2fTouched(r, PresenceRequest{Command: ctap.CommandGetAssertion, RPID: c.RPID}) {
			return nil, ctap.U2FConditionsNotSatisfied
		}
		flags = 1
	case ctap.U2FDontEnforceUserPresenceSign:
	default:
		return nil, ctap.U2FWrongData
	}
	signer, err := c.signer()
	if err != nil {
		return nil, err
	}
	count, err := a.count(c, func(*state) {})
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32([]byte{flags}, count)
	digest := sha256.Sum256(append(append(append([]byte(nil), p.Application[:]...), out...), p.Challenge[:]...))
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return append(out, sig...), nil
}

// u2fTouched reports whether the key was touched for this request, now or since it was first made.
func (a *Authenticator) u2fTouched(r *request, p PresenceRequest) bool {
	p.Fingerprint = a.state.AlwaysUV
	if r.transport == ctap.TransportNFC && !p.Fingerprint && a.spendTap(r, p) {
		return true
	}
	if a.touch != nil && a.touch.request != p {
		a.forgetTouch()
	}
	if a.touch == nil {
		a.touch = a.beginTouch(p)
	}
	a.touch.abandoned.Reset(u2fAbandoned)
	grace := time.NewTimer(u2fGrace)
	defer grace.Stop()
	select {
	case err := <-a.touch.done:
		a.touch.done <- err
		a.forgetTouch()
		if p.Fingerprint {
			err = a.judgeFinger(a.state.UVMisses, err)
		}
		return err == nil
	case <-grace.C:
		return false
	case <-r.Done():
		a.forgetTouch()
		return false
	}
}

// beginTouch waits for a touch in a goroutine, which forgetTouch ends, or else the time.
func (a *Authenticator) beginTouch(p PresenceRequest) *u2fTouch {
	ctx, cancel := context.WithTimeout(context.Background(), userActionTimeout)
	t := &u2fTouch{request: p, cancel: cancel, abandoned: time.AfterFunc(u2fAbandoned, cancel), done: make(chan error, 1)}
	go func() { t.done <- a.presence(ctx, p) }()
	return t
}

// forgetTouch ends the wait for a touch, and returns when nobody waits any more.
func (a *Authenticator) forgetTouch() {
	if a.touch == nil {
		return
	}
	a.touch.cancel()
	a.touch.abandoned.Stop()
	<-a.touch.done
	a.touch = nil
}
