package platform

import (
	"context"
	"errors"

	"fob/fido"
	"fob/fido/ctap"
)

// maxAssertions bounds what a key may make us collect.
const maxAssertions = 64

// GetAssertion gives an assertion for every credential that matches (§6.2, §6.3), and reads or writes large blobs.
func (k *Key) GetAssertion(ctx context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
	permissions := ctap.PermissionGetAssertion
	if r.WriteLargeBlob != nil {
		permissions |= ctap.PermissionLargeBlobWrite
	}
	s, err := k.begin(ctx, verification{r.UV, r.PIN, permissions, r.RPID}, r.Salts)
	if err != nil {
		return nil, err
	}
	defer s.end()
	found, err := k.assertions(ctx, s, r)
	if err != nil {
		return nil, err
	}
	list := make([]fido.GetAssertionResponse, len(found))
	for i := range found {
		defer clear(found[i].LargeBlobKey)
		if list[i], err = s.readAssertion(found[i], r); err != nil {
			return nil, err
		}
	}
	k.largeBlobs(ctx, s, r, found, list)
	return list, nil
}

// assertions asks for the first assertion and the others.
func (k *Key) assertions(ctx context.Context, s *session, r *fido.GetAssertionRequest) (
	[]ctap.GetAssertionResponse, error) {

	extensions := ctap.GetAssertionExtensionInputs{}
	yes := true
	if r.CredBlob {
		extensions.CredBlob = &yes
	}
	if r.ReadLargeBlob || r.WriteLargeBlob != nil {
		extensions.LargeBlobKey = &yes
	}
	var err error
	if extensions.HMACSecret, err = s.encrypt(r.Salts); err != nil {
		return nil, err
	}
	m := &ctap.GetAssertionRequest{
		RPID:           &r.RPID,
		ClientDataHash: r.ClientDataHash,
		AllowList:      descriptors(r.AllowList),
		Extensions:     ctap.EncodeExtensions(extensions),
		Options:        s.options(false, !r.Silent, r.UV),
	}
	m.PINUVAuthParam, m.PINUVAuthProtocol = s.authenticate(r.ClientDataHash)
	first, err := ask(ctx, k, m.Encode(), ctap.ParseGetAssertionResponse)
	if err != nil {
		return nil, err
	}
	if first.NumberOfCredentials > maxAssertions {
		return nil, ctap.ErrLimitExceeded
	}
	list := []ctap.GetAssertionResponse{*first}
	for uint(len(list)) < first.NumberOfCredentials {
		next, err := ask(ctx, k, []byte{byte(ctap.CommandGetNextAssertion)}, ctap.ParseGetAssertionResponse)
		if err != nil {
			return nil, err
		}
		list = append(list, *next)
	}
	return list, nil
}

// readAssertion takes from an answer what is for us. A key may leave the credential out when just one was allowed
// (§6.2.2 step 13).
func (s *session) readAssertion(got ctap.GetAssertionResponse, r *fido.GetAssertionRequest) (
	a fido.GetAssertionResponse, err error) {

	got.LargeBlobKey = nil
	if len(got.Credential.ID) == 0 && len(r.AllowList) == 1 {
		got.Credential = ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: r.AllowList[0]}
	}
	a.GetAssertionResponse = got
	out, err := outputs[ctap.GetAssertionExtensionOutputs](got.AuthData)
	if err != nil {
		return a, err
	}
	a.HMACSecret, err = s.decrypt(out.HMACSecret, r.Salts)
	return a, err
}

// largeBlobs reads or writes what r asks for. When that fails the assertions are good all the same.
func (k *Key) largeBlobs(ctx context.Context, s *session, r *fido.GetAssertionRequest, found []ctap.GetAssertionResponse,
	list []fido.GetAssertionResponse) {

	if !r.ReadLargeBlob && r.WriteLargeBlob == nil {
		return
	}
	array, _, err := k.readArray(ctx)
	if errors.Is(err, fido.ErrLargeBlobsCorrupt) {
		err = nil // it counts as empty (§6.10.2)
	}
	if err != nil {
		return
	}
	switch {
	case r.ReadLargeBlob:
		for i := range found {
			if len(found[i].LargeBlobKey) == ctap.LargeBlobKeyLength {
				list[i].LargeBlob, _ = array.find(found[i].LargeBlobKey)
			}
		}
	case len(found) == 1 && len(found[0].LargeBlobKey) == ctap.LargeBlobKeyLength:
		if array, err = array.with(found[0].LargeBlobKey, r.WriteLargeBlob); err == nil {
			err = k.writeArray(ctx, s, array)
		}
		list[0].LargeBlobWritten = err == nil
	}
}
