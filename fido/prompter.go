package fido

import (
	"context"
	"errors"

	"fob/fido/ctap"
)

// Prompter talks to the person, who may sit behind a socket: every method may fail, and returns when ctx ends.
type Prompter interface {
	// PIN asks for the PIN of a key. The caller wipes what it gets. ErrDeclined when the person gives none.
	PIN(ctx context.Context, p PINPrompt) (PIN, error)
	// NewPIN asks for the PIN that a key shall have from now on. The caller wipes what it gets. ErrDeclined when the
	// person gives none.
	NewPIN(ctx context.Context, p NewPINPrompt) (PIN, error)
	// Touch says that the key waits to be touched, or for a fingerprint. It is called when the key begins to.
	Touch(ctx context.Context, p TouchPrompt) error
	// Passed says that a key can't serve, and why, while others may.
	Passed(ctx context.Context, d DeviceInfo, why error) error
	// Tap says that a card has left its reader too early, and should be held to it again. made is true where it may have
	// made a discoverable credential before, which it replaces the next time, and another card does not.
	Tap(ctx context.Context, d DeviceInfo, made bool) error
	// Chosen says that the person has touched one of several keys, and that the others are dark.
	Chosen(ctx context.Context, d DeviceInfo) error
	// Sampled tells of a sample of a finger that is being enrolled.
	Sampled(ctx context.Context, d DeviceInfo, s Sample) error
	// Replug says that the person shall unplug the key and plug it in again.
	Replug(ctx context.Context, p ReplugPrompt) error
	// Choose asks which of several accounts to sign in with and gives its index.
	Choose(ctx context.Context, d DeviceInfo, accounts []ctap.PublicKeyCredentialUserEntity) (int, error)
}

// TouchPrompt is what the person should know before touching a key.
type TouchPrompt struct {
	Device  DeviceInfo
	Finger  bool // the key wants a finger that it knows
	Retries uint // of Finger: attempts left before the key wants its PIN; 0 where it doesn't tell
	Wrong   bool // of Finger: the key did not know the one before
}

// PINPrompt is what the person should know before typing a PIN.
type PINPrompt struct {
	Device  DeviceInfo
	Retries uint // attempts left before the key blocks its PIN for good
	Wrong   bool // the PIN typed before was wrong
	// Reserved is true for the last attempts: they are spent with the person's explicit word alone.
	Reserved bool
	// Other is true where the card that is at the reader now is another one than the ceremony began with, as what it
	// says of itself shows. Two of one model can't be told apart.
	Other bool
}

// NewPINPrompt is what the person should know before choosing a PIN.
type NewPINPrompt struct {
	Device    DeviceInfo
	MinLength uint // in Unicode code points
	Replaces  bool // the key has a PIN already, and wants another one
	Refused   bool // the key did not take the PIN that was chosen before
}

// ReplugPrompt is what the person should know before plugging a key in again to reset it.
type ReplugPrompt struct {
	Device    DeviceInfo
	Late      bool // the key was plugged in too long ago when it was asked, so that it did nothing
	LongTouch bool // the key wants to be touched for several seconds then
}

// reservedAttempts are those that a person must not lose by a slip: what remains to try a PIN that was found again.
const reservedAttempts = 2

// ErrDeclined is a person's refusal to answer a prompt.
var ErrDeclined = errors.New("the prompt was declined")
