package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fob/fido"
	"fob/fido/access"
	"fob/fido/ctap"
	"fob/ipc"
)

// openKey is a key of a ceremony. A card may leave its reader in the middle of it, and be held to it again: then it has
// another ID. The ceremony has the turn of the reader.
type openKey struct {
	daemon   *Daemon
	ceremony *ceremony
	info     fido.DeviceInfo
	key      fido.Authenticator // nil when the card is gone
	joining  *joining           // nil for a ceremony that no other key joins
}

// openKey opens a key. A card that has just left is none that is open, and no error where the ceremony may wait for it.
func (d *Daemon) openKey(ctx context.Context, c *ceremony, dev fido.DeviceInfo) (*openKey, error) {
	k := &openKey{daemon: d, ceremony: c, info: dev}
	var err error
	k.key, err = d.Source.Open(ctx, dev.ID)
	if err != nil && (c.one || dev.Reader == "" || !gone(err)) {
		return nil, busyCard(dev, err)
	}
	return k, nil
}

func gone(err error) bool {
	return errors.Is(err, fido.ErrDeviceGone) || errors.Is(err, fido.ErrNoDevice)
}

func (k *openKey) candidate() fido.Candidate {
	c := fido.Candidate{Info: k.info, Key: k.key}
	if k.joining != nil {
		c.Leave = k.joining.uses(k.info)
	}
	if k.info.Reader != "" {
		c.Again = k.again
	}
	return c
}

func (k *openKey) close() {
	if k.key != nil {
		k.key.Close()
	}
	k.key = nil
}

// again waits until a card is in the reader that can be opened; see fido.Candidate.
func (k *openKey) again(ctx context.Context) (fido.Candidate, error) {
	k.close()
	source, ok := k.daemon.Source.(fido.Watcher)
	if !ok {
		return fido.Candidate{}, fido.ErrDeviceGone
	}
	f, leave, err := k.daemon.plugs.join(source)
	if err != nil {
		return fido.Candidate{}, fmt.Errorf("%w: %w", fido.ErrDeviceGone, err)
	}
	defer leave()
	for {
		now, changed, over := f.state()
		i := slices.IndexFunc(now, func(p plugged) bool { return p.Reader == k.info.Reader })
		if i >= 0 {
			if k.joining != nil {
				k.joining.saw(now[i].stay)
			}
			err := k.reopen(ctx, now[i].DeviceInfo)
			if !gone(err) {
				return k.candidate(), err
			}
		}
		if over {
			return fido.Candidate{}, fido.ErrDeviceGone
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fido.Candidate{}, ctx.Err()
		}
	}
}

func (k *openKey) reopen(ctx context.Context, dev fido.DeviceInfo) error {
	if err := k.ceremony.readmit(dev); err != nil {
		return err
	}
	key, err := k.daemon.Source.Open(ctx, dev.ID)
	if k.info = dev; err == nil {
		k.key = key
	}
	return busyCard(dev, err)
}

// absent says why there is no key.
func (d *Daemon) absent() error {
	if d.Held != nil {
		if readers := d.Held(); len(readers) > 0 {
			return heldCard(readers[0])
		}
	}
	return ipc.NoDevice{}
}

// busyCard says of a card that is busy at which reader, and perhaps for whom; other errors it leaves as they are.
func busyCard(dev fido.DeviceInfo, err error) error {
	busy := errors.Is(err, fido.ErrDeviceBusy) || errors.Is(err, ctap.ErrChannelBusy)
	if !busy || dev.Reader == "" {
		return err
	}
	return heldCard(dev.Reader)
}

func heldCard(reader string) error {
	e := ipc.DeviceBusy{Reader: reader}
	if system, err := access.This(); err == nil {
		if programs := system.CardHolders(); len(programs) > 0 {
			e.Program = fmt.Sprintf("%s (%d)", programs[0].Name, programs[0].PID)
		}
	}
	return e
}
