package fido

import (
	"context"
	"errors"

	"fob/fido/ctap"
)

// Info is what a key says of itself.
type Info struct {
	*ctap.GetInfoResponse
	PINRetries *PINRetries // nil for a key without a PIN
	UVRetries  *uint       // nil for a key without user verification of its own that is set up, or that doesn't tell
}

// GetInfo asks a key what it can do and how it is set up. It needs nobody.
func GetInfo(ctx context.Context, key Authenticator) (*Info, error) {
	info, err := answer(ctx, key.GetInfo)
	if err != nil {
		return nil, err
	}
	all := &Info{GetInfoResponse: info}
	if info.Options[ctap.OptionClientPIN] {
		left, err := answer(ctx, key.PINRetries)
		if err != nil {
			return nil, err
		}
		all.PINRetries = &left
	}
	if info.Options[ctap.OptionUV] {
		left, err := answer(ctx, key.UVRetries)
		var status ctap.StatusCode
		switch {
		case err == nil:
			all.UVRetries = &left
		case !errors.As(err, &status): // keys of CTAP 2.0 know no such subcommand, and say so in several ways
			return nil, err
		}
	}
	return all, nil
}

// Wink has a key show itself. One that can't is Unsupported.
func Wink(ctx context.Context, key Authenticator) error {
	err := key.Wink(ctx)
	if isStatus(err, ctap.ErrInvalidCommand) {
		return Unsupported("to show itself")
	}
	return err
}
