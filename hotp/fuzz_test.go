package hotp

import (
	"errors"
	"testing"
	"time"
)

// FuzzVerify throws states, clocks and codes of all kinds at the verifier: what it accepts is a code of a live factor
// and never again, and what it refuses changes what it must alone.
func FuzzVerify(f *testing.F) {
	f.Add(uint8(0), int64(0), uint64(0), int64(0), uint32(0), int64(0), int64(59), uint64(1), "", "")
	f.Add(uint8(1), int64(7), uint64(910738), int64(-1), uint32(3), int64(1000), int64(27322110), uint64(910738),
		"", "")
	f.Add(uint8(2), int64(0), ^uint64(3), int64(0), uint32(0), int64(0), int64(0), ^uint64(1), "", "287082")
	f.Add(uint8(0), int64(-1), ^uint64(0), int64(-1)<<63, uint32(99), int64(-1)<<63, int64(1)<<62, ^uint64(0),
		"755224", "755224")
	f.Fuzz(func(t *testing.T, kind uint8, t0 int64, next uint64, drift int64, failures uint32, failedAt, now int64,
		factor uint64, code1, code2 string) {
		of := []Parameters{
			{Type: TOTP, Algorithm: SHA1, Digits: 6, Period: 30, T0: t0},
			{Type: TOTP, Algorithm: SHA512, Digits: 10, Period: 1, T0: t0}, DefaultHOTP}[kind%3]
		if code, err := of.Code(seed20, factor); err == nil && code1 == "" {
			code1 = code
		}
		if code, err := of.Code(seed20, factor+1); err == nil && code2 == "pair" {
			code2 = code
		}
		p := DefaultPolicy
		p.MaxDrift, p.ResyncAhead = 5, 5
		try := func(s State) (State, error) {
			if code2 != "" {
				return p.Resync(of, seed20, s, code1, code2, time.Unix(now, 0))
			}
			return p.Verify(of, seed20, s, code1, time.Unix(now, 0))
		}
		before := State{Next: next, Drift: drift, Failures: failures, FailedAt: failedAt}
		after, err := try(before)
		switch {
		case err == nil:
			accepted(t, before, after, of)
			if again, err := try(after); err != ErrUsed || again.Next != after.Next {
				t.Fatalf("%+v and again: %+v, %v", after, again, err)
			}
		case err == ErrWrongCode || err == ErrUsed:
			if want := before.failed(p.MaxFailures, time.Unix(now, 0)); after != want {
				t.Fatalf("%v: %+v became %+v, and not %+v", err, before, after, want)
			}
		case errors.As(err, new(*ThrottledError)) && before.FailedAt > after.FailedAt:
			before.FailedAt = after.FailedAt
			if after != before.changed() {
				t.Fatalf("%v: %+v became %+v", err, before, after)
			}
		case after != before:
			t.Fatalf("%v: %+v became %+v", err, before, after)
		}
	})
}

func accepted(t *testing.T, before, after State, of Parameters) {
	if after.Next <= before.Next || after.Failures != 0 || after.Locked || !after.Used || after.Revision != 1 {
		t.Fatalf("%+v became %+v", before, after)
	}
	if after.Drift < -5 || after.Drift > 5 || of.Type == HOTP && after.Drift != 0 {
		t.Fatalf("drift %d", after.Drift)
	}
}
