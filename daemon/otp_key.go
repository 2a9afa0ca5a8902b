package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"strings"

	"fob/daemon/oathkey"
	"fob/daemon/otp"
	"fob/fido"
	"fob/hotp"
	"fob/hotp/ykoath"
	"fob/ipc"
	"fob/ipc/varlink"
)

// keyOf gives what a keeper's name says of the security key that is meant.
func keyOf(keeper string) (name string, found bool) {
	kind, name, _ := strings.Cut(keeper, ":")
	return name, kind == oathkey.InKey
}

// securityKeys keep seeds, and ask the person.
func (c *otpCall) securityKeys() oathkey.Keeper {
	return oathkey.Keeper{Store: c.daemon.Store, Password: c.askKeyPassword, Remember: c.remember, Touch: c.tellTouch}
}

// chooseKey finds the security key that shall have the seed of a token, whose keeper is named after it.
func (c *otpCall) chooseKey(ctx context.Context, name string, t *otp.Token, touch bool, except []string,
) (oathkey.Keeper, error) {
	k := c.securityKeys()
	found, err := k.Keys.Find(ctx, name, except...)
	if err != nil {
		return k, err
	}
	k.DeviceID = found.DeviceID
	k.Account = ykoath.Account{Issuer: t.Issuer, Account: t.Account, Touch: touch}
	if t.Account == "" {
		k.Account.Account = t.Name
	}
	if t.Type == hotp.HOTP {
		if k.Account.Counter, err = oathkey.Counter(t.Counter); err != nil {
			return k, err
		}
	}
	t.Keeper = oathkey.InKey + ":" + found.DeviceID
	return k, nil
}

// provisionOTP implements fob.OTP.Provision and Clone.
func (d *Daemon) provisionOTP(ctx context.Context, c *otpCall, in *ipc.OTPProvisionRequest) (any, error) {
	token, err := newToken(&ipc.OTPAddRequest{Name: in.Name, Issuer: in.Issuer, Account: in.Account, Type: in.Type,
		Algorithm: in.Algorithm, Digits: in.Digits, Period: in.Period, Counter: in.Counter, Keeper: cmp.Or(in.Keeper, "key"),
		Touch: in.Touch})
	if err != nil {
		return nil, err
	}
	name, inKey := keyOf(token.Keeper)
	if !inKey {
		return nil, varlink.InvalidParameter{Parameter: "keeper"}
	}
	if err := c.admit(ctx, token); err != nil {
		return nil, err
	}
	c.remember = in.Remember
	seed, err := c.askSeed(ctx)
	defer seed.Wipe()
	if err != nil {
		return nil, err
	}
	clone := c.method == ipc.MethodOTPClone
	if !clone { // before the person looks for a key
		if err := c.securityKeys().Provisioned(seed); err != nil {
			return nil, err
		}
	}
	k, err := c.chooseKey(ctx, name, &token, in.Touch, in.Except)
	if err != nil {
		return nil, err
	}
	k.Account.Parameters = token.Parameters
	return ipc.OTPProvisionReply{Key: k.DeviceID}, k.Provision(ctx, seed, clone)
}

// askKeyPassword asks for the password of a security key's OATH application. Who watches codes is asked once.
func (c *otpCall) askKeyPassword(ctx context.Context, deviceID string, wrong bool) (fido.Secret, error) {
	if !wrong && c.pin != nil {
		return bytes.Clone(c.pin), nil
	}
	text, err := c.askSecret(ctx, ipc.OTPEvent{Kind: ipc.OTPKeyPassword, Wrong: wrong, Name: c.token, Key: deviceID})
	if err == nil && c.watches {
		c.pin.Wipe()
		c.pin = bytes.Clone(text)
	}
	return text, err
}

// tellTouch tells the program that the key waits for a touch, which nobody needs to answer.
func (c *otpCall) tellTouch(deviceID string) error {
	return c.call.Continue(ipc.OTPEventReply{Event: &ipc.OTPEvent{Kind: ipc.OTPTouch, Name: c.token, Key: deviceID}})
}

// keyErrors are the errors of security keys that a person can do something about, by the names that they leave fobd
// with. The first one counts.
var keyErrors = []struct {
	err  error
	kind ipc.OTPKeyProblem
}{
	{oathkey.ErrBusy, ipc.OTPKeyBusy},
	{oathkey.ErrNoKey, ipc.OTPKeyAbsent},
	{oathkey.ErrOther, ipc.OTPKeyOther},
	{oathkey.ErrSeveral, ipc.OTPKeySeveral},
	{oathkey.ErrLost, ipc.OTPKeyLost},
	{oathkey.ErrNoPCSCD, ipc.OTPKeyNoService},
	{ykoath.ErrLocked, ipc.OTPKeyLocked},
	{ykoath.ErrWrongPassword, ipc.OTPKeyLocked},
	{ykoath.ErrImpostor, ipc.OTPKeyOther},
	{ykoath.ErrExists, ipc.OTPKeyExists},
	{ykoath.ErrFull, ipc.OTPKeyFull},
	{ykoath.ErrNoTouch, ipc.OTPKeyNoTouch},
	{ykoath.ErrNotFound, ipc.OTPKeyForgot},
	{ykoath.ErrOtherSeed, ipc.OTPKeyBroken},
}

// keyError names an error of a security key; nil for one of something else.
func keyError(err error) error {
	var provisioned *oathkey.ProvisionedError
	if errors.As(err, &provisioned) {
		return ipc.OTPProvisioned{Key: provisioned.DeviceID, Done: provisioned.Done}
	}
	for _, e := range keyErrors {
		if errors.Is(err, e.err) {
			return ipc.OTPKeyFailed{Kind: e.kind, Problem: err.Error()}
		}
	}
	var name *ykoath.NameError
	var unsupported *ykoath.UnsupportedError
	var refused *ykoath.CommandError
	var reply *ykoath.ReplyError
	switch {
	case errors.As(err, &name):
		return ipc.OTPParameterWrong{Parameter: "name", Problem: strings.TrimPrefix(name.Error(), "the name ")}
	case errors.As(err, &unsupported):
		return ipc.OTPKeyFailed{Kind: ipc.OTPKeyUnsupported, Problem: err.Error()}
	case errors.As(err, &refused), errors.As(err, &reply):
		return ipc.OTPKeyFailed{Kind: ipc.OTPKeyBroken, Problem: err.Error()}
	}
	return nil
}
