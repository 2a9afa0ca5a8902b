package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/fido/endpoint"
	"fob/fido/helper"
	"fob/fido/softkey"
)

// plugTime is how long plugging a key in may take; pcscd and udev may be slow.
const plugTime = 20 * time.Second

// errUnplugged is a key that was lost while it was to be served.
var errUnplugged = errors.New("the emulated key was unplugged")

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
	if count > 1 {
		return "", nil, program.Usage(errors.New("plug the key in at one place: --pty, --uhid, --vpcd, --unix or --udp"))
	}
	return name, chosen, nil
}

func (a *app) emulate() *cobra.Command {
	var e program.Emulator
	var p place
	var r recording
	var verbose bool
	c := &cobra.Command{
		Use:   "emulate",
		Short: "Run an emulated security key, for tests and CI",
		Long: `emulate runs an emulated security key until it is interrupted. It protects nothing: use it for
tests alone. At a pseudo-terminal, the default, it needs no privileges.

When the key is ready, one line of JSON says where other programs find it:
    {"id":"…","endpoint":"pty","path":"/dev/pts/N"}
for 'fobd --device /dev/pts/N', 'fido2-token -I /dev/pts/N', 'ssh-keygen -O device=/dev/pts/N' and so on.

Models for --profile:
` + program.Models(),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			return r.while(&e, func() error { return a.runEmulate(c.Context(), &e, &p, log) })
		},
	}
	e.Flags(c.Flags(), "")
	p.flags(c.Flags())
	r.flags(c.Flags())
	c.AddCommand(a.emulateReplay())
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log each command and its status code")
	c.AddCommand(a.emulateExport(), a.emulateImport())
	return c
}

func (a *app) runEmulate(ctx context.Context, e *program.Emulator, p *place, log *slog.Logger) error {
	name, place, err := p.choose()
	if err != nil {
		return err
	}
	plugging, stop := context.WithTimeout(ctx, plugTime)
	defer stop()
	key, err := e.Plug(plugging, place, a.stdin, a.stderr, log)
	if errors.Is(err, endpoint.ErrNotLoopback) {
		return program.Usage(err)
	}
	if err != nil {
		return stateError(err)
	}
	ready := struct {
		ID       string `json:"id"`
		Endpoint string `json:"endpoint"`
		Path     string `json:"path"`
	}{keyID(key.Path()), name, key.Path()}
	if err := a.printJSON(ready); err != nil {
		return errors.Join(err, key.Close())
	}
	select {
	case <-ctx.Done():
		return key.Close()
	case <-key.Lost():
		return fmt.Errorf("%w: %w", errUnplugged, key.Close())
	}
}

// keyID is the ID that fobd will give the key, or a new one where fobd can't reach it.
func keyID(path string) string {
	if id, err := helper.DeviceID(path); err == nil {
		return string(id)
	}
	return strings.ToLower(rand.Text()[:8])
}
