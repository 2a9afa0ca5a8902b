package emulator

import (
	"testing"
	"testing/synctest"

	"fob/fido/ctap"
)

// TestSignCounters: one for all, one for each, or none (WebAuthn §6.1.1).
func TestSignCounters(t *testing.T) {
	for _, test := range []struct {
		profile *Profile
		want    [6]uint32 // registered as a, b and c, which is not discoverable; signed in as a, a, c
	}{
		{&fido21, [6]uint32{1, 2, 3, 4, 5, 6}},
		{&countersApart, [6]uint32{1, 1, 1, 2, 3, 2}},
		{&counterless, [6]uint32{}},
	} {
		t.Run(test.profile.Name, func(t *testing.T) {
			p := newPlatform(t, Options{Profile: test.profile})
			a, err := p.makeCredential(credentialRequest(discoverable, forUser("a")))
			p.must(err)
			b, err := p.makeCredential(credentialRequest(discoverable, forUser("b")))
			p.must(err)
			c, err := p.makeCredential(credentialRequest(forUser("c")))
			p.must(err)
			got := [6]uint32{a.signCount, b.signCount, c.signCount}
			for i, credential := range []*registered{a, a, c} {
				_, d, err := p.getAssertion(assertionRequest(credential))
				p.must(err)
				got[3+i] = d.SignCount
			}
			if got != test.want {
				t.Errorf("counters %v, want %v", got, test.want)
			}
		})
	}
}

// TestPINForManagementAlone is noMcGaPermissionsWithClientPin: a PIN gives tokens, but none for a ceremony.
func TestPINForManagementAlone(t *testing.T) {
	profile, err := LookupProfile("sensor-only")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{Profile: profile})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	if !p.info().Options[ctap.OptionNoMcGaPermissionsWithClientPIN] {
		t.Error("the option is not told")
	}
	p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
	for _, permission := range []ctap.Permission{ctap.PermissionMakeCredential, ctap.PermissionGetAssertion} {
		x, rpID := p.agree(ctap.PINProtocolTwo), "example.com"
		r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions)
		r.PINHashEnc, r.Permissions, r.RPID = x.pinHash("1234"), &permission, &rpID
		_, err := p.send(r.Encode())
		p.wants(err, ctap.ErrUnauthorizedPerm)
	}
	r := credentialRequest(discoverable)
	_, err = p.makeCredential(r)
	p.wants(err, ctap.ErrOperationDenied) // and not PUAT_REQUIRED: there is no token to be had
	token, err := p.pinToken(ctap.PINProtocolTwo, "1234", 0)
	p.must(err)
	param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(token, r.ClientDataHash))
	r.PINUVAuthParam, r.PINUVAuthProtocol = &param, ctap.PINProtocolTwo
	_, err = p.makeCredential(r)
	p.wants(err, ctap.ErrPINAuthInvalid) // a token without permissions
}

// TestTouchTimeout: what a key says that nobody touches is the specification's word, or that of the product.
func TestTouchTimeout(t *testing.T) {
	for name, want := range map[string]ctap.StatusCode{
		"fido2.1": ctap.ErrOperationDenied, "like-yubikey-5.4": ctap.ErrActionTimeout} {

		synctest.Test(t, func(t *testing.T) {
			profile, err := LookupProfile(name)
			if err != nil {
				t.Fatal(err)
			}
			p := newPlatform(t, Options{Profile: profile, Presence: Wait})
			_, err = p.send(credentialRequest().Encode())
			p.wants(err, want)
		})
	}
}
