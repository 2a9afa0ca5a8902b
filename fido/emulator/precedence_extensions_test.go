package emulator

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"fob/fido/ctap"
)

// salting is a request with hmac-secret, at getAssertion, or with hmac-secret-mc, at makeCredential.
type salting struct {
	*platform
	protocol ctap.PINProtocol
	allow    []*registered  // none at makeCredential
	up       *bool          // at getAssertion
	rk       bool           // at makeCredential
	others   map[string]any // extensions beside it

	salts   []byte
	named   ctap.PINProtocol // pinUvAuthProtocol in the input; 0 for none
	without int              // the key of the member that the input lacks
	forged  bool             // saltAuth is over something else
}

func beginSalting(t *testing.T, protocol ctap.PINProtocol, atCreation bool) *salting {
	t.Helper()
	p := newPlatform(t, Options{})
	s := &salting{platform: p, protocol: protocol, named: protocol, rk: true, salts: make([]byte, 64)}
	s.others = map[string]any{"largeBlobKey": true}
	if atCreation {
		s.others["hmac-secret"] = true
		return s
	}
	c, err := p.makeCredential(credentialRequest(asking("hmac-secret", true)))
	p.must(err)
	s.allow = []*registered{c}
	return s
}

// input is the extension's input, a map by its keys.
func (s *salting) input() map[int]any {
	x := s.agree(s.protocol)
	enc := x.encrypt(s.salts)
	public := &ctap.KeyAgreement{PublicKey: x.ours.PublicKey()}
	in := map[int]any{1: public, 2: enc, 3: x.secret.Authenticate(enc), 4: s.named}
	if s.forged {
		in[3] = x.secret.Authenticate(append(enc, 0))
	}
	if s.named == 0 {
		delete(in, 4)
	}
	delete(in, s.without)
	return in
}

func (s *salting) send() error {
	s.t.Helper()
	name := "hmac-secret"
	if s.allow == nil {
		name = "hmac-secret-mc"
	}
	s.others[name] = s.input()
	inputs := make(map[string]ctap.RawMessage)
	for name, input := range s.others {
		b, err := ctap.Marshal(input)
		s.must(err)
		inputs[name] = b
	}
	if s.allow == nil {
		r := credentialRequest()
		r.Options.RK, r.Extensions = &s.rk, inputs
		_, err := s.platform.send(r.Encode())
		return err
	}
	r := assertionRequest(s.allow...)
	r.Options.UP, r.Extensions = s.up, inputs
	_, err := s.platform.send(r.Encode())
	return err
}

// saltMissteps are those of hmac-secret at getAssertion from step 4, which hmac-secret-mc has too (§12.8).
var saltMissteps = []misstep[*salting]{
	{"§12.7, saltAuth of something else", ctap.ErrPINAuthInvalid, "auth", func(s *salting) { s.forged = true }},
	{"§12.7, salts of 16 bytes", ctap.ErrInvalidParameter, "salts", func(s *salting) { s.salts = make([]byte, 16) }},
	{"§12.7, salts of 48 bytes", ctap.ErrInvalidParameter, "salts", func(s *salting) { s.salts = make([]byte, 48) }},
	{"§12.7, salts of 96 bytes", ctap.ErrInvalidParameter, "salts", func(s *salting) { s.salts = make([]byte, 96) }},
}

// otherProtocol is step 1 of hmac-secret, and missingSalts what its input must have.
var (
	otherProtocol = misstep[*salting]{"§12.7 step 1, pinUvAuthProtocol 3", ctap.ErrInvalidParameter, "protocol",
		func(s *salting) { s.named = 3 }}
	missingSalts = []misstep[*salting]{
		{"§12.7, no keyAgreement", ctap.ErrMissingParameter, "input", func(s *salting) { s.without = 1 }},
		{"§12.7, no saltEnc", ctap.ErrMissingParameter, "input", func(s *salting) { s.without = 2 }},
		{"§12.7, no saltAuth", ctap.ErrMissingParameter, "input", func(s *salting) { s.without = 3 }},
	}
)

// TestHMACSecretPrecedence goes through the steps of hmac-secret at getAssertion (§12.7), and largeBlobKey beside it
// (§12.3).
func TestHMACSecretPrecedence(t *testing.T) {
	all := slices.Concat([]misstep[*salting]{
		{"§12.3, largeBlobKey false", ctap.ErrInvalidOption, "largeBlobKey",
			func(s *salting) { s.others["largeBlobKey"] = false }},
		otherProtocol,
		{"§12.7 step 2, no user presence", ctap.ErrUnsupportedOption, "up", func(s *salting) { s.up = new(false) }},
	}, missingSalts, saltMissteps)
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		t.Run(fmt.Sprint("protocol ", protocol), func(t *testing.T) {
			missteps(t, func(t *testing.T) *salting { return beginSalting(t, protocol, false) }, (*salting).send, all)
		})
	}
}

// TestMakeCredentialExtensionsPrecedence goes through what extensions refuse at makeCredential: §12.1, §12.3, §12.8.
func TestMakeCredentialExtensionsPrecedence(t *testing.T) {
	all := slices.Concat([]misstep[*salting]{
		{"(no step), credProtect 4", ctap.ErrInvalidOption, "credProtect",
			func(s *salting) { s.others["credProtect"] = 4 }},
		{"§12.3, largeBlobKey false", ctap.ErrInvalidOption, "largeBlobKey",
			func(s *salting) { s.others["largeBlobKey"] = false }},
		{"§12.3, largeBlobKey without rk", ctap.ErrInvalidOption, "rk", func(s *salting) { s.rk = false }},
		{"§12.8, no hmac-secret", ctap.ErrMissingParameter, "hmac-secret",
			func(s *salting) { delete(s.others, "hmac-secret") }},
		{"§12.8, hmac-secret false", ctap.ErrMissingParameter, "hmac-secret",
			func(s *salting) { s.others["hmac-secret"] = false }},
		otherProtocol,
	}, missingSalts, saltMissteps)
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		t.Run(fmt.Sprint("protocol ", protocol), func(t *testing.T) {
			missteps(t, func(t *testing.T) *salting { return beginSalting(t, protocol, true) }, (*salting).send, all)
		})
	}
}

// TestSaltsWithoutProtocol are salts under protocol one, which a platform need not name (§12.7 step 1).
func TestSaltsWithoutProtocol(t *testing.T) {
	for _, atCreation := range []bool{false, true} {
		s := beginSalting(t, ctap.PINProtocolOne, atCreation)
		s.named = 0
		s.wants(s.send(), nil)
		other := beginSalting(t, ctap.PINProtocolTwo, atCreation)
		other.named = 0
		other.wants(other.send(), ctap.ErrPINAuthInvalid)
	}
}

// TestExtensionTypes: an extension that the key knows has an input of its type, in both commands; one that it does not
// know has any.
func TestExtensionTypes(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest(asking("hmac-secret", true)))
	p.must(err)
	for _, test := range []struct {
		name            string
		create, request bool // known there
	}{
		{"credBlob", true, true}, {"credProtect", true, false}, {"hmac-secret", true, true},
		{"hmac-secret-mc", true, false}, {"largeBlobKey", true, true}, {"minPinLength", true, false},
		{"thirdPartyPayment", true, true}, {"unheardOf", false, false},
	} {
		refused := func(known bool) error {
			if known {
				return ctap.ErrCBORUnexpectedType
			}
			return nil
		}
		for _, input := range []any{"text", []int{1}} {
			_, err := p.make(credentialRequest(asking(test.name, input)))
			if err != refused(test.create) {
				t.Errorf("makeCredential with %s: %v: %v", test.name, input, err)
			}
			_, _, err = p.assertWith(test.name, input, nil, c)
			if err != refused(test.request) {
				t.Errorf("getAssertion with %s: %v: %v", test.name, input, err)
			}
		}
	}
}

// TestHMACSecretFalse: what is not asked for has no output (§12.7).
func TestHMACSecretFalse(t *testing.T) {
	p := newPlatform(t, Options{})
	m := p.extended(credentialRequest(asking("hmac-secret", false)))
	if m.flags&ctap.FlagED != 0 || m.raw != nil {
		t.Errorf("extension data %x", m.raw)
	}
}

// TestLargeBlobKeyIsOfOne credential (§12.3).
func TestLargeBlobKeyIsOfOne(t *testing.T) {
	p := newPlatform(t, Options{})
	alice := p.extended(credentialRequest(discoverable, asking("largeBlobKey", true)))
	bob := p.extended(credentialRequest(discoverable, forUser("bob"), asking("largeBlobKey", true)))
	if bytes.Equal(alice.largeBlobKey, bob.largeBlobKey) {
		t.Error("two credentials with one key")
	}
}
