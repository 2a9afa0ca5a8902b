package libfido2

// #include "fob.h"
import "C"

import (
	"context"
	"math"
	"slices"
	"unsafe"

	"fob/fido/ctap"
)

// GetInfo asks what the key can do (CTAP 2.2 §6.4). libfido2 leaves out members that it doesn't know, but takes what a
// careless key encodes, in other forms than the canonical one: then better a part than nothing.
func (d *Device) GetInfo(ctx context.Context) (*ctap.GetInfoResponse, error) {
	if d.u2f {
		return u2fInfo(), d.inTurn(ctx, func() error { return nil })
	}
	parameters, err := d.freshInfo(ctx)
	if err != nil && !d.overNFC() {
		return nil, err
	}
	if info, err := ctap.ParseGetInfoResponse(parameters); err == nil {
		d.stranger.Store(slices.ContainsFunc(info.Algorithms, unknownAlgorithm))
		return within(info), nil
	}
	info := C.fido_cbor_info_new()
	if info == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	defer C.fido_cbor_info_free(&info)
	if err := d.do(ctx, func() C.int { return C.fob_get_info(d.dev, info) }); err != nil {
		return nil, err
	}
	return readInfo(info), nil
}

// within keeps numbers that a key chose in the range that all who read them can hold.
func within(r *ctap.GetInfoResponse) *ctap.GetInfoResponse {
	for _, n := range []*uint{
		&r.MaxMsgSize, &r.MaxCredentialCountInList, &r.MaxCredentialIDLength, &r.MaxLargeBlobArray, &r.MinPINLength,
		&r.FirmwareVersion, &r.MaxCredBlobLength, &r.MaxMinPINLengthRPIDs, &r.PreferredUVAttempts, &r.UVModality,
		r.RemainingDiscoverable, r.UVCountSinceLastPINEntry, &r.MaxPINLength,
	} {
		if n != nil {
			*n = min(*n, math.MaxInt32)
		}
	}
	for name, level := range r.Certifications {
		r.Certifications[name] = min(level, math.MaxInt32)
	}
	return r
}

// readInfo copies what the key said of itself, as far as libfido2 tells it.
func readInfo(info *C.fido_cbor_info_t) *ctap.GetInfoResponse {
	r := &ctap.GetInfoResponse{
		Versions:                 goTexts(C.fido_cbor_info_versions_ptr(info), C.fido_cbor_info_versions_len(info)),
		Extensions:               goTexts(C.fido_cbor_info_extensions_ptr(info), C.fido_cbor_info_extensions_len(info)),
		Options:                  readOptions(info),
		MaxMsgSize:               goUint(C.fido_cbor_info_maxmsgsiz(info)),
		MaxCredentialCountInList: goUint(C.fido_cbor_info_maxcredcntlst(info)),
		MaxCredentialIDLength:    goUint(C.fido_cbor_info_maxcredidlen(info)),
		Transports:               goTexts(C.fido_cbor_info_transports_ptr(info), C.fido_cbor_info_transports_len(info)),
		Algorithms:               readAlgorithms(info),
		ForcePINChange:           bool(C.fido_cbor_info_new_pin_required(info)),
		MinPINLength:             goUint(C.fido_cbor_info_minpinlen(info)),
		FirmwareVersion:          goUint(C.fido_cbor_info_fwversion(info)),
		MaxLargeBlobArray:        goUint(C.fido_cbor_info_maxlargeblob(info)),
		MaxCredBlobLength:        goUint(C.fido_cbor_info_maxcredbloblen(info)),
		MaxMinPINLengthRPIDs:     goUint(C.fido_cbor_info_maxrpid_minpinlen(info)),
	}
	copy(r.AAGUID[:], goBytes(C.fido_cbor_info_aaguid_ptr(info), C.fido_cbor_info_aaguid_len(info)))
	for _, p := range goBytes(C.fido_cbor_info_protocols_ptr(info), C.fido_cbor_info_protocols_len(info)) {
		r.PINUVAuthProtocols = append(r.PINUVAuthProtocols, ctap.PINProtocol(p))
	}
	if n := C.fido_cbor_info_rk_remaining(info); n >= 0 { // -1: the key doesn't say
		remaining := goUint(C.uint64_t(n))
		r.RemainingDiscoverable = &remaining
	}
	return r
}

func readOptions(info *C.fido_cbor_info_t) map[string]bool {
	n := C.fido_cbor_info_options_len(info)
	names := goTexts(C.fido_cbor_info_options_name_ptr(info), n)
	if len(names) == 0 {
		return nil
	}
	values := unsafe.Slice(C.fido_cbor_info_options_value_ptr(info), n)
	options := make(map[string]bool, n)
	for i, name := range names {
		options[name] = bool(values[i])
	}
	return options
}

func readAlgorithms(info *C.fido_cbor_info_t) (list []ctap.PublicKeyCredentialParameters) {
	for i := range C.fido_cbor_info_algorithm_count(info) {
		list = append(list, ctap.PublicKeyCredentialParameters{
			Type: goText(C.fido_cbor_info_algorithm_type(info, i)),
			Alg:  ctap.Algorithm(C.fido_cbor_info_algorithm_cose(info, i)),
		})
	}
	return list
}

// goUint keeps a number that a key chose in the range that CBOR and all who read it can hold.
func goUint(n C.uint64_t) uint { return uint(min(n, math.MaxInt32)) }
