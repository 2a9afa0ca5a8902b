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
	"slices"
	"sync"

	"fob/daemon/audit"
	"fob/daemon/consent"
	"fob/daemon/metrics"
	"fob/daemon/otp"
	"fob/daemon/policy"
	"fob/daemon/store"
	"fob/daemon/tpm"
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
	// Policy says what programs may do; nil for everything. Where it wants the person to be asked, Desktop is one way; nil
	// for none.
	Policy  *policy.Holder
	Desktop *consent.Desktop
	// Audit gets a record of each call that uses a key, and answers fob.Audit; nil for no log. AuditRequired has calls fail
	// that can leave no record; else they go on.
	Audit         *audit.Log
	AuditRequired bool
	Metrics       *metrics.Metrics // counts calls and events; nil for nothing
	// Authorize is asked about each peer; nil admits our own user alone. See varlink.Server. Other users whom it admits
	// can call some of the methods; see anybodys.
	Authorize func(varlink.Peer) error
	// Changed is called, and does not wait, when a ceremony begins or ends. May be nil.
	Changed func()
	// Held lists the readers with cards that other programs have for themselves. May be nil.
	Held func() []string
	// Store keeps secrets, and is closed by who has opened it; nil for none.
	Store *store.Store
	// TPM keeps what shall leave no hardware; nil for none.
	TPM *tpm.TPM
	// Keepers are places for the seeds of one-time passwords beside the store, by their names; nil for none.
	Keepers map[string]otp.Keeper
	// Present says by a session.Reason why nobody is at the computer now, so that no ceremony begins; nil where somebody is,
	// or that is not known. It returns when ctx ends. May be nil.
	Present func(ctx context.Context) error

	turns   turns
	prompts prompts
	// prompters answer prompts for the person; consents are what the person has agreed to for the session; each program has
	// one of its questions before them.
	prompters prompters
	consents  consent.Memory
	questions consent.Turns

	plugs   plugs
	running running
	uploads uploads
	moving  moving
	ending  sync.WaitGroup // ceremonies whose helpers have not ended yet
}

// Interface is a Varlink interface and who answers its methods, by their names without the interface.
type Interface struct {
	Description string
	Methods     map[string]varlink.Handler
}

// Serve answers the connections of l until ctx ends; then it cancels the ceremonies in progress and returns when their
// keys are dark. It closes l.
func (d *Daemon) Serve(ctx context.Context, l net.Listener) error {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Store == nil {
		d.Store = store.Open(store.Options{Log: d.Log})
	}
	s := d.server()
	for _, i := range slices.Concat(d.interfaces(), d.More) {
		for name, h := range i.Methods {
			i.Methods[name] = d.measured(calledBy(d.audited(d.guarded(h))))
		}
		if err := s.Register(i.Description, i.Methods); err != nil {
			return err
		}
	}
	defer d.ending.Wait()
	return s.Serve(ctx, l)
}

// server is one without interfaces.
func (d *Daemon) server() *varlink.Server {
	s := &varlink.Server{
		Vendor:    "fob",
		Product:   "fobd",
		Version:   d.Version,
		Authorize: d.authorize,
		TooMany:   ipc.TooManyConnections{},
		Refused:   d.countRefused,
		// A hostile program of ours may hold so much of fobd's memory: 512 MiB.
		MaxMessage:     128 << 10, // WebAuthn options have 64 KiB at most
		MaxReply:       1 << 20,   // for 1000 credentials; one key gives one list at a time
		MaxPipelined:   2,
		MaxConnections: 1024,
		// A program that leaks connections leaves three quarters to others; 200 calls a second on each, and 200 at once,
		// are more than a person's programs make, and less than burdens the machine.
		MaxPerProcess:  256,
		CallsPerSecond: 200,
		Log:            d.Log,
	}
	if d.Authorize != nil { // then there are other users, and none of them gets all the room
		s.MaxPerUser = s.MaxConnections / 2
	}
	return s
}

// interfaces are those of package ipc that are the daemon's own.
func (d *Daemon) interfaces() []Interface {
	list := []Interface{
		{ipc.DeviceInterface, d.deviceMethods()},
		{ipc.CeremonyInterface, map[string]varlink.Handler{"Register": d.register, "SignIn": d.signIn}},
		{ipc.PromptInterface, map[string]varlink.Handler{
			"Answer": d.answer, "Register": d.registerPrompter}},
		{ipc.StoreInterface, d.storeMethods()},
		{ipc.TPMInterface, d.tpmMethods()},
		{ipc.OTPInterface, d.otpMethods()},
		{ipc.AccountInterface, d.accountMethods()},
		{ipc.AuditInterface, d.auditMethods()},
	}
	for _, i := range list {
		for name, h := range i.Methods {
			i.Methods[name] = translated(h)
		}
	}
	return list
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

func (d *Daemon) authorize(p varlink.Peer) error {
	if d.Authorize == nil {
		return SameUser(p)
	}
	return d.Authorize(p)
}

// countRefused counts the peers that are not served.
func (d *Daemon) countRefused(why varlink.Named) {
	d.Metrics.Count("refused")
	if why == (ipc.TooManyConnections{}) {
		d.Metrics.Count("refused.tooMany")
	}
}

// SameUser admits our own user alone, not even root: a PIN typed for this fobd is nobody else's business.
func SameUser(p varlink.Peer) error {
	if int(p.UID) != os.Getuid() {
		return varlink.PermissionDenied{}
	}
	return nil
}
