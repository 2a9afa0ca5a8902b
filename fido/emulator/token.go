package emulator

import (
	"crypto/rand"
	"time"

	"fob/fido/ctap"
)

const (
	tokenLifetime    = 10 * time.Minute // max usage time period (§6.5.2.1)
	tokenFirstUse    = 30 * time.Second // initial usage time limit over USB (§6.5.2.1)
	tokenSecretBytes = 32
)

// token is the pinUvAuthToken in use (§6.5.2.1). There is one at a time; it is for the protocol that asked for it.
type token struct {
	protocol    ctap.PINProtocol
	secret      []byte
	permissions ctap.Permission
	rpID        string // the permissions RP ID; empty until the first use binds it
	verified    bool   // the userVerified flag
	issued      time.Time
	used        bool
}

func newToken(protocol ctap.PINProtocol, permissions ctap.Permission, rpID string) *token {
	t := &token{
		protocol:    protocol,
		secret:      make([]byte, tokenSecretBytes),
		permissions: permissions,
		rpID:        rpID,
		verified:    true,
		issued:      time.Now(),
	}
	rand.Read(t.secret)
	return t
}

func (t *token) expired() bool {
	age := time.Since(t.issued)
	return age > tokenLifetime || (!t.used && age > tokenFirstUse)
}

// authorize checks the pinUvAuthParam of a request against the token in use: protocol, signature, permission, RP ID
// and the userVerified flag (§6.1.2 step 11.1, §6.2.2 step 6.1). A token without RP ID is bound to this one.
func (p *pinState) authorize(protocol ctap.PINProtocol, message, param []byte, permission ctap.Permission, rpID string) error {
	t := p.token
	if t == nil || t.protocol != protocol || !protocol.Verify(t.secret, message, param) {
		return ctap.ErrPINAuthInvalid
	}
	if t.expired() {
		p.token = nil
		return ctap.ErrPINAuthInvalid
	}
	if t.permissions&permission == 0 || (t.rpID != "" && t.rpID != rpID) || !t.verified {
		return ctap.ErrPINAuthInvalid
	}
	t.rpID = rpID
	t.used = true
	return nil
}

// spend ends what a touch allowed: clearUserVerifiedFlag and clearPinUvAuthTokenPermissionsExceptLbw (§6.5.3.1).
func (p *pinState) spend() {
	if p.token != nil {
		p.token.verified = false
		p.token.permissions &= ctap.PermissionLargeBlobWrite
	}
}
