package helper

import (
	"context"
	"errors"
	"slices"
	"sync"

	"fob/fido"
)

// Keep follows the keys that are plugged in until ctx ends, so that ceremonies pay for less: a helper process waits for
// each key, confined to it but without having it open, and the keys are looked for again only after a change.
func (s *Source) Keep(ctx context.Context) error {
	now, events, err := s.Watch(ctx)
	if err != nil {
		return err
	}
	k := &keep{ready: make(map[string]*client), taken: make(chan string, maxReady)}
	s.mu.Lock()
	s.keep = k
	s.mu.Unlock()
	defer s.endKeep(k)
	present := make(map[string]bool)
	for _, d := range now {
		present[d.Path] = true
		s.prepare(ctx, k, d.Path)
	}
	for {
		select {
		case e, ok := <-events:
			switch {
			case !ok:
				return ctx.Err()
			case e.Kind == fido.Added:
				present[e.Device.Path] = true
				s.changed(k)
				s.prepare(ctx, k, e.Device.Path)
			case e.Kind == fido.Removed:
				delete(present, e.Device.Path)
				s.changed(k)
				s.drop(k, e.Device.Path)
			}
		case path := <-k.taken:
			if present[path] { // else nobody would end the helper
				s.prepare(ctx, k, path)
			}
		}
	}
}

// maxReady is how many helpers wait at most. One has about 20 MiB, which it shares with the others for the most part.
const maxReady = 8

// keep is what a call of Keep knows, under the source's lock.
type keep struct {
	ready   map[string]*client // helpers that wait, by the path of their key
	taken   chan string        // paths whose helper has been taken, so that another is needed
	found   []fido.DeviceInfo  // what discovery has found; nil when that must be found out
	changes int
}

// prepare starts a helper for the key at path, and confines it, within startTime.
func (s *Source) prepare(ctx context.Context, k *keep, path string) {
	s.mu.Lock()
	enough := k.ready[path] != nil || len(k.ready) >= maxReady
	s.mu.Unlock()
	if enough {
		return
	}
	timely, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	c, err := s.start(timely)
	if err == nil {
		if _, err = call(timely, c, request{Op: opConfine, Body: []byte(path)}, parseSandbox); err != nil {
			c.close()
		}
	}
	if err != nil {
		if s.Log != nil && ctx.Err() == nil {
			s.Log.Debug("no helper can wait for a key", "path", path, "error", err)
		}
		return
	}
	s.mu.Lock()
	k.ready[path] = c
	s.mu.Unlock()
}

// drop ends the helper of a key that was taken out.
func (s *Source) drop(k *keep, path string) {
	s.mu.Lock()
	c := k.ready[path]
	delete(k.ready, path)
	s.mu.Unlock()
	if c != nil {
		c.close()
	}
}

func (s *Source) changed(k *keep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.found = nil
	k.changes++
}

func (s *Source) endKeep(k *keep) {
	s.mu.Lock()
	s.keep = nil
	s.mu.Unlock()
	for _, c := range k.ready { // which nobody else has now
		c.close()
	}
}

// take gives the helper that waits for the key at path, nil when there is none.
func (s *Source) take(path string) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keep == nil {
		return nil
	}
	c := s.keep.ready[path]
	if c == nil {
		return nil
	}
	delete(s.keep.ready, path)
	taken := s.keep.taken
	c.calm = sync.OnceFunc(func() { // not before: to start a process would delay the ceremony
		select {
		case taken <- path:
		default: // so many are asked for already
		}
	})
	return c
}

// found lists the keys that discovery finds, which is not asked again while nothing has changed.
func (s *Source) found(ctx context.Context) ([]fido.DeviceInfo, error) {
	s.mu.Lock()
	k, changes := s.keep, 0
	if k != nil {
		if k.found != nil {
			defer s.mu.Unlock()
			return slices.Clone(k.found), nil
		}
		changes = k.changes
	}
	s.mu.Unlock()
	infos, err := s.discover(ctx)
	if err != nil || k == nil {
		return infos, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.changes == changes {
		k.found = append([]fido.DeviceInfo{}, infos...)
	}
	return infos, nil
}

// openReady opens the key at path with the helper that waits for it; ok is false when there is none, or it is of no
// use: it has ended, or was confined to what was there before.
func (s *Source) openReady(ctx context.Context, path string) (c *client, sandbox Sandbox, err error, ok bool) {
	if c = s.take(path); c == nil {
		return nil, Sandbox{}, nil, false
	}
	if sandbox, err = c.open(ctx, path); err != nil {
		c.close()
		useless := errors.Is(err, fido.ErrHelperDied) || errors.Is(err, fido.ErrDenied) || errors.Is(err, fido.ErrNoDevice)
		return nil, Sandbox{}, err, !useless || ctx.Err() != nil
	}
	return c, sandbox, nil, true
}
