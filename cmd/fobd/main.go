// Command fobd owns the security keys of a user and performs ceremonies on them for other programs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/consent"
	"fob/daemon/policy"
	"fob/daemon/session"
	"fob/daemon/workbench"
	"fob/fido"
	"fob/fido/helper"
	"fob/fido/metadata"
	"fob/ipc"
)

func main() {
	ctx, stop := program.Context()
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "fobd: %v\n", err)
		if h := hint(err); h != "" {
			fmt.Fprintf(os.Stderr, "hint: %s\n", h)
		}
		stop()
		os.Exit(exitCode(err))
	}
}

// listenError is an error of the socket.
type listenError struct{ error }

func (e listenError) Unwrap() error { return e.error }

// hint says what the person can do about an error.
func hint(err error) string {
	var rules *policy.Error
	switch {
	case errors.Is(err, daemon.ErrAlreadyRunning):
		return "use that one, or give this one another place with --socket"
	case errors.Is(err, daemon.ErrUnsafeFolder), errors.As(err, new(listenError)) && errors.Is(err, fs.ErrPermission):
		return "set XDG_RUNTIME_DIR to a folder that is yours alone, or name a socket in one with --socket"
	case errors.As(err, new(program.UsageError)):
		return "'fobd --help' tells more"
	case errors.As(err, &rules):
		return rules.Hint()
	default:
		return program.StateHint(err, "emulator-")
	}
}

// exitCode tells a mistake in how fobd was called from a failure.
func exitCode(err error) int {
	if errors.As(err, new(program.UsageError)) {
		return 2
	}
	return 1
}

// options are what the flags say.
type options struct {
	socket, helper string
	policy         string
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

When it is ready, fobd prints one line of JSON: {"socket": PATH}. It ends at SIGINT or
SIGTERM, after the ceremonies in progress were cancelled and their keys are dark.`,
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
	f := c.Flags()
	f.StringVar(&o.socket, "socket", ipc.DefaultSocket(), "listen at `PATH`; its folder must be ours alone, mode 0700")
	f.StringVar(&o.policy, "policy", "", "let programs do what the policy in `FILE` says (default: that of 'fob policy show')")
	f.StringVar(&o.helper, "helper", "", "`PATH` of fob-fido-helper (default: beside fobd)")
	f.StringArrayVar(&o.devices, "device", nil, "use the key at `PATH` too, which discovery can't see; may be repeated")
	f.BoolVar(&o.noDiscovery, "no-discovery", false, "don't look for keys; use those of --device, --emulator and --nfc alone")
	f.BoolVar(&o.nfc, "nfc", true, "use keys that are held to pcscd's readers, when it runs (off with --no-discovery)")
	f.BoolVar(&o.emulate, "emulator", false, "plug in an emulated key, for tests: it protects nothing; "+
		"'fob emulate control --socket' controls it")
	f.BoolVar(&o.onDemand, "on-demand", false, "start a helper process when a key is needed, and keep none ready: "+
		"saves memory, costs some milliseconds a ceremony")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log more")
	o.emulator.Flags(f, "emulator-")
	return c
}

// check refuses flags that would go unnoticed, and makes paths absolute: the helper works in another folder.
func (o *options) check(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		if strings.HasPrefix(flag.Name, "emulator-") && !o.emulate {
			err = program.Usage(fmt.Errorf("--%s goes with --emulator", flag.Name))
		}
	})
	if o.noDiscovery && !f.Changed("nfc") {
		o.nfc = false
	}
	for i := 0; i < len(o.devices) && err == nil; i++ {
		o.devices[i], err = filepath.Abs(o.devices[i])
	}
	return err
}

func (o *options) run(ctx context.Context) error {
	if err := program.Confine(); err != nil {
		return err
	}
	log := o.log()
	path, err := o.helperPath()
	if err != nil {
		return err
	}
	rules, err := policy.Open(o.policy)
	if err != nil {
		return err
	}
	d := &daemon.Daemon{Version: program.Version, Log: log, Policy: rules, Desktop: &consent.Desktop{Log: log}}
	var e extra
	e.add(o.named, nil)
	if o.emulate {
		bench := &workbench.Workbench{Log: log}
		defer bench.Close()
		key, err := o.plug(ctx, bench, log)
		if err != nil {
			return err
		}
		e.add(func() []fido.DeviceInfo { return emulated(key) }, bench.Plugs)
		d.More = append(d.More, bench.Interface())
	}
	if o.nfc {
		w, stop := followCards(ctx, log)
		defer stop()
		e.add(w.Devices, w.Changed)
		d.Held = w.Held
	}
	l, err := daemon.Listen(o.socket)
	if err != nil {
		return listenError{err}
	}
	source := &helper.Source{
		Path: path, Extra: e.devices, ExtraChanged: e.changed, NoDiscovery: o.noDiscovery, Log: log}
	d.Source = source
	if path, err := metadata.DefaultPath(); err == nil {
		d.Models = metadata.Open(path)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"socket": o.socket}); err != nil {
		return errors.Join(err, l.Close())
	}
	return o.serve(ctx, d, source, l)
}

func (o *options) log() *slog.Logger {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// serve serves, and does beside it what goes on as long.
func (o *options) serve(ctx context.Context, d *daemon.Daemon, source *helper.Source, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer stop()
	away := &session.Watcher{Log: d.Log, Away: func(ctx context.Context, why session.Reason) {
		d.Interrupt(ctx, why)
	}}
	d.Present = away.Present
	beside.Go(func() { away.Run(ctx) })
	if !o.onDemand {
		beside.Go(func() {
			if err := source.Keep(ctx); ctx.Err() == nil {
				d.Log.Warn("no helper is kept ready for keys", "error", err)
			}
		})
	}
	return d.Serve(ctx, l)
}

// named lists the keys of --device.
func (o *options) named() []fido.DeviceInfo {
	var list []fido.DeviceInfo
	for _, path := range o.devices {
		list = append(list, fido.DeviceInfo{Path: path, Product: "key at " + path})
	}
	return list
}

// emulated lists the emulated key, unless somebody has taken it out.
func emulated(key *workbench.Key) []fido.DeviceInfo {
	info := key.Info()
	if info.Path == "" {
		return nil
	}
	info.Mark = "emulator " + key.ID // wherever it is plugged in again
	return []fido.DeviceInfo{info}
}

// plug plugs the emulated key in.
func (o *options) plug(ctx context.Context, w *workbench.Workbench, log *slog.Logger) (*workbench.Key, error) {
	b := &program.Bench{Terminal: os.Stdin, Questions: os.Stderr, Log: log}
	defer b.Wipe()
	options, err := o.emulator.Options(ctx, b, "")
	if err != nil {
		return nil, err
	}
	w.Lost = func(_ *workbench.Key, err error) { log.Error("the emulated key is lost", "error", err) }
	key, err := w.Plug(ctx, options)
	return key, program.PlugError(err)
}

// helperPath finds the helper: where the flag says, else beside our own executable.
func (o *options) helperPath() (string, error) {
	path := o.helper
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		path = filepath.Join(filepath.Dir(self), "fob-fido-helper")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the helper program is missing, see --helper: %w", err)
	}
	return path, nil
}
