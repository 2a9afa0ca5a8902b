package ipc

import "context"

// SetPIN performs fob.Device.SetPIN. As all methods that manage a key it ends when ctx does; the key named device is
// meant, or the only one where that is empty.
func (c *Client) SetPIN(ctx context.Context, device string, p Prompter) error {
	return c.manage(ctx, MethodSetPIN, &WhichDevice{Device: device}, p)
}

// ChangePIN performs fob.Device.ChangePIN.
func (c *Client) ChangePIN(ctx context.Context, device string, p Prompter) error {
	return c.manage(ctx, MethodChangePIN, &WhichDevice{Device: device}, p)
}

// ForcePINChange performs fob.Device.ForcePINChange.
func (c *Client) ForcePINChange(ctx context.Context, device string, p Prompter) error {
	return c.manage(ctx, MethodForcePINChange, &WhichDevice{Device: device}, p)
}

// SetMinPINLength performs fob.Device.SetMinPINLength.
func (c *Client) SetMinPINLength(ctx context.Context, r MinPINLengthRequest, p Prompter) error {
	return c.manage(ctx, MethodSetMinPINLength, &r, p)
}

// SetMinPINLengthRPIDs performs fob.Device.SetMinPINLengthRPIDs.
func (c *Client) SetMinPINLengthRPIDs(ctx context.Context, r MinPINLengthRPIDsRequest, p Prompter) error {
	return c.manage(ctx, MethodSetMinPINLengthRPIDs, &r, p)
}

// SetAlwaysUV performs fob.Device.SetAlwaysUV.
func (c *Client) SetAlwaysUV(ctx context.Context, r AlwaysUVRequest, p Prompter) error {
	return c.manage(ctx, MethodSetAlwaysUV, &r, p)
}

// EnableEnterpriseAttestation performs fob.Device.EnableEnterpriseAttestation.
func (c *Client) EnableEnterpriseAttestation(ctx context.Context, device string, p Prompter) error {
	return c.manage(ctx, MethodEnableEnterpriseAttestation, &WhichDevice{Device: device}, p)
}

func (c *Client) manage(ctx context.Context, method string, in request, p Prompter) error {
	return c.follow(ctx, method, in, p, &struct{}{})
}
