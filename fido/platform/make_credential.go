package platform

import (
	"context"
	"fmt"

	"fob/fido"
	"fob/fido/ctap"
)

// MakeCredential makes a credential (§6.1).
func (k *Key) MakeCredential(ctx context.Context, r *fido.MakeCredentialRequest) (*fido.MakeCredentialResponse, error) {
	s, err := k.begin(ctx, verification{r.UV, r.PIN, ctap.PermissionMakeCredential, r.RP.ID}, r.Salts)
	if err != nil {
		return nil, err
	}
	defer s.end()
	extensions := r.Extensions
	if extensions.HMACSecretMC, err = s.encrypt(r.Salts); err != nil {
		return nil, err
	}
	m := &ctap.MakeCredentialRequest{
		ClientDataHash:   r.ClientDataHash,
		RP:               &r.RP,
		User:             &r.User,
		PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: r.Algorithm}},
		ExcludeList:      descriptors(r.ExcludeList),
		Extensions:       ctap.EncodeExtensions(extensions),
		Options:          s.options(r.RK, true, r.UV),
	}
	m.PINUVAuthParam, m.PINUVAuthProtocol = s.authenticate(r.ClientDataHash)
	if r.EnterpriseAttestation != 0 {
		m.EnterpriseAttestation = &r.EnterpriseAttestation
	}
	got, err := ask(ctx, k, m.Encode(), ctap.ParseMakeCredentialResponse)
	if err != nil {
		return nil, err
	}
	return s.readCredential(got, r)
}

// readCredential takes from the answer what is for us, and not for those behind us.
func (s *session) readCredential(got *ctap.MakeCredentialResponse, r *fido.MakeCredentialRequest) (
	made *fido.MakeCredentialResponse, err error) {

	made = &fido.MakeCredentialResponse{}
	made.LargeBlob = ctap.True(r.Extensions.LargeBlobKey) && len(got.LargeBlobKey) == ctap.LargeBlobKeyLength
	clear(got.LargeBlobKey)
	got.LargeBlobKey = nil
	made.MakeCredentialResponse = *got
	out, err := outputs[ctap.MakeCredentialExtensionOutputs](got.AuthData)
	if err != nil {
		return nil, err
	}
	made.HMACSecret, err = s.decrypt(out.HMACSecretMC, r.Salts)
	return made, err
}

// outputs gives the extension outputs in authenticator data.
func outputs[T ctap.MakeCredentialExtensionOutputs | ctap.GetAssertionExtensionOutputs](authData []byte) (*T, error) {
	data, err := ctap.ParseAuthenticatorData(authData)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fido.ErrBadAnswer, err)
	}
	out, err := ctap.ExtensionOutputs[T](data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fido.ErrBadAnswer, err)
	}
	return out, nil
}

func descriptors(ids [][]byte) (list []ctap.PublicKeyCredentialDescriptor) {
	for _, id := range ids {
		list = append(list, ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: id})
	}
	return list
}
