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
	return nil, fido.Reset(ctx, &replugged{d, watcher, key.Info.ID}, key, p)
}

// called reports whether a person may mean the key by a name.
func called(d fido.DeviceInfo, name string) bool {
	product := d.Product != "" && (name == d.Product || name == d.Manufacturer+" "+d.Product)
	return product || name != "" && name == string(d.ID)
}

// replugged is the source for a reset. The key takes its turn anew when it is plugged in again and has another ID:
// other ceremonies may have been waiting for any key.
type replugged struct {
	*Daemon
	fido.Watcher
	ours fido.DeviceID // whose turn it is
}

var _ fido.FollowedSource = (*replugged)(nil)

// Devices implements fido.Source.
func (r *replugged) Devices(ctx context.Context) ([]fido.DeviceInfo, error) {
	return r.Source.Devices(ctx)
}

// Open implements fido.Source.
func (r *replugged) Open(ctx context.Context, id fido.DeviceID) (fido.Authenticator, error) {
	done := func() {}
	if id != r.ours {
		var err error
		if done, err = r.turns.wait(ctx, id, func(int) error { return nil }); err != nil {
			return nil, err
		}
	}
	key, err := r.Source.Open(ctx, id)
	if err != nil {
		done()
		return nil, err
	}
	return &turned{key, done}, nil
}

// turned is an open key whose turn is over when it is closed.
type turned struct {
	fido.Authenticator
	done func()
}

// Close implements fido.Authenticator.
func (t *turned) Close() error {
	defer t.done()
	return t.Authenticator.Close()
}
