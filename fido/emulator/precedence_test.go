package emulator

import (
	"bytes"
	"context"
	"maps"
	"testing"

	"fob/fido/ctap"
)

// The tests precedence_*_test.go go through the numbered steps of CTAP 2.2 §6.1.2, §6.2.2, §6.3, §6.4, §6.5.5 and §6.6
// that refuse a request. Each step is broken alone, and then together with every later step that can be broken at the
// same time; the answer must be that of the earlier one.

// choices say what a request, a key and its person are like; whatever is not chosen is as it should be. "param" is
// whether there is a pinUvAuthParam, "token" and "protocol" of what kind.
type choices map[string]string

// fault is what breaks a step.
type fault struct {
	step   string // section or step, and in words what is wrong
	choose choices
	want   ctap.StatusCode
}

// and gives both faults in one; false when they can't be had together.
func (f fault) and(other fault) (choices, bool) {
	both := maps.Clone(f.choose)
	for k, v := range other.choose {
		if have, ok := both[k]; ok && have != v {
			return nil, false
		}
		both[k] = v
	}
	return both, true
}

// testPrecedence breaks each step alone, and in pairs. faults are in the order of the steps; run makes a key, sends it
// a request that is as c says, and gives the status.
func testPrecedence(t *testing.T, faults []fault, run func(t *testing.T, c choices) error) {
	if err := run(t, choices{}); err != nil {
		t.Fatalf("the request that breaks no step: %v", err)
	}
	pairs := 0
	for i, first := range faults {
		t.Run(first.step, func(t *testing.T) {
			if err := run(t, first.choose); err != first.want {
				t.Errorf("alone: got %v, want %v", err, first.want)
			}
			for _, second := range faults[i+1:] {
				c, ok := first.and(second)
				if !ok || second.want == first.want {
					continue
				}
				pairs++
				if err := run(t, c); err != first.want {
					t.Errorf("with %s: got %v, want %v", second.step, err, first.want)
				}
			}
		})
	}
	if pairs < 3*len(faults) {
		t.Errorf("%d steps make %d pairs: the choices exclude too much", len(faults), pairs)
	}
}

// person is a Presence that does as it is told: once armed, touches come out as touch says, fingers as finger says.
type person struct {
	armed         bool
	touch, finger string
	touches       int
}

func (p *person) presence(_ context.Context, r PresenceRequest) error {
	if !p.armed {
		return nil
	}
	p.touches++
	does := p.touch
	if r.Fingerprint {
		does = p.finger
	}
	switch does {
	case "declines":
		return ErrDenied
	case "is late": // as if userActionTimeout had passed
		return context.DeadlineExceeded
	case "does not match":
		return ErrNoMatch
	default:
		return nil
	}
}

// ceremony is a key, its person and what a table chose for both, for makeCredential and getAssertion.
type ceremony struct {
	*platform
	person *person
	chosen choices
	// known is a credential of alice at example.com, made before there was a PIN.
	known *registered
}

// newCeremony arranges a key. The PIN, if any, is 1234; a finger comes without a PIN, where no PIN is chosen.
func newCeremony(t *testing.T, c choices, known ...func(*ctap.MakeCredentialRequest)) *ceremony {
	name := DefaultProfile
	if c["finger"] != "" || c["sensor"] != "" {
		name = "fingerprint"
	}
	profile, err := LookupProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	x := &ceremony{person: &person{touch: c["touch"], finger: c["finger"]}, chosen: c}
	x.platform = newPlatform(t, Options{Profile: profile, Presence: x.person.presence})
	x.known = x.extended(credentialRequest(known...)).registered
	if c["store"] == "full" {
		x.extended(credentialRequest(discoverable, forUser("bob")))
		x.a.MaxDiscoverable = uint(len(x.a.state.Credentials))
	}
	x.a.MaxDiscoverable *= map[bool]uint{true: 0, false: 1}[c["rk option ID"] == "false"]
	x.a.MakeCredUVNotRqd = c["makeCredUvNotRqd"] != "false"
	x.a.PIN = c["clientPin option ID"] != "absent"
	x.a.NoMcGaPermissionsWithClientPIN = c["noMcGa"] == "true"
	x.a.state.EnterpriseEnabled = c["ep"] == "true"
	if c["pin"] == "set" {
		x.must(x.a.SetPIN([]byte("1234")))
	}
	if c["finger"] != "" {
		x.a.state.Fingerprints = []Fingerprint{{ID: []byte{1}}}
	}
	if c["uvRetries"] == "1" {
		x.a.state.UVMisses = maxUVRetries - 1
	}
	x.a.state.AlwaysUV = c["alwaysUv"] == "true"
	x.person.armed = true
	return x
}

// authorize gives the pinUvAuthParam that was chosen, and its protocol; permission is that of the command.
func (x *ceremony) authorize(permission, other ctap.Permission) (*ctap.Bytes, ctap.PINProtocol) {
	protocol := ctap.PINProtocolTwo
	switch x.chosen["protocol"] {
	case "absent":
		protocol = 0
	case "unknown":
		protocol = 3
	}
	present := x.chosen["pin"] == "set" || x.chosen["token"] != "" || x.chosen["protocol"] != ""
	if p := x.chosen["param"]; p != "" {
		present = p == "yes"
	}
	if !present {
		return nil, 0
	}
	rpID := "example.com"
	switch x.chosen["token"] {
	case "empty":
		return &ctap.Bytes{}, protocol
	case "of another permission":
		permission = other
	case "of another RP":
		rpID = "example.net"
	}
	x.a.pin.token = newToken(ctap.PINProtocolTwo, permission, rpID, x.a.now())
	x.a.pin.token.verified = x.chosen["token"] != "without userVerified flag"
	param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(x.a.pin.token.secret, clientDataHash))
	if x.chosen["token"] == "forged" {
		param[0]++
	}
	return &param, protocol
}

// options are those that were chosen.
func (x *ceremony) options() ctap.Options {
	option := func(name string) *bool {
		value := x.chosen[name] == "true"
		return map[bool]*bool{true: &value}[x.chosen[name] != ""]
	}
	return ctap.Options{RK: option("rk"), UP: option("up"), UV: option("uv")}
}

// hash is the clientDataHash that was chosen.
func (x *ceremony) hash() []byte {
	switch x.chosen["clientDataHash"] {
	case "absent":
		return nil
	case "short":
		return clientDataHash[:31]
	default:
		return clientDataHash
	}
}

// damage breaks the encoding of a request as chosen.
func (x *ceremony) damage(payload []byte) []byte {
	if x.chosen["clientDataHash"] == "text" {
		bytesOfHash := append([]byte{0x58, 32}, clientDataHash...)
		payload = bytes.Replace(payload, bytesOfHash, []byte("\x78\x20thirty-two bytes that are a text"), 1)
	}
	switch x.chosen["request"] {
	case "with a trailing byte":
		payload = append(payload, 0)
	case "too large":
		payload = append(payload, make([]byte, x.a.MaxMsgSize)...)
	}
	return payload
}
