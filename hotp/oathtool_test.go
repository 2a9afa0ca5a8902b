package hotp

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// oathtool gives the codes of a seed that it makes by its arguments.
func oathtool(t *testing.T, seed Seed, args ...string) []string {
	t.Helper()
	cmd := exec.Command("oathtool", append(args, "-")...)
	cmd.Stdin = strings.NewReader(hex.EncodeToString(seed))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v (it is in the package oathtool)", cmd.Args, err)
	}
	return strings.Fields(string(out))
}

const (
	oathtoolRuns   = 100
	oathtoolWindow = 30
	year2600       = 19_880_899_200 // its first second
)

// check compares the codes from a moving factor on with those that oathtool made.
func check(t *testing.T, p Parameters, seed Seed, factor uint64, want []string) {
	t.Helper()
	if len(want) != oathtoolWindow {
		t.Fatalf("%d codes, and not %d", len(want), oathtoolWindow)
	}
	for i, code := range want {
		if got := mustCode(t, p, seed, factor+uint64(i)); got != code {
			t.Fatalf("%+v, seed %x, factor %d: %s, and %s by oathtool", p, []byte(seed), factor+uint64(i), got, code)
		}
	}
}

func randomSeed(r *rand.Rand) Seed {
	seed := make(Seed, 1+r.IntN(MaxSeed))
	for i := range seed {
		seed[i] = byte(r.Uint32())
	}
	return seed
}

func TestOathtoolHOTP(t *testing.T) {
	r := rand.New(rand.NewPCG(4226, 1))
	for range oathtoolRuns {
		p := Parameters{Type: HOTP, Algorithm: SHA1, Digits: 6 + r.IntN(3)}
		seed, counter := randomSeed(r), r.Uint64()>>r.IntN(64)
		if counter > math.MaxUint64-oathtoolWindow { // whose codes would begin anew at 0
			counter -= oathtoolWindow
		}
		check(t, p, seed, counter, oathtool(t, seed, "-d", fmt.Sprint(p.Digits), "-c", fmt.Sprint(counter),
			"-w", fmt.Sprint(oathtoolWindow-1)))
	}
}

func TestOathtoolTOTP(t *testing.T) {
	r := rand.New(rand.NewPCG(6238, 1))
	for range oathtoolRuns {
		p := Parameters{Type: TOTP, Algorithm: SHA1 + Algorithm(r.IntN(3)), Digits: 6 + r.IntN(3)}
		p.Period = []int{30, 60, 1 + r.IntN(600), 1 + r.IntN(MaxPeriod)}[r.IntN(4)]
		p.T0 = []int64{0, 0, r.Int64N(1 << 31), -r.Int64N(1 << 31)}[r.IntN(4)]
		seed, now := randomSeed(r), p.T0+r.Int64N(year2600-p.T0)
		want := oathtool(t, seed, "--totp="+p.Algorithm.String(), "-d", fmt.Sprint(p.Digits),
			"-s", fmt.Sprint(p.Period)+"s", "-S", fmt.Sprint("@", p.T0), "-N", fmt.Sprint("@", now),
			"-w", fmt.Sprint(oathtoolWindow-1))
		step, err := p.Step(time.Unix(now, 0))
		if err != nil {
			t.Fatal(err)
		}
		check(t, p, seed, step, want)
	}
}
