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

// checkMakeCredentialExtensions refuses inputs that make no sense, before the person is asked.
func (a *Authenticator) checkMakeCredentialExtensions(in *ctap.MakeCredentialExtensionInputs, rk bool) error {
	switch {
	case in.CredProtect > ctap.UserVerificationRequired: // §12.1
		return ctap.ErrInvalidOption
	case ctap.False(in.LargeBlobKey), ctap.True(in.LargeBlobKey) && !rk: // §12.3
		return ctap.ErrInvalidOption
	case in.HMACSecretMC != nil && !ctap.True(in.HMACSecret): // §12.8
		return ctap.ErrInvalidOption
	}
	return nil
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

// makeCredentialOutputs answers the extensions of makeCredential.
func (a *Authenticator) makeCredentialOutputs(c *Credential, in *ctap.MakeCredentialExtensionInputs, flags ctap.Flags) (ctap.RawMessage, error) {
	var out ctap.MakeCredentialExtensionOutputs
	if in.CredProtect != 0 {
		out.CredProtect = c.CredProtect
	}
	if in.HMACSecret != nil {
		out.HMACSecret = &c.HMACSecret
	}
	if in.CredBlob != nil { // stored or not is an answer, never an error (§12.2)
		stored := c.CredBlob != nil
		out.CredBlob = &stored
	}
	if ctap.True(in.MinPINLength) && slices.Contains(a.state.MinPINLengthRPIDs, c.RPID) { // §12.4
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
func (a *Authenticator) getAssertionOutputs(c *Credential, in *ctap.GetAssertionExtensionInputs, flags ctap.Flags) (ctap.RawMessage, error) {
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

// checkGetAssertionExtensions refuses inputs that make no sense, before the person is asked.
func (a *Authenticator) checkGetAssertionExtensions(in *ctap.GetAssertionExtensionInputs, up bool) error {
	switch {
	case ctap.False(in.LargeBlobKey): // §12.3
		return ctap.ErrInvalidOption
	case in.HMACSecret != nil && !up: // §12.5
		return ctap.ErrUnsupportedOption
	}
	return nil
}

// hmacSecret computes HMAC-SHA-256(CredRandom, salt) for one or two salts (§12.5). saltAuth is checked before anything
// is decrypted.
func (a *Authenticator) hmacSecret(c *Credential, in *ctap.HMACSecretInput, flags ctap.Flags) ([]byte, error) {
	protocol := in.PINUVAuthProtocol
	if protocol == 0 {
		protocol = ctap.PINProtocolOne
	}
	if in.KeyAgreement == nil || in.SaltEnc == nil || in.SaltAuth == nil {
		return nil, ctap.ErrMissingParameter
	}
	if err := a.checkProtocol(protocol); err != nil {
		return nil, err
	}
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
		return nil, ctap.ErrInvalidLength
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
