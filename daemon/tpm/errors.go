package tpm

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"
)

// Errors of a TPM. They tell what to do.
var (
	ErrAbsent      = errors.New("there is no TPM that fob can use")
	ErrDenied      = errors.New("the TPM is not ours to open: join the group tss (sudo usermod -aG tss $USER)")
	ErrBusy        = errors.New("another program uses the TPM: wait until it is done")
	ErrFailed      = errors.New("the TPM does not answer as it should: restart the computer")
	ErrOwner       = errors.New("the TPM's owner has a password, or it is off: have a storage root key made at 0x81000001")
	ErrCleared     = errors.New("the TPM was cleared, or it is another one: what it kept is lost, but for a backup")
	ErrForeign     = errors.New("it was wrapped to another TPM: have it wrapped to what 'fob tpm srk' prints here")
	ErrPCR         = errors.New("the computer has not started as it did before (PCRs): start it so, or use a backup")
	ErrPIN         = errors.New("the PIN is wrong")
	ErrPINNeeded   = errors.New("a PIN is needed")
	ErrPINUnfit    = fmt.Errorf("a PIN has %d to %d bytes, and none of them is zero", MinPIN, MaxPIN)
	ErrLockedOut   = errors.New("the TPM is locked after too many wrong PINs: wait")
	ErrUnsupported = errors.New("this TPM does not do that")
	ErrUnfit       = errors.New("no key for this")
	ErrInvalid     = errors.New("not an object of a TPM, or a damaged one")
)

// Error is an error with what the TPM or the system says of it. It unwraps to one of the errors of this package, and to
// that.
type Error struct {
	Kind   error  // one of this package
	Detail string // may be empty
	Err    error  // a tpm2.TPMRC where the TPM said it; may be nil
}

func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// PINError says that a PIN was wrong. It unwraps to ErrPIN.
type PINError struct {
	Left int // wrong PINs until the TPM locks itself, of all that it keeps; negative where it does not say
}

func (e *PINError) Error() string {
	if e.Left < 0 {
		return ErrPIN.Error()
	}
	return fmt.Sprintf("%v: the TPM locks itself after %d more", ErrPIN, e.Left)
}

// Unwrap gives ErrPIN.
func (e *PINError) Unwrap() error { return ErrPIN }

// LockedOutError says that the TPM takes no PINs. It unwraps to ErrLockedOut.
type LockedOutError struct {
	Interval time.Duration // in which the TPM forgets a wrong PIN; 0 where it does not say
}

func (e *LockedOutError) Error() string {
	if e.Interval <= 0 {
		return ErrLockedOut.Error()
	}
	return fmt.Sprintf("%v; it forgets a wrong PIN every %v while the computer is on", ErrLockedOut, e.Interval)
}

// Unwrap gives ErrLockedOut.
func (e *LockedOutError) Unwrap() error { return ErrLockedOut }

// kinds are what codes of a TPM mean wherever they come (part 2, "TPM_RC values").
var kinds = map[tpm2.TPMRC]error{
	tpm2.TPMRCRetry:         ErrBusy,
	tpm2.TPMRCYielded:       ErrBusy,
	tpm2.TPMRCTesting:       ErrBusy,
	tpm2.TPMRCNVRate:        ErrBusy,
	tpm2.TPMRCObjectMemory:  ErrBusy, // others have filled it; the resource manager makes room
	tpm2.TPMRCSessionMemory: ErrBusy,
	tpm2.TPMRCHash:          ErrUnsupported,
	tpm2.TPMRCScheme:        ErrUnsupported,
	tpm2.TPMRCCurve:         ErrUnsupported,
	tpm2.TPMRCCommandCode:   ErrUnsupported,
	tpm2.TPMRCPolicyFail:    ErrPCR,
	tpm2.TPMRCPCRChanged:    ErrPCR,
	tpm2.TPMRCLockout:       ErrLockedOut,
}

// typed gives an error of go-tpm, or of the port, a kind.
func typed(err error) error {
	var ours *Error
	var code tpm2.TPMRC
	switch {
	case err == nil, errors.As(err, &ours), isOurs(err):
		return err
	case !errors.As(err, &code):
		return &Error{Kind: ErrFailed, Err: err}
	}
	for known, kind := range kinds {
		if code.Is(known) {
			return &Error{Kind: kind, Err: code}
		}
	}
	return &Error{Kind: ErrFailed, Err: code}
}

func isOurs(err error) bool {
	for _, kind := range []error{ErrPIN, ErrPINNeeded, ErrPINUnfit, ErrLockedOut, ErrUnsupported, ErrUnfit, ErrInvalid,
		ErrCleared, ErrForeign, ErrAbsent} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// pinError tells of a wrong PIN, or of the TPM that takes none, how it goes on. Other errors stay.
func (c *conn) pinError(err error) error {
	switch {
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth):
		left := -1
		if most, ok := c.property(tpm2.TPMPTMaxAuthFail); ok {
			if failed, ok := c.property(tpm2.TPMPTLockoutCounter); ok {
				left = max(0, int(most)-int(failed))
			}
		}
		return &PINError{Left: left}
	case errors.Is(err, tpm2.TPMRCLockout):
		seconds, _ := c.property(tpm2.TPMPTLockoutInterval)
		return &LockedOutError{Interval: time.Duration(seconds) * time.Second}
	}
	return err
}

// property asks the TPM for a property of itself (part 2, "TPM_PT").
func (c *conn) property(p tpm2.TPMPT) (uint32, bool) {
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(p), PropertyCount: 1}.Execute(c)
	if err != nil {
		return 0, false
	}
	list, err := r.CapabilityData.Data.TPMProperties()
	if err != nil || len(list.TPMProperty) != 1 || list.TPMProperty[0].Property != p {
		return 0, false
	}
	return list.TPMProperty[0].Value, true
}
