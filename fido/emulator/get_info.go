package emulator

import (
	"slices"

	"fob/fido/ctap"
)

// getInfo implements authenticatorGetInfo (§6.4).
func (a *Authenticator) getInfo() ctap.Response {
	info := &ctap.GetInfoResponse{
		Versions:                 a.versions(),
		Extensions:               a.Extensions,
		AAGUID:                   a.AAGUID,
		Options:                  a.options(),
		MaxMsgSize:               a.MaxMsgSize,
		PINUVAuthProtocols:       a.PINProtocols,
		MaxCredentialCountInList: a.MaxCredentialsInList,
		MaxCredentialIDLength:    a.MaxCredentialIDLength,
		Transports:               a.Transports,
		FirmwareVersion:          a.FirmwareVersion,
		MaxLargeBlobArray:        a.MaxLargeBlobArray,
		MaxCredBlobLength:        a.MaxCredBlobLength,
		MaxMinPINLengthRPIDs:     a.MaxMinPINLengthRPIDs,
	}
	for _, alg := range a.Algorithms {
		info.Algorithms = append(info.Algorithms,
			ctap.PublicKeyCredentialParameters{Type: ctap.TypePublicKey, Alg: alg})
	}
	if a.Tokens { // members of CTAP 2.1
		info.MinPINLength = a.state.minPINLength()
		info.ForcePINChange = a.state.ForcePINChange
		remaining := a.MaxDiscoverable - uint(len(a.state.Credentials))
		info.RemainingDiscoverable = &remaining
	}
	info.AttestationFormats = a.AttestationFormats
	if a.TellsMaxPINLength { // members of CTAP 2.2
		info.MaxPINLength = maxPINLength
	}
	if a.PersistentToken {
		info.EncIdentifier = ctap.EncryptMember(a.state.PersistentToken, ctap.LabelIdentifier, [16]byte(a.state.DeviceID))
		info.EncCredStoreState = ctap.EncryptMember(a.state.PersistentToken, ctap.LabelCredStoreState,
			[16]byte(a.state.CredStoreState))
	}
	if a.MaxFingerprints > 0 {
		info.UVModality, info.PreferredUVAttempts = uvModality, maxUVRetries
		info.UVCountSinceLastPINEntry = &a.state.UVSincePIN
	}
	return info.Encode()
}

// versions leaves out U2F while alwaysUv is on, which U2F can obey by a sensor alone (§7.2.4).
func (a *Authenticator) versions() []string {
	if a.state.AlwaysUV && a.MaxFingerprints == 0 {
		return slices.DeleteFunc(slices.Clone(a.Versions), func(v string) bool { return v == ctap.VersionU2F })
	}
	return a.Versions
}

// options are the option IDs that this key has.
func (a *Authenticator) options() map[string]bool {
	o := map[string]bool{
		ctap.OptionPlat: false,
		ctap.OptionUP:   true,
		ctap.OptionRK:   a.MaxDiscoverable > 0,
	}
	if a.PIN {
		o[ctap.OptionClientPIN] = a.state.hasPIN()
	}
	for name, has := range map[string]bool{
		ctap.OptionPINUVAuthToken:                 a.Tokens,
		ctap.OptionCredMgmt:                       a.CredentialManagement,
		ctap.OptionCredentialMgmtPreview:          a.CredentialManagementPreview,
		ctap.OptionPerCredMgmtRO:                  a.PersistentToken,
		ctap.OptionNoMcGaPermissionsWithClientPIN: a.NoMcGaPermissionsWithClientPIN,
		ctap.OptionLargeBlobs:                     a.MaxLargeBlobArray > 0,
		ctap.OptionAuthnrCfg:                      a.Config,
		ctap.OptionSetMinPINLen:                   a.Config,
	} {
		if has {
			o[name] = true
		}
	}
	if a.MaxFingerprints > 0 {
		o[ctap.OptionUV] = a.state.hasFinger()
		o[ctap.OptionBioEnroll] = a.state.hasFinger()
		o[ctap.OptionUVBioEnroll] = a.Tokens
		if a.BioEnrollmentPreview {
			o[ctap.OptionUserVerificationMgmtPreview] = a.state.hasFinger()
		}
		if a.Config {
			o[ctap.OptionUVAcfg] = true
		}
	}
	if a.EnterpriseAttestation {
		o[ctap.OptionEP] = a.state.EnterpriseEnabled
	}
	if a.MakeCredUVNotRqd { // and alwaysUv takes it back (§6.11.2)
		o[ctap.OptionMakeCredUVNotRqd] = !a.state.AlwaysUV
	}
	if a.Config {
		o[ctap.OptionAlwaysUV] = a.state.AlwaysUV
	}
	return o
}
