package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido"
	"fob/ipc"
)

func (a *app) keyFingerprint() *cobra.Command {
	c := &cobra.Command{
		Use:   "fingerprint",
		Short: "Enrol fingers on a key with a sensor, list, rename and remove them",
		Long: `These commands are for keys that have a fingerprint sensor. They want the key's PIN, or a finger that
the key knows where it takes that.

FINGERPRINT is an id as 'fob key fingerprint list' shows it, its first 4 or more characters, or the
name of the finger.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.fingerprintAdd(), a.fingerprintList(), a.fingerprintRename(), a.fingerprintRemove())
	return c
}

func (a *app) fingerprintAdd() *cobra.Command {
	name := ""
	c := &cobra.Command{
		Use:   "add",
		Short: "Enrol a finger",
		Long: `add takes samples of a finger until the key knows it, and tells how each was. Ctrl-C ends it, and
nothing is enrolled then.`,
		Example: "  fob key fingerprint add --name 'left thumb'",
	}
	c.Flags().StringVar(&name, "name", "", "call the finger `NAME`")
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		if c.Flags().Changed("name") && !fido.IsFingerprintName(name) {
			return badFingerprintName(name)
		}
		added, err := a.client.AddFingerprint(ctx, ipc.AddFingerprintRequest{Device: f.device, Name: name}, f)
		if err != nil {
			return err
		}
		return a.fingerprintDone(added, "is enrolled")
	})
}

func (a *app) fingerprintList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the fingers that the key knows"}
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		list, err := a.client.ListFingerprints(ctx, f.device, f)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(list)
		}
		return a.printFingerprints(list.Sensor, list.Fingerprints)
	})
}

func (a *app) printFingerprints(sensor *ipc.Sensor, list []ipc.Fingerprint) error {
	fmt.Fprintln(a.stderr, sensorText(sensor))
	if len(list) == 0 {
		fmt.Fprintln(a.stderr, "no finger is enrolled")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME")
	for _, f := range list {
		fmt.Fprintf(w, "%s\t%s\n", f.ID, shown(f.Name))
	}
	return w.Flush()
}

func sensorText(s *ipc.Sensor) string {
	kind := "a sensor"
	switch s.Kind {
	case ipc.SensorTouch:
		kind = "a touch sensor"
	case ipc.SensorSwipe:
		kind = "a swipe sensor"
	}
	return fmt.Sprintf("%s, %s of a finger", kind, plural(s.Samples, "sample", "samples"))
}

func (a *app) fingerprintRename() *cobra.Command {
	c := &cobra.Command{
		Use:   "rename FINGERPRINT NAME",
		Short: "Give a finger another name",
		Args:  arguments("FINGERPRINT", "NAME"),
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if !fido.IsFingerprintName(args[1]) {
			return badFingerprintName(args[1])
		}
		renamed, err := a.client.RenameFingerprint(ctx,
			ipc.RenameFingerprintRequest{Device: f.device, Fingerprint: args[0], Name: args[1]}, f)
		if err != nil {
			return err
		}
		return a.fingerprintDone(renamed, "is its name now")
	})
}

func (a *app) fingerprintRemove() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "remove FINGERPRINT",
		Short: "Make the key forget a finger",
		Args:  arguments("FINGERPRINT"),
	}
	c.Flags().BoolVar(&yes, "yes", false, "remove it without asking")
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if !yes {
			question := fmt.Sprintf("the key will not know finger %q any more; type yes to go on: ", shown(args[0]))
			if err := confirmYes(ctx, question); err != nil {
				return err
			}
		}
		removed, err := a.client.RemoveFingerprint(ctx,
			ipc.RemoveFingerprintRequest{Device: f.device, Fingerprint: args[0]}, f)
		if err != nil {
			return err
		}
		return a.fingerprintDone(removed, "is removed")
	})
}

// fingerprintDone tells what has happened to a finger.
func (a *app) fingerprintDone(f *ipc.Fingerprint, what string) error {
	if a.json {
		return a.printJSON(ipc.FingerprintReply{Fingerprint: f})
	}
	_, err := fmt.Fprintf(a.stdout, "%s %s\n", fingerText(f), what)
	return err
}

func fingerText(f *ipc.Fingerprint) string {
	if f.Name == "" {
		return "finger " + f.ID
	}
	return fmt.Sprintf("finger %s, %q,", f.ID, shown(f.Name))
}

func badFingerprintName(name string) error {
	return program.Usage(fmt.Errorf(
		"%q is no name for a finger: that is text that can be printed, without spaces around it", name))
}

// arguments wants those of these names.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return program.Usage(fmt.Errorf("%s is missing", names[len(args)]))
		case len(args) > len(names):
			return program.Usage(fmt.Errorf("unexpected argument %q", args[len(names)]))
		}
		return nil
	}
}

// Sample implements ipc.Prompter.
func (p *person) Sample(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	fmt.Fprintln(p.out, sampleText(e))
}

// sampleText says how a sample was, and what to do.
func sampleText(e ipc.Event) string {
	remaining := 0
	if e.Remaining != nil {
		remaining = *e.Remaining
	}
	switch text, known := sampleTexts[e.Sample]; {
	case e.Sample == "good" && remaining == 0:
		return "good, that was the last one"
	case e.Sample == "good":
		return fmt.Sprintf("good, %d more to go: lift the finger and lay it on again", remaining)
	case known:
		return text
	default:
		return fmt.Sprintf("not good (%s): try again", shown(e.Sample))
	}
}

var sampleTexts = map[string]string{
	"too_high":         "too high: lay the finger on further down",
	"too_low":          "too low: lay the finger on further up",
	"too_left":         "too far left: lay the finger on further right",
	"too_right":        "too far right: lay the finger on further left",
	"too_fast":         "too fast: leave the finger on the sensor a little longer",
	"too_slow":         "too slow: take the finger away a little sooner",
	"poor_quality":     "not clear: wipe the sensor and the finger, and try again",
	"too_skewed":       "askew: lay the finger on straight",
	"too_short":        "too short: lay on more of the finger, for longer",
	"merge_failure":    "it does not fit the samples before: use the same finger, and try again",
	"exists":           "the key knows this finger already: use another one",
	"no_user_activity": "no finger came: lay it on the sensor",

	"no_user_presence_transition": "the finger was not lifted: lift it and lay it on again",
}
