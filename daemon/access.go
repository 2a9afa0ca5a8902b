package daemon

import (
	"context"
	"os"
	"slices"

	"fob/ipc"
	"fob/ipc/varlink"
)

// anybodys are the methods that every user may call whom fobd serves; see Daemon.Authorize. All others, those included
// that nobody has thought of here, are for the owners of this fobd: they tell what other users do, answer for them, or
// change what is there for all.
var anybodys = []string{
	ipc.MethodList, ipc.MethodDeviceWatch, ipc.MethodGetInfo, ipc.MethodWink,
	ipc.MethodSetPIN, ipc.MethodChangePIN, ipc.MethodForcePINChange, ipc.MethodSetMinPINLength,
	ipc.MethodSetMinPINLengthRPIDs, ipc.MethodSetAlwaysUV, ipc.MethodEnableEnterpriseAttestation,
	ipc.MethodListCredentials, ipc.MethodRenameCredential, ipc.MethodDeleteCredential,
	ipc.MethodListLargeBlobs, ipc.MethodGetLargeBlob, ipc.MethodSetLargeBlob, ipc.MethodDeleteLargeBlob,
	ipc.MethodListFingerprints, ipc.MethodAddFingerprint, ipc.MethodRenameFingerprint, ipc.MethodRemoveFingerprint,
	ipc.MethodReset,
	ipc.MethodRegister, ipc.MethodSignIn,
	ipc.MethodAnswer, // to what the user's own ceremonies ask
	ipc.MethodStoreStatus, ipc.MethodStatus, ipc.MethodPing,
}

// guarded refuses calls by users who may not make them.
func (d *Daemon) guarded(h varlink.Handler) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		if !owns(c.Peer) && !slices.Contains(anybodys, c.Method) {
			d.Log.Warn("call refused", "method", c.Method, "pid", c.Peer.PID, "uid", c.Peer.UID)
			return nil, varlink.PermissionDenied{}
		}
		return h(ctx, c)
	}
}

// owns reports whether a peer is an owner of this fobd: of our own user, or root, who could become that.
func owns(p varlink.Peer) bool { return answersFor(p.UID, uint32(os.Getuid())) }

// answersFor reports whether a user may hear and answer what the ceremonies of another one ask.
func answersFor(uid, other uint32) bool { return uid == other || uid == 0 }
