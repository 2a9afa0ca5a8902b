package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/relyingparty"
	"fob/fido/webauthn"
	"fob/ipc"
)

// errClone is a signature that is good, from a key that may not be the only one of its kind.
var errClone = errors.New("the signature is good, but the key's signature counter did not grow: " +
	"there may be a copy of the key")

// signInFlags are those of sign-in.
type signInFlags struct {
	ceremonyFlags
	discoverable bool
}

func (a *app) signIn() *cobra.Command {
	f := signInFlags{ceremonyFlags: ceremonyFlags{person: a.person()}}
	c := &cobra.Command{
		Use:   "sign-in FILE...",
		Short: "Sign in with a registered security key, and verify it",
		Long: `sign-in asks a security key to sign a new challenge and verifies the signature against the
records that 'fob register --save' made. Any one of the credentials in them will do. The record
that signed in is updated: its signature counter and the time of the last use.`,
		Example: "  fob sign-in alice.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return program.Usage(errors.New("name a record: the FILE of 'fob register --save FILE'"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, files []string) error {
			if err := f.check(); err != nil {
				return err
			}
			ctx, stop := f.context(c.Context())
			defer stop()
			return a.runSignIn(ctx, &f, files)
		},
	}
	f.flags(c.Flags())
	c.Flags().BoolVar(&f.discoverable, "discoverable", false, "don't name credentials to the key: let it say who signs in")
	return c
}

func (a *app) runSignIn(ctx context.Context, f *signInFlags, files []string) error {
	files = resolve(files)
	records, err := readRecords(files)
	if err != nil {
		return err
	}
	f.names = make(map[string]string)
	for i, r := range records {
		f.names[r.User.ID.String()] = r.User.Name
		if r.RPID != records[0].RPID || r.Origin != records[0].Origin {
			return program.Usage(fmt.Errorf("%s is of another relying party than %s", files[i], files[0]))
		}
	}
	rp, err := relyingparty.New(records[0].RPID, records[0].Origin)
	if err != nil {
		return err
	}
	options, session, err := rp.BeginSignIn(records, relyingparty.SignInChoices{
		UserVerification: webauthn.UserVerificationRequirement(f.verification),
		Discoverable:     f.discoverable,
		Timeout:          f.timeout,
	})
	if err != nil {
		return err
	}
	request := ipc.CeremonyRequest{Options: options, Origin: records[0].Origin, Device: f.device}
	response, err := a.client.SignIn(ctx, request, f)
	if err != nil {
		return err
	}
	done, err := rp.FinishSignIn(session, records, response)
	if err != nil {
		return err
	}
	if done.CloneWarning {
		return errClone
	}
	if err := a.printSignedIn(done); err != nil {
		return err
	}
	return relyingparty.WriteRecord(files[done.Index], &done.Record)
}

// resolve follows symbolic links, so that it is the record that gets replaced, and not the link.
func resolve(files []string) []string {
	resolved := slices.Clone(files)
	for i, path := range files {
		if to, err := filepath.EvalSymlinks(path); err == nil {
			resolved[i] = to
		}
	}
	return resolved
}

func (a *app) printSignedIn(s *relyingparty.SignIn) error {
	r := s.Record
	if a.json {
		return a.printJSON(struct {
			Verified     bool               `json:"verified"`
			RPID         string             `json:"rpId"`
			User         string             `json:"user"`
			CredentialID webauthn.Base64URL `json:"credentialId"`
			UserPresent  bool               `json:"userPresent"`
			UserVerified bool               `json:"userVerified"`
			SignCount    uint32             `json:"signCount"`
		}{true, r.RPID, r.User.Name, r.Credential.ID, s.UserPresent, s.UserVerified, s.SignCount})
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "signed in\t%s at %s\n", shown(r.User.Name), r.RPID)
	fmt.Fprintf(w, "verified\tthe %v signature of credential %s\n", r.Credential.Algorithm, r.Credential.ID)
	fmt.Fprintf(w, "user\t%s\n", presence(s.UserPresent, s.UserVerified))
	fmt.Fprintf(w, "counter\t%d\n", s.SignCount)
	return w.Flush()
}
