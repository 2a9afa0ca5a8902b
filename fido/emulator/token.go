package emulator

import (
	"crypto/rand"
	"time"

	"fob/fido/ctap"
)

const (
	tokenLifetime    = 10 * time.Minute // max usage time period (§6.5.2.1)
	tokenFirstUse    = 30 * time.Second // initial usage time limit over USB (§6.5.2.1)
	tokenFirstUseNFC = 19800 * time.Millisecond
	tokenPresence    = 30 * time.Second // user present time limit (§6.5.2.1)
	tokenSecretBytes = 32
)

// token is the pinUvAuthToken in use (§6.5.2.1). There is one at a time; it is for the protocol that asked for it.
type token struct {
	protocol    ctap.PINProtocol
	secret      []byte
	permissions ctap.Permission
	rpID        string // the permissions RP ID; empty until the first use binds it
	verified    bool   // the userVerified flag
	present     bool   // the userPresent flag
	issued      time.Time
	firstUse    time.Duration // how long it lives when nobody uses it
	used        bool
}

func newToken(protocol ctap.PINProtocol, permissions ctap.Permission, rpID string, now time.Time) *token {
	t := &token{
		protocol:    protocol,
		secret:      make([]byte, tokenSecretBytes),
		permissions: permissions,
		rpID:        rpID,
		verified:    true,
		issued:      now,
		firstUse:    tokenFirstUse,
	}
	rand.Read(t.secret)
	return t
}

func (t *token) expired(now time.Time) bool {
	age := now.Sub(t.issued)
	return age >= tokenLifetime || (!t.used && age >= t.firstUse)
}

// check finds the token in use that made param, and that may do what permission says: protocol, signature, life time
// and permission (§6.1.2 steps 11.1.1 and 11.1.2, and the like in other commands). All failures look the same.
func (p *pinState) check(protocol ctap.PINProtocol, message, param []byte, permission ctap.Permission) (*token, error) {
	t := p.token
	if t == nil || t.protocol != protocol || !protocol.Verify(t.secret, message, param) {
		return nil, ctap.ErrPINAuthInvalid
	}
	if t.expired(p.now()) {
		p.token = nil
		return nil, ctap.ErrPINAuthInvalid
	}
	if t.permissions&permission == 0 {
		return nil, ctap.ErrPINAuthInvalid
	}
	t.used = true
	return t, nil
}

// authorize checks the pinUvAuthParam of makeCredential and getAssertion, which want the userVerified flag as well. A
// token without RP ID is bound to this one (§6.1.2 step 11.1, §6.2.2 step 6.1).
func (p *pinState) authorize(protocol ctap.PINProtocol, message, param []byte, permission ctap.Permission, rpID string) error {
	t, err := p.check(protocol, message, param, permission)
	if err != nil {
		return err
	}
	if !t.verified || t.rpID != "" && t.rpID != rpID {
		return ctap.ErrPINAuthInvalid
	}
	t.rpID = rpID
	return nil
}

// presentByToken reports whether the person touched the key to get the token in use, a moment ago (§6.5.3.2,
// getUserPresentFlagValue).
func (p *pinState) presentByToken() bool {
	return p.token != nil && p.token.present && p.now().Sub(p.token.issued) < tokenPresence
}

// requireToken refuses a request that needs a pinUvAuthParam and has none, or one of no protocol that we speak.
func (a *Authenticator) requireToken(protocol ctap.PINProtocol, param []byte) error {
	if param == nil {
		return ctap.ErrPUATRequired
	}
	return a.checkProtocol(protocol)
}

// spend ends what a touch allowed: clearUserPresentFlag, clearUserVerifiedFlag and
// clearPinUvAuthTokenPermissionsExceptLbw (§6.5.3.2). The token remains for writing large blobs.
func (p *pinState) spend() {
	if p.token != nil {
		p.token.verified, p.token.present = false, false
		p.token.permissions &= ctap.PermissionLargeBlobWrite
	}
}
