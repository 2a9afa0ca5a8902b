package ykoath

import (
	"errors"
	"fmt"
)

// Status is SW1-SW2, the last two bytes of every response (ISO 7816-4, "Status bytes").
type Status uint16

// Status words that keys give.
const (
	StatusOK             Status = 0x9000
	StatusMore           Status = 0x6100 // 61xx: the rest comes by SEND REMAINING
	StatusMemory         Status = 0x6581 // generic error
	StatusWrongLength    Status = 0x6700
	StatusSecurity       Status = 0x6982 // password required, or no touch came
	StatusBlocked        Status = 0x6983
	StatusNoObject       Status = 0x6984 // no such account; of passwords: none is set, or the proof of one is wrong
	StatusConditions     Status = 0x6985 // Nitrokey: no touch came
	StatusWrongData      Status = 0x6a80 // wrong syntax; of VALIDATE: the password is wrong
	StatusNoFile         Status = 0x6a82 // of SELECT: no such application; Nitrokey: no such account
	StatusFull           Status = 0x6a84
	StatusNoInstruction  Status = 0x6d00
	StatusClass          Status = 0x6e00
	StatusGeneralFailure Status = 0x6f00
)

var statusTexts = map[Status]string{
	StatusOK:             "success",
	StatusMemory:         "memory failure",
	StatusWrongLength:    "wrong length",
	StatusSecurity:       "security status not satisfied",
	StatusBlocked:        "operation blocked",
	StatusNoObject:       "no such object",
	StatusConditions:     "conditions of use not satisfied",
	StatusWrongData:      "wrong syntax",
	StatusNoFile:         "file or application not found",
	StatusFull:           "no space",
	StatusNoInstruction:  "instruction not supported",
	StatusClass:          "class not supported",
	StatusGeneralFailure: "general failure",
}

// Error gives the meaning of the status word in words, with the number that a reader can look up.
func (s Status) Error() string {
	if text, ok := statusTexts[s]; ok {
		return fmt.Sprintf("%s (SW %04x)", text, uint16(s))
	}
	return fmt.Sprintf("unknown status word %04x", uint16(s))
}

// What a status word means, which depends on the command.
var (
	ErrNoApplet      = errors.New("the key has no OATH application, or it is switched off")
	ErrLocked        = errors.New("the key wants the password of its OATH application")
	ErrWrongPassword = errors.New("the password of the key's OATH application is wrong")
	ErrNoPassword    = errors.New("the key's OATH application has no password")
	ErrNotFound      = errors.New("the key has no such account")
	ErrExists        = errors.New("the key has an account of this name already")
	ErrFull          = errors.New("the key has no room for another account")
	ErrNoTouch       = errors.New("the key was not touched in time")
)

// Errors that are found on this side.
var (
	ErrImpostor  = errors.New("the key does not know the password that it asks for: it is not the one that it seems")
	ErrOtherSeed = errors.New("the key makes other codes than the seed that was written to it")
)

// CommandError is a command that the key has refused. It unwraps to its meaning, where there is one, and to its Status.
type CommandError struct {
	Command string // as the specification has it, such as "CALCULATE"
	Status  Status
	Meaning error // one of this package's, or nil
}

func (e *CommandError) Error() string {
	if e.Meaning != nil {
		return fmt.Sprintf("%v (%s: SW %04x)", e.Meaning, e.Command, uint16(e.Status))
	}
	return e.Command + ": " + e.Status.Error()
}

// Unwrap gives what errors.Is and errors.As find.
func (e *CommandError) Unwrap() []error {
	if e.Meaning != nil {
		return []error{e.Meaning, e.Status}
	}
	return []error{e.Status}
}

// Hint says what the person can do, or is empty.
func (e *CommandError) Hint() string {
	switch {
	case e.Meaning == ErrNoApplet:
		return "a security key with OATH over USB CCID or NFC is needed; 'ykman config usb --enable OATH' switches it on"
	case e.Meaning == ErrFull:
		return "delete an account of the key that is not used any more"
	case e.Meaning == ErrNoTouch:
		return "touch the key when it blinks, within 15 seconds"
	case e.Status == StatusBlocked:
		return "the key wants its PIN, or refuses to replace an account: use its vendor's program"
	}
	return ""
}

// UnsupportedError is something that this key, or its firmware, does not do.
type UnsupportedError struct {
	Feature string // such as "SHA512"
	Key     string // which keys don't: "a Nitrokey", "firmware 4.2.3"
}

func (e *UnsupportedError) Error() string { return e.Feature + " is not supported by " + e.Key }

// ReplyError is a reply that breaks the protocol.
type ReplyError struct{ Problem string }

func (e *ReplyError) Error() string { return "bad reply of the key's OATH application: " + e.Problem }

func badReply(format string, args ...any) error { return &ReplyError{fmt.Sprintf(format, args...)} }

// NameError says why an account can't be called so on a key.
type NameError struct{ Problem string }

func (e *NameError) Error() string { return "the name on the key " + e.Problem }
