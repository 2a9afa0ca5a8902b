package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/consent"
	"fob/daemon/metrics"
	"fob/daemon/policy"
	"fob/daemon/service"
	"fob/daemon/session"
	"fob/fido/helper"
	"fob/fido/metadata"
	"fob/fido/nfcbridge"
	"fob/ipc"
	"fob/ipc/varlink"
)

// fobd is what runs: a daemon, and what it is composed of.
type fobd struct {
	*options
	log      *slog.Logger
	daemon   *daemon.Daemon
	service  *service.Service
	source   *helper.Source
	cards    *nfcbridge.Watcher // nil where readers are left alone
	watchdog time.Duration      // within which the service manager wants to hear of us; 0 for never
	keys     following

	beside []func(ctx context.Context) // what goes on while it serves
	after  []func()                    // what is done when it does not any more, the last one first
}

// run composes a fobd and serves until ctx ends, or nobody has come for a while.
func (o *options) run(ctx context.Context) error {
	begun := time.Now()
	hangups := watchHangups()
	if err := program.Confine(); err != nil {
		return err
	}
	f := &fobd{options: o, log: service.NewLog(os.Stderr, o.level())}
	defer f.cleanUp()
	if err := f.compose(ctx, begun); err != nil {
		return err
	}
	if err := f.listen(); err != nil {
		return listenError{err}
	}
	if err := f.openState(); err != nil {
		f.service.Listener.Close()
		return err
	}
	if err := f.announce(); err != nil {
		f.service.Listener.Close()
		return err
	}
	return f.serve(ctx, hangups)
}

// compose makes the daemon. What is a part of it adds its line to fob.Service.Status, and perhaps to what is reloaded.
func (f *fobd) compose(ctx context.Context, begun time.Time) error {
	counts := new(metrics.Metrics)
	f.daemon = &daemon.Daemon{Version: program.Version, Log: f.log, Metrics: counts}
	f.service = &service.Service{Daemon: f.daemon, Metrics: counts, Log: f.log, Version: program.Version, Begun: begun,
		Notifier: &service.Notifier{Log: f.log}}
	f.addSystemd()
	if err := f.addKeys(ctx); err != nil {
		return err
	}
	f.addModels()
	if err := f.addPolicy(); err != nil {
		return err
	}
	f.addSession()
	f.daemon.More = append(f.daemon.More, f.service.Interface())
	return nil
}

// addPart adds a line to fob.Service.Status.
func (f *fobd) addPart(part func(context.Context) ipc.Part) {
	f.service.Parts = append(f.service.Parts, part)
}

// addModels adds what is known about models of keys.
func (f *fobd) addModels() {
	path, err := metadata.DefaultPath()
	if err != nil {
		return
	}
	f.daemon.Models = metadata.Open(path)
	f.service.Reloads = append(f.service.Reloads, service.Reload{What: "models of keys", Do: f.reloadModels})
}

// addPolicy has programs do what the policy says.
func (f *fobd) addPolicy() error {
	rules, err := policy.Open(f.policy)
	if err != nil {
		return err
	}
	f.daemon.Policy, f.daemon.Desktop = rules, &consent.Desktop{Log: f.log}
	f.service.Reloads = append(f.service.Reloads,
		service.Reload{What: "policy", Do: f.daemon.ReloadPolicy})
	f.addPart(func(context.Context) ipc.Part { return policyPart(rules) })
	return nil
}

// addSession has ceremonies end when the person turns away.
func (f *fobd) addSession() {
	away := &session.Watcher{Log: f.log, Away: func(ctx context.Context, why session.Reason) {
		f.daemon.Interrupt(ctx, why)
	}}
	f.daemon.Present = away.Present
	f.beside = append(f.beside, away.Run)
	f.addPart(func(context.Context) ipc.Part { return sessionPart(away.State()) })
}

var errSocketTwice = errors.New("--socket does not go with a socket that systemd passes")

// listen takes the socket that systemd has made, else makes one.
func (f *fobd) listen() error {
	inherited, err := service.Inherited()
	if err != nil {
		return err
	}
	s := f.service
	switch {
	case inherited != nil && f.socketGiven:
		inherited.Close()
		return program.Usage(errSocketTwice)
	case inherited != nil:
		s.Listener, s.Started = service.NewListener(inherited), ipc.StartedBySocket
	default:
		l, err := daemon.Listen(f.socket)
		if err != nil {
			return err
		}
		s.Listener, s.Started = service.NewListener(l), ipc.StartedByHand
		if service.Managed() {
			s.Started = ipc.StartedAsService
		}
	}
	s.Listener.Came = func() { s.Metrics.Count("connections") }
	s.Listener.Idle = f.idle(inherited != nil)
	s.Listener.Busy = func() bool { return f.daemon.Load().Ceremonies > 0 }
	if f.anyUser {
		f.daemon.Authorize = func(varlink.Peer) error { return nil }
	}
	return nil
}

// announce says that clients are served, or in a moment: until then they wait in the socket's queue.
func (f *fobd) announce() error {
	f.service.Notifier.Ready()
	if service.InJournal() {
		return nil
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]string{"socket": f.service.Listener.Addr().String()})
}

// serve serves, and does beside it what goes on as long.
func (f *fobd) serve(ctx context.Context, hangups *hangups) error {
	serving, end := context.WithCancelCause(context.WithoutCancel(ctx))
	var beside sync.WaitGroup
	defer beside.Wait()
	defer end(nil)
	stop := func() {
		f.service.Notifier.Stopping()
		end(service.ErrEnds)
	}
	defer context.AfterFunc(ctx, stop)()
	beside.Go(func() { hangups.follow(serving, func() { f.reload(serving) }, stop) })
	for _, run := range f.beside {
		beside.Go(func() { run(serving) })
	}
	err := f.daemon.Serve(serving, f.service.Listener)
	f.service.Notifier.Stopping()
	if errors.Is(err, service.ErrIdle) {
		f.log.Info("nobody has come for a while; fobd ends", "idle", f.service.Listener.Idle)
		return nil
	}
	return err
}

// reload reads files again, for a SIGHUP; the log says what can't be read.
func (f *fobd) reload(ctx context.Context) {
	err := f.daemon.Signalled(ctx, "SIGHUP", "reload", func(ctx context.Context) error {
		_, err := f.service.Reload(ctx)
		return err
	})
	if errors.As(err, new(ipc.AuditUnavailable)) {
		f.log.Error("a reload is not recorded", "error", err)
	}
}

func (f *fobd) cleanUp() {
	for i := len(f.after) - 1; i >= 0; i-- {
		f.after[i]()
	}
}
