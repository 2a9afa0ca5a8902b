// Package policy decides what programs may do with which keys: a list of rules, of which the first that matches says
// whether fobd does what it is asked for, asks the person before, or refuses.
//
// A policy keeps honest programs to what they are for, and shows the person what happens. It does not keep a hostile
// program of the same user away: such a program can open a terminal of its own, run another program's file, or open the
// key's device node itself.
package policy

import (
	"errors"
	"fmt"
	"slices"

	"fob/daemon/caller"
	"fob/fido"
)

// Verb is what a program asks for. A rule names its verbs one by one: none implies another.
type Verb string

// The verbs.
const (
	Register  Verb = "register"  // fob.Ceremony.Register
	SignIn    Verb = "sign-in"   // fob.Ceremony.SignIn
	Code      Verb = "code"      // fob.OTP.Code
	Manage    Verb = "manage"    // the methods of fob.Device that want a PIN, but Reset; a backup of the store, and others
	Reset     Verb = "reset"     // fob.Device.Reset, fob.Store.Reset
	Provision Verb = "provision" // fob.OTP.Export: the seed of one-time passwords goes elsewhere
	Account   Verb = "account"   // fob.OTP.Add, Rename, Remove: tokens of one-time passwords are made, changed or deleted
)

// Verbs are all of them.
func Verbs() []Verb { return []Verb{Register, SignIn, Code, Manage, Reset, Provision, Account} }

// Action is what a rule says.
type Action string

// The actions. AskOnce asks as Ask does, and takes a yes for all that is the same until the session is locked or fobd
// ends.
const (
	Allow   Action = "allow"
	Ask     Action = "ask"
	AskOnce Action = "ask-once"
	Deny    Action = "deny"
)

// Way is how a person is asked.
type Way string

// The ways: by a program that has registered as a prompter, by a notification on the desktop, at the terminal of the
// program that calls.
const (
	Prompter Way = "prompter"
	Desktop  Way = "desktop"
	Terminal Way = "terminal"
)

// Touch is what Policy.Notify may have.
const Touch = "touch"

// Policy is what a policy file says. The zero value refuses everything.
type Policy struct {
	Path      string   `toml:"-"`                   // of the file; empty for the policy that is built in
	Text      string   `toml:"-"`                   // of the file, with its comments
	Headless  Action   `toml:"headless"`            // Allow or Deny, in place of asking where nobody can be asked
	AskBy     []Way    `toml:"ask-by"`              // how the person may be asked
	Notify    []string `toml:"notify,omitempty"`    // what a program without a terminal has the desktop show: Touch
	Prompters []string `toml:"prompters,omitempty"` // executables that may register as prompters: patterns as in Rule.Exe
	Rules     []Rule   `toml:"rule,omitempty"`
}

// Rule is one rule. It matches a request that fits all members which are given; of a list, one is enough.
//
// In patterns of Exe, Unit, Product and Token, "*" stands for any text and "?" for one character; in Exe neither stands for
// "/", but "/**" at the end does for everything below a folder. In RP, "*.example.com" stands for all domains below
// example.com, and "*" for any RP ID. A rule with a member about keys does not match what is about the store.
type Rule struct {
	Name      string           `toml:"name,omitempty"` // for people
	Verbs     []Verb           `toml:"verbs"`
	RP        []string         `toml:"rp,omitempty"`        // RP IDs; what has none does not match
	Exe       []string         `toml:"exe,omitempty"`       // program files, by their absolute paths
	Unit      []string         `toml:"unit,omitempty"`      // systemd units
	Terminal  *bool            `toml:"terminal,omitempty"`  // whether the program has a terminal
	Key       []string         `toml:"key,omitempty"`       // IDs of keys
	Product   []string         `toml:"product,omitempty"`   // names of products
	Emulated  *bool            `toml:"emulated,omitempty"`  // whether the key is a software authenticator
	Transport []fido.Transport `toml:"transport,omitempty"` // how the key is reached
	Store     *bool            `toml:"store,omitempty"`     // whether it is about the sealed store, and not about a key
	Token     []string         `toml:"token,omitempty"`     // names of tokens of one-time passwords
	Action    Action           `toml:"action"`
	// Headless overrides that of the policy; it goes with Ask and AskOnce.
	Headless Action `toml:"headless,omitempty"`
	// WhenLocked is Allow for what may go on while nobody is there: the session is locked or the computer goes to sleep.
	WhenLocked Action `toml:"when-locked,omitempty"`

	Number int `toml:"-"` // from 1
	Line   int `toml:"-"` // in the file, from 1; 0 where it is not known
}

// String names a rule for people.
func (r *Rule) String() string {
	s := fmt.Sprintf("rule %d", r.Number)
	if r.Name != "" {
		s += fmt.Sprintf(" %q", r.Name)
	}
	if r.Line > 0 {
		s += fmt.Sprintf(" (line %d)", r.Line)
	}
	return s
}

// Request is what a program asks for, with one key, or with the sealed store.
type Request struct {
	Verb   Verb
	RPID   string // empty where there is none
	Caller caller.Caller
	Key    fido.DeviceInfo
	Store  bool   // there is no key
	Token  string // the name of the token of one-time passwords; empty where there is none
}

// Check says whether a request is one that fobd can have.
func (q *Request) Check() error {
	switch {
	case !known([]Verb{q.Verb}, Verbs()...):
		return fmt.Errorf("a verb is one of %s", list(Verbs()))
	case q.Key.Transport != "" && !known([]fido.Transport{q.Key.Transport}, transports()...):
		return fmt.Errorf("a transport is one of %s", list(transports()))
	case q.Store && (q.Key != fido.DeviceInfo{} || q.RPID != ""):
		return errors.New("the store is no key, and has no RP ID")
	case q.Store && (q.Verb == Register || q.Verb == SignIn):
		return errors.New("the verbs for the store are manage, reset, code, provision and account")
	case q.Token != "" && q.Verb != Code && q.Verb != Provision && q.Verb != Account:
		return errors.New("the verbs for a token are code, provision and account")
	}
	return nil
}

// Decision is what a policy says to a request.
type Decision struct {
	Action     Action
	Headless   Action // Allow or Deny: in place of Ask and AskOnce where nobody can be asked
	WhenLocked bool   // what is asked for may go on while nobody is there
	Rule       *Rule  // that said so; nil where none matched, which is Deny
}

// Decide finds the first rule that matches. A nil policy allows everything, while the session is
// not locked.
func (p *Policy) Decide(q *Request) Decision {
	if p == nil {
		return Decision{Action: Allow, Headless: Allow}
	}
	for i := range p.Rules {
		if p.Rules[i].differs(q) == "" {
			return p.decision(&p.Rules[i])
		}
	}
	return Decision{Action: Deny, Headless: Deny}
}

func (p *Policy) decision(r *Rule) Decision {
	d := Decision{Action: r.Action, Headless: p.Headless, WhenLocked: r.WhenLocked == Allow, Rule: r}
	if r.Headless != "" {
		d.Headless = r.Headless
	}
	return d
}

// Step is a rule that was looked at. Differs is the member of it that the request does not fit; empty for the one that
// matches, which is the last.
type Step struct {
	Rule    *Rule
	Differs string
}

// Explain gives the rules that Decide looks at.
func (p *Policy) Explain(q *Request) (steps []Step) {
	for i := range p.Rules {
		step := Step{&p.Rules[i], p.Rules[i].differs(q)}
		steps = append(steps, step)
		if step.Differs == "" {
			break
		}
	}
	return steps
}

// MayPrompt reports whether a program may register as a prompter: what it is told, it may answer for the person. A nil
// policy admits all.
func (p *Policy) MayPrompt(c caller.Caller) bool {
	return p == nil || slices.ContainsFunc(p.Prompters, func(pattern string) bool { return matchPath(pattern, c.Executable) })
}
