package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/webauthn"
	"fob/ipc"
)

func (a *app) webauthn() *cobra.Command {
	c := &cobra.Command{
		Use:   "webauthn",
		Short: "Perform ceremonies for a relying party of yours: WebAuthn JSON in, WebAuthn JSON out",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return program.Usage(fmt.Errorf("%q is neither create nor get", args[0]))
			}
			return program.Usage(errors.New("say create or get"))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	c.AddCommand(
		a.webauthnCommand("create", "Register: PublicKeyCredentialCreationOptionsJSON in, RegistrationResponseJSON out",
			a.client.Register),
		a.webauthnCommand("get", "Sign in: PublicKeyCredentialRequestOptionsJSON in, AuthenticationResponseJSON out",
			a.client.SignIn))
	return c
}

// longestCeremony is how long fobd lets a ceremony take at the most.
const longestCeremony = 10 * time.Minute

// perform is ipc.Client's Register or SignIn.
type perform func(context.Context, ipc.CeremonyRequest, ipc.Prompter) (json.RawMessage, error)

func (a *app) webauthnCommand(verb, short string, do perform) *cobra.Command {
	who := a.person()
	var origin, device string
	c := &cobra.Command{
		Use:   verb + " --origin ORIGIN <OPTIONS.json",
		Short: short,
		Long: short + `.

The options are read from standard input, the response is written to standard output; both are
the JSON of WebAuthn Level 3. fob checks that the RP ID is valid for the origin, as a browser does.`,
		Example: "  fob webauthn " + verb + " --origin https://example.com <options.json >response.json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			options, err := readOptions(a.stdin)
			if err != nil {
				return err
			}
			ctx, stop := bounded(c.Context(), longestCeremony)
			defer stop()
			response, err := do(ctx, ipc.CeremonyRequest{Options: options, Origin: origin, Device: device}, &who)
			if err != nil {
				return err
			}
			return a.printJSON(response)
		},
	}
	who.flags(c.Flags())
	c.Flags().StringVar(&origin, "origin", "", "`ORIGIN` of the relying party, such as https://example.com")
	c.Flags().StringVar(&device, "device", "", "use the key with this `ID`; needed when several are plugged in")
	c.MarkFlagRequired("origin")
	return c
}

// readOptions reads one JSON object of at most 64 KiB. What is in it is for fobd to judge.
func readOptions(r io.Reader) (json.RawMessage, error) {
	b, err := io.ReadAll(io.LimitReader(r, webauthn.MaxJSONSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > webauthn.MaxJSONSize:
		return nil, program.Usage(fmt.Errorf("the options on standard input are longer than %d bytes", webauthn.MaxJSONSize))
	case len(b) == 0:
		return nil, program.Usage(errors.New("standard input is empty; the options are expected there"))
	case !json.Valid(b):
		return nil, program.Usage(errors.New("standard input holds no JSON"))
	}
	return b, nil
}
