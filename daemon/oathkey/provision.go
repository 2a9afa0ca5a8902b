package oathkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"fob/daemon/store"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// provisioned has, by fingerprints of seeds, the keys that have them. The store encrypts both.
const provisioned store.Bucket = "provisioned"

// ProvisionedError says that another key has a seed that was to be written, or the same one has it already.
type ProvisionedError struct {
	DeviceID string
	// Done: the key has proved that it has the seed. Else the writing was interrupted, and the key may have it.
	Done bool
}

func (e *ProvisionedError) Error() string {
	if e.Done {
		return fmt.Sprintf("the seed is on the security key %s already", e.DeviceID)
	}
	return fmt.Sprintf("the seed may be on the security key %s: writing it was interrupted", e.DeviceID)
}

// copyOf is a seed on a key, in the journal of seeds.
type copyOf struct {
	DeviceID string `json:"device"`
	Done     bool   `json:"done"`
}

// maxCopies is how many keys may have one seed.
const maxCopies = 1000

var errCopies = fmt.Errorf("%d security keys have the seed already", maxCopies)

// fingerprint names a seed in the journal.
func fingerprint(seed hotp.Seed) string {
	h := sha256.New()
	h.Write([]byte("fob provision\x00"))
	h.Write(seed)
	return hex.EncodeToString(h.Sum(nil))
}

// Provisioned fails with a *ProvisionedError when a key has a seed, as far as Provision has written it.
func (k Keeper) Provisioned(seed hotp.Seed) error {
	return k.Store.View(func(tx *store.Tx) error {
		copies, err := readCopies(tx, fingerprint(seed))
		for _, c := range copies {
			if c.Done {
				return &ProvisionedError{c.DeviceID, true}
			}
		}
		return err
	})
}

func readCopies(tx *store.Tx, name string) (copies []copyOf, err error) {
	value, err := tx.Get(provisioned, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &copies)
	}
	return copies, err
}

// change changes the journal durably.
func (k Keeper) change(name string, do func([]copyOf) ([]copyOf, error)) error {
	return k.Store.Update(func(tx *store.Tx) error {
		copies, err := readCopies(tx, name)
		if err == nil {
			copies, err = do(copies)
		}
		if err != nil {
			return err
		}
		if len(copies) == 0 {
			if err := tx.Delete(provisioned, name); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return nil
		}
		value, err := json.Marshal(copies)
		if err != nil {
			return err
		}
		return tx.Put(provisioned, name, value)
	})
}

// Provision writes a seed to the key of DeviceID, as Account, and has the key prove it. A journal in the store has,
// before anything is written, which key is to have the seed: no other one gets it, also after a crash, unless clone says
// so (*ProvisionedError). What was interrupted goes on with the same key.
func (k Keeper) Provision(ctx context.Context, seed hotp.Seed, clone bool) error {
	name := fingerprint(seed)
	resumed, err := k.intend(name, clone)
	if err != nil {
		return err
	}
	there := resumed // the key has the seed, or may have it
	err = k.use(ctx, k.DeviceID, func(ctx context.Context, s *ykoath.Session) (err error) {
		if resumed {
			if err := k.resume(ctx, s, seed); !errors.Is(err, ykoath.ErrNotFound) {
				return err
			}
		}
		err = k.write(ctx, s, k.Account, seed)
		there = err == nil || uncertain(err)
		return err
	})
	settled := k.change(name, func(all []copyOf) ([]copyOf, error) {
		at := slices.IndexFunc(all, func(c copyOf) bool { return c.DeviceID == k.DeviceID })
		switch {
		case at < 0:
		case err == nil:
			all[at].Done = true
		case !there:
			all = slices.Delete(all, at, at+1)
		}
		return all, nil
	})
	return errors.Join(err, settled)
}

// resume looks whether an interrupted Provision has written the seed. Another one is none that may be replaced.
func (k Keeper) resume(ctx context.Context, s *ykoath.Session, seed hotp.Seed) error {
	if err := k.tellTouch(k.Account.Touch); err != nil {
		return err
	}
	err := s.Verify(ctx, k.Account, seed)
	if errors.Is(err, ykoath.ErrOtherSeed) {
		return fmt.Errorf("%w, with another seed", ykoath.ErrExists)
	}
	return err
}

// uncertain tells errors of write after which the key may have the seed.
func uncertain(err error) bool {
	return errors.Is(err, ErrLost) || errors.Is(err, ErrNoPCSCD) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*ykoath.ReplyError))
}

// intend notes that the key is to have the seed; resumed tells that this was noted before.
func (k Keeper) intend(name string, clone bool) (resumed bool, err error) {
	err = k.change(name, func(all []copyOf) ([]copyOf, error) {
		for _, c := range all {
			if mine := c.DeviceID == k.DeviceID; mine && c.Done || !mine && !clone {
				return nil, &ProvisionedError{c.DeviceID, c.Done}
			} else if mine {
				resumed = true
			}
		}
		switch {
		case resumed:
			return all, nil
		case len(all) >= maxCopies:
			return nil, errCopies
		}
		return append(all, copyOf{DeviceID: k.DeviceID}), nil
	})
	return resumed, err
}
