package ipc

import (
	"fmt"
	"time"
)

// The errors of fob.OTP; the interface definition says when each occurs.
type (
	OTPNotFound struct {
		Name string `json:"name"`
	}
	OTPExists struct {
		Name string `json:"name"`
	}
	OTPTooMany        struct{}
	OTPParameterWrong struct {
		Parameter string `json:"parameter"`
		Problem   string `json:"problem"`
	}
	OTPSeedInvalid struct {
		Problem string `json:"problem"`
	}
	OTPNotYet struct {
		T0 int `json:"t0"`
	}
	OTPExhausted struct{}
	OTPSeedStays struct {
		Keeper string `json:"keeper"`
	}
	OTPKeeperMissing struct {
		Problem string `json:"problem"`
	}
	OTPProvisioned struct {
		Key  string `json:"key"`
		Done bool   `json:"done"`
	}
	OTPKeyFailed struct {
		Kind    OTPKeyProblem `json:"kind"`
		Problem string        `json:"problem"`
	}
)

func (OTPNotFound) VarlinkError() string       { return "fob.OTP.NotFound" }
func (OTPExists) VarlinkError() string         { return "fob.OTP.Exists" }
func (OTPTooMany) VarlinkError() string        { return "fob.OTP.TooMany" }
func (OTPParameterWrong) VarlinkError() string { return "fob.OTP.ParameterWrong" }
func (OTPSeedInvalid) VarlinkError() string    { return "fob.OTP.SeedInvalid" }
func (OTPNotYet) VarlinkError() string         { return "fob.OTP.NotYet" }
func (OTPExhausted) VarlinkError() string      { return "fob.OTP.Exhausted" }
func (OTPSeedStays) VarlinkError() string      { return "fob.OTP.SeedStays" }
func (OTPKeeperMissing) VarlinkError() string  { return "fob.OTP.KeeperMissing" }
func (OTPKeyFailed) VarlinkError() string      { return "fob.OTP.KeyFailed" }
func (OTPProvisioned) VarlinkError() string    { return "fob.OTP.Provisioned" }

func (e OTPNotFound) Error() string       { return fmt.Sprintf("there is no token %q", e.Name) }
func (e OTPExists) Error() string         { return fmt.Sprintf("there is a token %q already", e.Name) }
func (OTPTooMany) Error() string          { return "there are 1000 tokens already" }
func (e OTPParameterWrong) Error() string { return e.Parameter + " " + e.Problem }
func (e OTPSeedInvalid) Error() string    { return e.Problem }
func (e OTPNotYet) Error() string {
	return fmt.Sprintf("the token gives no codes before %s", time.Unix(int64(e.T0), 0).UTC().Format(time.RFC3339))
}
func (OTPExhausted) Error() string { return "the counter of the token has come to its end" }
func (e OTPSeedStays) Error() string {
	return fmt.Sprintf("the seed can't leave the place where it is kept (%s)", e.Keeper)
}
func (e OTPKeeperMissing) Error() string { return e.Problem }
func (e OTPKeyFailed) Error() string     { return e.Problem }
func (e OTPProvisioned) Error() string {
	if e.Done {
		return fmt.Sprintf("the seed is on the security key %s already", e.Key)
	}
	return fmt.Sprintf("the seed may be on the security key %s: writing it was interrupted", e.Key)
}

func (OTPNotFound) Hint() string       { return "'fob otp list' names them" }
func (OTPExists) Hint() string         { return "give another name, or remove or rename that one" }
func (OTPTooMany) Hint() string        { return "remove some that you don't need any more" }
func (OTPParameterWrong) Hint() string { return "" }
func (OTPSeedInvalid) Hint() string {
	return "a seed is Base32: the letters A to Z and the digits 2 to 7"
}
func (OTPNotYet) Hint() string    { return "see that the clock is right" }
func (OTPExhausted) Hint() string { return "add the token anew, with a new seed" }
func (OTPSeedStays) Hint() string {
	return "have a new seed made where the token is used, and add it elsewhere"
}
func (OTPKeeperMissing) Hint() string { return "" }
func (e OTPKeyFailed) Hint() string   { return keyHints[e.Kind] }
func (e OTPProvisioned) Hint() string {
	if e.Done {
		return "--clone writes it to another key as well"
	}
	return "plug that one in and repeat, or have it written to another key as well with --clone"
}

// otpErrors holds a value of each type.
var otpErrors = []Error{
	OTPNotFound{}, OTPExists{}, OTPTooMany{}, OTPParameterWrong{}, OTPSeedInvalid{}, OTPNotYet{}, OTPExhausted{},
	OTPSeedStays{}, OTPKeeperMissing{}, OTPKeyFailed{}, OTPProvisioned{},
}
