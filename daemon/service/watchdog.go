package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"fob/ipc"
	"fob/ipc/varlink"
)

// Watchdog tells the service manager that we live, as long as calls are answered. A fobd that hangs is killed and started
// again by it.
type Watchdog struct {
	// Every is within which time the manager wants to hear of us; it hears twice as often, at least.
	Every time.Duration
	Probe func(ctx context.Context) error // fails unless we live, at the end of ctx at the latest
	Alive func()                          // tells the manager
	Log   *slog.Logger
}

// Run goes on until ctx ends, or the probe gives net.ErrClosed: nobody is served any more.
func (w *Watchdog) Run(ctx context.Context) {
	tick := time.NewTicker(w.Every / 4)
	defer tick.Stop()
	for {
		switch err := w.probe(ctx); {
		case err == nil:
			w.Alive()
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil: // it ends
			return
		default:
			w.Log.Error("fobd does not answer itself; the watchdog is not told that it lives", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (w *Watchdog) probe(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, w.Every/4)
	defer stop()
	return w.Probe(ctx)
}

// Probe calls fob.Service.Ping through the server that accepts here. A server that refuses us, since it has too many
// clients, is one that lives.
func (l *Listener) Probe(ctx context.Context) error {
	nc, err := l.Dial()
	if err != nil {
		return err
	}
	c := varlink.NewConn(nc)
	defer c.Close()
	err = c.Call(ctx, ipc.MethodPing, nil, nil)
	if err != nil && !errors.As(err, new(*varlink.Error)) {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}
