package helper

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/access"
	"fob/fido/hidraw"
)

// Watch implements fido.Watcher. Discovered keys are told of once they may be opened by us, as Devices lists them then.
//
// Opened means that a program which is no helper of ours has opened the node of a key. It is not told of what is opened
// while we do so, or list the keys, nor where we may not read the node.
func (s *Source) Watch(ctx context.Context) ([]fido.DeviceInfo, <-chan fido.Event, error) {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{Source: s, plugged: make(map[string]hidraw.Device), events: make(chan fido.Event),
		look: make(chan struct{}, 1), opened: make(chan []string)}
	if err := w.begin(ctx); err != nil {
		stop()
		return nil, nil, err
	}
	w.refresh()
	now := w.told
	go func() {
		defer close(w.events)
		defer w.end()
		defer stop()
		w.run(ctx)
	}()
	return now, w.events, nil
}

// watch is one call of Watch.
type watch struct {
	*Source
	plugged   map[string]hidraw.Device // by path in sysfs
	hotplug   <-chan hidraw.Event      // nil without discovery
	nodes     *hidraw.Nodes
	listeners sync.WaitGroup
	forget    func() // ends ExtraChanged
	told      []fido.DeviceInfo
	events    chan fido.Event
	look      chan struct{}
	opened    chan []string
}

func (w *watch) begin(ctx context.Context) (err error) {
	if w.nodes, err = hidraw.NewNodes(); err != nil {
		return err
	}
	if !w.NoDiscovery {
		var devices []hidraw.Device
		if devices, w.hotplug, err = w.Tree.Watch(ctx); err != nil {
			w.nodes.Close()
			return err
		}
		for _, d := range devices {
			w.plugged[d.Path] = d
		}
	}
	w.forget = func() {}
	if w.ExtraChanged != nil {
		w.forget = w.ExtraChanged(w.hint)
	}
	w.join()
	w.listeners.Go(func() { w.listen(ctx) })
	return nil
}

// join has the source say what it opens.
func (w *watch) join() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watches == nil {
		w.watches = make(map[*hidraw.Nodes]bool)
	}
	w.watches[w.nodes] = true
	for path, n := range w.opens {
		for range n {
			w.nodes.Ignore(path)
		}
	}
}

// end waits until nothing of the watch is left. Its context has ended.
func (w *watch) end() {
	w.forget()
	w.listeners.Wait()
	if w.hotplug != nil {
		for range w.hotplug { // until the watch of the tree is over
		}
	}
	w.mu.Lock()
	delete(w.watches, w.nodes)
	w.mu.Unlock()
	w.nodes.Close()
}

func (w *watch) hint() {
	select {
	case w.look <- struct{}{}:
	default: // it will look
	}
}

// listen follows the nodes.
func (w *watch) listen(ctx context.Context) {
	for {
		opened, changed, err := w.nodes.Wait(ctx)
		if err != nil {
			return
		}
		if changed {
			w.hint()
		}
		if len(opened) > 0 {
			select {
			case w.opened <- opened:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *watch) run(ctx context.Context) {
	for {
		var list []fido.Event
		select {
		case e, ok := <-w.hotplug:
			if !ok {
				return
			}
			w.note(e)
			list = w.refresh()
		case <-w.look:
			list = w.refresh()
		case paths := <-w.opened:
			list = w.openedBy(paths)
		case <-ctx.Done():
			return
		}
		for _, e := range list {
			select {
			case w.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *watch) note(e hidraw.Event) {
	if e.Kind == hidraw.Removed {
		delete(w.plugged, e.Device.Path)
		return
	}
	w.plugged[e.Device.Path] = e.Device
}

// refresh tells the difference between what is there and what was told.
func (w *watch) refresh() []fido.Event {
	w.followFolders()
	now := w.present(w.found())
	var list []fido.Event
	has := func(l []fido.DeviceInfo, d fido.DeviceInfo) bool {
		return slices.ContainsFunc(l, func(o fido.DeviceInfo) bool { return o.ID == d.ID && o.Path == d.Path })
	}
	for _, d := range w.told {
		if !has(now, d) {
			list = append(list, fido.Event{Kind: fido.Removed, Device: d})
			w.nodes.Forget(w.Tree.Path(d.Path))
		}
	}
	for _, d := range now {
		if !has(w.told, d) {
			list = append(list, fido.Event{Kind: fido.Added, Device: d})
			_ = w.nodes.Follow(w.Tree.Path(d.Path)) // which may not be ours to read
		}
	}
	w.told = now
	return list
}

// found lists the plugged keys that libfido2 lists too: those at USB whose nodes we may open.
func (w *watch) found() []fido.DeviceInfo {
	var infos []fido.DeviceInfo
	for _, d := range w.plugged {
		if d.Bus == hidraw.BusUSB && unix.Access(w.Tree.Path(d.Node), unix.R_OK|unix.W_OK) == nil {
			infos = append(infos, fido.DeviceInfo{Path: d.Node, VendorID: d.VendorID, ProductID: d.ProductID,
				Manufacturer: d.Manufacturer, Product: d.Product})
		}
	}
	return infos
}

// followFolders follows the folders that the nodes of Extra are in, and those of the links to them.
func (w *watch) followFolders() {
	if w.Extra == nil {
		return
	}
	folders := make(map[string]bool)
	for _, d := range w.Extra() {
		folders[filepath.Dir(d.Path)] = true
		if target, err := filepath.EvalSymlinks(d.Path); err == nil {
			folders[filepath.Dir(target)] = true
		}
	}
	for folder := range folders {
		_ = w.nodes.FollowFolder(folder) // which may not be there
	}
}

// openedBy finds out who has opened the nodes, as far as that can be seen.
func (w *watch) openedBy(paths []string) []fido.Event {
	var list []fido.Event
	for _, d := range w.told {
		if slices.Contains(paths, w.Tree.Path(d.Path)) {
			list = append(list, fido.Event{Kind: fido.Opened, Device: d, Programs: w.programs(d.Path)})
		}
	}
	return list
}

// programs lists who has a node open, but ourselves.
func (w *watch) programs(node string) []fido.Program {
	var list []fido.Program
	for _, p := range (access.System{Tree: w.Tree}).Holders(node) {
		if p.PID != os.Getpid() && p.Name != helperName {
			list = append(list, fido.Program{PID: p.PID, Name: p.Name})
		}
	}
	return list
}

// helperName is what the kernel calls our helpers, whose files root alone may see.
const helperName = "fob-fido-helper"

// opening is called before a helper opens path, or looks at all nodes where it is empty, and what it returns afterwards:
// so that a watch does not tell of it.
func (s *Source) opening(path string) (done func()) {
	if path != "" {
		path = s.Tree.Path(path)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opens == nil {
		s.opens = make(map[string]int)
	}
	s.opens[path]++
	for nodes := range s.watches {
		nodes.Ignore(path)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.opens[path]--; s.opens[path] == 0 {
			delete(s.opens, path)
		}
		for nodes := range s.watches {
			nodes.Heed(path)
		}
	}
}
