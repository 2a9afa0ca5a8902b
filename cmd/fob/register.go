package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/fido/ctap"
	"fob/fido/relyingparty"
	"fob/fido/webauthn"
	"fob/ipc"
)

// ceremonyFlags are what register and sign-in have in common.
type ceremonyFlags struct {
	person
	device       string
	verification string
	timeout      time.Duration
}

func (f *ceremonyFlags) flags(set *pflag.FlagSet) {
	f.person.flags(set)
	set.StringVar(&f.device, "device", "", "use the key with this `ID` alone, and not the one that is touched first")
	set.StringVar(&f.verification, "user-verification", "preferred",
		"PIN or fingerprint: required, preferred or discouraged")
	set.DurationVar(&f.timeout, "timeout", time.Minute, "give up after this `DURATION`, 1s to 5m")
}

func (f *ceremonyFlags) check() error {
	if f.timeout < time.Second || f.timeout > relyingparty.SessionLifetime {
		return program.Usage(fmt.Errorf("--timeout must be 1s to %v", relyingparty.SessionLifetime))
	}
	return oneOf("--user-verification", f.verification, "required", "preferred", "discouraged")
}

// context ends some time after fobd should have ended the ceremony by itself.
func (f *ceremonyFlags) context(ctx context.Context) (context.Context, context.CancelFunc) {
	return bounded(ctx, f.timeout)
}

// bounded ends when fobd has not ended a ceremony that may take d: it hangs.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d+5*time.Second, &ipc.Lost{Err: context.DeadlineExceeded})
}

func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return program.Usage(fmt.Errorf("%s %q is none of %s", flag, value, strings.Join(allowed, ", ")))
}

// registerFlags are those of register alone.
type registerFlags struct {
	ceremonyFlags
	rp, origin, user, displayName  string
	residentKey, attestation, save string
	algorithms, exclude            []string
	force                          bool
}

func (a *app) register() *cobra.Command {
	f := registerFlags{ceremonyFlags: ceremonyFlags{person: a.person()}}
	c := &cobra.Command{
		Use:   "register --rp DOMAIN --user NAME [--save FILE]",
		Short: "Register a credential on a security key",
		Long: `register makes a credential for a user on a security key. fob plays the relying party: it
makes the challenge, verifies what the key answers, and saves what a later 'fob sign-in FILE'
verifies against. The record that is saved is public data.`,
		Example: "  fob register --rp example.com --user alice@example.com --save alice.json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.checkAll(); err != nil {
				return err
			}
			ctx, stop := f.context(c.Context())
			defer stop()
			record, err := a.runRegister(ctx, &f)
			if err != nil {
				return err
			}
			if err := a.save(record, f.save, f.force); err != nil {
				return err
			}
			return a.printRegistered(record, f.save)
		},
	}
	set := c.Flags()
	f.flags(set)
	set.StringVar(&f.rp, "rp", "", "RP ID: the `DOMAIN` to register at")
	set.StringVar(&f.origin, "origin", "", "`ORIGIN` of the relying party (default https://DOMAIN)")
	set.StringVar(&f.user, "user", "", "`NAME` of the user, such as alice@example.com")
	set.StringVar(&f.displayName, "display-name", "", "how to show the user (default the user's name)")
	set.StringVar(&f.residentKey, "resident-key", "discouraged",
		"keep the credential on the key: required, preferred or discouraged")
	set.StringVar(&f.attestation, "attestation", "none",
		"ask which model the key is: none, indirect, direct or enterprise")
	set.StringSliceVar(&f.algorithms, "algorithm", []string{"es256", "eddsa"}, "signature algorithms, most wanted first")
	set.StringArrayVar(&f.exclude, "exclude", nil,
		"refuse a key that is registered in this `FILE` already; may be repeated")
	set.StringVar(&f.save, "save", "", "save the record to `FILE`, for 'fob sign-in'")
	set.BoolVar(&f.force, "force", false, "replace the file if there is one")
	c.MarkFlagRequired("rp")
	c.MarkFlagRequired("user")
	return c
}

func (f *registerFlags) checkAll() error {
	if err := f.check(); err != nil {
		return err
	}
	if f.user == "" {
		return program.Usage(errors.New("--user is empty"))
	}
	if err := oneOf("--resident-key", f.residentKey, "required", "preferred", "discouraged"); err != nil {
		return err
	}
	if err := oneOf("--attestation", f.attestation, "none", "indirect", "direct", "enterprise"); err != nil {
		return err
	}
	if f.origin == "" {
		f.origin = "https://" + f.rp
	}
	return f.checkSave()
}

// checkSave finds out whether the record can be saved, before the key makes a credential that would be lost.
func (f *registerFlags) checkSave() error {
	if f.save == "" {
		return nil
	}
	folder := filepath.Dir(f.save)
	if err := unix.Access(folder+"/.", unix.W_OK); err != nil {
		return program.Usage(fmt.Errorf("nothing can be saved in folder %s: %w", folder, err))
	}
	if _, err := os.Lstat(f.save); !f.force && !errors.Is(err, fs.ErrNotExist) {
		return program.Usage(fmt.Errorf("%s exists; --force replaces it", f.save))
	}
	return nil
}

func (a *app) runRegister(ctx context.Context, f *registerFlags) (*relyingparty.Record, error) {
	choices := relyingparty.RegistrationChoices{
		UserVerification: webauthn.UserVerificationRequirement(f.verification),
		ResidentKey:      webauthn.ResidentKeyRequirement(f.residentKey),
		Attestation:      webauthn.AttestationConveyancePreference(f.attestation),
		Timeout:          f.timeout,
	}
	var err error
	if choices.Algorithms, err = parseAlgorithms(f.algorithms); err != nil {
		return nil, err
	}
	if choices.Existing, err = readRecords(f.exclude); err != nil {
		return nil, err
	}
	rp, err := relyingparty.New(f.rp, f.origin)
	if err != nil {
		return nil, program.Usage(err)
	}
	options, session, err := rp.BeginRegistration(relyingparty.User{Name: f.user, DisplayName: f.displayName}, choices)
	if err != nil {
		return nil, program.Usage(err)
	}
	request := ipc.CeremonyRequest{Options: options, Origin: f.origin, Device: f.device}
	response, err := a.client.Register(ctx, request, f)
	if err != nil {
		return nil, err
	}
	return rp.FinishRegistration(session, response)
}

// save writes the record, or else prints it: the credential is on the key already, and worth nothing without it.
func (a *app) save(record *relyingparty.Record, path string, force bool) error {
	if path == "" {
		return nil
	}
	write := relyingparty.CreateRecord
	if force {
		write = relyingparty.WriteRecord
	}
	err := write(path, record)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("%w; here it is instead, on standard output", err), a.printJSON(record))
}

func parseAlgorithms(names []string) ([]ctap.Algorithm, error) {
	var list []ctap.Algorithm
	for _, n := range names {
		alg, err := ctap.ParseAlgorithm(n)
		if err != nil || !slices.Contains(relyingparty.Algorithms, alg) {
			return nil, program.Usage(fmt.Errorf("--algorithm %q is none of es256, eddsa, es384, rs256", n))
		}
		list = append(list, alg)
	}
	return list, nil
}

func readRecords(paths []string) ([]relyingparty.Record, error) {
	var records []relyingparty.Record
	for _, path := range paths {
		r, err := relyingparty.ReadRecord(path)
		if err != nil {
			return nil, err
		}
		records = append(records, *r)
	}
	return records, nil
}

func (a *app) printRegistered(r *relyingparty.Record, saved string) error {
	if a.json {
		return a.printJSON(r)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "registered\t%s at %s\n", shown(r.User.Name), r.RPID)
	fmt.Fprintf(w, "credential\t%s\n", r.Credential.ID)
	fmt.Fprintf(w, "algorithm\t%v\n", r.Credential.Algorithm)
	fmt.Fprintf(w, "user\t%s\n", presence(true, r.Credential.UserVerified))
	kept := "the server (not discoverable)"
	if r.Credential.Discoverable {
		kept = "the key (discoverable)"
	}
	fmt.Fprintf(w, "kept on\t%s\n", kept)
	if saved != "" {
		fmt.Fprintf(w, "saved\t%s\n", saved)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if saved == "" {
		fmt.Fprintln(a.stderr, "hint: nothing was saved; with --save FILE, 'fob sign-in FILE' can verify a sign-in")
	}
	return nil
}

// presence says how the person was there.
func presence(present, verified bool) string {
	switch {
	case present && verified:
		return "touched the key, verified by PIN or fingerprint"
	case verified:
		return "verified by PIN or fingerprint"
	case present:
		return "touched the key"
	default:
		return "not tested"
	}
}
