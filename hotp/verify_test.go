package hotp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// verifier tries codes on one token, keeps its state, and fails the test where an attempt is not counted as it should.
type verifier struct {
	t      *testing.T
	policy Policy
	of     Parameters
	state  State
	now    time.Time
}

var noon = time.Unix(1_800_000_000, 0) // a step of 30 s begins: 60,000,000

const noonStep = 60_000_000

func newTOTP(t *testing.T) *verifier { return &verifier{t, DefaultPolicy, DefaultTOTP, State{}, noon} }
func newHOTP(t *testing.T) *verifier { return &verifier{t, DefaultPolicy, DefaultHOTP, State{}, noon} }

// code gives the code at a moving factor: of TOTP, counted from noon.
func (v *verifier) code(factor int) string {
	v.t.Helper()
	if v.of.Type == TOTP {
		factor += noonStep
	}
	return mustCode(v.t, v.of, seed20, uint64(factor))
}

// try verifies a code and wants an error.
func (v *verifier) try(code string, want error) {
	v.t.Helper()
	after, err := v.policy.Verify(v.of, seed20, v.state, code, v.now)
	v.tried(after, err, want)
}

// pair resynchronizes and wants an error.
func (v *verifier) pair(code1, code2 string, want error) {
	v.t.Helper()
	after, err := v.policy.Resync(v.of, seed20, v.state, code1, code2, v.now)
	v.tried(after, err, want)
}

// tried keeps the state. Its errors are compared as they print; errThrottled stands for any *ThrottledError.
func (v *verifier) tried(after State, err, want error) {
	v.t.Helper()
	if errors.As(err, new(*ThrottledError)) {
		err = errThrottled
	}
	if fmt.Sprint(err) != fmt.Sprint(want) {
		v.t.Fatalf("%v, and not %v", err, want)
	}
	before := v.state
	v.state = after
	switch {
	case err == nil && after.Failures == 0 && after.Next > before.Next && after.Revision == before.Revision+1:
	case (err == ErrWrongCode || err == ErrUsed) && after.Failures == before.Failures+1 &&
		after.Revision == before.Revision+1 && after.Next == before.Next && after.Drift == before.Drift:
	case err != nil && err != ErrWrongCode && err != ErrUsed && after == before:
	default:
		v.t.Fatalf("after %v, %+v became %+v", err, before, after)
	}
}

var errThrottled = errors.New("throttled")

// wait lets the delay after a failure pass.
func (v *verifier) wait() { v.now = v.now.Add(v.policy.delay(v.state.Failures)) }

func TestVerifyWindow(t *testing.T) {
	for offset, want := range map[int]error{-2: ErrWrongCode, -1: nil, 0: nil, 1: nil, 2: ErrWrongCode} {
		v := newTOTP(t)
		v.try(v.code(offset), want)
		if want == nil && (v.state.Next != uint64(noonStep+offset+1) || v.state.Drift != int64(offset)) {
			t.Errorf("offset %d: %+v", offset, v.state)
		}
	}
	for counter, want := range map[int]error{4: ErrWrongCode, 5: nil, 15: nil, 16: ErrWrongCode} {
		v := newHOTP(t)
		v.state.Next = 5
		if counter == 4 {
			want = ErrUsed
		}
		v.try(v.code(counter), want)
		if want == nil && v.state.Next != uint64(counter+1) {
			t.Errorf("counter %d: %+v", counter, v.state)
		}
	}
}

func TestVerifyOnlyTheseDirections(t *testing.T) {
	for _, one := range []struct{ behind, ahead, offset int }{{0, 0, 0}, {3, 0, -3}, {0, 2, 2}} {
		for offset := -4; offset <= 4; offset++ {
			v := newTOTP(t)
			v.policy.Behind, v.policy.Ahead = one.behind, one.ahead
			want := ErrWrongCode
			if -one.behind <= offset && offset <= one.ahead {
				want = nil
			}
			v.try(v.code(offset), want)
		}
	}
}

func TestSingleUse(t *testing.T) {
	for _, v := range []*verifier{newTOTP(t), newHOTP(t)} {
		v.try(v.code(1), nil)
		v.try(v.code(1), ErrUsed)
		v.wait()
		v.try(v.code(0), ErrUsed) // older
		v.wait()
		v.try(v.code(2), nil)
	}
}

// The seeds of the RFCs have the same code of six digits at these pairs of counters.
func TestCodeOfTwoFactors(t *testing.T) {
	for _, one := range []struct {
		low, apart uint64
		code       string
	}{{910737, 1, "911617"}, {1300575, 1, "761737"}, {153567, 2, "468457"}, {6984298, 2, "075256"}} {
		high := one.low + one.apart
		v := newHOTP(t)
		v.state.Next = one.low
		v.try(one.code, nil)
		if v.state.Next != high+1 {
			t.Errorf("next %d: the code of %d and %d could be used again", v.state.Next, one.low, high)
		}
		v.try(one.code, ErrUsed)
		clock := newTOTP(t)
		clock.now = time.Unix(int64(one.low+1)*30, 0)
		clock.try(one.code, nil)
		if clock.state.Next != high+1 {
			t.Errorf("next %d: the code of %d and %d could be used again", clock.state.Next, one.low, high)
		}
		clock.try(one.code, ErrUsed)
	}
}

// RFC 6238 §5.2: what was used is not accepted again, even if the next step has the same code.
func TestUsedCodeOfLiveFactor(t *testing.T) {
	v := newTOTP(t)
	v.now = time.Unix(910737*30, 0)
	v.state.Next = 910738
	v.try("911617", ErrUsed)
	v.wait()
	v.try(mustCode(t, v.of, seed20, 910738), ErrUsed) // the same
	v.now = v.now.Add(30 * time.Second)
	v.try(mustCode(t, v.of, seed20, 910739), nil)
}

func TestMalformedCode(t *testing.T) {
	malformed := &CodeError{6}
	for _, code := range []string{"", " ", "12345", "1234567", "12345a", "１２３４５６", "12345\n", "+12345", "-12345",
		"1 2 3 4 5",
		"123456                                                       "} {
		v := newTOTP(t)
		v.try(code, malformed)
		v.pair(code, "123456", malformed)
		v.pair("123456", code, malformed)
	}
	v := newTOTP(t)
	right := v.code(0)
	v.try(" "+right[:3]+" "+right[3:]+" ", nil)
}

// A token whose clock loses a step a month is followed, up to the bound.
func TestDrift(t *testing.T) {
	for _, direction := range []int{-1, 1} {
		v := newTOTP(t)
		v.policy.MaxDrift = 3
		for month := 1; month <= 4; month++ {
			v.now = v.now.Add(30 * 24 * time.Hour)
			step, _ := v.of.Step(v.now)
			v.try(mustCode(t, v.of, seed20, step+uint64(direction*month)), nil)
			if want := int64(direction * min(month, 3)); v.state.Drift != want {
				t.Fatalf("month %d: drift %d, and not %d", month, v.state.Drift, want)
			}
		}
		v.now = v.now.Add(time.Hour)
		step, _ := v.of.Step(v.now)
		v.try(mustCode(t, v.of, seed20, step+uint64(direction*5)), ErrWrongCode)
		v.wait()
		v.try(mustCode(t, v.of, seed20, step+uint64(direction)), ErrWrongCode) // the window is around the drift
	}
}

func TestDriftThatIsNotFollowed(t *testing.T) {
	v := newTOTP(t)
	v.policy.MaxDrift = 0
	v.try(v.code(-1), nil)
	v.now = v.now.Add(90 * time.Second)
	v.try(v.code(4), nil)
	if v.state.Drift != 0 {
		t.Errorf("drift %d", v.state.Drift)
	}
}

// With a window in one direction alone, a code that came late, or a clock that is a part of a step ahead, doesn't shut
// out the next code, which comes in time.
func TestDriftOfHalfWindow(t *testing.T) {
	for _, one := range []struct{ behind, ahead, first, second int }{
		{1, 0, -1, 0}, {2, 0, -2, -1}, {2, 0, -1, 0}, {0, 1, 1, 0}, {0, 2, 2, 1},
	} {
		v := newTOTP(t)
		v.policy.Behind, v.policy.Ahead = one.behind, one.ahead
		v.try(v.code(one.first), nil)
		v.now = v.now.Add(5 * time.Minute)
		v.try(v.code(10+one.second), nil)
		paired := newTOTP(t)
		paired.policy.Behind, paired.policy.Ahead = one.behind, one.ahead
		paired.pair(v.code(one.first-1), v.code(one.first), nil)
		paired.now = v.now
		paired.try(v.code(10+one.first), nil)
		paired.now = v.now.Add(5 * time.Minute)
		paired.try(v.code(20+one.second), nil)
	}
}

// A state of another policy may have more drift than this one allows.
func TestDriftOfAnotherPolicy(t *testing.T) {
	v := newTOTP(t)
	v.policy.MaxDrift = 5
	for _, drift := range []int64{100, math.MaxInt64} {
		v.state = State{Drift: drift}
		v.try(v.code(5), nil)
		v.state = State{Drift: -drift}
		v.try(v.code(-5), nil)
	}
}

func TestClock(t *testing.T) {
	v := newTOTP(t)
	v.of.T0 = noon.Unix()
	v.now = noon.Add(-time.Second)
	v.try("123456", &ClockError{v.now, "before the first time step: set the clock"})
	v.pair("123456", "234567", &ClockError{v.now, "before the first time step: set the clock"})
	v.now = noon
	v.try(mustCode(t, v.of, seed20, 0), nil) // the window has no steps before the first
	for _, at := range []int64{math.MinInt64, minTime - 1, maxTime + 1, math.MaxInt64} {
		for _, v := range []*verifier{newTOTP(t), newHOTP(t)} {
			v.now = time.Unix(at, 0)
			v.try("123456", &ClockError{v.now, "which is not in the years 1 to 9999: set the clock"})
		}
	}
}

// The window of a token that is behind may end before the first step of all.
func TestWindowBeforeFirstStep(t *testing.T) {
	v := newTOTP(t)
	v.now = time.Unix(0, 0)
	v.state.Drift = -10
	v.try("755224", ErrWrongCode)
}

// The last counters of all are used up, and then no code is right.
func TestLastCounter(t *testing.T) {
	v := newHOTP(t)
	v.state.Next = math.MaxUint64 - 2
	v.try(mustCode(t, v.of, seed20, math.MaxUint64), ErrWrongCode)
	v.wait()
	v.try(mustCode(t, v.of, seed20, math.MaxUint64-1), nil)
	if v.state.Next != math.MaxUint64 {
		t.Fatalf("next %d", v.state.Next)
	}
	for _, want := range []struct {
		counter uint64
		err     error
	}{{math.MaxUint64 - 1, ErrUsed}, {math.MaxUint64, ErrWrongCode}, {0, ErrWrongCode}} {
		v.wait()
		v.try(mustCode(t, v.of, seed20, want.counter), want.err)
	}
	v.wait()
	v.pair(mustCode(t, v.of, seed20, math.MaxUint64), mustCode(t, v.of, seed20, 0), ErrWrongCode)
}

func TestThrottle(t *testing.T) {
	v := newTOTP(t)
	v.policy.Delay, v.policy.MaxDelay, v.policy.MaxFailures = time.Second, 5*time.Second, 6
	for n, delay := range []time.Duration{1, 2, 4, 5, 5} {
		v.try("000000", ErrWrongCode)
		failed := v.now
		v.now = failed.Add(delay*time.Second - time.Millisecond)
		_, err := v.policy.Verify(v.of, seed20, v.state, v.code(0), v.now)
		early := new(ThrottledError)
		if !errors.As(err, &early) || !early.Until.Equal(failed.Add(delay*time.Second)) ||
			early.Failures != uint32(n+1) {
			t.Fatalf("failure %d: %v, and no delay of %d s", n+1, err, delay)
		}
		v.pair(v.code(2), v.code(3), errThrottled)
		v.now = early.Until
	}
	v.try("000000", ErrWrongCode)
	if !v.state.Locked {
		t.Fatalf("not locked: %+v", v.state)
	}
	v.now = v.now.Add(1000 * time.Hour)
	v.try("000000", ErrLocked)
	v.pair("000000", "111111", ErrLocked)
}

// A right code begins the count anew.
func TestThrottleEndsWithRightCode(t *testing.T) {
	v := newTOTP(t)
	for range 3 {
		v.try("000000", ErrWrongCode)
		v.wait()
	}
	v.try(v.code(0), nil)
	v.try("000000", ErrWrongCode)
	if v.state.Failures != 1 {
		t.Errorf("%+v", v.state)
	}
}

// Attempts that come too early are not looked at: they neither use up the code nor make anything worse for its owner.
func TestThrottledAttemptsDoNotCount(t *testing.T) {
	v := newTOTP(t)
	v.try("000000", ErrWrongCode)
	for range 1000 {
		v.try("000000", errThrottled)
	}
	v.try(v.code(0), errThrottled)
	v.now = v.now.Add(time.Second)
	v.try(v.code(0), nil)
}

func TestLockAndUnlock(t *testing.T) {
	v := newTOTP(t)
	v.policy.MaxFailures = 1
	v.try(v.code(1), nil)
	v.try("000000", ErrWrongCode)
	v.try(v.code(2), ErrLocked)
	revision := v.state.Revision
	v.state = v.state.Unlock()
	if v.state.Revision != revision+1 {
		t.Errorf("revision %d after %d", v.state.Revision, revision)
	}
	v.try(v.code(1), ErrUsed)
	v.state = v.state.Unlock()
	v.try(v.code(2), nil)
	// What an administrator locks, a right code does not unlock; nor does a policy that grew more patient.
	v.state.Locked = true
	v.policy.MaxFailures = 100
	v.try(v.code(3), ErrLocked)
	// And one that grew less patient locks what has failed too often.
	v.state = State{Failures: 50}
	v.policy.MaxFailures = 50
	v.try(v.code(3), ErrLocked)
}

// A clock that is set back neither ends the delay nor makes it as long as it was wrong.
func TestClockSetBack(t *testing.T) {
	v := newHOTP(t)
	for range 5 {
		v.try("000000", ErrWrongCode)
		v.wait()
	}
	v.try("000000", ErrWrongCode) // 32 s
	v.now = v.now.Add(-24 * 365 * time.Hour)
	before := v.state
	after, err := v.policy.Verify(v.of, seed20, before, v.code(0), v.now)
	early := new(ThrottledError)
	if !errors.As(err, &early) || !early.Until.Equal(v.now.Add(32*time.Second)) {
		t.Fatalf("%v at %v", err, v.now)
	}
	if after == before || after.Revision != before.Revision+1 || after.Failures != before.Failures {
		t.Fatalf("%+v became %+v", before, after)
	}
	v.state = after
	v.now = v.now.Add(31 * time.Second)
	v.try(v.code(0), errThrottled)
	v.now = v.now.Add(time.Second)
	v.try(v.code(0), nil)
}

// The clock of one server is a bit behind that of another one: the delay never gets shorter.
func TestClocksOfTwoServers(t *testing.T) {
	v := newHOTP(t)
	v.try("000000", ErrWrongCode)
	v.now = v.now.Add(-300 * time.Millisecond)
	after, err := v.policy.Admit(v.state, v.now)
	v.state = after
	if !errors.As(err, new(*ThrottledError)) {
		t.Fatal(err)
	}
	v.now = v.now.Add(999 * time.Millisecond)
	v.try(v.code(0), errThrottled)
}

func TestResync(t *testing.T) {
	for _, offset := range []int{-500, -499, -2, 0, 2, 499, 500} {
		v := newTOTP(t)
		v.pair(v.code(offset-1), v.code(offset), nil)
		if v.state.Next != uint64(noonStep+offset+1) || v.state.Drift != int64(offset) {
			t.Errorf("offset %d: %+v", offset, v.state)
		}
		v.try(v.code(offset), ErrUsed)
		v.wait()
		v.try(v.code(offset-1), ErrUsed)
		v.wait()
		v.try(v.code(offset+1), nil)
	}
	for _, offset := range []int{-502, -501, 501, 502} {
		v := newTOTP(t)
		v.pair(v.code(offset-1), v.code(offset), ErrWrongCode)
	}
}

func TestResyncHOTP(t *testing.T) {
	for counter, want := range map[int]error{
		18: ErrUsed, 19: ErrUsed, 20: nil, 21: nil, 1020: nil, 1021: ErrWrongCode} {
		v := newHOTP(t)
		v.state.Next = 20
		v.pair(v.code(counter), v.code(counter+1), want)
		if want == nil && v.state.Next != uint64(counter+2) {
			t.Errorf("counter %d: %+v", counter, v.state)
		}
		if want == nil {
			v.pair(v.code(counter), v.code(counter+1), ErrUsed)
		}
	}
}

// Codes that do not follow each other are no pair, and count as one failure.
func TestResyncNeedsPair(t *testing.T) {
	v := newTOTP(t)
	for _, pair := range [][2]int{{1, 0}, {0, 2}, {1, 3}, {-1, 1}} {
		v.pair(v.code(pair[0]), v.code(pair[1]), ErrWrongCode)
		v.wait()
		v.now = noon.Add(v.now.Sub(noon) % (30 * time.Second))
	}
	v.pair(v.code(0), "000000", ErrWrongCode)
	v.wait()
	v.pair("000000", v.code(0), ErrWrongCode)
	if v.state.Failures != 6 {
		t.Errorf("%+v", v.state)
	}
}

// A pair of which the first code was used is refused as used.
func TestResyncAfterVerify(t *testing.T) {
	v := newTOTP(t)
	v.try(v.code(0), nil)
	v.pair(v.code(0), v.code(1), ErrUsed)
	v.wait()
	v.pair(v.code(-1), v.code(0), ErrUsed)
	v.wait()
	v.pair(v.code(1), v.code(2), nil)
}

// One code twice is no pair, and also not where the token did show it twice: then the next pair is one.
func TestSameCodeTwice(t *testing.T) {
	v := newHOTP(t)
	v.state.Next = 910730
	v.pair(v.code(910731), v.code(910731), ErrSameCode)
	v.pair("911617", "911 617", ErrSameCode) // of 910737 and 910738
	v.pair("911617", v.code(910739), nil)
	if v.state.Next != 910740 {
		t.Errorf("%+v", v.state)
	}
}

func TestEnroll(t *testing.T) {
	for _, v := range []*verifier{newTOTP(t), newHOTP(t)} {
		enroll := func(code1, code2 string, want error) {
			after, err := v.policy.Enroll(v.of, seed20, v.state, code1, code2, v.now)
			v.tried(after, err, want)
		}
		enroll(v.code(1), v.code(1), ErrSameCode)
		enroll(v.code(1), v.code(3), ErrWrongCode)
		enroll(v.code(1), v.code(2), errThrottled)
		v.wait()
		enroll(v.code(1), v.code(2), nil)
		v.try(v.code(1), ErrUsed)
		v.wait()
		v.try(v.code(2), ErrUsed)
		v.wait()
		enroll(v.code(3), v.code(4), ErrEnrolled)
		v.try(v.code(3), nil)
	}
}

// Nothing can be verified with what is not valid, and the state is as it was.
func TestVerifyNeeds(t *testing.T) {
	with := func(change func(*Policy)) Policy {
		p := DefaultPolicy
		change(&p)
		return p
	}
	for _, p := range []Policy{{},
		with(func(p *Policy) { p.Behind = -1 }), with(func(p *Policy) { p.Behind = 101 }),
		with(func(p *Policy) { p.Ahead = -1 }), with(func(p *Policy) { p.Ahead = 101 }),
		with(func(p *Policy) { p.MaxDrift = -1 }), with(func(p *Policy) { p.MaxDrift = 10_001 }),
		with(func(p *Policy) { p.LookAhead = -1 }), with(func(p *Policy) { p.LookAhead = 101 }),
		with(func(p *Policy) { p.ResyncAhead = -1 }), with(func(p *Policy) { p.ResyncAhead = 10_001 }),
		with(func(p *Policy) { p.Delay = 0 }), with(func(p *Policy) { p.Delay = 25 * time.Hour }),
		with(func(p *Policy) { p.MaxDelay = p.Delay - 1 }), with(func(p *Policy) { p.MaxDelay = 25 * time.Hour }),
		with(func(p *Policy) { p.MaxFailures = 0 }), with(func(p *Policy) { p.MaxFailures = 101 }),
	} {
		if after, err := p.Verify(DefaultHOTP, seed20, State{}, "755224", noon); !errors.As(err, new(*PolicyError)) ||
			after != (State{}) {
			t.Errorf("%+v: %+v, %v", p, after, err)
		}
	}
	_, err := DefaultPolicy.Verify(Parameters{}, seed20, State{}, "755224", noon)
	if !errors.As(err, new(*ParameterError)) {
		t.Error(err)
	}
	if _, err := DefaultPolicy.Verify(DefaultHOTP, nil, State{}, "755224", noon); !errors.As(err, new(*SeedError)) {
		t.Error(err)
	}
	later := State{Version: StateVersion + 1}
	if after, err := DefaultPolicy.Verify(DefaultHOTP, seed20, later, "755224", noon); after != later ||
		!errors.As(err, new(*StateError)) {
		t.Errorf("%+v, %v", after, err)
	}
}

// The text of a state is a contract with those who stored one.
func TestStateText(t *testing.T) {
	s := State{Version: 1, Revision: 2, Next: math.MaxUint64, Used: true, Drift: -4, Failures: 5,
		FailedAt: -6, Locked: true}
	want := `{"version":1,"revision":2,"next":18446744073709551615,"used":true,"drift":-4,"failures":5,"failedAt":-6,` +
		`"locked":true}`
	text, err := json.Marshal(s)
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	var fromJSON, fromCBOR State
	if err := json.Unmarshal([]byte(want), &fromJSON); err != nil || fromJSON != s {
		t.Errorf("%+v, %v", fromJSON, err)
	}
	encoded, err := cbor.Marshal(s)
	if err == nil {
		err = cbor.Unmarshal(encoded, &fromCBOR)
	}
	if err != nil || fromCBOR != s {
		t.Errorf("%+v, %v", fromCBOR, err)
	}
	if !reflect.ValueOf(s).Comparable() {
		t.Error("states can't be compared")
	}
}

// The delays of the default policy are as its documentation says.
func TestDefaultDelays(t *testing.T) {
	total, inMinute := time.Duration(0), 0
	for failures := uint32(1); failures < 100; failures++ {
		if total < time.Minute {
			inMinute++
		}
		total += DefaultPolicy.delay(failures)
	}
	if inMinute != 6 || total.Truncate(time.Hour) != 22*time.Hour {
		t.Errorf("%d failures within a minute, and the hundredth after %v", inMinute, total)
	}
}
