package emulator

import (
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// getAssertionFaults are what breaks the steps of §6.2.2, in their order.
var getAssertionFaults = []fault{
	{"§6.4, maxMsgSize: too large", choices{"request": "too large"}, ctap.ErrRequestTooLarge},
	{"§8: a trailing byte", choices{"request": "with a trailing byte"}, ctap.ErrInvalidCBOR},
	{"§8: clientDataHash is a text", choices{"clientDataHash": "text"}, ctap.ErrCBORUnexpectedType},
	{"§6.2: no clientDataHash", choices{"clientDataHash": "absent"}, ctap.ErrMissingParameter},
	{"§6.2: no rpId", choices{"rpId": "absent"}, ctap.ErrMissingParameter},
	{"§6.2: a short clientDataHash", choices{"clientDataHash": "short"}, ctap.ErrInvalidLength},
	{"§6.4, maxCredentialCountInList: long allowList", choices{"allowList": "long"}, ctap.ErrLimitExceeded},
	{"step 1.2: declined",
		choices{"token": "empty", "param": "yes", "touch": "declines"}, ctap.ErrOperationDenied},
	{"step 1.2: late",
		choices{"token": "empty", "param": "yes", "touch": "is late"}, ctap.ErrOperationDenied},
	{"step 1.3: no PIN",
		choices{"token": "empty", "param": "yes", "touch": "", "pin": "not set"}, ctap.ErrPINNotSet},
	{"step 1.3: a PIN",
		choices{"token": "empty", "param": "yes", "touch": "", "pin": "set"}, ctap.ErrPINInvalid},
	{"step 2.1: unknown protocol", choices{"protocol": "unknown", "param": "yes"}, ctap.ErrInvalidParameter},
	{"step 2.2: no protocol", choices{"protocol": "absent", "param": "yes"}, ctap.ErrMissingParameter},
	{"step 4.3.1: uv without a sensor",
		choices{"uv": "true", "param": "no", "finger": ""}, ctap.ErrInvalidOption},
	{"step 4.3.2: uv without a finger",
		choices{"uv": "true", "param": "no", "finger": "", "sensor": "yes"}, ctap.ErrInvalidOption},
	{"step 4.4.1: rk is true", choices{"rk": "true"}, ctap.ErrUnsupportedOption},
	{"step 4.4.1: rk is false", choices{"rk": "false"}, ctap.ErrUnsupportedOption},
	{"step 5.1.1: alwaysUv, nothing set up",
		choices{"alwaysUv": "true", "pin": "not set", "finger": "", "up": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 5.1.1: alwaysUv, nothing set up, a pinUvAuthParam",
		choices{"alwaysUv": "true", "pin": "not set", "finger": "",
			"param": "yes", "up": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 5.1.2: alwaysUv, nothing set up, no PIN taken",
		choices{"alwaysUv": "true", "clientPin option ID": "absent", "pin": "",
			"finger": "", "param": "no", "up": ""}, ctap.ErrOperationDenied},
	{"step 5.5.1: alwaysUv, no pinUvAuthParam",
		choices{"alwaysUv": "true", "pin": "set", "finger": "",
			"param": "no", "up": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 5.6.1: alwaysUv, no pinUvAuthParam, a PIN that won't do",
		choices{"alwaysUv": "true", "pin": "set", "finger": "",
			"param": "no", "up": "", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 6.1.1.1: forged",
		choices{"pin": "set", "token": "forged", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 6.1.3: not verified",
		choices{"pin": "set", "token": "without userVerified flag", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 6.1.4: no ga",
		choices{"pin": "set", "token": "of another permission", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 6.1.5.1: another RP",
		choices{"pin": "set", "token": "of another RP", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 6.2.3.1: a late finger",
		choices{"uv": "true", "finger": "is late", "param": "no"}, ctap.ErrUserActionTimeout},
	{"step 6.2.3.2: a wrong finger, a PIN",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"param": "no", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 6.2.3.3: the last wrong finger",
		choices{"uv": "true", "finger": "does not match", "pin": "not set",
			"uvRetries": "1", "param": "no"}, ctap.ErrPINBlocked},
	{"step 6.2.3.3: the last wrong finger, a PIN that won't do",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"uvRetries": "1", "param": "no", "noMcGa": "true"}, ctap.ErrPINBlocked},
	{"step 6.2.3.4: a wrong finger",
		choices{"uv": "true", "finger": "does not match", "pin": "not set",
			"uvRetries": "", "param": "no"}, ctap.ErrOperationDenied},
	{"step 6.2.3.4: a wrong finger, a PIN that won't do",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"uvRetries": "", "param": "no", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 7.1: unknown", choices{"allowList": "unknown"}, ctap.ErrNoCredentials},
	{"step 7.1: an empty allowList", choices{"allowList": "empty"}, ctap.ErrNoCredentials},
	{"step 7.2: nothing discoverable", choices{"allowList": "absent"}, ctap.ErrNoCredentials},
	{"step 7.4: level 3, not verified",
		choices{"allowList": "", "credProtect": "3", "uv": "", "param": "no", "alwaysUv": ""}, ctap.ErrNoCredentials},
	{"step 7.5: level 2, not verified, no allowList",
		choices{"allowList": "absent", "credProtect": "2", "credential": "discoverable",
			"uv": "", "param": "no", "alwaysUv": ""}, ctap.ErrNoCredentials},
	{"step 9.1.2.2: declined, with a pinUvAuthParam",
		choices{"touch": "declines", "pin": "set", "param": "yes", "up": ""}, ctap.ErrOperationDenied},
	{"step 9.2.1.2: declined", choices{"touch": "declines", "finger": "", "up": ""}, ctap.ErrOperationDenied},
	{"step 9.2.1.2: late", choices{"touch": "is late", "finger": "", "up": "true"}, ctap.ErrOperationDenied},
	{"step 10.1, §12.3: largeBlobKey is false", choices{"largeBlobKey": "false"}, ctap.ErrInvalidOption},
	{"step 10.1, §12.7: hmac-secret, up is false",
		choices{"hmac-secret": "salts", "up": "false", "finger": ""}, ctap.ErrUnsupportedOption},
}

func TestGetAssertionPrecedence(t *testing.T) {
	testPrecedence(t, getAssertionFaults, func(t *testing.T, c choices) error {
		level := map[string]int{"": 1, "2": 2, "3": 3}[c["credProtect"]]
		x := newCeremony(t, c, asking("credProtect", level), func(r *ctap.MakeCredentialRequest) {
			if c["credential"] == "discoverable" {
				discoverable(r)
			}
		})
		_, err := x.send(x.getAssertionRequest())
		return err
	})
}

// getAssertionRequest is the request that was chosen.
func (x *ceremony) getAssertionRequest() []byte {
	r := assertionRequest(x.known)
	r.ClientDataHash, r.Options = x.hash(), x.options()
	r.PINUVAuthParam, r.PINUVAuthProtocol = x.authorize(ctap.PermissionGetAssertion, ctap.PermissionMakeCredential)
	if x.chosen["rpId"] == "absent" {
		r.RPID = nil
	}
	switch x.chosen["allowList"] {
	case "absent":
		r.AllowList = nil
	case "empty":
		r.AllowList = []ctap.PublicKeyCredentialDescriptor{}
	case "unknown":
		r.AllowList[0].ID = []byte("unknown")
	case "long":
		r.AllowList = make([]ctap.PublicKeyCredentialDescriptor, x.a.MaxCredentialsInList+1)
	}
	r.Extensions = make(map[string]ctap.RawMessage)
	for name, input := range map[string]any{"largeBlobKey": false, "hmac-secret": map[int]int{}} {
		if x.chosen[name] != "" {
			b, err := ctap.Marshal(input)
			x.must(err)
			r.Extensions[name] = b
		}
	}
	return x.damage(r.Encode())
}

// TestUVWithoutUP: a finger is presence, even where none was asked for (§6.2.2 step 8.1).
func TestUVWithoutUP(t *testing.T) {
	x := newCeremony(t, choices{"finger": "matches", "uv": "true", "up": "false", "param": "no"})
	_, d, err := x.assertion(x.getAssertionRequest())
	x.must(err)
	if d.Flags != ctap.FlagUP|ctap.FlagUV {
		t.Errorf("flags %08b", d.Flags)
	}
}

// TestGetNextAssertionSteps goes through the refusals of §6.3, and of §6 for commands that have a state.
func TestGetNextAssertionSteps(t *testing.T) {
	const almost = pendingTimeout - time.Second
	for _, test := range []struct {
		name   string
		before func(p *platform, ga func())
		want   error
	}{
		{"goes on", func(_ *platform, ga func()) { ga() }, nil},
		{"§6.3 step 1: no getAssertion before", func(*platform, func()) {}, ctap.ErrNotAllowed},
		{"§6.3 step 1: a getAssertion with one answer", func(p *platform, _ func()) {
			c := p.a.Credentials()[0]
			_, _, err := p.getAssertion(assertionRequest(&registered{id: c.ID}))
			p.must(err)
		}, ctap.ErrNotAllowed},
		{"§6.3 step 2: all are told", func(p *platform, ga func()) {
			ga()
			for range 2 {
				_, _, err := p.getNextAssertion()
				p.must(err)
			}
		}, ctap.ErrNotAllowed},
		{"§6.3 step 3: just in time", func(_ *platform, ga func()) { ga(); time.Sleep(pendingTimeout) }, nil},
		{"§6.3 step 3: too late", func(_ *platform, ga func()) {
			ga()
			time.Sleep(pendingTimeout + time.Millisecond)
		}, ctap.ErrNotAllowed},
		{"§6.3 step 7: the timer starts anew", func(p *platform, ga func()) {
			ga()
			time.Sleep(almost)
			_, _, err := p.getNextAssertion()
			p.must(err)
			time.Sleep(almost)
		}, nil},
		{"§6: another command", func(p *platform, ga func()) { ga(); p.info() }, ctap.ErrNotAllowed},
		{"§6: another channel", func(p *platform, ga func()) { ga(); p.channel++ }, ctap.ErrNotAllowed},
		{"§6: a power cycle", func(p *platform, ga func()) { ga(); p.a.PowerCycle() }, ctap.ErrNotAllowed},
		{"§6: the token has expired", func(p *platform, ga func()) {
			token := p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com")
			silent, no := assertionRequest(), false
			param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(token, clientDataHash))
			silent.Options.UP, silent.PINUVAuthParam, silent.PINUVAuthProtocol = &no, &param, ctap.PINProtocolTwo
			_, _, err := p.getAssertion(silent) // does not spend the token
			p.must(err)
			time.Sleep(tokenLifetime - 2*time.Second)
			_, _, err = p.getAssertion(silent)
			p.must(err)
			time.Sleep(time.Second)
			_, _, err = p.getNextAssertion()
			p.must(err)
			time.Sleep(time.Second)
		}, ctap.ErrNotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlatform(t, Options{})
				for _, name := range []string{"alice", "bob", "carol"} {
					p.extended(credentialRequest(discoverable, forUser(name)))
				}
				p.must(p.a.SetPIN([]byte("1234")))
				test.before(p, func() {
					_, _, err := p.getAssertion(assertionRequest())
					p.must(err)
				})
				_, _, err := p.getNextAssertion()
				p.wants(err, test.want)
			})
		})
	}
}
