package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/formats"
)

func (a *app) seeds() *cobra.Command {
	c := &cobra.Command{
		Use:   "seeds",
		Short: "Make, convert and check files of one-time-password seeds",
		Long: `These commands are for who issues one-time-password tokens, or moves them: they make new seeds,
convert seed files from one system's format to another's, and check them. But for provision, they need
no fobd.

Files are encrypted unless --plain is given: with a passphrase, in the format's own way where it has
one, else by age (the name ends with .age then). Nobody else can read them, and a file that is there
is replaced with --force alone. A file appears when it is complete: what fails leaves nothing.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.seedsGenerate(), a.seedsConvert(), a.seedsFormats(), a.seedsVerify(), a.seedsShow(), a.seedsEncrypt(),
		a.seedsDecrypt(), a.seedsWrap(), a.seedsProvision())
	return c
}

// skippedTokens says that --skip-bad has left tokens out.
type skippedTokens struct{ bad, read int }

func (e skippedTokens) Error() string {
	return fmt.Sprintf("%d of %s could not be converted, and were left out", e.bad, plural(e.read, "token", "tokens"))
}

// foundInSeeds says that a seed file has something wrong.
type foundInSeeds int

func (n foundInSeeds) Error() string {
	return "the file has " + plural(int(n), "thing", "things") + " wrong with it"
}

// nothingWritten is what ends a command that writes a file before the file is there.
type nothingWritten struct{ error }

func (e nothingWritten) Error() string { return "interrupted; nothing is written" }
func (e nothingWritten) Unwrap() error { return e.error }

// seedsError adds what to do to an error of a seed file.
func seedsError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(keptOld)) {
		return err
	}
	if ctx.Err() != nil {
		return nothingWritten{ctx.Err()}
	}
	if hint := seedsHint(err); hint != "" {
		return advised{err, hint}
	}
	return err
}

func seedsHint(err error) string {
	var loss *seedfile.LossError
	var missing *seedfile.MissingError
	var locked *seedfile.LockedError
	switch {
	case errors.As(err, new(hinted)):
		return ""
	case errors.As(err, &loss) && loss.Field&seedfile.Droppable != 0:
		return fmt.Sprintf("--drop %s leaves that out; 'fob seeds formats' tells what others can hold", loss.Field)
	case errors.As(err, &loss):
		return "without that its codes would be wrong; 'fob seeds formats' tells what others can hold; " +
			"--skip-bad leaves such tokens out"
	case errors.As(err, &missing):
		return fmt.Sprintf("--fill %s=... gives it; --skip-bad leaves such tokens out", missing.Field)
	case errors.As(err, &locked):
		return "give what opens it with --passphrase-fd or --key-fd"
	case errors.As(err, new(*seedfile.ValueError)):
		return "--skip-bad leaves such tokens out"
	case errors.As(err, new(*seedfile.RowError)):
		return "--skip-bad goes on without bad tokens; 'fob seeds verify' lists all of them"
	case errors.Is(err, os.ErrExist):
		return "name another file, or replace that one with --force"
	case errors.Is(err, unix.ENOSPC):
		return "nothing is left of the file; make room, or name a file elsewhere"
	}
	return ""
}

// formatByName is the format of a flag.
func formatByName(name string) (*seedfile.Format, error) {
	f := formats.ByName(name)
	if f == nil {
		return nil, program.Usage(advised{fmt.Errorf("there is no format %q", name), "'fob seeds formats' lists them"})
	}
	return f, nil
}

// formatNames completes the name of a format that can be read, or written.
func formatNames(useful func(*seedfile.Format) bool) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, f := range formats.All() {
			if useful(f) {
				names = append(names, f.Name+"\t"+f.Title)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func readable(f *seedfile.Format) bool { return f.NewReader != nil }
func writable(f *seedfile.Format) bool { return f.NewWriter != nil }

// settings reads NAME=VALUE flags for a format.
func settings(flag string, list []string, f *seedfile.Format) (map[string]string, error) {
	out := make(map[string]string)
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, program.Usage(fmt.Errorf("--%s %s is not of the form NAME=VALUE", flag, text))
		}
		if _, twice := out[name]; twice {
			return nil, program.Usage(fmt.Errorf("--%s %s is given twice", flag, name))
		}
		if !hasSetting(f, name) {
			return nil, program.Usage(advised{fmt.Errorf("%s has no setting %q", f.Name, name),
				fmt.Sprintf("'fob seeds formats %s' lists them", f.Name)})
		}
		out[name] = value
	}
	return out, nil
}

func hasSetting(f *seedfile.Format, name string) bool {
	for _, s := range f.Settings {
		if s.Name == name {
			return true
		}
	}
	return false
}

// parseFields reads a list of fields that may get lost.
func parseFields(names []string) (drop seedfile.Field, err error) {
	for _, name := range names {
		f, ok := seedfile.ParseField(name)
		switch {
		case !ok:
			return 0, program.Usage(fmt.Errorf("there is no field %q; those that can be dropped are %s", name,
				seedfile.Droppable))
		case f&seedfile.Droppable == 0:
			return 0, program.Usage(fmt.Errorf("without the %s of a token its codes would be wrong; "+
				"what can be dropped is %s", f, seedfile.Droppable))
		}
		drop |= f
	}
	return drop, nil
}

// fieldNames completes the fields that may get lost.
func fieldNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return seedfile.Droppable.Names(), cobra.ShellCompDirectiveNoFileComp
}

// parseAlgorithm reads the name of a hash function, in either case, with or without a dash.
func parseAlgorithm(name string) (hotp.Algorithm, error) {
	for a := hotp.SHA1; a <= hotp.SHA512; a++ {
		if strings.EqualFold(strings.Replace(name, "-", "", 1), a.String()) {
			return a, nil
		}
	}
	return 0, program.Usage(fmt.Errorf("there is no algorithm %q; it is SHA1, SHA256 or SHA512", name))
}

func parseType(name string) (hotp.Type, error) {
	switch strings.ToLower(name) {
	case "hotp":
		return hotp.HOTP, nil
	case "totp":
		return hotp.TOTP, nil
	}
	return 0, program.Usage(fmt.Errorf("there is no type %q; it is totp or hotp", name))
}
