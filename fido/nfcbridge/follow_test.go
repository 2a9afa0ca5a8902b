package nfcbridge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// refusing is a pcscd that hangs up on everybody, as polkit has it do, and tells of each.
func refusing(t *testing.T, socket string, met chan<- struct{}) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
			met <- struct{}{}
		}
	}()
	return func() { l.Close(); <-done }
}

// follow has a Watcher follow a pcscd that may not be there yet, until the test ends.
func follow(t *testing.T, socket string) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	w := &Watcher{Options: Options{Socket: socket}}
	go func() { over <- w.Follow(ctx, func(e Event) { t.Errorf("event %+v", e) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != context.Canceled {
			t.Error(err)
		}
	})
}

// TestFollowWaits: it notices the socket when it comes, in folders that come with it, and when it comes again.
func TestFollowWaits(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "deep", "pcscd")
	socket := filepath.Join(folder, "pcscd.comm")
	met := make(chan struct{}, 100)
	follow(t, socket)
	for range 2 {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		stop := refusing(t, socket, met)
		<-met
		stop()
		for len(met) > 0 {
			<-met
		}
		if err := os.RemoveAll(filepath.Dir(folder)); err != nil {
			t.Fatal(err)
		}
	}
}

// said is a log that tells of each line.
type said chan struct{}

func (s said) Write(b []byte) (int, error) {
	s <- struct{}{}
	return len(b), nil
}

// TestProblem: why cards can't be used.
func TestProblem(t *testing.T) {
	lines := make(said, 100)
	log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := &Watcher{Options: Options{Socket: filepath.Join(t.TempDir(), "none"), Log: log}}
	if err := w.Problem(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- w.Follow(ctx, func(Event) {}) }()
	<-lines
	if err := w.Problem(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	cancel()
	<-over
}
