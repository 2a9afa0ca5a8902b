package daemon

import (
	"context"
	"errors"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/webauthn"
	"fob/ipc"
	"fob/ipc/varlink"
)

// wireError gives an error the name under which it leaves fobd.
func wireError(err error) varlink.Named {
	var (
		named  varlink.Named
		pin    *fido.PINError
		member *webauthn.MemberError
		rpID   *webauthn.RPIDError
		lost   *fido.CardLostError
		status ctap.StatusCode
		cannot fido.Unsupported
		grows  *fido.MinPINLengthError
		left   *fido.OrphanError
		name   *fido.UnknownCredentialError
		names  *fido.AmbiguousCredentialError
		space  *fido.LargeBlobSpaceError
		long   *fido.NameLengthError
		finger *fido.FingerprintError
		other  *fido.NotTheSameKeyError
	)
	switch {
	case errors.As(err, &left):
		return ipc.LargeBlobLeft{Problem: left.Err.Error()}
	case errors.As(err, &named):
		return named
	case errors.As(err, &pin):
		return pinError(pin)
	case errors.As(err, &member):
		return ipc.OptionsInvalid{Member: member.Member, Problem: member.Problem.Error()}
	case errors.As(err, &rpID):
		return ipc.OriginRefused{RPID: rpID.RPID, Origin: rpID.Origin, Problem: rpID.Problem.Error()}
	case errors.As(err, &cannot):
		return ipc.Unsupported{What: string(cannot)}
	case errors.As(err, &grows):
		return ipc.MinPINLengthGrows{Length: int(grows.Now)}
	case errors.As(err, &lost):
		return ipc.CardLost{Reader: lost.Reader, Made: lost.Made}
	case errors.As(err, &name):
		return ipc.UnknownCredential{Credential: name.Name}
	case errors.As(err, &names):
		return ipc.SeveralCredentials{Credential: names.Name, Count: names.Count}
	case errors.As(err, &space):
		return ipc.LargeBlobsFull{Needed: int(space.Needed), Free: int(space.Free)}
	case errors.As(err, &long):
		return ipc.FingerprintNameTooLong{Length: int(long.Max)}
	case errors.As(err, &finger):
		return fingerprintError(finger)
	case errors.As(err, &other):
		return ipc.NotTheSameKey{Problem: other.Problem}
	case errors.Is(err, context.Canceled):
		return ipc.Cancelled{}
	}
	for _, e := range translations {
		if errors.Is(err, e.from) {
			return e.to
		}
	}
	switch {
	case errors.Is(err, fido.ErrHelperDied), errors.Is(err, fido.ErrBadReply), errors.Is(err, fido.ErrHelperStart):
		return ipc.HelperFailed{Problem: err.Error()}
	case errors.As(err, &status):
		return ipc.Failed{Status: int(status), Problem: err.Error()}
	default:
		return ipc.Failed{Problem: err.Error()}
	}
}

var translations = []struct {
	from error
	to   ipc.Error
}{
	{fido.ErrNoDevice, ipc.DeviceGone{}}, // it was there a moment ago, when the call was matched to it
	{fido.ErrDeviceGone, ipc.DeviceGone{}},
	{fido.ErrDeviceBusy, ipc.DeviceBusy{}},
	{fido.ErrDenied, ipc.DeviceDenied{}},
	{fido.ErrNotFIDO2, ipc.NotFIDO2{}},
	{fido.ErrNoUserVerification, ipc.VerificationNotSetUp{}},
	{fido.ErrPINSet, ipc.PINSet{}},
	{fido.ErrPINChangeRequired, ipc.PINChangeRequired{}},
	{fido.ErrSamples, ipc.FingerprintNotTaken{}},
	{fido.ErrResetLate, ipc.ResetLate{}},
	{fido.ErrWatchEnded, ipc.WatchEnded{Problem: "the system does not tell what is plugged in and out"}},
	{fido.ErrNoResidentKey, ipc.Unsupported{What: "a discoverable credential"}},
	{fido.ErrNoCredProtect, ipc.Unsupported{What: "protection of the credential (credProtect)"}},
	{fido.ErrNoLargeBlob, ipc.Unsupported{What: "a large blob"}},
	{fido.ErrLargeBlobMissing, ipc.NoLargeBlob{}},
	{fido.ErrLargeBlobsCorrupt, ipc.LargeBlobsCorrupt{}},
	{fido.ErrDeclined, ipc.Declined{}},
	{ctap.ErrUnsupportedAlgorithm, ipc.Unsupported{What: "one of the relying party's algorithms"}},
	{ctap.ErrCredentialExcluded, ipc.AlreadyRegistered{}},
	{ctap.ErrNoCredentials, ipc.NotRegistered{}},
	{ctap.ErrInvalidCredential, ipc.NotRegistered{}},
	{ctap.ErrKeyStoreFull, ipc.KeyFull{}},
	{ctap.ErrFPDatabaseFull, ipc.FingerprintsFull{}},
	{ctap.ErrPINNotSet, ipc.VerificationNotSetUp{}},
	{ctap.ErrUVInvalid, ipc.FingerUnknown{}},
	{ctap.ErrUVBlocked, ipc.FingersBlocked{}},
	{ctap.ErrOperationDenied, ipc.Declined{Key: true}},
	{ctap.ErrUserActionTimeout, ipc.TimedOut{}},
	{ctap.ErrActionTimeout, ipc.TimedOut{}},
	{ctap.ErrKeepaliveCancel, ipc.Cancelled{}},
	{ctap.ErrChannelBusy, ipc.DeviceBusy{}},
}

func pinError(e *fido.PINError) varlink.Named {
	switch e.Status {
	case ctap.ErrPINBlocked:
		return ipc.PINBlocked{}
	case ctap.ErrPINAuthBlocked:
		return ipc.PINAuthBlocked{Retries: int(e.Retries)}
	default:
		return ipc.PINInvalid{Retries: int(e.Retries)}
	}
}

// result is what the log says of an error: its name on the wire.
func result(err error) string {
	if err == nil {
		return "ok"
	}
	return wireError(err).VarlinkError()
}
