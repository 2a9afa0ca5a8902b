package emulator

import (
	"bytes"
	"crypto/rand"
	"slices"

	"fob/fido/ctap"
)

// state is what survives a loss of power. Changes go through Authenticator.update.
type state struct {
	Version     int          `json:"version"`
	WrappingKey []byte       `json:"wrappingKey"` // AES-256, for non-discoverable credentials
	SignCount   uint32       `json:"signCount"`
	PINHash     []byte       `json:"pinHash,omitempty"` // LEFT(SHA-256(PIN), 16)
	PINRetries  uint         `json:"pinRetries"`
	Credentials []Credential `json:"credentials,omitempty"` // discoverable ones, oldest first

	unwrapped map[string]*Credential // non-discoverable ones that were used, by credential ID and RP ID
}

const stateVersion = 1

func newState() state {
	s := state{Version: stateVersion, WrappingKey: make([]byte, 32), PINRetries: maxPINRetries}
	rand.Read(s.WrappingKey)
	return s
}

func (s *state) hasPIN() bool { return len(s.PINHash) > 0 }

// find gives the credential that id names at this RP, discoverable or not, or nil.
func (s *state) find(id []byte, rpID string) *Credential {
	for i := range s.Credentials {
		if c := &s.Credentials[i]; c.RPID == rpID && bytes.Equal(c.ID, id) {
			return c
		}
	}
	return s.unwrap(id, rpID)
}

// findAny gives the first credential of a list that exists at this RP, or nil. Descriptors of unknown types are passed
// over.
func (s *state) findAny(list []ctap.PublicKeyCredentialDescriptor, rpID string) *Credential {
	for _, d := range list {
		if d.Type != ctap.TypePublicKey {
			continue
		}
		if c := s.find(d.ID, rpID); c != nil {
			return c
		}
	}
	return nil
}

// discoverable lists the discoverable credentials of an RP, newest first.
func (s *state) discoverable(rpID string) []*Credential {
	var found []*Credential
	for i := range slices.Backward(s.Credentials) {
		if c := &s.Credentials[i]; c.RPID == rpID {
			found = append(found, c)
		}
	}
	return found
}

// add keeps a discoverable credential, in place of one for the same account (§6.1.2 step 17).
func (s *state) add(c *Credential) {
	kept := make([]Credential, 0, len(s.Credentials)+1)
	for _, old := range s.Credentials {
		if !old.sameAccount(c) {
			kept = append(kept, old)
		}
	}
	s.Credentials = append(kept, *c)
}

// hasRoom reports whether a discoverable credential can be kept.
func (s *state) hasRoom(c *Credential) bool {
	return len(s.Credentials) < maxDiscoverable ||
		slices.ContainsFunc(s.Credentials, func(old Credential) bool { return old.sameAccount(c) })
}

func (c *Credential) sameAccount(other *Credential) bool {
	return c.RPID == other.RPID && bytes.Equal(c.UserID, other.UserID)
}
