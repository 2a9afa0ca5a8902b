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

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
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

	// Wrap and Link are those of softkey.Options; no flags set them.
	Wrap func(ctap.Handler) ctap.Handler
	Link func(ctaphid.Conn) ctaphid.Conn
}

// Flags defines the flags, their names with a prefix.
func (e *Emulator) Flags(f *pflag.FlagSet, prefix string) {
	f.StringVar(&e.Profile, prefix+"profile", "", "`MODEL` of the emulated key, one of those that 'fob emulate --help' lists (default that of the state file, or fido2.1)")
	f.StringVar(&e.Attestation, prefix+"attestation", "self", "how the emulated key attests credentials: `self`, basic or none")
	f.StringSliceVar(&e.EnterpriseRP, prefix+"enterprise-rp", nil, "`RPID` that enterprise attestation by the vendor's list is for; may be repeated")
	f.StringSliceVar(&e.Algorithms, prefix+"algorithms", nil, "`LIST` of algorithms instead of the model's: es256, eddsa, es384, rs256, ml-dsa-44")
	f.StringVar(&e.Touch, prefix+"touch", "auto", "`POLICY` of who touches the emulated key: auto, deny, never, delay=2s (or any duration), ask")
	f.StringVar(&e.PIN, prefix+"pin", "", "give the emulated key this `PIN`; other programs can see it, so use one for tests")
	f.IntVar(&e.PINFD, prefix+"pin-fd", -1, "read the emulated key's PIN from file descriptor `N`")
	f.StringVar(&e.State, prefix+"state", "", "keep the emulated key in `FILE`, with its private keys in the clear unless there is a passphrase")
	f.IntVar(&e.PassphraseFD, prefix+"state-passphrase-fd", -1, "encrypt the state file; read the passphrase from file descriptor `N`")
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

// Plug plugs the key in at a place, nil for a pseudo-terminal. terminal answers questions when Touch is "ask"; the
// goroutine that reads it ends with it.
func (e *Emulator) Plug(ctx context.Context, place softkey.Place, terminal io.Reader, questions io.Writer,
	log *slog.Logger) (*softkey.Key, error) {

	o := softkey.Options{
		State: e.State, EnterpriseRPIDs: e.EnterpriseRP, Log: log, Place: place, Wrap: e.Wrap, Link: e.Link}
	var err error
	if e.Profile != "" {
		if o.Profile, err = emulator.LookupProfile(e.Profile); err != nil {
			return nil, Usage(err)
		}
	}
	if o.Attestation, err = emulator.ParseAttestation(e.Attestation); err != nil {
		return nil, Usage(err)
	}
	for _, name := range e.Algorithms {
		alg, err := ctap.ParseAlgorithm(name)
		if err != nil {
			return nil, Usage(err)
		}
		o.Algorithms = append(o.Algorithms, alg)
	}
	if e.Touch == "ask" {
		o.Presence = emulator.NewAsker(questions, terminal).Touch
	} else if o.Presence, err = emulator.ParsePresence(e.Touch); err != nil {
		return nil, Usage(fmt.Errorf("%w, ask", err))
	}
	switch {
	case e.PIN != "" && e.PINFD >= 0:
		return nil, Usage(errors.New("give the emulated key's PIN once"))
	case e.PIN != "":
		o.PIN = fido.PIN(e.PIN)
	case e.PINFD >= 0:
		if o.PIN, err = ReadPIN(ctx, e.PINFD); err != nil {
			return nil, err
		}
		defer o.PIN.Wipe()
	}
	if e.PassphraseFD >= 0 {
		if e.State == "" {
			return nil, Usage(errors.New("a passphrase is for a state file"))
		}
		if o.Passphrase, err = ReadPassphrase(ctx, e.PassphraseFD); err != nil {
			return nil, err
		}
		defer o.Passphrase.Wipe()
	}
	key, err := softkey.Plug(ctx, o)
	if errors.Is(err, ctap.ErrInvalidCommand) {
		return nil, Usage(errors.New("a key of this profile takes no PIN"))
	}
	if errors.Is(err, ctap.ErrPINPolicyViolation) {
		err = Usage(ErrPINLength)
	}
	return key, err
}

// UsageError is a mistake in how a program was called.
type UsageError struct{ error }

// Usage makes a mistake of the caller of err.
func Usage(err error) error { return UsageError{err} }

// Unwrap gives the error itself.
func (e UsageError) Unwrap() error { return e.error }
