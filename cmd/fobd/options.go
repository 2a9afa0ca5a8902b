package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/tpm"
	"fob/ipc"
)

// options are what the flags say.
type options struct {
	socket, helper string
	socketGiven    bool
	policy         string
	state          string
	tpm            string
	audit          string
	anyUser        bool
	idleExit       time.Duration // negative where the flag is not given
	devices        []string
	onDemand       bool
	noDiscovery    bool
	nfc            bool
	emulate        bool
	emulator       program.Emulator
	verbose        bool
}

func command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "fobd",
		Short: "Own the security keys of a user and perform ceremonies on them for other programs",
		Long: `fobd owns the security keys of a user and performs ceremonies on them for other programs,
which reach it through a Unix socket; 'fob' is one of them.

When it is ready, fobd prints one line of JSON: {"socket": PATH}. Where systemd has started it
for a socket of its own, it serves that one, and tells systemd how it goes. It ends at SIGINT or
SIGTERM, after the ceremonies in progress were cancelled and their keys are dark; a second signal
ends it at once. At SIGHUP it reads its files again.`,
		Args:          func(_ *cobra.Command, args []string) error { return program.NoArguments(args) },
		Version:       program.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c.Flags()); err != nil {
				return err
			}
			return o.run(c.Context())
		},
	}
	c.SetUsageFunc(program.PrintUsage)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return program.Usage(err) })
	o.define(c.Flags())
	return c
}

func (o *options) define(f *pflag.FlagSet) {
	f.StringVar(&o.socket, "socket", ipc.DefaultSocket(), "listen at `PATH`; its folder must be ours alone, mode 0700")
	f.BoolVar(&o.anyUser, "any-user", false, "serve whoever may open the socket, not our own user alone; "+
		"goes with a socket that systemd has made")
	f.DurationVar(&o.idleExit, "idle-exit", 0, "end when nobody was connected for `DURATION`; 0 for never "+
		"(default: 5m where systemd starts fobd again for the next one, unless an emulated key would be lost)")
	f.StringVar(&o.helper, "helper", "", "`PATH` of fob-fido-helper (default: beside fobd)")
	f.StringVar(&o.policy, "policy", "", "let programs do what the policy in `FILE` says (default: that of 'fob policy show')")
	f.StringVar(&o.state, "state", daemon.StateFolder(), "keep secrets, sealed, in the folder `DIR`; made when it is needed")
	f.StringVar(&o.tpm, "tpm", tpm.DefaultPath,
		"keep secrets by the TPM 2.0 at `PATH`, a device or a socket such as swtpm's; empty for none")
	f.StringVar(&o.audit, "audit", auditOn,
		"record what programs ask for: `on`, off, or required, which refuses what can't be recorded")
	f.StringArrayVar(&o.devices, "device", nil, "use the key at `PATH` too, which discovery can't see; may be repeated")
	f.BoolVar(&o.noDiscovery, "no-discovery", false, "don't look for keys; use those of --device, --emulator and --nfc alone")
	f.BoolVar(&o.nfc, "nfc", true, "use keys that are held to pcscd's readers, when it runs (off with --no-discovery)")
	f.BoolVar(&o.emulate, "emulator", false, "plug in an emulated key, for tests: it protects nothing; "+
		"'fob emulate control --socket' controls it")
	f.BoolVar(&o.onDemand, "on-demand", false, "start a helper process when a key is needed, and keep none ready: "+
		"saves memory, costs some milliseconds a ceremony")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	o.emulator.Flags(f, "emulator-")
}

// check refuses flags that would go unnoticed, and makes paths absolute: the helper works in another folder.
func (o *options) check(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if strings.HasPrefix(flag.Name, "emulator-") && !o.emulate {
			err = program.Usage(fmt.Errorf("--%s goes with --emulator", flag.Name))
		}
	})
	if err == nil {
		err = checkAudit(o.audit)
	}
	if o.state != "" && err == nil {
		o.state, err = filepath.Abs(o.state)
	}
	if o.tpm != "" && err == nil {
		o.tpm, err = filepath.Abs(o.tpm)
	}
	o.socketGiven = f.Changed("socket")
	switch {
	case !f.Changed("idle-exit"):
		o.idleExit = -1
	case o.idleExit < 0:
		err = program.Usage(fmt.Errorf("--idle-exit %v is negative", o.idleExit))
	}
	if o.noDiscovery && !f.Changed("nfc") {
		o.nfc = false
	}
	for i := 0; i < len(o.devices) && err == nil; i++ {
		o.devices[i], err = filepath.Abs(o.devices[i])
	}
	return err
}

// usualIdle is how long fobd waits for the next client where systemd starts it again.
const usualIdle = 5 * time.Minute

// idle is how long fobd waits for the next client, 0 for ever.
func (o *options) idle(activated bool) time.Duration {
	switch {
	case o.idleExit >= 0:
		return o.idleExit
	case activated && !o.emulate:
		return usualIdle
	default:
		return 0
	}
}

func (o *options) level() slog.Level {
	if o.verbose {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
