package emulator

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"fob/fido/ctap"
)

// PresenceRequest says for what the key waits to be touched.
type PresenceRequest struct {
	Command ctap.Command
	RPID    string // empty where the command has none
	User    string // user.name where the command has one
	Account string // of OATH, which has no Command; empty for FIDO
	// Fingerprint is true when the key wants a finger on its sensor: nil is one that it knows, or a good sample when a
	// finger is enrolled; ErrNoMatch is another finger, a BadSample a bad sample.
	Fingerprint bool
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

// Asker asks a person at a terminal, one question at a time. What is typed while no question is open answers none.
type Asker struct {
	out  io.Writer
	turn chan struct{} // holds a value while no question is open

	mu   sync.Mutex
	open chan string // takes the answer to the open question; nil while there is none
	over bool        // nothing more can be typed
}

// NewAsker makes an Asker that writes questions to w and reads answers, a line each, from r. It reads r to its end, in a
// goroutine that ends with it.
func NewAsker(w io.Writer, r io.Reader) *Asker {
	a := &Asker{out: w, turn: make(chan struct{}, 1)}
	a.turn <- struct{}{}
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			a.answer(lines.Text())
		}
		a.mu.Lock()
		a.over = true
		a.mu.Unlock()
		a.answer("n")
	}()
	return a
}

// answer gives a line to the open question, or to none.
func (a *Asker) answer(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open != nil {
		a.open <- line
		a.open = nil
	}
}

// ask opens a question, unless nobody can answer it.
func (a *Asker) ask() <-chan string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil
	}
	a.open = make(chan string, 1)
	return a.open
}

// Touch is a Presence: an empty line or "y" is a touch, another a refusal, and so is the end of the input.
func (a *Asker) Touch(ctx context.Context, r PresenceRequest) error { return a.touch(ctx, "", r) }

// Key is Touch for one of several keys, whose name is part of the question, unless it is empty.
func (a *Asker) Key(name string) Presence {
	if name != "" {
		name = " " + name
	}
	return func(ctx context.Context, r PresenceRequest) error { return a.touch(ctx, name, r) }
}

func (a *Asker) touch(ctx context.Context, name string, r PresenceRequest) error {
	select {
	case <-a.turn:
		defer func() { a.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	answer := a.ask()
	if answer == nil {
		return ErrDenied
	}
	defer func() {
		a.mu.Lock()
		a.open = nil
		a.mu.Unlock()
	}()
	fmt.Fprintf(a.out, "touch the emulated key%s%s? [Enter, or n] ", name, r.purpose())
	select {
	case line := <-answer:
		if line = strings.TrimSpace(line); line == "" || strings.EqualFold(line, "y") {
			return nil
		}
		return ErrDenied
	case <-ctx.Done():
		fmt.Fprintln(a.out, "(cancelled)")
		return ctx.Err()
	}
}

func (r PresenceRequest) purpose() string {
	if r.Account != "" {
		return fmt.Sprintf(" for a code of %q", r.Account)
	}
	switch r.Command {
	case ctap.CommandMakeCredential:
		return fmt.Sprintf(" to register %q at %q", r.User, r.RPID)
	case ctap.CommandGetAssertion:
		return fmt.Sprintf(" to sign in at %q", r.RPID)
	case ctap.CommandReset:
		return " to erase it"
	case ctap.CommandBioEnrollment:
		return " to enrol your finger"
	default:
		return ""
	}
}

// awaitPresence waits for a touch and tells the platform that it does.
func (a *Authenticator) awaitPresence(r *request, p PresenceRequest) error {
	switch {
	case r.Err() != nil:
		return ctap.ErrKeepaliveCancel
	case r.transport == ctap.TransportNFC && a.spendTap(r, p):
		return nil
	}
	return a.askPerson(r, p)
}

// tapLimit is how long a card that was held to the reader takes that for user presence (CTAP 2.2 §3, "Evidence of user
// interaction", NFC user presence maximum time limit).
const tapLimit = 2 * time.Minute

// spendTap reports whether holding the card to the reader is user presence for this request. It is so once; choosing the
// card does not count, since a ceremony follows. Then the person is asked, as over USB.
func (a *Authenticator) spendTap(r *request, p PresenceRequest) bool {
	fresh := a.tapped && r.now.Sub(a.poweredUp) <= tapLimit
	if fresh && p.Command != ctap.CommandSelection {
		a.tapped = false
	}
	return fresh
}

// awaitConsent is awaitPresence where the specification makes no difference between a person who declines and one who
// does nothing: ErrOperationDenied for both (§6.1.2 steps 1.2 and 14, §6.2.2 steps 1.2 and 9). Some products do.
func (a *Authenticator) awaitConsent(r *request, p PresenceRequest) error {
	err := a.awaitPresence(r, p)
	if err == ctap.ErrUserActionTimeout {
		return cmp.Or(a.TouchTimeout, ctap.ErrOperationDenied)
	}
	return err
}

func (a *Authenticator) askPerson(r *request, p PresenceRequest) error {
	a.show()
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
