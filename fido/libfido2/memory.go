package libfido2

// #include <stdlib.h>
// #include "fob.h"
import "C"

import (
	"bytes"
	"slices"
	"strings"
	"unsafe"

	"fob/fido"
	"fob/fido/ctap"
)

// copyPIN copies a PIN to C's memory, nil for none. The caller frees it with fob_pin_free, which wipes it.
func copyPIN(pin fido.PIN) (*C.char, error) {
	if pin == nil {
		return nil, nil
	}
	if len(pin) == 0 || len(pin) > fido.MaxPINLength || bytes.IndexByte(pin, 0) >= 0 {
		return nil, ctap.ErrPINPolicyViolation
	}
	p := C.fob_pin_new()
	if p == nil {
		return nil, fail(C.FIDO_ERR_INTERNAL)
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(p)), C.FOB_PIN_SIZE), pin)
	return p, nil
}

// cStrings are copies of strings in C's memory.
type cStrings struct {
	list []*C.char
	bad  bool // one had a NUL byte, where C would end it
}

// add gives a copy of v, nil when it is empty.
func (s *cStrings) add(v string) *C.char {
	if strings.IndexByte(v, 0) >= 0 {
		s.bad = true
	}
	if v == "" || s.bad {
		return nil
	}
	p := C.CString(v)
	s.list = append(s.list, p)
	return p
}

func (s *cStrings) free() {
	for _, p := range s.list {
		C.free(unsafe.Pointer(p))
	}
}

// uchars passes b to a call that copies it.
func uchars(b []byte) *C.uchar { return (*C.uchar)(unsafe.SliceData(b)) }

// goBytes copies what C owns, nil when there is nothing.
func goBytes(p *C.uchar, n C.size_t) []byte {
	if p == nil || n == 0 {
		return nil
	}
	return bytes.Clone(unsafe.Slice((*byte)(p), n))
}

// goText copies text that a key chose. Two bytes that are no UTF-8 must not spoil a whole message.
func goText(p *C.char) string { return strings.ToValidUTF8(C.GoString(p), "") }

func goTexts(p **C.char, n C.size_t) (list []string) {
	if p == nil {
		return nil
	}
	for _, s := range unsafe.Slice(p, n) {
		list = append(list, goText(s))
	}
	return list
}

// distinct drops repeated credential IDs, which libfido2 and some keys refuse.
func distinct(ids [][]byte) (list [][]byte) {
	for _, id := range ids {
		if !slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(id, other) }) {
			list = append(list, id)
		}
	}
	return list
}

// firstFailure gives the first code that is not FIDO_OK. What they come from only stores parameters.
func firstFailure(codes []C.int) error {
	for _, r := range codes {
		if r != C.FIDO_OK {
			return fail(r)
		}
	}
	return nil
}
