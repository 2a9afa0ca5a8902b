package tpm

import (
	"context"
	"encoding/binary"
	"errors"

	"fob/fido"
	"fob/hotp"
)

// InTPM is the name of a Keeper.
const InTPM = "tpm"

// Keeper keeps seeds of one-time passwords in a TPM, which makes their codes. It is a Keeper of package otp; its handles
// are Objects.
type Keeper struct {
	TPM *TPM
	// PIN asks for the PIN of a seed. The one before was wrong where there is an error, which is ErrPIN or ErrPINUnfit. Nil:
	// nobody can be asked. NewPIN asks for that of a new seed; nil for none. The Keeper wipes what they give.
	PIN    func(ctx context.Context, wrong error) (fido.Secret, error)
	NewPIN func(ctx context.Context) (fido.Secret, error)
}

// Put implements otp.Keeper. The seed has been tried in the TPM then.
func (k Keeper) Put(ctx context.Context, _ string, p hotp.Parameters, seed hotp.Seed) (fido.Secret, error) {
	var lock Lock
	if k.NewPIN != nil {
		pin, err := k.NewPIN(ctx)
		if err != nil {
			return nil, err
		}
		defer pin.Wipe()
		lock.PIN = pin
	}
	o, err := k.TPM.NewHMAC(ctx, p.Algorithm, seed, lock)
	if err != nil {
		return nil, err
	}
	if err := k.try(ctx, o, p, seed, lock.PIN); err != nil {
		return nil, err
	}
	return o.Encode(), nil
}

// try compares codes of the TPM, of all 31 bits, with what they should be.
func (k Keeper) try(ctx context.Context, o *Object, p hotp.Parameters, seed hotp.Seed, pin fido.Secret) error {
	p.Digits = hotp.MaxDigits
	for _, movingFactor := range []uint64{0, 0x5aa5_c33c_0ff0_9669} {
		mac, err := k.TPM.HMAC(ctx, o, pin, message(movingFactor))
		if err != nil {
			return err
		}
		got, err := p.Truncate(mac)
		mac.Wipe()
		if err != nil {
			return err
		}
		if want, err := p.Code(seed, movingFactor); err != nil || got != want {
			return &Error{Kind: ErrFailed, Detail: "it computes a wrong HMAC", Err: err}
		}
	}
	return nil
}

// message is what HOTP computes the HMAC of (RFC 4226 §5.2).
func message(movingFactor uint64) []byte { return binary.BigEndian.AppendUint64(nil, movingFactor) }

// Code implements otp.Keeper.
func (k Keeper) Code(ctx context.Context, h fido.Secret, p hotp.Parameters, movingFactor uint64) (string, error) {
	o, err := ParseObject(h)
	if err != nil {
		return "", err
	}
	mac, err := k.mac(ctx, o, movingFactor)
	defer mac.Wipe()
	if err != nil {
		return "", err
	}
	return p.Truncate(mac)
}

// pinAttempts is how often a person may try a PIN.
const pinAttempts = 3

func (k Keeper) mac(ctx context.Context, o *Object, movingFactor uint64) (fido.Secret, error) {
	if !o.NeedsPIN() || k.PIN == nil {
		return k.TPM.HMAC(ctx, o, nil, message(movingFactor))
	}
	var wrong error
	for range pinAttempts {
		pin, err := k.PIN(ctx, wrong)
		if err != nil {
			return nil, err
		}
		mac, err := k.TPM.HMAC(ctx, o, pin, message(movingFactor))
		pin.Wipe()
		if !errors.Is(err, ErrPIN) && !errors.Is(err, ErrPINUnfit) {
			return mac, err
		}
		wrong = err
	}
	return nil, wrong
}

// Delete implements otp.Keeper: the TPM has nothing to forget.
func (Keeper) Delete(context.Context, fido.Secret) error { return nil }
