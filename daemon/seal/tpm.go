package seal

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"fob/daemon/tpm"
	"fob/fido"
)

// TPM is a Sealer without a secret of its own: a TPM keeps the data key, for the computer that it is in. With a PIN, of
// which the TPM lets nobody try many, it is of KindTPMPIN, else of KindTPM. Its errors are those of package tpm; a wrong
// PIN is ErrWrongKey as well.
type TPM struct {
	TPM  *tpm.TPM
	Lock tpm.Lock // Unseal takes the PIN of it alone: what is sealed knows its PCRs
}

var _ Sealer = TPM{}

// Kind implements Sealer.
func (t TPM) Kind() Kind {
	if t.Lock.PIN != nil {
		return KindTPMPIN
	}
	return KindTPM
}

// tpmTime is more than a TPM takes, also a slow one that makes its storage root key first.
const tpmTime = time.Minute

// Seal implements Sealer. What it gives has been tried.
func (t TPM) Seal(key fido.Secret) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tpmTime)
	defer cancel()
	o, err := t.TPM.Seal(ctx, key, t.Lock)
	if err != nil {
		return nil, err
	}
	again, err := t.TPM.Unseal(ctx, o, t.Lock.PIN)
	defer again.Wipe()
	if err == nil && subtle.ConstantTimeCompare(again, key) != 1 {
		err = &tpm.Error{Kind: tpm.ErrFailed, Detail: "it gave another secret than it had got"}
	}
	return o.Encode(), err
}

// Unseal implements Sealer.
func (t TPM) Unseal(payload []byte) (fido.Secret, error) {
	o, err := tpm.ParseObject(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), tpmTime)
	defer cancel()
	key, err := t.TPM.Unseal(ctx, o, t.Lock.PIN)
	switch {
	case errors.Is(err, tpm.ErrPIN), errors.Is(err, tpm.ErrPINUnfit):
		return nil, fmt.Errorf("%w: %w", ErrWrongKey, err)
	case err == nil && len(key) != KeySize:
		key.Wipe()
		return nil, fmt.Errorf("%w: a key of %d bytes", ErrInvalid, len(key))
	}
	return key, err
}
