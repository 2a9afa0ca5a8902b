package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/transcript"
)

// recording says whether and where to write a transcript of what happens to an emulated key.
type recording struct {
	path           string
	packets, times bool
}

func (r *recording) flags(f *pflag.FlagSet) {
	f.StringVar(&r.path, "record", "", "write what the key is asked and answers to a new `FILE`, in words too; "+
		"it will hold user names and credential IDs")
	f.BoolVar(&r.packets, "record-packets", false, "record each CTAPHID packet, too")
	f.BoolVar(&r.times, "record-times", false, "record when things happened, too")
}

// while runs keys, and records the only one if that was asked for. A failure before anything
// happened leaves no file.
func (r *recording) while(keys []keyFlags, run func() error) (err error) {
	if r.path == "" {
		if r.packets || r.times {
			return program.Usage(errors.New("--record-packets and --record-times go with --record"))
		}
		return run()
	}
	if len(keys) > 1 {
		return program.Usage(errors.New("--record is for one key"))
	}
	e := &keys[0].Emulator
	recorder, err := transcript.Create(r.path)
	if err != nil {
		return err
	}
	recorder.SetTimes(r.times)
	e.Wrap = func(h ctap.Handler) ctap.Handler {
		recorder.SetKey(model(h))
		return recorder.Wrap(h)
	}
	if r.packets {
		e.Link = recorder.Link
	}
	err = run()
	if info, e := os.Stat(r.path); err != nil && e == nil && info.Size() == 0 {
		err = errors.Join(err, os.Remove(r.path))
	}
	return errors.Join(err, recorder.Close())
}

// model is the profile of a key, which faults may stand before; empty for what is none.
func model(h ctap.Handler) string {
	if before, ok := h.(interface{ Unwrap() ctap.Handler }); ok {
		return model(before.Unwrap())
	}
	if key, ok := h.(*emulator.Authenticator); ok {
		return key.Name
	}
	return ""
}

func (a *app) emulateReplay() *cobra.Command {
	var p place
	strictness := transcript.Loose
	strict := false
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a key that was recorded with 'fob emulate --record'",
		Long: `replay answers as the recorded key did, request by request in the recorded
order, so that a client meets again what it met then. It has no secrets: a
client gets as far as the first answer that is encrypted for the recorded
session, such as the token for a PIN. When it is interrupted, it fails if a
client sent what the transcript doesn't have.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return program.Usage(errors.New("name one transcript"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if strict {
				strictness = transcript.Strict
			}
			return a.runReplay(c.Context(), args[0], strictness, &p)
		},
	}
	p.flags(c.Flags())
	c.Flags().BoolVar(&strict, "strict", false, "want requests that equal the recorded ones byte for byte")
	return c
}

func (a *app) runReplay(ctx context.Context, path string, s transcript.Strictness, p *place) error {
	t, err := transcript.ReadFile(path)
	if err != nil {
		return err
	}
	player := transcript.NewPlayer(t, s)
	if player.Left() == 0 {
		return fmt.Errorf("%s: %w", path, transcript.ErrNoRequests)
	}
	var e program.Emulator
	e.Flags(pflag.NewFlagSet("", pflag.ContinueOnError), "") // the defaults
	if _, err := emulator.LookupProfile(t.Key); err == nil {
		e.Profile = t.Key // says which protocols the device speaks
	}
	e.Wrap = func(ctap.Handler) ctap.Handler { return player }
	f := &fleet{keys: []keyFlags{{Emulator: e, place: *p}}, log: slog.New(slog.DiscardHandler)}
	if err := errors.Join(a.runEmulate(ctx, f), player.Err()); err != nil {
		return err
	}
	if n := player.Left(); n > 0 {
		fmt.Fprintf(a.stderr, "nobody asked for the last %d answers of the transcript\n", n)
	}
	return nil
}
