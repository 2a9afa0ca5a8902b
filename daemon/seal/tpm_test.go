package seal

import (
	"bytes"
	"errors"
	"testing"

	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/fido"
)

// A TPM opens what it has sealed, with the PIN where there is one, and another one doesn't.
func TestTPM(t *testing.T) {
	mine, other := tpmtest.Start(t).TPM(), tpmtest.Start(t).TPM()
	pin := fido.Secret("1234")
	for kind, by := range map[Kind]TPM{
		KindTPM: {TPM: mine}, KindTPMPIN: {TPM: mine, Lock: tpm.Lock{PIN: pin, PCRs: tpm.PCRs{7}}},
	} {
		key := NewKey()
		payload, err := by.Seal(key)
		if err != nil || len(payload) > MaxPayload || by.Kind() != kind || kind.NeedsPerson() != (kind == KindTPMPIN) {
			t.Fatalf("%s: %s, %d bytes, %v", kind, by.Kind(), len(payload), err)
		}
		if got, err := by.Unseal(payload); !bytes.Equal(got, key) || err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		by.Lock.PIN = fido.Secret("4321")
		if _, err := by.Unseal(payload); kind == KindTPMPIN && !errors.Is(err, ErrWrongKey) {
			t.Error(err)
		}
		by.TPM = other
		if _, err := by.Unseal(payload); !errors.Is(err, tpm.ErrCleared) {
			t.Errorf("%s, another TPM: %v", kind, err)
		}
		if _, err := by.Unseal(payload[1:]); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, cut short: %v", kind, err)
		}
	}
	if payload, err := (TPM{TPM: new(tpm.TPM)}).Seal(NewKey()); !errors.Is(err, tpm.ErrAbsent) || payload != nil {
		t.Error(err)
	}
}
