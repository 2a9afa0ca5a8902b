package oathkey

import (
	"context"
	"fmt"
	"time"

	"fob/fido/pcsc"
	"fob/hotp/ykoath"
)

// Keys are the security keys in pcscd's readers. The zero value asks the pcscd of the machine.
type Keys struct {
	Socket string // of pcscd; empty for the place where libpcsclite would look
	// Patience is how long another program may keep us waiting for a key; 0 means 5 s.
	Patience time.Duration
}

// Key is a security key with an OATH application.
type Key struct {
	Reader   string // pcscd's name
	DeviceID string // see ykoath.Session
	Version  ykoath.Version
	Nitrokey bool
	Locked   bool // it wants its password
}

// readers lists the readers that have a card.
func (k Keys) readers(ctx context.Context) (names []string, err error) {
	client, err := pcsc.Dial(ctx, k.Socket)
	if err != nil {
		return nil, explain(err)
	}
	defer client.Close()
	states, err := client.Readers(ctx)
	for _, s := range states {
		if s.HasCard() {
			names = append(names, s.Name)
		}
	}
	return names, explain(err)
}

// each has do look at each key, one after the other, until it says that it has had enough. Cards that are none, or that
// other programs hold, are passed over; when there is nothing else, the error says why.
func (k Keys) each(ctx context.Context, do func(Key, *session) (enough bool)) error {
	readers, err := k.readers(ctx)
	if err != nil {
		return err
	}
	found, why := false, ErrNoKey
	for _, reader := range readers {
		s, err := k.start(ctx, reader)
		switch {
		case err != nil && (ctx.Err() != nil || !passable(err)):
			return err
		case err != nil:
			if why == ErrNoKey {
				why = fmt.Errorf("%w: %s: %w", ErrNoKey, reader, err)
			}
			continue
		}
		found = true
		enough := do(Key{reader, s.DeviceID, s.Version, s.Nitrokey, s.Locked()}, s)
		s.end()
		if enough {
			return nil
		}
	}
	if !found {
		return why
	}
	return nil
}

// List lists the keys. It fails with ErrNoKey when there is none.
func (k Keys) List(ctx context.Context) (all []Key, err error) {
	err = k.each(ctx, func(key Key, _ *session) bool {
		all = append(all, key)
		return false
	})
	return all, err
}

// Use has do use a key, which no other program can use meanwhile. Empty for a device ID is the only key that there is.
// The errors are ErrNoKey, ErrOther, ErrSeveral, ErrNoPCSCD, and those of do, which may be ErrLost: then the key may
// have done what it was asked for last, or not.
func (k Keys) Use(ctx context.Context, deviceID string, do func(context.Context, *ykoath.Session) error) error {
	if deviceID == "" {
		return k.useOnly(ctx, do)
	}
	used := false
	var result error
	err := k.each(ctx, func(key Key, s *session) bool {
		if used = key.DeviceID == deviceID; used {
			result = do(ctx, s.Session)
		}
		return used
	})
	switch {
	case err != nil:
		return err
	case !used:
		return ErrOther
	}
	return result
}

func (k Keys) useOnly(ctx context.Context, do func(context.Context, *ykoath.Session) error) error {
	all, err := k.List(ctx)
	switch {
	case err != nil:
		return err
	case len(all) > 1:
		return ErrSeveral
	}
	return k.Use(ctx, all[0].DeviceID, do)
}
