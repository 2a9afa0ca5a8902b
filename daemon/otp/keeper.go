package otp

import (
	"bytes"
	"context"

	"fob/fido"
	"fob/hotp"
)

// Keeper keeps seeds and makes codes by them, so that a seed need not be where the rest of its token is.
type Keeper interface {
	// Put takes the seed of a token, and gives what finds it again, which is kept with the token in the store, encrypted:
	// 32 KiB at most. The seed stays the caller's.
	Put(ctx context.Context, name string, p hotp.Parameters, seed hotp.Seed) (Handle, error)
	// Code gives the code for a moving factor.
	Code(ctx context.Context, h Handle, p hotp.Parameters, movingFactor uint64) (string, error)
	// Delete destroys the seed. One that is gone already is no error.
	Delete(ctx context.Context, h Handle) error
}

// Revealer is a Keeper that gives seeds out again.
type Revealer interface {
	Keeper
	// Seed gives a copy of a seed. The caller wipes it.
	Seed(ctx context.Context, h Handle) (hotp.Seed, error)
}

// Handle is by what a Keeper finds a seed. It may be a secret, or the seed itself; whoever got it wipes it.
type Handle = fido.Secret

// InStore is the name of the Keeper that needs no other place than the sealed store.
const InStore = "store"

// inStore is that Keeper: its handle, which is in the store anyway, is the seed.
type inStore struct{}

// Put implements Keeper.
func (inStore) Put(_ context.Context, _ string, _ hotp.Parameters, seed hotp.Seed) (Handle, error) {
	return bytes.Clone(seed), nil
}

// Code implements Keeper.
func (inStore) Code(_ context.Context, h Handle, p hotp.Parameters, movingFactor uint64) (string, error) {
	return p.Code(hotp.Seed(h), movingFactor)
}

// Delete implements Keeper.
func (inStore) Delete(context.Context, Handle) error { return nil }

// Seed implements Revealer.
func (inStore) Seed(_ context.Context, h Handle) (hotp.Seed, error) { return bytes.Clone(h), nil }
