package tpm_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/hotp"
)

// What is wrapped to a TPM, without it, is a key there and after its restarts, and nowhere else.
func TestWrap(t *testing.T) {
	machine, other := tpmtest.Start(t), tpmtest.Start(t)
	by := machine.TPM()
	k, err := by.SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k, err = tpm.ParseSRK(k.Encode()) // as it was sent to the issuer
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("12345678")
	for a, seed := range map[hotp.Algorithm]hotp.Seed{
		hotp.SHA1: hotp.Seed("12345678901234567890"), hotp.SHA256: bytes.Repeat([]byte{7}, 99),
		hotp.SHA512: bytes.Repeat([]byte("0123456789abcdef"), 8),
	} {
		w, err := k.Wrap(a, seed)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(w.Encode(), seed) {
			t.Errorf("%v: the seed is in the clear", a)
		}
		if _, err := other.TPM().Import(t.Context(), w); !errors.Is(err, tpm.ErrForeign) {
			t.Errorf("%v, another TPM: %v", a, err)
		}
		if w, err = tpm.ParseWrapped(w.Encode()); err != nil {
			t.Fatal(err)
		}
		o, err := by.Import(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		machine.Cycle()
		got, err := by.HMAC(t.Context(), o, nil, message)
		if err != nil || !bytes.Equal(got, tpm.SoftwareHMAC(a, seed, message)) {
			t.Errorf("%v: %v", a, err)
		}
		for _, part := range [][]byte{w.Duplicate, w.Seed, w.Public[len(w.Public)-9:]} {
			part[5] ^= 1
			if _, err := by.Import(t.Context(), w); !errors.Is(err, tpm.ErrInvalid) {
				t.Errorf("%v, changed: %v", a, err)
			}
			part[5] ^= 1
		}
		w.Parent = mustSRK(t, other.TPM()) // the other TPM can't be made to take it
		if _, err := other.TPM().Import(t.Context(), w); !errors.Is(err, tpm.ErrInvalid) {
			t.Errorf("%v, another parent: %v", a, err)
		}
	}
}

func mustSRK(t *testing.T, by *tpm.TPM) []byte {
	t.Helper()
	return seal(t, by, tpm.Lock{}).Parent
}

// tpm2_import takes what we have wrapped, and tpm2_hmac computes with it.
func TestToolsImport(t *testing.T) {
	machine := tpmtest.Start(t)
	persist(t, machine)
	k, err := machine.TPM().SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seed, message := hotp.Seed("12345678901234567890123456789012"), []byte("12345678")
	w, err := k.Wrap(hotp.SHA256, seed)
	if err != nil {
		t.Fatal(err)
	}
	public := machine.File("w.pub", tpm2.Marshal(tpm2.TPM2BData{Buffer: w.Public}))
	private, key := machine.File("w.priv", nil), machine.File("w.ctx", nil)
	machine.Tool("tpm2_import", "-Q", "-C", "0x81000001", "-u", public, "-r", private,
		"-i", machine.File("w.dup", tpm2.Marshal(tpm2.TPM2BData{Buffer: w.Duplicate})),
		"-s", machine.File("w.seed", tpm2.Marshal(tpm2.TPM2BData{Buffer: w.Seed})))
	machine.Tool("tpm2_load", "-Q", "-C", "0x81000001", "-u", public, "-r", private, "-c", key)
	machine.Tool("tpm2_flushcontext", "-t")
	out := machine.Tool("tpm2_hmac", "-c", key, "--hex", machine.File("message", message))
	if want := tpm.SoftwareHMAC(hotp.SHA256, seed, message); strings.TrimSpace(out) != hex.EncodeToString(want) {
		t.Errorf("tpm2_hmac says %s, expected %x", out, want)
	}
}

// A storage root key is one of P-256 by the template, and a point of the curve.
func TestParseSRK(t *testing.T) {
	machine := tpmtest.Start(t)
	k, err := machine.TPM().SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	off := tpm2.ECCSRKTemplate
	off.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: bytes.Repeat([]byte{1}, 32)}, Y: tpm2.TPM2BECCParameter{Buffer: make([]byte, 32)}})
	open := tpm2.ECCSRKTemplate
	open.ObjectAttributes.FixedTPM = false
	for what, c := range map[string]struct {
		text []byte
		want error
	}{
		"itself":           {k.Encode(), nil},
		"nothing":          {nil, tpm.ErrInvalid},
		"another block":    {bytes.ReplaceAll(k.Encode(), []byte("TPM2B_PUBLIC"), []byte("PUBLIC KEY")), tpm.ErrInvalid},
		"too much":         {append([]byte{0, 0}, make([]byte, 5000)...), tpm.ErrInvalid},
		"off the curve":    {tpm2.Marshal(tpm2.New2B(off)), tpm.ErrUnfit},
		"it may be copied": {tpm2.Marshal(tpm2.New2B(open)), tpm.ErrUnfit},
		"RSA":              {tpm2.Marshal(tpm2.New2B(tpm2.RSASRKTemplate)), tpm.ErrInvalid},
	} {
		if _, err := tpm.ParseSRK(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
