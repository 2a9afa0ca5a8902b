package service

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"fob/daemon"
	"fob/daemon/metrics"
	"fob/ipc"
	"fob/ipc/varlink"
)

// Service answers fob.Service for a Daemon. Set its fields before it serves.
type Service struct {
	Daemon   *daemon.Daemon
	Metrics  *metrics.Metrics
	Listener *Listener
	Notifier *Notifier
	Log      *slog.Logger
	Version  string
	Begun    time.Time
	Started  ipc.Started
	// Parts tell of the parts of fobd; each answers within a second, or when its ctx ends.
	Parts []func(ctx context.Context) ipc.Part
	// Reloads read files again.
	Reloads []Reload
	// Counters gives further counters.
	Counters func() map[string]int

	reloading sync.Mutex
}

// Reload reads a file again.
type Reload struct {
	What string // it is, in words
	Do   func(ctx context.Context) error
}

// Interface is fob.Service, for a daemon to serve.
func (s *Service) Interface() daemon.Interface {
	return daemon.Interface{Description: ipc.ServiceInterface, Methods: map[string]varlink.Handler{
		"Status":  func(ctx context.Context, _ *varlink.Call) (any, error) { return s.Status(ctx), nil },
		"Metrics": func(context.Context, *varlink.Call) (any, error) { return s.metrics(), nil },
		"Reload": func(ctx context.Context, _ *varlink.Call) (any, error) {
			done, err := s.Reload(ctx)
			if err != nil {
				return nil, err
			}
			return ipc.ReloadReply{Reloaded: done}, nil
		},
		"Ping": func(context.Context, *varlink.Call) (any, error) {
			s.Daemon.Load()
			return nil, nil
		},
	}}
}

// partTime is how long the parts may take to tell how they are.
const partTime = 5 * time.Second

// Status tells how it goes.
func (s *Service) Status(ctx context.Context) ipc.Status {
	ctx, stop := context.WithTimeout(ctx, partTime)
	defer stop()
	load := s.Daemon.Load()
	status := ipc.Status{
		Version: s.Version, PID: os.Getpid(), Uptime: int(time.Since(s.Begun).Seconds()),
		Socket: s.Listener.Addr().String(), Started: s.Started,
		Ceremonies: load.Ceremonies, Waiting: load.Waiting, Clients: s.Listener.Clients(),
		Parts: make([]ipc.Part, len(s.Parts)),
	}
	var all sync.WaitGroup
	for i, part := range s.Parts {
		all.Go(func() { status.Parts[i] = part(ctx) })
	}
	if devices, err := s.Daemon.Source.Devices(ctx); err == nil {
		n := len(devices)
		status.Keys = &n
	}
	all.Wait()
	return status
}

func (s *Service) metrics() ipc.Metrics {
	m := s.Metrics.Snapshot()
	for _, always := range []string{"connections", "refused", "refused.tooMany"} {
		m.Counters[always] += 0
	}
	if s.Counters != nil {
		maps.Copy(m.Counters, s.Counters())
	}
	return m
}

// Reload reads all files again, says which ones it has read, and tells the service manager meanwhile. Its error is that
// of the first that can't be read, an ipc.ReloadFailed.
func (s *Service) Reload(ctx context.Context) (done []string, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.Notifier.Reloading()
	defer s.Notifier.Ready()
	done = []string{}
	for _, r := range s.Reloads {
		if failed := r.Do(ctx); failed != nil {
			s.Log.Error("reload failed", "what", r.What, "error", failed)
			if err == nil {
				err = ipc.ReloadFailed{What: r.What, Problem: failed.Error()}
			}
			continue
		}
		done = append(done, r.What)
	}
	s.Log.Info("reloaded", "what", done)
	return done, err
}

// ErrEnds is why ceremonies end when the process does.
var ErrEnds = ipc.Interrupted{Reason: "fobd ends"}
