package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fob/hotp/seedfile"
	"fob/hotp/seedfile/check"
)

func (a *app) seedsVerify() *cobra.Command {
	s := a.newSeedSource()
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a seed file",
		Long: `verify reads all of FILE, - for standard input, and looks for what is wrong with it: tokens that are
not as the format wants them, MACs that are wrong, seeds and serial numbers that are there twice,
seeds that are not random or stand in a standard, and seeds under 128 bits (RFC 4226). It ends with 10
if it finds any. A seed that is shorter than recommended, and a file that others can read, are told too.`,
		Args: exactly("name the FILE to check, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			defer s.close()
			debug.SetMemoryLimit(verifyMemory)
			return seedsError(c.Context(), a.verifySeeds(c.Context(), s, args[0]))
		},
	}
	s.flags(c)
	return c
}

// verifyMemory has the collector run often enough for a million tokens to be checked within 64 MB. It is no bound.
const verifyMemory = 48 << 20

// verifiedSeeds is what verify found, for programs.
type verifiedSeeds struct {
	File      string `json:"file"`
	Format    string `json:"format"`
	Encrypted string `json:"encrypted"`
	// Readable tells that others than the owner may read the file.
	Readable bool `json:"readableByOthers,omitempty"`
	OK       bool `json:"ok"`
	*check.Report
}

func (a *app) verifySeeds(ctx context.Context, s *seedSource, path string) error {
	checker := check.New()
	err := s.each(ctx, a, path, checker.Token, checker.Bad)
	if err != nil {
		return s.at(err)
	}
	report := checker.Close()
	if err := a.nameSeeds(ctx, s, report); err != nil {
		return err
	}
	v := &verifiedSeeds{File: path, Format: s.format.Name, Encrypted: s.encrypted, OK: report.OK(), Report: report}
	v.Readable = s.info != nil && s.info.Mode().IsRegular() && s.info.Mode().Perm()&0o077 != 0
	if a.json {
		err = a.printJSON(v)
	} else {
		err = a.printVerified(v)
	}
	if err == nil && !v.OK {
		return foundInSeeds(v.wrong())
	}
	return err
}

// each reads all tokens, and wipes them.
func (s *seedSource) each(ctx context.Context, a *app, path string, token func(*seedfile.Token),
	bad func(error)) error {

	r, err := s.open(ctx, path)
	if err != nil {
		return err
	}
	defer r.Close()
	p := a.newProgress(func(int) (float64, bool) { return s.part() })
	if s.shows && isTerminal(a.stdout) {
		p = &progress{} // or it would stand among the tokens
	}
	defer p.end()
	for n := 0; ; n++ {
		p.tell(n)
		t, err := r.Read()
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, new(*seedfile.RowError)):
			bad(err)
		case err != nil:
			return err
		default:
			token(t)
			t.Wipe()
		}
	}
}

// nameSeeds reads the file once more, when there are tokens whose names are wanted, and it is a file.
func (a *app) nameSeeds(ctx context.Context, s *seedSource, r *check.Report) error {
	wanted := r.Nameless()
	if len(wanted) == 0 || s.info == nil || !s.info.Mode().IsRegular() {
		return nil
	}
	again := a.newSeedSource()
	again.from, again.assume, again.settings, again.person = s.format.Name, s.assume, s.settings, s.person.reopens()
	defer again.close()
	names, index := make(map[int]string), 0
	err := again.each(ctx, a, s.path, func(t *seedfile.Token) {
		if index++; wanted[index] {
			names[index] = t.Name()
		}
	}, func(error) { index++ })
	if err == nil {
		r.Name(names)
	}
	return err
}

// wrong is how many tokens have something wrong.
func (v *verifiedSeeds) wrong() (n int) {
	for kind, count := range v.Counts {
		if !kind.Note() {
			n += count
		}
	}
	return n
}

func (a *app) printVerified(v *verifiedSeeds) error {
	for _, f := range v.Findings {
		level := "wrong"
		if f.Kind.Note() {
			level = "note "
		}
		fmt.Fprintf(a.stdout, "%s  %s\n", level, shown(findingText(f)))
	}
	for _, kind := range slices.Sorted(maps.Keys(v.Counts)) {
		if n := v.Counts[kind]; n > check.MaxFindings {
			fmt.Fprintf(a.stdout, "%s: %d in all, of which not all are shown\n", kind, n)
		}
	}
	if v.Encrypted == openly {
		fmt.Fprintln(a.stdout, "note   the file is not encrypted")
	}
	if v.Readable {
		fmt.Fprintln(a.stdout, "note   others may read the file: chmod 600 keeps them out")
	}
	result := "nothing is wrong with them"
	if !v.OK {
		result = plural(v.wrong(), "thing is wrong", "things are wrong")
	}
	_, err := fmt.Fprintf(a.stdout, "%s in %s (%s, encrypted: %s): %s\n", plural(v.Tokens+v.Bad, "token", "tokens"),
		shown(v.File), v.Format, v.Encrypted, result)
	return err
}

// findingText is a finding in a line.
func findingText(f check.Finding) string {
	var where []string
	if f.Line > 0 {
		where = append(where, fmt.Sprintf("line %d", f.Line))
	}
	switch {
	case f.Token != "":
		where = append(where, "token "+f.Token)
	case len(f.Names) > 0:
		where = append(where, "tokens "+strings.Join(f.Names, ", "))
	case len(f.Same) > 0:
		where = append(where, "tokens number "+numbers(f.Same))
	case f.Line == 0:
		where = append(where, fmt.Sprintf("token number %d", f.Index))
	}
	return strings.Join(where, ", ") + ": " + f.Text
}
