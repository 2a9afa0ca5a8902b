package daemon

import (
	"errors"

	"fob/daemon/account"
	"fob/fido/relyingparty"
	"fob/hotp"
	"fob/ipc"
	"fob/ipc/varlink"
)

// accountError gives the errors of accounts the names under which they leave fobd; others stay.
func accountError(err error) error {
	if err == nil || errors.As(err, new(varlink.Named)) {
		return err
	}
	for _, named := range []func(error) error{missingAccount, notAllowed, codeRefused, refusedDevice, wrongAccount} {
		if out := named(err); out != nil {
			return out
		}
	}
	return err
}

func missingAccount(err error) error {
	for missing, what := range map[error]string{account.ErrNoRealm: "realm", account.ErrNoPrincipal: "principal",
		account.ErrNoDevice: "device", account.ErrNoToken: "token"} {
		if errors.Is(err, missing) {
			return ipc.AccountNotFound{What: what, Problem: err.Error()}
		}
	}
	return nil
}

func notAllowed(err error) error {
	for known, reason := range map[error]ipc.AccountReason{
		account.ErrNeedsDevice: ipc.AccountNeedsDevice, account.ErrNeedsAdmin: ipc.AccountNeedsAdministrator,
		account.ErrInUse: ipc.AccountNeedsAdministrator, account.ErrTicketForRoot: ipc.AccountNeedsAdministrator,
		account.ErrLastDevice: ipc.AccountLastDevice, account.ErrSession: ipc.AccountSessionOver,
		account.ErrNotFresh: ipc.AccountStale, account.ErrTicket: ipc.AccountTicketOver,
	} {
		if errors.Is(err, known) {
			return ipc.AccountNotAllowed{Reason: reason, Problem: known.Error()}
		}
	}
	return nil
}

func codeRefused(err error) error {
	reason := ipc.AccountCodeReason("")
	switch {
	case errors.Is(err, hotp.ErrWrongCode):
		reason = ipc.AccountCodeWrong
	case errors.Is(err, hotp.ErrUsed):
		reason = ipc.AccountCodeUsed
	case errors.Is(err, hotp.ErrLocked):
		reason = ipc.AccountCodeLocked
	case errors.As(err, new(*hotp.ThrottledError)):
		reason = ipc.AccountCodeThrottled
	case errors.As(err, new(*hotp.CodeError)), errors.Is(err, hotp.ErrSameCode):
		reason = ipc.AccountCodeMalformed
	default:
		return nil
	}
	return ipc.AccountCodeRefused{Reason: reason, Problem: err.Error()}
}

// refusedDevice names what is wrong with MFA devices, and with what they have made.
func refusedDevice(err error) error {
	switch {
	case errors.Is(err, account.ErrCloned):
		return ipc.AccountCloned{}
	case errors.Is(err, account.ErrNothingBegun):
		return ipc.AccountNotBegun{}
	case errors.Is(err, account.ErrNonce):
		return ipc.AccountNonceUsed{}
	case errors.Is(err, account.ErrNoDevices):
		return ipc.AccountNoDevices{}
	case errors.Is(err, account.ErrBusy):
		return ipc.AccountBusy{}
	case errors.Is(err, relyingparty.ErrNotVerified), errors.Is(err, relyingparty.ErrSession):
		return ipc.AccountNotVerified{Problem: err.Error()}
	case errors.Is(err, account.ErrDamaged):
		return nil // which may also be assigned
	case errors.Is(err, account.ErrAssigned), errors.Is(err, account.ErrSeedTwice):
		return ipc.AccountAssigned{Problem: err.Error()}
	}
	return nil
}

// wrongAccount names what can't be as it was asked for.
func wrongAccount(err error) error {
	switch {
	case errors.Is(err, account.ErrExists):
		return ipc.AccountExists{Problem: err.Error()}
	case errors.Is(err, account.ErrTooMany), errors.Is(err, account.ErrTooManyMFA):
		return ipc.AccountTooMany{Problem: err.Error()}
	case errors.As(err, new(*account.UnsupportedError)), errors.As(err, new(*account.ModelError)):
		return ipc.AccountUnsupported{Problem: err.Error()}
	case errors.As(err, new(*account.NameError)), errors.As(err, new(*account.ParameterError)),
		errors.As(err, new(*hotp.ParameterError)), errors.Is(err, account.ErrNoProof),
		errors.Is(err, account.ErrNotOTP), errors.Is(err, account.ErrRootPrincipal):
		return ipc.AccountParameterWrong{Problem: err.Error()}
	case errors.Is(err, account.ErrNewer):
		return ipc.StoreNewer{Problem: err.Error()}
	case errors.Is(err, account.ErrDamaged):
		return ipc.StoreCorrupt{Problem: err.Error()}
	}
	return nil
}
