package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/ctap"
	"fob/ipc"
)

func (a *app) keyReset() *cobra.Command {
	confirm := ""
	c := &cobra.Command{
		Use:   "reset",
		Short: "Erase a key: all credentials, the PIN and the fingerprints",
		Long: `reset brings a key back to how it was made. All credentials on it are lost, also those that it keeps
at the servers: it opens no account any more for which it was registered. So are its PIN, its
fingerprints and its large blobs. It can't be undone.

reset says what will be lost, asks for the name of the key, and leads through: the key is unplugged,
plugged in again and touched. Leave all other keys as they are meanwhile; nothing is erased if another
one is plugged in or out, or if it is not certain that it is the same key.`,
		Example: "  fob key reset\n  fob key reset --confirm 'YubiKey 5 NFC'",
	}
	c.Flags().StringVar(&confirm, "confirm", "", "the `NAME` or id of the key, instead of asking for it")
	f := &managementFlags{person: a.person()} // who is asked for no PIN
	return a.onOneKey(c, f, func(ctx context.Context, f *managementFlags, _ []string) error {
		r := ipc.ResetRequest{Device: f.device, Name: confirm}
		if !c.Flags().Changed("confirm") {
			key, err := a.client.GetInfo(ctx, f.device)
			if err != nil {
				return err
			}
			r.Device = key.Device.ID // the one that the person is asked about
			if r.Name, err = askName(ctx, key); err != nil {
				return err
			}
		}
		if err := a.client.Reset(ctx, r, f); err != nil {
			return err
		}
		return a.done("the key is reset")
	})
}

var errNoName = program.Usage(errors.New(
	"the key's name is needed, and there is no terminal to ask for it; give it with --confirm"))

// askName says what will be lost, and has the person type which key is meant.
func askName(ctx context.Context, key *ipc.GetInfoReply) (string, error) {
	t, err := openTerminal()
	if err != nil {
		return "", errNoName
	}
	defer t.Close()
	fmt.Fprintf(t, "%s %s will be erased, for good:\n", shown(name(key.Device)), key.Device.ID)
	for _, line := range losses(&key.Info) {
		fmt.Fprintln(t, "  "+line)
	}
	called := key.Device.Product
	if called == "" {
		called = key.Device.ID
	}
	fmt.Fprintf(t, "type %s to go on: ", shown(called))
	typed, err := t.line(ctx)
	if typed = strings.TrimSpace(typed); errors.Is(err, ipc.ErrDeclined) || err == nil && typed == "" {
		return "", errNotConfirmed
	}
	return typed, err
}

// losses says what a reset erases, as far as the key tells it without its PIN.
func losses(i *ipc.Info) []string {
	list := []string{"all credentials: it opens none of its accounts any more"}
	if n := i.RemainingDiscoverableCredentials; n != nil {
		room := plural(*n, "more passkey", "more passkeys")
		list = append(list, "  it has room for "+room+"; how many it has, 'fob key credentials list' tells with its PIN")
	}
	if i.Options[ctap.OptionClientPIN] {
		list = append(list, "its PIN")
	}
	if i.Options[ctap.OptionBioEnroll] || i.Options[ctap.OptionUserVerificationMgmtPreview] {
		list = append(list, "its fingerprints")
	}
	if i.Options[ctap.OptionLargeBlobs] {
		list = append(list, "its large blobs")
	}
	return list
}

// Replug implements ipc.Prompter.
func (p *person) Replug(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	if e.Late {
		fmt.Fprintln(p.out, "that was too late for the key, and nothing is erased yet")
	}
	touch := "touch it when it blinks"
	if e.LongTouch {
		touch = "touch it for several seconds when it blinks"
	}
	fmt.Fprintf(p.out, "unplug %s and plug it in again, then %s\n", describe(e), touch)
}
