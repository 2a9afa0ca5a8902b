package ipc

import "fmt"

// Holder is fob.Device.Holder: the ceremony that holds a key.
type Holder struct {
	Program  string `json:"program"`
	PID      int    `json:"pid,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Terminal string `json:"terminal,omitempty"`
	Verb     Verb   `json:"verb"`
	RPID     string `json:"rpId,omitempty"`
}

// Verb says what a ceremony is about.
type Verb string

// The verbs of fob.Device.Holder.
const (
	VerbRegister Verb = "register"
	VerbSignIn   Verb = "sign-in"
	VerbManage   Verb = "manage"
	VerbReset    Verb = "reset"
	VerbLook     Verb = "look"
)

// String says it in words: "/usr/bin/backup (pid 123) signs in to example.com".
func (h Holder) String() string {
	who := h.Program
	if who == "" {
		who = "an unknown program"
	}
	if h.PID != 0 {
		who = fmt.Sprintf("%s (pid %d)", who, h.PID)
	}
	switch {
	case h.Verb == VerbRegister && h.RPID == "":
		return who + " registers"
	case h.Verb == VerbRegister:
		return who + " registers at " + h.RPID
	case h.Verb == VerbSignIn && h.RPID == "":
		return who + " signs in"
	case h.Verb == VerbSignIn:
		return who + " signs in to " + h.RPID
	case h.Verb == VerbManage:
		return who + " manages it"
	case h.Verb == VerbReset:
		return who + " resets it"
	default:
		return who + " uses it"
	}
}
