package emulator

import "fob/fido/ctap"

// SetPINRetries leaves n attempts for the PIN, of at most 8, as a fixture does at the workbench; with none the PIN is
// blocked. The errors are ctap.ErrInvalidCommand for a key that takes no PIN, ErrPINNotSet and ErrInvalidParameter.
func (a *Authenticator) SetPINRetries(n uint) error {
	return a.atWorkbench(a.PIN, func() error {
		switch {
		case !a.state.hasPIN():
			return ctap.ErrPINNotSet
		case n > maxPINRetries:
			return ctap.ErrInvalidParameter
		}
		return a.update(func(s *state) { s.PINRetries = n })
	})
}

// BlockPINAuth is what three wrong PINs in a row do: no PIN is taken until the key loses power. The errors are
// ctap.ErrInvalidCommand for a key that takes no PIN, and ErrPINNotSet.
func (a *Authenticator) BlockPINAuth() error {
	return a.atWorkbench(a.PIN, func() error {
		if !a.state.hasPIN() {
			return ctap.ErrPINNotSet
		}
		a.pin.mismatches = maxPINMismatches
		return nil
	})
}

// SetUVRetries leaves n attempts for the finger, of at most 3; with none the key wants the PIN. The errors are
// ctap.ErrInvalidCommand for a key without a sensor, and ErrInvalidParameter.
func (a *Authenticator) SetUVRetries(n uint) error {
	return a.atWorkbench(a.MaxFingerprints > 0, func() error {
		if n > maxUVRetries {
			return ctap.ErrInvalidParameter
		}
		return a.update(func(s *state) { s.UVMisses = maxUVRetries - n })
	})
}

// atWorkbench changes the key between two requests, if it can do what the change is about.
func (a *Authenticator) atWorkbench(able bool, change func() error) error {
	<-a.turn
	defer func() { a.turn <- struct{}{} }()
	if !able {
		return ctap.ErrInvalidCommand
	}
	return change()
}
