package libfido2

// #include <stdlib.h>
// #include "fob.h"
import "C"

import (
	"context"
	"fmt"

	"fob/fido"
	"fob/fido/ctap"
)

// maxAssertions bounds what a key may make us collect.
const maxAssertions = 64

// GetAssertion gives an assertion for every credential that matches (CTAP 2.2 §6.2, §6.3).
func (d *Device) GetAssertion(ctx context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
	if d.u2f {
		var found []fido.GetAssertionResponse
		var err error
		if r, found, err = d.signInByU2F(ctx, r); r == nil {
			return found, err
		}
	}
	if d.beyondAssertion(r) {
		key, err := d.platform(ctx)
		if err != nil {
			return nil, err
		}
		return key.GetAssertion(ctx, r)
	}
	assertion := C.fido_assert_new()
	if assertion == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_assert_free(&assertion)
	allowed := distinct(r.AllowList)
	if err := fillAssertion(assertion, r, allowed); err != nil {
		return nil, err
	}
	pin, err := copyPIN(r.PIN)
	if err != nil {
		return nil, err
	}
	defer C.fob_pin_free(pin)
	if err := d.ceremony(ctx, func() C.int { return C.fob_get_assert(d.dev, assertion, pin) }); err != nil {
		return nil, err
	}
	return readAssertions(assertion, r, allowed)
}

// readAssertions copies what the key gave.
func readAssertions(
	assertion *C.fido_assert_t, r *fido.GetAssertionRequest, allowed [][]byte,
) (list []fido.GetAssertionResponse, err error) {
	n := C.fido_assert_count(assertion)
	if n > maxAssertions {
		return nil, ctap.ErrLimitExceeded
	}
	list = make([]fido.GetAssertionResponse, n)
	for i := range list {
		if list[i].GetAssertionResponse, err = readAssertion(assertion, C.size_t(i), allowed); err != nil {
			return nil, err
		}
		if r.Salts == nil {
			continue
		}
		list[i].HMACSecret = goBytes(
			C.fido_assert_hmac_secret_ptr(assertion, C.size_t(i)), C.fido_assert_hmac_secret_len(assertion, C.size_t(i)))
		if n := len(list[i].HMACSecret); n != 0 && n != len(r.Salts) { // libfido2 does not compare
			return nil, fmt.Errorf("%w: hmac-secret of %d bytes", fido.ErrBadAnswer, n)
		}
	}
	return list, nil
}

func fillAssertion(assertion *C.fido_assert_t, r *fido.GetAssertionRequest, allowed [][]byte) error {
	if len(r.ClientDataHash) == 0 {
		return ctap.ErrMissingParameter
	}
	var s cStrings
	defer s.free()
	rpID := s.add(r.RPID)
	if s.bad || rpID == nil {
		return ctap.ErrInvalidParameter
	}
	hash := r.ClientDataHash
	codes := []C.int{
		C.fido_assert_set_rp(assertion, rpID),
		C.fido_assert_set_clientdata_hash(assertion, uchars(hash), C.size_t(len(hash))),
	}
	for _, id := range allowed {
		codes = append(codes, C.fido_assert_allow_cred(assertion, uchars(id), C.size_t(len(id))))
	}
	if r.Silent {
		codes = append(codes, C.fido_assert_set_up(assertion, C.FIDO_OPT_FALSE))
	}
	if r.UV {
		codes = append(codes, C.fido_assert_set_uv(assertion, C.FIDO_OPT_TRUE))
	}
	mask := C.int(0)
	if r.CredBlob {
		mask |= C.FIDO_EXT_CRED_BLOB
	}
	if r.Salts != nil {
		mask |= C.FIDO_EXT_HMAC_SECRET
		codes = append(codes, C.fido_assert_set_hmac_salt(assertion, uchars(r.Salts), C.size_t(len(r.Salts))))
	}
	if mask != 0 {
		codes = append(codes, C.fido_assert_set_extensions(assertion, mask))
	}
	return firstFailure(codes)
}

// readAssertion copies assertion i. A key may leave the credential out when just one was allowed (§6.2.2 step 13).
func readAssertion(a *C.fido_assert_t, i C.size_t, allowed [][]byte) (r ctap.GetAssertionResponse, err error) {
	r.Credential.Type = ctap.TypePublicKey
	r.Credential.ID = goBytes(C.fido_assert_id_ptr(a, i), C.fido_assert_id_len(a, i))
	if len(r.Credential.ID) == 0 && len(allowed) == 1 {
		r.Credential.ID = allowed[0]
	}
	wrapped := goBytes(C.fido_assert_authdata_ptr(a, i), C.fido_assert_authdata_len(a, i)) // in a CBOR byte string
	if err := ctap.Unmarshal(wrapped, &r.AuthData); err != nil {
		return r, err
	}
	r.Signature = goBytes(C.fido_assert_sig_ptr(a, i), C.fido_assert_sig_len(a, i))
	if id := goBytes(C.fido_assert_user_id_ptr(a, i), C.fido_assert_user_id_len(a, i)); len(id) > 0 {
		r.User = &ctap.PublicKeyCredentialUserEntity{
			ID:          id,
			Name:        goText(C.fido_assert_user_name(a, i)),
			DisplayName: goText(C.fido_assert_user_display_name(a, i)),
		}
	}
	return r, nil
}
