package hidraw

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Opens tells when device nodes are opened, by inotify, which needs no more than the right to read them. It does not
// tell by whom, nor whether they are still open: the kernel merges what happens twice in a row, so counting would lie.
type Opens struct {
	*inotify

	mu      sync.Mutex
	watches map[int32]string // followed paths
	ignored map[string]int   // by how many; "" for all paths
	opened  map[string]bool  // and not told yet
}

// NewOpens makes one that follows nothing. The caller closes it.
func NewOpens() (*Opens, error) {
	i, err := openInotify()
	if err != nil {
		return nil, err
	}
	return &Opens{inotify: i, watches: make(map[int32]string), ignored: make(map[string]int)}, nil
}

// Follow begins to follow the node at path. Two paths of one node are followed by the name of the last. Errors are those
// of inotify_add_watch(2).
func (o *Opens) Follow(path string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	watch, err := o.add(path, unix.IN_OPEN)
	if err == nil {
		o.watches[watch] = path
	}
	return err
}

// Forget ends Follow.
func (o *Opens) Forget(path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for watch, p := range o.watches {
		if p == path {
			o.drop(watch)
			delete(o.watches, watch)
		}
	}
}

// Ignore is called before we open a node ourselves, or all for an empty path, and the function that it returns when that
// is done. What others open meanwhile is not told either.
func (o *Opens) Ignore(path string) (done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.catchUp()
	o.ignored[path]++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.catchUp()
		if o.ignored[path]--; o.ignored[path] == 0 {
			delete(o.ignored, path)
		}
	}
}

// catchUp drains, and wakes Wait, which can't see what was taken out.
func (o *Opens) catchUp() {
	if o.drain(); len(o.opened) > 0 {
		o.f.SetReadDeadline(time.Unix(1, 0))
	}
}

// Wait waits until nodes are opened and gives their paths. The error is ctx.Err(), or os.ErrClosed.
func (o *Opens) Wait(ctx context.Context) ([]string, error) {
	for {
		if paths := o.take(); len(paths) > 0 {
			return paths, nil
		}
		err := await(ctx, o.f, o.raw, func(int) error {
			o.mu.Lock()
			defer o.mu.Unlock()
			err := o.drain()
			if len(o.opened) > 0 {
				return nil
			}
			return err
		})
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// take gives what was opened, and has the next await wait again.
func (o *Opens) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.f.SetReadDeadline(time.Time{})
	paths := slices.Sorted(maps.Keys(o.opened))
	clear(o.opened)
	return paths
}

// drain notes what has happened. The error is EAGAIN when all is well.
func (o *Opens) drain() error {
	for {
		events, err := o.poll()
		if err != nil {
			return err
		}
		for _, e := range events {
			o.note(e)
		}
	}
}

func (o *Opens) note(e fileEvent) {
	path, ok := o.watches[e.watch]
	switch {
	case e.mask&unix.IN_IGNORED != 0: // the node is gone
		delete(o.watches, e.watch)
	case ok && e.mask&unix.IN_OPEN != 0 && o.ignored[path] == 0 && o.ignored[""] == 0:
		if o.opened == nil {
			o.opened = make(map[string]bool)
		}
		o.opened[path] = true
	}
}

// Close ends Wait.
func (o *Opens) Close() error { return o.close() }
