package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/fido/emulator"
)

// maxFixture is more than any fixture has, in bytes.
const maxFixture = 4 << 20

// stateFlags name a state file.
type stateFlags struct {
	path         string
	passphraseFD int
}

func (s *stateFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&s.path, "state", "", "the state `FILE` of an emulated key")
	f.IntVar(&s.passphraseFD, "state-passphrase-fd", -1, "the file is encrypted; read its passphrase from "+
		"file descriptor `N`")
}

// passphrase is nil for a file in the clear.
func (s *stateFlags) passphrase(ctx context.Context) (emulator.Passphrase, error) {
	switch {
	case s.path == "":
		return nil, program.Usage(errors.New("say which file with --state FILE"))
	case s.passphraseFD < 0:
		return nil, nil
	default:
		return program.ReadPassphrase(ctx, s.passphraseFD)
	}
}

func (a *app) emulateExport() *cobra.Command {
	var s stateFlags
	c := &cobra.Command{
		Use:   "export --state FILE",
		Short: "Write the state of an emulated key as a fixture",
		Long: `export writes the whole state of an emulated key to standard output:
credentials, PIN, counters, as JSON and with private keys in the clear. It is a
fixture for tests: 'fob emulate import' makes a state file of it, and so does
the Go API. The key must not be plugged in.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			return a.runExport(c.Context(), &s)
		},
	}
	s.flags(c.Flags())
	return c
}

func (a *app) runExport(ctx context.Context, s *stateFlags) error {
	passphrase, err := s.passphrase(ctx)
	if err != nil {
		return err
	}
	defer passphrase.Wipe()
	fixture, err := emulator.ExportFile(s.path, passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		return advised{err, "'fob emulate --state' makes a state file"}
	}
	if err != nil {
		return stateError(err)
	}
	defer clear(fixture)
	_, err = a.stdout.Write(fixture)
	return err
}

func (a *app) emulateImport() *cobra.Command {
	var s stateFlags
	c := &cobra.Command{
		Use:   "import --state FILE <FIXTURE",
		Short: "Make a state file of a fixture",
		Long: `import reads a fixture, as 'fob emulate export' writes it, from standard input
and makes a new state file of it for 'fob emulate --state'; with
--state-passphrase-fd the file is encrypted.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			return a.runImport(c.Context(), &s)
		},
	}
	s.flags(c.Flags())
	return c
}

func (a *app) runImport(ctx context.Context, s *stateFlags) error {
	passphrase, err := s.passphrase(ctx)
	if err != nil {
		return err
	}
	defer passphrase.Wipe()
	fixture, err := io.ReadAll(io.LimitReader(a.stdin, maxFixture))
	defer clear(fixture)
	if err != nil {
		return fmt.Errorf("no fixture read: %w", err)
	}
	return stateError(emulator.ImportFile(s.path, passphrase, fixture))
}

// advised is an error with what the person can do.
type advised struct {
	error
	hint string
}

func (h advised) Unwrap() error { return h.error }
func (h advised) Hint() string  { return h.hint }

// stateError adds what to do to the errors of state files.
func stateError(err error) error {
	if hint := program.StateHint(err, ""); hint != "" {
		return advised{err, hint}
	}
	return err
}
