package emulator

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

func policy(t *testing.T, name string) Policy {
	t.Helper()
	p, err := ParsePolicy(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var toRegister = PresenceRequest{Command: ctap.CommandMakeCredential, RPID: "example.com", User: "alice"}

// asked starts to ask the person; the channel gets the answer.
func asked(ctx context.Context, p *Person, r PresenceRequest) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- p.Ask(ctx, r) }()
	synctest.Wait()
	return answer
}

func TestPersonAnswers(t *testing.T) {
	enrolling := PresenceRequest{Command: ctap.CommandBioEnrollment, Fingerprint: true}
	verifying := PresenceRequest{Command: ctap.CommandGetAssertion, Fingerprint: true}
	tooFast := BadSample(ctap.SampleTooFast)
	for _, test := range []struct {
		name         string
		question     PresenceRequest
		answer, want error
		refused      error
	}{
		{"touch", toRegister, nil, nil, nil},
		{"denial", toRegister, ErrDenied, ErrDenied, nil},
		{"any finger touches", toRegister, ErrNoMatch, nil, nil},
		{"another finger", verifying, ErrNoMatch, ErrNoMatch, nil},
		{"bad sample", enrolling, tooFast, tooFast, nil},
		{"bad sample for a touch", toRegister, tooFast, nil, ErrNotEnrolling},
		{"bad sample for a known finger", verifying, tooFast, nil, ErrNotEnrolling},
		{"another finger to enrol", enrolling, ErrNoMatch, nil, ErrEnrolling},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := NewPerson(policy(t, "never"))
				answer := asked(t.Context(), p, test.question)
				q, err := p.Answer(test.answer)
				if err != test.refused || q.PresenceRequest != test.question || !q.Since.Equal(time.Now()) {
					t.Errorf("answered %+v: %v", q, err)
				}
				if test.refused != nil { // the question stays open
					if _, err := p.Answer(nil); err != nil {
						t.Error(err)
					}
				}
				if got := <-answer; got != test.want {
					t.Errorf("the key got %v, want %v", got, test.want)
				}
				if _, err := p.Answer(nil); err != ErrNotAsked {
					t.Errorf("a second answer: %v", err)
				}
			})
		})
	}
}

func TestPersonPolicyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPerson(policy(t, "never"))
		first, second := asked(t.Context(), p, toRegister), asked(t.Context(), p, toRegister)
		if n := len(p.Waiting()); n != 2 {
			t.Errorf("%d questions", n)
		}
		time.Sleep(time.Second)
		p.SetPolicy(policy(t, "delay=2000ms"))
		if p.Policy() != "delay=2s" {
			t.Errorf("policy %s", p.Policy())
		}
		time.Sleep(time.Second)
		if _, err := p.Answer(ErrDenied); err != nil { // the older one
			t.Error(err)
		}
		begin := time.Now()
		if err := <-first; err != ErrDenied {
			t.Errorf("the first got %v", err)
		}
		if err := <-second; err != nil || time.Since(begin) != time.Second {
			t.Errorf("the second got %v after %v", err, time.Since(begin))
		}
		p.SetPolicy(policy(t, "deny"))
		if err := <-asked(t.Context(), p, toRegister); err != ErrDenied {
			t.Errorf("denied: %v", err)
		}
		if n := len(p.Waiting()); n != 0 {
			t.Errorf("%d questions are left", n)
		}
	})
}

func TestPersonIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPerson(policy(t, "never"))
		ctx, cancel := context.WithCancel(t.Context())
		answer := asked(ctx, p, toRegister)
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if _, err := p.Answer(nil); err != ErrNotAsked {
			t.Errorf("an answer after that: %v", err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := p.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("awaited %v", err)
		}
		time.AfterFunc(time.Second, func() { p.Ask(t.Context(), toRegister) })
		if err := p.Await(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := p.Answer(nil); err != nil {
			t.Error(err)
		}
	})
}

// TestPersonAnswersOnce has many people answer many questions: each question gets one answer, each answer a question.
func TestPersonAnswersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 50
		p := NewPerson(policy(t, "never"))
		answered := 0
		p.Answered = func(_ Question, err error) {
			if err != ErrDenied {
				t.Errorf("the key got %v", err)
			}
		}
		taken := make(chan bool)
		for range 2 * n {
			go func() {
				_, err := p.Answer(ErrDenied)
				for errors.Is(err, ErrNotAsked) && p.Await(t.Context()) == nil {
					_, err = p.Answer(ErrDenied)
				}
				taken <- err == nil
			}()
		}
		for range 2 {
			for range n {
				go p.Ask(t.Context(), toRegister)
			}
			for range n {
				if <-taken {
					answered++
				}
			}
			synctest.Wait()
			if left := len(p.Waiting()); left != 0 {
				t.Errorf("%d questions are left", left)
			}
		}
		if answered != 2*n {
			t.Errorf("%d answers, want %d", answered, 2*n)
		}
	})
}

// TestPersonObserved tells of each question and its answer, in order, whoever answers.
func TestPersonObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPerson(policy(t, "auto"))
		var events []any
		p.Asked = func(q Question) { events = append(events, q.RPID) }
		p.Answered = func(q Question, err error) { events = append(events, err) }
		p.Ask(t.Context(), toRegister)
		p.SetPolicy(policy(t, "deny"))
		p.Ask(t.Context(), toRegister)
		if len(events) != 4 || events[0] != "example.com" || events[1] != nil || events[3] != ErrDenied {
			t.Errorf("events %v", events)
		}
	})
}

func TestAskerAsksOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer // read when all is over
		keyboard, typist := io.Pipe()
		a := NewAsker(&text, keyboard)
		ask := func(ctx context.Context, name string) <-chan error {
			answer := make(chan error, 1)
			go func() { answer <- a.Key(name)(ctx, toRegister) }()
			synctest.Wait()
			return answer
		}
		ctx, cancel := context.WithCancel(t.Context())
		one, two, three := ask(t.Context(), "one"), ask(ctx, "two"), ask(t.Context(), "three")
		cancel() // before its question was asked
		if err := <-two; !errors.Is(err, context.Canceled) {
			t.Errorf("two: %v", err)
		}
		io.WriteString(typist, "n\n")
		if err := <-one; err != ErrDenied {
			t.Errorf("one: %v", err)
		}
		synctest.Wait()
		io.WriteString(typist, "y\n")
		if err := <-three; err != nil {
			t.Errorf("three: %v", err)
		}
		typist.Close()
		const question = ` to register "alice" at "example.com"? [Enter, or n] `
		want := "touch the emulated key one" + question + "touch the emulated key three" + question
		if text.String() != want {
			t.Errorf("asked %q", text.String())
		}
	})
}

func FuzzPolicy(f *testing.F) {
	for _, s := range []string{"auto", "deny", "never", "ask", "delay=1h2m", "delay=0.5ms", "delay=-1s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePolicy(s, Approve)
		if err != nil {
			return
		}
		if again, err := ParsePolicy(p.Name, Approve); err != nil || again.Name != p.Name || len(p.Name) > 40 {
			t.Errorf("%q is %q, which is %q, %v", s, p.Name, again.Name, err)
		}
	})
}
