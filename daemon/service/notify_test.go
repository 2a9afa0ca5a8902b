package service

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/daemon"
)

func TestNotifier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	n := &Notifier{Log: slog.New(slog.DiscardHandler)}
	t.Setenv("NOTIFY_SOCKET", "")
	n.Status("nobody listens")
	if Managed() {
		t.Error("nobody manages us")
	}
	t.Setenv("NOTIFY_SOCKET", path)
	if !Managed() {
		t.Error("somebody manages us")
	}
	n.Ready()
	n.Status("1 key")
	n.Status("1 key") // is not repeated
	n.Reloading()
	n.Ready()
	n.Stopping()
	n.Stopping()
	n.Ready()          // of a reload that goes on
	n.Status("2 keys") // is not true for long
	n.Watchdog()
	manager.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1024)
	for _, want := range []string{"READY=1", "STATUS=1 key", "RELOADING=1\nMONOTONIC_USEC=", "READY=1", "STOPPING=1", "WATCHDOG=1"} {
		size, err := manager.Read(b)
		if got := string(b[:size]); err != nil || !strings.HasPrefix(got, want) {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestSummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var load daemon.Load
		var told []string
		s := &Summary{Load: func() daemon.Load { return load }, Tell: func(text string) { told = append(told, text) }}
		done := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		go func() { defer close(done); s.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		load = daemon.Load{Ceremonies: 1}
		s.Keys(2)
		time.Sleep(time.Minute)
		synctest.Wait()
		load = daemon.Load{Ceremonies: 3, Waiting: 2}
		for range 1000 { // at once are told once, and once more for what came meanwhile
			s.Changed()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		stop()
		<-done
		if len(told) > 4 {
			t.Errorf("told %d times", len(told))
		}
		if got := strings.Join(slices.Compact(told), "; "); got != "no ceremonies; 2 keys, 1 ceremony; 2 keys, 3 ceremonies, 2 waiting" {
			t.Error(got)
		}
	})
}
