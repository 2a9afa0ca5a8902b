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
	ask  person
}

func (a *app) otpPerson() *otpPerson {
	return &otpPerson{storePerson: a.storePerson(), ask: a.person()}
}

func (p *otpPerson) wipe() {
	p.storePerson.wipe()
	p.seed.Wipe()
}

// Consent implements ipc.OTPPrompter.
func (p *otpPerson) Consent(ctx context.Context, e ipc.OTPEvent) error {
	return p.ask.Consent(ctx, ipc.Event{Kind: ipc.EventConsent, Device: e.Name, Caller: e.Caller, Verb: e.Verb,
		Method: e.Method, Remembered: e.Remembered})
}

// Seed implements ipc.OTPPrompter.
func (p *otpPerson) Seed(context.Context, ipc.OTPEvent) (ipc.Secret, error) {
	return bytes.Clone(p.seed), nil
}

// Passphrase implements ipc.OTPPrompter.
func (p *otpPerson) Passphrase(ctx context.Context, e ipc.OTPEvent) (ipc.Secret, error) {
	return p.storePerson.Passphrase(ctx, ipc.StoreEvent{Kind: ipc.StorePassphrase, Wrong: e.Wrong})
}
