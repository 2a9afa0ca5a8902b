package main

import (
	"bytes"
	"context"

	"fob/ipc"
)

// otpPerson implements ipc.OTPPrompter: the one at the terminal.
type otpPerson struct {
	*storePerson
	seed ipc.Secret // of the token that is added, in Base32
}

func (a *app) otpPerson() *otpPerson {
	return &otpPerson{storePerson: a.storePerson()}
}

func (p *otpPerson) wipe() {
	p.storePerson.wipe()
	p.seed.Wipe()
}

// Consent implements ipc.OTPPrompter.
func (p *otpPerson) Consent(ctx context.Context, e ipc.OTPEvent) error {
	return askConsent(ctx, e.Caller, inWords(withTokens, e.Method)+": "+shown(e.Name), e.Remembered)
}

// withTokens are the methods of fob.OTP in words.
var withTokens = map[string]string{
	ipc.MethodOTPAdd:    "add a token of one-time passwords",
	ipc.MethodOTPCode:   "show a one-time password",
	ipc.MethodOTPRename: "rename a token of one-time passwords",
	ipc.MethodOTPRemove: "remove a token of one-time passwords, for good",
	ipc.MethodOTPExport: "be given the seed of one-time passwords",
}

// Seed implements ipc.OTPPrompter.
func (p *otpPerson) Seed(context.Context, ipc.OTPEvent) (ipc.Secret, error) {
	return bytes.Clone(p.seed), nil
}

// Passphrase implements ipc.OTPPrompter.
func (p *otpPerson) Passphrase(ctx context.Context, e ipc.OTPEvent) (ipc.Secret, error) {
	return p.storePerson.Passphrase(ctx, ipc.StoreEvent{
		Kind: ipc.StorePassphrase, Wrong: e.Wrong, TPMPIN: e.TPMPIN, Retries: e.Retries})
}
