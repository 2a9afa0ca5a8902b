package emulator

import (
	"bytes"
	"context"
	"testing"

	"fob/fido/ctap"
)

// makeCredentialFaults are what breaks the steps of §6.1.2, in their order.
var makeCredentialFaults = []fault{
	{"§6.4, maxMsgSize: too large", choices{"request": "too large"}, ctap.ErrRequestTooLarge},
	{"§8: a trailing byte", choices{"request": "with a trailing byte"}, ctap.ErrInvalidCBOR},
	{"§8: clientDataHash is a text", choices{"clientDataHash": "text"}, ctap.ErrCBORUnexpectedType},
	{"step 3.1.2, as the request is decoded: alg is no number",
		choices{"alg": "bytes"}, ctap.ErrCBORUnexpectedType},
	{"§6.1: no clientDataHash", choices{"clientDataHash": "absent"}, ctap.ErrMissingParameter},
	{"§6.1: a short clientDataHash", choices{"clientDataHash": "short"}, ctap.ErrInvalidLength},
	{"§6.4, maxCredentialCountInList: long excludeList",
		choices{"excludeList": "long"}, ctap.ErrLimitExceeded},
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
	{"step 3.1.1: an element without type", choices{"alg": "then one without type"}, ctap.ErrInvalidCBOR},
	{"step 3.2: unknown algorithm", choices{"alg": "unknown"}, ctap.ErrUnsupportedAlgorithm},
	{"step 3.2: unknown type", choices{"alg": "of an unknown type"}, ctap.ErrUnsupportedAlgorithm},
	{"step 5.3.1: uv without a sensor",
		choices{"uv": "true", "param": "no", "finger": ""}, ctap.ErrInvalidOption},
	{"step 5.3.2: uv without a finger",
		choices{"uv": "true", "param": "no", "finger": "", "sensor": "yes"}, ctap.ErrInvalidOption},
	{"step 5.4.1: rk", choices{"rk": "true", "rk option ID": "false"}, ctap.ErrUnsupportedOption},
	{"step 5.6.1: up is false", choices{"up": "false"}, ctap.ErrInvalidOption},
	{"step 6.2.1: alwaysUv, nothing set up",
		choices{"alwaysUv": "true", "pin": "not set", "finger": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 6.2.1: alwaysUv, nothing set up, a pinUvAuthParam",
		choices{"alwaysUv": "true", "pin": "not set", "finger": "",
			"param": "yes", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 6.2.2: alwaysUv, nothing set up, no PIN taken",
		choices{"alwaysUv": "true", "clientPin option ID": "absent", "pin": "",
			"finger": "", "param": "no"}, ctap.ErrOperationDenied},
	{"step 6.4.1: alwaysUv, no pinUvAuthParam",
		choices{"alwaysUv": "true", "pin": "set", "finger": "", "param": "no", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 6.4.2: alwaysUv, no pinUvAuthParam, a PIN that won't do",
		choices{"alwaysUv": "true", "pin": "set", "finger": "",
			"param": "no", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 7.1.1: rk, a PIN",
		choices{"rk": "true", "pin": "set", "uv": "",
			"param": "no", "alwaysUv": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 7.1.2: rk, a finger",
		choices{"rk": "true", "pin": "not set", "finger": "matches",
			"uv": "", "param": "no", "alwaysUv": ""}, ctap.ErrOperationDenied},
	{"step 7.1.2: rk, a PIN that won't do",
		choices{"rk": "true", "pin": "set", "uv": "",
			"param": "no", "alwaysUv": "", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 8.1.1: makeCredUvNotRqd is false, a PIN",
		choices{"makeCredUvNotRqd": "false", "pin": "set", "uv": "",
			"param": "no", "alwaysUv": "", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 8.1.2: makeCredUvNotRqd is false, a finger",
		choices{"makeCredUvNotRqd": "false", "pin": "not set", "finger": "matches",
			"uv": "", "param": "no", "alwaysUv": ""}, ctap.ErrOperationDenied},
	{"step 8.1.2: makeCredUvNotRqd is false, a PIN that won't do",
		choices{"makeCredUvNotRqd": "false", "pin": "set", "uv": "",
			"param": "no", "alwaysUv": "", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 9.1: enterprise attestation is off",
		choices{"enterpriseAttestation": "1", "ep": ""}, ctap.ErrInvalidParameter},
	{"step 9.1: enterprise attestation is off, and 7",
		choices{"enterpriseAttestation": "7", "ep": ""}, ctap.ErrInvalidParameter},
	{"step 9.2.1: enterprise attestation 7",
		choices{"enterpriseAttestation": "7", "ep": "true"}, ctap.ErrInvalidOption},
	{"step 11.1.1: forged", choices{"pin": "set", "token": "forged", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 11.1.2: no mc",
		choices{"pin": "set", "token": "of another permission", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 11.1.3: another RP",
		choices{"pin": "set", "token": "of another RP", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 11.1.5: not verified",
		choices{"pin": "set", "token": "without userVerified flag", "param": "yes"}, ctap.ErrPINAuthInvalid},
	{"step 11.2.3.1: a late finger",
		choices{"uv": "true", "finger": "is late", "param": "no"}, ctap.ErrUserActionTimeout},
	{"step 11.2.3.2: a wrong finger, a PIN",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"param": "no", "noMcGa": ""}, ctap.ErrPUATRequired},
	{"step 11.2.3.3: the last wrong finger",
		choices{"uv": "true", "finger": "does not match", "pin": "not set",
			"uvRetries": "1", "param": "no"}, ctap.ErrPINBlocked},
	{"step 11.2.3.3: the last wrong finger, a PIN that won't do",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"uvRetries": "1", "param": "no", "noMcGa": "true"}, ctap.ErrPINBlocked},
	{"step 11.2.3.4: a wrong finger",
		choices{"uv": "true", "finger": "does not match", "pin": "not set",
			"uvRetries": "", "param": "no"}, ctap.ErrOperationDenied},
	{"step 11.2.3.4: a wrong finger, a PIN that won't do",
		choices{"uv": "true", "finger": "does not match", "pin": "set",
			"uvRetries": "", "param": "no", "noMcGa": "true"}, ctap.ErrOperationDenied},
	{"step 12.1: excluded", choices{"excludeList": "known"}, ctap.ErrCredentialExcluded},
	{"step 12.1.4: excluded, behind one that is unknown",
		choices{"excludeList": "unknown, known"}, ctap.ErrCredentialExcluded},
	{"step 12.2.1: excluded, level 3, verified",
		choices{"excludeList": "level 3", "pin": "set", "param": "yes"}, ctap.ErrCredentialExcluded},
	{"step 14.1.2.2: declined, with a pinUvAuthParam",
		choices{"touch": "declines", "pin": "set", "param": "yes"}, ctap.ErrOperationDenied},
	{"step 14.1.2.2: late, with a pinUvAuthParam",
		choices{"touch": "is late", "pin": "set", "param": "yes"}, ctap.ErrOperationDenied},
	{"step 14.2.1.2: declined", choices{"touch": "declines", "finger": ""}, ctap.ErrOperationDenied},
	{"step 14.2.1.2: late", choices{"touch": "is late", "finger": ""}, ctap.ErrOperationDenied},
	{"step 15.1, §12.1: credProtect out of range",
		choices{"extension": "credProtect"}, ctap.ErrInvalidOption},
	{"step 17.4: no room", choices{"rk": "true", "store": "full", "rk option ID": ""}, ctap.ErrKeyStoreFull},
}

func TestMakeCredentialPrecedence(t *testing.T) {
	testPrecedence(t, makeCredentialFaults, func(t *testing.T, c choices) error {
		x := newCeremony(t, c, asking("credProtect", map[bool]int{true: 3, false: 1}[c["excludeList"] == "level 3"]))
		_, err := x.send(x.makeCredentialRequest())
		return err
	})
}

// makeCredentialRequest is the request that was chosen, for carol.
func (x *ceremony) makeCredentialRequest() []byte {
	r := credentialRequest(forUser("carol"))
	r.ClientDataHash, r.Options = x.hash(), x.options()
	r.PINUVAuthParam, r.PINUVAuthProtocol = x.authorize(ctap.PermissionMakeCredential, ctap.PermissionGetAssertion)
	switch alg := &r.PubKeyCredParams[0]; x.chosen["alg"] {
	case "unknown":
		alg.Alg = -999
	case "of an unknown type":
		alg.Type = "x"
	case "then one without type":
		r.PubKeyCredParams = append(r.PubKeyCredParams, ctap.PublicKeyCredentialParameters{Alg: ctap.ES256})
	}
	if digit := x.chosen["enterpriseAttestation"]; digit != "" {
		r.EnterpriseAttestation = number(int(digit[0] - '0'))
	}
	known := assertionRequest(x.known).AllowList
	unknown := ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte("unknown")}
	switch x.chosen["excludeList"] {
	case "known", "level 3":
		r.ExcludeList = known
	case "unknown, known":
		r.ExcludeList = append([]ctap.PublicKeyCredentialDescriptor{unknown}, known...)
	case "long":
		r.ExcludeList = make([]ctap.PublicKeyCredentialDescriptor, x.a.MaxCredentialsInList+1)
	}
	if x.chosen["extension"] == "credProtect" {
		asking("credProtect", 4)(r)
	}
	payload := r.Encode()
	if x.chosen["alg"] == "bytes" {
		payload = bytes.Replace(payload, []byte("calg\x26"), []byte("calg\x40"), 1)
	}
	return x.damage(payload)
}

// TestExcludedWhateverThePersonDoes: a touch that does not come hides no excluded credential (step 12.1.4), a cancelled
// request does; and no token is spent.
func TestExcludedWhateverThePersonDoes(t *testing.T) {
	x := newCeremony(t, choices{"excludeList": "known", "pin": "set", "touch": "declines"})
	_, err := x.send(x.makeCredentialRequest())
	x.wants(err, ctap.ErrCredentialExcluded)
	if x.person.touches != 1 || x.a.pin.token.permissions != ctap.PermissionMakeCredential {
		t.Errorf("%d touches, token with permissions %#x", x.person.touches, x.a.pin.token.permissions)
	}
	x.a.pin.token.present = true // as a finger leaves it: nobody is asked again (step 12.1.5)
	_, err = x.send(x.requestWith(x.a.pin.token))
	x.wants(err, ctap.ErrCredentialExcluded)
	if x.person.touches != 1 {
		t.Errorf("%d touches", x.person.touches)
	}
	ctx, cancel := context.WithCancel(t.Context())
	x.a.presence = func(ctx context.Context, _ PresenceRequest) error { cancel(); return ctx.Err() }
	x.ctx = ctx
	_, err = x.send(x.makeCredentialRequest())
	x.wants(err, ctap.ErrKeepaliveCancel)
}

// requestWith is a request to register alice again that t authorizes, with an excludeList.
func (x *ceremony) requestWith(t *token) []byte {
	r := credentialRequest(authorized(t.protocol, t.secret))
	r.ExcludeList = assertionRequest(x.known).AllowList
	return r.Encode()
}

// TestWithoutProtection: a key that has neither PIN nor finger passes over a pinUvAuthParam (steps 11 of §6.1.2 and 6
// of §6.2.2), and verifies nobody.
func TestWithoutProtection(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, make([]byte, 32))))
	p.must(err)
	r := assertionRequest(c)
	r.PINUVAuthParam, r.PINUVAuthProtocol = new(ctap.Bytes), ctap.PINProtocolTwo
	*r.PINUVAuthParam = make([]byte, 32)
	_, d, err := p.getAssertion(r)
	p.must(err)
	if (c.flags|d.Flags)&ctap.FlagUV != 0 {
		t.Errorf("flags %08b, %08b", c.flags, d.Flags)
	}
}

// TestTokenIsSpent: what a touch ends (steps 14.4 of §6.1.2 and 9.4 of §6.2.2), and what a finger does not (steps 13.2
// and 8.2).
func TestTokenIsSpent(t *testing.T) {
	const all = ctap.PermissionMakeCredential | ctap.PermissionGetAssertion | ctap.PermissionLargeBlobWrite
	no, yes := false, true
	for _, test := range []struct {
		name  string
		send  func(x *ceremony) error
		spent bool
	}{
		{"makeCredential with the token", func(x *ceremony) error {
			_, err := x.makeCredential(credentialRequest(authorized(ctap.PINProtocolTwo, x.a.pin.token.secret)))
			return err
		}, true},
		{"makeCredential without a token", func(x *ceremony) error {
			_, err := x.makeCredential(credentialRequest())
			return err
		}, true},
		{"makeCredential by finger", func(x *ceremony) error {
			_, err := x.makeCredential(credentialRequest(func(r *ctap.MakeCredentialRequest) { r.Options.UV = &yes }))
			return err
		}, false},
		{"makeCredential that is declined", func(x *ceremony) error {
			x.person.touch = "declines"
			if _, err := x.makeCredential(credentialRequest()); err != ctap.ErrOperationDenied {
				return err
			}
			return nil
		}, false},
		{"getAssertion without a token", func(x *ceremony) error {
			_, _, err := x.getAssertion(assertionRequest(x.known))
			return err
		}, true},
		{"silent getAssertion", func(x *ceremony) error {
			r := assertionRequest(x.known)
			r.Options.UP = &no
			_, _, err := x.getAssertion(r)
			return err
		}, false},
		{"getAssertion by finger", func(x *ceremony) error {
			r := assertionRequest(x.known)
			r.Options.UV = &yes
			_, _, err := x.getAssertion(r)
			return err
		}, false},
	} {
		x := newCeremony(t, choices{"pin": "set", "finger": "matches"})
		x.a.pin.token = newToken(ctap.PINProtocolTwo, all, "", x.a.now())
		x.must(test.send(x))
		left, verified := x.a.pin.token.permissions, x.a.pin.token.verified
		if spent := left == ctap.PermissionLargeBlobWrite && !verified; spent != test.spent {
			t.Errorf("%s: permissions %#x, verified %v", test.name, left, verified)
		}
		if !test.spent {
			continue
		}
		err := x.writeBlobs(x.a.pin.token.secret, ctap.EmptyLargeBlobArray) // lbw outlives the touch
		x.wants(err, nil)
	}
}
