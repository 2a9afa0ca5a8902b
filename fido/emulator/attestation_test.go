package emulator

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"fob/fido/ctap"
)

func prefers(formats ...string) func(*ctap.MakeCredentialRequest) {
	return func(r *ctap.MakeCredentialRequest) { r.AttestationFormatsPreference = formats }
}

// attested makes a credential and gives the response, its attestation statement, and the certificate in that.
func (p *platform) attested(change ...func(*ctap.MakeCredentialRequest)) (
	*ctap.MakeCredentialResponse, *x509.Certificate) {

	p.t.Helper()
	b, err := p.send(credentialRequest(change...).Encode())
	p.must(err)
	resp, err := ctap.ParseMakeCredentialResponse(b)
	p.must(err)
	if resp.Format == ctap.FormatNone {
		if len(resp.AttStmt) != 1 || resp.AttStmt[0] != 0xa0 {
			p.t.Errorf("attStmt of none: %x", resp.AttStmt)
		}
		return resp, nil
	}
	var stmt ctap.PackedAttestationStatement
	p.must(ctap.Unmarshal(resp.AttStmt, &stmt))
	if stmt.X5C == nil {
		return resp, nil
	}
	cert, err := x509.ParseCertificate(stmt.X5C[0])
	p.must(err)
	digest := sha256.Sum256(append(append([]byte(nil), resp.AuthData...), clientDataHash...))
	if !ecdsa.VerifyASN1(cert.PublicKey.(*ecdsa.PublicKey), digest[:], stmt.Sig) {
		p.t.Error("the attestation does not verify")
	}
	return resp, cert
}

// TestAttestationFormat holds the choice of a format to §6.1.2 step 19.
func TestAttestationFormat(t *testing.T) {
	for _, test := range []struct {
		name       string
		profile    *Profile
		own        Attestation
		preference []string
		format     string
		certified  bool
	}{
		{"no preference", &fido22, BasicAttestation, nil, ctap.FormatPacked, true},
		{"an empty preference", &fido22, BasicAttestation, []string{}, ctap.FormatPacked, true},
		{"none", &fido22, BasicAttestation, []string{"none"}, ctap.FormatNone, false},
		{"none before packed", &fido22, BasicAttestation, []string{"none", "packed"}, ctap.FormatNone, false},
		{"packed before none", &fido22, BasicAttestation, []string{"packed", "none"}, ctap.FormatPacked, true},
		{"one that we don't have first", &fido22, SelfAttestation, []string{"tpm", "none"}, ctap.FormatNone, false},
		{"ones that we don't have", &fido22, SelfAttestation, []string{"tpm", "apple"}, ctap.FormatPacked, false},
		{"packed of a key that attests nothing", &fido22, NoAttestation, []string{"packed"}, ctap.FormatPacked, false},
		{"a key that attests nothing", &fido22, NoAttestation, nil, ctap.FormatNone, false},
		{"a key with one format", &fido21, BasicAttestation, []string{"none"}, ctap.FormatPacked, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlatform(t, Options{Profile: test.profile, Attestation: test.own})
			resp, cert := p.attested(prefers(test.preference...))
			if resp.Format != test.format || (cert != nil) != test.certified || resp.EnterpriseAttestation {
				t.Errorf("format %s, certificate %v, enterprise %v", resp.Format, cert != nil, resp.EnterpriseAttestation)
			}
		})
	}
}

// TestEnterpriseAttestation goes through §6.1.2 step 9, §6.11.1 and §7.1.
func TestEnterpriseAttestation(t *testing.T) {
	p := newPlatform(t, Options{Attestation: BasicAttestation, EnterpriseRPIDs: []string{"example.com"}})
	if on, has := p.info().Options[ctap.OptionEP]; on || !has {
		t.Errorf("ep %v, %v", on, has)
	}
	_, err := p.send(credentialRequest(asksFor(ctap.PlatformManaged)).Encode())
	p.wants(err, ctap.ErrInvalidParameter) // not enabled
	enable := (&ctap.ConfigRequest{Subcommand: ctap.SubcommandEnableEnterpriseAttestation}).Encode()
	for range 2 { // which it may be twice
		_, err := p.send(enable)
		p.must(err)
	}
	if !p.info().Options[ctap.OptionEP] {
		t.Error("ep is not on")
	}
	for _, unknown := range []uint{0, 3} {
		_, err = p.send(credentialRequest(asksFor(unknown)).Encode())
		p.wants(err, ctap.ErrInvalidOption)
	}

	ordinary, batchCert := p.attested()
	if ordinary.EnterpriseAttestation || batchCert.Subject.SerialNumber != "" {
		t.Errorf("unasked: %v, %s", ordinary.EnterpriseAttestation, batchCert.Subject)
	}
	listed, cert := p.attested(asksFor(ctap.VendorFacilitated))
	if !listed.EnterpriseAttestation || cert.Subject.SerialNumber == "" {
		t.Errorf("vendor-facilitated: %v, %s", listed.EnterpriseAttestation, cert.Subject)
	}
	rootDER, err := p.a.EnterpriseRoot()
	p.must(err)
	root, err := x509.ParseCertificate(rootDER)
	p.must(err)
	p.must(cert.CheckSignatureFrom(root))
	elsewhere, other := p.attested(asksFor(ctap.VendorFacilitated), atRP("example.net"))
	if elsewhere.EnterpriseAttestation || other.Subject.SerialNumber != "" {
		t.Errorf("vendor-facilitated at another RP: %v, %s", elsewhere.EnterpriseAttestation, other.Subject)
	}
	managed, again := p.attested(asksFor(ctap.PlatformManaged), atRP("example.net"))
	if !managed.EnterpriseAttestation || !again.Equal(cert) {
		t.Errorf("platform-managed: %v, %s", managed.EnterpriseAttestation, again.Subject)
	}

	p.a.PowerCycle()
	_, err = p.send([]byte{byte(ctap.CommandReset)})
	p.must(err)
	if p.info().Options[ctap.OptionEP] {
		t.Error("ep survives a reset")
	}
	p = newPlatform(t, Options{Profile: &fido20})
	_, err = p.send(credentialRequest(asksFor(ctap.PlatformManaged)).Encode())
	p.wants(err, ctap.ErrInvalidParameter) // not capable
	p = newPlatform(t, Options{Profile: &countersApartWithoutEP})
	_, err = p.send(enable)
	p.wants(err, ctap.ErrInvalidParameter) // §6.11 step 2
}

// countersApartWithoutEP is a key with authenticatorConfig that can't attest for an enterprise.
var countersApartWithoutEP = func() Profile {
	p := countersApart
	p.EnterpriseAttestation = false
	return p
}()
