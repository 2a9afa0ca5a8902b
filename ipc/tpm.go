package ipc

import (
	"context"
	_ "embed"
)

// TPMInterface is the definition of fob.TPM.
//
//go:embed fob.TPM.varlink
var TPMInterface string

// Full names of the methods of fob.TPM.
const (
	MethodTPMStatus = "fob.TPM.Status"
	MethodSRK       = "fob.TPM.SRK"
)

// TPMReason says why something can't be done with the TPM.
type TPMReason string

// The reasons of fob.TPM.Unusable.
const (
	TPMAbsent      TPMReason = "absent"
	TPMDenied      TPMReason = "denied"
	TPMBusy        TPMReason = "busy"
	TPMFailed      TPMReason = "failed"
	TPMOwner       TPMReason = "owner"
	TPMCleared     TPMReason = "cleared"
	TPMChanged     TPMReason = "changed"
	TPMLockedOut   TPMReason = "lockedOut"
	TPMUnsupported TPMReason = "unsupported"
	TPMForeign     TPMReason = "foreign"
	TPMInvalid     TPMReason = "invalid"
)

// TPMStatus is what fob.TPM.Status returns.
type TPMStatus struct {
	Path    string    `json:"path,omitempty"`
	Reason  TPMReason `json:"reason,omitempty"` // empty where it can be used
	Problem string    `json:"problem,omitempty"`
}

// SRKReply is what fob.TPM.SRK returns.
type SRKReply struct {
	Key string `json:"key"`
}

// TPMUnusable is fob.TPM.Unusable.
type TPMUnusable struct {
	Reason  TPMReason `json:"reason"`
	Problem string    `json:"problem"`
}

// VarlinkError gives the name of the error.
func (TPMUnusable) VarlinkError() string { return "fob.TPM.Unusable" }

func (e TPMUnusable) Error() string { return e.Problem }

// tpmHints say what to do.
var tpmHints = map[TPMReason]string{
	TPMAbsent:      "'fob doctor' tells whether this computer has one",
	TPMDenied:      "add yourself to the group tss, and log in again: sudo usermod -aG tss $USER",
	TPMBusy:        "repeat in a moment",
	TPMFailed:      "restart the computer, and look at its firmware's settings",
	TPMOwner:       "have who owns it make a storage root key: tpm2_evictcontrol -C o -c srk.ctx 0x81000001",
	TPMCleared:     "bring a backup back with 'fob store import --replace FILE'",
	TPMChanged:     "start the computer as before, or bring a backup back with 'fob store import --replace FILE'",
	TPMLockedOut:   "wait, with the computer on; it does not help to try again",
	TPMUnsupported: "keep it in the store instead",
	TPMForeign:     "have it wrapped to the key that 'fob tpm srk' prints here",
	TPMInvalid:     "bring a backup back, or have it made again",
}

// Hint says what to do.
func (e TPMUnusable) Hint() string { return tpmHints[e.Reason] }

// tpmErrors holds a value of each type.
var tpmErrors = []Error{TPMUnusable{}}

// TPMStatus performs fob.TPM.Status.
func (c *Client) TPMStatus(ctx context.Context) (*TPMStatus, error) {
	var reply TPMStatus
	if err := c.call(ctx, MethodTPMStatus, nil, &reply); err != nil {
		return nil, err
	}
	return &reply, nil
}

// SRK performs fob.TPM.SRK.
func (c *Client) SRK(ctx context.Context) (string, error) {
	var reply SRKReply
	err := c.call(ctx, MethodSRK, nil, &reply)
	return reply.Key, err
}
