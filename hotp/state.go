package hotp

import (
	"fmt"
	"time"
)

// StateVersion is the Version of the states that this package makes.
const StateVersion = 1

// State is what a verifier remembers of a token from one attempt to the next. It has no secret, is comparable with
// ==, and goes through encoding/json and CBOR unchanged. The zero State is that of a new token; one whose counter
// begins elsewhere has that as Next.
type State struct {
	// Version is that of the meaning of the fields: StateVersion, or 0 in a state that no attempt has changed yet.
	Version uint8 `json:"version,omitempty"`
	// Revision is one more with each change, for an atomic compare-and-set.
	Revision uint64 `json:"revision,omitempty"`
	// Next is the lowest moving factor that may still be used: the one after that which was consumed last. Of TOTP it
	// is a time step. The highest uint64 is never consumed.
	Next uint64 `json:"next,omitempty"`
	// Used tells whether a code was ever accepted.
	Used bool `json:"used,omitempty"`
	// Drift is how many time steps the clock of the token is ahead of ours (RFC 6238 §6). TOTP alone.
	Drift int64 `json:"drift,omitempty"`
	// Failures counts the attempts that failed since the last one that did not.
	Failures uint32 `json:"failures,omitempty"`
	// FailedAt is when the last of the Failures was: Unix time in milliseconds. A clock that is set back sets it,
	// too.
	FailedAt int64 `json:"failedAt,omitempty"`
	// Locked refuses all attempts until Unlock. Too many Failures set it, and so may an administrator.
	Locked bool `json:"locked,omitempty"`
}

// StateError says that a state was made by a later version of this package, which may mean something by it that would
// be overlooked here.
type StateError struct{ Version uint8 }

func (e *StateError) Error() string {
	return fmt.Sprintf("the state of the token has version %d, and only 0 to %d are known here", e.Version, StateVersion)
}

// Unlock gives the state without its failures and its lock, for an administrator who knows who has the token. Codes
// that were consumed stay so.
func (s State) Unlock() State {
	s.Failures, s.FailedAt, s.Locked = 0, 0, false
	return s.changed()
}

func (s State) changed() State {
	s.Version = StateVersion
	s.Revision++
	return s
}

// failed is the state after an attempt that failed.
func (s State) failed(limit int, now time.Time) State {
	s.Failures++
	s.FailedAt = now.UnixMilli()
	s.Locked = s.Locked || s.Failures >= uint32(limit)
	return s.changed()
}

// consumed is the state after an attempt that was right up to a moving factor.
func (s State) consumed(factor uint64, drift int64) State {
	s.Next, s.Used, s.Drift = factor+1, true, drift
	s.Failures, s.FailedAt = 0, 0
	return s.changed()
}
