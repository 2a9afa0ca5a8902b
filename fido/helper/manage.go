package helper

import (
	"context"

	"fob/fido"
	"fob/fido/ctap"
)

// Wink implements fido.Authenticator.
func (k key) Wink(ctx context.Context) error { return k.change(ctx, request{Op: opWink}) }

// SetPIN implements fido.Authenticator.
func (k key) SetPIN(ctx context.Context, pin fido.PIN) error {
	return k.change(ctx, request{Op: opSetPIN, New: pin})
}

// ChangePIN implements fido.Authenticator.
func (k key) ChangePIN(ctx context.Context, old, pin fido.PIN) error {
	return k.change(ctx, request{Op: opChangePIN, PIN: old, New: pin})
}

// Configure implements fido.Authenticator.
func (k key) Configure(ctx context.Context, r *fido.ConfigRequest) error {
	body, err := encodeConfig(r)
	if err != nil {
		return err
	}
	return k.change(ctx, request{Op: opConfigure, Body: body, PIN: r.PIN})
}

// Reset implements fido.Authenticator.
func (k key) Reset(ctx context.Context) error { return k.change(ctx, request{Op: opReset}) }

// change is a call whose reply says nothing but that it is done.
func (k key) change(ctx context.Context, req request) error {
	_, err := call(ctx, k.client, req, func([]byte) (struct{}, error) { return struct{}{}, nil })
	return err
}

// manage is ceremony for what changes the key.
func (s *session) manage(ctx context.Context, req *request) ([]byte, error) {
	switch req.Op {
	case opWink:
		return nil, s.key.Wink(ctx)
	case opSetPIN:
		return nil, s.key.SetPIN(ctx, req.New)
	case opChangePIN:
		return nil, s.key.ChangePIN(ctx, req.PIN, req.New)
	case opConfigure:
		r, err := parseConfig(req.Body, req.PIN)
		if err != nil {
			return nil, err
		}
		return nil, s.key.Configure(ctx, r)
	case opCredentials, opUpdateUser, opDeleteCredential, opLargeBlob, opSetLargeBlob:
		return s.manageCredentials(ctx, req)
	case opReset:
		return nil, s.key.Reset(ctx)
	default:
		return s.enroll(ctx, req)
	}
}

// maxRPIDs is how many relying parties a key may be told at once who may ask for the length of its PIN.
const maxRPIDs = 32

func checkConfig(r *fido.ConfigRequest) error {
	if r.MinPINLength > maxPINLength || len(r.RPIDs) > maxRPIDs {
		return ctap.ErrLimitExceeded
	}
	for _, id := range r.RPIDs {
		if err := checkRPID(id); err != nil {
			return err
		}
	}
	given := 0
	for _, yes := range []bool{r.MinPINLength > 0, len(r.RPIDs) > 0, r.ForceChange} {
		if yes {
			given++
		}
	}
	if (r.Subcommand == ctap.SubcommandSetMinPINLength) != (given == 1) || given > 1 {
		return ctap.ErrInvalidParameter
	}
	return checkPIN(r.PIN)
}

// encodeConfig gives the body of a request: authenticatorConfig without the PIN's part.
func encodeConfig(r *fido.ConfigRequest) ([]byte, error) {
	if err := checkConfig(r); err != nil {
		return nil, err
	}
	c := &ctap.ConfigRequest{Subcommand: r.Subcommand}
	if r.Subcommand == ctap.SubcommandSetMinPINLength {
		p := ctap.SetMinPINLengthParams{MinPINLengthRPIDs: r.RPIDs, ForceChangePIN: ifTrue(r.ForceChange)}
		if r.MinPINLength > 0 {
			p.NewMinPINLength = &r.MinPINLength
		}
		params, err := ctap.Marshal(p)
		if err != nil {
			return nil, err
		}
		c.SubcommandParams = params
	}
	return ctap.Marshal(c)
}

func parseConfig(body []byte, pin fido.PIN) (*fido.ConfigRequest, error) {
	c, err := ctap.ParseConfigRequest(body)
	if err != nil {
		return nil, err
	}
	r := &fido.ConfigRequest{Subcommand: c.Subcommand, PIN: pin}
	if c.Subcommand == ctap.SubcommandSetMinPINLength {
		p, err := c.MinPINLength()
		if err != nil {
			return nil, err
		}
		if p.NewMinPINLength != nil {
			r.MinPINLength = *p.NewMinPINLength
		}
		r.RPIDs, r.ForceChange = p.MinPINLengthRPIDs, ctap.True(p.ForceChangePIN)
	}
	return r, checkConfig(r)
}
