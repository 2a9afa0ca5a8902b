package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido"
	"fob/ipc"
)

func (a *app) keyPIN() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin",
		Short: "Set or change the PIN of a key",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.keyPINSet(), a.keyPINChange(), a.keyPINForceChange(), a.keyPINMinLength())
	return c
}

// newPINFlag is for commands that are about a new PIN.
func newPINFlag(c *cobra.Command, f *managementFlags) {
	f.choosing = true
	c.Flags().IntVar(&f.newPINFD, "new-pin-fd", -1,
		"read the new PIN from file descriptor `N`, up to a line feed, instead of asking for it")
}

func (a *app) keyPINSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set",
		Short: "Give a key that has no PIN one",
		Long: `set gives a key its first PIN. From then on the key asks for it where user verification is wanted,
and before it makes discoverable credentials. A PIN that is forgotten can't be brought back: only a
reset helps, which erases all credentials on the key.`,
	}
	f := &managementFlags{person: a.person()}
	newPINFlag(c, f)
	return a.onOneKey(c, f, func(ctx context.Context, f *managementFlags, _ []string) error {
		if err := a.client.SetPIN(ctx, f.device, f); err != nil {
			return err
		}
		return a.done("the PIN is set")
	})
}

func (a *app) keyPINChange() *cobra.Command {
	c := &cobra.Command{
		Use:   "change",
		Short: "Replace the PIN of a key",
		Long: `change asks for the PIN of a key, and for the one that it shall have from now on. Who gives one of them
by a file descriptor gives both in that way.`,
	}
	f := &managementFlags{person: a.person()}
	f.person.flags(c.Flags())
	newPINFlag(c, f)
	return a.onOneKey(c, f, func(ctx context.Context, f *managementFlags, _ []string) error {
		if f.pinFD >= 0 != (f.newPINFD >= 0) {
			return program.Usage(errors.New("--pin-fd and --new-pin-fd go together"))
		}
		if err := a.client.ChangePIN(ctx, f.device, f); err != nil {
			return err
		}
		return a.done("the PIN is changed")
	})
}

func (a *app) keyPINForceChange() *cobra.Command {
	c := &cobra.Command{
		Use:   "force-change",
		Short: "Make the key refuse its PIN until it was changed",
		Long: `force-change is for who hands out keys: the key takes its PIN for nothing but a change of it, so that
the next owner chooses one that nobody else knows.`,
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		if err := a.client.ForcePINChange(ctx, f.device, f); err != nil {
			return err
		}
		return a.done("the key wants its PIN to be changed")
	})
}

func (a *app) keyPINMinLength() *cobra.Command {
	var rpIDs []string
	c := &cobra.Command{
		Use:   "min-length LENGTH | --rp DOMAIN",
		Short: "Make longer PINs a must, or say who may ask for their length",
		Long: `min-length sets how many characters a PIN of the key has at least, 4 to 63. It can only grow; a reset
brings the first value back. A key whose PIN is too short wants it to be changed.

With --rp it says which relying parties may learn that length when they register the key, with the
extension minPinLength. They take the place of those that were set before.`,
		Example: "  fob key pin min-length 8\n  fob key pin min-length --rp example.com",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 == (len(rpIDs) > 0) {
				return program.Usage(errors.New("give a LENGTH, or relying parties with --rp"))
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&rpIDs, "rp", nil, "RP IDs: the `DOMAIN`s that may ask")
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if len(args) == 0 {
			r := ipc.MinPINLengthRPIDsRequest{Device: f.device, RPIDs: rpIDs}
			if err := a.client.SetMinPINLengthRPIDs(ctx, r, f); err != nil {
				return err
			}
			return a.done("%s may ask how short a PIN may be", strings.Join(rpIDs, ", "))
		}
		n, err := strconv.Atoi(args[0])
		if err != nil || n < fido.MinPINLength || n > fido.MaxPINLength {
			return program.Usage(fmt.Errorf(
				"%q is no length of a PIN, %d to %d", args[0], fido.MinPINLength, fido.MaxPINLength))
		}
		if err := a.client.SetMinPINLength(ctx, ipc.MinPINLengthRequest{Device: f.device, Length: n}, f); err != nil {
			return err
		}
		return a.done("a PIN of this key has %d characters at least", n)
	})
}

// oneWord wants one argument, of these words.
func oneWord(allowed ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		for _, word := range allowed {
			if len(args) == 1 && args[0] == word {
				return nil
			}
		}
		return program.Usage(fmt.Errorf("expected %s", strings.Join(allowed, " or ")))
	}
}
