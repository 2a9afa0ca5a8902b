package ipc

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"fob/ipc/varlink"
)

// Consenter is a Prompter that can be asked whether the program may do what it calls for.
type Consenter interface {
	Prompter
	// Consent asks whether e.Caller may do this; ErrDeclined when not.
	Consent(ctx context.Context, e Event) error
}

func consent(ctx context.Context, e Event, p Prompter) error {
	who, can := p.(Consenter)
	if !can {
		return ErrDeclined
	}
	return who.Consent(ctx, e)
}

// PromptReply is a reply to fob.Prompt.Register.
type PromptReply struct {
	Ceremony string `json:"ceremony,omitempty"`
	Event    *Event `json:"event,omitempty"`
	Over     bool   `json:"over,omitempty"`
}

// RegisterPrompter performs fob.Prompt.Register, and has take take each reply but the first, after which it calls ready.
// It ends when ctx does, one of them fails, or fobd goes away. Prompts are answered by Answer.
func (c *Client) RegisterPrompter(ctx context.Context, ready func() error, take func(PromptReply) error) error {
	return c.stream(ctx, MethodRegisterPrompter, nil, func(r varlink.Reply) error {
		var reply PromptReply
		if err := r.Bind(&reply); err != nil {
			return err
		}
		if reply == (PromptReply{}) {
			return ready()
		}
		return take(reply)
	})
}

// Answer asks p about an event that has a token, and tells fobd. One that is too late is no error.
func (c *Client) Answer(ctx context.Context, e Event, p Prompter) error { return c.answer(ctx, e, p) }

// By says who has refused something.
type By string

// Who refuses.
const (
	ByPolicy By = "policy"
	ByPerson By = "person"
	ByNobody By = "nobody" // could be asked
)

// Refused is an error of fob.Ceremony; the interface definition says when it occurs.
type Refused struct {
	By     By     `json:"by"`
	Verb   string `json:"verb"`
	Caller Caller `json:"caller"`
	Rule   string `json:"rule,omitempty"`
	Policy string `json:"policy,omitempty"`
}

// VarlinkError implements Error.
func (Refused) VarlinkError() string { return "fob.Ceremony.Refused" }

func (e Refused) Error() string {
	switch e.By {
	case ByPerson:
		return "the person who was asked refused to " + doing(e.Verb)
	case ByNobody:
		return fmt.Sprintf("%s needs a person's consent to %s, and there is nobody to ask", e.Caller, doing(e.Verb))
	}
	return fmt.Sprintf("the policy does not let %s %s", e.Caller, doing(e.Verb))
}

// doing is a verb of policy in words, with the verb itself, which a rule has to name.
func doing(verb string) string {
	words := map[string]string{
		"register": "register a key", "sign-in": "sign in", "code": "have a code",
		"manage": "change what is stored on a key, or the store", "reset": "reset a key, or the store",
		"provision": "have a seed handed out", "account": "change accounts or tokens",
	}[verb]
	if words == "" {
		return "do this (" + verb + ")"
	}
	return words + " (" + verb + ")"
}

// Hint implements Error.
func (e Refused) Hint() string {
	where := "the policy that is built in"
	if e.Policy != "" {
		where = e.Policy
	}
	rule := e.Rule
	if rule == "" {
		rule = "no rule"
	}
	switch e.By {
	case ByPerson:
		return ""
	case ByNobody:
		return fmt.Sprintf("run it at a terminal or in a desktop session, or allow it in a policy; it was %s of %s", rule, where)
	}
	return fmt.Sprintf("it was %s of %s; 'fob policy test' explains", rule, where)
}

// String names a program for people: "backup (backup.service, PID 123)".
func (c Caller) String() string {
	name := c.Name
	if c.Executable != "" {
		name = filepath.Base(c.Executable)
	}
	if name == "" {
		name = "an unknown program"
	}
	var where []string
	switch {
	case c.Terminal != "":
		where = append(where, strings.TrimPrefix(c.Terminal, "/dev/"))
	case c.Unit != "":
		where = append(where, c.Unit)
	}
	if c.PID > 0 {
		where = append(where, fmt.Sprintf("PID %d", c.PID))
	}
	if len(where) == 0 {
		return name
	}
	return name + " (" + strings.Join(where, ", ") + ")"
}

// The errors of fob.Prompt.Register.
type (
	NotAPrompter     struct{}
	TooManyPrompters struct{}
	TooSlow          struct{}
)

func (NotAPrompter) VarlinkError() string     { return "fob.Prompt.NotAPrompter" }
func (TooManyPrompters) VarlinkError() string { return "fob.Prompt.TooManyPrompters" }
func (TooSlow) VarlinkError() string          { return "fob.Prompt.TooSlow" }

func (NotAPrompter) Error() string {
	return "the policy does not let this program answer for the person"
}
func (TooManyPrompters) Error() string { return "too many programs answer for the person already" }
func (TooSlow) Error() string          { return "it has read too little of what it was told" }

func (NotAPrompter) Hint() string     { return "name its file in prompters of the policy" }
func (TooManyPrompters) Hint() string { return "close one of them" }
func (TooSlow) Hint() string          { return "repeat" }
