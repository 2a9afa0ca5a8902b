package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fob/daemon/caller"
	"fob/fido"
)

func parse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The programs and keys of the tests.
var (
	shell  = caller.Caller{PID: 1, Executable: "/usr/bin/fob", Unit: "session-2.scope", Terminal: "/dev/pts/3"}
	backup = caller.Caller{PID: 2, Executable: "/usr/bin/backup", Unit: "backup.service"}
	nobody = caller.Caller{PID: 3, Name: "deleted"}

	key      = fido.DeviceInfo{ID: "k1", Product: "YubiKey 5/NFC"}
	card     = fido.DeviceInfo{ID: "k2", Product: "card", Transport: fido.TransportNFC}
	emulated = fido.DeviceInfo{ID: "k3", Product: "fob emulated key", Emulated: true}
)

// TestBuiltIn is the table of what the policy that is built in says.
func TestBuiltIn(t *testing.T) {
	p := BuiltIn()
	for _, test := range []struct {
		caller caller.Caller
		key    fido.DeviceInfo
		want   [7]Action // of Verbs
	}{
		{shell, key, [7]Action{Allow, Allow, Allow, Allow, Ask, Ask, Allow}},
		{shell, card, [7]Action{Allow, Allow, Allow, Allow, Ask, Ask, Allow}},
		{backup, key, [7]Action{Ask, AskOnce, AskOnce, Ask, Deny, Ask, Ask}},
		{backup, card, [7]Action{Ask, Ask, Ask, Ask, Deny, Ask, Ask}},
		{nobody, key, [7]Action{Ask, AskOnce, AskOnce, Ask, Deny, Ask, Ask}},
		{backup, emulated, [7]Action{Allow, Allow, Allow, Allow, Allow, Allow, Allow}},
	} {
		for i, verb := range Verbs() {
			for _, rpID := range []string{"", "example.com"} {
				d := p.Decide(&Request{Verb: verb, RPID: rpID, Caller: test.caller, Key: test.key})
				if d.Action != test.want[i] || d.Headless != Deny || d.WhenLocked || d.Rule == nil {
					t.Errorf("%s with %s by %s: %+v, want %s", verb, test.key.ID, test.caller, d, test.want[i])
				}
			}
		}
	}
	if p.MayPrompt(shell) || p.MayPrompt(backup) {
		t.Error("programs may answer for the person")
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		match         func(pattern, text string) bool
		pattern, text string
		want          bool
	}{
		{matchRP, "example.com", "example.com", true},
		{matchRP, "example.com", "www.example.com", false},
		{matchRP, "example.com", "example.com.evil.org", false},
		{matchRP, "*.example.com", "www.example.com", true},
		{matchRP, "*.example.com", "a.b.example.com", true},
		{matchRP, "*.example.com", "example.com", false},
		{matchRP, "*.example.com", ".example.com", false},
		{matchRP, "*.example.com", "evilexample.com", false},
		{matchRP, "*", "example.com", true},
		{matchPath, "/usr/bin/git", "/usr/bin/git", true},
		{matchPath, "/usr/bin/git*", "/usr/bin/git-lfs", true},
		{matchPath, "/usr/bin/*", "/usr/bin/git", true},
		{matchPath, "/usr/bin/*", "/usr/bin/../sbin/x", false},
		{matchPath, "/usr/bin/*", "/usr/bin/perl/x", false},
		{matchPath, "/usr/*/git", "/usr/bin/git", true},
		{matchPath, "/opt/b/**", "/opt/b/lib/b", true},
		{matchPath, "/opt/b/**", "/opt/b", false},
		{matchPath, "/opt/b*/**", "/opt/browser/x/y", true},
		{matchPath, "/opt/b/**", "/opt/bb/x", false},
		{matchPath, "/**", "/bin/sh", true},
		{matchPath, "/**", "", false},
		{matchPath, "/**", "bin/sh", false},
		{matchText, "app-*.service", "app-x.service", true},
		{matchText, "app-*.service", "app-x.scope", false},
		{matchText, "*", "", true},
		{matchText, "?", "é", true},
		{matchText, "?", "", false},
		{matchText, "a*b*c", "aXbXbXc", true},
		{matchText, "a*b*c", "aXcXb", false},
		{matchText, "Yubi*", "YubiKey 5/NFC", true},
		{matchText, "[a]", "a", false},
		{matchText, strings.Repeat("a*", 128) + "b", strings.Repeat("a", maxText), false}, // in no time
	} {
		if got := test.match(test.pattern, test.text); got != test.want {
			t.Errorf("%q and %q: %v", test.pattern, test.text, got)
		}
	}
}

// TestMembers has one rule for each member of a rule, with requests that fit it and that do not.
func TestMembers(t *testing.T) {
	const verbs = "verbs = ['sign-in']\naction = 'allow'\n"
	fits := &Request{Verb: SignIn, RPID: "example.com", Caller: backup, Key: key}
	for _, test := range []struct {
		member string
		change func(q *Request) // what does not fit any more
		line   string
	}{
		{"verbs", func(q *Request) { q.Verb = Register }, ""},
		{"rp", func(q *Request) { q.RPID = "" }, "rp = ['example.org', 'example.com']"},
		{"rp", func(q *Request) { q.RPID = "" }, "rp = ['*']"},
		{"exe", func(q *Request) { q.Caller = nobody }, "exe = ['/**']"},
		{"unit", func(q *Request) { q.Caller = nobody }, "unit = ['*']"},
		{"terminal", func(q *Request) { q.Caller = shell }, "terminal = false"},
		{"key", func(q *Request) { q.Key = card }, "key = ['k0', 'k1']"},
		{"product", func(q *Request) { q.Key = card }, "product = ['YubiKey*']"},
		{"emulated", func(q *Request) { q.Key = emulated }, "emulated = false"},
		{"transport", func(q *Request) { q.Key = card }, "transport = ['usb', 'smart-card']"},
	} {
		p := parse(t, "# a comment\n[[rule]]\n"+verbs+test.line)
		if d := p.Decide(fits); d.Action != Allow || d.Rule != &p.Rules[0] || d.Rule.Line != 2 {
			t.Errorf("%s: %+v", test.line, d)
		}
		other := *fits
		test.change(&other)
		if d := p.Decide(&other); d.Action != Deny || d.Rule != nil {
			t.Errorf("not %s: %+v", test.line, d)
		}
		if steps := p.Explain(&other); len(steps) != 1 || steps[0].Differs != test.member {
			t.Errorf("%s is explained by %+v", test.line, steps)
		}
	}
}

func TestNoPolicy(t *testing.T) {
	if d := (*Policy)(nil).Decide(&Request{Verb: Reset}); d.Action != Allow || d.WhenLocked {
		t.Errorf("%+v", d)
	}
	if d := parse(t, "").Decide(&Request{Verb: SignIn}); d.Action != Deny || d.WhenLocked {
		t.Errorf("%+v", d)
	}
}

func TestOverrides(t *testing.T) {
	p := parse(t, `headless = "allow"
		prompters = ["/usr/libexec/*"]
		[[rule]]
		verbs = ["code"]
		action = "ask"
		headless = "deny"
		when-locked = "allow"
		[[rule]]
		verbs = ["code", "sign-in"]
		action = "ask"`)
	if d := p.Decide(&Request{Verb: Code}); d.Headless != Deny || !d.WhenLocked {
		t.Errorf("%+v", d)
	}
	if d := p.Decide(&Request{Verb: SignIn}); d.Headless != Allow || d.WhenLocked {
		t.Errorf("%+v", d)
	}
	if !p.MayPrompt(caller.Caller{Executable: "/usr/libexec/agent"}) || p.MayPrompt(nobody) || p.MayPrompt(shell) {
		t.Error("who may prompt")
	}
}

// random makes rules and requests of few values, so that they often fit.
type random struct{ *rand.Rand }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

func (r random) rule(verbs ...Verb) Rule {
	yes := r.IntN(2) == 0
	rule := Rule{Verbs: verbs, Action: pick(r, Allow, Ask, AskOnce, Deny)}
	switch r.IntN(6) {
	case 0:
		rule.RP = []string{pick(r, "*", "example.com", "*.example.com")}
	case 1:
		rule.Exe = []string{pick(r, "/**", "/usr/bin/*", "/usr/bin/fob")}
	case 2:
		rule.Terminal = &yes
	case 3:
		rule.Emulated = &yes
	case 4:
		rule.Unit = []string{"backup.*"}
	}
	return rule
}

func (r random) request(verb Verb) *Request {
	return &Request{Verb: verb, RPID: pick(r, "", "example.com", "www.example.com"),
		Caller: pick(r, shell, backup, nobody), Key: pick(r, key, card, emulated)}
}

// TestVerbsAreApart: a rule that is added for some verbs, wherever it is, changes no decision on another one.
func TestVerbsAreApart(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	changed := 0
	for range 2000 {
		p := &Policy{Headless: Deny}
		for range r.IntN(6) {
			p.Rules = append(p.Rules, r.rule(pick(r, Verbs()...), pick(r, Verbs()...)))
		}
		added := r.rule(pick(r, Verbs()...))
		more := &Policy{Headless: Deny, Rules: slices.Insert(slices.Clone(p.Rules), r.IntN(len(p.Rules)+1), added)}
		for _, verb := range Verbs() {
			q := r.request(verb)
			before, after := p.Decide(q).Action, more.Decide(q).Action
			if before != after && !slices.Contains(added.Verbs, verb) {
				t.Fatalf("%+v changes %s from %s to %s", added, verb, before, after)
			}
			if before != after {
				changed++
			}
		}
	}
	if changed < 100 {
		t.Errorf("only %d decisions changed at all", changed)
	}
}

// TestExplain: the last step is the rule that decides, and all before do not match.
func TestExplain(t *testing.T) {
	r := random{rand.New(rand.NewPCG(3, 4))}
	p := BuiltIn()
	for range 500 {
		q := r.request(pick(r, Verbs()...))
		steps, d := p.Explain(q), p.Decide(q)
		for i, step := range steps {
			if last := i == len(steps)-1; (step.Differs == "") != (last && d.Rule != nil) || last && d.Rule != nil && step.Rule != d.Rule {
				t.Fatalf("%+v: %+v, %+v", q, steps, d)
			}
		}
	}
}

func TestRuleNames(t *testing.T) {
	for want, r := range map[string]Rule{
		`rule 2 "the \"x\"" (line 7)`: {Number: 2, Line: 7, Name: `the "x"`},
		`rule 1`:                      {Number: 1},
	} {
		if got := r.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := fmt.Sprint(BuiltIn().Rules[0].Line); got == "0" {
		t.Error("no line")
	}
}

// TestStore: the store has verbs of its own to it and no key, so that a rule about keys says nothing of it.
func TestStore(t *testing.T) {
	for who, want := range map[caller.Caller][2]Action{shell: {Allow, Ask}, backup: {Ask, Deny}, nobody: {Ask, Deny}} {
		for i, verb := range []Verb{Manage, Reset} {
			q := &Request{Verb: verb, Caller: who, Store: true}
			if d := BuiltIn().Decide(q); d.Action != want[i] || q.Check() != nil {
				t.Errorf("%s by %s: %+v", verb, who, d)
			}
		}
	}
	for member, want := range map[string]string{
		"": "", "store = true": "", "store = false": "store", "terminal = true": "", "terminal = false": "terminal",
		"key = ['k1']": "key", "product = ['*']": "product", "emulated = false": "emulated", "emulated = true": "emulated",
		"transport = ['usb']": "transport", "rp = ['*']": "rp", "unit = ['session-*']": "",
	} {
		r := parse(t, "[[rule]]\nverbs = ['manage']\naction = 'allow'\n"+member).Rules[0]
		if got := r.differs(&Request{Verb: Manage, Caller: shell, Store: true}); got != want {
			t.Errorf("%s: %q", member, got)
		}
	}
	r := parse(t, "[[rule]]\nverbs = ['manage']\naction = 'allow'\nstore = true").Rules[0]
	if got := r.differs(&Request{Verb: Manage, Caller: shell, Key: key}); got != "store" {
		t.Errorf("a key is no store: %q", got)
	}
	for _, q := range []Request{{Verb: SignIn, Store: true}, {Verb: Manage, Store: true, Key: key},
		{Verb: Reset, Store: true, RPID: "example.com"}} {
		if q.Check() == nil {
			t.Errorf("%+v", q)
		}
	}
}

// TestToken: a token of one-time passwords is told from others by its name; without a touch, a program in the background
// gets no code by an older yes.
func TestToken(t *testing.T) {
	for who, want := range map[caller.Caller][3]Action{
		shell: {Allow, Ask, Allow}, backup: {Ask, Ask, Ask}, nobody: {Ask, Ask, Ask}} {
		for i, verb := range []Verb{Code, Provision, Account} {
			q := &Request{Verb: verb, Caller: who, Store: true, Token: "ACME:alice"}
			if d := BuiltIn().Decide(q); d.Action != want[i] || q.Check() != nil {
				t.Errorf("%s by %s: %+v", verb, who, d)
			}
		}
	}
	for member, want := range map[string]string{
		"token = ['ACME:alice']": "", "token = ['vpn', 'ACME:*']": "", "token = ['vpn']": "token", "store = true": "",
		"store = false": "store", "key = ['ACME:alice']": "key",
	} {
		r := parse(t, "[[rule]]\nverbs = ['code']\naction = 'allow'\n"+member).Rules[0]
		if got := r.differs(&Request{Verb: Code, Caller: shell, Store: true, Token: "ACME:alice"}); got != want {
			t.Errorf("%s: %q", member, got)
		}
	}
	r := parse(t, "[[rule]]\nverbs = ['code']\naction = 'allow'\ntoken = ['*']").Rules[0]
	if got := r.differs(&Request{Verb: Code, Caller: shell, Key: key}); got != "token" {
		t.Errorf("what is about no token: %q", got)
	}
	if _, err := Parse([]byte("[[rule]]\nverbs = ['code']\naction = 'allow'\ntoken = []")); err == nil {
		t.Error("a rule for no token")
	}
	for _, q := range []Request{{Verb: SignIn, Token: "vpn"}, {Verb: Manage, Store: true, Token: "vpn"}} {
		if q.Check() == nil {
			t.Errorf("%+v", q)
		}
	}
}
