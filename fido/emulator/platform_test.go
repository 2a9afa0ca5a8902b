package emulator

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"testing"

	"filippo.io/mldsa"

	"fob/fido/ctap"
)

// platform talks to an authenticator as a client does, and checks every signature that it gets.
type platform struct {
	t   *testing.T
	a   *Authenticator
	ctx context.Context
	// keepalives gets what the authenticator reports, when it is not nil.
	keepalives func(ctap.KeepaliveStatus)
	channel    uint32
	transport  ctap.Transport
}

func newPlatform(t *testing.T, o Options) *platform {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &platform{t: t, a: a, ctx: t.Context(), channel: 1}
}

// send gives the response without its status byte.
func (p *platform) send(payload []byte) ([]byte, error) {
	p.t.Helper()
	req := ctap.Request{Transport: p.transport, Channel: p.channel, Payload: payload}
	resp := p.a.ServeCTAP(p.ctx, req, func(s ctap.KeepaliveStatus) {
		if p.keepalives != nil {
			p.keepalives(s)
		}
	})
	if len(resp) == 0 {
		p.t.Fatal("empty response")
	}
	if status := ctap.StatusCode(resp[0]); status != ctap.StatusOK {
		if len(resp) > 1 {
			p.t.Errorf("error %v with %d bytes behind it", status, len(resp)-1)
		}
		return nil, status
	}
	if len(resp) > 1 && ctap.CheckCanonical(resp[1:]) != nil {
		p.t.Errorf("%x is not canonical", resp)
	}
	return resp[1:], nil
}

func (p *platform) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *platform) wants(err error, want error) {
	p.t.Helper()
	if !errors.Is(err, want) {
		p.t.Errorf("got %v, want %v", err, want)
	}
}

func (p *platform) info() *ctap.GetInfoResponse {
	p.t.Helper()
	b, err := p.send([]byte{byte(ctap.CommandGetInfo)})
	p.must(err)
	info, err := ctap.ParseGetInfoResponse(b)
	p.must(err)
	return info
}

var clientDataHash = sha256.New().Sum(nil)

// credentialRequest is a good request to register alice at example.com; change makes it another.
func credentialRequest(change ...func(*ctap.MakeCredentialRequest)) *ctap.MakeCredentialRequest {
	r := &ctap.MakeCredentialRequest{
		ClientDataHash:   clientDataHash,
		RP:               &ctap.PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
		User:             &ctap.PublicKeyCredentialUserEntity{ID: []byte("alice"), Name: "alice@example.com", DisplayName: "Alice"},
		PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func discoverable(r *ctap.MakeCredentialRequest) { yes := true; r.Options.RK = &yes }

func withAlgorithm(alg ctap.Algorithm) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) { r.PubKeyCredParams[0].Alg = alg }
}

func asksFor(enterprise uint) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) { r.EnterpriseAttestation = &enterprise }
}

func forUser(name string) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) {
		r.User = &ctap.PublicKeyCredentialUserEntity{ID: []byte(name), Name: name, DisplayName: name}
	}
}

// registered is a credential and what verifies its signatures.
type registered struct {
	id        []byte
	public    crypto.PublicKey
	signCount uint32
	flags     ctap.Flags
}

func (p *platform) makeCredential(r *ctap.MakeCredentialRequest) (*registered, error) {
	p.t.Helper()
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseMakeCredentialResponse(b)
	p.must(err)
	d, err := ctap.ParseAuthenticatorData(resp.AuthData)
	p.must(err)
	if d.Attested == nil || d.RPIDHash != sha256.Sum256([]byte(r.RP.ID)) {
		p.t.Fatalf("authenticator data %+v", d)
	}
	pub, alg, err := ctap.ParseCOSEKey(d.Attested.PublicKey)
	p.must(err)
	var stmt ctap.PackedAttestationStatement
	p.must(ctap.Unmarshal(resp.AttStmt, &stmt))
	if resp.Format != ctap.FormatPacked || stmt.Alg != alg || !verify(pub, resp.AuthData, stmt.Sig) {
		p.t.Errorf("attestation %s %+v does not verify", resp.Format, stmt)
	}
	return &registered{d.Attested.CredentialID, pub, d.SignCount, d.Flags}, nil
}

func verify(pub crypto.PublicKey, authData, sig []byte) bool {
	return verifyMessage(pub, append(append([]byte(nil), authData...), clientDataHash...), sig)
}

func verifyMessage(pub crypto.PublicKey, message, sig []byte) bool {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P384() {
			digest := sha512.Sum384(message)
			return ecdsa.VerifyASN1(pub, digest[:], sig)
		}
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(pub, digest[:], sig)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, message, sig)
	case *mldsa.PublicKey:
		return mldsa.Verify(pub, message, sig, nil) == nil
	case *rsa.PublicKey:
		digest := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil
	}
	return false
}

func assertionRequest(allow ...*registered) *ctap.GetAssertionRequest {
	rpID := "example.com"
	r := &ctap.GetAssertionRequest{RPID: &rpID, ClientDataHash: clientDataHash}
	for _, c := range allow {
		r.AllowList = append(r.AllowList, ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: c.id})
	}
	return r
}

// getAssertion gives the response and its authenticator data.
func (p *platform) getAssertion(r *ctap.GetAssertionRequest) (*ctap.GetAssertionResponse, *ctap.AuthenticatorData, error) {
	p.t.Helper()
	return p.assertion(r.Encode())
}

func (p *platform) getNextAssertion() (*ctap.GetAssertionResponse, *ctap.AuthenticatorData, error) {
	p.t.Helper()
	return p.assertion([]byte{byte(ctap.CommandGetNextAssertion)})
}

func (p *platform) assertion(payload []byte) (*ctap.GetAssertionResponse, *ctap.AuthenticatorData, error) {
	p.t.Helper()
	b, err := p.send(payload)
	if err != nil {
		return nil, nil, err
	}
	resp, err := ctap.ParseGetAssertionResponse(b)
	p.must(err)
	d, err := ctap.ParseAuthenticatorData(resp.AuthData)
	p.must(err)
	return resp, d, nil
}

// pinExchange holds one key agreement and builds the requests that need it.
type pinExchange struct {
	*platform
	protocol ctap.PINProtocol
	ours     *ecdh.PrivateKey
	secret   *ctap.SharedSecret
}

func (p *platform) agree(protocol ctap.PINProtocol) *pinExchange {
	p.t.Helper()
	b, err := p.send((&ctap.ClientPINRequest{
		PINUVAuthProtocol: protocol, Subcommand: ctap.SubcommandGetKeyAgreement}).Encode())
	p.must(err)
	resp, err := ctap.ParseClientPINResponse(b)
	p.must(err)
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	p.must(err)
	secret, err := protocol.SharedSecret(ours, resp.KeyAgreement.PublicKey)
	p.must(err)
	return &pinExchange{p, protocol, ours, secret}
}

func (x *pinExchange) encrypt(b []byte) []byte {
	x.t.Helper()
	out, err := x.secret.Encrypt(b)
	x.must(err)
	return out
}

func (x *pinExchange) pinHash(pin string) []byte {
	sum := sha256.Sum256([]byte(pin))
	return x.encrypt(sum[:16])
}

func (x *pinExchange) request(s ctap.Subcommand) *ctap.ClientPINRequest {
	return &ctap.ClientPINRequest{
		PINUVAuthProtocol: x.protocol,
		Subcommand:        s,
		KeyAgreement:      &ctap.KeyAgreement{PublicKey: x.ours.PublicKey()},
	}
}

func (p *platform) setPIN(protocol ctap.PINProtocol, pin string) error {
	p.t.Helper()
	x := p.agree(protocol)
	r := x.request(ctap.SubcommandSetPIN)
	r.NewPINEnc = x.encrypt(pad(pin))
	r.PINUVAuthParam = x.secret.Authenticate(r.NewPINEnc)
	_, err := p.send(r.Encode())
	return err
}

func (p *platform) changePIN(protocol ctap.PINProtocol, old, pin string) error {
	p.t.Helper()
	x := p.agree(protocol)
	r := x.request(ctap.SubcommandChangePIN)
	r.NewPINEnc, r.PINHashEnc = x.encrypt(pad(pin)), x.pinHash(old)
	r.PINUVAuthParam = x.secret.Authenticate(append(append([]byte(nil), r.NewPINEnc...), r.PINHashEnc...))
	_, err := p.send(r.Encode())
	return err
}

func pad(pin string) []byte { return append([]byte(pin), make([]byte, 64-len(pin))...) }

// pinToken gets a token the older way when permissions is 0, else the newer way, for example.com.
func (p *platform) pinToken(protocol ctap.PINProtocol, pin string, permissions ctap.Permission) ([]byte, error) {
	p.t.Helper()
	x := p.agree(protocol)
	r := x.request(ctap.SubcommandGetPINToken)
	if permissions != 0 {
		rpID := "example.com"
		r.Subcommand, r.Permissions, r.RPID = ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions, &permissions, &rpID
	}
	r.PINHashEnc = x.pinHash(pin)
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseClientPINResponse(b)
	p.must(err)
	return x.secret.Decrypt(resp.PINUVAuthToken)
}

func (p *platform) pinRetries() (retries uint, powerCycle bool) {
	p.t.Helper()
	b, err := p.send((&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINRetries}).Encode())
	p.must(err)
	resp, err := ctap.ParseClientPINResponse(b)
	p.must(err)
	return *resp.PINRetries, *resp.PowerCycle
}

// authorized puts a pinUvAuthParam on a request.
func authorized(protocol ctap.PINProtocol, token []byte) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) {
		param := ctap.Bytes(protocol.Authenticate(token, r.ClientDataHash))
		r.PINUVAuthParam, r.PINUVAuthProtocol = &param, protocol
	}
}
