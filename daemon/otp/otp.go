// Package otp keeps tokens of one-time passwords in the sealed store, and makes their codes. A counter that was used is
// on the disk before its code is given.
package otp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"fob/daemon/store"
	"fob/hotp"
)

// Tokens are those of a store. The methods may be called concurrently.
type Tokens struct {
	Store *store.Store
	// Keepers are places for seeds beside the store itself, by their names; may be nil. What a token's Keeper has behind
	// a colon is for the keeper alone, which is named after what stands before.
	Keepers map[string]Keeper
}

// bucket has the records.
const bucket store.Bucket = "otp"

// keeper finds who keeps a seed.
func (t *Tokens) keeper(name string) (Keeper, error) {
	if name == InStore {
		return inStore{}, nil
	}
	kind, _, _ := strings.Cut(name, ":")
	if k := t.Keepers[kind]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoKeeper, name)
}

// Check tells whether Add would take the token, but for its seed.
func (t *Tokens) Check(token Token) error {
	if err := token.valid(); err != nil {
		return err
	}
	if _, err := t.keeper(token.Keeper); err != nil {
		return err
	}
	return t.Store.View(func(tx *store.Tx) error { return vacant(tx, token.Name) })
}

// vacant tells whether there can be another token, of this name.
func vacant(tx *store.Tx, name string) error {
	names, err := tx.List(bucket)
	if err != nil {
		return err
	}
	for _, other := range names {
		if other == name {
			return ErrExists
		}
	}
	if len(names) >= MaxTokens {
		return ErrTooMany
	}
	return nil
}

// Add makes a token, whose seed goes to the keeper that it names, and gives it as it is kept. The seed stays the
// caller's.
func (t *Tokens) Add(ctx context.Context, token Token, seed hotp.Seed) (Token, error) {
	if err := seed.Valid(); err != nil {
		return Token{}, err
	}
	token.SeedSize, token.Created, token.Used = len(seed), now(), time.Time{}
	if err := t.Check(token); err != nil {
		return Token{}, err
	}
	k, err := t.keeper(token.Keeper)
	if err != nil {
		return Token{}, err
	}
	handle, err := k.Put(ctx, token.Name, token.Parameters, seed)
	if err != nil {
		return Token{}, err
	}
	defer handle.Wipe()
	if err = t.insert(token, handle); err != nil {
		return Token{}, errors.Join(err, k.Delete(context.WithoutCancel(ctx), handle))
	}
	return token, nil
}

// AddKept makes a token whose seed, of token.SeedSize bytes, its keeper has already, at the handle, and gives it as it is
// kept.
func (t *Tokens) AddKept(token Token, handle Handle) (Token, error) {
	token.Created, token.Used = now(), time.Time{}
	if err := t.Check(token); err != nil {
		return Token{}, err
	}
	return token, t.insert(token, handle)
}

func (t *Tokens) insert(token Token, handle Handle) error {
	return t.Store.Update(func(tx *store.Tx) error {
		if err := vacant(tx, token.Name); err != nil { // another call may have been faster
			return err
		}
		return put(tx, &record{Token: token, handle: handle})
	})
}

// now is the time as records have it.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// get reads a record. The caller wipes it.
func get(tx *store.Tx, name string) (*record, error) {
	value, err := tx.Get(bucket, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return decode(name, value)
}

func put(tx *store.Tx, r *record) error {
	value, err := r.encode()
	defer clear(value)
	if err != nil {
		return err
	}
	return tx.Put(bucket, r.Name, value)
}

// read reads a record. The caller wipes it.
func (t *Tokens) read(name string) (r *record, err error) {
	err = t.Store.View(func(tx *store.Tx) (err error) {
		r, err = get(tx, name)
		return err
	})
	return r, err
}

// Find gives a token.
func (t *Tokens) Find(name string) (Token, error) {
	r, err := t.read(name)
	if err != nil {
		return Token{}, err
	}
	defer r.wipe()
	return r.Token, nil
}

// List gives all tokens, sorted by name.
func (t *Tokens) List() (tokens []Token, err error) {
	err = t.Store.View(func(tx *store.Tx) error {
		tokens = nil
		names, err := tx.List(bucket)
		for _, name := range names {
			r, err := get(tx, name)
			if err != nil {
				return err
			}
			tokens = append(tokens, r.Token)
			r.wipe()
		}
		return err
	})
	return tokens, err
}

// Count tells how many tokens there are.
func (t *Tokens) Count() (n int, err error) {
	err = t.Store.View(func(tx *store.Tx) error {
		names, err := tx.List(bucket)
		n = len(names)
		return err
	})
	return n, err
}

// Rename gives a token another name.
func (t *Tokens) Rename(name, another string) error {
	return t.Store.Update(func(tx *store.Tx) error {
		r, err := get(tx, name)
		if err != nil {
			return err
		}
		defer r.wipe()
		if name == another {
			return nil
		}
		r.Name = another
		if err := r.valid(); err != nil {
			return err
		}
		switch _, err := tx.Get(bucket, another); {
		case err == nil:
			return ErrExists
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := tx.Delete(bucket, name); err != nil {
			return err
		}
		return put(tx, r)
	})
}

// Remove destroys the seed of a token, and then forgets the token: when that fails, it can be repeated. One that is
// damaged is forgotten.
func (t *Tokens) Remove(ctx context.Context, name string) error {
	r, err := t.read(name)
	if err == nil {
		defer r.wipe()
		err = t.destroy(ctx, r)
	}
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	err = t.Store.Update(func(tx *store.Tx) error { return tx.Delete(bucket, name) })
	if errors.Is(err, store.ErrNotFound) {
		err = ErrNotFound
	}
	return err
}

func (t *Tokens) destroy(ctx context.Context, r *record) error {
	k, err := t.keeper(r.Keeper)
	if err != nil {
		return err
	}
	return k.Delete(ctx, r.handle)
}

// Reveal gives a token and its seed, which the caller wipes; ErrStays where its keeper does not give it.
func (t *Tokens) Reveal(ctx context.Context, name string) (Token, hotp.Seed, error) {
	r, err := t.read(name)
	if err != nil {
		return Token{}, nil, err
	}
	defer r.wipe()
	k, err := t.keeper(r.Keeper)
	if err != nil {
		return Token{}, nil, err
	}
	reveals, can := k.(Revealer)
	if !can {
		return Token{}, nil, fmt.Errorf("%w: %s", ErrStays, r.Keeper)
	}
	seed, err := reveals.Seed(ctx, r.handle)
	return r.Token, seed, err
}
