package manual

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variables are what defaults depend on. Pages have their names in place of what they are on the machine that makes
// the pages.
var variables = []string{"XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"}

// Program writes the pages of a program and its commands to the folder man in the one that os.Args names, its shell
// completions to completions, and ends the process. It is for programs that are built with the tag "manual".
func Program(root func() *cobra.Command, section int) {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "name one folder, for man pages and completions")
		os.Exit(2)
	}
	if err := program(root, section, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func program(root func() *cobra.Command, section int, folder string) error {
	os.Unsetenv("STATE_DIRECTORY")
	for _, v := range variables {
		os.Setenv(v, "/$"+v) // they must be absolute
	}
	c := root()
	c.InitDefaultHelpFlag()
	c.InitDefaultVersionFlag()
	c.InitDefaultCompletionCmd()
	pages := filepath.Join(folder, "man")
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return err
	}
	for _, page := range Commands(c, section) {
		if err := page.Write(pages); err != nil {
			return err
		}
	}
	return completions(c, filepath.Join(folder, "completions"))
}

// completions writes what each shell loads by the program's name.
func completions(c *cobra.Command, folder string) error {
	for file, generate := range map[string]func(*bytes.Buffer) error{
		"bash/" + c.Name():           func(w *bytes.Buffer) error { return c.GenBashCompletionV2(w, true) },
		"zsh/_" + c.Name():           func(w *bytes.Buffer) error { return c.GenZshCompletion(w) },
		"fish/" + c.Name() + ".fish": func(w *bytes.Buffer) error { return c.GenFishCompletion(w, true) },
	} {
		var script bytes.Buffer
		if err := generate(&script); err != nil {
			return err
		}
		file = filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, script.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Commands makes the pages of a command and of those below it. A command of several words has dashes between them.
func Commands(c *cobra.Command, section int) []Page {
	pages := []Page{command(c, section)}
	for _, sub := range shown(c) {
		pages = append(pages, Commands(sub, section)...)
	}
	return pages
}

// shown are the commands below one that people are to know of.
func shown(c *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, sub := range c.Commands() {
		if (sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()) && sub.Name() != "help" {
			list = append(list, sub)
		}
	}
	return list
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func command(c *cobra.Command, section int) Page {
	c.InitDefaultHelpFlag()
	var r roff
	r.begin(pageName(c), section, lowerFirst(c.Short))
	r.section("SYNOPSIS")
	r.synopsis(c)
	r.section("DESCRIPTION")
	r.text(firstOf(c.Long, c.Short+"."))
	if subs := shown(c); len(subs) > 0 {
		r.section("COMMANDS")
		for _, sub := range subs {
			r.item(fmt.Sprintf(".BR %s (%d)", quote(pageName(sub)), section), sub.Short)
		}
	}
	r.flags("OPTIONS", c.LocalFlags())
	r.flags("GLOBAL OPTIONS", c.InheritedFlags())
	if c.HasExample() {
		r.section("EXAMPLES")
		r.asIs(c.Example)
	}
	r.see(seeAlso(c, section))
	return Page{pageName(c), section, r.Bytes()}
}

func (r *roff) synopsis(c *cobra.Command) {
	if c.Runnable() {
		fmt.Fprintf(r, ".B %s\n", quote(c.UseLine()))
	}
	if c.Runnable() && c.HasAvailableSubCommands() {
		r.WriteString(".br\n")
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(r, ".B %s\n", quote(c.CommandPath()+" [command]"))
	}
}

func (r *roff) flags(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		argument, usage := pflag.UnquoteUsage(f)
		term := `\fB` + escape("--"+f.Name) + `\fR`
		if f.Shorthand != "" {
			term = `\fB` + escape("-"+f.Shorthand) + `\fR, ` + term
		}
		if argument != "" {
			term += ` \fI` + escape(argument) + `\fR`
		}
		r.item(term, usage+defaultOf(f))
	})
}

// defaultOf is what a flag is when it is not given, where that says something.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]", "-1":
		return ""
	}
	return fmt.Sprintf(" (default %s)", strings.ReplaceAll(f.DefValue, "/$", "$"))
}

func seeAlso(c *cobra.Command, section int) []string {
	if c.HasParent() {
		return []string{fmt.Sprintf("%s(%d)", pageName(c.Parent()), section)}
	}
	if c.Name() == "fobd" {
		return []string{"fob(1)", "fob-policy(5)", "fob-audit(5)", "fob-store(5)", "fobd.service(8)", "fob-fido-helper(8)"}
	}
	return []string{"fob-keys(7)", "fob-clients(7)", "fob-emulator(7)", "fob-policy(5)", "fobd(8)"}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// lowerFirst has a title go on a line behind the name: "The audit log", but not "PSKC files".
func lowerFirst(s string) string {
	if len(s) > 1 && strings.ToUpper(s[1:2]) == s[1:2] && s[1] != ' ' {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
