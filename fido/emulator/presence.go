package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fob/fido/ctap"
)

// PresenceRequest says for what the key waits to be touched.
type PresenceRequest struct {
	Command ctap.Command
	RPID    string // empty where the command has none
	User    string // user.name where the command has one
}

// Presence decides whether the key is touched: nil for a touch, ErrDenied for a person who declines. It waits as long
// as it likes; when ctx ends, because the platform cancelled or the person's time is up, it returns ctx.Err().
type Presence func(ctx context.Context, r PresenceRequest) error

// ErrDenied is a person's "no"; the key answers OPERATION_DENIED.
var ErrDenied = errors.New("user presence denied")

// Approve touches the key at once.
func Approve(context.Context, PresenceRequest) error { return nil }

// Deny declines at once.
func Deny(context.Context, PresenceRequest) error { return ErrDenied }

// Wait never touches the key.
func Wait(ctx context.Context, _ PresenceRequest) error {
	<-ctx.Done()
	return ctx.Err()
}

// After touches the key when d has passed.
func After(d time.Duration) Presence {
	return func(ctx context.Context, _ PresenceRequest) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ask asks a person: it writes a question to w and takes the next of lines as the answer, an empty one or "y" for a
// touch. Lines typed before the question don't count.
func Ask(w io.Writer, lines <-chan string) Presence {
	return func(ctx context.Context, r PresenceRequest) error {
		for drained := false; !drained; {
			select {
			case _, open := <-lines:
				drained = !open
			default:
				drained = true
			}
		}
		fmt.Fprintf(w, "touch the emulated key%s? [Enter, or n] ", r.purpose())
		select {
		case line, open := <-lines:
			if answer := strings.TrimSpace(line); open && (answer == "" || strings.EqualFold(answer, "y")) {
				return nil
			}
			return ErrDenied
		case <-ctx.Done():
			fmt.Fprintln(w, "(cancelled)")
			return ctx.Err()
		}
	}
}

func (r PresenceRequest) purpose() string {
	switch r.Command {
	case ctap.CommandMakeCredential:
		return fmt.Sprintf(" to register %q at %q", r.User, r.RPID)
	case ctap.CommandGetAssertion:
		return fmt.Sprintf(" to sign in at %q", r.RPID)
	case ctap.CommandReset:
		return " to erase it"
	default:
		return ""
	}
}

// ParsePresence reads a policy as the command line gives it: auto, deny, never, or delay=DURATION (2s, 500ms).
func ParsePresence(s string) (Presence, error) {
	switch s {
	case "auto":
		return Approve, nil
	case "deny":
		return Deny, nil
	case "never":
		return Wait, nil
	}
	if text, ok := strings.CutPrefix(s, "delay="); ok {
		if d, err := time.ParseDuration(text); err == nil && d >= 0 {
			return After(d), nil
		}
	}
	return nil, fmt.Errorf("touch policy %q is none of auto, deny, never, delay=DURATION", s)
}

// awaitPresence waits for a touch and tells the platform that it does.
func (a *Authenticator) awaitPresence(r *request, p PresenceRequest) error {
	if r.transport == ctap.TransportNFC { // the tap is the touch
		return nil
	}
	r.keepalive(ctap.KeepaliveUPNeeded)
	ctx, stop := context.WithTimeout(r, userActionTimeout)
	defer stop()
	err := a.presence(ctx, p)
	switch {
	case err == nil && r.Err() == nil:
		r.keepalive(ctap.KeepaliveProcessing)
		return nil
	case r.Err() != nil: // CTAPHID_CANCEL, or the device is gone
		return ctap.ErrKeepaliveCancel
	case errors.Is(err, ErrDenied):
		return ctap.ErrOperationDenied
	case errors.Is(err, context.DeadlineExceeded):
		return ctap.ErrUserActionTimeout
	default:
		return err
	}
}
