package oathkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"fob/daemon/store"
	"fob/fido"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// InKey is the name of a Keeper. A token's has the key's device ID behind it: "key:wFZ0RWqtPf3Cxk8gBzTSsg".
const InKey = "key"

// bucket of the store has access keys that are remembered, by device IDs.
const bucket store.Bucket = "oathkey"

// Keeper keeps seeds of one-time passwords in security keys, which make their codes. It is a Keeper of package otp; its
// handles say which account of which key.
//
// A seed that was put was proved by a whole HMAC of the key. HOTP codes are those of the counter in the key, which
// other programs may move, whatever the moving factor.
type Keeper struct {
	Keys  Keys
	Store *store.Store // remembers passwords; nil for nothing

	// DeviceID is of the key that Put writes to, and Account what it writes, but for Parameters.
	DeviceID string
	Account  ykoath.Account
	// Password asks for the password of a key; the one before was wrong where wrong says so. Nil: nobody can be asked. The
	// Keeper wipes it. Remember has it kept, as the access key that it gives, once it was right.
	Password func(ctx context.Context, deviceID string, wrong bool) (fido.Secret, error)
	Remember bool
	// Touch tells the person that the key waits for a touch now. May be nil.
	Touch func(deviceID string) error
}

// handle is what finds an account.
type handle struct {
	DeviceID string `json:"device"`
	ID       []byte `json:"id"` // as the key has it, any bytes
	Touch    bool   `json:"touch,omitempty"`
}

var errHandle = errors.New("what finds the seed in a security key is damaged")

// parseHandle reads what encode gives.
func parseHandle(b []byte) (h handle, err error) {
	if err := json.Unmarshal(b, &h); err != nil || h.DeviceID == "" || len(h.ID) == 0 || len(h.ID) > ykoath.MaxID {
		return handle{}, errHandle
	}
	return h, nil
}

func (h handle) encode() (fido.Secret, error) { return json.Marshal(h) }

// Put implements otp.Keeper. What could not be verified is deleted again.
func (k Keeper) Put(ctx context.Context, _ string, p hotp.Parameters, seed hotp.Seed) (fido.Secret, error) {
	a := k.Account
	a.Parameters = p
	id, err := a.ID()
	if err != nil {
		return nil, err
	}
	err = k.use(ctx, k.DeviceID, func(ctx context.Context, s *ykoath.Session) error {
		return k.write(ctx, s, a, seed)
	})
	if err != nil {
		return nil, err
	}
	return handle{k.DeviceID, []byte(id), a.Touch}.encode()
}

// write puts an account into a key, and verifies it.
func (k Keeper) write(ctx context.Context, s *ykoath.Session, a ykoath.Account, seed hotp.Seed) error {
	if err := s.Put(ctx, a, seed); err != nil {
		return err
	}
	err := k.tellTouch(a.Touch)
	if err == nil {
		err = s.Verify(ctx, a, seed)
	}
	if err == nil {
		return nil
	}
	id, _ := a.ID()
	if undo := s.Delete(context.WithoutCancel(ctx), id); undo != nil && !errors.Is(undo, ykoath.ErrNotFound) {
		return errors.Join(err, undo)
	}
	return err
}

func (k Keeper) tellTouch(needed bool) error {
	if !needed || k.Touch == nil {
		return nil
	}
	return k.Touch(k.DeviceID)
}

// Code implements otp.Keeper.
func (k Keeper) Code(ctx context.Context, secret fido.Secret, p hotp.Parameters, movingFactor uint64) (string, error) {
	h, err := parseHandle(secret)
	if err != nil {
		return "", err
	}
	k.DeviceID = h.DeviceID
	var code string
	err = k.use(ctx, h.DeviceID, func(ctx context.Context, s *ykoath.Session) (err error) {
		if err := k.tellTouch(h.Touch); err != nil {
			return err
		}
		if p.Type == hotp.HOTP {
			code, err = s.Next(ctx, string(h.ID))
			return err
		}
		code, err = s.Code(ctx, string(h.ID), movingFactor)
		return err
	})
	return code, err
}

// Delete implements otp.Keeper. An account that is gone, with its key's reset too, is no error.
func (k Keeper) Delete(ctx context.Context, secret fido.Secret) error {
	h, err := parseHandle(secret)
	if err != nil {
		return err
	}
	err = k.use(ctx, h.DeviceID, func(ctx context.Context, s *ykoath.Session) error {
		return s.Delete(ctx, string(h.ID))
	})
	if errors.Is(err, ykoath.ErrNotFound) {
		return nil
	}
	return err
}

// attempts is how often a person may try a password.
const attempts = 3

// use is Keys.Use of a key that may want its password. While the person types, the key is free for others.
func (k Keeper) use(ctx context.Context, deviceID string, do func(context.Context, *ykoath.Session) error) error {
	o := opener{keeper: k, deviceID: deviceID}
	defer o.wipe()
	if err := o.recall(); err != nil {
		return err
	}
	for try := 0; ; try++ {
		opened := false
		err := k.Keys.Use(ctx, deviceID, func(ctx context.Context, s *ykoath.Session) error {
			if err := o.open(ctx, s); err != nil {
				return err
			}
			opened = true
			return do(ctx, s)
		})
		wrong := errors.Is(err, ykoath.ErrWrongPassword)
		if opened || !wrong && !errors.Is(err, ykoath.ErrLocked) || k.Password == nil || try == attempts {
			return err
		}
		if err := o.ask(ctx, wrong); err != nil {
			return err
		}
	}
}

// opener opens a key by its password.
type opener struct {
	keeper   Keeper
	deviceID string
	password fido.Secret // that the person has given; nil for none
	access   hotp.Seed   // that was remembered; nil for none
}

func (o *opener) wipe() {
	o.password.Wipe()
	o.access.Wipe()
}

// recall looks for an access key that was remembered.
func (o *opener) recall() error {
	if o.keeper.Store == nil {
		return nil
	}
	err := o.keeper.Store.View(func(tx *store.Tx) error {
		value, err := tx.Get(bucket, o.deviceID)
		if err == nil {
			o.access = bytes.Clone(value)
			clear(value)
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

func (o *opener) ask(ctx context.Context, wrong bool) (err error) {
	wrong = wrong && o.password != nil // a password that was remembered, and is another one now, is not the person's fault
	o.password.Wipe()
	o.password, err = o.keeper.Password(ctx, o.deviceID, wrong)
	return err
}

// open validates the password, where the key wants one. Without any it gives ErrLocked.
func (o *opener) open(ctx context.Context, s *ykoath.Session) error {
	if !s.Locked() {
		return nil
	}
	if o.password == nil {
		if o.access == nil {
			return ykoath.ErrLocked
		}
		return s.Validate(ctx, o.access)
	}
	access, err := s.AccessKey(o.password)
	if err != nil {
		return err
	}
	defer access.Wipe()
	if err := s.Validate(ctx, access); err != nil || !o.keeper.Remember || o.keeper.Store == nil {
		return err
	}
	return o.keeper.Store.Update(func(tx *store.Tx) error { return tx.Put(bucket, o.deviceID, access) })
}

// Counter is the counter of an account on a key, which has 32 bits.
func Counter(n uint64) (uint32, error) {
	if n > math.MaxUint32 {
		return 0, &ykoath.UnsupportedError{Feature: "a counter of more than 32 bits", Key: "security keys"}
	}
	return uint32(n), nil
}

// Find gives the key that a person means: by its device ID, the beginning of that, or the name of its reader; empty for
// the only one. Those of the device IDs in except are none.
func (k Keys) Find(ctx context.Context, name string, except ...string) (found Key, err error) {
	all, err := k.List(ctx)
	if err != nil {
		return Key{}, err
	}
	count := 0
	for _, key := range all {
		if slices.Contains(except, key.DeviceID) {
			continue
		}
		if name == key.Reader || len(name) <= len(key.DeviceID) && key.DeviceID[:len(name)] == name {
			found = key
			count++
		}
	}
	switch count {
	case 0:
		return Key{}, ErrOther
	case 1:
		return found, nil
	}
	return Key{}, ErrSeveral
}
