package oathapplet

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"time"

	"fob/fido/ctapnfc"
)

// AID is the application identifier.
const AID = "\xa0\x00\x00\x05\x27\x21\x01"

// version is that of a YubiKey 5 whose firmware has every command of the specification.
const version = "\x05\x04\x03"

// touchTime is how long a key waits for a touch.
const touchTime = 15 * time.Second

// status is a status word, by the specification's meaning.
type status = ctapnfc.StatusWord

const (
	statusOK          status = 0x9000
	statusAuth        status = 0x6982 // authentication required; no touch came
	statusNoObject    status = 0x6984
	statusWrongData   status = 0x6a80
	statusFull        status = 0x6a84
	statusMemory      status = 0x6581
	statusMore        status = 0x6100
	statusInstruction status = 0x6d00
	statusP1P2        status = 0x6a86
)

// Instructions.
const (
	insPut           = 0x01
	insDelete        = 0x02
	insSetCode       = 0x03
	insReset         = 0x04
	insRename        = 0x05
	insList          = 0xa1
	insCalculate     = 0xa2
	insValidate      = 0xa3
	insSelect        = 0xa4 // by name
	insCalculateAll  = 0xa4 // otherwise
	insSendRemaining = 0xa5
	selectByName     = 0x04
)

// Applet is an OATH application. Its method Serve must not be called at the same time.
type Applet struct {
	// Touch decides whether the key is touched for a code of an account: nil for a touch. Nil touches at once.
	Touch func(ctx context.Context, account string) error
	// Save makes a state durable before the command is answered that has changed it. Nil keeps it in memory.
	Save func(State) error

	state     State
	challenge []byte // that VALIDATE must answer; nil when the session is open
	rest      []byte // what SEND REMAINING brings
}

// New makes an applet with a state that Check finds good.
func New(s State) *Applet { return &Applet{state: s} }

// State gives the state, whose slices are the applet's.
func (a *Applet) State() State { return a.state }

// Serve is a ctapnfc.Applet.
func (a *Applet) Serve(ctx context.Context, c ctapnfc.Command) ctapnfc.Response {
	if c.INS == insSendRemaining {
		return a.deliver(c, a.rest, statusOK)
	}
	a.rest = nil
	data, sw := a.serve(ctx, c)
	return a.deliver(c, data, sw)
}

// shortResponse is the most data of a short response, in bytes.
const shortResponse = 256

// deliver keeps back what the response has no room for.
func (a *Applet) deliver(c ctapnfc.Command, data []byte, sw status) ctapnfc.Response {
	a.rest = nil
	if len(data) <= shortResponse || c.Extended {
		return ctapnfc.Response{Data: data, SW: sw}
	}
	a.rest = data[shortResponse:]
	return ctapnfc.Response{Data: data[:shortResponse], SW: statusMore | status(min(len(a.rest), 0xff))}
}

func (a *Applet) serve(ctx context.Context, c ctapnfc.Command) ([]byte, status) {
	switch {
	case c.CLA != 0:
		return nil, statusInstruction
	case c.INS == insSelect && c.P1 == selectByName:
		return a.selected(), statusOK
	case c.INS == insValidate:
		return a.validate(c.Data)
	case c.INS == insReset:
		return nil, a.reset(c)
	case a.challenge != nil:
		return nil, statusAuth
	}
	switch c.INS {
	case insPut:
		return nil, a.put(c.Data)
	case insDelete:
		return nil, a.delete(c.Data)
	case insSetCode:
		return nil, a.setCode(c.Data)
	case insRename:
		return nil, a.rename(c.Data)
	case insList:
		return a.list(), statusOK
	case insCalculate:
		return a.calculate(ctx, c.P2, c.Data)
	case insCalculateAll:
		return a.calculateAll(c.P2, c.Data)
	}
	return nil, statusInstruction
}

// selected answers SELECT and begins a session.
func (a *Applet) selected() []byte {
	b := appendTLV(nil, tagVersion, []byte(version))
	b = appendTLV(b, tagName, a.state.ID)
	if a.challenge = nil; len(a.state.AccessKey) > 0 {
		a.challenge = make([]byte, 8)
		rand.Read(a.challenge)
		b = appendTLV(b, tagChallenge, a.challenge)
		b = appendTLV(b, tagAlgorithm, []byte{sha1Algorithm})
	}
	return b
}

// update makes a change durable before it takes effect.
func (a *Applet) update(change func(*State)) status {
	next := a.state.clone()
	change(&next)
	if a.Save != nil && a.Save(next) != nil {
		return statusMemory
	}
	a.state = next
	return statusOK
}

func (a *Applet) validate(data []byte) ([]byte, status) {
	if len(a.state.AccessKey) == 0 {
		return nil, statusNoObject
	}
	objects, ok := parse(data, tagResponse, tagChallenge)
	if !ok || a.challenge == nil || !hmac.Equal(objects[0], accessMAC(a.state.AccessKey, a.challenge)) {
		return nil, statusWrongData
	}
	a.challenge = nil
	return appendTLV(nil, tagResponse, accessMAC(a.state.AccessKey, objects[1])), statusOK
}

func accessMAC(key, message []byte) []byte {
	h := hmac.New(sha1.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// setCode sets the access key, after a proof that the host has it, or removes it.
func (a *Applet) setCode(data []byte) status {
	if objects, ok := parse(data, tagKey); ok && len(objects[0]) == 0 || len(data) == 0 {
		return a.update(func(s *State) { s.AccessKey = nil })
	}
	objects, ok := parse(data, tagKey, tagChallenge, tagResponse)
	if !ok || len(objects[0]) < 2 || len(objects[0]) > maxKey || objects[0][0]&0x0f != sha1Algorithm {
		return statusWrongData
	}
	key := objects[0][1:]
	if !hmac.Equal(objects[2], accessMAC(key, objects[1])) {
		return statusNoObject
	}
	return a.update(func(s *State) { s.AccessKey = key })
}

func (a *Applet) reset(c ctapnfc.Command) status {
	if c.P1 != 0xde || c.P2 != 0xad {
		return statusP1P2
	}
	a.challenge = nil
	return a.update(func(s *State) { *s = NewState() })
}
