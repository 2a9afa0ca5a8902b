package hotp

import (
	"errors"
	"time"
)

// Why a pair of codes is not looked at. Neither counts as failure.
var (
	ErrSameCode = errors.New("both codes are the same: wait for another one, and give it as the second")
	ErrEnrolled = errors.New("the token is in use already: resynchronize it instead")
)

// Resync finds a token again whose clock or counter has gone out of the window, by two codes that follow each other
// (RFC 4226 §7.4, RFC 6238 §6). The second one must be of a step up to MaxDrift around that of the clock, or the
// first one of a counter up to ResyncAhead after the next one. Both are consumed, and the token's drift is known. It
// shares failures, delay and lock with Verify, whose contract it has otherwise.
//
// Codes that are the same are ErrSameCode: somebody gave one twice. Once in a million times the token did show the
// same code twice; then the next pair will do.
func (p Policy) Resync(of Parameters, seed Seed, s State, code1, code2 string, now time.Time) (State, error) {
	return p.attempt(of, seed, s, []string{code1, code2}, now)
}

// Enroll is Resync for a token that was never used: its owner proves to have it, and that it works here. Both codes
// are consumed. The zero State begins, or one with Next for a counter that does not begin at 0; attempts that fail
// change it, so that it must be stored already. A token that is in use is ErrEnrolled.
func (p Policy) Enroll(of Parameters, seed Seed, s State, code1, code2 string, now time.Time) (State, error) {
	if s.Used {
		return s, ErrEnrolled
	}
	return p.Resync(of, seed, s, code1, code2, now)
}
