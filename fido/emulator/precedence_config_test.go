package emulator

import (
	"strings"
	"testing"

	"fob/fido/ctap"
)

// configuring is a request of authenticatorConfig.
type configuring struct {
	attempt
	r      *ctap.ConfigRequest
	params *ctap.SetMinPINLengthParams // nil for none
}

func (c *configuring) send() error {
	c.t.Helper()
	if c.params != nil {
		b, err := ctap.Marshal(c.params)
		c.must(err)
		c.r.SubcommandParams = b
	}
	c.r.PINUVAuthProtocol, c.r.PINUVAuthParam = c.protocol, c.sign(c.r.AuthMessage())
	_, err := c.platform.send(c.r.Encode())
	return err
}

// configSteps are steps 1 to 4 of §6.11. The subcommand is spoiled as one, with its parameters.
func configSteps() []misstep[*configuring] {
	unsigned, noProtocol, otherProtocol, forged, forbidden := signing(func(c *configuring) *attempt { return &c.attempt })
	all := []misstep[*configuring]{
		{"step 1, no subcommand", ctap.ErrMissingParameter, "subcommand", func(c *configuring) { c.r.Subcommand = 0 }},
		{"step 2, no such subcommand", ctap.ErrInvalidParameter, "subcommand", func(c *configuring) { c.r.Subcommand = 9 }},
		{"step 2, no enterprise attestation", ctap.ErrInvalidParameter, "subcommand", func(c *configuring) {
			c.r.Subcommand, c.params = ctap.SubcommandEnableEnterpriseAttestation, nil
			c.a.EnterpriseAttestation = false
		}},
	}
	for i, s := range []misstep[*configuring]{unsigned, noProtocol, otherProtocol, forged, forbidden} {
		s.step = "step 4." + string(rune('1'+i)) + s.step[len("step N"):]
		all = append(all, s)
	}
	return all
}

// minPINLengthSteps are those of §6.11.4. Steps 1, 5, 6, 7 and 9 refuse nothing.
func minPINLengthSteps() []misstep[*configuring] {
	return []misstep[*configuring]{
		{"§6.11.4 step 2, no extension minPinLength", ctap.ErrInvalidParameter, "extension", func(c *configuring) {
			c.a.Extensions = nil
			c.params.MinPINLengthRPIDs = []string{"example.com"}
		}},
		{"§6.11.4 step 3, shorter than before", ctap.ErrPINPolicyViolation, "length",
			func(c *configuring) { c.params.NewMinPINLength = number(3) }},
		{"§6.11.4 step 3, longer than a PIN can be", ctap.ErrPINPolicyViolation, "length",
			func(c *configuring) { c.params.NewMinPINLength = number(64) }},
		{"§6.11.4 step 4, no PIN to change", ctap.ErrPINNotSet, "pin", func(c *configuring) {
			c.must(c.a.update(func(s *state) {
				s.PINHash = nil
				s.Fingerprints = []Fingerprint{{ID: []byte("one")}} // still protected
			}))
			c.params.ForceChangePIN = new(true)
		}},
		{"§6.11.4 step 8, too many RP IDs", ctap.ErrKeyStoreFull, "extension", func(c *configuring) {
			c.params.MinPINLengthRPIDs = make([]string, c.a.MaxMinPINLengthRPIDs+1)
		}},
		{"§6.11.4 step 8, too long an RP ID", ctap.ErrInvalidLength, "extension", func(c *configuring) {
			c.params.MinPINLengthRPIDs = []string{strings.Repeat("x", maxRPIDLength+1)}
		}},
	}
}

// TestConfigPrecedence goes through the steps of §6.11 and §6.11.4, with a PIN and with alwaysUv.
func TestConfigPrecedence(t *testing.T) {
	for _, test := range []struct {
		name   string
		s      ctap.ConfigSubcommand
		params *ctap.SetMinPINLengthParams
		later  []misstep[*configuring]
	}{
		{"§6.11.1 enableEnterpriseAttestation", ctap.SubcommandEnableEnterpriseAttestation, nil, nil},
		{"§6.11.2 toggleAlwaysUv", ctap.SubcommandToggleAlwaysUV, nil, nil},
		{"§6.11.4 setMinPINLength", ctap.SubcommandSetMinPINLength,
			&ctap.SetMinPINLengthParams{NewMinPINLength: number(8)}, minPINLengthSteps()},
	} {
		t.Run(test.name, func(t *testing.T) {
			begin := func(t *testing.T) *configuring {
				p := protected(t, "fingerprint")
				r := &ctap.ConfigRequest{Subcommand: test.s}
				c := &configuring{holding(p, ctap.PermissionAuthenticatorConfiguration), r, nil}
				if test.params != nil {
					params := *test.params
					c.params = &params
				}
				return c
			}
			missteps(t, begin, (*configuring).send, append(configSteps(), test.later...))
		})
	}
}

// TestConfigUnprotected: without PIN and finger no token is asked for (§6.11, behind step 5), except by alwaysUv (step
// 4), which may be turned off all the same (step 3).
func TestConfigUnprotected(t *testing.T) {
	length := &ctap.SetMinPINLengthParams{NewMinPINLength: number(8)}
	for _, test := range []struct {
		name          string
		alwaysUV, pin bool
		s             ctap.ConfigSubcommand
		params        *ctap.SetMinPINLengthParams
		want          error
	}{
		{"alwaysUv on", false, false, ctap.SubcommandToggleAlwaysUV, nil, nil},
		{"alwaysUv off", true, false, ctap.SubcommandToggleAlwaysUV, nil, nil},
		{"alwaysUv off, with a PIN", true, true, ctap.SubcommandToggleAlwaysUV, nil, ctap.ErrPUATRequired},
		{"minimum length", false, false, ctap.SubcommandSetMinPINLength, length, nil},
		{"minimum length under alwaysUv", true, false, ctap.SubcommandSetMinPINLength, length, ctap.ErrPUATRequired},
		{"minimum length with a PIN", false, true, ctap.SubcommandSetMinPINLength, length, ctap.ErrPUATRequired},
	} {
		p := newPlatform(t, Options{})
		if test.pin {
			p.must(p.a.SetPIN([]byte("1234")))
		}
		p.must(p.a.update(func(s *state) { s.AlwaysUV = test.alwaysUV }))
		if err := p.configure(nil, test.s, test.params); err != test.want {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// TestMinPINLengthKeeps: an empty list of RP IDs leaves the old one (§6.11.4 step 8), and tokens die while a PIN
// change is due, even if it was due before (step 7).
func TestMinPINLengthKeeps(t *testing.T) {
	p := protected(t, "fido2.1")
	set := func(params *ctap.SetMinPINLengthParams) {
		t.Helper()
		token := holding(p, ctap.PermissionAuthenticatorConfiguration).token.secret
		p.must(p.configure(token, ctap.SubcommandSetMinPINLength, params))
	}
	set(&ctap.SetMinPINLengthParams{MinPINLengthRPIDs: []string{"example.com"}})
	set(&ctap.SetMinPINLengthParams{MinPINLengthRPIDs: []string{}})
	if ids := p.a.state.MinPINLengthRPIDs; len(ids) != 1 || p.a.pin.token == nil {
		t.Errorf("RP IDs %q, token %v", ids, p.a.pin.token)
	}
	for range 2 {
		set(&ctap.SetMinPINLengthParams{NewMinPINLength: number(6)})
		if p.a.pin.token != nil {
			t.Error("a token outlived the need to change the PIN")
		}
	}
}
