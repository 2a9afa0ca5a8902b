package emulator

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"
	"unicode/utf8"

	"fob/fido/ctap"
)

const (
	maxPINRetries    = 8  // wrong PINs until the key is blocked for good (§6.5.2.3)
	maxPINMismatches = 3  // wrong PINs in a row until the next power-up (§6.5.5.6 step 7.1.2)
	minPINLength     = 4  // code points (§6.5.1)
	maxPINLength     = 63 // bytes (§6.5.1)
	paddedPINSize    = 64 // bytes (§6.5.1)
	pinHashSize      = 16 // bytes
)

// pinState is what the key knows of PINs and tokens until it loses power.
type pinState struct {
	now           func() time.Time
	mismatches    int
	keyAgreements map[ctap.PINProtocol]*ecdh.PrivateKey
	token         *token
}

func newPINState(now func() time.Time) pinState {
	p := pinState{now: now, keyAgreements: map[ctap.PINProtocol]*ecdh.PrivateKey{}}
	p.regenerate(ctap.PINProtocolOne)
	p.regenerate(ctap.PINProtocolTwo)
	return p
}

// regenerate makes a new key agreement key (§6.5.4, regenerate).
func (p *pinState) regenerate(protocol ctap.PINProtocol) {
	p.keyAgreements[protocol] = must(ecdh.P256().GenerateKey(rand.Reader))
}

// clientPIN implements authenticatorClientPIN (§6.5.5).
func (a *Authenticator) clientPIN(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseClientPINRequest(parameters)
	if err != nil {
		return nil, err
	}
	switch req.Subcommand {
	case 0:
		return nil, ctap.ErrMissingParameter
	case ctap.SubcommandGetPINRetries:
		return a.getPINRetries(), nil
	case ctap.SubcommandGetKeyAgreement:
		return a.getKeyAgreement(req)
	case ctap.SubcommandSetPIN:
		return a.setPIN(req)
	case ctap.SubcommandChangePIN:
		return a.changePIN(req)
	case ctap.SubcommandGetPINToken:
		return a.getPINToken(r, req)
	case ctap.SubcommandGetUVRetries:
		if a.MaxFingerprints > 0 {
			retries := a.state.uvRetries()
			return (&ctap.ClientPINResponse{UVRetries: &retries}).Encode(), nil
		}
	case ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions:
		if a.MaxFingerprints > 0 {
			return a.getTokenUsingUV(r, req)
		}
	case ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions:
		if a.Tokens {
			return a.getTokenWithPermissions(r, req)
		}
	}
	return nil, ctap.ErrInvalidSubcommand
}

// getPINRetries implements §6.5.5.2.
func (a *Authenticator) getPINRetries() ctap.Response {
	retries := a.state.PINRetries
	blocked := a.pin.mismatches >= maxPINMismatches
	return (&ctap.ClientPINResponse{PINRetries: &retries, PowerCycle: &blocked}).Encode()
}

// getKeyAgreement implements §6.5.5.4.
func (a *Authenticator) getKeyAgreement(req *ctap.ClientPINRequest) (ctap.Response, error) {
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil {
		return nil, err
	}
	key := &ctap.KeyAgreement{PublicKey: a.pin.keyAgreements[req.PINUVAuthProtocol].PublicKey()}
	return (&ctap.ClientPINResponse{KeyAgreement: key}).Encode(), nil
}

// checkProtocol is the check that each subcommand with a protocol begins with (steps 1 and 2 of each).
func (a *Authenticator) checkProtocol(p ctap.PINProtocol) error {
	switch {
	case p == 0:
		return ctap.ErrMissingParameter
	case !slices.Contains(a.PINProtocols, p):
		return ctap.ErrInvalidParameter
	default:
		return nil
	}
}

// decapsulate gives the secret shared with the platform whose public key came in the request (§6.5.4).
func (a *Authenticator) decapsulate(req *ctap.ClientPINRequest) (*ctap.SharedSecret, error) {
	return req.PINUVAuthProtocol.SharedSecret(a.pin.keyAgreements[req.PINUVAuthProtocol], req.KeyAgreement.PublicKey)
}

// setPIN implements §6.5.5.5. Its checks are in the order of the steps, and so are those of the other subcommands.
func (a *Authenticator) setPIN(req *ctap.ClientPINRequest) (ctap.Response, error) {
	if req.KeyAgreement == nil || req.NewPINEnc == nil || req.PINUVAuthParam == nil {
		return nil, ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil {
		return nil, err
	}
	if a.state.hasPIN() { // step 3
		return nil, ctap.ErrPINAuthInvalid
	}
	secret, err := a.decapsulate(req) // step 4
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	if !secret.Verify(req.NewPINEnc, req.PINUVAuthParam) { // step 5
		return nil, ctap.ErrPINAuthInvalid
	}
	return a.storePIN(secret, req.NewPINEnc)
}

// changePIN implements §6.5.5.6.
func (a *Authenticator) changePIN(req *ctap.ClientPINRequest) (ctap.Response, error) {
	if req.KeyAgreement == nil || req.PINHashEnc == nil || req.NewPINEnc == nil || req.PINUVAuthParam == nil {
		return nil, ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil {
		return nil, err
	}
	if err := a.checkPINUsable(); err != nil {
		return nil, err
	}
	secret, err := a.decapsulate(req)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	message := append(append([]byte(nil), req.NewPINEnc...), req.PINHashEnc...)
	if !secret.Verify(message, req.PINUVAuthParam) { // step 5
		return nil, ctap.ErrPINAuthInvalid
	}
	if err := a.verifyPINHash(req.PINUVAuthProtocol, secret, req.PINHashEnc); err != nil {
		return nil, err
	}
	return a.storePIN(secret, req.NewPINEnc)
}

// checkPINUsable refuses where no PIN can be tried: none is set, or the key is blocked (§6.5.5.6 step 3, §6.5.5.7.1 and
// §6.5.5.7.2 step 5). The steps say nothing of a PIN that is not set; PIN_NOT_SET is the status for it (§8.2).
func (a *Authenticator) checkPINUsable() error {
	switch {
	case !a.state.hasPIN():
		return ctap.ErrPINNotSet
	case a.state.PINRetries == 0:
		return ctap.ErrPINBlocked
	case a.pin.mismatches >= maxPINMismatches:
		return ctap.ErrPINAuthBlocked
	default:
		return nil
	}
}

// verifyPINHash checks the PIN that the platform sent as its hash. A retry is spent, durably, before the comparison, so
// that cutting the power does not win one back (§6.5.5.6 steps 6 to 8, §6.5.5.7.1 and §6.5.5.7.2 steps 8 to 10).
func (a *Authenticator) verifyPINHash(protocol ctap.PINProtocol, secret *ctap.SharedSecret, pinHashEnc []byte) error {
	if err := a.update(func(s *state) { s.PINRetries-- }); err != nil {
		return err
	}
	hash, err := secret.Decrypt(pinHashEnc)
	if err == nil && subtle.ConstantTimeCompare(hash, a.state.PINHash) == 1 {
		a.pin.mismatches = 0
		return a.update(func(s *state) { s.PINRetries, s.UVMisses, s.UVSincePIN = maxPINRetries, 0, 0 })
	}
	a.pin.regenerate(protocol)
	a.pin.mismatches++
	switch {
	case a.state.PINRetries == 0:
		return ctap.ErrPINBlocked
	case a.pin.mismatches >= maxPINMismatches:
		return ctap.ErrPINAuthBlocked
	default:
		return ctap.ErrPINInvalid
	}
}

// storePIN decrypts, checks and keeps a new PIN (§6.5.5.5 steps 6 to 12, §6.5.5.6 steps 9 to 19).
func (a *Authenticator) storePIN(secret *ctap.SharedSecret, newPINEnc []byte) (ctap.Response, error) {
	padded, err := secret.Decrypt(newPINEnc)
	if err != nil {
		return nil, ctap.ErrPINAuthInvalid
	}
	defer clear(padded)
	if len(padded) != paddedPINSize {
		return nil, ctap.ErrInvalidParameter
	}
	pin := bytes.TrimRight(padded, "\x00")
	if err := a.checkPIN(pin); err != nil {
		return nil, err
	}
	if a.state.ForcePINChange && bytes.Equal(hashPIN(pin), a.state.PINHash) { // §6.5.5.6 step 13
		return nil, ctap.ErrPINPolicyViolation
	}
	if err := a.keepPIN(pin); err != nil {
		return nil, err
	}
	return (&ctap.ClientPINResponse{}).Encode(), nil
}

// checkPIN checks a new PIN against the policy.
func (a *Authenticator) checkPIN(pin []byte) error {
	if len(pin) > maxPINLength || uint(utf8.RuneCount(pin)) < a.state.minPINLength() {
		return ctap.ErrPINPolicyViolation
	}
	return nil
}

// keepPIN sets the PIN, with all retries, and ends the tokens of the one before (resetPinUvAuthToken).
func (a *Authenticator) keepPIN(pin []byte) error {
	err := a.update(func(s *state) {
		s.PINHash, s.PINLength = hashPIN(pin), uint(utf8.RuneCount(pin))
		s.PINRetries, s.ForcePINChange = maxPINRetries, false
		s.newPersistentToken()
	})
	if err == nil {
		a.pin.mismatches, a.pin.token = 0, nil
	}
	return err
}

// hashPIN gives LEFT(SHA-256(PIN), 16).
func hashPIN(pin []byte) []byte {
	sum := sha256.Sum256(pin)
	return sum[:pinHashSize]
}

// SetPIN gives the key a PIN at the workbench, as a fixture does: unlike setPIN it replaces one that is set, and it
// makes the retries full. The error is ctap.ErrPINPolicyViolation for a PIN that is too short or too long, and
// ctap.ErrInvalidCommand for a key that takes none.
func (a *Authenticator) SetPIN(pin []byte) error {
	<-a.turn
	defer a.endTurn()
	if !a.PIN {
		return ctap.ErrInvalidCommand
	}
	if err := a.checkPIN(pin); err != nil {
		return err
	}
	return a.keepPIN(pin)
}

// getPINToken implements §6.5.5.7.1, the older way to a token, which may make credentials and assertions. On a key that
// knows no permissions it is for the preview commands, too, as it was when they were made.
func (a *Authenticator) getPINToken(r *request, req *ctap.ClientPINRequest) (ctap.Response, error) {
	if req.KeyAgreement == nil || req.PINHashEnc == nil {
		return nil, ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil {
		return nil, err
	}
	if req.Permissions != nil || req.RPID != nil { // steps 3, 4
		return nil, ctap.ErrInvalidParameter
	}
	permissions := ctap.PermissionMakeCredential | ctap.PermissionGetAssertion
	if a.NoMcGaPermissionsWithClientPIN { // step 14
		permissions = 0
	}
	if !a.Tokens {
		permissions |= ctap.PermissionCredentialManagement | ctap.PermissionBioEnrollment
	}
	return a.issueToken(r, req, permissions, "")
}

// getTokenWithPermissions implements §6.5.5.7.2, getPinUvAuthTokenUsingPinWithPermissions.
func (a *Authenticator) getTokenWithPermissions(r *request, req *ctap.ClientPINRequest) (ctap.Response, error) {
	if req.PINHashEnc == nil {
		return nil, ctap.ErrMissingParameter
	}
	permissions, rpID, err := a.permissionsAsked(req, true)
	if err != nil {
		return nil, err
	}
	return a.issueToken(r, req, permissions, rpID)
}

// getTokenUsingUV implements §6.5.5.7.3, getPinUvAuthTokenUsingUvWithPermissions.
func (a *Authenticator) getTokenUsingUV(r *request, req *ctap.ClientPINRequest) (ctap.Response, error) {
	permissions, rpID, err := a.permissionsAsked(req, false)
	if err != nil {
		return nil, err
	}
	if !a.state.hasFinger() { // step 5
		return nil, ctap.ErrNotAllowed
	}
	if a.state.uvRetries() == 0 { // step 7
		return nil, ctap.ErrUVBlocked
	}
	secret, err := a.decapsulate(req)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	if err := a.verifyFinger(r, PresenceRequest{Command: ctap.CommandClientPIN, RPID: rpID}); err != nil { // steps 9, 10
		return nil, err
	}
	return a.answerToken(r, req, secret, permissions, rpID, true)
}

// permissionsAsked checks the permissions that a token is asked for, and the RP ID that it is for: steps 1 to 4 of
// §6.5.5.7.2 and §6.5.5.7.3. With mc and ga, the RP ID is one of the mandatory parameters (§6.5.5.7, the table of
// permissions).
func (a *Authenticator) permissionsAsked(req *ctap.ClientPINRequest, byPIN bool) (ctap.Permission, string, error) {
	const known = ctap.PermissionMakeCredential | ctap.PermissionGetAssertion | ctap.PermissionCredentialManagement |
		ctap.PermissionBioEnrollment | ctap.PermissionLargeBlobWrite | ctap.PermissionAuthenticatorConfiguration |
		ctap.PermissionPersistentReadOnly
	const forRP = ctap.PermissionMakeCredential | ctap.PermissionGetAssertion
	rpID := ""
	if req.RPID != nil {
		rpID = *req.RPID
	}
	if req.KeyAgreement == nil || req.Permissions == nil || *req.Permissions&forRP != 0 && rpID == "" {
		return 0, "", ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil {
		return 0, "", err
	}
	permissions := *req.Permissions & known // undefined bits are ignored
	switch {
	case *req.Permissions == 0: // step 3
		return 0, "", ctap.ErrInvalidParameter
	case permissions&^a.permissions(byPIN) != 0,
		permissions&ctap.PermissionPersistentReadOnly != 0 && permissions != ctap.PermissionPersistentReadOnly: // step 4
		return 0, "", ctap.ErrUnauthorizedPerm
	}
	return permissions, rpID, nil
}

// permissions are those that a token of this key can have, when it is given for a PIN or else for a finger.
func (a *Authenticator) permissions(byPIN bool) ctap.Permission {
	var p ctap.Permission
	if !byPIN || !a.NoMcGaPermissionsWithClientPIN {
		p |= ctap.PermissionMakeCredential | ctap.PermissionGetAssertion
	}
	if a.PersistentToken {
		p |= ctap.PermissionPersistentReadOnly
	}
	if a.CredentialManagement {
		p |= ctap.PermissionCredentialManagement
	}
	if a.MaxLargeBlobArray > 0 {
		p |= ctap.PermissionLargeBlobWrite
	}
	if a.Config {
		p |= ctap.PermissionAuthenticatorConfiguration
	}
	if a.MaxFingerprints > 0 {
		p |= ctap.PermissionBioEnrollment
	}
	return p
}

// issueToken is what both ways to a token have in common.
func (a *Authenticator) issueToken(r *request, req *ctap.ClientPINRequest, permissions ctap.Permission, rpID string) (
	ctap.Response, error) {

	if err := a.checkPINUsable(); err != nil {
		return nil, err
	}
	secret, err := a.decapsulate(req)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	if err := a.verifyPINHash(req.PINUVAuthProtocol, secret, req.PINHashEnc); err != nil {
		return nil, err
	}
	switch {
	case !a.state.ForcePINChange:
		return a.answerToken(r, req, secret, permissions, rpID, false)
	case req.Subcommand == ctap.SubcommandGetPINToken: // §6.5.5.7.1 step 11
		return nil, ctap.ErrPINInvalid
	default: // §6.5.5.7.2 step 11
		return nil, ctap.ErrPINPolicyViolation
	}
}

// answerToken makes the token and sends it. present is true when the person was there to get it.
func (a *Authenticator) answerToken(r *request, req *ctap.ClientPINRequest, secret *ctap.SharedSecret,
	permissions ctap.Permission, rpID string, present bool) (ctap.Response, error) {

	if permissions == ctap.PermissionPersistentReadOnly {
		return a.answerPersistentToken(secret)
	}
	a.pin.token = newToken(req.PINUVAuthProtocol, permissions, rpID, a.now())
	a.pin.token.present = present
	if r.transport == ctap.TransportNFC {
		a.pin.token.firstUse = tokenFirstUseNFC
	}
	encrypted, err := secret.Encrypt(a.pin.token.secret)
	if err != nil {
		return nil, err
	}
	return (&ctap.ClientPINResponse{PINUVAuthToken: encrypted}).Encode(), nil
}

// answerPersistentToken sends the token that outlives power-ups, and may read what credentials there are (§6.5.5.7.2
// step 12).
func (a *Authenticator) answerPersistentToken(secret *ctap.SharedSecret) (ctap.Response, error) {
	if !a.state.ReadOnlyGranted {
		if err := a.update(func(s *state) { s.ReadOnlyGranted = true }); err != nil {
			return nil, err
		}
	}
	encrypted, err := secret.Encrypt(a.state.PersistentToken)
	if err != nil {
		return nil, err
	}
	return (&ctap.ClientPINResponse{PINUVAuthToken: encrypted}).Encode(), nil
}
