package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"fob/ipc"
)

var (
	errNoKeyPassword = errors.New("the security key wants a password, and there is no terminal to ask for it; " +
		"give it with --key-password-fd")
	errKeyPassword = errors.New("the password of the security key is wrong")
)

var errNoTokenPIN = errors.New("a PIN is needed, and there is no terminal to ask for it; " +
	"give it with --pin-fd, or a new one with --new-pin-fd")

// otpPerson implements ipc.OTPPrompter: the one at the terminal.
type otpPerson struct {
	*storePerson
	seed ipc.Secret   // of the token that is added, in Base32
	pins *storePerson // knows PINs of seeds in the TPM
	key  *storePerson // knows the password of a security key
}

func (a *app) otpPerson() *otpPerson {
	return &otpPerson{storePerson: a.storePerson(), pins: a.storePerson(), key: a.storePerson()}
}

func (p *otpPerson) wipe() {
	p.storePerson.wipe()
	p.seed.Wipe()
	p.pins.wipe()
	p.key.wipe()
}

func (p *otpPerson) pinFlag(f *pflag.FlagSet) {
	f.IntVar(&p.pins.passphraseFD, "pin-fd", -1,
		"read the PIN of a seed in the TPM from file descriptor `N`, up to a line feed, instead of asking for it")
}

func (p *otpPerson) newPINFlag(f *pflag.FlagSet) {
	f.IntVar(&p.pins.newPassphraseFD, "new-pin-fd", -1, "with --pin, read it from file descriptor `N`, up to a line feed")
}

// PIN implements ipc.OTPPrompter.
func (p *otpPerson) PIN(ctx context.Context, e ipc.OTPEvent) (ipc.Secret, error) {
	asked := ipc.StoreEvent{Kind: ipc.StorePassphrase, Wrong: e.Wrong, TPMPIN: true, Retries: e.Retries}
	if e.Kind == ipc.OTPNewPIN {
		asked.Kind = ipc.StoreNewPassphrase
	}
	p.pins.of = shown(e.Name)
	pin, err := p.pins.Passphrase(ctx, asked)
	if errors.Is(err, errNoPassphrase) {
		err = errNoTokenPIN
	}
	return pin, err
}

func (p *otpPerson) keyFlag(f *pflag.FlagSet) {
	f.IntVar(&p.key.passphraseFD, "key-password-fd", -1,
		"read the password of the security key from file descriptor `N`, up to a line feed, instead of asking for it")
}

// KeyPassword implements ipc.OTPPrompter.
func (p *otpPerson) KeyPassword(ctx context.Context, e ipc.OTPEvent) (ipc.Secret, error) {
	switch {
	case p.key.passphraseFD >= 0 && e.Wrong: // there is no other one to try
		return nil, errKeyPassword
	case p.key.passphraseFD >= 0:
		return p.key.once(ctx)
	}
	t, err := openTerminal()
	if err != nil {
		return nil, errNoKeyPassword
	}
	defer t.Close()
	if e.Wrong {
		fmt.Fprintln(t, "wrong password")
	}
	return t.passphrase(ctx, fmt.Sprintf("password of the security key %s: ", shown(e.Key)))
}

// Touch implements ipc.OTPPrompter.
func (p *otpPerson) Touch(_ context.Context, e ipc.OTPEvent) error {
	fmt.Fprintf(os.Stderr, "touch the security key %s\n", shown(e.Key))
	return nil
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

	ipc.MethodCreateRealm:     "make a realm of accounts",
	ipc.MethodRemoveRealm:     "remove a realm of accounts, for good",
	ipc.MethodAddPrincipal:    "add a user",
	ipc.MethodRemovePrincipal: "remove a user",
	ipc.MethodImportToken:     "take in the seed of a hardware token",
	ipc.MethodRemoveToken:     "forget a hardware token",
	ipc.MethodBeginEnrol:      "add an MFA device",
	ipc.MethodDetach:          "remove an MFA device",
	ipc.MethodUnlockToken:     "unlock an MFA device",
	ipc.MethodIssueTicket:     "make a ticket to enrol an MFA device",

	ipc.MethodOTPProvision: "write a seed of one-time passwords to a security key",
	ipc.MethodOTPClone:     "write a seed of one-time passwords to a second security key",
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
