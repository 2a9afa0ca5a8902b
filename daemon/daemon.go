// Package daemon is fobd: it answers the interfaces of package ipc with the keys of a fido.Source.
//
// A Daemon is composed by its main program and serves one socket. Ceremonies on one key take turns; what they ask the
// person travels as events to the program that called, and comes back through fob.Prompt.
package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"

	"fob/fido"
	"fob/fido/metadata"
	"fob/ipc"
	"fob/ipc/varlink"
)

// Daemon is fobd without its process. Set Source, then call Serve, once.
type Daemon struct {
	Source  fido.Source
	Version string
	Log     *slog.Logger     // nil for none; gets who did what with which result, never a secret
	More    []Interface      // served beside those of package ipc that are its own
	Models  *metadata.Models // what is known about models of keys; nil for nothing
	// Held lists the readers with cards that other programs have for themselves. May be nil.
	Held func() []string
	// Present says by a session.Reason why nobody is at the computer now, so that no ceremony begins; nil where somebody
	// is, or that is not known. It returns when ctx ends. May be nil.
	Present func(ctx context.Context) error

	turns   turns
	prompts prompts
	plugs   plugs
	running running
	ending  sync.WaitGroup // ceremonies whose helpers have not ended yet
}

// Interface is a Varlink interface and who answers its methods, by their names without the interface.
type Interface struct {
	Description string
	Methods     map[string]varlink.Handler
}

// Serve answers the connections of l until ctx ends; then it cancels the ceremonies in progress and returns when their
// keys are dark. Only processes of our own user are served. It closes l.
func (d *Daemon) Serve(ctx context.Context, l net.Listener) error {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &varlink.Server{
		Vendor:    "fob",
		Product:   "fobd",
		Version:   d.Version,
		Authorize: SameUser,
		// A hostile program of ours may hold so much of fobd's memory: 512 MiB.
		MaxMessage:     128 << 10, // WebAuthn options have 64 KiB at most
		MaxReply:       1 << 20,   // for 1000 credentials; one key gives one list at a time
		MaxPipelined:   2,
		MaxConnections: 1024,
		Log:            d.Log,
	}
	for _, i := range []Interface{
		{ipc.DeviceInterface, d.deviceMethods()},
		{ipc.CeremonyInterface, map[string]varlink.Handler{"Register": d.register, "SignIn": d.signIn}},
		{ipc.PromptInterface, map[string]varlink.Handler{"Answer": d.answer}},
	} {
		for name, h := range i.Methods {
			i.Methods[name] = translated(h)
		}
		if err := s.Register(i.Description, i.Methods); err != nil {
			return err
		}
	}
	for _, i := range d.More {
		if err := s.Register(i.Description, i.Methods); err != nil {
			return err
		}
	}
	defer d.ending.Wait()
	return s.Serve(ctx, l)
}

// translated makes h return errors that have a name on the wire.
func translated(h varlink.Handler) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		reply, err := h(ctx, c)
		if err != nil {
			return nil, wireError(err)
		}
		return reply, nil
	}
}

// SameUser admits our own user alone, not even root: a PIN typed for this fobd is nobody else's business.
func SameUser(p varlink.Peer) error {
	if int(p.UID) != os.Getuid() {
		return varlink.PermissionDenied{}
	}
	return nil
}
