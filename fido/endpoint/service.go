package endpoint

import (
	"context"
	"errors"
	"os"
	"sync"
)

// ErrServing is returned by Serve while another Serve runs.
var ErrServing = errors.New("endpoint is being served already")

// service makes Serve and Close agree: there is one Serve at a time, and none after Close.
type service struct {
	serving sync.Mutex // held by Serve, and by Close for ever
	mu      sync.Mutex // guards the fields below
	closed  bool
	cancel  context.CancelFunc // ends Serve, or nil
}

// run is Serve: it calls serve, and cancels it when close is called; then it returns os.ErrClosed.
func (s *service) run(ctx context.Context, serve func(context.Context) error) error {
	if !s.serving.TryLock() {
		return s.whyLocked()
	}
	defer s.serving.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !s.setCancel(cancel) {
		return os.ErrClosed
	}
	err := serve(ctx)
	if !s.setCancel(nil) {
		return os.ErrClosed
	}
	if ctx.Err() != nil { // which may have reached a read sooner than those who ask ctx
		return ctx.Err()
	}
	return err
}

// close is Close: it ends run, waits for it, and calls release. A second close returns os.ErrClosed.
func (s *service) close(release func() error) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return os.ErrClosed
	}
	s.closed = true
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	s.serving.Lock()
	return release()
}

func (s *service) whyLocked() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	return ErrServing
}

// setCancel is false when the endpoint is closed.
func (s *service) setCancel(cancel context.CancelFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = cancel
	return !s.closed
}

// whenDone calls f once ctx is done. The function that it returns calls that off, or waits for f.
func whenDone(ctx context.Context, f func()) (undo func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}
