package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"fob/fido/ctap"
)

// extensionInputs decodes the extensions that the key knows; others are ignored (§6.1.2 step 15, §6.2.2 step 10).
func extensionInputs[T any](a *Authenticator, extensions map[string]ctap.RawMessage) (*T, error) {
	known := make(map[string]ctap.RawMessage)
	for name, input := range extensions {
		if a.has(name) {
			known[name] = input
		}
	}
	inputs := new(T)
	if len(known) == 0 {
		return inputs, nil
	}
	b, err := ctap.Marshal(known)
	if err != nil {
		return nil, ctap.ErrInvalidCBOR
	}
	return inputs, ctap.Unmarshal(b, inputs)
}

// checkMakeCredentialExtensions refuses inputs that make no sense. §12.1 says nothing of a level that it does not
// define.
func (a *Authenticator) checkMakeCredentialExtensions(in *ctap.MakeCredentialExtensionInputs, rk bool) error {
	switch {
	case in.CredProtect > ctap.UserVerificationRequired:
		return ctap.ErrInvalidOption
	case ctap.False(in.LargeBlobKey), ctap.True(in.LargeBlobKey) && !rk: // §12.3
		return ctap.ErrInvalidOption
	case in.HMACSecretMC != nil && !ctap.True(in.HMACSecret): // §12.8
		return ctap.ErrMissingParameter
	case in.HMACSecretMC == nil:
		return nil
	}
	if err := a.checkProtocol(saltProtocol(in.HMACSecretMC)); err != nil {
		return err
	}
	return checkSalts(in.HMACSecretMC)
}

// applyExtensions makes a new credential what the extensions ask for.
func (a *Authenticator) applyExtensions(c *Credential, in *ctap.MakeCredentialExtensionInputs) {
	c.CredProtect = max(in.CredProtect, a.DefaultCredProtect)
	if in.CredProtect != 0 {
		c.CredProtect = in.CredProtect
	}
	c.HMACSecret = ctap.True(in.HMACSecret)
	c.ThirdPartyPayment = ctap.True(in.ThirdPartyPayment)
	if c.discoverable && uint(len(in.CredBlob)) <= a.MaxCredBlobLength {
		c.CredBlob = in.CredBlob
	}
	if ctap.True(in.LargeBlobKey) {
		c.LargeBlobKey = make([]byte, 32)
		rand.Read(c.LargeBlobKey)
	}
}

// makeCredentialOutputs answers the extensions of makeCredential. thirdPartyPayment has no output there (§12.9).
func (a *Authenticator) makeCredentialOutputs(c *Credential, in *ctap.MakeCredentialExtensionInputs,
	flags ctap.Flags) (ctap.RawMessage, error) {

	var out ctap.MakeCredentialExtensionOutputs
	if in.CredProtect != 0 {
		out.CredProtect = c.CredProtect
	}
	if c.HMACSecret {
		out.HMACSecret = &c.HMACSecret
	}
	if in.CredBlob != nil { // stored or not is an answer, never an error (§12.2)
		stored := c.CredBlob != nil
		out.CredBlob = &stored
	}
	if ctap.True(in.MinPINLength) && slices.Contains(a.state.MinPINLengthRPIDs, c.RPID) { // §12.5
		out.MinPINLength = a.state.minPINLength()
	}
	if in.HMACSecretMC != nil {
		var err error
		if out.HMACSecretMC, err = a.hmacSecret(c, in.HMACSecretMC, flags); err != nil {
			return nil, err
		}
	}
	b, err := ctap.Marshal(out)
	if err != nil || len(b) == 1 { // an empty map: then the flag ED stays off
		return nil, err
	}
	return b, nil
}

// getAssertionOutputs answers the extensions of getAssertion.
func (a *Authenticator) getAssertionOutputs(c *Credential, in *ctap.GetAssertionExtensionInputs,
	flags ctap.Flags) (ctap.RawMessage, error) {

	var out ctap.GetAssertionExtensionOutputs
	if ctap.True(in.CredBlob) {
		out.CredBlob = append(ctap.Bytes{}, c.CredBlob...) // empty where there is none (§12.2)
	}
	if ctap.True(in.ThirdPartyPayment) {
		out.ThirdPartyPayment = &c.ThirdPartyPayment
	}
	if in.HMACSecret != nil && c.HMACSecret {
		var err error
		if out.HMACSecret, err = a.hmacSecret(c, in.HMACSecret, flags); err != nil {
			return nil, err
		}
	}
	b, err := ctap.Marshal(out)
	if err != nil || len(b) == 1 {
		return nil, err
	}
	return b, nil
}

// checkGetAssertionExtensions refuses inputs that make no sense.
func (a *Authenticator) checkGetAssertionExtensions(in *ctap.GetAssertionExtensionInputs, up bool) error {
	if ctap.False(in.LargeBlobKey) { // §12.3
		return ctap.ErrInvalidOption
	}
	if in.HMACSecret == nil {
		return nil
	}
	if err := a.checkProtocol(saltProtocol(in.HMACSecret)); err != nil { // §12.7 step 1
		return err
	}
	if !up { // §12.7 step 2
		return ctap.ErrUnsupportedOption
	}
	return checkSalts(in.HMACSecret)
}

// checkSalts refuses salts without what is needed to read them.
func checkSalts(in *ctap.HMACSecretInput) error {
	if in.KeyAgreement == nil || in.SaltEnc == nil || in.SaltAuth == nil {
		return ctap.ErrMissingParameter
	}
	return nil
}

// saltProtocol is the protocol of the salts: one, where none is named (§12.7 step 1).
func saltProtocol(in *ctap.HMACSecretInput) ctap.PINProtocol {
	if in.PINUVAuthProtocol == 0 {
		return ctap.PINProtocolOne
	}
	return in.PINUVAuthProtocol
}

// hmacSecret computes HMAC-SHA-256(CredRandom, salt) for one or two salts (§12.7 from step 4). saltAuth is checked
// before anything is decrypted.
func (a *Authenticator) hmacSecret(c *Credential, in *ctap.HMACSecretInput, flags ctap.Flags) ([]byte, error) {
	protocol := saltProtocol(in)
	secret, err := protocol.SharedSecret(a.pin.keyAgreements[protocol], in.KeyAgreement.PublicKey)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	if !secret.Verify(in.SaltEnc, in.SaltAuth) {
		return nil, ctap.ErrPINAuthInvalid
	}
	salts, err := secret.Decrypt(in.SaltEnc)
	if err != nil || (len(salts) != 32 && len(salts) != 64) {
		return nil, ctap.ErrInvalidParameter
	}
	random := c.credRandom(flags&ctap.FlagUV != 0)
	defer clear(random)
	var out []byte
	for salt := range slices.Chunk(salts, 32) {
		mac := hmac.New(sha256.New, random)
		mac.Write(salt)
		out = mac.Sum(out)
	}
	return secret.Encrypt(out)
}
