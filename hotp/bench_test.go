package hotp

import (
	"testing"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// What a verification costs beside one of the library's, which remembers nothing: three steps.
func BenchmarkVerify(b *testing.B) {
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			if _, err := DefaultPolicy.Verify(DefaultTOTP, seed20, State{}, "000000", noon); err != ErrWrongCode {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) { librarySteps(b, 1) })
}

// What it costs to look for a pair of codes in 1,001 steps.
func BenchmarkResync(b *testing.B) {
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			_, err := DefaultPolicy.Resync(DefaultTOTP, seed20, State{}, "000000", "111111", noon)
			if err != ErrWrongCode {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) { librarySteps(b, 500) })
}

// librarySteps looks for one code in a window by the library.
func librarySteps(b *testing.B, window uint) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	o := totp.ValidateOpts{Period: 30, Skew: window, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	for b.Loop() {
		if ok, err := totp.ValidateCustom("000000", secret, noon, o); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
