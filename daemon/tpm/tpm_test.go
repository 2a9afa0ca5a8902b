package tpm_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/fido"
	"fob/hotp"
)

var secret = fido.Secret("0123456789abcdef0123456789abcdef")

func seal(t *testing.T, by *tpm.TPM, lock tpm.Lock) *tpm.Object {
	t.Helper()
	o, err := by.Seal(t.Context(), secret, lock)
	if err != nil {
		t.Fatal(err)
	}
	again, err := tpm.ParseObject(o.Encode()) // as it is kept
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func expectOpen(t *testing.T, by *tpm.TPM, o *tpm.Object, pin fido.Secret) {
	t.Helper()
	if got, err := by.Unseal(t.Context(), o, pin); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("%x, %v", []byte(got), err)
	}
}

func expectClosed(t *testing.T, by *tpm.TPM, o *tpm.Object, pin fido.Secret, want error) {
	t.Helper()
	if got, err := by.Unseal(t.Context(), o, pin); !errors.Is(err, want) || got != nil {
		t.Errorf("%v, expected %v", err, want)
	}
}

// What is sealed opens after restarts, by its own TPM alone, and no more when that was cleared. Nothing stays loaded.
func TestSeal(t *testing.T) {
	machine, other := tpmtest.Start(t), tpmtest.Start(t)
	by := machine.TPM()
	o := seal(t, by, tpm.Lock{})
	expectOpen(t, by, o, nil)
	machine.Cycle()
	expectOpen(t, by, o, nil)
	expectClosed(t, other.TPM(), o, nil, tpm.ErrCleared)
	for at := range o.Private {
		if at%29 == 0 {
			o.Private[at] ^= 1
			expectClosed(t, by, o, nil, tpm.ErrInvalid)
			o.Private[at] ^= 1
		}
	}
	for _, kind := range []string{"handles-transient", "handles-loaded-session"} {
		if loaded := machine.Tool("tpm2_getcap", kind); loaded != "" {
			t.Errorf("still loaded: %s", loaded)
		}
	}
	machine.Tool("tpm2_clear")
	expectClosed(t, by, o, nil, tpm.ErrCleared)
}

// The TPM counts wrong PINs, says how many are left, and locks itself, also against the right one.
func TestPIN(t *testing.T) {
	machine := tpmtest.Start(t)
	machine.Tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=3", "--recovery-time=600",
		"--lockout-recovery-time=600")
	by := machine.TPM()
	pin := fido.Secret("1234")
	o, open := seal(t, by, tpm.Lock{PIN: pin}), seal(t, by, tpm.Lock{})
	if !o.NeedsPIN() || open.NeedsPIN() {
		t.Error("an object does not know whether it needs a PIN")
	}
	expectOpen(t, by, o, pin)
	expectClosed(t, by, o, nil, tpm.ErrPINNeeded)
	for left := 2; left >= 0; left-- {
		var wrong *tpm.PINError
		if _, err := by.Unseal(t.Context(), o, fido.Secret("1235")); !errors.As(err, &wrong) || wrong.Left != left {
			t.Errorf("%v, expected %d left", err, left)
		}
	}
	var locked *tpm.LockedOutError
	if _, err := by.Unseal(t.Context(), o, pin); !errors.As(err, &locked) || locked.Interval != 10*time.Minute {
		t.Errorf("%v", err)
	}
	expectOpen(t, by, open, nil) // has no PIN that could be guessed
	machine.Tool("tpm2_dictionarylockout", "--clear-lockout")
	expectOpen(t, by, o, pin)
	machine.Cycle()
	expectOpen(t, by, o, pin)
	for _, unfit := range []string{"", "123", strings.Repeat("1", tpm.MaxPIN+1), "12\x0034"} {
		if _, err := by.Seal(t.Context(), secret, tpm.Lock{PIN: fido.Secret(unfit)}); !errors.Is(err, tpm.ErrPINUnfit) {
			t.Errorf("PIN %q: %v", unfit, err)
		}
	}
	expectClosed(t, by, o, fido.Secret("123"), tpm.ErrPINUnfit)
	longest := fido.Secret(strings.Repeat("ü", tpm.MaxPIN/2))
	expectOpen(t, by, seal(t, by, tpm.Lock{PIN: longest}), longest)
}

// A secret that is bound to PCRs does not open when one has changed, but after a restart that sets them as before.
func TestPCRs(t *testing.T) {
	machine := tpmtest.Start(t)
	by, pin := machine.TPM(), fido.Secret("sesame")
	o := seal(t, by, tpm.Lock{PCRs: tpm.PCRs{7, 16}})
	both := seal(t, by, tpm.Lock{PIN: pin, PCRs: tpm.PCRs{7}})
	expectOpen(t, by, o, nil)
	expectOpen(t, by, both, pin)
	expectClosed(t, by, both, nil, tpm.ErrPINNeeded)
	expectClosed(t, by, both, fido.Secret("sesamo"), tpm.ErrPIN)
	machine.Tool("tpm2_pcrextend", "7:sha256="+strings.Repeat("ab", 32))
	expectClosed(t, by, o, nil, tpm.ErrPCR)
	expectClosed(t, by, both, pin, tpm.ErrPCR)
	unbound := *both
	unbound.PCRs = nil
	if got, err := by.Unseal(t.Context(), &unbound, pin); err == nil {
		t.Errorf("without its policy: %v", got)
	}
	machine.Cycle()
	expectOpen(t, by, o, nil)
	expectOpen(t, by, both, pin)
	if _, err := by.Seal(t.Context(), secret, tpm.Lock{PCRs: tpm.PCRs{24}}); !errors.Is(err, tpm.ErrUnfit) {
		t.Error(err)
	}
}

// A storage root key that lies in the TPM already is used where it is a standard one, and what it has sealed is not
// opened by another one.
func TestPersistentSRK(t *testing.T) {
	machine := tpmtest.Start(t)
	by := machine.TPM()
	before := seal(t, by, tpm.Lock{})
	persist(t, machine)
	after := seal(t, by, tpm.Lock{})
	if bytes.Equal(before.Parent, after.Parent) {
		t.Error("the storage root key at 0x81000001 is not used")
	}
	expectOpen(t, by, before, nil) // below the other one
	expectOpen(t, by, after, nil)
	machine.Tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", "0x81000001")
	expectClosed(t, by, after, nil, tpm.ErrCleared)
	expectOpen(t, by, before, nil)
	machine.Tool("tpm2_createprimary", "-Q", "-C", "o", "-G", "rsa2048", "-c", machine.File("srk.ctx", nil))
	machine.Tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", machine.File("srk.ctx", nil), "0x81000001")
	machine.Tool("tpm2_flushcontext", "-t")
	expectOpen(t, by, before, nil) // an RSA key is left alone
}

func TestOwnerPassword(t *testing.T) {
	machine := tpmtest.Start(t)
	machine.Tool("tpm2_changeauth", "-c", "owner", "secret")
	if _, err := machine.TPM().Seal(t.Context(), secret, tpm.Lock{}); !errors.Is(err, tpm.ErrOwner) {
		t.Error(err)
	}
}

func TestAbsent(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		"": tpm.ErrAbsent, filepath.Join(dir, "none"): tpm.ErrAbsent, plain: tpm.ErrAbsent, "/dev/null": nil,
	} {
		by := &tpm.TPM{Path: path}
		if err := by.Check(); !errors.Is(err, want) {
			t.Errorf("%q: %v", path, err)
		}
		if want == nil {
			want = tpm.ErrFailed
		}
		if _, err := by.Seal(t.Context(), secret, tpm.Lock{}); !errors.Is(err, want) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// A TPM that does not answer is given up when the caller does, and the next call is none the worse.
func TestNoAnswer(t *testing.T) {
	machine := tpmtest.Start(t)
	o := seal(t, machine.TPM(), tpm.Lock{})
	machine.Off()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	by := machine.TPM()
	if _, err := by.Unseal(ctx, o, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	machine.On()
	expectOpen(t, by, o, nil)
}

// tpm2-tools open what we have sealed, and we what they have.
func TestToolsUnseal(t *testing.T) {
	machine := tpmtest.Start(t)
	persist(t, machine)
	by, pin := machine.TPM(), fido.Secret("correct-horse")
	o := seal(t, by, tpm.Lock{PIN: pin})
	got := machine.Tool("tpm2_unseal", "-c", load(machine, o), "-p", string(pin))
	if got != string(secret) {
		t.Errorf("tpm2_unseal: %q", got)
	}
	if _, err := machine.Try("tpm2_unseal", "-c", load(machine, o), "-p", "incorrect"); err == nil {
		t.Error("tpm2_unseal opens it with a wrong PIN")
	}
}

// persist makes a storage root key with tpm2-tools, and leaves it at 0x81000001. Both see the same.
func persist(t *testing.T, machine *tpmtest.TPM) {
	t.Helper()
	key, public := machine.File("srk.ctx", nil), machine.File("srk.pub", nil)
	machine.Tool("tpm2_createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc256:aes128cfb", "-c", key, "-a",
		"fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt")
	machine.Tool("tpm2_evictcontrol", "-Q", "-C", "o", "-c", key, "0x81000001")
	machine.Tool("tpm2_flushcontext", "-t")
	machine.Tool("tpm2_readpublic", "-Q", "-c", "0x81000001", "-o", public)
	k, err := machine.TPM().SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := tpm.ParseSRK(b)
	if err != nil || !bytes.Equal(theirs.Encode(), k.Encode()) {
		t.Fatalf("tpm2_readpublic has another key: %v", err)
	}
}

// load loads an object with tpm2-tools.
func load(machine *tpmtest.TPM, o *tpm.Object) string {
	public := machine.File("o.pub", tpm2.Marshal(tpm2.TPM2BData{Buffer: o.Public}))
	private := machine.File("o.priv", tpm2.Marshal(tpm2.TPM2BData{Buffer: o.Private}))
	key := machine.File("o.ctx", nil)
	machine.Tool("tpm2_load", "-Q", "-C", "0x81000001", "-u", public, "-r", private, "-c", key)
	machine.Tool("tpm2_flushcontext", "-t")
	return key
}

// The vectors of RFC 4231 and RFC 2202, and seeds of all lengths, against crypto/hmac and tpm2_hmac.
func TestHMAC(t *testing.T) {
	machine := tpmtest.Start(t)
	by := machine.TPM()
	persist(t, machine)
	for _, a := range []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512} {
		for _, size := range []int{10, 20, 64, 65, 128, 129, 200} {
			seed := hotp.Seed(bytes.Repeat([]byte{byte(size), 0, 'x'}, size)[:size])
			o, err := by.NewHMAC(t.Context(), a, seed, tpm.Lock{})
			if err != nil {
				t.Fatalf("%v, %d bytes: %v", a, size, err)
			}
			message := []byte("what do ya want for nothing?")
			got, err := by.HMAC(t.Context(), o, nil, message)
			if want := tpm.SoftwareHMAC(a, seed, message); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v, %d bytes: %x, %v, expected %x", a, size, []byte(got), err, want)
			}
			if size == 20 {
				out := machine.Tool("tpm2_hmac", "-c", load(machine, o), "--hex", machine.File("message", message))
				if want := tpm.SoftwareHMAC(a, seed, message); strings.TrimSpace(out) != hex.EncodeToString(want) {
					t.Errorf("%v: tpm2_hmac says %s, expected %x", a, out, want)
				}
			}
		}
	}
}
