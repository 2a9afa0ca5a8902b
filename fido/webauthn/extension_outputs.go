package webauthn

import (
	"fob/fido/ctap"
)

// ExtensionOutputs are what extensions gave that authenticator data does not hold, or holds encrypted.
type ExtensionOutputs struct {
	PRF              Secret // what hmac-secret made of the salts, decrypted: 32 bytes for each; nil for nothing
	LargeBlobKey     bool   // a new credential may have a large blob
	LargeBlob        []byte // nil where there is none
	LargeBlobWritten bool
}

// AuthenticationExtensionsClientOutputsJSON holds the results of extensions that we know (§5.7.2); nil for those that
// were not asked for.
type AuthenticationExtensionsClientOutputsJSON struct {
	CredProps   *CredentialPropertiesOutput `json:"credProps,omitempty"`
	CredBlob    *bool                       `json:"credBlob,omitempty"`   // at registration: whether it was stored
	GetCredBlob Base64URL                   `json:"getCredBlob,omitzero"` // at sign-in; empty where there is none
	LargeBlob   *LargeBlobOutputs           `json:"largeBlob,omitempty"`
	PRF         *PRFOutputs                 `json:"prf,omitempty"`
}

// CredentialPropertiesOutput is the result of credProps (§10.1.3). RK tells whether the credential is discoverable;
// nil when the client does not know.
type CredentialPropertiesOutput struct {
	RK *bool `json:"rk,omitempty"`
}

// LargeBlobOutputs is the result of largeBlob (§10.1.5). Supported is for registration, Written for sign-in where there
// was something to write; Blob is nil where none was read.
type LargeBlobOutputs struct {
	Supported *bool     `json:"supported,omitempty"`
	Blob      Base64URL `json:"blob,omitzero"`
	Written   *bool     `json:"written,omitempty"`
}

// PRFOutputs is the result of prf (§10.1.4). Enabled is for registration; Results is nil where nothing was evaluated.
type PRFOutputs struct {
	Enabled *bool      `json:"enabled,omitempty"`
	Results *PRFValues `json:"results,omitempty"`
}

// extensionResults gives the results of a registration. What a relying party has required must have been done.
func (r *Registration) extensionResults(data *ctap.AuthenticatorData, rk bool, o ExtensionOutputs) (
	results AuthenticationExtensionsClientOutputsJSON, err error) {

	out, err := ctap.ExtensionOutputs[ctap.MakeCredentialExtensionOutputs](data)
	if err != nil {
		return results, &AuthenticatorResponseError{"authData.extensions", err}
	}
	x := &r.Options.RegistrationExtensions
	switch {
	case out.CredProtect > ctap.UserVerificationRequired,
		x.EnforceCredProtect && x.CredProtect > ctap.UserVerificationOptional && out.CredProtect < x.CredProtect:
		return results, &AuthenticatorResponseError{"authData.extensions.credProtect", ErrValue}
	case x.LargeBlob == LargeBlobRequired && !o.LargeBlobKey:
		return results, &AuthenticatorResponseError{"largeBlobKey", ErrMissing}
	}
	if x.CredProps {
		results.CredProps = &CredentialPropertiesOutput{RK: &rk}
	}
	if x.CredBlob != nil {
		stored := ctap.True(out.CredBlob)
		results.CredBlob = &stored
	}
	if x.LargeBlob != "" {
		results.LargeBlob = &LargeBlobOutputs{Supported: &o.LargeBlobKey}
	}
	if x.PRF != nil {
		enabled := ctap.True(out.HMACSecret)
		results.PRF = &PRFOutputs{Enabled: &enabled}
		if enabled {
			results.PRF.Results, err = prfResults(data, o.PRF)
		}
	}
	return results, err
}

// extensionResults gives the results of a sign-in.
func (a *Authentication) extensionResults(data *ctap.AuthenticatorData, o ExtensionOutputs) (
	results AuthenticationExtensionsClientOutputsJSON, err error) {

	out, err := ctap.ExtensionOutputs[ctap.GetAssertionExtensionOutputs](data)
	if err != nil {
		return results, &AuthenticatorResponseError{"authData.extensions", err}
	}
	x := &a.Options.AuthenticationExtensions
	if x.GetCredBlob {
		results.GetCredBlob = Base64URL(out.CredBlob)
	}
	switch {
	case x.LargeBlobRead:
		results.LargeBlob = &LargeBlobOutputs{Blob: o.LargeBlob}
	case x.LargeBlobWrite != nil:
		results.LargeBlob = &LargeBlobOutputs{Written: &o.LargeBlobWritten}
	}
	if x.PRF != nil {
		results.PRF = new(PRFOutputs)
		results.PRF.Results, err = prfResults(data, o.PRF)
	}
	return results, err
}

// prfResults gives the results of prf. Authenticators have another function for those whom they have not verified,
// which is not to be seen (§10.1.4).
func prfResults(data *ctap.AuthenticatorData, outputs Secret) (*PRFValues, error) {
	const length = 32
	switch {
	case outputs == nil:
		return nil, nil
	case data.Flags&ctap.FlagUV == 0:
		return nil, &AuthenticatorResponseError{"authData.flags", ErrNoUserVerification}
	case len(outputs) == length:
		return &PRFValues{First: outputs}, nil
	case len(outputs) == 2*length:
		return &PRFValues{First: outputs[:length], Second: outputs[length:]}, nil
	}
	return nil, &AuthenticatorResponseError{"hmac-secret", ErrLength}
}

// extensionResults reads clientExtensionResults of either ceremony.
func (o object) extensionResults() (results AuthenticationExtensionsClientOutputsJSON) {
	extensions := o.object("clientExtensionResults", required)
	if extensions.present("credProps") {
		results.CredProps = &CredentialPropertiesOutput{RK: extensions.object("credProps", required).flagOrNil("rk")}
	}
	results.CredBlob = extensions.flagOrNil("credBlob")
	results.GetCredBlob = extensions.bytes("getCredBlob", optional, 0, MaxJSONSize)
	if extensions.present("largeBlob") {
		blob := extensions.object("largeBlob", required)
		results.LargeBlob = &LargeBlobOutputs{
			Supported: blob.flagOrNil("supported"),
			Blob:      blob.bytes("blob", optional, 0, MaxJSONSize),
			Written:   blob.flagOrNil("written"),
		}
	}
	if extensions.present("prf") {
		prf := extensions.object("prf", required)
		results.PRF = &PRFOutputs{Enabled: prf.flagOrNil("enabled"), Results: prf.values("results")}
	}
	return results
}

// flagOrNil reads a flag, nil when it is absent.
func (o object) flagOrNil(name string) *bool {
	if !o.present(name) {
		return nil
	}
	f := o.flag(name)
	return &f
}
