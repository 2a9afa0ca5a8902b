package hotp

import (
	"encoding/base32"
	"math/rand/v2"
	"testing"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// byLibrary gives the code of a library that others wrote.
func byLibrary(t *testing.T, p Parameters, seed Seed, factor uint64) string {
	t.Helper()
	algorithm := map[Algorithm]otp.Algorithm{
		SHA1: otp.AlgorithmSHA1, SHA256: otp.AlgorithmSHA256, SHA512: otp.AlgorithmSHA512}[p.Algorithm]
	code, err := hotp.GenerateCodeCustom(base32.StdEncoding.EncodeToString(seed), factor,
		hotp.ValidateOpts{Digits: otp.Digits(p.Digits), Algorithm: algorithm})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// Seeds of each length, and so keys shorter than a block, as long, and longer.
func TestCodesOfTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(4226, 2))
	for n := MinSeed; n <= MaxSeed; n++ {
		for _, a := range []Algorithm{SHA1, SHA256, SHA512} {
			p := Parameters{Type: HOTP, Algorithm: a, Digits: MinDigits + n%(MaxDigits-MinDigits+1)}
			seed, factor := randomSeed(r)[:1], r.Uint64()
			for len(seed) < n {
				seed = append(seed, byte(r.Uint32()))
			}
			if got, want := mustCode(t, p, seed, factor), byLibrary(t, p, seed, factor); got != want {
				t.Errorf("%+v, %d bytes, factor %d: %s, and %s by the library", p, n, factor, got, want)
			}
		}
	}
}

func FuzzCode(f *testing.F) {
	f.Add([]byte(seed20), uint64(1), uint8(0), uint8(0))
	f.Add([]byte(seed64), ^uint64(0), uint8(2), uint8(4))
	f.Fuzz(func(t *testing.T, seed []byte, factor uint64, algorithm, digits uint8) {
		p := Parameters{Type: HOTP, Algorithm: SHA1 + Algorithm(algorithm%3), Digits: MinDigits + int(digits%5)}
		if Seed(seed).Valid() != nil {
			return
		}
		if got, want := mustCode(t, p, seed, factor), byLibrary(t, p, seed, factor); got != want {
			t.Errorf("%s, and %s by the library", got, want)
		}
	})
}

// A generator that is wiped holds nothing of its seed, and a hash that is used again none of it either.
func TestGeneratorIsWiped(t *testing.T) {
	for _, a := range []Algorithm{SHA1, SHA256, SHA512} {
		g, err := newGenerator(Parameters{Type: HOTP, Algorithm: a, Digits: 6}, seed64)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.code(1); err != nil {
			t.Fatal(err)
		}
		g.wipe()
		for _, b := range [][]byte{g.inner, g.outer, g.sum[:cap(g.sum)]} {
			for _, c := range b {
				if c != 0 {
					t.Fatalf("%s: %x is left", a, b)
				}
			}
		}
	}
}
