package daemon

import (
	"errors"
	"fmt"
	"testing"

	"fob/daemon/oathkey"
	"fob/fido/pcsc"
	"fob/hotp/ykoath"
	"fob/ipc"
	"fob/ipc/varlink"
)

// TestProvisionPolicy: writing seeds to security keys is a matter of provision, and the audit log tells a clone from
// another seed.
func TestProvisionPolicy(t *testing.T) {
	for _, clone := range []bool{false, true} {
		_, c := guardedOTP(t, "[[rule]]\nverbs = ['provision']\naction = 'deny'")
		_, err := c.ProvisionOTP(t.Context(), ipc.OTPProvisionRequest{Name: "new", Keeper: "key"}, clone,
			seeded{seed: rfcSeed})
		if !errors.As(err, new(ipc.Refused)) {
			t.Error(err)
		}
		want := map[bool]string{false: ipc.MethodOTPProvision, true: ipc.MethodOTPClone}[clone]
		list := calls(t, c, nil)
		if len(list) != 1 || list[0].Method != want || list[0].Verb != "provision" || list[0].Token != "new" {
			t.Errorf("%+v", list)
		}
	}
	_, c := guardedOTP(t, "")
	for _, r := range []ipc.OTPProvisionRequest{{Name: "new", Keeper: "store"}, {Name: "new", Keeper: "tpm"}, {Name: "new", Keeper: "keys"}} {
		_, err := c.ProvisionOTP(t.Context(), r, false, seeded{seed: rfcSeed})
		if !errors.Is(err, ipc.InvalidParameter{Parameter: "keeper"}) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if _, err := c.AddOTP(t.Context(), ipc.OTPAddRequest{Name: "b", Touch: true}, seeded{seed: rfcSeed}); !errors.Is(err,
		ipc.InvalidParameter{Parameter: "touch"}) {
		t.Error(err)
	}
}

// TestKeyErrors: what goes wrong with a security key has a name and, where the person can help it, a hint.
func TestKeyErrors(t *testing.T) {
	busy := fmt.Errorf("%w: %w", oathkey.ErrBusy, pcsc.ErrSharingViolation)
	locked := &ykoath.CommandError{Command: "LIST", Status: 0x6982, Meaning: ykoath.ErrLocked}
	for err, want := range map[error]ipc.OTPKeyProblem{
		fmt.Errorf("%w: reader: %w", oathkey.ErrNoKey, busy):               "busy",
		fmt.Errorf("%w: reader: %w", oathkey.ErrNoKey, ykoath.ErrNoApplet): "absent",
		fmt.Errorf("%w: %w", oathkey.ErrLost, pcsc.ErrRemovedCard):         "lost",
		fmt.Errorf("%w: %w", oathkey.ErrNoPCSCD, pcsc.ErrNoService):        "noService",
		locked: "locked",
		&ykoath.CommandError{Command: "PUT", Status: 0x6581}:        "broken",
		&ykoath.UnsupportedError{Feature: "touch", Key: "firmware"}: "unsupported",
		&ykoath.ReplyError{Problem: "nonsense"}:                     "broken",
		ykoath.ErrOtherSeed:                                         "broken",
	} {
		var named ipc.OTPKeyFailed
		if !errors.As(keyError(err), &named) || named.Kind != want || named.Problem != err.Error() {
			t.Errorf("%v: %v, and not %s", err, keyError(err), want)
		}
		if silent := want == "broken" || want == "unsupported"; (named.Hint() == "") != silent {
			t.Errorf("%s: hint %q", want, named.Hint())
		}
	}
	if err := keyError(&ykoath.NameError{Problem: "is missing"}); !errors.Is(err,
		ipc.OTPParameterWrong{Parameter: "name", Problem: "on the key is missing"}) {
		t.Error(err)
	}
	if err := keyError(&oathkey.ProvisionedError{DeviceID: "x"}); !errors.Is(err, ipc.OTPProvisioned{Key: "x"}) {
		t.Error(err)
	}
	if err := keyError(varlink.ExpectedMore{}); err != nil {
		t.Error(err)
	}
}
