package daemon

import (
	"context"
	"slices"
	"sync"

	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// watch implements fob.Device.Watch. It sends what is different from what it has sent, so that a caller who reads slowly
// misses nothing that still matters, and nothing piles up here.
func (d *Daemon) watch(ctx context.Context, c *varlink.Call) (any, error) {
	source, ok := d.Source.(fido.Watcher)
	if !ok {
		return nil, ipc.WatchEnded{Problem: "the keys of this fobd can't be followed"}
	}
	w, leave, err := d.plugs.join(source)
	if err != nil {
		return nil, ipc.WatchEnded{Problem: err.Error()}
	}
	defer leave()
	sent, changed, _ := w.state()
	if err := c.Continue(ipc.DeviceWatchReply{Devices: devicesOf(sent)}); err != nil {
		return nil, err
	}
	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ipc.WatchEnded{Problem: "fobd ends"} // or the caller hung up, and hears nothing
		}
		var now []plugged
		var over bool
		now, changed, over = w.state()
		for _, e := range difference(sent, now) {
			if err := c.Continue(ipc.DeviceWatchReply{Event: &e}); err != nil {
				return nil, err
			}
		}
		if sent = now; over {
			return nil, ipc.WatchEnded{Problem: "the system tells nothing more"}
		}
	}
}

// plugged is a key that is plugged in.
type plugged struct {
	fido.DeviceInfo
	stay     int // differs after each replug, which the ID of a key with a serial number does not
	opened   int // how many times others have opened it
	programs []fido.Program
}

// difference is what has happened, as far as it matters: a key that came and went again is left out.
func difference(before, now []plugged) []ipc.DeviceEvent {
	find := func(list []plugged, stay int) int {
		return slices.IndexFunc(list, func(p plugged) bool { return p.stay == stay })
	}
	var list []ipc.DeviceEvent
	for _, p := range before {
		if find(now, p.stay) < 0 {
			list = append(list, ipc.DeviceEvent{Kind: ipc.DeviceRemoved, Device: device(p.DeviceInfo)})
		}
	}
	for _, p := range now {
		opened := 0
		if i := find(before, p.stay); i >= 0 {
			opened = before[i].opened
		} else {
			list = append(list, ipc.DeviceEvent{Kind: ipc.DeviceAdded, Device: device(p.DeviceInfo)})
		}
		if p.opened > opened {
			e := ipc.DeviceEvent{Kind: ipc.DeviceOpened, Device: device(p.DeviceInfo)}
			for _, program := range p.programs {
				e.Programs = append(e.Programs, ipc.Program{PID: program.PID, Name: program.Name})
			}
			list = append(list, e)
		}
	}
	return list
}

func devicesOf(list []plugged) []ipc.Device {
	devices := make([]ipc.Device, len(list))
	for i, p := range list {
		devices[i] = device(p.DeviceInfo)
	}
	return devices
}

// plugs follows the source while somebody watches: one watch of the source is enough for all.
type plugs struct {
	mu      sync.Mutex
	callers int
	current *following // nil when nobody watches
}

// join begins to watch, until leave.
func (p *plugs) join(source fido.Watcher) (f *following, leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.ended() { // who watches that one will leave
		if p.current, err = follow(source); err != nil {
			return nil, nil, err
		}
		p.callers = 0
	}
	f = p.current
	p.callers++
	return f, func() { p.leave(f) }, nil
}

func (p *plugs) leave(f *following) {
	p.mu.Lock()
	last := false
	if p.current == f {
		p.callers--
		last = p.callers == 0
	}
	if last {
		p.current = nil
	}
	p.mu.Unlock()
	if last {
		f.stop()
	}
}

// following is one watch of a source.
type following struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	now     []plugged     // never changed in place
	stays   int           // that were counted
	changed chan struct{} // closed when there is something new
	over    bool
}

// follow starts a watch, in a goroutine that ends with the source's watch or stop.
func follow(source fido.Watcher) (*following, error) {
	ctx, cancel := context.WithCancel(context.Background())
	now, events, err := source.Watch(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	f := &following{cancel: cancel, done: make(chan struct{}), changed: make(chan struct{})}
	for _, d := range now {
		f.add(d)
	}
	go func() {
		defer close(f.done)
		defer cancel()
		for e := range events {
			f.take(e)
		}
		f.end()
	}()
	return f, nil
}

func (f *following) stop() {
	f.cancel()
	<-f.done
}

// state gives what is plugged in, and what is closed when that changes.
func (f *following) state() (now []plugged, changed <-chan struct{}, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now, f.changed, f.over
}

func (f *following) ended() bool {
	_, _, over := f.state()
	return over
}

func (f *following) take(e fido.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = slices.Clone(f.now)
	i := slices.IndexFunc(f.now, func(p plugged) bool { return p.ID == e.Device.ID && p.Path == e.Device.Path })
	switch {
	case e.Kind == fido.Added && i < 0:
		f.add(e.Device)
	case e.Kind == fido.Removed && i >= 0:
		f.now = slices.Delete(f.now, i, i+1)
	case e.Kind == fido.Opened && i >= 0:
		f.now[i].opened++
		f.now[i].programs = e.Programs
	}
	f.wake()
}

func (f *following) add(d fido.DeviceInfo) {
	f.stays++
	f.now = append(f.now, plugged{DeviceInfo: d, stay: f.stays})
}

func (f *following) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.wake()
}

func (f *following) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}
