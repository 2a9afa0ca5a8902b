package hotp

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// model is a verifier that is as simple as can be: one token, whose history it lives through, of SHA-1 and six digits.
// It makes codes itself, lists all factors that may be, and counts in numbers that don't overflow.
type model struct {
	policy   Policy
	period   int64 // 0: HOTP
	t0       int64
	spent    *big.Int // the last factor consumed; -1: none was
	drift    int64
	failures int
	failed   time.Time
	locked   bool
}

func big64(n uint64) *big.Int { return new(big.Int).SetUint64(n) }

func (m *model) code(factor *big.Int) string {
	h := hmac.New(sha1.New, seed20)
	h.Write(factor.FillBytes(make([]byte, 8)))
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

// factors lists what there is from one factor to another.
func (m *model) factors(from, to *big.Int) (all []*big.Int) {
	for f := from; f.Cmp(to) <= 0; f = new(big.Int).Add(f, big.NewInt(1)) {
		if f.Sign() >= 0 && f.Cmp(big64(1<<64-2)) <= 0 {
			all = append(all, f)
		}
	}
	return all
}

func around(middle *big.Int, below, above int) (from, to *big.Int) {
	return new(big.Int).Add(middle, big.NewInt(int64(-below))), new(big.Int).Add(middle, big.NewInt(int64(above)))
}

// one lists the factors of a code, and two those of the second of a pair of codes.
func (m *model) one(step int64) []*big.Int {
	if m.period == 0 {
		next := new(big.Int).Add(m.spent, big.NewInt(1))
		return m.factors(around(next, m.policy.LookAhead+1, m.policy.LookAhead))
	}
	return m.factors(around(big.NewInt(step+m.drift), m.policy.Behind, m.policy.Ahead))
}

func (m *model) two(step int64) []*big.Int {
	if m.period == 0 {
		second := new(big.Int).Add(m.spent, big.NewInt(2))
		return m.factors(around(second, m.policy.LookAhead+2, m.policy.ResyncAhead))
	}
	return m.factors(around(big.NewInt(step), m.policy.MaxDrift, m.policy.MaxDrift))
}

func (m *model) before(f *big.Int) *big.Int { return new(big.Int).Sub(f, big.NewInt(1)) }

// try gives the outcome of an attempt with one code or two.
func (m *model) try(now time.Time, codes ...string) error {
	if len(codes) == 2 && codes[0] == codes[1] {
		return ErrSameCode
	}
	if m.locked {
		return ErrLocked
	}
	if m.waits(now) {
		return errThrottled
	}
	step := int64(0)
	if m.period != 0 {
		step = (now.Unix() - m.t0) / m.period
	}
	used, found := m.search(step, codes)
	switch {
	case used:
		return m.fail(now, ErrUsed)
	case found == nil:
		return m.fail(now, ErrWrongCode)
	}
	m.succeed(found, step, len(codes))
	return nil
}

func (m *model) waits(now time.Time) bool {
	if m.failures == 0 {
		return false
	}
	if now.Before(m.failed) {
		m.failed = now
	}
	delay := float64(m.policy.Delay) * float64(uint64(1)<<(m.failures-1))
	delay = min(delay, float64(m.policy.MaxDelay))
	return now.Before(m.failed.Add(time.Duration(delay)))
}

func (m *model) search(step int64, codes []string) (used bool, found *big.Int) {
	if len(codes) == 1 {
		for _, f := range m.one(step) {
			if m.code(f) == codes[0] && f.Cmp(m.spent) <= 0 {
				used = true
			} else if m.code(f) == codes[0] {
				found = f
			}
		}
		return used, found
	}
	for _, second := range m.two(step) {
		first := m.before(second)
		if first.Sign() < 0 || m.code(first) != codes[0] || m.code(second) != codes[1] {
			continue
		}
		if first.Cmp(m.spent) <= 0 {
			used = true
		} else {
			found = second
		}
	}
	return used, found
}

func (m *model) fail(now time.Time, why error) error {
	m.failures++
	m.failed = now
	m.locked = m.failures == m.policy.MaxFailures
	return why
}

func (m *model) succeed(factor *big.Int, step int64, codes int) {
	m.failures = 0
	m.spent = factor
	if m.period == 0 {
		return
	}
	drift := factor.Int64() - step
	if codes == 2 || drift != m.drift {
		if m.policy.Behind > 0 && m.policy.Ahead == 0 {
			drift++
		}
		if m.policy.Behind == 0 && m.policy.Ahead > 0 {
			drift--
		}
	}
	m.drift = min(max(drift, -int64(m.policy.MaxDrift)), int64(m.policy.MaxDrift))
}

// history is a random life of a token: the model and the verifier see the same.
type history struct {
	r     *rand.Rand
	model model
	state State
	of    Parameters
	now   time.Time
	codes []string
	log   []string
}

// twins are factors with the same code as the next, or the one after.
var twins = []uint64{910737, 1300575, 1390529, 1921099, 153567, 679858, 863070, 1096428}

func newHistory(seed uint64) *history {
	r := rand.New(rand.NewPCG(seed, 6))
	h := &history{r: r, of: DefaultHOTP, now: noon}
	h.model.policy = Policy{
		Behind: r.IntN(4), Ahead: r.IntN(4), MaxDrift: r.IntN(8), LookAhead: r.IntN(5), ResyncAhead: r.IntN(10),
		Delay: time.Second, MaxDelay: time.Duration(1+r.IntN(20)) * time.Second, MaxFailures: 3 + r.IntN(10),
	}
	near := []uint64{0, 1, 1<<64 - 30, 1<<64 - 4, twins[r.IntN(len(twins))], twins[r.IntN(len(twins))]}[r.IntN(6)]
	if r.IntN(2) == 0 {
		h.of = DefaultTOTP
		h.of.Period = 1 + r.IntN(60)
		h.of.T0 = r.Int64N(1 << 31)
		h.model.period, h.model.t0 = int64(h.of.Period), h.of.T0
		near %= 1 << 32
		h.now = time.Unix(h.of.T0+int64(near)*h.model.period, 0)
	} else {
		h.state.Next = near
	}
	h.model.spent = new(big.Int).Sub(big64(h.state.Next), big.NewInt(1))
	return h
}

// factor gives one near to what the verifier expects.
func (h *history) factor() uint64 {
	middle := h.state.Next
	if h.of.Type == TOTP {
		step, _ := h.of.Step(h.now)
		middle = step + uint64(h.state.Drift)*uint64(h.r.IntN(2))
	}
	f := middle + uint64(h.r.IntN(9)) - 4
	if h.r.IntN(10) == 0 {
		f += uint64(h.r.IntN(41)) - 20
	}
	return f
}

// pass lets time go by: a moment, the delay, a few steps, and now and then back.
func (h *history) pass() {
	switch n := h.r.IntN(12); {
	case n < 4:
		h.now = h.now.Add(h.model.policy.MaxDelay)
	case n < 8:
		h.now = h.now.Add(time.Duration(h.r.IntN(3000)) * time.Millisecond)
	case n < 10:
		h.now = h.now.Add(time.Duration(h.r.IntN(5)*h.of.Period) * time.Second)
	case n == 10:
		h.now = h.now.Add(-time.Duration(h.r.IntN(5*h.of.Period+20)) * time.Second)
	}
	if first := time.Unix(h.of.T0, 0); h.now.Before(first) {
		h.now = first
	}
}

// next attempts something, and gives what the verifier and the model say of it.
func (h *history) next() (got, want error) {
	h.pass()
	if h.model.locked && h.r.IntN(3) == 0 {
		h.state, h.model.locked, h.model.failures = h.state.Unlock(), false, 0
	}
	codes := h.attempt()
	h.log = append(h.log, fmt.Sprintf("%v %v", h.now.UnixMilli(), codes))
	want = h.model.try(h.now, codes...)
	p, before := h.model.policy, h.state
	if len(codes) == 1 {
		h.state, got = p.Verify(h.of, seed20, h.state, codes[0], h.now)
	} else {
		h.state, got = p.Resync(h.of, seed20, h.state, codes[0], codes[1], h.now)
	}
	if errors.As(got, new(*ThrottledError)) {
		got = errThrottled
	}
	if (h.state == before) == (h.state.Revision != before.Revision) {
		got = fmt.Errorf("%+v became %+v", before, h.state)
	}
	return got, want
}

func (h *history) attempt() (codes []string) {
	f := h.factor()
	code := h.model.code(big64(f))
	switch n := h.r.IntN(12); {
	case n < 5:
		codes = []string{code}
	case n < 7 && len(h.codes) > 0:
		codes = []string{h.codes[h.r.IntN(len(h.codes))]}
	case n < 10:
		codes = []string{code, h.model.code(big64(f + 1))}
	case n < 11:
		codes = []string{code, h.model.code(big64(h.factor()))}
	default:
		codes = []string{fmt.Sprintf("%06d", h.r.IntN(1_000_000))}
	}
	h.codes = append(h.codes, codes...)
	return codes
}

// same compares what both remember.
func (h *history) same() bool {
	m := h.model
	return big64(h.state.Next).Cmp(new(big.Int).Add(m.spent, big.NewInt(1))) == 0 && h.state.Drift == m.drift &&
		int(h.state.Failures) == m.failures && h.state.Locked == m.locked &&
		(m.failures == 0 || h.state.FailedAt == m.failed.UnixMilli())
}

func TestAgainstModel(t *testing.T) {
	outcomes := make(map[string]int)
	for seed := range uint64(400) {
		h := newHistory(seed)
		for range 60 {
			got, want := h.next()
			if got != want || !h.same() {
				t.Fatalf("history %d: %v, and by the model %v\n%+v\n%+v\n%+v\n%q", seed, got, want,
					h.state, h.model, h.of, h.log)
			}
			outcomes[fmt.Sprint(got)]++
		}
	}
	for _, outcome := range []error{nil, ErrWrongCode, ErrUsed, ErrLocked, ErrSameCode, errThrottled} {
		if outcomes[fmt.Sprint(outcome)] < 100 {
			t.Errorf("%v came only %d times", outcome, outcomes[fmt.Sprint(outcome)])
		}
	}
	t.Log(outcomes)
}
