package emulator

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"path/filepath"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// Where emulated keys usually break the specification, and which test watches:
//
//	Extensions
//	hmac-secret: salts of 32 or 64 bytes              TestHMACSecret, TestHMACSecretPrecedence
//	saltAuth before salts                             TestHMACSecretPrecedence
//	another secret with user verification             TestHMACSecret
//	output under the protocol of the salts            TestHMACSecret
//	up=false                                          TestHMACSecretPrecedence
//	an output only where asked for                    TestOutputsOnlyWhereAsked, TestHMACSecretFalse
//	credBlob over maxCredBlobLength                   TestCredBlob
//	minPinLength for listed RP IDs alone              TestMinPINLengthForListedRPs
//	largeBlobKey needs rk                             TestLargeBlobKey, TestMakeCredentialExtensionsPrecedence
//	largeBlobKey outside the authenticator data       TestLargeBlobKey
//	flag ED only with an output                       TestExtensionsUnasked, TestOutputsOnlyWhereAsked
//
//	largeBlobs
//	the first array                                   TestLargeBlobs
//	fragments of maxMsgSize-64 at most                TestLargeBlobsPrecedence, TestLargestFragment
//	offset, and length with offset 0 alone            TestLargeBlobsPrecedence, TestLargeBlobsContinue
//	the hash at the end; the old array stays          TestLargeBlobs, TestLargeBlobsContinue
//	a write survives a loss of power                  TestLargeBlobsAndPower
//	token with lbw where there is a PIN               TestLargeBlobsPrecedence, TestLargeBlobsUnprotected
//	what the pinUvAuthParam covers                    TestLargeBlobsMessage
//
//	credentialManagement
//	GetNext by channel                                TestEnumerationEnds
//	no RPs                                            TestCredentialManagementPrecedence
//	RP names truncated                                TestLongRPName
//	deleting lowers the counts                        TestCredentialManagement, TestLastCredentialOfRP
//	the user ID stays                                 TestCredentialManagementPrecedence
//	permission cm, and bound tokens                   TestCredentialManagementPrecedence, TestCredentialManagementTokens
//
//	U2F
//	wrong handle 6A80                                 TestU2FPrecedence
//	no presence 6985                                  TestU2FPrecedence
//	check-only 6985                                   TestU2FPrecedence
//	credProtect level 3 and alwaysUv                  TestU2FAndCTAP2, TestU2FPrecedence
//	reserved byte 05                                  TestU2F
//	one counter                                       TestSharedCounter
//
//	Attestation
//	the AAGUID of the certificate                     TestAttestationAAGUID
//	self attestation                                  TestRegisterAndSignIn

// TestOutputsOnlyWhereAsked signs in with a credential that has all that extensions give, and asks for none.
func TestOutputsOnlyWhereAsked(t *testing.T) {
	p := newPlatform(t, Options{})
	m := p.extended(credentialRequest(discoverable, asking("hmac-secret", true), asking("credBlob", []byte("blob")),
		asking("largeBlobKey", true), asking("thirdPartyPayment", true), asking("credProtect", 2)))
	resp, d, err := p.getAssertion(assertionRequest(m.registered))
	p.must(err)
	if d.Flags&ctap.FlagED != 0 || d.Extensions != nil || resp.LargeBlobKey != nil {
		t.Errorf("flags %08b, extensions %x, largeBlobKey %x", d.Flags, d.Extensions, resp.LargeBlobKey)
	}
	no := p.extended(credentialRequest(forUser("bob"), asking("thirdPartyPayment", true)))
	if no.raw != nil { // §12.9: it has an output at getAssertion alone
		t.Errorf("thirdPartyPayment at makeCredential: %x", no.raw)
	}
}

func TestMinPINLengthForListedRPs(t *testing.T) {
	p := newPlatform(t, Options{})
	p.must(p.a.update(func(s *state) { s.MinPINLengthRPIDs = []string{"example.com"} }))
	for _, test := range []struct {
		rpID  string
		asked bool
		want  uint
	}{{"example.com", true, 4}, {"example.com", false, 0}, {"sub.example.com", true, 0}, {"example.net", true, 0}} {
		m := p.extended(credentialRequest(atRP(test.rpID), asking("minPinLength", test.asked)))
		if m.MinPINLength != test.want || (m.raw != nil) != (test.want != 0) {
			t.Errorf("%s, asked %v: %x", test.rpID, test.asked, m.raw)
		}
	}
}

// TestLargestFragment writes and reads as much at a time as a message may hold (§6.10, maxFragmentLength).
func TestLargestFragment(t *testing.T) {
	p := newPlatform(t, Options{})
	if p.a.maxFragment() != p.a.MaxMsgSize-64 {
		t.Errorf("%d bytes in messages of %d", p.a.maxFragment(), p.a.MaxMsgSize)
	}
	array := ctap.AppendLargeBlobHash(make([]byte, p.a.maxFragment()-ctap.LargeBlobHashLength))
	_, err := p.blobs(nil, &ctap.LargeBlobsRequest{Set: array, Offset: number(0), Length: number(len(array))})
	p.must(err)
	got, err := p.blobs(nil, &ctap.LargeBlobsRequest{Get: number(len(array)), Offset: number(0)})
	if err != nil || !bytes.Equal(got, array) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestLargeBlobsAndPower cuts the power behind a write, and in the middle of one.
func TestLargeBlobsAndPower(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	array := ctap.AppendLargeBlobHash([]byte{0x81, 0x41, 1})
	f := openState(t, path)
	p := newPlatform(t, Options{File: f})
	p.must(p.writeBlobs(nil, array))
	other := ctap.AppendLargeBlobHash([]byte{0x81, 0x41, 2})
	_, err := p.blobs(nil, &ctap.LargeBlobsRequest{Set: other[:5], Offset: number(0), Length: number(len(other))})
	p.must(err)
	p.must(f.Close())

	p = newPlatform(t, Options{File: openState(t, path)})
	_, err = p.blobs(nil, &ctap.LargeBlobsRequest{Set: other[5:], Offset: number(5)})
	p.wants(err, ctap.ErrInvalidSeq)
	if got := p.readBlobs(); !bytes.Equal(got, array) {
		t.Errorf("after a loss of power: %x", got)
	}
	_, err = p.blobs(nil, &ctap.LargeBlobsRequest{Set: other[:5], Offset: number(0), Length: number(len(other))})
	p.must(err)
	p.a.PowerCycle()
	_, err = p.blobs(nil, &ctap.LargeBlobsRequest{Set: other[5:], Offset: number(5)})
	p.wants(err, ctap.ErrInvalidSeq)
}

// TestLargeBlobsMessage makes the message that a token signs by hand (§6.10.2 step 5.5.4): 32 bytes 0xff, 0c 00, the
// offset in little endian, the hash of the fragment.
func TestLargeBlobsMessage(t *testing.T) {
	p := protected(t, "fido2.1")
	secret := holding(p, ctap.PermissionLargeBlobWrite).token.secret
	array := ctap.AppendLargeBlobHash(make([]byte, 300))
	for _, fragment := range []struct{ offset, end int }{{0, 259}, {259, len(array)}} {
		set := array[fragment.offset:fragment.end]
		message := bytes.Repeat([]byte{0xff}, 32)
		message = append(message, 0x0c, 0x00, byte(fragment.offset), byte(fragment.offset>>8), 0, 0)
		hash := sha256.Sum256(set)
		r := &ctap.LargeBlobsRequest{Set: set, Offset: number(fragment.offset), PINUVAuthProtocol: ctap.PINProtocolTwo}
		if fragment.offset == 0 {
			r.Length = number(len(array))
		}
		r.PINUVAuthParam = ctap.PINProtocolTwo.Authenticate(secret, append(message, hash[:]...))
		_, err := p.send(r.Encode())
		p.must(err)
	}
	if got := p.readBlobs(); !bytes.Equal(got, array) {
		t.Errorf("the key has %x", got)
	}
}

// TestLongRPName keeps as much of a name as a list can tell, and no half characters.
func TestLongRPName(t *testing.T) {
	p := newPlatform(t, Options{})
	_, err := p.makeCredential(credentialRequest(discoverable, func(r *ctap.MakeCredentialRequest) {
		r.RP.Name = strings.Repeat("ä", 40)
	}))
	p.must(err)
	p.must(p.a.SetPIN([]byte("1234")))
	token := holding(p, ctap.PermissionCredentialManagement).token.secret
	resp, err := p.manage(token, ctap.SubcommandEnumerateRPsBegin, nil)
	p.must(err)
	if resp.RP.Name != strings.Repeat("ä", 32) {
		t.Errorf("name %q", resp.RP.Name)
	}
}

// TestLastCredentialOfRP deletes it, and the RP is gone.
func TestLastCredentialOfRP(t *testing.T) {
	p := filled(t)
	token := holding(p, ctap.PermissionCredentialManagement).token.secret
	carol := &ctap.CredentialManagementParams{CredentialID: p.a.Credentials()[2].descriptor()}
	_, err := p.manage(token, ctap.SubcommandDeleteCredential, carol)
	p.must(err)
	resp, err := p.manage(token, ctap.SubcommandEnumerateRPsBegin, nil)
	p.must(err)
	if resp.TotalRPs != 1 || resp.RP.ID != "example.com" {
		t.Errorf("%d RPs, first %+v", resp.TotalRPs, resp.RP)
	}
	itsRP := &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.net")}
	_, err = p.manage(token, ctap.SubcommandEnumerateCredentialsBegin, itsRP)
	p.wants(err, ctap.ErrNoCredentials)
}

// TestAttestationAAGUID compares the extension of the certificate with the authenticator data (WebAuthn §8.2).
func TestAttestationAAGUID(t *testing.T) {
	for _, name := range []string{"fido2.0", "fido2.1", "fingerprint"} {
		p := newPlatform(t, Options{Profile: must(LookupProfile(name)), Attestation: BasicAttestation})
		b, err := p.send(credentialRequest().Encode())
		p.must(err)
		resp, err := ctap.ParseMakeCredentialResponse(b)
		p.must(err)
		d, err := ctap.ParseAuthenticatorData(resp.AuthData)
		p.must(err)
		var stmt ctap.PackedAttestationStatement
		p.must(ctap.Unmarshal(resp.AttStmt, &stmt))
		cert, err := x509.ParseCertificate(stmt.X5C[0])
		p.must(err)
		found := 0
		for _, e := range cert.Extensions {
			if e.Id.String() != "1.3.6.1.4.1.45724.1.1.4" {
				continue
			}
			found++
			var aaguid []byte
			rest, err := asn1.Unmarshal(e.Value, &aaguid)
			if err != nil || len(rest) > 0 || e.Critical || !bytes.Equal(aaguid, d.Attested.AAGUID[:]) {
				t.Errorf("%s: certificate of %x, authenticator data of %x", name, e.Value, d.Attested.AAGUID)
			}
		}
		if found != 1 {
			t.Errorf("%s: %d AAGUIDs in the certificate", name, found)
		}
	}
}
