package helper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/hidraw"
)

// discoveryTime is how long listing the keys may take.
const discoveryTime = 5 * time.Second

// Source finds keys and opens them, each in a helper process of its own. It implements fido.Source.
type Source struct {
	// Path is the helper program, absolute.
	Path string
	// Extra lists devices that discovery can't see: an emulated key on a pseudo-terminal. May be nil. Path is required,
	// ID is filled in, and for hidraw devices Mark; one that is not there any more is left out.
	Extra func() []fido.DeviceInfo
	// ExtraChanged has changed called, which does not wait, each time that Extra gives others, until stop. Changes of the
	// folders that they are in are noticed without it. May be nil.
	ExtraChanged func(changed func()) (stop func())
	// NoDiscovery keeps to the keys of Extra.
	NoDiscovery bool
	// Tree is where hidraw devices are described; the zero value is this system.
	Tree hidraw.Tree
	// Log gets what helpers write to their standard error, at debug level. May be nil.
	Log *slog.Logger

	args []string // of the helper program, in tests

	figures figures
	lacking sync.Once // the warning of what a sandbox lacks
	names   hidraw.Names

	mu      sync.Mutex
	paths   map[fido.DeviceID]string // of the keys that Devices found last
	watches map[*hidraw.Nodes]bool   // that must not take what we open for what others do
	opens   map[string]int           // what we are opening: nodes, or "" for any
	keep    *keep                    // nil unless Keep goes on
}

var (
	_ fido.Source  = (*Source)(nil)
	_ fido.Watcher = (*Source)(nil)
)

// Devices lists the keys that are plugged in, ordered by path. Its errors are those of fido's helper processes, and
// ctx.Err().
func (s *Source) Devices(ctx context.Context) ([]fido.DeviceInfo, error) {
	var infos []fido.DeviceInfo
	var err error
	if !s.NoDiscovery {
		if infos, err = s.found(ctx); err != nil {
			return nil, err
		}
	}
	present := s.present(infos)
	s.remember(present)
	return present, nil
}

// present adds Extra to what was found, leaves out what is not there any more, and gives all their IDs.
func (s *Source) present(infos []fido.DeviceInfo) []fido.DeviceInfo {
	if s.Extra != nil {
		extra := s.Extra()
		known := func(d fido.DeviceInfo) bool {
			return slices.ContainsFunc(extra, func(e fido.DeviceInfo) bool { return e.Path == d.Path })
		}
		infos = append(slices.DeleteFunc(infos, known), extra...)
	}
	present, ids := infos[:0], s.ids()
	for _, d := range infos {
		if ids.name(&d) == nil {
			present = append(present, d)
		}
	}
	slices.SortFunc(present, func(a, b fido.DeviceInfo) int { return cmp.Compare(a.Path, b.Path) })
	return present
}

func (s *Source) remember(found []fido.DeviceInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = make(map[fido.DeviceID]string, len(found))
	for _, d := range found {
		s.paths[d.ID] = d.Path
	}
}

// path gives where the key named id is. What Devices found before will do, if the same key is still there.
func (s *Source) path(ctx context.Context, id fido.DeviceID) (string, error) {
	if path, ok := s.known(id); ok {
		return path, nil
	}
	if _, err := s.Devices(ctx); err != nil {
		return "", err
	}
	if path, ok := s.known(id); ok {
		return path, nil
	}
	return "", fido.ErrNoDevice
}

func (s *Source) known(id fido.DeviceID) (path string, ok bool) {
	s.mu.Lock()
	path, ok = s.paths[id]
	s.mu.Unlock()
	now, err := s.ids().of(path)
	return path, ok && err == nil && now == id
}

func (s *Source) discover(parent context.Context) ([]fido.DeviceInfo, error) {
	ctx, cancel := context.WithTimeout(parent, discoveryTime)
	defer cancel()
	defer s.opening("")()
	c, err := s.start(ctx)
	if err != nil {
		return nil, overdue(parent, err)
	}
	defer c.close()
	infos, err := call(ctx, c, request{Op: opDevices}, parseDevices)
	return infos, overdue(parent, err)
}

// overdue renames the end of our own patience, which is no concern of the caller's context.
func overdue(parent context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && parent.Err() == nil {
		return fmt.Errorf("%w: no list of keys after %v", fido.ErrHelperDied, discoveryTime)
	}
	return err
}

// Open opens the key named id in a new helper process. While another program uses the key it tries again for three
// seconds and then gives fido.ErrDeviceBusy.
func (s *Source) Open(ctx context.Context, id fido.DeviceID) (fido.Authenticator, error) {
	path, err := s.path(ctx, id)
	if err != nil {
		return nil, err
	}
	defer s.opening(path)()
	c, sandbox, err, ok := s.openReady(ctx, path)
	if !ok {
		c, sandbox, err = s.openNew(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	s.warn(sandbox)
	if now, err := s.ids().of(path); err != nil || now != id { // another key came in between
		c.close()
		return nil, fido.ErrNoDevice
	}
	return key{c}, nil
}

// openNew opens the key at path with a helper of its own. One that may not, though we may, was confined to the node of
// a key that was plugged in again just then.
func (s *Source) openNew(ctx context.Context, path string) (*client, Sandbox, error) {
	c, sandbox, err := s.openOnce(ctx, path)
	if errors.Is(err, fido.ErrDenied) && unix.Access(s.Tree.Path(path), unix.R_OK|unix.W_OK) == nil {
		return s.openOnce(ctx, path)
	}
	return c, sandbox, err
}

func (s *Source) openOnce(ctx context.Context, path string) (*client, Sandbox, error) {
	c, err := s.start(ctx)
	if err != nil {
		return nil, Sandbox{}, err
	}
	sandbox, err := c.open(ctx, path)
	if err != nil {
		c.close()
		return nil, Sandbox{}, err
	}
	return c, sandbox, nil
}

// warn says, once, what kept the kernel from confining a helper.
func (s *Source) warn(sandbox Sandbox) {
	s.figures.confined(sandbox)
	if len(sandbox.Missing) == 0 || s.Log == nil {
		return
	}
	s.lacking.Do(func() {
		s.Log.Warn("the helpers of security keys are confined less than they should be", "missing", sandbox.Missing)
	})
}

func (s *Source) start(ctx context.Context) (*client, error) {
	p, err := startProcess(ctx, s.Path, s.args, s.Log, s.figures.died)
	if ctx.Err() == nil {
		s.figures.begun(err)
	}
	if err != nil {
		return nil, err
	}
	return newClient(p), nil
}

// openTime is how long opening may take, other programs that keep the key busy included.
const openTime = 8 * time.Second

// open opens the device at path. One that babbles on, and gets libfido2 to listen for ever, is fido.ErrDeviceGone.
func (c *client) open(parent context.Context, path string) (Sandbox, error) {
	ctx, cancel := context.WithTimeout(parent, openTime)
	defer cancel()
	o, err := c.openWithin(ctx, path)
	if errors.Is(err, context.DeadlineExceeded) && parent.Err() == nil {
		err = fmt.Errorf("%w: not open after %v", fido.ErrDeviceGone, openTime)
	}
	c.info.Store(o.info)
	return o.sandbox, err
}

func (c *client) openWithin(ctx context.Context, path string) (o openReply, err error) {
	err = whileBusy(ctx, func() error {
		o, err = call(ctx, c, request{Op: opOpen, Body: []byte(path)}, parseOpened)
		return err
	})
	return o, err
}

// Pauses between attempts to open a busy key.
const (
	firstPause = 50 * time.Millisecond // doubled each time
	busyTime   = 3 * time.Second       // all attempts together
)

// whileBusy calls open until it gives something else than fido.ErrDeviceBusy. A key is busy for a moment after its last
// helper was killed in the middle of a ceremony: it waits for a touch that nobody needs any more.
func whileBusy(ctx context.Context, open func() error) error {
	pause, end := firstPause, time.Now().Add(busyTime)
	for {
		err := open()
		if !errors.Is(err, fido.ErrDeviceBusy) || time.Now().Add(pause).After(end) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause *= 2
	}
}
