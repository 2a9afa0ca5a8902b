package emulator

import (
	"context"

	"fob/fido/oathapplet"
)

// OATH gives the key's OATH application, for a card to have beside FIDO. Its accounts are part of the key's state; who
// touches the key decides about its touches. It takes the place of the one that OATH gave before.
func (a *Authenticator) OATH() *oathapplet.Applet {
	<-a.turn
	defer a.endTurn()
	s := oathapplet.NewState()
	if a.state.OATH != nil {
		s = *a.state.OATH
	}
	applet := oathapplet.New(s)
	applet.Save = a.saveOATH
	applet.Touch = func(ctx context.Context, account string) error {
		return a.presence(ctx, PresenceRequest{Account: account})
	}
	return applet
}

func (a *Authenticator) saveOATH(s oathapplet.State) error {
	<-a.turn
	defer a.endTurn()
	return a.update(func(next *state) { next.OATH = &s })
}
