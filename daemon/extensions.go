package daemon

import (
	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/webauthn"
)

// registerExtensions translates what a relying party asks for. The caller wipes the salts.
func registerExtensions(o *webauthn.PublicKeyCredentialCreationOptionsJSON) fido.RegisterExtensions {
	x := fido.RegisterExtensions{
		CredProtect:        o.CredProtect,
		EnforceCredProtect: o.EnforceCredProtect,
		CredBlob:           o.CredBlob,
		MinPINLength:       o.MinPINLength,
		LargeBlob:          requirement(string(o.LargeBlob)),
		HMACSecret:         o.PRF != nil,
	}
	if o.PRF != nil {
		x.Salts = salts(o.PRF.Eval)
	}
	if o.Attestation == webauthn.AttestationEnterprise {
		// Which relying parties may have it is what the key knows, from its vendor: fobd has no list of its own.
		x.EnterpriseAttestation = ctap.VendorFacilitated
	}
	return x
}

// signInExtensions translates what a relying party asks for. The caller wipes the salts.
func signInExtensions(o *webauthn.PublicKeyCredentialRequestOptionsJSON) fido.SignInExtensions {
	x := fido.SignInExtensions{CredBlob: o.GetCredBlob, ReadLargeBlob: o.LargeBlobRead, WriteLargeBlob: o.LargeBlobWrite}
	if o.PRF == nil {
		return x
	}
	x.Salts = salts(o.PRF.Eval)
	for id, values := range o.PRF.EvalByCredential {
		if x.SaltsByCredential == nil {
			x.SaltsByCredential = make(map[string]fido.Secret)
		}
		x.SaltsByCredential[id] = values.Salts()
	}
	return x
}

func salts(v *webauthn.PRFValues) fido.Secret {
	if v == nil {
		return nil
	}
	return v.Salts()
}

func wipeSalts(x *fido.SignInExtensions) {
	x.Salts.Wipe()
	for _, s := range x.SaltsByCredential {
		s.Wipe()
	}
}
