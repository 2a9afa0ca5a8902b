package libfido2

import (
	"context"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/platform"
)

// platform is our own half of CTAP2, for what libfido2 has no word for. There is none for the kernel's NFC devices,
// which are asked for less.
func (d *Device) platform(ctx context.Context) (*platform.Key, error) {
	info, err := d.GetInfo(ctx)
	if err != nil {
		return nil, err
	}
	return &platform.Key{Info: info, Exchange: d.exchange}, nil
}

// beyondCredential reports whether libfido2 can't ask for such a credential.
func (d *Device) beyondCredential(r *fido.MakeCredentialRequest) bool {
	unknown := r.Algorithm != 0 && unknownAlgorithm(ctap.PublicKeyCredentialParameters{Alg: r.Algorithm})
	return !d.overNFC() && (unknown || r.Salts != nil || r.EnterpriseAttestation != 0)
}

// unknownAlgorithm reports whether libfido2 does not know an algorithm.
func unknownAlgorithm(p ctap.PublicKeyCredentialParameters) bool {
	switch p.Alg {
	case ctap.ES256, ctap.EdDSA, ctap.ES384, ctap.RS256:
		return false
	}
	return true
}

// beyondAssertion reports whether libfido2 can't do what is asked with an assertion: it takes no large blob that is
// short, and another token than that of the assertion for it, which would want another fingerprint. Of answers it takes
// 2 KB, and a signature of an algorithm that it doesn't know may be longer.
func (d *Device) beyondAssertion(r *fido.GetAssertionRequest) bool {
	return !d.overNFC() && (r.ReadLargeBlob || r.WriteLargeBlob != nil || d.stranger.Load())
}
