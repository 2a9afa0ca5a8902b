package tpm

import (
	"context"

	"github.com/google/go-tpm/tpm2"

	"fob/fido"
)

// MaxSealed is the longest secret that Seal takes, in bytes (part 2, "MAX_SYM_DATA").
const MaxSealed = 128

// Seal seals a secret of 1 to MaxSealed bytes, which stays the caller's. Unseal gives it again.
func (t *TPM) Seal(ctx context.Context, secret fido.Secret, lock Lock) (*Object, error) {
	if len(secret) == 0 || len(secret) > MaxSealed {
		return nil, ErrUnfit
	}
	return t.create(ctx, secret, tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{}),
	}, lock)
}

// Unseal gives the secret of an object that Seal has made. The caller wipes it.
func (t *TPM) Unseal(ctx context.Context, o *Object, pin fido.Secret) (secret fido.Secret, err error) {
	err = t.use(ctx, o, pin, func(c *conn, h tpm2.AuthHandle, s *session) error {
		s.takes = true
		h.Auth = unsealing{s}
		_, err := tpm2.Unseal{ItemHandle: h}.Execute(c)
		secret = s.take()
		return err
	})
	if err != nil {
		secret.Wipe()
		return nil, err
	}
	return secret, nil
}
