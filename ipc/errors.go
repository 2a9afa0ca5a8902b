package ipc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"

	"fob/ipc/varlink"
)

// Error is an error of fobd's interfaces. Error says what happened, Hint what the person can do about it; Hint is empty
// where there is nothing to do.
type Error interface {
	varlink.Named
	Hint() string
}

// The errors of fob.Device; the interface definition says when each occurs.
type (
	NoDevice      struct{}
	UnknownDevice struct {
		ID string `json:"id"`
	}
	DeviceGone struct{}
	DeviceBusy struct {
		Reader  string  `json:"reader,omitempty"`
		Program string  `json:"program,omitempty"`
		Holder  *Holder `json:"holder,omitempty"`
	}
	CardLost struct {
		Reader string `json:"reader"`
		Made   bool   `json:"made,omitempty"`
	}
	DeviceDenied struct{}
	NotFIDO2     struct{}
	HelperFailed struct {
		Problem string `json:"problem"`
	}
	WatchEnded struct {
		Problem string `json:"problem"`
	}
	SeveralDevices struct {
		Devices []Device `json:"devices"`
	}
	PINSet            struct{}
	MinPINLengthGrows struct {
		Length int `json:"length"`
	}
	UnknownFingerprint struct {
		Fingerprint string `json:"fingerprint"`
	}
	SeveralFingerprints struct {
		Fingerprint  string        `json:"fingerprint"`
		Fingerprints []Fingerprint `json:"fingerprints"`
	}
	FingerprintNameTooLong struct {
		Length int `json:"length"`
	}
	FingerprintsFull    struct{}
	FingerprintNotTaken struct{}
	WrongName           struct {
		Name string `json:"name"`
	}
	NotTheSameKey struct {
		Problem string `json:"problem"`
	}
	ResetLate struct{}
)

// The errors of fob.Ceremony; the interface definition says when each occurs.
type (
	OptionsInvalid struct {
		Member  string `json:"member"`
		Problem string `json:"problem"`
	}
	OriginRefused struct {
		RPID    string `json:"rpId"`
		Origin  string `json:"origin"`
		Problem string `json:"problem"`
	}
	PINInvalid struct {
		Retries int `json:"retries"`
	}
	PINAuthBlocked struct {
		Retries int `json:"retries"`
	}
	PINBlocked           struct{}
	PINChangeRequired    struct{}
	FingerUnknown        struct{}
	FingersBlocked       struct{}
	VerificationNotSetUp struct{}
	AlreadyRegistered    struct{}
	NotRegistered        struct{}
	KeyFull              struct{}
	Unsupported          struct {
		What string `json:"what"`
	}
	Declined struct {
		Key bool `json:"key,omitempty"`
	}
	TimedOut    struct{}
	Cancelled   struct{}
	Interrupted struct {
		Reason string `json:"reason"`
	}
	SessionLocked struct {
		Reason string `json:"reason"`
	}
	Failed struct {
		Status  int    `json:"status,omitempty"`
		Problem string `json:"problem"`
	}
)

// The errors of fob.Prompt.
type (
	UnknownToken struct{}
	WrongAnswer  struct {
		Problem string `json:"problem"`
	}
)

func (NoDevice) VarlinkError() string             { return "fob.Device.NoDevice" }
func (UnknownDevice) VarlinkError() string        { return "fob.Device.UnknownDevice" }
func (DeviceGone) VarlinkError() string           { return "fob.Device.DeviceGone" }
func (DeviceBusy) VarlinkError() string           { return "fob.Device.DeviceBusy" }
func (CardLost) VarlinkError() string             { return "fob.Device.CardLost" }
func (DeviceDenied) VarlinkError() string         { return "fob.Device.DeviceDenied" }
func (NotFIDO2) VarlinkError() string             { return "fob.Device.NotFIDO2" }
func (HelperFailed) VarlinkError() string         { return "fob.Device.HelperFailed" }
func (WatchEnded) VarlinkError() string           { return "fob.Device.WatchEnded" }
func (SeveralDevices) VarlinkError() string       { return "fob.Device.SeveralDevices" }
func (PINSet) VarlinkError() string               { return "fob.Device.PINSet" }
func (MinPINLengthGrows) VarlinkError() string    { return "fob.Device.MinPINLengthGrows" }
func (OptionsInvalid) VarlinkError() string       { return "fob.Ceremony.OptionsInvalid" }
func (OriginRefused) VarlinkError() string        { return "fob.Ceremony.OriginRefused" }
func (PINInvalid) VarlinkError() string           { return "fob.Ceremony.PINInvalid" }
func (PINAuthBlocked) VarlinkError() string       { return "fob.Ceremony.PINAuthBlocked" }
func (PINBlocked) VarlinkError() string           { return "fob.Ceremony.PINBlocked" }
func (PINChangeRequired) VarlinkError() string    { return "fob.Ceremony.PINChangeRequired" }
func (FingerUnknown) VarlinkError() string        { return "fob.Ceremony.FingerUnknown" }
func (FingersBlocked) VarlinkError() string       { return "fob.Ceremony.FingersBlocked" }
func (VerificationNotSetUp) VarlinkError() string { return "fob.Ceremony.VerificationNotSetUp" }
func (AlreadyRegistered) VarlinkError() string    { return "fob.Ceremony.AlreadyRegistered" }
func (NotRegistered) VarlinkError() string        { return "fob.Ceremony.NotRegistered" }
func (KeyFull) VarlinkError() string              { return "fob.Ceremony.KeyFull" }
func (Unsupported) VarlinkError() string          { return "fob.Ceremony.Unsupported" }
func (Declined) VarlinkError() string             { return "fob.Ceremony.Declined" }
func (TimedOut) VarlinkError() string             { return "fob.Ceremony.TimedOut" }
func (Cancelled) VarlinkError() string            { return "fob.Ceremony.Cancelled" }
func (Interrupted) VarlinkError() string          { return "fob.Ceremony.Interrupted" }
func (SessionLocked) VarlinkError() string        { return "fob.Ceremony.SessionLocked" }
func (Failed) VarlinkError() string               { return "fob.Ceremony.Failed" }
func (UnknownToken) VarlinkError() string         { return "fob.Prompt.UnknownToken" }
func (WrongAnswer) VarlinkError() string          { return "fob.Prompt.WrongAnswer" }

func (NoDevice) Error() string        { return "no security key is plugged in" }
func (e UnknownDevice) Error() string { return fmt.Sprintf("no key %q is plugged in", e.ID) }
func (DeviceGone) Error() string      { return "the key was unplugged or stopped answering" }
func (e DeviceBusy) Error() string {
	switch {
	case e.Holder != nil:
		return "the key is busy: " + e.Holder.String()
	case e.Program != "":
		return fmt.Sprintf("another program, perhaps %s, has the card at %s for itself", e.Program, e.Reader)
	case e.Reader != "":
		return fmt.Sprintf("another program has the card at %s for itself", e.Reader)
	}
	return "another program, or another ceremony, keeps the key busy, or it is no security key"
}
func (e CardLost) Error() string {
	if e.Made {
		return fmt.Sprintf("the card left %s in the middle of the operation; it may have made the credential", e.Reader)
	}
	return fmt.Sprintf("the card left %s in the middle of the operation", e.Reader)
}
func (DeviceDenied) Error() string   { return "fobd may not open the key" }
func (NotFIDO2) Error() string       { return "the key does not speak FIDO2" }
func (e HelperFailed) Error() string { return "the program that drives the key failed: " + e.Problem }
func (e WatchEnded) Error() string   { return "the keys can't be followed any more: " + e.Problem }
func (SeveralDevices) Error() string { return "several security keys are plugged in" }
func (PINSet) Error() string         { return "the key has a PIN already" }
func (e MinPINLengthGrows) Error() string {
	return fmt.Sprintf("the shortest PIN of this key has %s already, and can't become shorter", characters(e.Length))
}
func (e OptionsInvalid) Error() string { return optionsText(e.Member) + ": " + e.Problem }
func (e OriginRefused) Error() string {
	return fmt.Sprintf("RP ID %q and origin %q don't go together: %s", e.RPID, e.Origin, e.Problem)
}
func (e PINInvalid) Error() string { return "wrong PIN, " + attempts(e.Retries) }
func (e PINAuthBlocked) Error() string {
	return "too many wrong PINs in a row, " + attempts(e.Retries)
}
func (PINBlocked) Error() string        { return "the key's PIN is blocked for good" }
func (PINChangeRequired) Error() string { return "the key wants its PIN to be changed first" }
func (FingerUnknown) Error() string     { return "the key does not know this finger" }
func (FingersBlocked) Error() string {
	return "the key takes no fingers any more, after too many that it did not know"
}
func (VerificationNotSetUp) Error() string {
	return "the key has neither a PIN nor a fingerprint set up"
}
func (AlreadyRegistered) Error() string { return "this key is registered already" }
func (NotRegistered) Error() string     { return "this key is not registered here" }
func (KeyFull) Error() string           { return "the key has no room for another credential" }
func (e Unsupported) Error() string     { return "the key can't do what is required: " + e.What }
func (e Declined) Error() string {
	if e.Key {
		return "declined at the key"
	}
	return "declined"
}
func (TimedOut) Error() string        { return "timed out: nobody touched the key or answered" }
func (Cancelled) Error() string       { return "cancelled" }
func (e Interrupted) Error() string   { return "cancelled: " + e.Reason }
func (e SessionLocked) Error() string { return "not now: " + e.Reason }
func (e Failed) Error() string        { return "the ceremony failed: " + e.Problem }
func (UnknownToken) Error() string    { return "nobody waits for this answer any more" }
func (e WrongAnswer) Error() string   { return "the answer does not fit the prompt: " + e.Problem }

func (NoDevice) Hint() string { return "plug one in; 'fob doctor' finds out why one is not seen" }
func (UnknownDevice) Hint() string {
	return "a key gets a new id when it is plugged in again; see 'fob devices'"
}
func (DeviceGone) Hint() string { return "plug it in again and repeat" }
func (e DeviceBusy) Hint() string {
	switch {
	case e.Holder != nil:
		return "repeat when that is done"
	case strings.HasPrefix(e.Program, "scdaemon "):
		return "'gpgconf --kill scdaemon' has GnuPG let go of the card; then repeat"
	case e.Reader != "":
		return "close the program that uses the card; 'fob doctor' tells more"
	}
	return "close the other program, or wait for it; else unplug the key and plug it in again"
}
func (e CardLost) Hint() string {
	if e.Made {
		return "repeat with the same key, which replaces it, and leave the key at the reader until it is done"
	}
	return "repeat, and leave the key at the reader until it is done"
}
func (DeviceDenied) Hint() string {
	return "'fob doctor' finds out why, and says what to do"
}
func (NotFIDO2) Hint() string       { return "" }
func (HelperFailed) Hint() string   { return "repeat; if it happens again, fobd's log says more" }
func (WatchEnded) Hint() string     { return "start fobd again, or repeat" }
func (OptionsInvalid) Hint() string { return "" }
func (OriginRefused) Hint() string  { return "" }
func (PINInvalid) Hint() string     { return "the key blocks its PIN for good when no attempts are left" }
func (PINAuthBlocked) Hint() string { return "unplug the key and plug it in again, then take care" }
func (PINBlocked) Hint() string {
	return "only a reset helps, 'fob key reset', which erases all credentials on the key"
}
func (PINChangeRequired) Hint() string { return "change it with 'fob key pin change'" }
func (AlreadyRegistered) Hint() string { return "sign in with it, or register another key" }
func (NotRegistered) Hint() string {
	return "use the key that you registered, or register this one first"
}
func (KeyFull) Hint() string     { return "delete credentials that you don't need any more" }
func (Unsupported) Hint() string { return "" }
func (e Declined) Hint() string {
	if e.Key {
		return "some keys say this, too, when nobody touches them in time"
	}
	return ""
}
func (TimedOut) Hint() string    { return "repeat, and touch the key when it blinks" }
func (Cancelled) Hint() string   { return "" }
func (Interrupted) Hint() string { return "repeat" }
func (SessionLocked) Hint() string {
	return "repeat when you are at the computer, with the screen unlocked"
}
func (Failed) Hint() string       { return "" }
func (UnknownToken) Hint() string { return "" }
func (WrongAnswer) Hint() string  { return "" }
func (FingerUnknown) Hint() string {
	return "repeat with a finger that is enrolled; 'fob key fingerprint list' names them"
}
func (FingersBlocked) Hint() string {
	return "give its PIN once, such as with 'fob key fingerprint list'; without a PIN, only a reset helps"
}
func (VerificationNotSetUp) Hint() string {
	return "set a PIN with 'fob key pin set', or use another key"
}
func (SeveralDevices) Hint() string    { return "name one with --device; 'fob devices' lists them" }
func (PINSet) Hint() string            { return "change it with 'fob key pin change'" }
func (MinPINLengthGrows) Hint() string { return "only a reset of the key makes it short again" }

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d characters", n)
}

func optionsText(member string) string {
	if member == "" {
		return "the options are invalid"
	}
	return "the options are invalid at " + member
}

func attempts(n int) string {
	if n == 1 {
		return "1 attempt left"
	}
	return fmt.Sprintf("%d attempts left", n)
}

// typed gives an error its Go type, so that it reads as Error and Hint say.
func typed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*net.OpError)) {
		return &Lost{err}
	}
	var received *varlink.Error
	if !errors.As(err, &received) {
		return err
	}
	for _, e := range known {
		if target := reflect.New(reflect.TypeOf(e)); errors.As(received, target.Interface()) {
			return target.Elem().Interface().(Error)
		}
	}
	for _, e := range ofService {
		if target := reflect.New(reflect.TypeOf(e)); errors.As(received, target.Interface()) {
			return target.Elem().Interface().(error)
		}
	}
	return err
}

// The errors of org.varlink.service, which any method may give. An older fobd says InterfaceNotFound or MethodNotFound of
// what it does not have yet.
type (
	InterfaceNotFound    = varlink.InterfaceNotFound
	MethodNotFound       = varlink.MethodNotFound
	MethodNotImplemented = varlink.MethodNotImplemented
	InvalidParameter     = varlink.InvalidParameter
	ExpectedMore         = varlink.ExpectedMore
)

// PermissionDenied is an error of org.varlink.service, too: fobd does not serve this user at all, or does not do this
// for them. Each method says where it is for fobd's own user and root alone.
type PermissionDenied struct{}

// VarlinkError implements Error.
func (PermissionDenied) VarlinkError() string { return varlink.PermissionDenied{}.VarlinkError() }

func (PermissionDenied) Error() string {
	return "permission denied: fobd does not do this for your user"
}

// Hint implements Error.
func (PermissionDenied) Hint() string {
	return "do it as the user that fobd runs as, or, of a fobd that serves several users, as root"
}

// ofService holds a value of each of them.
var ofService = []varlink.Named{InterfaceNotFound{}, MethodNotFound{}, MethodNotImplemented{}, InvalidParameter{},
	PermissionDenied{}, ExpectedMore{}}

// known holds a value of each type of error.
var known = slices.Concat([]Error{
	NoDevice{}, UnknownDevice{}, DeviceGone{}, DeviceBusy{}, CardLost{}, DeviceDenied{}, NotFIDO2{},
	HelperFailed{}, WatchEnded{}, SeveralDevices{}, PINSet{}, MinPINLengthGrows{},
	UnknownCredential{}, SeveralCredentials{}, NoLargeBlob{}, LargeBlobsFull{}, LargeBlobsCorrupt{}, LargeBlobLeft{},
	UnknownFingerprint{}, SeveralFingerprints{}, FingerprintNameTooLong{}, FingerprintsFull{}, FingerprintNotTaken{},
	WrongName{}, NotTheSameKey{}, ResetLate{}, ReloadFailed{}, TooManyConnections{},
	OptionsInvalid{}, OriginRefused{}, PINInvalid{}, PINAuthBlocked{}, PINBlocked{},
	PINChangeRequired{}, FingerUnknown{}, FingersBlocked{}, VerificationNotSetUp{},
	AlreadyRegistered{}, NotRegistered{}, KeyFull{}, Unsupported{},
	Declined{}, TimedOut{}, Cancelled{}, Interrupted{}, SessionLocked{}, Failed{}, UnknownToken{}, WrongAnswer{},
	Refused{}, NotAPrompter{}, TooManyPrompters{}, TooSlow{},
}, storeErrors, tpmErrors, otpErrors, accountErrors, auditErrors, emulatorErrors)
