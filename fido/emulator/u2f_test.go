package emulator

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// u2f sends a U2F command and gives the data of the response; a status word that is an error is one.
func (p *platform) u2f(r *ctap.U2FRequest) ([]byte, error) {
	p.t.Helper()
	resp := p.a.ServeCTAP(p.ctx, ctap.Request{Channel: p.channel, U2F: true, Payload: r.Encode()}, func(ctap.KeepaliveStatus) {})
	if len(resp) < 2 {
		p.t.Fatalf("response %x", resp)
	}
	data, status := resp[:len(resp)-2], ctap.U2FStatus(binary.BigEndian.Uint16(resp[len(resp)-2:]))
	if status != ctap.U2FNoError {
		return nil, status
	}
	return data, nil
}

var application = sha256.Sum256([]byte("example.com"))

func u2fRegister() *ctap.U2FRequest {
	return &ctap.U2FRequest{Instruction: ctap.U2FRegister, Data: append(bytes.Clone(clientDataHash), application[:]...)}
}

func u2fAuthenticate(control ctap.U2FControl, handle []byte) *ctap.U2FRequest {
	data := append(append(bytes.Clone(clientDataHash), application[:]...), byte(len(handle)))
	return &ctap.U2FRequest{Instruction: ctap.U2FAuthenticate, Control: control, Data: append(data, handle...)}
}

// u2fRegistered registers and checks the attestation (FIDO U2F Raw Message Formats §4.3).
func (p *platform) u2fRegistered() (handle []byte, public *ecdsa.PublicKey) {
	p.t.Helper()
	data, err := p.u2f(u2fRegister())
	p.must(err)
	point, n := data[1:66], int(data[66])
	handle = data[67 : 67+n]
	public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	p.must(err)
	rest := data[67+n:]
	length := 4 + int(binary.BigEndian.Uint16(rest[2:])) // of a DER SEQUENCE with a length of two bytes
	cert, err := x509.ParseCertificate(rest[:length])
	p.must(err)
	signed := append(append([]byte{0}, application[:]...), clientDataHash...)
	signed = append(append(signed, handle...), point...)
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, signed, rest[length:]); err != nil || data[0] != 5 {
		p.t.Errorf("reserved byte %d, attestation: %v", data[0], err)
	}
	return handle, public
}

func TestU2F(t *testing.T) {
	for _, name := range []string{"u2f", "fido2.1"} {
		profile, err := LookupProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlatform(t, Options{Profile: profile})
		version, err := p.u2f(&ctap.U2FRequest{Instruction: ctap.U2FVersion})
		p.must(err)
		if string(version) != "U2F_V2" {
			t.Errorf("version %q", version)
		}
		handle, public := p.u2fRegistered()
		last := uint32(0)
		for control, flags := range map[ctap.U2FControl]byte{ctap.U2FEnforceUserPresenceAndSign: 1, ctap.U2FDontEnforceUserPresenceSign: 0} {
			data, err := p.u2f(u2fAuthenticate(control, handle))
			p.must(err)
			digest := sha256.Sum256(append(append(append([]byte(nil), application[:]...), data[:5]...), clientDataHash...))
			if data[0] != flags || !ecdsa.VerifyASN1(public, digest[:], data[5:]) {
				t.Errorf("%s: flags %d, or the signature does not verify", name, data[0])
			}
			if count := binary.BigEndian.Uint32(data[1:]); count <= last {
				t.Errorf("%s: counter %d after %d", name, count, last)
			} else {
				last = count
			}
		}
		for _, test := range []struct {
			name string
			r    *ctap.U2FRequest
			want error
		}{
			{"check-only, known", u2fAuthenticate(ctap.U2FCheckOnly, handle), ctap.U2FConditionsNotSatisfied},
			{"check-only, unknown", u2fAuthenticate(ctap.U2FCheckOnly, []byte("x")), ctap.U2FWrongData},
			{"unknown handle", u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, []byte("x")), ctap.U2FWrongData},
			{"unknown control", u2fAuthenticate(9, handle), ctap.U2FWrongData},
			{"short", &ctap.U2FRequest{Instruction: ctap.U2FRegister, Data: make([]byte, 63)}, ctap.U2FWrongLength},
			{"unknown instruction", &ctap.U2FRequest{Instruction: 9}, ctap.U2FInstructionNotSupported},
			{"version with data", &ctap.U2FRequest{Instruction: ctap.U2FVersion, Data: []byte{1}}, ctap.U2FWrongLength},
		} {
			if _, err := p.u2f(test.r); err != test.want {
				t.Errorf("%s: %s: %v, want %v", name, test.name, err, test.want)
			}
		}
	}
}

// TestU2FAndCTAP2 shares credentials: what one protocol made, the other may use, unless it is protected.
func TestU2FAndCTAP2(t *testing.T) {
	p := newPlatform(t, Options{})
	handle, public := p.u2fRegistered()
	resp, _, err := p.getAssertion(assertionRequest(&registered{id: handle}))
	p.must(err)
	if !verify(public, resp.AuthData, resp.Signature) {
		t.Error("CTAP2 with a U2F credential does not verify")
	}
	for level, want := range map[int]error{1: nil, 2: nil, 3: ctap.U2FWrongData} {
		for _, kind := range []func(*ctap.MakeCredentialRequest){discoverable, func(*ctap.MakeCredentialRequest) {}} {
			m := p.extended(credentialRequest(kind, asking("credProtect", level)))
			if _, err := p.u2f(u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, m.id)); err != want {
				t.Errorf("credProtect %d: %v, want %v", level, err, want)
			}
		}
	}
	p.must(p.configure(nil, ctap.SubcommandToggleAlwaysUV, nil))
	_, err = p.u2f(u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, handle))
	p.wants(err, ctap.U2FCommandNotAllowed)
	for _, v := range p.info().Versions {
		if v == ctap.VersionU2F {
			t.Error("alwaysUv, and U2F_V2 all the same")
		}
	}
}

func TestU2FOnly(t *testing.T) {
	profile, err := LookupProfile("u2f")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{Profile: profile})
	_, err = p.send([]byte{byte(ctap.CommandGetInfo)})
	p.wants(err, ctap.ErrInvalidCommand)
}

// TestU2FTouch: the platform asks again and again until the touch comes; a platform that stops asking darkens the key.
func TestU2FTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lit atomic.Int32
		p := newPlatform(t, Options{Presence: func(ctx context.Context, r PresenceRequest) error {
			lit.Add(1)
			defer lit.Add(-1)
			return After(2*time.Second)(ctx, r)
		}})
		begin := time.Now()
		for {
			_, err := p.u2f(u2fRegister())
			if err == nil {
				break
			}
			p.wants(err, ctap.U2FConditionsNotSatisfied)
			time.Sleep(200 * time.Millisecond)
		}
		if d := time.Since(begin); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("touched after %v", d)
		}
		_, err := p.u2f(u2fRegister())
		p.wants(err, ctap.U2FConditionsNotSatisfied) // a touch is for one registration
		synctest.Wait()
		if lit.Load() != 1 {
			t.Errorf("%d lights", lit.Load())
		}
		time.Sleep(u2fAbandoned + time.Second)
		synctest.Wait()
		if lit.Load() != 0 {
			t.Errorf("still lit for nobody")
		}
		_, err = p.u2f(u2fRegister())
		p.wants(err, ctap.U2FConditionsNotSatisfied)
		p.info() // another command
		synctest.Wait()
		if lit.Load() != 0 {
			t.Errorf("still lit after another command")
		}
		p.a.PowerCycle()
	})
}

// TestTapIsTouch: holding a card to the reader is presence for one ceremony, and for two minutes.
func TestTapIsTouch(t *testing.T) {
	now := time.Now()
	p := newPlatform(t, Options{Presence: Deny, Now: func() time.Time { return now }})
	ask := func(r ctap.Request) ctap.Response {
		r.Transport = ctap.TransportNFC
		return p.a.ServeCTAP(p.ctx, r, func(ctap.KeepaliveStatus) {})
	}
	selection := ctap.Request{Payload: []byte{byte(ctap.CommandSelection)}}
	for _, r := range []ctap.Request{
		{Payload: credentialRequest().Encode()},
		{U2F: true, Payload: u2fRegister().Encode()},
	} {
		p.a.PowerCycle()
		if resp := ask(selection); resp[0] != 0 { // which does not use it up
			t.Errorf("selection: %x", resp)
		}
		if resp := ask(r); len(resp) < 100 {
			t.Errorf("u2f %v: %x", r.U2F, resp)
		}
		if resp := ask(r); len(resp) > 2 {
			t.Errorf("u2f %v: one tap for two credentials", r.U2F)
		}
		p.a.PowerCycle()
		now = now.Add(tapLimit + 1)
		if resp := ask(r); len(resp) > 2 {
			t.Errorf("u2f %v: a tap of %v ago", r.U2F, tapLimit)
		}
	}
}

// TestBasicAttestation holds the certificate to WebAuthn §8.2.1.
func TestBasicAttestation(t *testing.T) {
	p := newPlatform(t, Options{Attestation: BasicAttestation})
	b, err := p.send(credentialRequest().Encode())
	p.must(err)
	resp, err := ctap.ParseMakeCredentialResponse(b)
	p.must(err)
	var stmt ctap.PackedAttestationStatement
	p.must(ctap.Unmarshal(resp.AttStmt, &stmt))
	if len(stmt.X5C) != 1 {
		t.Fatalf("%d certificates", len(stmt.X5C))
	}
	cert, err := x509.ParseCertificate(stmt.X5C[0])
	p.must(err)
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, append(bytes.Clone(resp.AuthData), clientDataHash...), stmt.Sig); err != nil {
		t.Error(err)
	}
	rootDER, err := p.a.AttestationRoot()
	p.must(err)
	root, err := x509.ParseCertificate(rootDER)
	p.must(err)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Error(err)
	}
	if cert.Version != 3 || cert.IsCA || cert.Subject.OrganizationalUnit[0] != "Authenticator Attestation" || len(cert.Subject.Country) == 0 {
		t.Errorf("subject %v, CA %v", cert.Subject, cert.IsCA)
	}
	for _, e := range cert.Extensions {
		if e.Id.Equal(oidAAGUID) && (e.Critical || !bytes.Equal(e.Value[2:], p.a.AAGUID[:])) {
			t.Errorf("extension %x", e.Value)
		}
	}
	_, err = p.send([]byte{byte(ctap.CommandReset)})
	p.must(err)
	again, err := p.a.AttestationRoot()
	if err != nil || !bytes.Equal(again, rootDER) {
		t.Error("a reset made another model of the key")
	}
}

// TestU2FAlwaysUV: a key with a sensor does alwaysUv for U2F by it; one without refuses U2F.
func TestU2FAlwaysUV(t *testing.T) {
	profile, err := LookupProfile("like-yubikey-bio")
	if err != nil {
		t.Fatal(err)
	}
	shown := func() error { return nil }
	p := newPlatform(t, Options{Profile: profile, Presence: func(_ context.Context, r PresenceRequest) error {
		if !r.Fingerprint {
			t.Errorf("a touch was enough: %+v", r)
		}
		return shown()
	}})
	register := u2fRegister()
	_, err = p.u2f(register)
	p.wants(err, ctap.U2FCommandNotAllowed) // no finger is enrolled
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	p.enrol(p.tokenFor("1234", ctap.PermissionBioEnrollment, ""))
	_, err = p.u2f(register)
	p.must(err)
	shown = func() error { return ErrNoMatch }
	for range maxUVRetries {
		_, err = p.u2f(register)
		p.wants(err, ctap.U2FConditionsNotSatisfied)
	}
	_, err = p.u2f(register)
	p.wants(err, ctap.U2FCommandNotAllowed) // the sensor is blocked
}
