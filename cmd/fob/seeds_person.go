package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon/store"
	"fob/fido"
	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/ipc"
)

// Errors of who gives keys and passphrases.
var (
	errNoKey = errors.New("a key is needed, and there is no terminal to ask for it; " +
		"give it with --key-fd, or a new one with --new-key-fd")
	errSeedIdentity = program.Usage(errors.New("the file is encrypted to public keys of age; " +
		"give the file of a private key with --identity"))
	errSeedNoMatch = fmt.Errorf("no identity opens the file: %w", seedfile.ErrWrongKey)
	errKeySize     = errors.New("a key has 16, 24 or 32 bytes, as they are or as hexadecimal digits")
)

// passphraseAttempts is how often the person at the terminal is asked for a passphrase or a key.
const passphraseAttempts = 3

// seedPerson gives the keys and passphrases of seed files: the one at the terminal, or file descriptors. What it has
// given it remembers until wipe, for a file that is read twice.
type seedPerson struct {
	passphraseFD, newPassphraseFD, keyFD, newKeyFD int // -1 for none
	identities                                     []string
	old, new                                       ipc.Secret
	known                                          ipc.Secret // opens the file, and nobody is asked
}

func newSeedPerson() *seedPerson {
	return &seedPerson{passphraseFD: -1, newPassphraseFD: -1, keyFD: -1, newKeyFD: -1}
}

// flags are those for a file that is read.
func (p *seedPerson) flags(f *pflag.FlagSet) {
	f.IntVar(&p.passphraseFD, "passphrase-fd", -1,
		"read the passphrase that opens the file from file descriptor `N`, up to a line feed, instead of asking for it")
	f.IntVar(&p.keyFD, "key-fd", -1, "read the key that opens the file from file descriptor `N`: "+
		"16 to 32 bytes, or pairs of hexadecimal digits")
	f.StringArrayVar(&p.identities, "identity", nil,
		"open a file of age with the private keys in this `FILE`, of age or SSH; may be repeated")
}

// newFlags are those for a file that is written.
func (p *seedPerson) newFlags(f *pflag.FlagSet) {
	f.IntVar(&p.newPassphraseFD, "new-passphrase-fd", -1, "read the passphrase for the new file from file descriptor `N`")
	f.IntVar(&p.newKeyFD, "new-key-fd", -1, "read the key for the new file from file descriptor `N`")
}

func (p *seedPerson) wipe() {
	p.old.Wipe()
	p.new.Wipe()
	p.known.Wipe()
}

// usesStdin tells whether a secret comes from standard input.
func (p *seedPerson) usesStdin() bool {
	return p.passphraseFD == 0 || p.newPassphraseFD == 0 || p.keyFD == 0 || p.newKeyFD == 0
}

// opener gives what opens one file. Each time it is asked, what it has given before was wrong.
func (p *seedPerson) opener(ctx context.Context, name string) func(seedfile.Lock, string) (hotp.Seed, error) {
	attempts := 0
	return func(lock seedfile.Lock, hint string) (hotp.Seed, error) {
		attempts++
		if attempts == 1 && p.known != nil {
			return hotp.Seed(bytes.Clone(p.known)), nil
		}
		fd := p.passphraseFD
		if lock == seedfile.Key {
			fd = p.keyFD
		}
		if attempts > passphraseAttempts || attempts > 1 && fd >= 0 {
			return nil, seedfile.ErrWrongKey
		}
		p.old.Wipe()
		var err error
		p.old, err = p.oldSecret(ctx, lock, fd, name, hint, attempts > 1)
		return hotp.Seed(bytes.Clone(p.old)), err
	}
}

// oldSecret reads the secret of a file from a file descriptor, or asks for it.
func (p *seedPerson) oldSecret(ctx context.Context, lock seedfile.Lock, fd int, name, hint string,
	wrong bool) (ipc.Secret, error) {

	if fd >= 0 {
		return readSeedSecret(ctx, lock, fd)
	}
	t, err := openTerminal()
	if err != nil {
		return nil, noSecret(lock)
	}
	defer t.Close()
	what := "passphrase"
	if lock == seedfile.Key {
		what = "key, in hexadecimal digits,"
	}
	if wrong {
		fmt.Fprintln(t, "that was the wrong one")
	}
	if hint != "" {
		what += fmt.Sprintf(" %q", shown(hint))
	}
	return askSeedSecret(ctx, t, lock, fmt.Sprintf("%s of %s: ", what, shown(name)))
}

func noSecret(lock seedfile.Lock) error {
	if lock == seedfile.Key {
		return errNoKey
	}
	return errNoPassphrase
}

func readSeedSecret(ctx context.Context, lock seedfile.Lock, fd int) (ipc.Secret, error) {
	if lock != seedfile.Key {
		text, err := program.ReadPassphrase(ctx, fd)
		return ipc.Secret(text), err
	}
	raw, err := program.ReadKey(ctx, fd)
	defer clear(raw)
	if err != nil {
		return nil, err
	}
	return parseSeedKey(raw)
}

// askSeedSecret asks until what is typed can be a secret at all.
func askSeedSecret(ctx context.Context, t *terminal, lock seedfile.Lock, question string) (ipc.Secret, error) {
	for {
		text, err := t.passphrase(ctx, question)
		if err == nil && lock == seedfile.Key {
			var key ipc.Secret
			key, err = parseSeedKey(text)
			text.Wipe()
			text = key
		}
		if errors.Is(err, program.ErrPassphraseLength) || errors.Is(err, errKeySize) {
			fmt.Fprintln(t, err)
			continue
		}
		return text, err
	}
}

// parseSeedKey takes a key as its bytes, or as hexadecimal digits.
func parseSeedKey(raw []byte) (ipc.Secret, error) {
	text := bytes.TrimSpace(raw)
	if n := hex.DecodedLen(len(text)); isKeySize(n) && len(text)%2 == 0 {
		key := make(ipc.Secret, n)
		if _, err := hex.Decode(key, text); err == nil {
			return key, nil
		}
		key.Wipe()
	}
	if !isKeySize(len(raw)) {
		return nil, errKeySize
	}
	return ipc.Secret(bytes.Clone(raw)), nil
}

func isKeySize(n int) bool { return n == 16 || n == 24 || n == 32 }

// newSecret reads the secret for a new file, or asks for it two times.
func (p *seedPerson) newSecret(ctx context.Context, lock seedfile.Lock, name string) (ipc.Secret, error) {
	fd := p.newPassphraseFD
	if lock == seedfile.Key {
		fd = p.newKeyFD
	}
	var err error
	if fd >= 0 {
		p.new, err = readSeedSecret(ctx, lock, fd)
		return p.new, err
	}
	t, err := openTerminal()
	if err != nil {
		return nil, noSecret(lock)
	}
	defer t.Close()
	for {
		p.new, err = askNewSecret(ctx, t, lock, name)
		if p.new != nil || err != nil {
			return p.new, err
		}
	}
}

// askNewSecret gives nil where both answers differ, which the person is told.
func askNewSecret(ctx context.Context, t *terminal, lock seedfile.Lock, name string) (ipc.Secret, error) {
	what := "new passphrase for "
	if lock == seedfile.Key {
		what = "new key, in hexadecimal digits, for "
	}
	text, err := askSeedSecret(ctx, t, lock, what+shown(name)+": ")
	if err != nil {
		return nil, err
	}
	again, err := askSeedSecret(ctx, t, lock, "the same again: ")
	defer again.Wipe()
	if err == nil && bytes.Equal(text, again) {
		return text, nil
	}
	text.Wipe()
	if err == nil {
		fmt.Fprintln(t, "these were two different ones")
	}
	return nil, err
}

// ageIdentity opens a file of age, with a passphrase or private keys, whichever it takes.
type ageIdentity struct {
	ctx    context.Context
	person *seedPerson
	name   string
}

// Unwrap implements age.Identity.
func (i *ageIdentity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != "scrypt" {
		return i.byIdentities(stanzas)
	}
	for secret := i.person.opener(i.ctx, i.name); ; {
		passphrase, err := secret(seedfile.Passphrase, "")
		if err != nil {
			return nil, err
		}
		key, err := unwrapByPassphrase(passphrase, stanzas)
		passphrase.Wipe()
		if !errors.Is(err, age.ErrIncorrectIdentity) {
			return key, err
		}
	}
}

// unwrapByPassphrase leaves a copy of the passphrase in the memory of age, until it is collected.
func unwrapByPassphrase(passphrase hotp.Seed, stanzas []*age.Stanza) ([]byte, error) {
	identity, err := store.PassphraseIdentity(fido.Secret(passphrase))
	if err != nil {
		return nil, err
	}
	return identity.Unwrap(stanzas)
}

func (i *ageIdentity) byIdentities(stanzas []*age.Stanza) ([]byte, error) {
	if len(i.person.identities) == 0 {
		return nil, errSeedIdentity
	}
	for _, path := range i.person.identities {
		some, err := readIdentities(i.ctx, path)
		if err != nil {
			return nil, err
		}
		for _, identity := range some {
			key, err := identity.Unwrap(stanzas)
			if !errors.Is(err, age.ErrIncorrectIdentity) {
				return key, err
			}
		}
	}
	return nil, errSeedNoMatch
}

// ageRecipients reads public keys of age or OpenSSH.
func ageRecipients(texts []string) (recipients []age.Recipient, err error) {
	for _, text := range texts {
		var one []age.Recipient
		if strings.HasPrefix(text, "ssh-") {
			var r age.Recipient
			r, err = agessh.ParseRecipient(text)
			one = []age.Recipient{r}
		} else {
			one, err = age.ParseRecipients(strings.NewReader(text))
		}
		if err != nil {
			return nil, program.Usage(fmt.Errorf("--recipient %s is no public key of age or SSH", shown(text)))
		}
		recipients = append(recipients, one...)
	}
	return recipients, nil
}

// again gives for a file that was just written what was given for it.
func (p *seedPerson) again() *seedPerson {
	again := newSeedPerson()
	again.known = ipc.Secret(bytes.Clone(p.new))
	return again
}

// reopens gives for a file that is read a second time what has opened it.
func (p *seedPerson) reopens() *seedPerson {
	again := newSeedPerson()
	again.identities, again.known = p.identities, ipc.Secret(bytes.Clone(p.old))
	return again
}
