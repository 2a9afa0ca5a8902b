package emulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"fob/fido/ctap"
)

// asking adds an extension to a request.
func asking(name string, input any) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) {
		b, err := ctap.Marshal(input)
		if err != nil {
			panic(err)
		}
		if r.Extensions == nil {
			r.Extensions = map[string]ctap.RawMessage{}
		}
		r.Extensions[name] = b
	}
}

// made is a new credential with its extension outputs.
type made struct {
	*registered
	ctap.MakeCredentialExtensionOutputs
	largeBlobKey []byte
	raw          ctap.RawMessage
}

func (p *platform) make(r *ctap.MakeCredentialRequest) (*made, error) {
	p.t.Helper()
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseMakeCredentialResponse(b)
	p.must(err)
	d, err := ctap.ParseAuthenticatorData(resp.AuthData)
	p.must(err)
	m := &made{registered: &registered{id: d.Attested.CredentialID, flags: d.Flags}, largeBlobKey: resp.LargeBlobKey, raw: d.Extensions}
	if d.Extensions != nil {
		p.must(ctap.Unmarshal(d.Extensions, &m.MakeCredentialExtensionOutputs))
	}
	return m, nil
}

func (p *platform) extended(r *ctap.MakeCredentialRequest) *made {
	p.t.Helper()
	m, err := p.make(r)
	p.must(err)
	return m
}

// assertWith signs in with an extension, verified by PIN when there is a token.
func (p *platform) assertWith(name string, input any, token []byte, allow ...*registered) (*ctap.GetAssertionResponse, *ctap.GetAssertionExtensionOutputs, error) {
	p.t.Helper()
	r := assertionRequest(allow...)
	if name != "" {
		b, err := ctap.Marshal(input)
		p.must(err)
		r.Extensions = map[string]ctap.RawMessage{name: b}
	}
	if token != nil {
		param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(token, r.ClientDataHash))
		r.PINUVAuthParam, r.PINUVAuthProtocol = &param, ctap.PINProtocolTwo
	}
	resp, d, err := p.getAssertion(r)
	if err != nil {
		return nil, nil, err
	}
	out := new(ctap.GetAssertionExtensionOutputs)
	if d.Extensions != nil {
		p.must(ctap.Unmarshal(d.Extensions, out))
	}
	return resp, out, nil
}

func TestExtensionsUnasked(t *testing.T) {
	p := newPlatform(t, Options{})
	m := p.extended(credentialRequest(asking("unknown", map[string]int{"x": 1})))
	if m.flags&ctap.FlagED != 0 || m.raw != nil {
		t.Errorf("extension data %x", m.raw)
	}
}

func TestCredProtect(t *testing.T) {
	for level := ctap.UserVerificationOptional; level <= ctap.UserVerificationRequired; level++ {
		p := newPlatform(t, Options{})
		m := p.extended(credentialRequest(discoverable, asking("credProtect", level)))
		if m.CredProtect != level {
			t.Errorf("asked for %d, got %d", level, m.CredProtect)
		}
		unwrapped := p.extended(credentialRequest(forUser("bob"), asking("credProtect", level)))
		p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))

		sees := func(name string, want bool, token []byte, allow ...*registered) {
			t.Helper()
			_, _, err := p.assertWith("", nil, token, allow...)
			if (err == nil) != want || (err != nil && err != ctap.ErrNoCredentials) {
				t.Errorf("level %d, %s: %v, want seen %v", level, name, err, want)
			}
		}
		sees("unnamed", level == ctap.UserVerificationOptional, nil)
		sees("named", level < ctap.UserVerificationRequired, nil, m.registered)
		sees("named, not discoverable", level < ctap.UserVerificationRequired, nil, unwrapped.registered)
		sees("unnamed, verified", true, p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com"))
		sees("named, verified", true, p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com"), m.registered)

		exclude := func(r *ctap.MakeCredentialRequest) { r.ExcludeList = assertionRequest(m.registered).AllowList }
		_, err := p.make(credentialRequest(forUser("eve"), exclude))
		if want := level < ctap.UserVerificationRequired; (err == ctap.ErrCredentialExcluded) != want {
			t.Errorf("level %d excluded without verification: %v", level, err)
		}
		token := p.tokenFor("1234", ctap.PermissionMakeCredential, "example.com")
		_, err = p.make(credentialRequest(exclude, authorized(ctap.PINProtocolTwo, token)))
		p.wants(err, ctap.ErrCredentialExcluded)
	}
	p := newPlatform(t, Options{})
	_, err := p.make(credentialRequest(asking("credProtect", 4)))
	p.wants(err, ctap.ErrInvalidOption)
	_, err = p.make(credentialRequest(asking("credProtect", "x")))
	p.wants(err, ctap.ErrCBORUnexpectedType)
}

func TestCredBlob(t *testing.T) {
	p := newPlatform(t, Options{})
	long := bytes.Repeat([]byte{1}, int(p.a.MaxCredBlobLength)+1)
	for _, test := range []struct {
		name    string
		request *ctap.MakeCredentialRequest
		want    []byte
	}{
		{"stored", credentialRequest(discoverable, asking("credBlob", []byte("blob"))), []byte("blob")},
		{"too long", credentialRequest(discoverable, asking("credBlob", long)), nil},
		{"not discoverable", credentialRequest(asking("credBlob", []byte("blob"))), nil},
	} {
		m := p.extended(test.request)
		if m.CredBlob == nil || *m.CredBlob != (test.want != nil) {
			t.Errorf("%s: %v", test.name, m.CredBlob)
		}
		_, out, err := p.assertWith("credBlob", true, nil, m.registered)
		p.must(err)
		if !bytes.Equal(out.CredBlob, test.want) || out.CredBlob == nil {
			t.Errorf("%s: read %q", test.name, out.CredBlob)
		}
	}
}

func TestLargeBlobKey(t *testing.T) {
	p := newPlatform(t, Options{})
	_, err := p.make(credentialRequest(asking("largeBlobKey", true)))
	p.wants(err, ctap.ErrInvalidOption) // needs rk
	_, err = p.make(credentialRequest(discoverable, asking("largeBlobKey", false)))
	p.wants(err, ctap.ErrInvalidOption)
	m := p.extended(credentialRequest(discoverable, asking("largeBlobKey", true)))
	if len(m.largeBlobKey) != 32 || m.flags&ctap.FlagED != 0 {
		t.Errorf("key %x, flags %08b", m.largeBlobKey, m.flags)
	}
	resp, _, err := p.assertWith("largeBlobKey", true, nil, m.registered)
	p.must(err)
	if !bytes.Equal(resp.LargeBlobKey, m.largeBlobKey) {
		t.Errorf("key %x, then %x", m.largeBlobKey, resp.LargeBlobKey)
	}
	resp, _, err = p.assertWith("", nil, nil, m.registered)
	p.must(err)
	if resp.LargeBlobKey != nil {
		t.Error("told unasked")
	}
}

// hmacInput is what a platform sends for salts.
func (p *platform) hmacInput(protocol ctap.PINProtocol, salts []byte) (ctap.HMACSecretInput, *ctap.SharedSecret) {
	p.t.Helper()
	x := p.agree(protocol)
	in := ctap.HMACSecretInput{KeyAgreement: &ctap.KeyAgreement{PublicKey: x.ours.PublicKey()}, SaltEnc: x.encrypt(salts)}
	in.SaltAuth = x.secret.Authenticate(in.SaltEnc)
	if protocol != ctap.PINProtocolOne {
		in.PINUVAuthProtocol = protocol
	}
	return in, x.secret
}

func TestHMACSecret(t *testing.T) {
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		p := newPlatform(t, Options{})
		m := p.extended(credentialRequest(asking("hmac-secret", true)))
		if m.HMACSecret == nil || !*m.HMACSecret {
			t.Errorf("output %v", m.HMACSecret)
		}
		p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
		salt1, salt2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
		get := func(token, salts []byte) []byte {
			t.Helper()
			in, secret := p.hmacInput(protocol, salts)
			_, out, err := p.assertWith("hmac-secret", in, token, m.registered)
			p.must(err)
			plain, err := secret.Decrypt(out.HMACSecret)
			p.must(err)
			return plain
		}
		one, both := get(nil, salt1), get(nil, append(bytes.Clone(salt1), salt2...))
		if len(one) != 32 || len(both) != 64 || !bytes.Equal(one, both[:32]) || bytes.Equal(both[:32], both[32:]) {
			t.Errorf("protocol %d: %x, %x", protocol, one, both)
		}
		if verified := get(p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com"), salt1); bytes.Equal(verified, one) {
			t.Error("the same secret with and without user verification")
		}
		mac := hmac.New(sha256.New, p.a.state.find(m.id, "example.com").credRandom(false))
		mac.Write(salt1)
		if !bytes.Equal(mac.Sum(nil), one) {
			t.Error("not HMAC-SHA-256(CredRandom, salt)")
		}

		in, _ := p.hmacInput(protocol, salt1)
		in.SaltAuth[0]++
		_, _, err := p.assertWith("hmac-secret", in, nil, m.registered)
		p.wants(err, ctap.ErrPINAuthInvalid)
		in, _ = p.hmacInput(protocol, salt1[:16])
		_, _, err = p.assertWith("hmac-secret", in, nil, m.registered)
		p.wants(err, ctap.ErrInvalidParameter)
		in, _ = p.hmacInput(protocol, salt1)
		in.KeyAgreement = nil
		_, _, err = p.assertWith("hmac-secret", in, nil, m.registered)
		p.wants(err, ctap.ErrMissingParameter)

		in, _ = p.hmacInput(protocol, salt1)
		silent, no := assertionRequest(m.registered), false
		b, err := ctap.Marshal(in)
		p.must(err)
		silent.Options.UP, silent.Extensions = &no, map[string]ctap.RawMessage{"hmac-secret": b}
		_, _, err = p.getAssertion(silent)
		p.wants(err, ctap.ErrUnsupportedOption)

		plain := p.extended(credentialRequest(forUser("bob")))
		in, _ = p.hmacInput(protocol, salt1)
		_, out, err := p.assertWith("hmac-secret", in, nil, plain.registered)
		if err != nil || out.HMACSecret != nil {
			t.Errorf("a credential made without hmac-secret: %x, %v", out, err)
		}
	}
}

func TestHMACSecretMC(t *testing.T) {
	p := newPlatform(t, Options{})
	salt := bytes.Repeat([]byte{7}, 32)
	in, secret := p.hmacInput(ctap.PINProtocolTwo, salt)
	_, err := p.make(credentialRequest(asking("hmac-secret-mc", in)))
	p.wants(err, ctap.ErrMissingParameter) // needs hmac-secret beside it
	m := p.extended(credentialRequest(asking("hmac-secret", true), asking("hmac-secret-mc", in)))
	atCreation, err := secret.Decrypt(m.HMACSecretMC)
	p.must(err)
	in, secret = p.hmacInput(ctap.PINProtocolTwo, salt)
	_, out, err := p.assertWith("hmac-secret", in, nil, m.registered)
	p.must(err)
	later, err := secret.Decrypt(out.HMACSecret)
	p.must(err)
	if !bytes.Equal(atCreation, later) || len(later) != 32 {
		t.Errorf("%x at creation, %x later", atCreation, later)
	}
}

func TestThirdPartyPayment(t *testing.T) {
	p := newPlatform(t, Options{})
	for _, want := range []bool{true, false} {
		m := p.extended(credentialRequest(forUser(map[bool]string{true: "payer", false: "other"}[want]), asking("thirdPartyPayment", want)))
		_, out, err := p.assertWith("thirdPartyPayment", true, nil, m.registered)
		p.must(err)
		if out.ThirdPartyPayment == nil || *out.ThirdPartyPayment != want {
			t.Errorf("%v, want %v", out.ThirdPartyPayment, want)
		}
	}
}
