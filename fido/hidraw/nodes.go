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

// Nodes tells when device nodes are opened, and when folders of nodes change, by inotify, which needs no more than the
// right to read them. It does not tell by whom a node is opened, nor whether it still is: the kernel merges what happens
// twice in a row, so counting would lie. Its methods may be called concurrently.
type Nodes struct {
	*inotify

	mu      sync.Mutex
	watches map[int32]string // followed nodes
	folders map[int32]bool   // followed folders
	ignored map[string]int   // by how many; "" for all nodes
	opened  map[string]bool  // and not told yet
	changed bool             // a folder has, and it is not told yet
}

// NewNodes makes one that follows nothing. The caller closes it.
func NewNodes() (*Nodes, error) {
	i, err := openInotify()
	if err != nil {
		return nil, err
	}
	return &Nodes{inotify: i, watches: make(map[int32]string), folders: make(map[int32]bool),
		ignored: make(map[string]int), opened: make(map[string]bool)}, nil
}

// Follow begins to follow the node at path. Two paths of one node are followed by the name of the last. Errors are those
// of inotify_add_watch(2).
func (n *Nodes) Follow(path string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	watch, err := n.add(path, unix.IN_OPEN)
	if err == nil {
		n.watches[watch] = path
	}
	return err
}

// FollowFolder begins to follow which nodes there are in a folder, and who may open them.
func (n *Nodes) FollowFolder(path string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	watch, err := n.add(path, folderChanges)
	if err == nil {
		n.folders[watch] = true
	}
	return err
}

// Forget ends Follow.
func (n *Nodes) Forget(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for watch, p := range n.watches {
		if p == path {
			n.drop(watch)
			delete(n.watches, watch)
		}
	}
}

// Ignore is called before we open a node ourselves, or any for an empty path, and Heed when that is done. What others
// open meanwhile is not told either.
func (n *Nodes) Ignore(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.catchUp()
	n.ignored[path]++
}

// Heed ends Ignore.
func (n *Nodes) Heed(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.catchUp()
	n.ignored[path]--
}

// catchUp drains, and wakes Wait, which can't see what was taken out.
func (n *Nodes) catchUp() {
	n.raw.Control(func(fd uintptr) { n.drain(int(fd)) })
	if n.news() {
		n.f.SetReadDeadline(time.Unix(1, 0))
	}
}

// Wait waits until nodes are opened, and gives their paths, or until a folder changes. The error is ctx.Err(), or
// os.ErrClosed.
func (n *Nodes) Wait(ctx context.Context) (opened []string, changed bool, err error) {
	for {
		if opened, changed := n.take(); changed || len(opened) > 0 {
			return opened, changed, nil
		}
		err := await(ctx, n.f, n.raw, func(fd int) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			err := n.drain(fd)
			if n.news() {
				return nil
			}
			return err
		})
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, false, err
		}
	}
}

func (n *Nodes) news() bool { return n.changed || len(n.opened) > 0 }

// take gives what has happened, and has the next await wait again.
func (n *Nodes) take() (opened []string, changed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.f.SetReadDeadline(time.Time{})
	opened, changed = slices.Sorted(maps.Keys(n.opened)), n.changed
	clear(n.opened)
	n.changed = false
	return opened, changed
}

// drain notes what has happened. The error is EAGAIN when all is well.
func (n *Nodes) drain(fd int) error {
	for {
		events, err := n.poll(fd)
		if err != nil {
			return err
		}
		for _, e := range events {
			n.note(e)
		}
	}
}

func (n *Nodes) note(e fileEvent) {
	path := n.watches[e.watch]
	switch {
	case e.mask&unix.IN_IGNORED != 0: // the node or folder is gone
		delete(n.watches, e.watch)
		delete(n.folders, e.watch)
	case e.mask&unix.IN_Q_OVERFLOW != 0, n.folders[e.watch]:
		n.changed = true
	case path != "" && e.mask&unix.IN_OPEN != 0 && n.ignored[path] == 0 && n.ignored[""] == 0:
		n.opened[path] = true
	}
}

// Close ends Wait.
func (n *Nodes) Close() error { return n.close() }
