package emulator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fob/fido/ctap"
)

// Policy is how a person answers by themselves.
type Policy struct {
	Name     string // as ParsePolicy reads it
	Presence Presence
}

// ParsePolicy reads a policy as the command line gives it: auto, deny, never, or delay=DURATION (2s, 500ms); and ask,
// where there is somebody to ask.
func ParsePolicy(s string, ask Presence) (Policy, error) {
	switch s {
	case "auto":
		return Policy{s, Approve}, nil
	case "deny":
		return Policy{s, Deny}, nil
	case "never":
		return Policy{s, Wait}, nil
	case "ask":
		if ask != nil {
			return Policy{s, ask}, nil
		}
	}
	if text, ok := strings.CutPrefix(s, "delay="); ok {
		if d, err := time.ParseDuration(text); err == nil && d >= 0 {
			return Policy{"delay=" + d.String(), After(d)}, nil
		}
	}
	names := "auto, deny, never, delay=DURATION"
	if ask != nil {
		names += ", ask"
	}
	return Policy{}, fmt.Errorf("touch policy %.40q is none of %s", s, names)
}

// Question is a wait of a key for a person.
type Question struct {
	PresenceRequest
	Since time.Time
}

// Person is who uses emulated keys: a policy that may change at any time, and beside it whoever calls Answer, while
// the key waits. Its Ask is a Presence. Its methods may be called concurrently.
type Person struct {
	// Asked and Answered, where they are not nil, are told when a key begins to wait, and what it got: nil for a touch,
	// ErrDenied, ErrNoMatch, a BadSample, or the error of the context that ended. They must not wait. Set them before
	// the first Ask.
	Asked    func(Question)
	Answered func(Question, error)

	mu      sync.Mutex
	policy  Policy
	revised chan struct{}   // closed when there is another policy
	open    []*openQuestion // oldest first
	asked   chan struct{}   // closed when there is another question
}

// openQuestion gets the answer of Answer, at most one.
type openQuestion struct {
	Question
	answer chan error
}

// Errors of Answer.
var (
	ErrNotAsked     = errors.New("the key waits for nobody")
	ErrNotEnrolling = errors.New("a bad sample is an answer only while a finger is enrolled")
	ErrEnrolling    = errors.New("a finger is being enrolled, so there is none yet that it could differ from")
)

// NewPerson makes a person with a policy.
func NewPerson(p Policy) *Person {
	return &Person{policy: p, revised: make(chan struct{}), asked: make(chan struct{})}
}

// Policy is the name of the policy.
func (p *Person) Policy() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.policy.Name
}

// SetPolicy changes the policy, for the questions that are open too.
func (p *Person) SetPolicy(policy Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.policy = policy
	close(p.revised)
	p.revised = make(chan struct{})
}

// Waiting lists the open questions, oldest first.
func (p *Person) Waiting() []Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Question
	for _, q := range p.open {
		list = append(list, q.Question)
	}
	return list
}

// Await waits until a key waits for somebody.
func (p *Person) Await(ctx context.Context) error {
	p.mu.Lock()
	n, asked := len(p.open), p.asked
	p.mu.Unlock()
	if n > 0 {
		return nil
	}
	select {
	case <-asked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Answer answers the oldest question, once, in place of the policy: nil is a touch, or the right finger, ErrDenied a
// person who declines, ErrNoMatch another finger, a BadSample a finger that lay badly while it was to be enrolled. It
// returns the question; ErrNotAsked when there is none, ErrNotEnrolling and ErrEnrolling for answers that don't fit.
func (p *Person) Answer(answer error) (Question, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		return Question{}, ErrNotAsked
	}
	q := p.open[0]
	enrolling := q.Fingerprint && q.Command == ctap.CommandBioEnrollment
	switch {
	case errors.As(answer, new(BadSample)) && !enrolling:
		return q.Question, ErrNotEnrolling
	case answer == ErrNoMatch && enrolling:
		return q.Question, ErrEnrolling
	case answer == ErrNoMatch && !q.Fingerprint: // any finger touches
		answer = nil
	}
	p.open = p.open[1:]
	q.answer <- answer
	return q.Question, nil
}

// Ask is a Presence: what the policy says, or who calls Answer before it says anything.
func (p *Person) Ask(ctx context.Context, r PresenceRequest) (err error) {
	q := p.begin(r)
	if p.Asked != nil {
		p.Asked(q.Question)
	}
	if p.Answered != nil {
		defer func() { p.Answered(q.Question, err) }()
	}
	for {
		policy, revised := p.current()
		if answer, ok := p.decide(ctx, q, policy, revised); ok {
			return answer
		}
	}
}

func (p *Person) begin(r PresenceRequest) *openQuestion {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := &openQuestion{Question{r, time.Now()}, make(chan error, 1)}
	p.open = append(p.open, q)
	close(p.asked)
	p.asked = make(chan struct{})
	return q
}

func (p *Person) current() (Presence, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.policy.Presence, p.revised
}

// decide waits for an answer; false means that there is another policy to ask.
func (p *Person) decide(ctx context.Context, q *openQuestion, policy Presence, revised <-chan struct{}) (error, bool) {
	ctx, cancel := context.WithCancel(ctx)
	decision := make(chan error, 1)
	go func() { decision <- policy(ctx, q.PresenceRequest) }()
	select {
	case err := <-decision:
		cancel()
		return p.settle(q, err), true
	case answer := <-q.answer:
		cancel()
		<-decision
		return answer, true
	case <-revised:
		cancel()
		<-decision
		return nil, false
	}
}

// settle closes the question with the policy's answer, unless somebody was faster.
func (p *Person) settle(q *openQuestion, answer error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.open, q)
	if i < 0 {
		return <-q.answer
	}
	p.open = slices.Delete(p.open, i, i+1)
	return answer
}
