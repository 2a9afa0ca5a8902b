package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"fob/fido"
)

// Bounds of a policy file.
const (
	MaxSize  = 64 << 10 // bytes of the file
	MaxRules = 256
	maxText  = 256 // bytes of a name or a pattern
)

// Error says what is wrong with a policy file.
type Error struct {
	Path    string // empty for none
	Line    int    // from 1; 0 where it is not known
	Problem string
	Err     error // may be nil
}

func (e *Error) Error() string {
	where := e.Path
	if where == "" {
		where = "policy"
	}
	if e.Line > 0 {
		where += fmt.Sprintf(":%d", e.Line)
	}
	return where + ": " + e.Problem
}

// Unwrap gives the error of the system, if there was one.
func (e *Error) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *Error) Hint() string { return "correct it; 'fob policy check' says whether it is right" }

// Parse reads a policy, in TOML 1.0. Its error is an *Error.
func Parse(text []byte) (*Policy, error) {
	if len(text) > MaxSize {
		return nil, &Error{Problem: fmt.Sprintf("a policy has at most %d bytes", MaxSize)}
	}
	p := &Policy{Text: string(text), Headless: Deny, AskBy: []Way{Prompter, Desktop, Terminal}}
	meta, err := toml.Decode(p.Text, p)
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return nil, &Error{Line: syntax.Position.Line, Problem: syntax.Message}
	}
	if err != nil {
		return nil, mistyped(err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, &Error{Line: lineOf(p.Text, unknown[0]), Problem: fmt.Sprintf("unknown member %q", unknown[0])}
	}
	number(p)
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// mistyped takes the line out of the words of an error, where the library has put it for values of a wrong type.
func mistyped(err error) *Error {
	e := &Error{Problem: strings.TrimPrefix(err.Error(), "toml: ")}
	if n, _ := fmt.Sscanf(e.Problem, "line %d ", &e.Line); n == 1 {
		e.Problem = strings.TrimPrefix(e.Problem, fmt.Sprintf("line %d ", e.Line))
	}
	return e
}

// number tells each rule which one it is, and where.
func number(p *Policy) {
	lines := headers(p.Text)
	for i := range p.Rules {
		p.Rules[i].Number = i + 1
		if len(lines) == len(p.Rules) { // none was written in another way
			p.Rules[i].Line = lines[i]
		}
	}
}

// headers are the lines that begin a rule.
func headers(text string) (lines []int) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(strings.Join(strings.Fields(line), ""), "[[rule]]") {
			lines = append(lines, n)
		}
	}
	return lines
}

// lineOf finds the first line that gives a member, which the library does not tell; 0 for none.
func lineOf(text string, key toml.Key) int {
	name, inRule := key[len(key)-1], len(key) > 1
	n, rules := 0, false
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		rules = rules || strings.HasPrefix(line, "[")
		before, _, found := strings.Cut(line, "=")
		header := strings.HasPrefix(line, "[") && strings.Trim(line, "[] ") == name
		if header || found && rules == inRule && strings.Trim(before, " \t\"'") == name {
			return n
		}
	}
	return 0
}

// check finds what TOML can't: values that mean nothing.
func (p *Policy) check() error {
	problem := ""
	switch {
	case len(p.Rules) > MaxRules:
		problem = fmt.Sprintf("a policy has at most %d rules", MaxRules)
	case p.Headless != Allow && p.Headless != Deny:
		problem = `headless is "allow" or "deny"`
	case !known(p.AskBy, Prompter, Desktop, Terminal):
		problem = `ask-by has some of "prompter", "desktop" and "terminal"`
	case !known(p.Notify, Touch):
		problem = `notify has "touch", or nothing`
	default:
		problem = texts("prompters", p.Prompters, isPath)
	}
	if problem != "" {
		return &Error{Problem: problem}
	}
	for i := range p.Rules {
		if problem := p.Rules[i].problem(); problem != "" {
			return &Error{Line: p.Rules[i].Line, Problem: fmt.Sprintf("rule %d: %s", i+1, problem)}
		}
	}
	return nil
}

func known[T comparable](list []T, all ...T) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !slices.Contains(all, v) })
}

// problem says what is wrong with a rule; empty for nothing.
func (r *Rule) problem() string {
	asks := r.Action == Ask || r.Action == AskOnce
	switch {
	case len(r.Verbs) == 0:
		return "verbs are missing; each is named by itself"
	case !known(r.Verbs, Verbs()...):
		return fmt.Sprintf("verbs are some of %s", list(Verbs()))
	case r.Name != "" && !isText(r.Name):
		return fmt.Sprintf("name has at most %d bytes, which can be printed", maxText)
	case !known([]Action{r.Action}, Allow, Ask, AskOnce, Deny):
		return `action is "allow", "ask", "ask-once" or "deny"`
	case r.Headless != "" && !asks:
		return `headless goes with the actions "ask" and "ask-once"`
	case r.Headless != "" && r.Headless != Allow && r.Headless != Deny:
		return `headless is "allow" or "deny"`
	case r.WhenLocked != "" && r.WhenLocked != Allow && r.WhenLocked != Deny:
		return `when-locked is "allow" or "deny"`
	case r.WhenLocked == Allow && r.Action == Deny:
		return `when-locked does not go with the action "deny"`
	case r.Transport != nil && (len(r.Transport) == 0 || !known(r.Transport, transports()...)):
		return fmt.Sprintf("transport is some of %s", list(transports()))
	}
	return r.patterns()
}

func transports() []fido.Transport {
	return []fido.Transport{fido.TransportUSB, fido.TransportNFC, fido.TransportSmartCard}
}

func list[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, v := range all {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// patterns says what is wrong with the patterns of a rule.
func (r *Rule) patterns() string {
	for _, of := range []struct {
		name  string
		texts []string
		fits  func(string) bool
	}{
		{"rp", r.RP, isRP}, {"exe", r.Exe, isPath}, {"unit", r.Unit, isText}, {"key", r.Key, isText}, {"product", r.Product, isText},
		{"token", r.Token, isText},
	} {
		if of.texts != nil && len(of.texts) == 0 {
			return of.name + " is empty; leave it out where it does not matter"
		}
		if problem := texts(of.name, of.texts, of.fits); problem != "" {
			return problem
		}
	}
	return ""
}

// texts says which of the texts of a member is none that can match.
func texts(name string, texts []string, fits func(string) bool) string {
	for _, text := range texts {
		if !isText(text) || !fits(text) {
			return fmt.Sprintf("%s: %s: %q", name, shapes[name], text)
		}
	}
	return ""
}

// shapes say what the patterns of a member look like.
var shapes = map[string]string{
	"rp":        `an RP ID in lower case, "*." and one, or "*"`,
	"exe":       "an absolute path without empty names; ** only at the end",
	"prompters": "an absolute path without empty names; ** only at the end",
	"unit":      "1 to 256 bytes, which can be printed",
	"key":       "1 to 256 bytes, which can be printed",
	"product":   "1 to 256 bytes, which can be printed",
	"token":     "1 to 256 bytes, which can be printed",
}

func isText(s string) bool {
	return s != "" && len(s) <= maxText && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// isRP admits what may match an RP ID (WebAuthn §4, a valid domain string), which fobd has in ASCII and lower case.
func isRP(s string) bool {
	if s == "*" {
		return true
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(s, "*."), ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r <= ' ' || r > '~' || r == '*' || unicode.IsUpper(r)
		}) {
			return false
		}
	}
	return true
}

func isPath(s string) bool {
	names := strings.Split(s, "/")
	if len(names) < 2 || names[0] != "" {
		return false
	}
	for i, name := range names[1:] {
		stars := strings.Contains(name, "**")
		if name == "" || name == "." || name == ".." || stars && (name != "**" || i != len(names)-2) {
			return false
		}
	}
	return true
}
