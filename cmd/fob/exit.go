package main

import (
	"errors"
	"strings"

	"fob/cmd/internal/program"
	"fob/daemon/policy"
	"fob/fido/metadata"
	"fob/fido/relyingparty"
	"fob/hotp/seedfile"
	"fob/ipc"
)

// Exit codes, as the help of the program lists them.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNotRunning  = 3
	exitDevice      = 4
	exitPIN         = 5
	exitKey         = 6
	exitTimedOut    = 7
	exitDeclined    = 8
	exitNotVerified = 9
	exitWrong       = 10 // of doctor, status, policy and seeds
	exitInterrupted = 130
)

func exitCode(err error) int {
	var named ipc.Error
	switch {
	case errors.As(err, new(program.UsageError)), errors.As(err, new(ipc.InvalidParameter)), isCobraUsage(err):
		return exitUsage
	case errors.As(err, new(*ipc.NotRunning)), errors.As(err, new(*ipc.Lost)):
		return exitNotRunning
	case errors.Is(err, relyingparty.ErrNotVerified), errors.Is(err, errClone), errors.As(err, new(*metadata.Refused)),
		errors.As(err, new(logChanged)):
		return exitNotVerified
	case errors.As(err, new(notImported)):
		return exitKey
	case errors.As(err, new(foundWrong)), errors.As(err, new(broken)), errors.As(err, new(*policy.Error)),
		errors.As(err, new(foundInSeeds)), errors.As(err, new(skippedTokens)):
		return exitWrong
	case errors.Is(err, errNoTerminal), errors.Is(err, errReserved), errors.Is(err, errNoNewPIN),
		errors.Is(err, errRefused), errors.Is(err, errOtherKey), errors.Is(err, program.ErrPINLength),
		errors.Is(err, errNoPassphrase), errors.Is(err, errNoTokenPIN), errors.Is(err, errNoKey),
		errors.Is(err, errKeySize), errors.Is(err, errNoKeyPassword),
		errors.Is(err, errKeyPassword), errors.Is(err, seedfile.ErrWrongKey),
		errors.As(err, new(*seedfile.LockedError)), errors.Is(err, program.ErrPassphraseLength):
		return exitPIN
	case errors.Is(err, errNotConfirmed), errors.Is(err, ipc.ErrDeclined):
		return exitDeclined
	case errors.Is(err, errLost), errors.As(err, new(*lostKey)):
		return exitDevice
	case !errors.As(err, &named):
		return exitFailure
	}
	switch named.(type) {
	case ipc.WatchEnded:
		return exitNotRunning
	case ipc.NoDevice, ipc.UnknownDevice, ipc.DeviceGone, ipc.DeviceBusy, ipc.CardLost, ipc.DeviceDenied,
		ipc.SeveralDevices, ipc.NotFIDO2, ipc.HelperFailed, ipc.NoKey, ipc.UnknownKey, ipc.SeveralKeys, ipc.KeyLost,
		ipc.PlugFailed, ipc.KeyFailed, ipc.Ended, ipc.WrongName, ipc.NotTheSameKey:
		return exitDevice
	case ipc.PINInvalid, ipc.PINAuthBlocked, ipc.PINBlocked, ipc.PINChangeRequired, ipc.PINSet, ipc.MinPINLengthGrows,
		ipc.VerificationNotSetUp, ipc.FingerUnknown, ipc.FingersBlocked, ipc.PassphraseWrong:
		return exitPIN
	case ipc.AlreadyRegistered, ipc.NotRegistered, ipc.KeyFull, ipc.Unsupported, ipc.NotWaiting, ipc.WrongSample,
		ipc.KeyRemoved, ipc.KeyInserted, ipc.NotSupported, ipc.UnknownCredential, ipc.SeveralCredentials, ipc.NoLargeBlob,
		ipc.LargeBlobsFull, ipc.LargeBlobsCorrupt, ipc.LargeBlobLeft, ipc.UnknownFingerprint, ipc.SeveralFingerprints,
		ipc.FingerprintNameTooLong, ipc.FingerprintsFull, ipc.FingerprintNotTaken, ipc.OTPNotFound, ipc.OTPExists,
		ipc.OTPTooMany, ipc.OTPNotYet, ipc.OTPExhausted, ipc.OTPSeedStays, ipc.OTPKeeperMissing,
		ipc.OTPKeyFailed, ipc.OTPProvisioned,
		ipc.AccountNotFound, ipc.AccountExists, ipc.AccountTooMany, ipc.AccountAssigned, ipc.AccountNoDevices:
		return exitKey
	case ipc.AccountCodeRefused, ipc.AccountNotVerified, ipc.AccountCloned, ipc.AccountNotBegun, ipc.AccountNonceUsed:
		return exitNotVerified
	case ipc.TimedOut, ipc.ResetLate:
		return exitTimedOut
	case ipc.OptionsInvalid, ipc.OriginRefused, ipc.ParameterInvalid, ipc.OTPParameterWrong, ipc.OTPSeedInvalid,
		ipc.AccountParameterWrong, ipc.AccountUnsupported:
		return exitUsage
	case ipc.Declined, ipc.Cancelled, ipc.Interrupted, ipc.SessionLocked, ipc.Refused, ipc.AccountNotAllowed:
		return exitDeclined
	default:
		return exitFailure
	}
}

// isCobraUsage recognizes the mistakes that cobra finds itself and has no type for.
func isCobraUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag")
}
