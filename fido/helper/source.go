package helper

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
)

// discoveryTime is how long listing the keys may take.
const discoveryTime = 5 * time.Second

// Source finds keys and opens them, each in a helper process of its own. It implements fido.Source.
type Source struct {
	// Path is the helper program, absolute.
	Path string
	// Extra lists devices that discovery can't see: an emulated key on a pseudo-terminal. May be nil. Path is required,
	// ID is filled in; one that is not there any more is left out.
	Extra func() []fido.DeviceInfo
	// NoDiscovery keeps to the keys of Extra.
	NoDiscovery bool
	// Log gets what helpers write to their standard error, at debug level. May be nil.
	Log *slog.Logger

	args []string // of the helper program, in tests

	lacking sync.Once // the warning of what a sandbox lacks

	mu    sync.Mutex
	paths map[fido.DeviceID]string // of the keys that Devices found last
}

var _ fido.Source = (*Source)(nil)

// Devices lists the keys that are plugged in, ordered by path. Its errors are those of fido's helper processes, and
// ctx.Err().
func (s *Source) Devices(ctx context.Context) ([]fido.DeviceInfo, error) {
	var infos []fido.DeviceInfo
	var err error
	if !s.NoDiscovery {
		if infos, err = s.discover(ctx); err != nil {
			return nil, err
		}
	}
	if s.Extra != nil {
		extra := s.Extra()
		known := func(d fido.DeviceInfo) bool {
			return slices.ContainsFunc(extra, func(e fido.DeviceInfo) bool { return e.Path == d.Path })
		}
		infos = append(slices.DeleteFunc(infos, known), extra...)
	}
	present := infos[:0]
	for _, d := range infos {
		if d.ID, err = DeviceID(d.Path); err == nil {
			present = append(present, d)
		}
	}
	slices.SortFunc(present, func(a, b fido.DeviceInfo) int { return cmp.Compare(a.Path, b.Path) })
	s.remember(present)
	return present, nil
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
	now, err := DeviceID(path)
	return path, ok && err == nil && now == id
}

func (s *Source) discover(parent context.Context) ([]fido.DeviceInfo, error) {
	ctx, cancel := context.WithTimeout(parent, discoveryTime)
	defer cancel()
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
	c, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	sandbox, err := c.open(ctx, path)
	if err != nil {
		c.close()
		return nil, err
	}
	s.warn(sandbox)
	if now, err := DeviceID(path); err != nil || now != id { // another key came in between
		c.close()
		return nil, fido.ErrNoDevice
	}
	return key{c}, nil
}

// warn says, once, what kept the kernel from confining a helper.
func (s *Source) warn(sandbox Sandbox) {
	if len(sandbox.Missing) == 0 || s.Log == nil {
		return
	}
	s.lacking.Do(func() {
		s.Log.Warn("the helpers of security keys are confined less than they should be", "missing", sandbox.Missing)
	})
}

func (s *Source) start(ctx context.Context) (*client, error) {
	p, err := startProcess(ctx, s.Path, s.args, s.Log)
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
	sandbox, err := c.openWithin(ctx, path)
	if errors.Is(err, context.DeadlineExceeded) && parent.Err() == nil {
		err = fmt.Errorf("%w: not open after %v", fido.ErrDeviceGone, openTime)
	}
	return sandbox, err
}

func (c *client) openWithin(ctx context.Context, path string) (sandbox Sandbox, err error) {
	err = whileBusy(ctx, func() error {
		sandbox, err = call(ctx, c, request{Op: opOpen, Body: []byte(path)}, parseSandbox)
		return err
	})
	return sandbox, err
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

// DeviceID names the device behind path until it is unplugged. The inode and the device number alone may come back
// with the next key, so something that counts up is added: the name of the HID device in sysfs (its last part numbers
// the devices since boot), or, for a pseudo-terminal, which sysfs does not know, the time when its node was made. Other
// nodes' change time won't do: logind changes their access lists while the key stays.
func DeviceID(path string) (fido.DeviceID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return "", unix.ENODEV
	}
	birth, err := os.Readlink(fmt.Sprintf("/sys/dev/char/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	if err != nil {
		birth = fmt.Sprint(st.Ctim.Nano())
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %q", path, st.Rdev, st.Ino, birth))
	return fido.DeviceID(strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))), nil
}
