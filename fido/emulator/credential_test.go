package emulator

import (
	"bytes"
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
