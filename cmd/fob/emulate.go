package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/daemon/workbench"
	"fob/fido/endpoint"
	"fob/fido/fault"
	"fob/fido/softkey"
)

// plugTime is how long plugging a key in may take; pcscd and udev may be slow.
const plugTime = 20 * time.Second

// errLost is a fleet of keys of which some were lost.
var errLost = errors.New("were lost")

// lostKey is a key that went away by itself while it was to be served, and why.
type lostKey struct {
	id  string
	err error // may be nil
}

func (e *lostKey) Error() string {
	if e.err == nil {
		return fmt.Sprintf("the emulated key %s is lost", e.id)
	}
	return fmt.Sprintf("the emulated key %s is lost: %v", e.id, e.err)
}

func (e *lostKey) Unwrap() error { return e.err }

// place says where to plug an emulated key in.
type place struct {
	pty, uhid, vpcd bool
	unix, udp       string
}

func (p *place) flags(f *pflag.FlagSet) {
	f.BoolVar(&p.pty, "pty", false, "plug it in at a pseudo-terminal (the default)")
	f.BoolVar(&p.uhid, "uhid", false, "make it a hidraw device of this machine; needs /dev/uhid")
	f.BoolVar(&p.vpcd, "vpcd", false, "put it into the virtual NFC reader of pcscd; needs vsmartcard-vpcd")
	f.StringVar(&p.unix, "unix", "", "serve bare 64-byte reports at the Unix socket `PATH`")
	f.StringVar(&p.udp, "udp", "", "serve bare 64-byte reports at the loopback `ADDRESS`, such as 127.0.0.1:8111")
}

// choose gives the one place that was asked for, and its name.
func (p *place) choose() (string, softkey.Place, error) {
	name, chosen := "pty", softkey.Place(softkey.PTY)
	count := 0
	for _, o := range []struct {
		given bool
		name  string
		place softkey.Place
	}{
		{p.pty, "pty", softkey.PTY}, {p.uhid, "uhid", softkey.UHID}, {p.vpcd, "vpcd", softkey.VPCD},
		{p.unix != "", "unix", softkey.Unix(p.unix)}, {p.udp != "", "udp", softkey.UDP(p.udp)},
	} {
		if o.given {
			name, chosen = o.name, o.place
			count++
		}
	}
	if p.udp != "" {
		if _, err := netip.ParseAddrPort(p.udp); err != nil {
			return "", nil, program.Usage(fmt.Errorf("%.40q is no address such as 127.0.0.1:8111", p.udp))
		}
	}
	if count > 1 {
		return "", nil, program.Usage(errors.New("plug the key in at one place: --pty, --uhid, --vpcd, --unix or --udp"))
	}
	return name, chosen, nil
}

func (a *app) emulate() *cobra.Command {
	var f fleet
	var r recording
	var verbose bool
	c := &cobra.Command{
		Use:   "emulate",
		Short: "Run emulated security keys, for tests and CI",
		Long: `emulate runs an emulated security key, or many, until it is interrupted. They
protect nothing: use them for tests alone. At a pseudo-terminal, the default,
they need no privileges.

When a key is ready, one line of JSON says where other programs find it:
    {"id":"…","endpoint":"pty","path":"/dev/pts/N"}
for 'fobd --device /dev/pts/N', 'fido2-token -I /dev/pts/N',
'ssh-keygen -O device=/dev/pts/N' and so on.

Several keys: --count N, or --key once for each kind. Its value has the names
of the flags, without dashes and with commas between:
    --key profile=u2f,touch=deny,count=3 --key state=a.json,uhid
The flags beside it are for all keys that say nothing else. A comma inside a
value is written twice. In id, state and unix, {n} stands for the number of the
key, from 1. When one can't be plugged in, all are taken out again.

With --control, 'fob emulate control' plays the person who touches the keys and
takes them out and puts them in, and more; the line of JSON then has
"control":"PATH" too. --fault makes a key fail, as 'fob emulate faults' tells.

A key that is lost by itself, such as when its virtual reader goes, is told of
on standard error; the others go on. Exit codes: 0 when it was interrupted, 4
when a key was lost by then, 1 when a key could not be plugged in, 2 for wrong
usage.

Models for --profile:
` + program.Models(),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			level := slog.LevelError
			if verbose {
				level = slog.LevelDebug
			}
			f.log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
			if err := f.parse(c.Flags()); err != nil {
				return err
			}
			return r.while(f.keys, func() error { return a.runEmulate(c.Context(), &f) })
		},
	}
	f.flags(c.Flags())
	r.flags(c.Flags())
	c.Flags().BoolVarP(&verbose, "verbose", "v", false,
		"log each command, its status code, and each fault, not errors alone")
	c.AddCommand(a.emulateControl(), a.emulateReplay(), a.emulateExport(), a.emulateImport(), emulateFaults())
	return c
}

// emulateFaults is a page of help.
func emulateFaults() *cobra.Command {
	return &cobra.Command{Use: "faults", Short: "What --fault takes", Long: fault.Grammar}
}

// runEmulate runs the keys of a fleet until ctx ends, or no key is left.
func (a *app) runEmulate(ctx context.Context, f *fleet) (err error) {
	w := &workbench.Workbench{Version: program.Version, Log: f.log}
	lost := make(chan error, len(f.keys))
	w.Lost = func(k *workbench.Key, err error) { lost <- &lostKey{k.ID, err} }
	defer func() { err = errors.Join(err, w.Close()) }()
	stop, served, err := f.serveControl(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := a.plugKeys(ctx, f, w); err != nil {
		return err
	}
	return a.serveKeys(ctx, len(f.keys), lost, served)
}

// serveKeys waits for the end: of ctx, of all the keys, or of the control socket.
func (a *app) serveKeys(ctx context.Context, count int, lost <-chan error, served <-chan struct{}) error {
	for gone := 0; ; {
		select {
		case <-ctx.Done():
		case <-served: // because ctx ended, or else who stops it gets its error
		case err := <-lost:
			if gone++; gone == count {
				return err
			}
			a.report(err, false)
			continue
		}
		if gone > 0 {
			return fmt.Errorf("%d of %d emulated keys %w", gone, count, errLost)
		}
		return nil
	}
}

// plugKeys plugs the keys in, one after the other, and says where they are.
func (a *app) plugKeys(ctx context.Context, f *fleet, w *workbench.Workbench) error {
	b := &program.Bench{Terminal: a.stdin, Questions: a.stderr, Log: f.log}
	defer b.Wipe()
	options := make([]workbench.Options, len(f.keys))
	for i := range f.keys { // all mistakes before the first key
		var err error
		if options[i], err = f.keys[i].options(ctx, b, len(f.keys)); err != nil {
			return err
		}
	}
	for i, o := range options {
		if err := a.plugKey(ctx, w, o, f.control); err != nil {
			return plugFailed(i+1, len(f.keys), err)
		}
	}
	return nil
}

func (a *app) plugKey(ctx context.Context, w *workbench.Workbench, o workbench.Options, control string) error {
	plugging, stop := context.WithTimeout(ctx, plugTime)
	defer stop()
	key, err := w.Plug(plugging, o)
	if err != nil {
		return err
	}
	return a.printJSON(struct {
		ID       string `json:"id"`
		Endpoint string `json:"endpoint"`
		Path     string `json:"path"`
		Control  string `json:"control,omitempty"`
	}{key.ID, key.Endpoint, key.Path(), control})
}

// plugFailed says of several keys which one could not be plugged in.
func plugFailed(number, count int, err error) error {
	switch {
	case errors.Is(err, endpoint.ErrNotLoopback):
		return program.Usage(err)
	case errors.Is(err, context.Canceled):
		return err
	}
	err = program.PlugError(err)
	if count > 1 {
		err = fmt.Errorf("key %d of %d: %w", number, count, err)
	}
	if hint := limitHint(err); hint != "" {
		return advised{err, hint}
	}
	return stateError(err)
}

// limitHint names the limit that was hit, where it is one.
func limitHint(err error) string {
	call := new(os.SyscallError)
	errors.As(err, &call)
	switch {
	case call.Syscall == "inotify_init1" && errors.Is(err, unix.EMFILE):
		return "raise the limit with 'ulimit -n N', or 'sysctl fs.inotify.max_user_instances=N'"
	case call.Syscall == "inotify_add_watch" && errors.Is(err, unix.ENOSPC):
		return "raise the limit with 'sysctl fs.inotify.max_user_watches=N'"
	case call.Syscall == "open /dev/ptmx" && errors.Is(err, unix.ENOSPC):
		return "no pseudo-terminal is left; raise the limit with 'sysctl kernel.pty.max=N'"
	case errors.Is(err, unix.EMFILE):
		return "too many files are open; raise the limit with 'ulimit -n N'"
	case errors.Is(err, unix.ENFILE):
		return "too many files are open; raise the limit with 'sysctl fs.file-max=N'"
	default:
		return ""
	}
}
