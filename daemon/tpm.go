package daemon

import (
	"context"
	"errors"

	"fob/daemon/tpm"
	"fob/ipc"
	"fob/ipc/varlink"
)

// tpmMethods are those of fob.TPM.
func (d *Daemon) tpmMethods() map[string]varlink.Handler {
	return map[string]varlink.Handler{"Status": d.tpmStatus, "SRK": d.tpmSRK}
}

// theTPM is the one that we use, or one that says that there is none.
func (d *Daemon) theTPM() *tpm.TPM {
	if d.TPM == nil {
		return new(tpm.TPM)
	}
	return d.TPM
}

// tpmStatus implements fob.TPM.Status.
func (d *Daemon) tpmStatus(ctx context.Context, _ *varlink.Call) (any, error) {
	t := d.theTPM()
	reply := ipc.TPMStatus{Path: t.Path}
	if _, err := t.SRK(ctx); err != nil {
		reply.Reason, reply.Problem = tpmReason(err), err.Error()
	}
	return reply, nil
}

// tpmSRK implements fob.TPM.SRK.
func (d *Daemon) tpmSRK(ctx context.Context, _ *varlink.Call) (any, error) {
	k, err := d.theTPM().SRK(ctx)
	if err != nil {
		return nil, tpmError(err)
	}
	return ipc.SRKReply{Key: string(k.Encode())}, nil
}

// tpmReasons are the errors of a TPM, and their names in fob.TPM.
var tpmReasons = map[error]ipc.TPMReason{
	tpm.ErrAbsent: ipc.TPMAbsent, tpm.ErrDenied: ipc.TPMDenied, tpm.ErrBusy: ipc.TPMBusy, tpm.ErrFailed: ipc.TPMFailed,
	tpm.ErrOwner: ipc.TPMOwner, tpm.ErrCleared: ipc.TPMCleared, tpm.ErrPCR: ipc.TPMChanged,
	tpm.ErrLockedOut: ipc.TPMLockedOut, tpm.ErrUnsupported: ipc.TPMUnsupported, tpm.ErrForeign: ipc.TPMForeign,
	tpm.ErrInvalid: ipc.TPMInvalid,
}

// tpmReason is empty where an error is none of a TPM.
func tpmReason(err error) ipc.TPMReason {
	for kind, reason := range tpmReasons {
		if errors.Is(err, kind) {
			return reason
		}
	}
	return ""
}

// tpmError gives an error of a TPM the name under which it leaves fobd; others stay.
func tpmError(err error) error {
	if reason := tpmReason(err); reason != "" {
		return ipc.TPMUnusable{Reason: reason, Problem: err.Error()}
	}
	return err
}
