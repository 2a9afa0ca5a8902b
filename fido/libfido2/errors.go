package libfido2

// #include "fob.h"
import "C"

import (
	"fmt"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// explain turns a code of libfido2 into an error, where no message to or from the key has failed. Then what libfido2
// makes of an answer is all that there is to say: FIDO_ERR_RX and FIDO_ERR_INTERNAL mean that it could not use it, or
// that it hides the status which was in it.
func (l *link) explain(r C.int) error {
	hidden := r == C.FIDO_ERR_RX || r == C.FIDO_ERR_INTERNAL
	switch {
	case hidden && l.command == ctaphid.CommandCBOR && len(l.answer) > 0 && status(l.answer) != nil:
		return because(status(l.answer), r)
	case hidden && l.command == ctaphid.CommandMsg && len(l.answer) > 0:
		return because(u2fError(u2fStatus(l.answer)), r)
	case hidden && len(l.answer) > 0:
		return because(fido.ErrBadAnswer, r)
	}
	return fail(r)
}

// internal maps libfido2's own codes, which are negative.
var internal = map[C.int]error{
	C.FIDO_ERR_RX_NOT_CBOR:            fido.ErrBadAnswer,
	C.FIDO_ERR_RX_INVALID_CBOR:        fido.ErrBadAnswer,
	C.FIDO_ERR_INVALID_PARAM:          ctap.ErrInvalidParameter,
	C.FIDO_ERR_INVALID_ARGUMENT:       ctap.ErrInvalidParameter,
	C.FIDO_ERR_INVALID_SIG:            ctap.ErrIntegrityFailure,
	C.FIDO_ERR_USER_PRESENCE_REQUIRED: ctap.ErrUPRequired,
	C.FIDO_ERR_NOTFOUND:               ctap.ErrNoCredentials,
}

func fail(r C.int) error {
	if r == C.FIDO_ERR_CHANNEL_BUSY { // of a card: a key says so by CTAPHID_ERROR
		return because(fido.ErrDeviceBusy, r)
	}
	if r > 0 && r <= 0xff {
		return ctap.StatusCode(r)
	}
	if err, ok := internal[r]; ok {
		return because(err, r)
	}
	return because(ctap.ErrOther, r)
}

func because(err error, r C.int) error {
	return fmt.Errorf("%w (%s)", err, C.GoString(C.fido_strerr(r)))
}
