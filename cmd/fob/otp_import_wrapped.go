package main

import (
	"context"
	"encoding/base64"
	"errors"
	"math"

	"fob/daemon/tpm"
	"fob/daemon/tpm/wrapfile"
	"fob/hotp/seedfile"
	"fob/ipc"
)

// isWrapped tells whether the file that is open has seeds that were wrapped to a TPM.
func (i *importing) isWrapped() bool {
	head, _ := i.from.content.Peek(seedfile.HeadSize) // what is wrong with it, who reads it will find
	return wrapfile.Is(head)
}

// runWrapped adds the tokens of a file of wrapped seeds to the TPM.
func (i *importing) runWrapped(ctx context.Context) error {
	var tokens []*wrapfile.Token
	err := wrapfile.Read(i.from.content, func(t *wrapfile.Token) error {
		if len(tokens) == maxTokens {
			return errTooMany
		}
		tokens = append(tokens, t)
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range tokens {
		added, err := i.app.client.AddOTP(ctx, wrappedRequest(t), i.app.otpPerson())
		if err := i.added(added, err, &seedfile.Token{Serial: t.Serial, Account: t.Account}); err != nil {
			return err
		}
	}
	if i.bad > 0 {
		return notImported{i.bad, len(tokens)}
	}
	return nil
}

func wrappedRequest(t *wrapfile.Token) ipc.OTPAddRequest {
	r := ipc.OTPAddRequest{
		Issuer: t.Issuer, Account: t.Account, Type: ipc.OTPType(t.Type.String()),
		Algorithm: ipc.OTPAlgorithm(t.Algorithm.String()), Digits: t.Digits, Period: t.Period, T0: int(t.T0),
		Counter: int(min(t.Counter, math.MaxInt64)), Keeper: tpm.InTPM, SeedSize: t.SeedSize,
		Wrapped: base64.RawURLEncoding.EncodeToString(t.Key.Encode())}
	if t.Issuer == "" && t.Account == "" {
		r.Name = (&seedfile.Token{Serial: t.Serial, User: t.User}).Name()
	}
	return r
}

// ofOne reports whether a TPM refuses one token alone.
func ofOne(err error) bool {
	var u ipc.TPMUnusable
	return errors.As(err, &u) && (u.Reason == ipc.TPMUnsupported || u.Reason == ipc.TPMInvalid)
}
