package daemon

import (
	"cmp"
	"context"
	"strings"
	"time"

	"fob/daemon/policy"
	"fob/fido"
	"fob/fido/ctap"
	"fob/ipc"
	"fob/ipc/varlink"
)

// managementTime is how long the management of a key may take, with a PIN that a person thinks of on the way.
const managementTime = 5 * time.Minute

// deviceMethods are those of fob.Device.
func (d *Daemon) deviceMethods() map[string]varlink.Handler {
	return map[string]varlink.Handler{
		"List":                        d.list,
		"Watch":                       d.watch,
		"GetInfo":                     d.getInfo,
		"Wink":                        d.wink,
		"SetPIN":                      managed(d, setPIN),
		"ChangePIN":                   managed(d, changePIN),
		"ForcePINChange":              managed(d, forcePINChange),
		"SetMinPINLength":             managed(d, setMinPINLength),
		"SetMinPINLengthRPIDs":        managed(d, setRPIDs),
		"SetAlwaysUV":                 managed(d, setAlwaysUV),
		"EnableEnterpriseAttestation": managed(d, enableEnterpriseAttestation),
		"ListCredentials":             managed(d, listCredentials),
		"RenameCredential":            managed(d, renameCredential),
		"DeleteCredential":            managed(d, deleteCredential),
		"ListLargeBlobs":              managed(d, listLargeBlobs),
		"GetLargeBlob":                managed(d, getLargeBlob),
		"SetLargeBlob":                managed(d, setLargeBlob),
		"DeleteLargeBlob":             managed(d, deleteLargeBlob),
		"ListFingerprints":            managed(d, listFingerprints),
		"AddFingerprint":              managed(d, addFingerprint),
		"RenameFingerprint":           managed(d, renameFingerprint),
		"RemoveFingerprint":           managed(d, removeFingerprint),
		"Reset":                       does(d, policy.Reset, d.reset),
	}
}

// managed is a method that manages one key.
func managed[In any](d *Daemon, do management[In]) varlink.Handler { return does(d, policy.Manage, do) }

// does is a method that does something, for the policy a verb, to one key, which its parameters name by "device".
func does[In any](d *Daemon, verb policy.Verb, do management[In]) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		if !c.More {
			return nil, varlink.ExpectedMore{}
		}
		var which ipc.WhichDevice
		var in In
		if err := cmp.Or(c.Bind(&which), c.Bind(&in)); err != nil {
			return nil, err
		}
		var out any
		about := &ceremony{errand: errand{verb: verb}, daemon: d, call: c, one: true, noWait: which.DoesNotWait()}
		err := d.onKeys(ctx, about, which.Device, managementTime,
			func(ctx context.Context, keys fido.Keys, p fido.Prompter) (err error) {
				out, err = do(ctx, keys.Now[0], p, &in)
				return err
			})
		return out, err
	}
}

// management does what a method says, to one key, and gives the last reply.
type management[In any] func(ctx context.Context, key fido.Candidate, p fido.Prompter, in *In) (any, error)

func setPIN(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	return nil, fido.SetPIN(ctx, key, p)
}

func changePIN(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	return nil, fido.ChangePIN(ctx, key, p)
}

func forcePINChange(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	return nil, fido.Configure(ctx, key, p, fido.ConfigRequest{
		Subcommand: ctap.SubcommandSetMinPINLength, ForceChange: true})
}

func setMinPINLength(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.MinPINLengthRequest,
) (any, error) {
	if in.Length < fido.MinPINLength || in.Length > fido.MaxPINLength {
		return nil, varlink.InvalidParameter{Parameter: "length"}
	}
	return nil, fido.Configure(ctx, key, p, fido.ConfigRequest{
		Subcommand: ctap.SubcommandSetMinPINLength, MinPINLength: uint(in.Length)})
}

// maxRPID is how long a domain name is at most, in bytes.
const maxRPID = 253

func setRPIDs(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.MinPINLengthRPIDsRequest) (any, error) {
	for _, id := range in.RPIDs {
		if id == "" || len(id) > maxRPID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, varlink.InvalidParameter{Parameter: "rpIds"}
		}
	}
	if len(in.RPIDs) == 0 {
		return nil, varlink.InvalidParameter{Parameter: "rpIds"}
	}
	return nil, fido.Configure(ctx, key, p, fido.ConfigRequest{
		Subcommand: ctap.SubcommandSetMinPINLength, RPIDs: in.RPIDs})
}

func setAlwaysUV(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.AlwaysUVRequest) (any, error) {
	return nil, fido.SetAlwaysUV(ctx, key, p, in.On)
}

func enableEnterpriseAttestation(
	ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice,
) (any, error) {
	return nil, fido.EnableEnterpriseAttestation(ctx, key, p)
}
