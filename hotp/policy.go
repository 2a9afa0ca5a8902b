package hotp

import (
	"errors"
	"fmt"
	"time"
)

// Policy has the rules of a verifier. All windows are in moving factors: time steps of TOTP, counters of HOTP.
type Policy struct {
	// Behind and Ahead are how far around the token's own time step a code of TOTP may lie (RFC 6238 §5.2). 0 to 100.
	Behind, Ahead int
	// MaxDrift is how far the clock of a token may be off in either direction, and so how far around the verifier's
	// own time step Resync and Enroll look for a pair of codes of TOTP (RFC 6238 §6). 0 to 10,000; 0: drift is not
	// followed.
	MaxDrift int
	// LookAhead is how far after the next counter a code of HOTP may lie (RFC 4226 §7.2). 0 to 100.
	LookAhead int
	// ResyncAhead is how far after the next counter the first of two codes of HOTP may lie (RFC 4226 §7.4). 0 to
	// 10,000.
	ResyncAhead int
	// Delay is for how long no attempt is looked at after one that failed; it doubles with each further one, up to
	// MaxDelay (RFC 4226 §7.3). A millisecond to 24 hours.
	Delay, MaxDelay time.Duration
	// MaxFailures is after how many failures in a row the token is locked. 1 to 100 (NIST SP 800-63B-4 §3.2.2).
	MaxFailures int
}

// DefaultPolicy is what RFC 6238 §5.2 recommends of windows, and what NIST SP 800-63B-4 §3.2.2 allows of failures.
// Its hundredth failure comes after 22 hours at the earliest.
var DefaultPolicy = Policy{
	Behind:      1,
	Ahead:       1,
	MaxDrift:    500, // four hours of 30 s
	LookAhead:   10,
	ResyncAhead: 1000,
	Delay:       time.Second,
	MaxDelay:    15 * time.Minute,
	MaxFailures: 100,
}

const (
	maxWindow   = 100
	maxResync   = 10_000
	maxDelay    = 24 * time.Hour
	maxFailures = 100
)

// PolicyError says which field of a policy can't be, and why.
type PolicyError struct{ Field, Problem string }

func (e *PolicyError) Error() string { return "policy: " + e.Field + " " + e.Problem }

// Valid tells whether attempts can be verified by the policy. The error is a *PolicyError.
func (p Policy) Valid() error {
	for _, window := range [...]struct {
		field      string
		value, max int
	}{
		{"Behind", p.Behind, maxWindow}, {"Ahead", p.Ahead, maxWindow}, {"LookAhead", p.LookAhead, maxWindow},
		{"MaxDrift", p.MaxDrift, maxResync}, {"ResyncAhead", p.ResyncAhead, maxResync},
	} {
		if window.value < 0 || window.value > window.max {
			return &PolicyError{window.field, fmt.Sprintf("must be 0 to %d, and not %d", window.max, window.value)}
		}
	}
	switch {
	case p.Delay < time.Millisecond || p.Delay > maxDelay:
		return &PolicyError{"Delay", fmt.Sprintf("must be 1ms to %v, and not %v", maxDelay, p.Delay)}
	case p.MaxDelay < p.Delay || p.MaxDelay > maxDelay:
		return &PolicyError{"MaxDelay", fmt.Sprintf("must be Delay to %v, and not %v", maxDelay, p.MaxDelay)}
	case p.MaxFailures < 1 || p.MaxFailures > maxFailures:
		return &PolicyError{"MaxFailures", fmt.Sprintf("must be 1 to %d, and not %d", maxFailures, p.MaxFailures)}
	}
	return nil
}

// ErrLocked says that no attempt is looked at until somebody unlocks the token (State.Unlock).
var ErrLocked = errors.New("the token is locked: an administrator must unlock it")

// ThrottledError says that an attempt came too early after one that failed. It was not looked at.
type ThrottledError struct {
	Failures uint32    // so far, in a row
	Until    time.Time // when the next attempt will be looked at
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("wrong codes in a row: %d; try again at %s", e.Failures, e.Until.UTC().Format(time.RFC3339))
}

// Admit tells whether an attempt would be looked at now: the error is nil, ErrLocked, a *ThrottledError, or says what
// is wrong with the policy, the state or the clock. Verify, Resync and Enroll begin with it; a program may ask before
// it asks the person for a code. The state differs from the given one when the clock was set back.
func (p Policy) Admit(s State, now time.Time) (State, error) {
	if err := p.Valid(); err != nil {
		return s, err
	}
	if s.Version > StateVersion {
		return s, &StateError{s.Version}
	}
	if err := validTime(now); err != nil {
		return s, err
	}
	if s.Locked || s.Failures >= uint32(p.MaxFailures) {
		return s, ErrLocked
	}
	return p.throttle(s, now)
}

// throttle refuses attempts while the delay after a failure lasts. When the clock says that the failure is yet to
// come, it was set back, nobody knows by how much, and the delay begins anew: it ends neither early nor as late as
// the clock once was.
func (p Policy) throttle(s State, now time.Time) (State, error) {
	if s.Failures == 0 {
		return s, nil
	}
	if s.FailedAt > now.UnixMilli() {
		s.FailedAt = now.UnixMilli()
		s = s.changed()
	}
	if until := time.UnixMilli(s.FailedAt).Add(p.delay(s.Failures)); until.After(now) {
		return s, &ThrottledError{s.Failures, until}
	}
	return s, nil
}

// delay is how long attempts are refused after so many failures.
func (p Policy) delay(failures uint32) time.Duration {
	d := p.Delay
	for ; failures > 1 && d < p.MaxDelay; failures-- {
		d *= 2
	}
	return min(d, p.MaxDelay)
}
