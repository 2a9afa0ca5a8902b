package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fob/cmd/internal/program"
	"fob/daemon/workbench"
	"fob/fido"
	"fob/fido/helper"
	"fob/fido/nfcbridge"
)

// extra are the keys that discovery can't see, of several kinds.
type extra struct {
	lists []func() []fido.DeviceInfo
	plugs []func(changed func()) (stop func())
}

// add adds a kind: who lists the keys, and who tells of changes, or nil.
func (e *extra) add(list func() []fido.DeviceInfo, plugs func(changed func()) (stop func())) {
	e.lists = append(e.lists, list)
	if plugs != nil {
		e.plugs = append(e.plugs, plugs)
	}
}

func (e *extra) devices() []fido.DeviceInfo {
	var all []fido.DeviceInfo
	for _, list := range e.lists {
		all = append(all, list()...)
	}
	return all
}

func (e *extra) changed(changed func()) (stop func()) {
	var stops []func()
	for _, plugs := range e.plugs {
		stops = append(stops, plugs(changed))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// addKeys adds the source of keys: discovery, those that are named, the emulated one, and those at NFC readers.
func (f *fobd) addKeys(ctx context.Context) error {
	path, err := f.helperPath()
	if err != nil {
		return err
	}
	var e extra
	e.add(f.named, nil)
	if f.emulate {
		if err := f.addEmulator(ctx, &e); err != nil {
			return err
		}
	}
	if f.nfc {
		f.addCards(ctx, &e)
	}
	f.source = &helper.Source{
		Path: path, Extra: e.devices, ExtraChanged: e.changed, NoDiscovery: f.noDiscovery, Log: f.log}
	f.daemon.Source = f.source
	f.service.Counters = f.counters
	if !f.onDemand {
		f.beside = append(f.beside, f.keepReady)
	}
	f.addSummary()
	f.addPart(f.hotplugPart)
	f.addPart(f.helperPart)
	f.addPart(f.sandboxPart)
	f.addPart(f.cardsPart)
	return nil
}

// keepReady has a helper wait for each key.
func (f *fobd) keepReady(ctx context.Context) {
	if err := f.source.Keep(ctx); ctx.Err() == nil {
		f.log.Warn("no helper is kept ready for keys", "error", err)
	}
}

// addEmulator plugs the emulated key in.
func (f *fobd) addEmulator(ctx context.Context, e *extra) error {
	bench := &workbench.Workbench{Log: f.log}
	f.after = append(f.after, func() { bench.Close() })
	key, err := f.plug(ctx, bench)
	if err != nil {
		return err
	}
	e.add(func() []fido.DeviceInfo { return emulated(key) }, bench.Plugs)
	f.daemon.More = append(f.daemon.More, bench.Interface())
	return nil
}

// emulated lists the emulated key, unless somebody has taken it out.
func emulated(key *workbench.Key) []fido.DeviceInfo {
	info := key.Info()
	if info.Path == "" {
		return nil
	}
	info.Mark = "emulator " + key.ID // wherever it is plugged in again
	return []fido.DeviceInfo{info}
}

func (f *fobd) plug(ctx context.Context, w *workbench.Workbench) (*workbench.Key, error) {
	b := &program.Bench{Terminal: os.Stdin, Questions: os.Stderr, Log: f.log}
	defer b.Wipe()
	options, err := f.emulator.Options(ctx, b, "")
	if err != nil {
		return nil, err
	}
	w.Lost = func(_ *workbench.Key, err error) { f.log.Error("the emulated key is lost", "error", err) }
	key, err := w.Plug(ctx, options)
	return key, program.PlugError(err)
}

// addCards plugs in the keys that are held to pcscd's readers, until the ceremonies are over.
func (f *fobd) addCards(ctx context.Context, e *extra) {
	f.cards = &nfcbridge.Watcher{Options: nfcbridge.Options{Log: f.log}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // they outlive the ceremonies
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := f.cards.Follow(ctx, func(e nfcbridge.Event) {
			f.log.Debug("card", "reader", e.Reader, "what", e.Kind, "problem", e.Err)
		})
		if ctx.Err() == nil {
			f.log.Warn("keys at NFC readers can't be used", "error", err)
		}
	}()
	f.after = append(f.after, func() { cancel(); <-done })
	e.add(f.cards.Devices, f.cards.Changed)
	f.daemon.Held = f.cards.Held
}

// named lists the keys of --device.
func (o *options) named() []fido.DeviceInfo {
	var list []fido.DeviceInfo
	for _, path := range o.devices {
		list = append(list, fido.DeviceInfo{Path: path, Product: "key at " + path})
	}
	return list
}

// helperPath finds the helper: where the flag says, else beside our own executable.
func (o *options) helperPath() (string, error) {
	path := o.helper
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		path = filepath.Join(filepath.Dir(self), "fob-fido-helper")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the helper program is missing, see --helper: %w", err)
	}
	return path, nil
}

// reloadModels reads what is known about models of keys, which need not be there.
func (f *fobd) reloadModels(context.Context) error {
	_, err := f.daemon.Models.Index()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
