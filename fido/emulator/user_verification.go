package emulator

import "fob/fido/ctap"

// verification is what makeCredential and getAssertion know of how the user is to be verified.
type verification struct {
	param      *ctap.Bytes // pinUvAuthParam
	protocol   ctap.PINProtocol
	hash       []byte // clientDataHash
	uv         *bool  // the option
	up         bool   // user presence is wanted
	permission ctap.Permission
	presence   PresenceRequest
}

// verifyUser verifies the user by token or by finger, where the request has or asks for either, and says in flags what was
// shown (§6.1.2 steps 6 and 11, §6.2.2 steps 5 and 6). A token wins over the option.
func (a *Authenticator) verifyUser(r *request, v *verification) (ctap.Flags, error) {
	if v.param != nil {
		err := a.pin.authorize(v.protocol, v.hash, *v.param, v.permission, v.presence.RPID)
		switch {
		case err != nil:
			return 0, err
		case v.up && a.pin.presentByToken():
			return ctap.FlagUV | ctap.FlagUP, nil
		default:
			return ctap.FlagUV, nil
		}
	}
	byFinger := ctap.True(v.uv) || a.state.AlwaysUV && v.up && a.state.hasFinger()
	if !byFinger {
		return 0, nil
	}
	switch err := a.verifyFinger(r, v.presence); {
	case err == ctap.ErrUVInvalid, err == ctap.ErrUVBlocked:
		return 0, a.verificationMissing()
	case err != nil:
		return 0, err
	case v.up:
		return ctap.FlagUV | ctap.FlagUP, nil
	default:
		return ctap.FlagUV, nil
	}
}

// verificationMissing is the answer to a request that needs user verification and has none: the PIN is asked for where
// there is one.
func (a *Authenticator) verificationMissing() error {
	if a.state.hasPIN() && !a.NoMcGaPermissionsWithClientPIN {
		return ctap.ErrPUATRequired
	}
	return ctap.ErrOperationDenied
}
