package libfido2

// #include <stdlib.h>
// #include "fob.h"
import "C"

import (
	"context"

	"github.com/fxamacker/cbor/v2"

	"fob/fido"
	"fob/fido/ctap"
)

// MakeCredential makes a credential (CTAP 2.2 §6.1).
func (d *Device) MakeCredential(
	ctx context.Context, r *fido.MakeCredentialRequest,
) (*fido.MakeCredentialResponse, error) {
	if d.u2f {
		var err error
		if r, err = registerByU2F(r); err != nil {
			return nil, err
		}
	}
	if d.beyondCredential(r) {
		key, err := d.platform(ctx)
		if err != nil {
			return nil, err
		}
		return key.MakeCredential(ctx, r)
	}
	cred := C.fido_cred_new()
	if cred == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_cred_free(&cred)
	if err := fillCredential(cred, r); err != nil {
		return nil, err
	}
	pin, err := copyPIN(r.PIN)
	if err != nil {
		return nil, err
	}
	defer C.fob_pin_free(pin)
	if err := d.ceremony(ctx, func() C.int { return C.fob_make_cred(d.dev, cred, pin) }); err != nil {
		return nil, err
	}
	return d.readCredential(cred, r)
}

// readCredential copies what the key gave.
func (d *Device) readCredential(
	cred *C.fido_cred_t, r *fido.MakeCredentialRequest,
) (*fido.MakeCredentialResponse, error) {
	attStmt, err := canonical(goBytes(C.fido_cred_attstmt_ptr(cred), C.fido_cred_attstmt_len(cred)))
	if err == nil && d.u2f {
		attStmt, err = u2fStatement(attStmt)
	}
	if err != nil {
		return nil, err
	}
	return &fido.MakeCredentialResponse{
		MakeCredentialResponse: ctap.MakeCredentialResponse{
			Format:   C.GoString(C.fido_cred_fmt(cred)),
			AuthData: goBytes(C.fido_cred_authdata_raw_ptr(cred), C.fido_cred_authdata_raw_len(cred)),
			AttStmt:  attStmt,
		},
		LargeBlob: ctap.True(r.Extensions.LargeBlobKey) && C.fido_cred_largeblob_key_len(cred) == ctap.LargeBlobKeyLength,
	}, nil
}

func fillCredential(cred *C.fido_cred_t, r *fido.MakeCredentialRequest) error {
	if len(r.ClientDataHash) == 0 || len(r.User.ID) == 0 {
		return ctap.ErrMissingParameter
	}
	if r.Algorithm == 0 {
		return ctap.ErrUnsupportedAlgorithm
	}
	var s cStrings
	defer s.free()
	rpID, rpName := s.add(r.RP.ID), s.add(r.RP.Name)
	user, display := s.add(r.User.Name), s.add(r.User.DisplayName)
	if s.bad || rpID == nil {
		return ctap.ErrInvalidParameter
	}
	if C.fido_cred_set_type(cred, C.int(r.Algorithm)) != C.FIDO_OK {
		return ctap.ErrUnsupportedAlgorithm
	}
	hash, id := r.ClientDataHash, r.User.ID
	codes := []C.int{
		C.fido_cred_set_clientdata_hash(cred, uchars(hash), C.size_t(len(hash))),
		C.fido_cred_set_rp(cred, rpID, rpName),
		C.fido_cred_set_user(cred, uchars(id), C.size_t(len(id)), user, display, nil),
	}
	for _, id := range distinct(r.ExcludeList) {
		codes = append(codes, C.fido_cred_exclude(cred, uchars(id), C.size_t(len(id))))
	}
	if r.RK {
		codes = append(codes, C.fido_cred_set_rk(cred, C.FIDO_OPT_TRUE))
	}
	if r.UV {
		codes = append(codes, C.fido_cred_set_uv(cred, C.FIDO_OPT_TRUE))
	}
	return firstFailure(append(codes, fillExtensions(cred, &r.Extensions)...))
}

// fillExtensions asks for extensions. Each of the calls adds to those that were asked for before.
func fillExtensions(cred *C.fido_cred_t, x *ctap.MakeCredentialExtensionInputs) (codes []C.int) {
	mask := C.int(0)
	if ctap.True(x.HMACSecret) {
		mask |= C.FIDO_EXT_HMAC_SECRET
	}
	if ctap.True(x.LargeBlobKey) {
		mask |= C.FIDO_EXT_LARGEBLOB_KEY
	}
	if mask != 0 {
		codes = append(codes, C.fido_cred_set_extensions(cred, mask))
	}
	if x.CredProtect != 0 {
		codes = append(codes, C.fido_cred_set_prot(cred, C.int(x.CredProtect)))
	}
	if len(x.CredBlob) > 0 {
		codes = append(codes, C.fido_cred_set_blob(cred, uchars(x.CredBlob), C.size_t(len(x.CredBlob))))
	}
	if ctap.True(x.MinPINLength) {
		codes = append(codes, C.fido_cred_set_pin_minlen(cred, 1)) // any length: the request just asks
	}
	return codes
}

// canonical gives an attestation statement in the CTAP2 canonical encoding form, which it should have had when it came
// from the key. No signature covers the encoding. One that is missing is the empty map of the format "none".
func canonical(attStmt []byte) (ctap.RawMessage, error) {
	const majorMap = 5
	if len(attStmt) == 0 {
		return ctap.RawMessage{majorMap << 5}, nil
	}
	if attStmt[0]>>5 == majorMap && ctap.CheckCanonical(attStmt) == nil {
		return attStmt, nil
	}
	var v map[string]any
	if cbor.Unmarshal(attStmt, &v) != nil {
		return nil, ctap.ErrInvalidCBOR
	}
	b, err := ctap.Marshal(v)
	if err != nil || ctap.CheckCanonical(b) != nil {
		return nil, ctap.ErrInvalidCBOR
	}
	return b, nil
}
