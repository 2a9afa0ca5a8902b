package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"fob/cmd/internal/program"
	"fob/ipc"
)

// Errors of confirmations: nobody can be asked, or did not say yes.
var (
	errNoYes        = program.Usage(errors.New("this is to be confirmed, and there is no terminal to ask at; give --yes"))
	errNotConfirmed = errors.New("not confirmed, and nothing is done")
)

// confirmYes asks at the terminal, and is errNotConfirmed for anything but yes.
func confirmYes(ctx context.Context, question string) error {
	t, err := openTerminal()
	if err != nil {
		return errNoYes
	}
	defer t.Close()
	fmt.Fprint(t, question)
	line, err := t.line(ctx)
	if errors.Is(err, ipc.ErrDeclined) || err == nil && strings.TrimSpace(line) != "yes" {
		return errNotConfirmed
	}
	return err
}

func hasTerminal() bool {
	t, err := openTerminal()
	if err != nil {
		return false
	}
	t.Close()
	return true
}
