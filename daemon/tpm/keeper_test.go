package tpm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fob/daemon/otp"
	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/fido"
	"fob/hotp"
)

var _ otp.Keeper = tpm.Keeper{}

// seedOf is that of RFC 6238 appendix B, for a hash.
func seedOf(a hotp.Algorithm) hotp.Seed {
	return hotp.Seed(strings.Repeat("1234567890", 7)[:a.Size()])
}

// The vectors of RFC 6238 appendix B and RFC 4226 appendix D come out of the TPM, after restarts of it too.
func TestVectors(t *testing.T) {
	machine := tpmtest.Start(t)
	k := tpm.Keeper{TPM: machine.TPM()}
	totp := map[uint64][3]string{ // by the time step
		0x1:        {"94287082", "46119246", "90693936"},
		0x23523ec:  {"07081804", "68084774", "25091201"},
		0x23523ed:  {"14050471", "67062674", "99943326"},
		0x273ef07:  {"89005924", "91819424", "93441116"},
		0x3f940aa:  {"69279037", "90698825", "38618901"},
		0x27bc86aa: {"65353130", "77737706", "47863826"},
	}
	for _, a := range []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512} {
		p := hotp.Parameters{Type: hotp.TOTP, Algorithm: a, Digits: 8, Period: 30}
		h, err := k.Put(t.Context(), "token", p, seedOf(a))
		if err != nil {
			t.Fatal(err)
		}
		machine.Cycle()
		for step, want := range totp {
			if got, err := k.Code(t.Context(), h, p, step); err != nil || got != want[a-hotp.SHA1] {
				t.Errorf("%v, step %x: %s, %v, expected %s", a, step, got, err, want[a-hotp.SHA1])
			}
		}
	}
	h, err := k.Put(t.Context(), "token", hotp.DefaultHOTP, seedOf(hotp.SHA1))
	if err != nil {
		t.Fatal(err)
	}
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
		"399871", "520489"} {
		if got, err := k.Code(t.Context(), h, hotp.DefaultHOTP, uint64(counter)); err != nil || got != want {
			t.Errorf("counter %d: %s, %v, expected %s", counter, got, err, want)
		}
	}
}

// A seed with a PIN gives codes for it alone, and asks three times.
func TestKeeperPIN(t *testing.T) {
	machine := tpmtest.Start(t)
	machine.Tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=9", "--recovery-time=600",
		"--lockout-recovery-time=600")
	says := func(pins ...string) (tpm.Keeper, *[]string) {
		asked := new([]string)
		next := func() fido.Secret {
			pin := pins[0]
			pins = pins[1:]
			return fido.Secret(pin)
		}
		return tpm.Keeper{TPM: machine.TPM(),
			NewPIN: func(context.Context) (fido.Secret, error) { return next(), nil },
			PIN: func(_ context.Context, wrong error) (fido.Secret, error) {
				*asked = append(*asked, fmt.Sprint(wrong))
				if len(pins) == 0 {
					return nil, fido.ErrDeclined
				}
				return next(), nil
			}}, asked
	}
	p := hotp.DefaultHOTP
	k, _ := says("sesame")
	h, err := k.Put(t.Context(), "token", p, seedOf(hotp.SHA1))
	if err != nil {
		t.Fatal(err)
	}
	k, asked := says("1", "sesamo", "sesame")
	if code, err := k.Code(t.Context(), h, p, 0); err != nil || code != "755224" {
		t.Error(code, err)
	}
	if len(*asked) != 3 || (*asked)[0] != "<nil>" || !strings.Contains((*asked)[2], "8 more") {
		t.Error(*asked)
	}
	k, _ = says("sesamo", "sesami", "sesama", "sesame")
	if code, err := k.Code(t.Context(), h, p, 0); !errors.Is(err, tpm.ErrPIN) || code != "" {
		t.Error(code, err)
	}
	k, _ = says()
	if _, err := k.Code(t.Context(), h, p, 0); !errors.Is(err, fido.ErrDeclined) {
		t.Error(err)
	}
	if _, err := (tpm.Keeper{TPM: machine.TPM()}).Code(t.Context(), h, p, 0); !errors.Is(err, tpm.ErrPINNeeded) {
		t.Error(err)
	}
	k, _ = says("123")
	if _, err := k.Put(t.Context(), "token", p, seedOf(hotp.SHA1)); !errors.Is(err, tpm.ErrPINUnfit) {
		t.Error(err)
	}
	if _, err := k.Code(t.Context(), h[1:], p, 0); !errors.Is(err, tpm.ErrInvalid) {
		t.Error(err)
	}
	if err := k.Delete(t.Context(), h); err != nil {
		t.Error(err)
	}
}

// What a TPM costs: an HMAC with all that is loaded for it, and the data key of a store at the start.
func BenchmarkTPM(b *testing.B) {
	by := tpmtest.Start(b).TPM()
	k := tpm.Keeper{TPM: by}
	h, err := k.Put(b.Context(), "token", hotp.DefaultHOTP, seedOf(hotp.SHA1))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("code", func(b *testing.B) {
		for counter := uint64(0); b.Loop(); counter++ {
			if _, err := k.Code(b.Context(), h, hotp.DefaultHOTP, counter); err != nil {
				b.Fatal(err)
			}
		}
	})
	o, err := by.Seal(b.Context(), secret, tpm.Lock{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("unseal", func(b *testing.B) {
		for b.Loop() {
			if _, err := by.Unseal(b.Context(), o, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
