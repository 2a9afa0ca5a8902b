package daemon

import (
	"context"

	"fob/fido"
	"fob/ipc"
)

// reset implements fob.Device.Reset.
func (d *Daemon) reset(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.ResetRequest) (any, error) {
	if !called(key.Info, in.Name) {
		return nil, ipc.WrongName{Name: in.Name}
	}
	watcher, ok := d.Source.(fido.Watcher)
	if !ok {
		return nil, fido.ErrWatchEnded
	}
	return nil, fido.Reset(ctx, replugged{d.Source, watcher}, key, p)
}

// called reports whether a person may mean the key by a name.
func called(d fido.DeviceInfo, name string) bool {
	product := d.Product != "" && (name == d.Product || name == d.Manufacturer+" "+d.Product)
	return product || name != "" && name == string(d.ID)
}

// replugged is the source for a reset. The ceremony keeps the turn of a key that is plugged in again.
type replugged struct {
	fido.Source
	fido.Watcher
}
