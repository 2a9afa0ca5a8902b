package fido

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"fob/fido/ctap"
)

// Requirement is how much a relying party wants a thing (WebAuthn §5.8.6, UserVerificationRequirement; §5.4.6,
// ResidentKeyRequirement). The zero value is Discouraged.
type Requirement int

const (
	Discouraged Requirement = iota
	Preferred
	Required
)

// Errors of user verification.
var (
	ErrNoUserVerification = errors.New("the key has neither a PIN nor a fingerprint set up")
	ErrPINChangeRequired  = errors.New("the key wants its PIN to be changed first")
)

// PINError is a PIN that the key refused. It unwraps to ctap.ErrPINInvalid, ErrPINAuthBlocked or ErrPINBlocked.
type PINError struct {
	Status  ctap.StatusCode
	Retries uint // attempts left
}

func (e *PINError) Error() string { return fmt.Sprintf("%v; %d attempts left", e.Status, e.Retries) }

// Unwrap gives the status code.
func (e *PINError) Unwrap() error { return e.Status }

// method is how the person is verified.
type method int

const (
	noVerification method = iota
	builtIn               // by the key itself: a fingerprint
	byPIN
	byNewPIN     // the key has none yet: the person chooses one
	byChangedPIN // the key wants another one first
)

// chooseMethod decides how to verify the person. forced is true when the key asks for verification whatever the
// relying party wants.
func chooseMethod(info *ctap.GetInfoResponse, want Requirement, forced bool) (method, error) {
	hasUV := info.Options[ctap.OptionUV]
	forced = forced || info.Options[ctap.OptionAlwaysUV]
	switch {
	case want == Discouraged && !forced:
		return noVerification, nil
	case hasUV:
		return builtIn, nil
	case info.Options[ctap.OptionClientPIN] && !fingersAlone(info):
		return pinMethod(info), nil
	case want != Required && !forced:
		return noVerification, nil
	case !takesPIN(info), fingersAlone(info):
		return noVerification, ErrNoUserVerification
	default:
		return byNewPIN, nil
	}
}

// pinMethod is how the person is verified with the PIN that the key has.
func pinMethod(info *ctap.GetInfoResponse) method {
	if info.ForcePINChange {
		return byChangedPIN
	}
	return byPIN
}

// fingersAlone reports whether the key's PIN is for managing it, and verifies nobody in a ceremony (CTAP 2.2 §6.4,
// noMcGaPermissionsWithClientPin).
func fingersAlone(info *ctap.GetInfoResponse) bool {
	return info.Options[ctap.OptionNoMcGaPermissionsWithClientPIN]
}

// takesPIN reports whether the key can have a PIN.
func takesPIN(info *ctap.GetInfoResponse) bool {
	_, can := info.Options[ctap.OptionClientPIN]
	return can
}

// ceremony is one operation on one key.
type ceremony struct {
	key     Authenticator
	device  DeviceInfo
	info    *ctap.GetInfoResponse
	prompt  Prompter
	several bool   // there are other keys that may serve
	misses  uint   // fingers that the key did not know
	lit     bool   // the person was told to touch the key
	told    func() // called when they are, or nil
	noPIN   bool   // the key's PIN does not verify the person for this
	fewer   bool   // somebody else has spent attempts while the person typed: each is one of the last
	spend   bool   // the person's PIN may cost one of the last attempts
	other   bool   // it goes on with another card than it began with
	making  bool   // a discoverable credential was asked for: it may be there, though no answer has come
}

// begin reads what the key can do.
func begin(ctx context.Context, key Authenticator, d DeviceInfo, p Prompter, several bool) (*ceremony, error) {
	info, err := answer(ctx, key.GetInfo)
	if err != nil {
		return nil, err
	}
	return &ceremony{key: key, device: d, info: info, prompt: p, several: several}, nil
}

// verified performs operation with the person verified by m: it asks for PINs until one is right, and falls back from
// the fingerprint to the PIN.
func (c *ceremony) verified(ctx context.Context, m method, do Action) error {
	wrong := false
	for {
		var err error
		tried := false
		switch m {
		case byPIN:
			tried, err = c.withPIN(ctx, wrong, do)
		case byNewPIN:
			err = c.withNewPIN(ctx, c.setPIN, ErrNoUserVerification, do)
		case byChangedPIN:
			err = c.withNewPIN(ctx, c.changePIN, ErrPINChangeRequired, do)
		case builtIn:
			err = c.withFinger(ctx, do)
		default:
			err = c.carryOut(ctx, do, TouchPrompt{}, nil)
		}
		var final *PINError
		switch fallback := c.hasPIN() && m < byPIN; {
		case errors.As(err, &final):
			return err
		case tried && isStatus(err, ctap.ErrPINInvalid):
			wrong = true
		case errors.Is(err, errFewerAttempts) && !c.fewer:
			c.fewer, wrong = true, false
		case isStatus(err, ctap.ErrUVInvalid) && c.misses < c.fingers():
		case fallback && isStatus(err, ctap.ErrPUATRequired, ctap.ErrUVBlocked, ctap.ErrUVInvalid):
			m = pinMethod(c.info)
		default:
			return c.pinError(ctx, err)
		}
	}
}

// hasPIN reports whether the key has a PIN that verifies the person.
func (c *ceremony) hasPIN() bool { return c.info.Options[ctap.OptionClientPIN] && !c.noPIN }

// carryOut does what the key allows to a person who was verified by pin, or will be by a finger.
func (c *ceremony) carryOut(ctx context.Context, do Action, p TouchPrompt, pin PIN) error {
	return c.prompting(ctx, p, func(ctx context.Context) error { return do(ctx, p.Finger, pin) })
}

// withFinger does what is to be done with a person whom the key verifies itself, and counts the fingers that it did not
// know. A key that takes no more fingers is not lit up.
func (c *ceremony) withFinger(ctx context.Context, do Action) error {
	p := TouchPrompt{Finger: true, Wrong: c.misses > 0}
	left, err := answer(ctx, c.key.UVRetries)
	var status ctap.StatusCode
	switch {
	case err == nil && left == 0:
		return ctap.ErrUVBlocked
	case err == nil:
		p.Retries = left
	case !errors.As(err, &status): // a key of CTAP 2.0 doesn't tell
		return err
	}
	err = c.carryOut(ctx, do, p, nil)
	if isStatus(err, ctap.ErrUVInvalid) {
		c.misses++
	}
	return err
}

// fingers is how often a finger is tried before the PIN, or at all where there is none.
func (c *ceremony) fingers() uint {
	const most, beforePIN = 25, 3 // as many attempts as a key may give (CTAP 2.2 §6.5.2.1)
	if !c.hasPIN() {
		return most
	}
	return min(cmp.Or(c.info.PreferredUVAttempts, beforePIN), most)
}

// withPIN asks for the PIN, does with it what is to be done, and wipes it. tried is true when it got so far: an error
// that speaks of the PIN before is not about what the person typed.
func (c *ceremony) withPIN(ctx context.Context, wrong bool, do Action) (tried bool, err error) {
	retries, err := answer(ctx, c.key.PINRetries)
	if isStatus(err, ctap.ErrPINInvalid, ctap.ErrPINAuthBlocked, ctap.ErrPINBlocked) { // nobody gave a PIN
		return false, fmt.Errorf("%w: %v", ErrBadAnswer, err)
	}
	if err != nil {
		return false, err
	}
	if retries.Left == 0 {
		return false, ctap.ErrPINBlocked
	}
	if retries.PowerCycle { // a PIN would be refused, right or wrong
		return false, &PINError{ctap.ErrPINAuthBlocked, retries.Left}
	}
	c.spend = c.fewer || retries.Left <= reservedAttempts
	pin, err := c.prompt.PIN(ctx, PINPrompt{
		Device: c.device, Retries: retries.Left, Wrong: wrong, Reserved: c.spend, Other: c.other})
	defer pin.Wipe()
	if errors.Is(err, ErrDeclined) && wrong {
		return false, &PINError{ctap.ErrPINInvalid, retries.Left} // what happened before is what the person should hear of
	}
	if err == nil {
		err = c.mayTry(ctx)
	}
	if err != nil {
		return false, err
	}
	return true, c.carryOut(ctx, do, TouchPrompt{}, pin)
}

// errFewerAttempts is a PIN that was typed when the key had more attempts left than it has now.
var errFewerAttempts = errors.New("only the last attempts are left since the PIN was asked for")

// mayTry finds out, right before a PIN is tried, whether the person's word is good for it: it takes minutes to type one, or
// to think of a new one, and other programs may have used the key meanwhile.
func (c *ceremony) mayTry(ctx context.Context) error {
	if c.spend {
		return nil
	}
	retries, err := answer(ctx, c.key.PINRetries)
	if err == nil && retries.Left <= reservedAttempts {
		return errFewerAttempts
	}
	return err
}

// pinError adds the attempts that are left to a status that speaks of the PIN.
func (c *ceremony) pinError(ctx context.Context, err error) error {
	e := &PINError{}
	if errors.As(err, new(*PINError)) || !isStatus(err, ctap.ErrPINInvalid, ctap.ErrPINAuthBlocked, ctap.ErrPINBlocked) {
		return err
	}
	errors.As(err, &e.Status)
	if retries, err := answer(ctx, c.key.PINRetries); err == nil {
		e.Retries = retries.Left
	}
	return e
}

// isStatus reports whether err unwraps to one of codes.
func isStatus(err error, codes ...ctap.StatusCode) bool {
	for _, code := range codes {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
