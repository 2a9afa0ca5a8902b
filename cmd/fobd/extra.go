package main

import (
	"context"
	"log/slog"

	"fob/fido"
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

// followCards plugs in the keys that are held to pcscd's readers, until stop, which waits until none is left.
func followCards(ctx context.Context, log *slog.Logger) (w *nfcbridge.Watcher, stop func()) {
	w = &nfcbridge.Watcher{Options: nfcbridge.Options{Log: log}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // they outlive the ceremonies
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := w.Follow(ctx, func(e nfcbridge.Event) {
			log.Debug("card", "reader", e.Reader, "what", e.Kind, "problem", e.Err)
		})
		if ctx.Err() == nil {
			log.Warn("keys at NFC readers can't be used", "error", err)
		}
	}()
	return w, func() { cancel(); <-done }
}
