// Command fobd owns the security keys of a user and performs ceremonies on them for other programs.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/policy"
	"fob/daemon/service"
)

func main() {
	ctx, stop := program.DaemonContext()
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "fobd: %v\n", err)
		if h := hint(err); h != "" {
			fmt.Fprintf(os.Stderr, "hint: %s\n", h)
		}
		stop()
		os.Exit(exitCode(err))
	}
}

// listenError is an error of the socket.
type listenError struct{ error }

func (e listenError) Unwrap() error { return e.error }

// hint says what the person can do about an error.
func hint(err error) string {
	var rules *policy.Error
	switch {
	case errors.Is(err, daemon.ErrAlreadyRunning):
		return "use that one, or give this one another place with --socket"
	case errors.Is(err, service.ErrSocket), errors.Is(err, service.ErrSockets):
		return "the fobd.socket that comes with fob shows what it should say"
	case errors.Is(err, daemon.ErrUnsafeFolder), errors.As(err, new(listenError)) && errors.Is(err, fs.ErrPermission):
		return "set XDG_RUNTIME_DIR to a folder that is yours alone, or name a socket in one with --socket"
	case errors.As(err, new(program.UsageError)):
		return "'fobd --help' tells more"
	case errors.As(err, &rules):
		return rules.Hint()
	default:
		return program.StateHint(err, "emulator-")
	}
}

// exitCode tells a mistake in how fobd was called from a failure.
func exitCode(err error) int {
	if errors.As(err, new(program.UsageError)) {
		return 2
	}
	return 1
}
