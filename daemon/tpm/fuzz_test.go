package tpm

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"fob/hotp"
)

func sampleSRK(t testing.TB) *SRK {
	t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := private.PublicKey().Bytes()[1:]
	p := tpm2.ECCSRKTemplate
	p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{
		X: tpm2.TPM2BECCParameter{Buffer: point[:32]}, Y: tpm2.TPM2BECCParameter{Buffer: point[32:]}})
	return &SRK{&p}
}

func sampleWrapped(t testing.TB) *Wrapped {
	t.Helper()
	w, err := sampleSRK(t).Wrap(hotp.SHA256, hotp.Seed("12345678901234567890"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func FuzzParseObject(f *testing.F) {
	w := sampleWrapped(f)
	f.Add((&Object{Parent: w.Parent, Public: w.Public, Private: w.Duplicate, PCRs: PCRs{0, 7, 23}}).Encode())
	f.Add([]byte{objectVersion, 0, 1, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseObject(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if !o.PCRs.Valid() || !bytes.Equal(o.Encode(), b) {
			t.Errorf("%x is encoded as %x", b, o.Encode())
		}
		o.NeedsPIN()
	})
}

func FuzzParseWrapped(f *testing.F) {
	f.Add(sampleWrapped(f).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := ParseWrapped(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if !bytes.Equal(w.Encode(), b) {
			t.Errorf("%x is encoded as %x", b, w.Encode())
		}
		if a, ok := w.Algorithm(); ok && a.Size() == 0 {
			t.Error(a)
		}
	})
}

func FuzzParseSRK(f *testing.F) {
	f.Add(sampleSRK(f).Encode())
	f.Add(tpm2.Marshal(tpm2.New2B(*sampleSRK(f).public)))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseSRK(b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnfit) {
				t.Error(err)
			}
			return
		}
		again, err := ParseSRK(k.Encode())
		if err != nil || !bytes.Equal(again.Encode(), k.Encode()) {
			t.Errorf("%q: %v", k.Encode(), err)
		}
		if _, err := k.Wrap(hotp.SHA1, hotp.Seed("12345678901234567890")); err != nil {
			t.Error(err)
		}
	})
}
