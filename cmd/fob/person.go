package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/fido"
	"fob/ipc"
)

// What the person reads follows these rules: plain words; no capital letter at the beginning and no period at the end
// of a line of ours; questions end with a colon and stay on their line; everything goes to standard error or the
// terminal, so that standard output is for results alone.

// orPrompter is what else can be done where there is no terminal.
const orPrompter = "or run a prompter that the policy of fobd names, see docs/policy.md"

var (
	errNoTerminal = advised{errors.New("a PIN is needed, and there is no terminal to ask for it"),
		"give it with --pin-fd, run fob at a terminal, " + orPrompter}
	errRefused  = errors.New("the key does not take the new PIN; it may be too short, too simple, or the old one")
	errReserved = errors.New("the key has only its last PIN attempts left; " +
		"give the PIN with --last-attempts if it is surely right")
	errOtherKey = errors.New("the PIN of --pin-fd was given to another key; name the one that it is of with --device")
	errNoNewPIN = advised{errors.New("the key wants a new PIN, and there is no terminal to ask for it"),
		"set it with 'fob key pin', which takes one with --new-pin-fd, run fob at a terminal, " + orPrompter}
	errNoChoice = advised{errors.New("several accounts match, and there is no terminal to choose one"),
		"run fob at a terminal, " + orPrompter}
)

// person implements ipc.Prompter: the one at the terminal, or a PIN from a file descriptor.
type person struct {
	out      io.Writer
	json     *bool
	pinFD    int  // -1 for none
	newPINFD int  // of a command that changes the PIN; -1 for none
	choosing bool // a new PIN is what the command is about
	last     bool // the last attempts of a PIN may be spent
	given    ipc.Secret
	givenTo  string // the reader or the ID of the key

	names map[string]string // of accounts, by user handle in base64url; a key that verified nobody tells none
}

func (a *app) person() person {
	return person{out: a.stderr, json: &a.json, pinFD: -1, newPINFD: -1}
}

func (p *person) flags(f *pflag.FlagSet) {
	f.IntVar(&p.pinFD, "pin-fd", -1,
		"read the key's PIN from file descriptor `N`, up to a line feed, instead of asking for it")
	f.BoolVar(&p.last, "last-attempts", false,
		"with --pin-fd, spend the last attempts before the key blocks its PIN for good")
}

// Waiting implements ipc.Prompter.
func (p *person) Waiting(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	others := plural(e.Position, "other ceremony comes", "other ceremonies come")
	fmt.Fprintf(p.out, "waiting for %s: %s first\n", describe(e), others)
}

// Plug implements ipc.Prompter.
func (p *person) Plug(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	fmt.Fprintln(p.out, "plug in a security key, or hold one to a reader")
}

// Touch implements ipc.Prompter.
func (p *person) Touch(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	if e.Reader != "" {
		fmt.Fprintf(p.out, "leave %s there%s until it is done\n", describe(e), purpose(e))
		return
	}
	if !e.Finger {
		fmt.Fprintf(p.out, "touch %s%s\n", describe(e), purpose(e))
		return
	}
	if e.Wrong {
		fmt.Fprintln(p.out, "the key does not know this finger")
	}
	left := ""
	if e.Retries > 0 {
		left = ", " + plural(e.Retries, "attempt", "attempts") + " left"
	}
	fmt.Fprintf(p.out, "lay a finger on %s%s%s\n", describe(e), purpose(e), left)
}

// Tap implements ipc.Prompter.
func (p *person) Tap(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	fmt.Fprintf(p.out, "tap the key on %s again, and leave it there\n", shown(e.Reader))
	if e.Made {
		fmt.Fprintln(p.out,
			"use the same key: it may have made the credential already, and replaces it then; another one would not")
	}
}

// Passed implements ipc.Prompter.
func (p *person) Passed(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	fmt.Fprintf(p.out, "not %s: %s\n", describe(e), shown(e.Problem))
}

// Chosen implements ipc.Prompter.
func (p *person) Chosen(e ipc.Event) {
	if *p.json {
		p.printEvent(e)
		return
	}
	fmt.Fprintf(p.out, "touched %s\n", describe(e))
}

// printEvent is for programs: one object a line.
func (p *person) printEvent(e ipc.Event) {
	json.NewEncoder(p.out).Encode(struct {
		Event ipc.Event `json:"event"`
	}{e})
}

// PIN implements ipc.Prompter.
func (p *person) PIN(ctx context.Context, e ipc.Event) (ipc.Secret, error) {
	if p.pinFD >= 0 {
		if e.Wrong { // there is no other PIN to try
			return nil, ipc.ErrDeclined
		}
		if e.Reserved && !p.last {
			return nil, errReserved
		}
		return p.pinOnce(ctx, e)
	}
	t, err := openTerminal()
	if err != nil {
		return nil, p.leave(e, errNoTerminal)
	}
	defer t.Close()
	if e.Wrong {
		fmt.Fprintln(t, "wrong PIN")
	}
	if e.Reserved {
		if err := p.lastAttempts(ctx, t, e); err != nil {
			return nil, err
		}
	}
	for {
		left := plural(e.Retries, "attempt", "attempts")
		pin, err := t.secret(ctx, fmt.Sprintf("PIN of %s%s, %s left: ", describe(e), purpose(e), left))
		if errors.Is(err, program.ErrPINLength) {
			fmt.Fprintln(t, program.ErrPINLength)
			continue
		}
		return ipc.Secret(pin), err
	}
}

// NewPIN implements ipc.Prompter. Who gives PINs by file descriptors is not asked for one that they didn't give.
func (p *person) NewPIN(ctx context.Context, e ipc.Event) (ipc.Secret, error) {
	switch {
	case p.newPINFD >= 0 && !e.Refused:
		pin, err := program.ReadPIN(ctx, p.newPINFD)
		return ipc.Secret(pin), err
	case p.newPINFD >= 0:
		return nil, errRefused
	case p.pinFD >= 0:
		return nil, ipc.ErrDeclined
	}
	t, err := openTerminal()
	if err != nil {
		return nil, p.leave(e, errNoNewPIN)
	}
	defer t.Close()
	switch {
	case e.Refused:
		fmt.Fprintln(t, "the key does not take this PIN; choose another one")
	case p.choosing:
	case e.Replaces:
		fmt.Fprintln(t, "the key wants its PIN to be changed first")
	default:
		fmt.Fprintln(t, "the key has no PIN yet, and wants one for this")
	}
	for {
		pin, err := p.twice(ctx, t, e)
		if err != nil || pin != nil {
			return pin, err
		}
	}
}

// leave leaves a prompt to the prompters that fobd has told, where there are any.
func (p *person) leave(e ipc.Event, otherwise error) error {
	if !e.Prompter {
		return otherwise
	}
	if !*p.json {
		fmt.Fprintf(p.out, "a prompter asks about %s\n", describe(e))
	}
	return ipc.ErrLeft
}

// twice asks for a new PIN two times, and gives nil where it is too short or they differ, which the person is told.
func (p *person) twice(ctx context.Context, t *terminal, e ipc.Event) (ipc.Secret, error) {
	least := plural(e.MinLength, "character", "characters")
	pin, err := t.secret(ctx, fmt.Sprintf("new PIN of %s, at least %s: ", describe(e), least))
	if errors.Is(err, program.ErrPINLength) || err == nil && utf8.RuneCount(pin) < e.MinLength {
		pin.Wipe()
		fmt.Fprintf(t, "a PIN of this key has at least %s and at most %d bytes\n", least, fido.MaxPINLength)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	again, err := t.secret(ctx, "the same again: ")
	defer again.Wipe()
	if err == nil && bytes.Equal(pin, again) {
		return ipc.Secret(pin), nil
	}
	pin.Wipe()
	if err == nil || errors.Is(err, program.ErrPINLength) {
		fmt.Fprintln(t, "these were two different PINs")
		return nil, nil
	}
	return nil, err
}

// pinOnce reads the PIN of the file descriptor, and gives it again for a card that left its reader and is back, but for
// no other key, as far as a card can be told from another. It is kept as long as the program, which ends with the
// ceremony.
func (p *person) pinOnce(ctx context.Context, e ipc.Event) (ipc.Secret, error) {
	key := cmp.Or(e.Reader, e.Device)
	if p.given != nil && (p.givenTo != key || e.Other) {
		return nil, errOtherKey
	}
	if p.given == nil {
		pin, err := program.ReadPIN(ctx, p.pinFD)
		if err != nil {
			return nil, err
		}
		p.given, p.givenTo = ipc.Secret(pin), key
	}
	return bytes.Clone(p.given), nil
}

// lastAttempts asks whether one of the last attempts may be spent.
func (p *person) lastAttempts(ctx context.Context, t *terminal, e ipc.Event) error {
	fmt.Fprintf(t, "%s: %s left, then it blocks its PIN for good, and only a reset helps, which erases it\n",
		describe(e), plural(e.Retries, "attempt", "attempts"))
	fmt.Fprint(t, "type yes to go on: ")
	line, err := t.line(ctx)
	if err == nil && strings.TrimSpace(line) != "yes" {
		err = ipc.ErrDeclined
	}
	return err
}

// Choose implements ipc.Prompter.
func (p *person) Choose(ctx context.Context, e ipc.Event) (int, error) {
	t, err := openTerminal()
	if err != nil {
		return 0, p.leave(e, errNoChoice)
	}
	defer t.Close()
	for i, account := range e.Accounts {
		fmt.Fprintf(t, "%3d  %s\n", i+1, shown(p.accountName(account)))
	}
	for {
		fmt.Fprintf(t, "account, 1 to %d: ", len(e.Accounts))
		line, err := t.line(ctx)
		if err != nil {
			return 0, err
		}
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n >= 1 && n <= len(e.Accounts) {
			return n - 1, nil
		}
	}
}

func (p *person) accountName(a ipc.Account) string {
	switch {
	case a.Name != "":
		return a.Name
	case p.names[a.ID] != "":
		return p.names[a.ID]
	case a.DisplayName != "":
		return a.DisplayName
	default:
		return "account " + a.ID
	}
}

// describe names the key of an event.
func describe(e ipc.Event) string {
	if e.Product == "" {
		return "key " + e.Device
	}
	return strings.TrimSpace(shown(e.Product) + " " + e.Device) // no device where there are several
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
