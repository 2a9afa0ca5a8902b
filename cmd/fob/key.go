package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fob/ipc"
)

// managementFlags are those of commands that manage one key.
type managementFlags struct {
	person
	device string
}

// managed is how a command manages a key.
type managed func(ctx context.Context, f *managementFlags, args []string) error

func (a *app) key() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Manage a security key",
		Long: `These commands look into a security key and change it. Each does the one thing that it is named
after. Where several keys are plugged in, --device says which one is meant.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.keyInfo(), a.keyWink(), a.keyPIN(), a.keyAlwaysUV(), a.keyEnterprise(), a.keyModels(),
		a.keyCredentials(), a.keyLargeBlobs(), a.keyFingerprint(), a.keyReset())
	return c
}

// managing makes a command that manages one key, for which a PIN may be asked.
func (a *app) managing(c *cobra.Command, do managed) *cobra.Command {
	f := &managementFlags{person: a.person()}
	f.person.flags(c.Flags())
	return a.onOneKey(c, f, do)
}

// onOneKey makes a command of what is done to one key.
func (a *app) onOneKey(c *cobra.Command, f *managementFlags, do managed) *cobra.Command {
	if c.Args == nil {
		c.Args = noArguments
	}
	c.RunE = func(c *cobra.Command, args []string) error { return do(c.Context(), f, args) }
	c.Flags().StringVar(&f.device, "device", "", "`ID` of the key; needed where several are plugged in")
	return c
}

// done tells what a command has done to a key; programs know by the exit code.
func (a *app) done(format string, args ...any) error {
	if a.json {
		return a.printJSON(struct{}{})
	}
	_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}

func (a *app) keyAlwaysUV() *cobra.Command {
	c := &cobra.Command{
		Use:   "always-uv on|off",
		Short: "Want a PIN or fingerprint in every ceremony, or no longer",
		Long: `always-uv on makes the key want user verification, by PIN or fingerprint, in every ceremony,
whatever the relying party asks for; without a verified person it is of no use to anybody.`,
		Args: oneWord("on", "off"),
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		r := ipc.AlwaysUVRequest{Device: f.device, On: args[0] == "on"}
		if err := a.client.SetAlwaysUV(ctx, r, f); err != nil {
			return err
		}
		if r.On {
			return a.done("the key wants a PIN or fingerprint in every ceremony")
		}
		return a.done("the key wants a PIN or fingerprint when it is asked for one")
	})
}

func (a *app) keyEnterprise() *cobra.Command {
	c := &cobra.Command{
		Use:   "enterprise enable",
		Short: "Let the key name itself to its enterprise",
		Long: `enterprise enable lets the key attest with a certificate that tells it from all others, to
relying parties that its maker, or the enterprise that ordered it, has chosen. Only a reset takes
that back.`,
		Args: oneWord("enable"),
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		if err := a.client.EnableEnterpriseAttestation(ctx, f.device, f); err != nil {
			return err
		}
		return a.done("the key attests for its enterprise")
	})
}
