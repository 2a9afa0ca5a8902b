package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"fob/cmd/internal/program"
	"fob/daemon/tpm"
	"fob/fido"
	"fob/ipc"
)

var (
	errNoPassphrase = errors.New("a passphrase is needed, and there is no terminal to ask for it; " +
		"give it with --passphrase-fd, or a new one with --new-passphrase-fd")
	errNoIdentity = program.Usage(errors.New("the backup is encrypted to public keys; " +
		"give the file of a private key with --identity"))
	errNoMatch = errors.New("no identity opens the backup")
)

// storePerson implements ipc.StorePrompter: the one at the terminal, or passphrases from file descriptors.
type storePerson struct {
	passphraseFD, newPassphraseFD int // -1 for none
	identities                    []string
	given                         ipc.Secret // that of passphraseFD
	of                            string     // whose PIN it is, where not the store's
}

func (a *app) storePerson() *storePerson { return &storePerson{passphraseFD: -1, newPassphraseFD: -1} }

func (p *storePerson) flags(f *pflag.FlagSet) {
	f.IntVar(&p.passphraseFD, "passphrase-fd", -1,
		"read the passphrase, or PIN, from file descriptor `N`, up to a line feed, instead of asking for it")
}

func (p *storePerson) newFlags(f *pflag.FlagSet) {
	f.IntVar(&p.newPassphraseFD, "new-passphrase-fd", -1, "the same for a new one")
}

// Consent implements ipc.StoreConsenter.
func (p *storePerson) Consent(ctx context.Context, e ipc.StoreEvent) error {
	return askConsent(ctx, e.Caller, inWords(ofStore, e.Method), e.Remembered)
}

// ofStore are the methods of fob.Store in words.
var ofStore = map[string]string{
	ipc.MethodExport:     "make a backup of all secrets in the sealed store",
	ipc.MethodImport:     "replace all secrets in the sealed store by a backup",
	ipc.MethodSeal:       "change what opens the sealed store",
	ipc.MethodStoreReset: "begin anew with an empty sealed store",
}

func (p *storePerson) wipe() { p.given.Wipe() }

// Passphrase implements ipc.StorePrompter. Who gives passphrases by file descriptors is not asked for one.
func (p *storePerson) Passphrase(ctx context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	isNew := e.Kind == ipc.StoreNewPassphrase
	switch {
	case isNew && p.newPassphraseFD >= 0:
		text, err := program.ReadPassphrase(ctx, p.newPassphraseFD)
		return ipc.Secret(text), err
	case !isNew && p.passphraseFD >= 0 && e.Wrong: // there is no other one to try
		return nil, ipc.PassphraseWrong{}
	case !isNew && p.passphraseFD >= 0:
		return p.once(ctx)
	}
	t, err := openTerminal()
	if err != nil {
		return nil, errNoPassphrase
	}
	defer t.Close()
	if e.Wrong {
		fmt.Fprintln(t, wrong(e))
	}
	for {
		text, err := p.ask(ctx, t, e)
		if text != nil && e.TPMPIN && !tpm.Possible(fido.Secret(text)) {
			text.Wipe()
			fmt.Fprintln(t, tpm.ErrPINUnfit)
			continue
		}
		if errors.Is(err, program.ErrPassphraseLength) {
			fmt.Fprintln(t, program.ErrPassphraseLength)
			continue
		}
		if err != nil || text != nil {
			return text, err
		}
	}
}

// once reads the passphrase of the file descriptor, and gives it again for what else has it.
func (p *storePerson) once(ctx context.Context) (ipc.Secret, error) {
	if p.given == nil {
		text, err := program.ReadPassphrase(ctx, p.passphraseFD)
		if err != nil {
			return nil, err
		}
		p.given = ipc.Secret(text)
	}
	return bytes.Clone(p.given), nil
}

// wrong tells that the one before was.
func wrong(e ipc.StoreEvent) string {
	switch {
	case !e.TPMPIN:
		return "wrong passphrase"
	case e.Retries == nil:
		return "wrong PIN"
	case *e.Retries == 0:
		return "wrong PIN; the TPM takes none for a while now"
	}
	return fmt.Sprintf("wrong PIN; the TPM takes %d more before it takes none for a while", *e.Retries)
}

// ask asks for a passphrase, for a new one two times; it gives nil where these differ, which the person is told.
func (p *storePerson) ask(ctx context.Context, t *terminal, e ipc.StoreEvent) (ipc.Secret, error) {
	what := "passphrase of the store: "
	switch {
	case e.Backup:
		what = "passphrase of the backup: "
	case e.TPMPIN:
		what = "PIN of " + cmp.Or(p.of, "the store") + ": "
	}
	if e.Kind == ipc.StorePassphrase {
		return t.passphrase(ctx, what)
	}
	text, err := t.passphrase(ctx, "new "+what)
	if err != nil {
		return nil, err
	}
	again, err := t.passphrase(ctx, "the same again: ")
	defer again.Wipe()
	if err == nil && bytes.Equal(text, again) {
		return text, nil
	}
	text.Wipe()
	if err == nil || errors.Is(err, program.ErrPassphraseLength) {
		fmt.Fprintln(t, "these were two different "+map[bool]string{true: "PINs", false: "passphrases"}[e.TPMPIN])
		return nil, nil
	}
	return nil, err
}

// FileKey implements ipc.StorePrompter.
func (p *storePerson) FileKey(ctx context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	if len(p.identities) == 0 {
		return nil, errNoIdentity
	}
	if e.Wrong { // ours are the same as before
		return nil, errNoMatch
	}
	var all []age.Identity
	for _, path := range p.identities {
		some, err := readIdentities(ctx, path)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	key, err := age.DecryptHeader([]byte(e.Header), all...)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, errNoMatch
	}
	return ipc.Secret(key), err
}

// maxIdentities is more than any file of private keys has, in bytes.
const maxIdentities = 1 << 20

// readIdentities reads the private keys in a file of age or OpenSSH.
func readIdentities(ctx context.Context, path string) ([]age.Identity, error) {
	b, err := readFile(path, maxIdentities)
	defer clear(b)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, []byte("-----BEGIN ")) {
		list, err := age.ParseIdentities(bytes.NewReader(b))
		if err != nil {
			return nil, program.Usage(fmt.Errorf("%s has no identities: %s", path, strings.TrimPrefix(err.Error(), "age: ")))
		}
		return list, nil
	}
	one, err := agessh.ParseIdentity(b)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) && encrypted.PublicKey != nil {
		one, err = agessh.NewEncryptedSSHIdentity(encrypted.PublicKey, bytes.Clone(b), func() ([]byte, error) {
			return askKeyPassphrase(ctx, path)
		})
	}
	if err != nil {
		return nil, program.Usage(fmt.Errorf("%s has no identity: %w", path, err))
	}
	return []age.Identity{one}, nil
}

func askKeyPassphrase(ctx context.Context, path string) ([]byte, error) {
	t, err := openTerminal()
	if err != nil {
		return nil, errNoPassphrase
	}
	defer t.Close()
	return t.passphrase(ctx, fmt.Sprintf("passphrase of %s: ", shown(path)))
}
