package daemon

import (
	"context"
	"encoding/hex"

	"fob/fido"
	"fob/fido/ctap"
	"fob/ipc"
	"fob/ipc/varlink"
)

// Sizes of what callers say about fingerprints, in bytes. Keys say how long a name may be, 64 bytes mostly.
const (
	maxFingerprintName = 1024
	maxFingerprintText = 2048 // an ID or a name
)

func listFingerprints(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	s, list, err := fido.ListFingerprints(ctx, key, p)
	if err != nil {
		return nil, err
	}
	sensor := &ipc.Sensor{Samples: int(s.Samples), MaxNameLength: int(s.MaxNameLength)}
	switch s.Kind {
	case ctap.FingerprintKindTouch:
		sensor.Kind = ipc.SensorTouch
	case ctap.FingerprintKindSwipe:
		sensor.Kind = ipc.SensorSwipe
	}
	return ipc.FingerprintsReply{Sensor: sensor, Fingerprints: fingerprints(list)}, nil
}

func addFingerprint(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.AddFingerprintRequest,
) (any, error) {
	if in.Name != "" && !nameOfFinger(in.Name) {
		return nil, varlink.InvalidParameter{Parameter: "name"}
	}
	return oneFingerprint(fido.AddFingerprint(ctx, key, p, in.Name))
}

func renameFingerprint(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.RenameFingerprintRequest,
) (any, error) {
	switch {
	case len(in.Fingerprint) > maxFingerprintText:
		return nil, varlink.InvalidParameter{Parameter: "fingerprint"}
	case !nameOfFinger(in.Name):
		return nil, varlink.InvalidParameter{Parameter: "name"}
	}
	return oneFingerprint(fido.RenameFingerprint(ctx, key, p, in.Fingerprint, in.Name))
}

func removeFingerprint(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.RemoveFingerprintRequest,
) (any, error) {
	if len(in.Fingerprint) > maxFingerprintText {
		return nil, varlink.InvalidParameter{Parameter: "fingerprint"}
	}
	return oneFingerprint(fido.RemoveFingerprint(ctx, key, p, in.Fingerprint))
}

func nameOfFinger(name string) bool {
	return len(name) <= maxFingerprintName && fido.IsFingerprintName(name)
}

// oneFingerprint makes the last reply.
func oneFingerprint(f *fido.Fingerprint, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return ipc.FingerprintReply{Fingerprint: &fingerprints([]fido.Fingerprint{*f})[0]}, nil
}

func fingerprints(list []fido.Fingerprint) []ipc.Fingerprint {
	out := make([]ipc.Fingerprint, len(list))
	for i, f := range list {
		out[i] = ipc.Fingerprint{ID: hex.EncodeToString(f.ID), Name: f.Name}
	}
	return out
}

func fingerprintError(e *fido.FingerprintError) varlink.Named {
	if len(e.Found) == 0 {
		return ipc.UnknownFingerprint{Fingerprint: e.Asked}
	}
	return ipc.SeveralFingerprints{Fingerprint: e.Asked, Fingerprints: fingerprints(e.Found)}
}
