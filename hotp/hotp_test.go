package hotp

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

// The seeds of RFC 4226 appendix D and RFC 6238 appendix B: the digits 1 to 0, as often as the hash is long.
var (
	seed20 = Seed("12345678901234567890")
	seed32 = Seed("12345678901234567890123456789012")
	seed64 = Seed("1234567890123456789012345678901234567890123456789012345678901234")
)

// mustCode gives a code of which the parameters are known to be right.
func mustCode(t testing.TB, p Parameters, seed Seed, factor uint64) string {
	t.Helper()
	code, err := p.Code(seed, factor)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// RFC 4226 appendix D. The truncated value in decimal is what a code of ten digits shows.
func TestVectorsHOTP(t *testing.T) {
	for count, want := range []struct{ decimal, code string }{
		{"1284755224", "755224"}, {"1094287082", "287082"}, {"0137359152", "359152"}, {"1726969429", "969429"},
		{"1640338314", "338314"}, {"0868254676", "254676"}, {"1918287922", "287922"}, {"0082162583", "162583"},
		{"0673399871", "399871"}, {"0645520489", "520489"},
	} {
		for digits := MinDigits; digits <= MaxDigits; digits++ {
			p := Parameters{Type: HOTP, Algorithm: SHA1, Digits: digits}
			if got := mustCode(t, p, seed20, uint64(count)); got != want.decimal[10-digits:] {
				t.Errorf("count %d, %d digits: %s, and not the end of %s", count, digits, got, want.decimal)
			}
		}
		if got := mustCode(t, DefaultHOTP, seed20, uint64(count)); got != want.code {
			t.Errorf("count %d: %s, and not %s", count, got, want.code)
		}
	}
}

// RFC 6238 appendix B, with the seeds of erratum 2866: as long as the hash.
func TestVectorsTOTP(t *testing.T) {
	for _, v := range []struct {
		unix                 int64
		step                 uint64
		sha1, sha256, sha512 string
	}{
		{59, 0x1, "94287082", "46119246", "90693936"},
		{1111111109, 0x23523EC, "07081804", "68084774", "25091201"},
		{1111111111, 0x23523ED, "14050471", "67062674", "99943326"},
		{1234567890, 0x273EF07, "89005924", "91819424", "93441116"},
		{2000000000, 0x3F940AA, "69279037", "90698825", "38618901"},
		{20000000000, 0x27BC86AA, "65353130", "77737706", "47863826"},
	} {
		for _, one := range []struct {
			algorithm Algorithm
			seed      Seed
			want      string
		}{{SHA1, seed20, v.sha1}, {SHA256, seed32, v.sha256}, {SHA512, seed64, v.sha512}} {
			p := Parameters{Type: TOTP, Algorithm: one.algorithm, Digits: 8, Period: 30}
			step, err := p.Step(time.Unix(v.unix, 0))
			if err != nil || step != v.step {
				t.Errorf("the step of %d is %#x, %v, and not %#x", v.unix, step, err, v.step)
			}
			if got := mustCode(t, p, one.seed, step); got != one.want {
				t.Errorf("%d, %s: %s, and not %s", v.unix, one.algorithm, got, one.want)
			}
		}
	}
}

func TestStep(t *testing.T) {
	p := Parameters{Type: TOTP, Algorithm: SHA1, Digits: 6, Period: 60, T0: -90}
	for _, one := range []struct {
		unix int64
		step uint64
	}{{-90, 0}, {-31, 0}, {-30, 1}, {29, 1}, {30, 2}, {maxTime, (maxTime + 90) / 60}} {
		step, err := p.Step(time.Unix(one.unix, 999_999_999))
		if err != nil || step != one.step {
			t.Errorf("%d: step %d, %v, and not %d", one.unix, step, err, one.step)
		}
	}
	for _, end := range []struct {
		step uint64
		unix int64
	}{{0, -30}, {1, 30}, {(maxTime+90)/60 - 1, (maxTime+90)/60*60 - 90}, {(maxTime + 90) / 60, maxTime},
		{math.MaxInt64, maxTime}, {math.MaxUint64, maxTime}} {
		if got := p.StepEnd(end.step); got.Unix() != end.unix {
			t.Errorf("step %d ends at %d, and not %d", end.step, got.Unix(), end.unix)
		}
	}
}

// A step is over when the next one begins, for each time.
func TestStepEnds(t *testing.T) {
	for _, period := range []int{1, 7, 30, 60, MaxPeriod} {
		for _, t0 := range []int64{minTime, -1, 0, 12345} {
			p := Parameters{Type: TOTP, Algorithm: SHA1, Digits: 6, Period: period, T0: t0}
			for _, unix := range []int64{t0, t0 + 1, 1<<31 + 11, 19_912_435_199} {
				step, err := p.Step(time.Unix(unix, 0))
				if err != nil {
					t.Fatal(err)
				}
				end := p.StepEnd(step)
				if next, err := p.Step(end); err != nil || next != step+1 || end.Unix() <= unix {
					t.Errorf("%+v: step %d ends at %v, where step %d is, %v", p, step, end, next, err)
				}
				if last, err := p.Step(end.Add(-1)); err != nil || last != step {
					t.Errorf("%+v: step %d, %v just before %v, and not %d", p, last, err, end, step)
				}
			}
		}
	}
}

func TestNoStep(t *testing.T) {
	late := DefaultTOTP
	late.T0 = 1000
	early := DefaultTOTP
	early.T0 = minTime
	for _, one := range []struct {
		p  Parameters
		at time.Time
	}{
		{late, time.Unix(999, 999_999_999)}, {DefaultTOTP, time.Unix(-1, 0)}, {early, time.Unix(math.MaxInt64, 0)},
		{early, time.Unix(maxTime+1, 0)}, {early, time.Unix(minTime-1, 0)}, {late, time.Unix(math.MinInt64, 0)},
	} {
		if step, err := one.p.Step(one.at); !errors.As(err, new(*ClockError)) {
			t.Errorf("T0 %d: step %d, %v at %v", one.p.T0, step, err, one.at.Unix())
		}
	}
	for _, p := range []Parameters{{}, DefaultHOTP, {Type: TOTP, Algorithm: SHA1, Digits: 6}} {
		if step, err := p.Step(time.Unix(0, 0)); !errors.As(err, new(*ParameterError)) {
			t.Errorf("%+v: step %d, %v", p, step, err)
		}
		if end := p.StepEnd(1); !end.IsZero() {
			t.Errorf("%+v: a step ends at %v", p, end)
		}
	}
}

func TestParameters(t *testing.T) {
	totp := func(change func(*Parameters)) Parameters {
		p := DefaultTOTP
		change(&p)
		return p
	}
	hotp := DefaultHOTP
	hotp.Period = 30
	started := DefaultHOTP
	started.T0 = 1
	for _, one := range []struct {
		p    Parameters
		want string // the parameter; empty: right
	}{
		{DefaultTOTP, ""}, {DefaultHOTP, ""}, {hotp, "period"}, {started, "t0"},
		{totp(func(p *Parameters) { p.Type = 0 }), "type"}, {totp(func(p *Parameters) { p.Type = 3 }), "type"},
		{totp(func(p *Parameters) { p.Algorithm = 0 }), "algorithm"},
		{totp(func(p *Parameters) { p.Algorithm = 4 }), "algorithm"},
		{totp(func(p *Parameters) { p.Digits = 5 }), "digits"}, {totp(func(p *Parameters) { p.Digits = 11 }), "digits"},
		{totp(func(p *Parameters) { p.Digits = 10 }), ""}, {totp(func(p *Parameters) { p.Period = 0 }), "period"},
		{totp(func(p *Parameters) { p.Period = -30 }), "period"}, {totp(func(p *Parameters) { p.Period = 86400 }), ""},
		{totp(func(p *Parameters) { p.Period = 86401 }), "period"},
		{totp(func(p *Parameters) { p.T0 = minTime }), ""}, {totp(func(p *Parameters) { p.T0 = minTime - 1 }), "t0"},
		{totp(func(p *Parameters) { p.T0 = maxTime }), ""}, {totp(func(p *Parameters) { p.T0 = maxTime + 1 }), "t0"},
	} {
		problem := new(ParameterError)
		err := one.p.Valid()
		if errors.As(err, &problem); problem.Parameter != one.want || (err == nil) != (one.want == "") {
			t.Errorf("%+v: %v, and not about %q", one.p, err, one.want)
		}
		code, err := one.p.Code(seed20, 1)
		if (err == nil) != (one.want == "") || len(code) != one.p.Digits && err == nil {
			t.Errorf("%+v: code %q, %v", one.p, code, err)
		}
	}
}

func TestCodeNeedsSeed(t *testing.T) {
	for _, seed := range []Seed{nil, {}, make(Seed, MaxSeed+1)} {
		if code, err := DefaultTOTP.Code(seed, 1); !errors.As(err, new(*SeedError)) {
			t.Errorf("%d bytes: code %q, %v", len(seed), code, err)
		}
	}
}

func TestNames(t *testing.T) {
	got := fmt.Sprint(HOTP, TOTP, Type(9), SHA1, SHA256, SHA512, Algorithm(9))
	if want := "hotp totp type 9 SHA1 SHA256 SHA512 algorithm 9"; got != want {
		t.Errorf("%s, and not %s", got, want)
	}
}
