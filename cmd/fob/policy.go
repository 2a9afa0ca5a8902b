package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/caller"
	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
)

func (a *app) policy() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check and explain the policy: what programs may do with which keys",
		Long: `fobd does what a program asks for as its policy says: at once, or after it has asked the person, or
not at all. The policy is the file fob/policy.toml in $XDG_CONFIG_HOME, or in ~/.config where that is
not set, else /etc/fob/policy.toml, else one that is built in; 'fobd --policy' names another one.
These commands read the file themselves, and need no fobd.

They end with 10 when the file is wrong: it can't be read, others may write it, or it makes no sense.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.policyCheck(), a.policyTest(), a.policyShow())
	return c
}

// readPolicy reads the policy of a file, or the one that counts where path is empty.
func readPolicy(path string) (*policy.Policy, error) {
	if path == "" {
		return policy.Find()
	}
	return policy.Read(path)
}

func policyName(p *policy.Policy) string {
	if p.Path == "" {
		return "the policy that is built in"
	}
	return p.Path
}

func (a *app) policyCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say whether a policy file is right",
		Args:  atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := readPolicy(strings.Join(args, ""))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Path  string `json:"path,omitempty"`
					Rules int    `json:"rules"`
				}{p.Path, len(p.Rules)})
			}
			_, err = fmt.Fprintf(a.stdout, "%s is right, with %s\n", shown(policyName(p)), plural(len(p.Rules), "rule", "rules"))
			return err
		},
	}
}

func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return program.Usage(fmt.Errorf("unexpected argument %q", args[1]))
	}
	return nil
}

func (a *app) policyShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print the policy that counts, and say where it is",
		Long: `show prints the policy that counts, on standard output, and says on standard error where it is. A
fobd that was started with --policy has another one, and each has what it has read when it was
started or reloaded.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			p, err := policy.Find()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Path string `json:"path,omitempty"`
					Text string `json:"text"`
				}{p.Path, p.Text})
			}
			fmt.Fprintln(a.stderr, shown(policyName(p)))
			_, err = fmt.Fprintln(a.stdout, shownText(p.Text))
			return err
		},
	}
}

// shownText is shownLines for a text with tabs, and without its last line feed.
func shownText(s string) string {
	return shownLines(strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\t", "    "))
}

// policyTest is what 'fob policy test' is asked about.
type policyTest struct {
	file, verb, rp, exe, unit, key, product, transport, token string
	terminal, emulated, store                                 bool
}

func (a *app) policyTest() *cobra.Command {
	var t policyTest
	c := &cobra.Command{
		Use:   "test --verb VERB",
		Short: "Say what the policy decides about a program, and why",
		Long: `test says which rule of the policy matches, and of those before it, which member does not. What is
left out is not known: a program that fobd can't see into, a key without a name. The verbs manage and
reset are also those of the sealed store, which is no key: --store asks about that. So does it about
tokens of one-time passwords, whose seeds are there, and --token about the one of a name.

It ends with 0 whatever the policy decides.`,
		Example: "  fob policy test --verb sign-in --rp example.com --exe /usr/bin/git --terminal\n" +
			"  fob policy test --verb manage --store --unit backup.service",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return a.testPolicy(&t) },
	}
	f := c.Flags()
	f.StringVar(&t.file, "file", "", "`FILE` in place of the policy that counts")
	f.StringVar(&t.verb, "verb", "", "register, sign-in, code, manage, reset, provision or account")
	f.StringVar(&t.rp, "rp", "", "RP `ID`")
	f.StringVar(&t.exe, "exe", "", "`PATH` of the program's file")
	f.StringVar(&t.unit, "unit", "", "`NAME` of the program's systemd unit")
	f.BoolVar(&t.terminal, "terminal", false, "the program has a terminal")
	f.StringVar(&t.key, "key", "", "`ID` of the key")
	f.StringVar(&t.product, "product", "", "`NAME` of the key")
	f.BoolVar(&t.emulated, "emulated", false, "the key is a software authenticator")
	f.BoolVar(&t.store, "store", false, "it is about the sealed store, or a token in it, and not about a key")
	f.StringVar(&t.token, "token", "", "`NAME` of the token of one-time passwords in the store")
	f.StringVar(&t.transport, "transport", "", "usb, nfc or smart-card (default usb)")
	return c
}

// request is what a program would ask for.
func (t *policyTest) request() (*policy.Request, error) {
	q := &policy.Request{Verb: policy.Verb(t.verb), RPID: t.rp,
		Caller: caller.Caller{Executable: t.exe, Unit: t.unit},
		Key: fido.DeviceInfo{ID: fido.DeviceID(t.key), Product: t.product, Emulated: t.emulated,
			Transport: fido.Transport(t.transport)}, Store: t.store || t.token != "", Token: t.token}
	if t.terminal {
		q.Caller.Terminal = "/dev/tty"
	}
	if err := q.Check(); err != nil {
		return nil, program.Usage(err)
	}
	return q, nil
}

// explained is what 'fob policy test --json' prints.
type explained struct {
	Policy     string          `json:"policy,omitempty"` // path; empty for the one that is built in
	Action     policy.Action   `json:"action"`
	Headless   policy.Action   `json:"headless"`
	WhenLocked bool            `json:"whenLocked"`
	Rules      []explainedRule `json:"rules"` // that were looked at
}

type explainedRule struct {
	Number  int    `json:"number"`
	Name    string `json:"name,omitempty"`
	Line    int    `json:"line,omitempty"`
	Differs string `json:"differs,omitempty"` // member that does not match; empty for the rule that decides
}

func (a *app) testPolicy(t *policyTest) error {
	q, err := t.request()
	if err != nil {
		return err
	}
	p, err := readPolicy(t.file)
	if err != nil {
		return err
	}
	d := p.Decide(q)
	if !a.json {
		return a.printDecision(p, q, d)
	}
	out := explained{
		Policy: p.Path, Action: d.Action, Headless: d.Headless, WhenLocked: d.WhenLocked, Rules: []explainedRule{}}
	for _, s := range p.Explain(q) {
		out.Rules = append(out.Rules, explainedRule{s.Rule.Number, s.Rule.Name, s.Rule.Line, s.Differs})
	}
	return a.printJSON(out)
}

func (a *app) printDecision(p *policy.Policy, q *policy.Request, d policy.Decision) error {
	var b strings.Builder
	for _, s := range p.Explain(q) {
		if s.Differs != "" {
			fmt.Fprintf(&b, "%s does not match: %s\n", s.Rule, s.Differs)
		} else {
			fmt.Fprintf(&b, "%s matches\n", s.Rule)
		}
	}
	if d.Rule == nil {
		b.WriteString("no rule matches\n")
	}
	switch d.Action {
	case policy.Ask, policy.AskOnce:
		fmt.Fprintf(&b, "%s; where nobody can be asked: %s\n", d.Action, d.Headless)
	default:
		fmt.Fprintln(&b, d.Action)
	}
	if d.WhenLocked {
		b.WriteString("also while the session is locked\n")
	}
	fmt.Fprintln(a.stderr, shown(policyName(p)))
	if note := about(q); note != "" {
		fmt.Fprintln(a.stderr, note)
	}
	_, err := fmt.Fprintln(a.stdout, shownText(b.String()))
	return err
}

// about says what a request without a key is about, where that may not be clear.
func about(q *policy.Request) string {
	switch {
	case q.Token != "":
		return "about a token in the sealed store: a rule about keys does not match it"
	case q.Store:
		return "about the sealed store: a rule about keys does not match it"
	case q.Key != (fido.DeviceInfo{}):
	case q.Verb == policy.Manage || q.Verb == policy.Reset:
		return "about a key at USB of which nothing else is known; --store asks about the sealed store"
	case q.Verb == policy.Code || q.Verb == policy.Provision || q.Verb == policy.Account:
		return "about a key at USB of which nothing else is known; --token asks about a token in the sealed store"
	}
	return ""
}

// Consent implements ipc.Consenter.
func (p *person) Consent(ctx context.Context, e ipc.Event) error {
	return askConsent(ctx, e.Caller, operation(e), e.Remembered)
}

// askConsent asks at the terminal whether a program may do something.
func askConsent(ctx context.Context, caller *ipc.Caller, what string, remembered bool) error {
	t, err := openTerminal()
	if err != nil { // fobd has seen one
		return ipc.ErrDeclined
	}
	defer t.Close()
	who := "a program"
	if caller != nil {
		who = caller.String()
	}
	fmt.Fprintf(t, "%s wants to %s\n", shown(who), what)
	if remembered {
		fmt.Fprintln(t, "a yes holds until the session is locked")
	}
	fmt.Fprint(t, "allow it? [y/N]: ")
	line, err := t.line(ctx)
	switch answer := strings.ToLower(strings.TrimSpace(line)); {
	case err != nil:
		return err
	case answer != "y" && answer != "yes":
		return ipc.ErrDeclined
	}
	return nil
}

// operation is what a program wants to do, in words.
func operation(e ipc.Event) string {
	switch policy.Verb(e.Verb) {
	case policy.Register:
		return fmt.Sprintf("register %s at %s", describe(e), shown(e.RPID))
	case policy.SignIn:
		return fmt.Sprintf("sign in to %s with %s", shown(e.RPID), describe(e))
	case policy.Reset:
		return fmt.Sprintf("erase %s and all its credentials", describe(e))
	}
	return fmt.Sprintf("%s %s (%s)", shown(e.Verb), describe(e), shown(e.Method[strings.LastIndexByte(e.Method, '.')+1:]))
}

// purpose says behind the name of a key what a touch or a PIN is for.
func purpose(e ipc.Event) string {
	switch policy.Verb(e.Verb) {
	case policy.Register:
		return " to register at " + shown(e.RPID)
	case policy.SignIn:
		return " to sign in to " + shown(e.RPID)
	case policy.Reset:
		return " to erase it"
	}
	return ""
}
