package emulator

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// TestUnwrapRemembers holds what is kept of credential IDs to the rules for those that are not: another RP gets nothing,
// a reset ends them all, and there is no end to their number.
func TestUnwrapRemembers(t *testing.T) {
	s := newState(&fido21)
	ids := make([][]byte, 2*maxUnwrapped+1)
	keys := make([][]byte, len(ids))
	for i := range ids {
		c := newCredential(ctap.EdDSA)
		c.RPID = "example.com"
		ids[i], keys[i] = s.wrap(c, rpIDHash(c.RPID)), c.PrivateKey
	}
	for i := range 2 * len(ids) { // each of them twice in a row
		i /= 2
		c := s.unwrap(bytes.Clone(ids[i]), rpIDHash("example.com"), "example.com")
		if c == nil || !bytes.Equal(c.PrivateKey, keys[i]) {
			t.Fatalf("credential %d became %+v", i, c)
		}
		if s.unwrap(ids[i], rpIDHash("example.org"), "example.org") != nil {
			t.Fatal("another RP may use the credential")
		}
		if len(s.unwrapped) > maxUnwrapped {
			t.Fatalf("%d credentials are kept", len(s.unwrapped))
		}
	}
	if s = newState(&fido21); s.unwrap(ids[0], rpIDHash("example.com"), "example.com") != nil {
		t.Error("the credential outlives a reset")
	}
}

// TestUsedCredentialStaysWithItsRP: a credential that the key has unwrapped before is no use to another RP, by CTAP2 or
// by U2F, however its ID and the RP's are cut.
func TestUsedCredentialStaysWithItsRP(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	_, _, err = p.getAssertion(assertionRequest(c))
	p.must(err)
	for _, rpID := range []string{"xample.com", "ample.com", "com", "other.com"} {
		for _, id := range [][]byte{c.id, append(bytes.Clone(c.id), strings.TrimSuffix("example.com", rpID)...)} {
			r := assertionRequest(&registered{id: id})
			r.RPID = &rpID
			_, _, err := p.getAssertion(r)
			p.wants(err, ctap.ErrNoCredentials)
		}
	}
	handle, _ := p.u2fRegistered()
	_, err = p.u2f(u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, handle))
	p.must(err)
	for _, h := range [][]byte{handle, append(bytes.Clone(c.id), "example.com"...)} {
		r := u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, h)
		r.Data[sha256.Size]++ // the first byte of another application
		_, err := p.u2f(r)
		p.wants(err, ctap.U2FWrongData)
	}
}
