package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/formats"
)

func (a *app) seedsFormats() *cobra.Command {
	return &cobra.Command{
		Use:   "formats [NAME]",
		Short: "List the formats of seed files, and what each can hold",
		Long: `formats lists the formats of seed files: whether fob reads (r) and writes (w) them, what may encrypt
them (key, passphrase; age may encrypt any), and which tokens they can hold. With NAME, it tells
which fields a token in it may have, and which settings it has.`,
		Args: func(_ *cobra.Command, args []string) error {
			return program.NoArguments(args[min(1, len(args)):])
		},
		ValidArgsFunction: formatNames(func(*seedfile.Format) bool { return true }),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.printFormats(formats.All())
			}
			f, err := formatByName(args[0])
			if err != nil {
				return err
			}
			return a.printFormat(f)
		},
	}
}

// shownFormat is a format for programs.
type shownFormat struct {
	Name       string         `json:"name"`
	Title      string         `json:"title"`
	Extension  string         `json:"extension,omitempty"`
	Source     string         `json:"source,omitempty"`
	Reads      []string       `json:"reads"`  // "plain", "key", "passphrase"; none: it can't be read
	Writes     []string       `json:"writes"` // the same
	Types      []string       `json:"types"`  // "hotp", "totp", "yubico"
	Algorithms []string       `json:"algorithms,omitempty"`
	Digits     []int          `json:"digits,omitempty"`  // none: each number
	Periods    []int          `json:"periods,omitempty"` // seconds; none: each period
	MaxSeed    int            `json:"maxSeedBytes,omitempty"`
	Fields     []string       `json:"fields"` // that it has room for
	Needs      []string       `json:"needs"`  // that a token must have
	Settings   []shownSetting `json:"settings,omitempty"`
}

type shownSetting struct {
	Name   string   `json:"name"`
	Usage  string   `json:"usage"`
	Values []string `json:"values,omitempty"` // none: any
	Must   bool     `json:"must,omitempty"`
}

func showFormat(f *seedfile.Format) *shownFormat {
	c := &f.Carries
	s := &shownFormat{Name: f.Name, Title: f.Title, Extension: f.Extension, Source: f.Source, Reads: lockNames(f.Reads),
		Writes: lockNames(f.Writes), Types: kindNames(c.Kinds), Digits: c.Digits, Periods: c.Periods, MaxSeed: c.MaxSeed,
		Fields: append([]string{}, (c.Fields | c.Needs).Names()...), Needs: append([]string{}, c.Needs.Names()...)}
	for _, a := range c.Algorithms {
		s.Algorithms = append(s.Algorithms, a.String())
	}
	for _, one := range f.Settings {
		s.Settings = append(s.Settings, shownSetting{one.Name, one.Usage, one.Values, one.Must})
	}
	return s
}

func lockNames(l seedfile.Lock) []string {
	names := []string{}
	for i, name := range []string{"plain", "key", "passphrase"} {
		if l&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func kindNames(k seedfile.Kind) (names []string) {
	for i, name := range []string{"hotp", "totp", "yubico"} {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (a *app) printFormats(list []*seedfile.Format) error {
	all := []*shownFormat{}
	for _, f := range list {
		all = append(all, showFormat(f))
	}
	if a.json {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FORMAT\t\tENCRYPTED WITH\tTYPES\tHASHES\tDIGITS\tSECONDS\tFOR")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.access(), s.locks(), strings.Join(s.Types, " "),
			hashes(s.Algorithms), numbers(s.Digits), numbers(s.Periods), s.Title)
	}
	return w.Flush()
}

// access is r, w or rw.
func (s *shownFormat) access() (text string) {
	if len(s.Reads) > 0 {
		text = "r"
	}
	if len(s.Writes) > 0 {
		text += "w"
	}
	return text
}

// locks are the ways to encrypt a file that the format itself has, for those that are written if there are.
func (s *shownFormat) locks() string {
	list := s.Writes
	if len(list) == 0 {
		list = s.Reads
	}
	var names []string
	for _, name := range list {
		if name != "plain" {
			names = append(names, name)
		}
	}
	return orDash(strings.Join(names, " "))
}

func hashes(names []string) string {
	if len(names) == 3 {
		return "all"
	}
	return orDash(strings.Join(names, " "))
}

func numbers(list []int) string {
	if len(list) == 0 {
		return "any"
	}
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return strings.Join(texts, " ")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (a *app) printFormat(f *seedfile.Format) error {
	s := showFormat(f)
	if a.json {
		return a.printJSON(s)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, row := range [][2]string{
		{"format", s.Name}, {"for", s.Title}, {"files", orDash(s.Extension)}, {"described by", orDash(s.Source)},
		{"read", orDash(strings.Join(s.Reads, ", "))}, {"written", orDash(strings.Join(s.Writes, ", "))},
		{"types", strings.Join(s.Types, ", ")}, {"hashes", orDash(strings.Join(s.Algorithms, ", "))},
		{"digits", numbers(s.Digits)}, {"seconds", numbers(s.Periods)}, {"seed", seedRoom(s.MaxSeed)},
		{"can have", orDash(strings.Join(s.Fields, ", "))}, {"must have", orDash(strings.Join(s.Needs, ", "))},
	} {
		fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
	}
	printSettings(w, s.Settings)
	return w.Flush()
}

func seedRoom(bytes int) string {
	if bytes == 0 {
		return "of any length"
	}
	return fmt.Sprintf("%d bytes at most", bytes)
}

func printSettings(w io.Writer, list []shownSetting) {
	for _, one := range list {
		usage := one.Usage
		if len(one.Values) > 0 {
			usage += ": " + strings.Join(one.Values, ", ")
		}
		if one.Must {
			usage += " (writing needs it)"
		}
		fmt.Fprintf(w, "--set %s=...\t%s\n", one.Name, usage)
	}
}
