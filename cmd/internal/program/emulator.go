package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"fob/daemon/workbench"
	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/softkey"
)

// Emulator holds the flags that describe an emulated key.
type Emulator struct {
	Algorithms   []string
	Attestation  string
	EnterpriseRP []string
	Profile      string
	Touch        string
	PIN          string // a fixture: a key without hardware has no secret to guard
	PINFD        int
	State        string
	PassphraseFD int
	Faults       Faults

	// Wrap and Link are those of softkey.Options; no flags set them.
	Wrap func(ctap.Handler) ctap.Handler
	Link func(ctaphid.Conn) ctaphid.Conn
}

// Flags defines the flags, their names with a prefix.
func (e *Emulator) Flags(f *pflag.FlagSet, prefix string) {
	f.StringVar(&e.Profile, prefix+"profile", "", "`MODEL` of the emulated key, one of those that 'fob emulate --help' "+
		"lists (default that of the state file, or fido2.1)")
	f.StringVar(&e.Attestation, prefix+"attestation", "self", "`HOW` the emulated key attests credentials: "+
		"self, basic or none")
	f.StringSliceVar(&e.EnterpriseRP, prefix+"enterprise-rp", nil, "`RPID` that enterprise attestation by the vendor's "+
		"list is for; may be repeated")
	f.StringSliceVar(&e.Algorithms, prefix+"algorithms", nil, "`LIST` of algorithms instead of the model's: "+
		"es256, eddsa, es384, rs256, ml-dsa-44")
	f.StringVar(&e.Touch, prefix+"touch", "auto", "`POLICY` of who touches the emulated key: "+
		"auto, deny, never, delay=2s (or any duration), ask")
	f.StringVar(&e.PIN, prefix+"pin", "", "give the emulated key this `PIN`; other programs can see it, "+
		"so use one for tests")
	f.IntVar(&e.PINFD, prefix+"pin-fd", -1, "read the emulated key's PIN from file descriptor `N`")
	f.StringVar(&e.State, prefix+"state", "", "keep the emulated key in `FILE`, with its private keys in the clear "+
		"unless there is a passphrase")
	f.IntVar(&e.PassphraseFD, prefix+"state-passphrase-fd", -1, "encrypt the state file; read the passphrase from "+
		"file descriptor `N`")
	e.Faults.flags(f, prefix)
}

// Models lists the models of emulated keys for a person, a line each.
func Models() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, name := range emulator.ProfileNames() {
		p, err := emulator.LookupProfile(name)
		if err != nil {
			panic(err) // the name is one of theirs
		}
		fmt.Fprintf(w, "    %s\t%s\n", name, p.Summary)
	}
	w.Flush()
	return text.String()
}

// Bench is what the emulated keys of one program have in common.
type Bench struct {
	Terminal  io.Reader // answers questions when Touch is "ask"; a goroutine that reads it ends with it
	Questions io.Writer
	Log       *slog.Logger

	asker       *emulator.Asker
	pins        secrets[fido.PIN]
	passphrases secrets[emulator.Passphrase]
}

// Wipe forgets the secrets that were read, once all keys are plugged in.
func (b *Bench) Wipe() {
	b.pins.wipe()
	b.passphrases.wipe()
}

// secrets are those of several keys, by file descriptor, as each can be read once.
type secrets[S ~[]byte] map[int]S

func (s *secrets[S]) read(ctx context.Context, fd int, read func(context.Context, int) (S, error)) (S, error) {
	if secret, ok := (*s)[fd]; ok {
		return secret, nil
	}
	secret, err := read(ctx, fd)
	if err != nil {
		return nil, err
	}
	if *s == nil {
		*s = make(secrets[S])
	}
	(*s)[fd] = secret
	return secret, nil
}

func (s secrets[S]) wipe() {
	for _, secret := range s {
		clear(secret)
	}
}

func (b *Bench) ask() *emulator.Asker {
	if b.asker == nil {
		b.asker = emulator.NewAsker(b.Questions, b.Terminal)
	}
	return b.asker
}

// Options says what the flags ask for; secrets in it are the bench's. name is part of the questions to a person, where
// it is not empty.
func (e *Emulator) Options(ctx context.Context, b *Bench, name string) (workbench.Options, error) {
	o := workbench.Options{Options: softkey.Options{
		State: e.State, EnterpriseRPIDs: e.EnterpriseRP, Log: b.Log, Wrap: e.Wrap, Link: e.Link}}
	var err error
	if e.Profile != "" {
		if o.Profile, err = emulator.LookupProfile(e.Profile); err != nil {
			return o, Usage(err)
		}
	}
	if o.Attestation, err = emulator.ParseAttestation(e.Attestation); err != nil {
		return o, Usage(err)
	}
	for _, name := range e.Algorithms {
		alg, err := ctap.ParseAlgorithm(name)
		if err != nil {
			return o, Usage(err)
		}
		o.Algorithms = append(o.Algorithms, alg)
	}
	if e.Touch == "ask" {
		o.Ask = b.ask().Key(name)
	}
	if o.Policy, err = emulator.ParsePolicy(e.Touch, o.Ask); err != nil {
		return o, Usage(fmt.Errorf("%w, ask", err))
	}
	switch {
	case e.PIN != "" && e.PINFD >= 0:
		return o, Usage(errors.New("give the emulated key's PIN once"))
	case e.PIN != "":
		o.PIN = fido.PIN(e.PIN)
	case e.PINFD >= 0:
		if o.PIN, err = b.pins.read(ctx, e.PINFD, ReadPIN); err != nil {
			return o, err
		}
	}
	if e.PassphraseFD >= 0 {
		if e.State == "" {
			return o, Usage(errors.New("a passphrase is for a state file"))
		}
		if o.Passphrase, err = b.passphrases.read(ctx, e.PassphraseFD, ReadPassphrase); err != nil {
			return o, err
		}
	}
	o.Faults, err = e.Faults.injector()
	return o, err
}

// PlugError gives an error of plugging a key in the words of who gave the flags.
func PlugError(err error) error {
	switch {
	case errors.As(err, new(*fault.UnsuitableError)):
		return Usage(err)
	case errors.Is(err, ctap.ErrInvalidCommand):
		return Usage(errors.New("a key of this profile takes no PIN"))
	case errors.Is(err, ctap.ErrPINPolicyViolation):
		return Usage(ErrPINLength)
	default:
		return err
	}
}

// StateHint says what to do about an error of a state file; empty for other errors. prefix is that of the flags.
func StateHint(err error, prefix string) string {
	for _, known := range []struct {
		err  error
		hint string
	}{
		{emulator.ErrPassphraseMissing, "give the passphrase with --" + prefix + "state-passphrase-fd 3 3<FILE"},
		{emulator.ErrNotEncrypted, "'fob emulate export' and 'import' make an encrypted copy of it"},
		{emulator.ErrStateInUse, "end the program that has the key plugged in, or name another file"},
		{emulator.ErrStateExists, "name another file, or remove that one"},
		{emulator.ErrStateInvalid, "a state file is written by 'fob emulate --state' or 'import'"},
	} {
		if errors.Is(err, known.err) {
			return known.hint
		}
	}
	return ""
}

// UsageError is a mistake in how a program was called.
type UsageError struct{ error }

// Usage makes a mistake of the caller of err.
func Usage(err error) error { return UsageError{err} }

// Unwrap gives the error itself.
func (e UsageError) Unwrap() error { return e.error }
