// Command fob registers and signs in with the security keys that fobd owns, and manages them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/ipc"
)

func main() {
	ctx, stop := program.Context()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	err := program.Confine()
	if err == nil {
		err = a.command().ExecuteContext(ctx)
	}
	interrupted := ctx.Err() != nil
	stop()
	if err != nil {
		os.Exit(a.report(err, interrupted))
	}
}

// app is one run of the program.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	client         ipc.Client
	json           bool
}

func (a *app) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "fob",
		Short: "Register and sign in with security keys, and show one-time passwords",
		Long: `fob registers and signs in with the security keys that fobd owns, and manages them; and it shows
the one-time passwords whose seeds fobd keeps.

Exit codes:
    0  done                              5  wrong PIN, passphrase or key, or it is blocked or missing
    1  another failure                   6  the key is not registered, or is already, or can't
    2  wrong usage                       7  timed out
    3  fobd can't be reached             8  declined or cancelled
    4  no such key, or it failed         9  not verified
   10  'fob doctor', 'fob policy' or 'fob seeds verify' found something wrong, 'fob status' a part of fobd that is
       broken, or 'fob seeds convert --skip-bad' left tokens out
  130  interrupted`,
		Version:       program.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	c.SetUsageFunc(program.PrintUsage)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return program.Usage(err) })
	c.PersistentFlags().StringVar(&a.client.Socket, "socket", ipc.DefaultSocket(), "`PATH` of fobd's socket")
	c.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, for programs; errors too, on standard error")
	c.PersistentFlags().BoolVar(&a.client.NoWait, "no-wait", false,
		"fail when other ceremonies hold the key, or none is plugged in, instead of waiting")
	c.AddCommand(a.devices(), a.register(), a.signIn(), a.webauthn(), a.key(), a.otp(), a.mfa(), a.store(), a.tpm(), a.policy(),
		a.status(), a.log(), a.emulate(), a.doctor(), a.seeds())
	return c
}

// noArguments is cobra.NoArgs with an error that counts as wrong usage.
func noArguments(_ *cobra.Command, args []string) error { return program.NoArguments(args) }

// printJSON writes v as one line.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// hinted is an error that knows what the person can do.
type hinted interface {
	error
	Hint() string
}

// report tells the person, or the program, what went wrong, and gives the exit code.
func (a *app) report(err error, interrupted bool) int {
	code := exitCode(err)
	if interrupted && errors.Is(err, context.Canceled) {
		code = exitInterrupted
		if !errors.As(err, new(*controlFailed)) && !errors.As(err, new(nothingWritten)) {
			err = errors.New("interrupted; the ceremony is cancelled")
		}
	}
	hint := ""
	var h hinted
	if errors.As(err, &h) {
		hint = h.Hint()
	}
	if a.json {
		reportJSON(a.stderr, err, hint)
		return code
	}
	fmt.Fprintf(a.stderr, "fob: %s\n", shownLines(err.Error()))
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", shownLines(hint))
	}
	if code == exitUsage {
		fmt.Fprintln(a.stderr, "hint: 'fob --help', and '--help' after each command, tell more")
	}
	return code
}

// reportJSON writes an error as an object: its name and parameters where fobd gave it, the message and the hint.
func reportJSON(w io.Writer, err error, hint string) {
	out := struct {
		Error      string `json:"error,omitempty"`
		Parameters any    `json:"parameters,omitempty"`
		Message    string `json:"message"`
		Hint       string `json:"hint,omitempty"`
	}{Message: err.Error(), Hint: hint}
	var named ipc.Error
	if errors.As(err, &named) {
		out.Error, out.Parameters = named.VarlinkError(), named
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(out)
}
