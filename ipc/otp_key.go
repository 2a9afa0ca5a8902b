package ipc

import (
	"context"

	"fob/ipc/varlink"
)

// OTPKeyProblem is what a security key failed for.
type OTPKeyProblem string

// The kinds of fob.OTP.KeyFailed.
const (
	OTPKeyAbsent      OTPKeyProblem = "absent"
	OTPKeyOther       OTPKeyProblem = "other"
	OTPKeySeveral     OTPKeyProblem = "several"
	OTPKeyLost        OTPKeyProblem = "lost"
	OTPKeyBusy        OTPKeyProblem = "busy"
	OTPKeyNoService   OTPKeyProblem = "noService"
	OTPKeyLocked      OTPKeyProblem = "locked"
	OTPKeyExists      OTPKeyProblem = "exists"
	OTPKeyFull        OTPKeyProblem = "full"
	OTPKeyNoTouch     OTPKeyProblem = "noTouch"
	OTPKeyForgot      OTPKeyProblem = "forgot"
	OTPKeyUnsupported OTPKeyProblem = "unsupported"
	OTPKeyBroken      OTPKeyProblem = "broken"
)

// keyHints say what the person can do.
var keyHints = map[OTPKeyProblem]string{
	OTPKeyAbsent:    "plug in a security key such as a YubiKey 5, or hold it to a reader",
	OTPKeyOther:     "plug in the key that is meant",
	OTPKeySeveral:   "name the key, as in --in key:NAME, or leave one alone plugged in",
	OTPKeyLost:      "plug the key in again and repeat",
	OTPKeyBusy:      "end the other program, and repeat",
	OTPKeyNoService: "start pcscd: systemctl start pcscd.socket",
	OTPKeyLocked:    "'ykman oath reset' deletes a password that is lost, and all accounts",
	OTPKeyExists:    "give another issuer or account, or delete that one: ykman oath accounts delete",
	OTPKeyFull:      "delete an account of the key that is not used any more",
	OTPKeyNoTouch:   "touch the key when it blinks, within 15 seconds",
	OTPKeyForgot:    "the account was deleted from the key: 'fob otp remove' forgets the token as well",
}

// OTPProvisionRequest holds the parameters of fob.OTP.Provision and Clone. Zero fields are left out.
type OTPProvisionRequest struct {
	Name      string       `json:"name,omitempty"`
	Issuer    string       `json:"issuer,omitempty"`
	Account   string       `json:"account,omitempty"`
	Type      OTPType      `json:"type,omitempty"`
	Algorithm OTPAlgorithm `json:"algorithm,omitempty"`
	Digits    int          `json:"digits,omitempty"`
	Period    int          `json:"period,omitempty"`
	Counter   int          `json:"counter,omitempty"`
	Keeper    string       `json:"keeper,omitempty"`
	Touch     bool         `json:"touch,omitempty"`
	Remember  bool         `json:"remember,omitempty"`
	Except    []string     `json:"except,omitempty"`
}

// OTPProvisionReply is a reply of fob.OTP.Provision and Clone.
type OTPProvisionReply struct {
	Event *OTPEvent `json:"event,omitempty"`
	Key   string    `json:"key,omitempty"`
}

// ProvisionOTP performs fob.OTP.Provision, or Clone, and gives the device ID of the key.
func (c *Client) ProvisionOTP(ctx context.Context, r OTPProvisionRequest, clone bool, p OTPPrompter) (string, error) {
	method := MethodOTPProvision
	if clone {
		method = MethodOTPClone
	}
	var reply OTPProvisionReply
	err := c.followOTP(ctx, method, r, p, func(r varlink.Reply) error { return r.Bind(&reply) })
	return reply.Key, err
}
