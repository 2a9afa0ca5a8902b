package emulator

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// tokenFor gets a token with permissions for an RP, or for none.
func (p *platform) tokenFor(pin string, permissions ctap.Permission, rpID string) []byte {
	p.t.Helper()
	x := p.agree(ctap.PINProtocolTwo)
	r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions)
	r.PINHashEnc, r.Permissions = x.pinHash(pin), &permissions
	if rpID != "" {
		r.RPID = &rpID
	}
	b, err := p.send(r.Encode())
	p.must(err)
	resp, err := ctap.ParseClientPINResponse(b)
	p.must(err)
	token, err := x.secret.Decrypt(resp.PINUVAuthToken)
	p.must(err)
	return token
}

// manage sends a subcommand of credentialManagement; token nil sends it without a pinUvAuthParam.
func (p *platform) manage(token []byte, s ctap.CredentialManagementSubcommand, params *ctap.CredentialManagementParams) (*ctap.CredentialManagementResponse, error) {
	p.t.Helper()
	r := &ctap.CredentialManagementRequest{Subcommand: s}
	if params != nil {
		b, err := ctap.Marshal(params)
		p.must(err)
		r.SubcommandParams = b
	}
	if token != nil {
		r.PINUVAuthProtocol = ctap.PINProtocolTwo
		r.PINUVAuthParam = ctap.PINProtocolTwo.Authenticate(token, r.AuthMessage())
	}
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseCredentialManagementResponse(b)
	p.must(err)
	return resp, nil
}

func atRP(id string) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) {
		r.RP = &ctap.PublicKeyCredentialRpEntity{ID: id, Name: strings.ToUpper(id)}
	}
}

// filled is a key with a PIN and three credentials at two RPs.
func filled(t *testing.T) *platform {
	p := newPlatform(t, Options{})
	for _, c := range []struct{ rp, user string }{{"example.com", "alice"}, {"example.com", "bob"}, {"example.net", "carol"}} {
		_, err := p.makeCredential(credentialRequest(discoverable, forUser(c.user), atRP(c.rp)))
		p.must(err)
	}
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	return p
}

func TestCredentialManagement(t *testing.T) {
	p := filled(t)
	token := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
	meta, err := p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
	p.must(err)
	if *meta.ExistingResidentCredentialsCount != 3 || *meta.MaxPossibleRemainingResidentCredentialsCount != p.a.MaxDiscoverable-3 {
		t.Errorf("metadata %+v", meta)
	}
	rp, err := p.manage(token, ctap.SubcommandEnumerateRPsBegin, nil)
	p.must(err)
	if rp.RP.ID != "example.com" || rp.RP.Name != "EXAMPLE.COM" || rp.TotalRPs != 2 || !bytes.Equal(rp.RPIDHash, rpIDHash("example.com")) {
		t.Errorf("first RP %+v", rp)
	}
	rp, err = p.manage(nil, ctap.SubcommandEnumerateRPsGetNextRP, nil)
	p.must(err)
	if rp.RP.ID != "example.net" || rp.TotalRPs != 0 {
		t.Errorf("second RP %+v", rp)
	}
	_, err = p.manage(nil, ctap.SubcommandEnumerateRPsGetNextRP, nil)
	p.wants(err, ctap.ErrNotAllowed)

	params := &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.com")}
	first, err := p.manage(token, ctap.SubcommandEnumerateCredentialsBegin, params)
	p.must(err)
	if first.User.Name != "alice" || first.TotalCredentials != 2 || first.CredProtect != ctap.UserVerificationOptional {
		t.Errorf("first credential %+v", first)
	}
	second, err := p.manage(nil, ctap.SubcommandEnumerateCredentialsGetNextCredential, nil)
	p.must(err)
	if second.User.Name != "bob" {
		t.Errorf("second credential %+v", second)
	}

	bob := &ctap.CredentialManagementParams{CredentialID: second.CredentialID, User: &ctap.PublicKeyCredentialUserEntity{ID: []byte("bob"), Name: "robert"}}
	_, err = p.manage(token, ctap.SubcommandUpdateUserInformation, bob)
	p.must(err)
	if got := p.a.Credentials()[1]; got.UserName != "robert" || got.UserDisplayName != "" || string(got.UserID) != "bob" {
		t.Errorf("updated %+v", got)
	}
	bob.User.ID = []byte("mallory")
	_, err = p.manage(token, ctap.SubcommandUpdateUserInformation, bob)
	p.wants(err, ctap.ErrInvalidParameter)

	_, err = p.manage(token, ctap.SubcommandDeleteCredential, &ctap.CredentialManagementParams{CredentialID: second.CredentialID})
	p.must(err)
	_, err = p.manage(token, ctap.SubcommandDeleteCredential, &ctap.CredentialManagementParams{CredentialID: second.CredentialID})
	p.wants(err, ctap.ErrNoCredentials)
	if left := *p.info().RemainingDiscoverable; left != p.a.MaxDiscoverable-2 {
		t.Errorf("%d left", left)
	}
}

func TestCredentialManagementTokens(t *testing.T) {
	p := filled(t)
	here := &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.com")}
	elsewhere := &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.net")}
	_, err := p.manage(nil, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, ctap.ErrPUATRequired)

	bound := p.tokenFor("1234", ctap.PermissionCredentialManagement, "example.com")
	_, err = p.manage(bound, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, ctap.ErrPINAuthInvalid)
	_, err = p.manage(bound, ctap.SubcommandEnumerateRPsBegin, nil)
	p.wants(err, ctap.ErrPINAuthInvalid)
	_, err = p.manage(bound, ctap.SubcommandEnumerateCredentialsBegin, elsewhere)
	p.wants(err, ctap.ErrPINAuthInvalid)
	_, err = p.manage(bound, ctap.SubcommandEnumerateCredentialsBegin, here)
	p.wants(err, nil)
	carol := p.a.Credentials()[2]
	_, err = p.manage(bound, ctap.SubcommandDeleteCredential, &ctap.CredentialManagementParams{CredentialID: carol.descriptor()})
	p.wants(err, ctap.ErrPINAuthInvalid)

	other := p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com")
	_, err = p.manage(other, ctap.SubcommandEnumerateCredentialsBegin, here)
	p.wants(err, ctap.ErrPINAuthInvalid)

	token := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
	_, err = p.manage(token, ctap.SubcommandEnumerateCredentialsBegin, &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.org")})
	p.wants(err, ctap.ErrNoCredentials)
	_, err = p.manage(token, ctap.SubcommandEnumerateCredentialsBegin, nil)
	p.wants(err, ctap.ErrMissingParameter)
	_, err = p.manage(token, 0, nil)
	p.wants(err, ctap.ErrMissingParameter)
	_, err = p.manage(token, 9, nil)
	p.wants(err, ctap.ErrInvalidSubcommand)
}

func TestEnumerationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := filled(t)
		token := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
		for name, interrupt := range map[string]func(){
			"another command": func() { p.info() },
			"another channel": func() { p.channel++ },
			"too late":        func() { time.Sleep(pendingTimeout + time.Second) },
		} {
			_, err := p.manage(token, ctap.SubcommandEnumerateRPsBegin, nil)
			p.must(err)
			interrupt()
			if _, err = p.manage(nil, ctap.SubcommandEnumerateRPsGetNextRP, nil); err != ctap.ErrNotAllowed {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// blobs sends a request of largeBlobs with a pinUvAuthParam, when there is a token.
func (p *platform) blobs(token []byte, r *ctap.LargeBlobsRequest) ([]byte, error) {
	p.t.Helper()
	if token != nil {
		r.PINUVAuthProtocol = ctap.PINProtocolTwo
		r.PINUVAuthParam = ctap.PINProtocolTwo.Authenticate(token, r.AuthMessage())
	}
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseLargeBlobsResponse(b)
	p.must(err)
	return resp.Config, nil
}

func number(n int) *uint { u := uint(n); return &u }

// readBlobs reads the whole array in steps of 100 bytes.
func (p *platform) readBlobs() []byte {
	p.t.Helper()
	var all []byte
	for {
		part, err := p.blobs(nil, &ctap.LargeBlobsRequest{Get: number(100), Offset: number(len(all))})
		p.must(err)
		all = append(all, part...)
		if len(part) < 100 {
			return all
		}
	}
}

// writeBlobs writes an array in two fragments.
func (p *platform) writeBlobs(token, array []byte) error {
	p.t.Helper()
	half := len(array) / 2
	if _, err := p.blobs(token, &ctap.LargeBlobsRequest{Set: array[:half], Offset: number(0), Length: number(len(array))}); err != nil {
		return err
	}
	_, err := p.blobs(token, &ctap.LargeBlobsRequest{Set: array[half:], Offset: number(half)})
	return err
}

func TestLargeBlobs(t *testing.T) {
	p := newPlatform(t, Options{})
	if got := p.readBlobs(); !bytes.Equal(got, ctap.EmptyLargeBlobArray) {
		t.Errorf("at first: %x", got)
	}
	array := ctap.AppendLargeBlobHash(append([]byte{0x81, 0x59, 0x01, 0x2c}, make([]byte, 300)...))
	p.must(p.writeBlobs(nil, array))
	if got := p.readBlobs(); !bytes.Equal(got, array) {
		t.Errorf("read %x", got)
	}
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	p.wants(p.writeBlobs(nil, ctap.EmptyLargeBlobArray), ctap.ErrPUATRequired)
	p.wants(p.writeBlobs(p.tokenFor("1234", ctap.PermissionCredentialManagement, ""), ctap.EmptyLargeBlobArray), ctap.ErrPINAuthInvalid)
	token := p.tokenFor("1234", ctap.PermissionLargeBlobWrite, "")
	broken := bytes.Clone(array)
	broken[10]++
	p.wants(p.writeBlobs(token, broken), ctap.ErrIntegrityFailure)
	if got := p.readBlobs(); !bytes.Equal(got, array) {
		t.Error("a broken array took the place of a good one")
	}
	p.must(p.writeBlobs(token, ctap.EmptyLargeBlobArray))
}

func TestLargeBlobErrors(t *testing.T) {
	p := newPlatform(t, Options{})
	fragment := int(p.a.maxFragment())
	for _, test := range []struct {
		name string
		r    ctap.LargeBlobsRequest
		want error
	}{
		{"no offset", ctap.LargeBlobsRequest{Get: number(1)}, ctap.ErrInvalidParameter},
		{"neither get nor set", ctap.LargeBlobsRequest{Offset: number(0)}, ctap.ErrInvalidParameter},
		{"get and set", ctap.LargeBlobsRequest{Get: number(1), Set: []byte{1}, Offset: number(0)}, ctap.ErrInvalidParameter},
		{"get with a length", ctap.LargeBlobsRequest{Get: number(1), Offset: number(0), Length: number(1)}, ctap.ErrInvalidParameter},
		{"get too much", ctap.LargeBlobsRequest{Get: number(fragment + 1), Offset: number(0)}, ctap.ErrInvalidLength},
		{"get behind the end", ctap.LargeBlobsRequest{Get: number(1), Offset: number(18)}, ctap.ErrInvalidParameter},
		{"get at the end", ctap.LargeBlobsRequest{Get: number(1), Offset: number(17)}, nil},
		{"set too much", ctap.LargeBlobsRequest{Set: make([]byte, fragment+1), Offset: number(0), Length: number(4000)}, ctap.ErrInvalidLength},
		{"set without a length", ctap.LargeBlobsRequest{Set: []byte{1}, Offset: number(0)}, ctap.ErrInvalidParameter},
		{"length too small", ctap.LargeBlobsRequest{Set: []byte{1}, Offset: number(0), Length: number(16)}, ctap.ErrInvalidParameter},
		{"length too large", ctap.LargeBlobsRequest{Set: []byte{1}, Offset: number(0), Length: number(1 << 20)}, ctap.ErrLargeBlobStorageFull},
		{"nothing begun", ctap.LargeBlobsRequest{Set: []byte{1}, Offset: number(5)}, ctap.ErrInvalidSeq},
		{"more than the length", ctap.LargeBlobsRequest{Set: make([]byte, 20), Offset: number(0), Length: number(17)}, ctap.ErrInvalidParameter},
		{"begun", ctap.LargeBlobsRequest{Set: make([]byte, 10), Offset: number(0), Length: number(20)}, nil},
		{"out of order", ctap.LargeBlobsRequest{Set: make([]byte, 5), Offset: number(12)}, ctap.ErrInvalidSeq},
		{"length again", ctap.LargeBlobsRequest{Set: make([]byte, 5), Offset: number(10), Length: number(20)}, ctap.ErrInvalidParameter},
	} {
		if _, err := p.blobs(nil, &test.r); err != test.want {
			if err == nil || err.Error() != test.want.Error() {
				t.Errorf("%s: %v, want %v", test.name, err, test.want)
			}
		}
	}
}

// configure sends a subcommand of authenticatorConfig.
func (p *platform) configure(token []byte, s ctap.ConfigSubcommand, params *ctap.SetMinPINLengthParams) error {
	p.t.Helper()
	r := &ctap.ConfigRequest{Subcommand: s}
	if params != nil {
		b, err := ctap.Marshal(params)
		p.must(err)
		r.SubcommandParams = b
	}
	if token != nil {
		r.PINUVAuthProtocol = ctap.PINProtocolTwo
		r.PINUVAuthParam = ctap.PINProtocolTwo.Authenticate(token, r.AuthMessage())
	}
	_, err := p.send(r.Encode())
	return err
}

func TestAlwaysUV(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	p.must(p.configure(nil, ctap.SubcommandToggleAlwaysUV, nil))
	if o := p.info().Options; !o[ctap.OptionAlwaysUV] || o[ctap.OptionMakeCredUVNotRqd] {
		t.Errorf("options %v", o)
	}
	_, err = p.makeCredential(credentialRequest())
	p.wants(err, ctap.ErrPUATRequired)
	_, _, err = p.getAssertion(assertionRequest(c))
	p.wants(err, ctap.ErrPUATRequired)
	no := false
	silent := assertionRequest(c)
	silent.Options.UP = &no
	_, _, err = p.getAssertion(silent)
	p.wants(err, nil)

	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	p.wants(p.configure(nil, ctap.SubcommandToggleAlwaysUV, nil), ctap.ErrPUATRequired)
	p.must(p.configure(p.tokenFor("1234", ctap.PermissionAuthenticatorConfiguration, ""), ctap.SubcommandToggleAlwaysUV, nil))
	_, _, err = p.getAssertion(assertionRequest(c))
	p.wants(err, nil)
}

func TestMinPINLength(t *testing.T) {
	p := newPlatform(t, Options{})
	yes := true
	p.wants(p.configure(nil, ctap.SubcommandSetMinPINLength, &ctap.SetMinPINLengthParams{ForceChangePIN: &yes}), ctap.ErrPINNotSet)
	p.wants(p.configure(nil, ctap.SubcommandSetMinPINLength, nil), ctap.ErrMissingParameter)
	p.wants(p.configure(nil, 9, nil), ctap.ErrInvalidParameter)
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	config := func(params *ctap.SetMinPINLengthParams) error {
		return p.configure(p.tokenFor("1234", ctap.PermissionAuthenticatorConfiguration, ""), ctap.SubcommandSetMinPINLength, params)
	}
	p.wants(config(&ctap.SetMinPINLengthParams{NewMinPINLength: number(3)}), ctap.ErrPINPolicyViolation)
	p.wants(config(&ctap.SetMinPINLengthParams{NewMinPINLength: number(64)}), ctap.ErrPINPolicyViolation)
	p.wants(config(&ctap.SetMinPINLengthParams{MinPINLengthRPIDs: make([]string, 9)}), ctap.ErrKeyStoreFull)
	p.must(config(&ctap.SetMinPINLengthParams{MinPINLengthRPIDs: []string{"example.com"}}))
	p.must(config(&ctap.SetMinPINLengthParams{NewMinPINLength: number(6)})) // the PIN is too short now

	if info := p.info(); info.MinPINLength != 6 || !info.ForcePINChange {
		t.Errorf("%d, force %v", info.MinPINLength, info.ForcePINChange)
	}
	_, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionGetAssertion)
	p.wants(err, ctap.ErrPINPolicyViolation)
	p.wants(p.changePIN(ctap.PINProtocolTwo, "1234", "12345"), ctap.ErrPINPolicyViolation)
	p.must(p.changePIN(ctap.PINProtocolTwo, "1234", "123456"))
	_, err = p.pinToken(ctap.PINProtocolTwo, "123456", 0)
	p.wants(err, nil)

	p.must(p.configure(p.tokenFor("123456", ctap.PermissionAuthenticatorConfiguration, ""), ctap.SubcommandSetMinPINLength,
		&ctap.SetMinPINLengthParams{ForceChangePIN: &yes}))
	p.wants(p.changePIN(ctap.PINProtocolTwo, "123456", "123456"), ctap.ErrPINPolicyViolation) // the same
	p.must(p.changePIN(ctap.PINProtocolTwo, "123456", "654321"))

	out := p.extended(credentialRequest(authorized(ctap.PINProtocolTwo, p.tokenFor("654321", ctap.PermissionMakeCredential, "example.com")), asking("minPinLength", true)))
	if out.MinPINLength != 6 {
		t.Errorf("minPinLength %d", out.MinPINLength)
	}
	_, err = p.send([]byte{byte(ctap.CommandReset)})
	p.must(err)
	if info := p.info(); info.MinPINLength != minPINLength || info.ForcePINChange {
		t.Errorf("after a reset: %d, force %v", info.MinPINLength, info.ForcePINChange)
	}
}
