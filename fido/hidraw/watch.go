package hidraw

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says what has happened to a device.
type Kind int

// The kinds of events.
const (
	Added   Kind = iota + 1 // plugged in; udev, where it runs, is done with it
	Removed                 // unplugged
	Changed                 // other users than before may open it
)

func (k Kind) String() string {
	switch k {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Event tells what has happened to a device.
type Event struct {
	Kind   Kind
	Device Device
}

// settleTime is how long a new device waits for udev; a udev that we don't hear, or that hangs, does not hide a key.
const settleTime = 3 * time.Second

// uevents is where messages come from: a netlink socket, or one that a test plays.
type uevents interface {
	read(ctx context.Context) (message, error)
	close() error
}

// Watch gives the FIDO devices that are plugged in, and then tells what changes, until ctx ends; then the channel is
// closed. One that is closed earlier means that the system tells nothing any more.
//
// Messages of the kernel and of udev, and changes in /dev, only say when to look; what is there is what sysfs and /dev
// say then, so that lost, forged or reordered messages do no harm. A replug between two looks is Removed and Added.
// Events that nobody takes are made out of the difference later. The error is that of the system when it tells nothing.
func (t Tree) Watch(ctx context.Context) ([]Device, <-chan Event, error) {
	var sources []source
	socket, err := openNetlink()
	if err == nil {
		sources = append(sources, listener{socket})
	}
	nodes, err2 := t.watchNodes()
	if err2 == nil {
		sources = append(sources, nodes)
	}
	if len(sources) == 0 {
		return nil, nil, errors.Join(err, err2)
	}
	devices, events := t.watch(ctx, socket != nil, sources...)
	return devices, events, nil
}

// source says when to look.
type source interface {
	// wait returns nil when something may have changed.
	wait(ctx context.Context) error
	close() error
}

// watch watches until ctx ends, or all sources do; it closes them. heard says that one of them tells what udev does.
func (t Tree) watch(ctx context.Context, heard bool, sources ...source) ([]Device, <-chan Event) {
	w := &watcher{Tree: t, heard: heard, told: make(map[string]state), waiting: make(map[string]time.Time),
		events: make(chan Event), look: make(chan struct{}, 1)}
	var now []Device
	for _, e := range w.changes() {
		now = append(now, e.Device)
	}
	var listeners sync.WaitGroup
	for _, s := range sources {
		listeners.Go(func() { w.listen(ctx, s) })
	}
	silent := make(chan struct{})
	go func() {
		listeners.Wait()
		close(silent)
	}()
	go func() {
		defer close(w.events)
		defer func() { <-silent }()
		w.run(ctx, silent)
	}()
	return now, w.events
}

// state is a device and who may open it.
type state struct {
	Device
	rights string
}

type watcher struct {
	Tree
	heard   bool                 // a source tells what udev does
	told    map[string]state     // by path
	waiting map[string]time.Time // for udev, since when
	events  chan Event
	look    chan struct{}
}

// listen has the watcher look whenever the source says so.
func (w *watcher) listen(ctx context.Context, s source) {
	defer s.close()
	for s.wait(ctx) == nil {
		select {
		case w.look <- struct{}{}:
		default: // it will
		}
	}
}

// run looks and tells, until ctx ends or silent is closed.
func (w *watcher) run(ctx context.Context, silent <-chan struct{}) {
	settle := time.NewTimer(settleTime)
	defer settle.Stop()
	for {
		select {
		case <-w.look:
		case <-settle.C:
		case <-silent:
			return
		case <-ctx.Done():
			return
		}
		if !w.tell(ctx) {
			return
		}
		if len(w.waiting) > 0 {
			settle.Reset(settleTime)
		}
	}
}

func (w *watcher) tell(ctx context.Context) bool {
	for _, e := range w.changes() {
		select {
		case w.events <- e:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// changes are those since the last call; what is gone comes first.
func (w *watcher) changes() []Event {
	now := w.scan()
	var gone, list []Event
	for path, s := range w.told {
		if _, ok := now[path]; !ok {
			gone = append(gone, Event{Removed, s.Device})
			delete(w.told, path)
		}
	}
	maps.DeleteFunc(w.waiting, func(path string, _ time.Time) bool { _, ok := now[path]; return !ok })
	for path, s := range now {
		before, known := w.told[path]
		switch {
		case known && before.rights != s.rights:
			list = append(list, Event{Changed, s.Device})
		case !known && w.settled(s):
			list = append(list, Event{Added, s.Device})
		default:
			continue
		}
		w.told[path] = s
	}
	byNode := func(a, b Event) int { return cmp.Compare(a.Device.Minor, b.Device.Minor) }
	slices.SortFunc(gone, byNode)
	slices.SortFunc(list, byNode)
	return append(gone, list...)
}

// scan gives the devices that have a node.
func (w *watcher) scan() map[string]state {
	devices, _ := w.Devices() // none, without hidraw
	found := make(map[string]state, len(devices))
	for _, d := range devices {
		if rights, err := w.rights(d.Node); err == nil {
			found[d.Path] = state{d, rights}
		}
	}
	return found
}

// rights is text that changes with who may open the node.
func (t Tree) rights(node string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(t.Path(node), &st); err != nil {
		return "", err
	}
	acl := make([]byte, 1024)
	n, err := unix.Getxattr(t.Path(node), "system.posix_acl_access", acl)
	if err != nil {
		n = 0
	}
	return fmt.Sprintf("%o %d %d %x", st.Mode, st.Uid, st.Gid, acl[:n]), nil
}

// settled reports whether udev is done with a device: then it has a record of it (sd_device_get_is_initialized).
func (w *watcher) settled(s state) bool {
	record := w.Path(fmt.Sprintf("/run/udev/data/c%d:%d", s.Major, s.Minor))
	_, err := os.Stat(record)
	since, waits := w.waiting[s.Device.Path]
	if err == nil || !w.heard || !w.Udev() || waits && time.Since(since) >= settleTime {
		delete(w.waiting, s.Device.Path)
		return true
	}
	if !waits {
		w.waiting[s.Device.Path] = time.Now()
	}
	return false
}

// Udev reports whether udev runs in the system.
func (t Tree) Udev() bool {
	_, err := os.Stat(t.Path("/run/udev/control"))
	return err == nil
}

// listener waits for messages about hidraw devices.
type listener struct{ uevents }

func (l listener) wait(ctx context.Context) error {
	for {
		m, err := l.read(ctx)
		if errors.Is(err, errOverrun) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, err := m.parse(); err == nil && e.get("SUBSYSTEM") == "hidraw" {
			return nil
		}
	}
}

// nodeChanges waits for changes of the nodes of hidraw devices: where no udev runs, they are made and changed by others.
type nodeChanges struct{ *inotify }

func (t Tree) watchNodes() (nodeChanges, error) {
	i, err := openInotify()
	if err != nil {
		return nodeChanges{}, err
	}
	if _, err := i.add(t.Path("/dev"), folderChanges); err != nil {
		i.close()
		return nodeChanges{}, err
	}
	return nodeChanges{i}, nil
}

func (n nodeChanges) wait(ctx context.Context) error {
	for {
		events, err := n.read(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			switch {
			case e.mask&unix.IN_IGNORED != 0: // the folder is gone
				return os.ErrClosed
			case e.mask&unix.IN_Q_OVERFLOW != 0, strings.HasPrefix(e.name, "hidraw"):
				return nil
			}
		}
	}
}
