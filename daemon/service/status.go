package service

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"fob/daemon"
)

// statusPause is the least time between two texts for the service manager.
const statusPause = 250 * time.Millisecond

// Summary keeps the text of "systemctl status" up to date: "2 keys, 1 ceremony".
type Summary struct {
	Load func() daemon.Load
	Tell func(text string) // Notifier.Status

	once  sync.Once
	dirty chan struct{}
	mu    sync.Mutex
	keys  int
	known bool // how many keys there are
}

// Changed says that something may have changed. It does not wait.
func (s *Summary) Changed() {
	select {
	case s.changes() <- struct{}{}:
	default: // it will look
	}
}

// Keys says how many keys there are.
func (s *Summary) Keys(n int) {
	s.mu.Lock()
	s.keys, s.known = n, true
	s.mu.Unlock()
	s.Changed()
}

func (s *Summary) changes() chan struct{} {
	s.once.Do(func() { s.dirty = make(chan struct{}, 1) })
	return s.dirty
}

// Run tells of changes until ctx ends.
func (s *Summary) Run(ctx context.Context) {
	for {
		s.Tell(s.text())
		pause := time.NewTimer(statusPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		select {
		case <-s.changes():
		case <-ctx.Done():
			return
		}
	}
}

func (s *Summary) text() string {
	s.mu.Lock()
	keys, known := s.keys, s.known
	s.mu.Unlock()
	var parts []string
	if known {
		parts = append(parts, count(keys, "key", "keys"))
	}
	load := s.Load()
	parts = append(parts, count(load.Ceremonies, "ceremony", "ceremonies"))
	if load.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", load.Waiting))
	}
	return strings.Join(parts, ", ")
}

func count(n int, one, several string) string {
	switch n {
	case 0:
		return "no " + several
	case 1:
		return "1 " + one
	default:
		return fmt.Sprintf("%d %s", n, several)
	}
}
