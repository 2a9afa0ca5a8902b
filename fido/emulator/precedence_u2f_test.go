package emulator

import (
	"encoding/binary"
	"testing"

	"fob/fido/ctap"
)

// u2fing is a CTAP1/U2F command as it travels.
type u2fing struct {
	*platform
	class    byte
	r        *ctap.U2FRequest
	trailing []byte
}

func (u *u2fing) send() error {
	u.t.Helper()
	payload := append(u.r.Encode(), u.trailing...)
	payload[0] = u.class
	resp := u.a.ServeCTAP(u.ctx, ctap.Request{Channel: u.channel, U2F: true, Payload: payload},
		func(ctap.KeepaliveStatus) {})
	if status := ctap.U2FStatus(binary.BigEndian.Uint16(resp[len(resp)-2:])); status != ctap.U2FNoError {
		return status
	}
	return nil
}

// TestU2FPrecedence goes through the errors of FIDO U2F Raw Message Formats §3.3, in the order in which a key can
// tell: of the frame, of the command, of its data, of the key handle, of the person.
func TestU2FPrecedence(t *testing.T) {
	type spoiled = misstep[*u2fing]
	frame := []spoiled{
		{"§3.1, class", ctap.U2FClassNotSupported, "class", func(u *u2fing) { u.class = 0x90 }},
		{"§3.1, length", ctap.U2FWrongLength, "length", func(u *u2fing) { u.trailing = []byte{1, 2, 3} }},
	}
	alwaysUV := spoiled{"CTAP §7.2.4, alwaysUv", ctap.U2FCommandNotAllowed, "alwaysUv", func(u *u2fing) {
		u.must(u.a.update(func(s *state) { s.AlwaysUV = true }))
	}}
	instruction := spoiled{"§3.1.1, instruction", ctap.U2FInstructionNotSupported, "r",
		func(u *u2fing) { u.r.Instruction = 0x55 }}
	short := spoiled{"§3.3, data", ctap.U2FWrongLength, "r", func(u *u2fing) { u.r.Data = append(u.r.Data, 0) }}
	alone := spoiled{"§3.3, no touch", ctap.U2FConditionsNotSatisfied, "presence", func(u *u2fing) { u.a.presence = Deny }}
	handle := func(p *platform) []byte {
		h, _ := p.u2fRegistered()
		return h
	}
	for _, test := range []struct {
		name string
		r    func(*platform) *ctap.U2FRequest
		own  []spoiled
	}{
		{"§4 register", func(*platform) *ctap.U2FRequest { return u2fRegister() }, []spoiled{short, alone}},
		{"§5 authenticate", func(p *platform) *ctap.U2FRequest {
			return u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, handle(p))
		}, []spoiled{short,
			{"§5.3, unknown key handle", ctap.U2FWrongData, "r", func(u *u2fing) {
				u.r = u2fAuthenticate(u.r.Control, []byte("x"))
			}},
			{"§5.3, key handle of another application", ctap.U2FWrongData, "r", func(u *u2fing) { u.r.Data[40]++ }},
			{"§5.1, control byte", ctap.U2FWrongData, "control", func(u *u2fing) { u.r.Control = 9 }},
			{"§5.1, check-only", ctap.U2FConditionsNotSatisfied, "control", func(u *u2fing) { u.r.Control = ctap.U2FCheckOnly }},
			alone}},
		{"§6 version",
			func(*platform) *ctap.U2FRequest { return &ctap.U2FRequest{Instruction: ctap.U2FVersion} }, []spoiled{short}},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin := func(t *testing.T) *u2fing {
				p := newPlatform(t, Options{})
				return &u2fing{platform: p, r: test.r(p)}
			}
			missteps(t, begin, (*u2fing).send, append(append(frame[:2:2], alwaysUV, instruction), test.own...))
		})
	}
}

// TestU2FWithoutPresence: "don't enforce" signs without a touch, and says so; it never lights the key.
func TestU2FWithoutPresence(t *testing.T) {
	p := newPlatform(t, Options{})
	handle, _ := p.u2fRegistered()
	p.a.presence = Deny
	data, err := p.u2f(u2fAuthenticate(ctap.U2FDontEnforceUserPresenceSign, handle))
	p.must(err)
	if data[0] != 0 {
		t.Errorf("user presence %#x", data[0])
	}
}

// TestSharedCounter counts signatures of both protocols in one counter.
func TestSharedCounter(t *testing.T) {
	p := newPlatform(t, Options{})
	handle, _ := p.u2fRegistered()
	last := uint32(0)
	for range 3 {
		data, err := p.u2f(u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, handle))
		p.must(err)
		_, d, err := p.getAssertion(assertionRequest(&registered{id: handle}))
		p.must(err)
		if count := binary.BigEndian.Uint32(data[1:]); count != last+1 || d.SignCount != count+1 {
			t.Errorf("counter %d by U2F and %d by CTAP2, after %d", count, d.SignCount, last)
		}
		last = d.SignCount
	}
}
