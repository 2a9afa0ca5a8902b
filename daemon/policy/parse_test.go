package policy

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestWrongPolicies(t *testing.T) {
	const rule = "[[rule]]\nverbs = ['sign-in']\naction = 'allow'\n"
	for _, test := range []struct {
		text string
		line int
		says string
	}{
		{"headless = 'deny'\n[[rule]\n", 3, "expected"},
		{"headless = 3\n", 1, "incompatible types"},
		{"\nheadless = 'ask'\n", 0, `headless is "allow" or "deny"`},
		{"ask-by = ['mail']\n", 0, "ask-by"},
		{"notify = ['pin']\n", 0, "notify"},
		{"prompters = ['agent']\n", 0, "prompters: an absolute path"},
		{"# x\nterminal = true\n" + rule, 2, `unknown member "terminal"`},
		{rule + "verb = ['reset']\n", 4, `unknown member "rule.verb"`},
		{rule + "\n" + rule + "[other]\n", 8, `unknown member "other"`},
		{"[[rule]]\naction = 'allow'\n", 1, "rule 1: verbs are missing"},
		{rule + "[[rule]]\nverbs = ['*']\naction = 'allow'\n", 4, "rule 2: verbs are some of register, sign-in,"},
		{"[[rule]]\nverbs = ['reset']\n", 1, "rule 1: action is"},
		{rule + "headless = 'deny'\n", 1, "headless goes with"},
		{"[[rule]]\nverbs = ['code']\naction = 'ask'\nheadless = 'ask'\n", 1, `headless is "allow" or "deny"`},
		{rule + "when-locked = 'yes'\n", 1, "when-locked is"},
		{"[[rule]]\nverbs = ['code']\naction = 'deny'\nwhen-locked = 'allow'\n", 1, "when-locked does not go"},
		{rule + "rp = []\n", 1, "rp is empty"},
		{rule + "rp = ['Example.com']\n", 1, "rp: an RP ID in lower case"},
		{rule + "rp = ['www.*.com']\n", 1, "rp: "},
		{rule + "rp = ['*.*']\n", 1, "rp: "},
		{rule + "rp = ['example..com']\n", 1, "rp: "},
		{rule + "rp = ['bücher.example']\n", 1, "rp: "},
		{rule + "exe = ['git']\n", 1, "exe: "},
		{rule + "exe = ['/usr//git']\n", 1, "exe: "},
		{rule + "exe = ['/usr/../git']\n", 1, "exe: "},
		{rule + "exe = ['/usr/**/git']\n", 1, "exe: "},
		{rule + "exe = ['/usr/bin**']\n", 1, "exe: "},
		{rule + "exe = ['/" + strings.Repeat("a", maxText) + "']\n", 1, "exe: "},
		{rule + `unit = ["a\u0007"]` + "\n", 1, "unit: "},
		{rule + "transport = ['ble']\n", 1, "transport is some of usb, nfc, smart-card"},
		{rule + "transport = []\n", 1, "transport is some of"},
		{rule + `name = "\u001b[2J"`, 1, "name has"},
		{strings.Repeat(rule, MaxRules+1), 0, "at most 256 rules"},
		{strings.Repeat("#", MaxSize+1), 0, "at most 65536 bytes"},
	} {
		p, err := Parse([]byte(test.text))
		var wrong *Error
		if !errors.As(err, &wrong) || p != nil || wrong.Line != test.line || !strings.Contains(wrong.Problem, test.says) {
			t.Errorf("%.80q: %+v; want line %d, %q", test.text, err, test.line, test.says)
		}
	}
}

func TestErrorWords(t *testing.T) {
	for want, e := range map[string]Error{
		"/etc/fob/policy.toml:3: odd": {Path: "/etc/fob/policy.toml", Line: 3, Problem: "odd"},
		"policy: odd":                 {Problem: "odd"},
	} {
		if e.Error() != want || e.Hint() == "" {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}

// Rules that were not written with headers have no lines, rather than wrong ones.
func TestInlineRules(t *testing.T) {
	p := parse(t, "rule = [{verbs = ['code'], action = 'allow'}]\n")
	if len(p.Rules) != 1 || p.Rules[0].Number != 1 || p.Rules[0].Line != 0 {
		t.Errorf("%+v", p.Rules)
	}
}

// encode writes a policy anew, without its comments.
func encode(t testing.TB, p *Policy) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bare is what a policy says, without where.
func bare(p *Policy) *Policy {
	same := *p
	same.Text, same.Rules = "", nil
	for _, r := range p.Rules {
		r.Line = 0
		same.Rules = append(same.Rules, r)
	}
	if len(same.Notify) == 0 {
		same.Notify = nil
	}
	if len(same.Prompters) == 0 {
		same.Prompters = nil
	}
	return &same
}

func FuzzParse(f *testing.F) {
	f.Add(builtIn)
	f.Add([]byte("[[rule]]\nname=\"x\"\nverbs=['sign-in']\nrp=['*.a','*']\nexe=['/a/**']\nunit=['?']\nkey=['k']\nproduct=['*']\n" +
		"terminal=true\nemulated=false\ntransport=['nfc']\naction='ask-once'\nheadless='allow'\nwhen-locked='allow'"))
	f.Add([]byte("rule = [{verbs = ['code'], action = 'deny'}]\nask-by = []\nheadless = 'allow'"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			if !errors.As(err, new(*Error)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := Parse(encode(t, p))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(bare(p), bare(again)) {
			t.Fatalf("%+v\n%+v", bare(p), bare(again))
		}
		for _, verb := range Verbs() {
			q := &Request{Verb: verb, RPID: "www.example.com", Caller: shell, Key: key}
			if a, b := p.Decide(q), again.Decide(q); a.Action != b.Action || a.WhenLocked != b.WhenLocked {
				t.Fatalf("%s: %+v, then %+v", verb, a, b)
			}
		}
	})
}
