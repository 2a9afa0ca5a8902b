package account

import (
	"errors"
	"fmt"
)

// Errors of Accounts. Besides, there are those of package store, of package hotp for codes, and of fido/relyingparty
// for responses; *NameError, *UnsupportedError, *ModelError and *ParameterError.
var (
	ErrNoRealm       = errors.New("there is no realm of this name")
	ErrNoPrincipal   = errors.New("there is no principal of this name in the realm")
	ErrNoDevice      = errors.New("the principal has no MFA device of this name")
	ErrNoToken       = errors.New("no hardware token has this serial number: import its seed first")
	ErrExists        = errors.New("the realm has something of this name already: choose another one")
	ErrTooMany       = errors.New("there are as many as there can be: remove one first")
	ErrTooManyMFA    = fmt.Errorf("the principal has %d MFA devices, which is the most: detach one first", MaxDevices)
	ErrAssigned      = errors.New("the token is another MFA device's already: a token serves exactly one user")
	ErrSeedTwice     = errors.New("another token has the same seed: a token serves exactly one user")
	ErrLastDevice    = errors.New("the last MFA device is removed by an administrator: add another one first, or ask them")
	ErrNeedsDevice   = errors.New("sign in with an MFA device that the principal has, for a session that may change them")
	ErrNeedsAdmin    = errors.New("this takes an administrator: a session of the realm's root, or root of this computer")
	ErrSession       = errors.New("the session is over, or there never was one: sign in again")
	ErrNotFresh      = fmt.Errorf("the sign-in is longer ago than %v: sign in again", Fresh)
	ErrTicket        = errors.New("the ticket is over, was used, or never was one: ask for another one")
	ErrNothingBegun  = errors.New("nothing of this ID has begun, or it is over: begin again")
	ErrBusy          = errors.New("too much has begun that is not finished: try again in some minutes")
	ErrNonce         = errors.New("the nonce was used before: make a new one for each sign-in")
	ErrNoProof       = errors.New("a response of a security key, or a code, is missing")
	ErrNotOTP        = errors.New("the MFA device gives no codes")
	ErrNoDevices     = errors.New("the principal has no MFA device: enrol one first")
	ErrCloned        = errors.New("the security key's signature counter went back: there may be a copy; detach it")
	ErrNewer         = errors.New("a newer fob has written the account")
	ErrDamaged       = errors.New("the account is damaged")
	ErrInUse         = errors.New("a principal with MFA devices is removed by an administrator")
	ErrRootPrincipal = errors.New("root stays as long as its realm")
	ErrTicketForRoot = errors.New("for the realm's root, only root of this computer makes tickets")
)

// NameError says what can't be a name, and why.
type NameError struct {
	What    string // "realm", "principal", "device", "serial", "token"
	Problem string
}

func (e *NameError) Error() string { return "the name of the " + e.What + " " + e.Problem }

// ParameterError says which parameter can't be so.
type ParameterError struct{ Parameter, Problem string }

func (e *ParameterError) Error() string { return e.Parameter + " " + e.Problem }

// UnsupportedError says that a kind of MFA is not supported, and what to use.
type UnsupportedError struct{ Kind string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("MFA by %s is not supported: switch to a passkey or security key (best), an authenticator app, or "+
		"a hardware TOTP token", e.Kind)
}

// ModelError says that the realm does not allow this model of security key.
type ModelError struct{ AAGUID string }

func (e *ModelError) Error() string {
	return "the realm does not allow security keys of the model " + e.AAGUID + ": use another one"
}
