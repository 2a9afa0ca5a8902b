package emulator

import (
	"bytes"
	"crypto/rand"
	"slices"

	"fob/fido/ctap"
	"fob/fido/oathapplet"
)

// state is what survives a loss of power. Changes go through Authenticator.update, and must not write to slices that
// the old state has too.
type state struct {
	Version     int          `json:"version"`
	Profile     string       `json:"profile"`
	WrappingKey []byte       `json:"wrappingKey"` // AES-256, for non-discoverable credentials
	SignCount   uint32       `json:"signCount"`
	Credentials []Credential `json:"credentials,omitempty"` // discoverable ones, oldest first
	LargeBlobs  []byte       `json:"largeBlobs,omitempty"`  // the serialized large-blob array; none for the empty one

	PINHash    []byte `json:"pinHash,omitempty"`   // LEFT(SHA-256(PIN), 16)
	PINLength  uint   `json:"pinLength,omitempty"` // code points
	PINRetries uint   `json:"pinRetries"`

	Fingerprints []Fingerprint `json:"fingerprints,omitempty"`
	UVMisses     uint          `json:"uvMisses,omitempty"` // in a row

	MinPINLength      uint     `json:"minPinLength,omitempty"` // code points; 0 for the usual one
	MinPINLengthRPIDs []string `json:"minPinLengthRpIds,omitempty"`
	ForcePINChange    bool     `json:"forcePinChange,omitempty"`
	AlwaysUV          bool     `json:"alwaysUv,omitempty"`
	EnterpriseEnabled bool     `json:"enterpriseEnabled,omitempty"`

	UVSincePIN      uint   `json:"uvSincePin,omitempty"`      // times that a finger was tried since the PIN was last right
	PersistentToken []byte `json:"persistentToken"`           // persistentPinUvAuthToken, which each PIN change replaces
	ReadOnlyGranted bool   `json:"readOnlyGranted,omitempty"` // it has the permission pcmr
	DeviceID        []byte `json:"deviceId"`                  // 16 bytes that encIdentifier tells
	CredStoreState  []byte `json:"credStoreState"`            // 16 bytes that encCredStoreState tells

	Batch      *batch `json:"attestation,omitempty"`           // survives a reset, as does
	Enterprise *batch `json:"enterpriseAttestation,omitempty"` // which names this very key

	OATH *oathapplet.State `json:"oath,omitempty"` // survives a reset of FIDO; nil where nobody has used it

	unwrapped map[unwrappedName]*Credential // non-discoverable ones that were used
}

const stateVersion = 3

func newState(p *Profile) state {
	s := state{
		Version: stateVersion, Profile: p.Name, WrappingKey: make([]byte, 32), PINRetries: maxPINRetries,
		AlwaysUV: p.AlwaysUV,
	}
	rand.Read(s.WrappingKey)
	s.DeviceID = make([]byte, 16)
	rand.Read(s.DeviceID)
	s.credentialsChanged()
	s.newPersistentToken()
	return s
}

// reset forgets everything but what the key was made with.
func (s *state) reset(p *Profile) {
	batch, enterprise, oath := s.Batch, s.Enterprise, s.OATH
	*s = newState(p)
	s.Batch, s.Enterprise, s.OATH = batch, enterprise, oath
}

// credentialsChanged makes a new state of the credential store, by which platforms see that there is news.
func (s *state) credentialsChanged() {
	s.CredStoreState = make([]byte, 16)
	rand.Read(s.CredStoreState)
}

// newPersistentToken ends what was granted to whoever has the token before (§6.5.3, resetPersistentPinUvAuthToken).
func (s *state) newPersistentToken() {
	s.PersistentToken, s.ReadOnlyGranted = make([]byte, tokenSecretBytes), false
	rand.Read(s.PersistentToken)
}

func (s *state) hasPIN() bool { return len(s.PINHash) > 0 }

// protected reports whether some form of user verification is set up (§6.1.2, "protected by some form of user
// verification").
func (s *state) protected() bool { return s.hasPIN() || s.hasFinger() }

func (s *state) hasFinger() bool { return len(s.Fingerprints) > 0 }

// uvRetries is how many times a finger may still be tried.
func (s *state) uvRetries() uint { return maxUVRetries - min(s.UVMisses, maxUVRetries) }

func (s *state) minPINLength() uint { return max(s.MinPINLength, minPINLength) }

// largeBlobs is the serialized large-blob array.
func (s *state) largeBlobs() []byte {
	if s.LargeBlobs == nil {
		return ctap.EmptyLargeBlobArray
	}
	return s.LargeBlobs
}

// find gives the credential that id names at this RP, discoverable or not, or nil.
func (s *state) find(id []byte, rpID string) *Credential {
	for i := range s.Credentials {
		if c := &s.Credentials[i]; c.RPID == rpID && bytes.Equal(c.ID, id) {
			return c
		}
	}
	return s.unwrap(id, rpIDHash(rpID), rpID)
}

// findHash is find for U2F, which knows the RP by the hash of its ID alone.
func (s *state) findHash(id, hash []byte) *Credential {
	for i := range s.Credentials {
		if c := &s.Credentials[i]; bytes.Equal(c.ID, id) && bytes.Equal(rpIDHash(c.RPID), hash) {
			return c
		}
	}
	return s.unwrap(id, hash, "")
}

// findAny gives the first credential of a list that exists at this RP and that visible admits, or nil. Descriptors of
// unknown types are passed over.
func (s *state) findAny(list []ctap.PublicKeyCredentialDescriptor, rpID string, visible func(*Credential) bool) *Credential {
	for _, d := range list {
		if d.Type != ctap.TypePublicKey {
			continue
		}
		if c := s.find(d.ID, rpID); c != nil && visible(c) {
			return c
		}
	}
	return nil
}

// discoverable lists the discoverable credentials of an RP that visible admits, newest first.
func (s *state) discoverable(rpID string, visible func(*Credential) bool) []*Credential {
	var found []*Credential
	for i := range slices.Backward(s.Credentials) {
		if c := &s.Credentials[i]; c.RPID == rpID && visible(c) {
			found = append(found, c)
		}
	}
	return found
}

// add keeps a discoverable credential, in place of one for the same account (§6.1.2 step 17.2).
func (s *state) add(c *Credential) {
	s.Credentials = append(s.without(func(old *Credential) bool { return old.sameAccount(c) }), *c)
	s.credentialsChanged()
}

// remove forgets a discoverable credential.
func (s *state) remove(id []byte) {
	s.Credentials = s.without(func(c *Credential) bool { return bytes.Equal(c.ID, id) })
	s.credentialsChanged()
}

// replace puts c in the place of the credential with its ID.
func (s *state) replace(c Credential) {
	s.Credentials = slices.Clone(s.Credentials)
	for i := range s.Credentials {
		if bytes.Equal(s.Credentials[i].ID, c.ID) {
			s.Credentials[i] = c
		}
	}
}

// without gives a copy of the list without those that drop names.
func (s *state) without(drop func(*Credential) bool) []Credential {
	kept := make([]Credential, 0, len(s.Credentials)+1)
	for i := range s.Credentials {
		if !drop(&s.Credentials[i]) {
			kept = append(kept, s.Credentials[i])
		}
	}
	return kept
}

// hasRoom reports whether a discoverable credential can be kept.
func (s *state) hasRoom(c *Credential, limit uint) bool {
	return uint(len(s.Credentials)) < limit ||
		slices.ContainsFunc(s.Credentials, func(old Credential) bool { return old.sameAccount(c) })
}

func (c *Credential) sameAccount(other *Credential) bool {
	return c.RPID == other.RPID && bytes.Equal(c.UserID, other.UserID)
}
