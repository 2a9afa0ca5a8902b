package fido

import (
	"errors"
	"slices"

	"fob/fido/ctap"
)

// Errors of keys that lack what a relying party requires.
var (
	ErrNoCredProtect = errors.New("the key cannot protect credentials as required")
	ErrNoLargeBlob   = errors.New("the key cannot keep large blobs")
)

// RegisterExtensions are what a relying party asks of a new credential besides (CTAP 2.2 §12). A key that lacks one of
// them serves without it, but where it is required.
type RegisterExtensions struct {
	CredProtect        ctap.CredProtect // 0: what the key does by itself
	EnforceCredProtect bool             // a key that can't do more than ctap.UserVerificationOptional won't do
	CredBlob           []byte           // nil for none; a key that has no room for it makes the credential without
	MinPINLength       bool             // tell how long PINs must be; keys tell relying parties on their list alone
	LargeBlob          Requirement      // that the credential may have a large blob, which must be a discoverable one
	HMACSecret         bool             // a credential that can evaluate hmac-secret
	// Salts are one or two of 32 bytes to evaluate hmac-secret with, where the key can at once and the person be
	// verified.
	Salts Secret
	// EnterpriseAttestation is asked of keys that have it enabled: ctap.VendorFacilitated, PlatformManaged, or 0.
	EnterpriseAttestation uint
}

// extensionsSize is how many bytes extensions add to a request at most, but for a credBlob: most of it is hmac-secret's
// key agreement and salts.
const extensionsSize = 300

// apply asks for the extensions that the key has. A large blob that is required makes the credential discoverable.
func (x *RegisterExtensions) apply(info *ctap.GetInfoResponse, r *MakeCredentialRequest) error {
	yes := true
	in := &r.Extensions
	switch {
	case has(info, ctap.ExtensionCredProtect):
		in.CredProtect = x.CredProtect
	case x.EnforceCredProtect && x.CredProtect > ctap.UserVerificationOptional:
		return ErrNoCredProtect
	}
	if n := uint(len(x.CredBlob)); n > 0 && n <= info.MaxCredBlobLength && has(info, ctap.ExtensionCredBlob) {
		in.CredBlob = x.CredBlob
	}
	if x.MinPINLength && has(info, ctap.ExtensionMinPINLength) {
		in.MinPINLength = &yes
	}
	if x.HMACSecret && has(info, ctap.ExtensionHMACSecret) {
		in.HMACSecret = &yes
		if len(x.Salts) > 0 && has(info, ctap.ExtensionHMACSecretMC) && verifies(info) {
			r.Salts = x.Salts
		}
	}
	if info.Options[ctap.OptionEP] {
		r.EnterpriseAttestation = x.EnterpriseAttestation
	}
	return x.applyLargeBlob(info, r)
}

func (x *RegisterExtensions) applyLargeBlob(info *ctap.GetInfoResponse, r *MakeCredentialRequest) error {
	can := hasLargeBlobs(info) && info.Options[ctap.OptionRK]
	if x.LargeBlob == Required {
		if !can {
			return ErrNoLargeBlob
		}
		r.RK = true
	}
	if x.LargeBlob != Discouraged && can && r.RK {
		yes := true
		r.Extensions.LargeBlobKey = &yes
	}
	return nil
}

// SignInExtensions are what a relying party asks of a credential besides its signature.
type SignInExtensions struct {
	CredBlob bool
	// Salts are one or two of 32 bytes to evaluate hmac-secret with, or nil. SaltsByCredential has those of credentials
	// that have their own, by credential ID. The person is verified, as hmac-secret gives others without that.
	Salts             Secret
	SaltsByCredential map[string]Secret
	// ReadLargeBlob asks for the large blob. WriteLargeBlob is the new one of the only credential allowed, nil for
	// none; one that is longer than MaxLargeBlob is not written.
	ReadLargeBlob  bool
	WriteLargeBlob []byte
}

// apply asks for the extensions that the key has; salts are for when it is known which credential signs. verify says
// that they need the person verified, whatever the relying party wants.
func (x *SignInExtensions) apply(info *ctap.GetInfoResponse, r *GetAssertionRequest) (verify bool) {
	r.CredBlob = x.CredBlob && has(info, ctap.ExtensionCredBlob)
	if hasLargeBlobs(info) {
		r.ReadLargeBlob = x.ReadLargeBlob
		if len(x.WriteLargeBlob) <= MaxLargeBlob {
			r.WriteLargeBlob = x.WriteLargeBlob
		}
	}
	// The key takes no large blob from a stranger once it has a PIN or a fingerprint (CTAP 2.2 §6.10.2 step 5.5).
	return x.evaluates(info) || r.WriteLargeBlob != nil && verifies(info)
}

// evaluates reports whether the key is asked to evaluate hmac-secret.
func (x *SignInExtensions) evaluates(info *ctap.GetInfoResponse) bool {
	return has(info, ctap.ExtensionHMACSecret) && (len(x.Salts) > 0 || len(x.SaltsByCredential) > 0)
}

// saltsOf gives the salts of a credential, nil for none.
func (x *SignInExtensions) saltsOf(credentialID []byte) Secret {
	if own, ok := x.SaltsByCredential[string(credentialID)]; ok {
		return own
	}
	return x.Salts
}

// saltsDiffer reports whether it matters for the salts which credential of the list signs.
func (x *SignInExtensions) saltsDiffer(list [][]byte) bool {
	return slices.ContainsFunc(list, func(id []byte) bool {
		return !slices.Equal(x.saltsOf(id), x.saltsOf(list[0]))
	})
}

func has(info *ctap.GetInfoResponse, extension string) bool {
	return slices.Contains(info.Extensions, extension)
}

// hasLargeBlobs reports whether the key keeps large blobs (CTAP 2.2 §12.3).
func hasLargeBlobs(info *ctap.GetInfoResponse) bool {
	return has(info, ctap.ExtensionLargeBlobKey) && info.Options[ctap.OptionLargeBlobs]
}

// verifies reports whether the key can verify a person now.
func verifies(info *ctap.GetInfoResponse) bool {
	return info.Options[ctap.OptionUV] || info.Options[ctap.OptionClientPIN]
}
