package hotp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Why an attempt failed. Both count as failure.
var (
	ErrWrongCode = errors.New("the code is wrong")
	ErrUsed      = errors.New("the code was used before, or is older than one that was: wait for the next one")
)

// CodeError says that a text can't be a code of the token. It does not count as failure.
type CodeError struct{ Digits int }

func (e *CodeError) Error() string {
	return fmt.Sprintf("a code of this token has %d digits, and nothing else", e.Digits)
}

// Verify tells whether a code is right, now. Spaces in it are skipped. The caller must put the new state in the place
// of s by an atomic compare-and-set, also after an error, before anybody hears of the result.
//
// The error is nil for a right code, which is consumed then; ErrWrongCode and ErrUsed are counted in the new state.
// After any other error the code was not looked at, and the state is the same unless the clock was set back:
// *CodeError, *ThrottledError, ErrLocked, *ClockError, *StateError, and *PolicyError, *ParameterError or *SeedError
// for what nothing can be verified with.
func (p Policy) Verify(of Parameters, seed Seed, s State, code string, now time.Time) (State, error) {
	return p.attempt(of, seed, s, []string{code}, now)
}

// attempt verifies one code, or two that follow each other.
func (p Policy) attempt(of Parameters, seed Seed, s State, codes []string, now time.Time) (State, error) {
	g, err := newGenerator(of, seed)
	if err != nil {
		return s, err
	}
	defer g.wipe()
	if codes, err = of.typed(codes); err != nil {
		return s, err
	}
	if s, err = p.Admit(s, now); err != nil {
		return s, err
	}
	w, err := p.window(of, s, now, len(codes))
	if err != nil {
		return s, err
	}
	m, err := g.find(w, codes)
	switch {
	case err != nil:
		return s, err
	case m.used:
		return s.failed(p.MaxFailures, now), ErrUsed
	case !m.live:
		return s.failed(p.MaxFailures, now), ErrWrongCode
	}
	return s.consumed(m.factor, p.follow(of, s.Drift, int64(m.factor-w.step), len(codes))), nil
}

// typed gives the codes without their spaces.
func (p Parameters) typed(codes []string) ([]string, error) {
	clean := make([]string, len(codes))
	for i, code := range codes {
		if len(code) > 4*MaxDigits { // more than anybody has for spaces
			return nil, &CodeError{p.Digits}
		}
		clean[i] = strings.ReplaceAll(code, " ", "")
		if len(clean[i]) != p.Digits || strings.Trim(clean[i], "0123456789") != "" {
			return nil, &CodeError{p.Digits}
		}
	}
	if len(clean) == 2 && clean[0] == clean[1] {
		return nil, ErrSameCode
	}
	return clean, nil
}

// window has the moving factors at which a code is looked for, or the first of two: low to end, without end. Those
// below live are consumed.
type window struct {
	low, end, live uint64
	step           uint64 // TOTP: that of the clock
}

func (p Policy) window(of Parameters, s State, now time.Time, codes int) (window, error) {
	if of.Type == HOTP {
		return p.counters(s.Next, codes), nil
	}
	step, err := of.Step(now)
	if err != nil {
		return window{}, err
	}
	low, high := p.steps(int64(step), s.Drift, codes)
	return window{uint64(max(low, 0)), uint64(max(high+1, 0)), s.Next, step}, nil
}

// counters is the window of HOTP. Some consumed ones are in it, to tell a used code from a wrong one. The highest
// counter of all is in none, because there would be no next one.
func (p Policy) counters(next uint64, codes int) window {
	ahead := uint64(p.LookAhead)
	if codes == 2 {
		ahead = uint64(p.ResyncAhead)
	}
	end := math.MaxUint64 - uint64(codes) + 1
	if next < end-ahead {
		end = next + ahead + 1
	}
	behind := min(next, uint64(p.LookAhead+codes))
	return window{low: min(next-behind, end), end: end, live: next}
}

// steps gives the first and last step of TOTP's window: around the token's own step for one code, and around that of
// the clock for the second one of two.
func (p Policy) steps(now, drift int64, codes int) (low, high int64) {
	if codes == 2 {
		return now - int64(p.MaxDrift) - 1, now + int64(p.MaxDrift) - 1
	}
	drift = p.bounded(drift)
	return now + drift - int64(p.Behind), now + drift + int64(p.Ahead)
}

func (p Policy) bounded(drift int64) int64 {
	return max(-int64(p.MaxDrift), min(drift, int64(p.MaxDrift)))
}

// follow gives the drift to remember after a code that was right so many steps away from the clock (RFC 6238 §6).
//
// A code may come a step later than another one of the same token, because of the time that typing takes. So where
// the window goes in one direction alone, its middle is put beside the code, or the next one might fall out of it.
func (p Policy) follow(of Parameters, before, offset int64, codes int) int64 {
	switch {
	case of.Type == HOTP:
		return 0
	case codes == 1 && offset == p.bounded(before):
	case p.Ahead == 0 && p.Behind > 0:
		offset++
	case p.Behind == 0 && p.Ahead > 0:
		offset--
	}
	return p.bounded(offset)
}

// match is what was found in a window.
type match struct {
	live, used bool   // at a factor that is not consumed, and at one that is
	factor     uint64 // of the last code, at the highest live place
}

// find tries all of a window, whatever it finds, so that the time that it takes tells nothing of it.
func (g *generator) find(w window, codes []string) (match, error) {
	places, beyond := int(w.end-w.low), len(codes)-1
	made, err := g.codes(w.low, places+beyond)
	if err != nil {
		return match{}, err
	}
	live, used := 0, 0
	for i := range places {
		hit := 1
		for j, code := range codes {
			hit &= subtle.ConstantTimeCompare([]byte(made[i+j]), []byte(code))
		}
		if w.low+uint64(i) < w.live { // no secret
			used |= hit
		} else {
			live = subtle.ConstantTimeSelect(hit, i+1, live)
		}
	}
	return match{live > 0, used > 0, w.low + uint64(live+beyond) - 1}, nil
}

// codes gives n codes from a moving factor on.
func (g *generator) codes(from uint64, n int) (made []string, err error) {
	made = make([]string, n)
	for i := range made {
		if made[i], err = g.code(from + uint64(i)); err != nil {
			return nil, err
		}
	}
	return made, nil
}
