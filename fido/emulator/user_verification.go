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
// shown (§6.1.2 steps 6.3 and 11, §6.2.2 steps 5.4 and 6). A token wins over the option. A key that has neither PIN nor
// finger passes over both.
func (a *Authenticator) verifyUser(r *request, v *verification) (ctap.Flags, error) {
	switch {
	case !a.state.protected():
		return 0, nil
	case v.param != nil:
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
	missing := a.verificationMissing()
	switch err := a.verifyFinger(r, v.presence); {
	case err == nil: // up was not asked for, perhaps, but given (§6.1.2 step 13.1, §6.2.2 step 8.1)
		return ctap.FlagUV | ctap.FlagUP, nil
	case err == ctap.ErrUVBlocked && missing == ctap.ErrOperationDenied: // §6.1.2 step 11.2.3.3, §6.2.2 step 6.2.3.3
		return 0, ctap.ErrPINBlocked
	case err == ctap.ErrUVBlocked, err == ctap.ErrUVInvalid:
		return 0, missing
	default:
		return 0, err
	}
}

// testPresence has the key touched, where that is asked for and was not done yet, and spends the token in use for it
// (§6.1.2 steps 13 and 14, §6.2.2 steps 8 and 9). A finger that was verified is presence already, and spends no token.
func (a *Authenticator) testPresence(r *request, v *verification, flags ctap.Flags) (ctap.Flags, error) {
	if !v.up || v.param == nil && flags&ctap.FlagUP != 0 {
		return flags, nil
	}
	if flags&ctap.FlagUP == 0 {
		if err := a.awaitConsent(r, v.presence); err != nil {
			return 0, err
		}
	}
	a.pin.spend()
	return flags | ctap.FlagUP, nil
}

// canVerify reports whether a request can verify the user: by its token, or by a finger, which alwaysUv asks for where
// the request does not.
func (a *Authenticator) canVerify(withToken bool) bool {
	return withToken && a.state.protected() || a.state.hasFinger()
}

// alwaysUVUnmet is the answer to a request that can't verify the user, as alwaysUv demands: a PIN is asked for where
// the key takes one for this, even if it has none yet (§6.1.2 steps 6.2 and 6.4, §6.2.2 steps 5.1, 5.5 and 5.6).
func (a *Authenticator) alwaysUVUnmet() error {
	if a.PIN && !a.NoMcGaPermissionsWithClientPIN {
		return ctap.ErrPUATRequired
	}
	return ctap.ErrOperationDenied
}

// verificationMissing is the answer to a request that needs user verification and has none: the PIN is asked for where
// there is one and it may (§6.1.2 steps 7.1, 8.1 and 11.2.3.2, §6.2.2 step 6.2.3.2).
func (a *Authenticator) verificationMissing() error {
	if a.state.hasPIN() && !a.NoMcGaPermissionsWithClientPIN {
		return ctap.ErrPUATRequired
	}
	return ctap.ErrOperationDenied
}
