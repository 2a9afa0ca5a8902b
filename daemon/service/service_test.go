package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"testing"
	"time"

	"fob/daemon"
	"fob/daemon/metrics"
	"fob/fido"
	"fob/ipc"
)

// noKeys is a source without keys.
type noKeys struct{ err error }

func (s noKeys) Devices(context.Context) ([]fido.DeviceInfo, error) { return nil, s.err }
func (noKeys) Open(context.Context, fido.DeviceID) (fido.Authenticator, error) {
	return nil, fido.ErrNoDevice
}

// serving serves a Service, which change may change before.
func serving(t *testing.T, source fido.Source, change func(*Service)) (*Service, *ipc.Client) {
	t.Helper()
	l, path := socket(t)
	log, counts := slog.New(slog.DiscardHandler), new(metrics.Metrics)
	d := &daemon.Daemon{Source: source, Version: "1.2", Metrics: counts}
	s := &Service{Daemon: d, Metrics: counts, Listener: NewListener(l), Notifier: &Notifier{Log: log}, Log: log, Version: "1.2",
		Begun: time.Now().Add(-time.Minute), Started: ipc.StartedByHand}
	s.Listener.Came = func() { counts.Count("connections") }
	change(s)
	d.More = []daemon.Interface{s.Interface()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, s.Listener) }()
	t.Cleanup(func() {
		stop()
		if err := await(t, ended); err != nil {
			t.Error(err)
		}
	})
	return s, &ipc.Client{Socket: path}
}

func TestStatus(t *testing.T) {
	part := ipc.Part{Name: "one", State: ipc.PartBroken, Text: "it is broken", Hint: "repair it"}
	_, client := serving(t, noKeys{}, func(s *Service) {
		s.Parts = []func(context.Context) ipc.Part{
			func(ctx context.Context) ipc.Part {
				if _, ok := ctx.Deadline(); !ok {
					t.Error("a part may take for ever")
				}
				return part
			},
			func(context.Context) ipc.Part { return ipc.Part{Name: "two", State: ipc.PartOK} },
		}
		s.Counters = func() map[string]int { return map[string]int{"more": 7} }
	})
	got, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	none := 0
	want := ipc.Status{Version: "1.2", PID: os.Getpid(), Uptime: got.Uptime, Socket: client.Socket, Started: ipc.StartedByHand,
		Keys: &none, Clients: 1, Parts: []ipc.Part{part, {Name: "two", State: ipc.PartOK}}}
	if !reflect.DeepEqual(got, want) || got.Uptime < 60 {
		t.Errorf("%+v", got)
	}
	if err := client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := client.SignIn(t.Context(), ipc.CeremonyRequest{}, nil); err == nil {
		t.Error("no options")
	}
	m, err := client.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	calls := []ipc.Calls{{Method: "fob.Ceremony.SignIn", Result: "fob.Ceremony.OptionsInvalid", Count: 1},
		{Method: "fob.Service.Ping", Result: "ok", Count: 1}, {Method: "fob.Service.Status", Result: "ok", Count: 1}}
	if !reflect.DeepEqual(m.Calls, calls) {
		t.Errorf("%+v", m.Calls)
	}
	counters := map[string]int{"connections": 4, "refused": 0, "refused.tooMany": 0, "more": 7}
	if !reflect.DeepEqual(m.Counters, counters) {
		t.Errorf("%+v", m.Counters)
	}
	if len(m.Latencies) != 3 || m.Latencies[2].Count != 1 {
		t.Errorf("%+v", m.Latencies)
	}
}

// TestStatusWithoutKeys: that keys can't be counted is no reason to tell nothing.
func TestStatusWithoutKeys(t *testing.T) {
	_, client := serving(t, noKeys{errors.New("broken")}, func(*Service) {})
	if got, err := client.Status(t.Context()); err != nil || got.Keys != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReload(t *testing.T) {
	read := make(chan string, 9)
	reload := func(what string, err error) Reload {
		return Reload{What: what, Do: func(context.Context) error { read <- what; return err }}
	}
	s, client := serving(t, noKeys{}, func(s *Service) {
		s.Reloads = []Reload{reload("policy", errors.New("line 3")), reload("models", nil)}
	})
	_, err := client.Reload(t.Context())
	if want := (ipc.ReloadFailed{What: "policy", Problem: "line 3"}); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	if await(t, read) != "policy" || await(t, read) != "models" { // the rest is read all the same
		t.Error("not all was read")
	}
	done, err := s.Reload(t.Context())
	if len(done) != 1 || done[0] != "models" || err == nil {
		t.Error(done, err)
	}
	await(t, read)
	await(t, read)
}
