package libfido2

import (
	"context"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/platform"
)

// platform is our own half of CTAP2, for what libfido2 has no word for. There is none for the kernel's NFC devices, which
// are asked for less.
func (d *Device) platform(ctx context.Context) (*platform.Key, error) {
	info, err := d.GetInfo(ctx)
	if err != nil {
		return nil, err
	}
	return &platform.Key{Info: info, Exchange: func(ctx context.Context, request []byte) ([]byte, error) {
		return d.exchange(ctx, nil, request)
	}}, nil
}

// beyondCredential reports whether libfido2 can't ask for such a credential.
func (d *Device) beyondCredential(r *fido.MakeCredentialRequest) bool {
	switch r.Algorithm {
	case 0, ctap.ES256, ctap.EdDSA, ctap.ES384, ctap.RS256:
		return d.link != nil && (r.Salts != nil || r.EnterpriseAttestation != 0)
	}
	return d.link != nil
}

// beyondAssertion reports whether libfido2 can't do what is asked with an assertion: it takes no large blob that is short,
// and another token than that of the assertion for it, which would want another fingerprint.
func (d *Device) beyondAssertion(r *fido.GetAssertionRequest) bool {
	return d.link != nil && (r.ReadLargeBlob || r.WriteLargeBlob != nil)
}
