package hotp

import (
	"fmt"
	"time"
)

// Type is how the moving factor of a token moves.
type Type uint8

// The types: OATH's two. The zero value is none of them.
const (
	HOTP Type = 1 + iota // by one with each code (RFC 4226)
	TOTP                 // with the clock (RFC 6238)
)

// String gives the name as otpauth URIs have it.
func (t Type) String() string {
	switch t {
	case HOTP:
		return "hotp"
	case TOTP:
		return "totp"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Algorithm is the hash function of a token's HMAC (RFC 6238 §1.2).
type Algorithm uint8

// The algorithms. The zero value is none of them.
const (
	SHA1 Algorithm = 1 + iota
	SHA256
	SHA512
)

// String gives the name as otpauth URIs have it.
func (a Algorithm) String() string {
	switch a {
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	case SHA512:
		return "SHA512"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// Size is the length of the hash in bytes, which is also how long a seed should be (RFC 4226 §4 R6, RFC 6238 §5.1).
func (a Algorithm) Size() int {
	switch a {
	case SHA1:
		return 20
	case SHA256:
		return 32
	case SHA512:
		return 64
	}
	return 0
}

// What parameters may be.
const (
	MinDigits = 6            // RFC 4226 §4 R4
	MaxDigits = 10           // what 31 bits give (RFC 4226 §5.3); the first of ten digits is 0, 1 or 2
	MinPeriod = 1            // second
	MaxPeriod = 24 * 60 * 60 // seconds; longer than any token in use
	maxTime   = 253402300799 // the last second of the year 9999
	minTime   = -62135596800 // the first of the year 1
)

// Parameters are what a token and who verifies it agree on, beside the seed.
type Parameters struct {
	Type      Type
	Algorithm Algorithm
	Digits    int   // of a code, 6 to 10
	Period    int   // TOTP: seconds for which a code is valid, the time step X (RFC 6238 §4.1); HOTP: 0
	T0        int64 // TOTP: Unix time at which the first step begins, in seconds; mostly 0
}

// DefaultTOTP is what RFC 6238 recommends and everybody assumes: SHA-1, 6 digits, 30 seconds.
var DefaultTOTP = Parameters{Type: TOTP, Algorithm: SHA1, Digits: 6, Period: 30}

// DefaultHOTP is what everybody assumes of HOTP: 6 digits.
var DefaultHOTP = Parameters{Type: HOTP, Algorithm: SHA1, Digits: 6}

// ParameterError says which of the parameters can't be, and why.
type ParameterError struct {
	Parameter string // "type", "algorithm", "digits", "period", "t0"
	Problem   string
}

func (e *ParameterError) Error() string { return e.Parameter + " " + e.Problem }

// Valid tells whether there can be codes by these parameters. The error is a *ParameterError.
func (p Parameters) Valid() error {
	switch {
	case p.Type != HOTP && p.Type != TOTP:
		return &ParameterError{"type", "must be hotp or totp"}
	case p.Algorithm.Size() == 0:
		return &ParameterError{"algorithm", "must be SHA1, SHA256 or SHA512"}
	case p.Digits < MinDigits || p.Digits > MaxDigits:
		return &ParameterError{"digits", fmt.Sprintf("must be %d to %d, and not %d", MinDigits, MaxDigits, p.Digits)}
	case p.Type == HOTP && p.Period != 0:
		return &ParameterError{"period", "is for totp alone"}
	case p.Type == HOTP && p.T0 != 0:
		return &ParameterError{"t0", "is for totp alone"}
	case p.Type == TOTP && (p.Period < MinPeriod || p.Period > MaxPeriod):
		return &ParameterError{"period",
			fmt.Sprintf("must be %d to %d seconds, and not %d", MinPeriod, MaxPeriod, p.Period)}
	case p.T0 < minTime || p.T0 > maxTime:
		return &ParameterError{"t0", fmt.Sprintf("is no time: %d", p.T0)}
	}
	return nil
}

// ClockError says that there is no time step at a time.
type ClockError struct {
	Now     time.Time
	Problem string
}

func (e *ClockError) Error() string {
	return "the clock says " + e.Now.UTC().Format(time.RFC3339) + ", " + e.Problem
}

// Step gives the time step in which t lies: the moving factor of TOTP (RFC 6238 §4.2). The error is a *ClockError where
// there is none, because t is before T0 or not in the years 1 to 9999, and else a *ParameterError.
func (p Parameters) Step(t time.Time) (step uint64, err error) {
	if err := p.Valid(); err != nil {
		return 0, err
	}
	if p.Type != TOTP {
		return 0, &ParameterError{"type", "must be totp: hotp has no time steps"}
	}
	if err := validTime(t); err != nil {
		return 0, err
	}
	since := t.Unix() - p.T0
	if since < 0 {
		return 0, &ClockError{t, "before the first time step: set the clock"}
	}
	return uint64(since) / uint64(p.Period), nil
}

func validTime(t time.Time) error {
	if u := t.Unix(); u < minTime || u > maxTime {
		return &ClockError{t, "which is not in the years 1 to 9999: set the clock"}
	}
	return nil
}

// StepEnd gives the time at which a step of TOTP is over, and at most the last second of the year 9999. Parameters that
// have no steps give the zero time.
func (p Parameters) StepEnd(step uint64) time.Time {
	if p.Type != TOTP || p.Valid() != nil {
		return time.Time{}
	}
	if step >= uint64(maxTime-p.T0)/uint64(p.Period) {
		return time.Unix(maxTime, 0)
	}
	return time.Unix(p.T0+int64(step+1)*int64(p.Period), 0)
}

// Code gives the code for a moving factor: of TOTP, the time step. The error is a *ParameterError or a *SeedError.
func (p Parameters) Code(seed Seed, movingFactor uint64) (string, error) {
	g, err := newGenerator(p, seed)
	if err != nil {
		return "", err
	}
	defer g.wipe()
	return g.code(movingFactor)
}
