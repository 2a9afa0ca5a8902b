package ipc

import (
	"context"
	"fmt"
)

// ResetRequest holds the parameters of fob.Device.Reset.
type ResetRequest struct {
	Turn
	Device string `json:"device,omitempty"`
	Name   string `json:"name"`
}

// Reset performs fob.Device.Reset.
func (c *Client) Reset(ctx context.Context, r ResetRequest, p Prompter) error {
	return c.manage(ctx, MethodReset, &r, p)
}

// The errors of a reset.

func (WrongName) VarlinkError() string     { return "fob.Device.WrongName" }
func (NotTheSameKey) VarlinkError() string { return "fob.Device.NotTheSameKey" }
func (ResetLate) VarlinkError() string     { return "fob.Device.ResetLate" }

func (e WrongName) Error() string {
	return fmt.Sprintf("the key is not called %q, and is not reset", e.Name)
}
func (e NotTheSameKey) Error() string { return "nothing is reset: " + e.Problem }
func (ResetLate) Error() string {
	return "nothing is reset: the key was asked too late after it was plugged in, each time"
}

func (WrongName) Hint() string { return "type the name or the id that 'fob devices' shows" }
func (NotTheSameKey) Hint() string {
	return "plug in the key to be reset alone, or leave the others as they are, and repeat"
}
func (ResetLate) Hint() string { return "repeat; other programs may have kept the key busy" }
