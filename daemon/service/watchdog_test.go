package service

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWatchdog: the manager hears of us often enough while we live, and no more once we don't.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		begun := time.Now()
		var hangs atomic.Bool
		w := &Watchdog{
			Every: 30 * time.Second,
			Probe: func(ctx context.Context) error {
				if hangs.Load() {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			Alive: func() { told = append(told, time.Since(begun)) },
			Log:   slog.New(slog.DiscardHandler),
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx) }()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		before := len(told)
		for i, at := range told {
			if i > 0 && at-told[i-1] > w.Every/2 {
				t.Errorf("nothing between %v and %v", told[i-1], at)
			}
		}
		if before == 0 || told[0] > w.Every/2 {
			t.Errorf("told at %v", told)
		}
		hangs.Store(true)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(told) > before {
			t.Errorf("told that it lives, %d times, though it hangs", len(told)-before)
		}
		hangs.Store(false) // it was busy, that's all
		time.Sleep(w.Every)
		synctest.Wait()
		if len(told) == before {
			t.Error("not told that it lives again")
		}
		stop()
		<-ended
	})
}

func TestWatchdogFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Watchdog{Every: time.Second, Log: slog.New(slog.DiscardHandler),
			Probe: func(context.Context) error { return errors.New("broken") },
			Alive: func() { t.Error("told that it lives") }}
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		w.Run(ctx)
	})
}
