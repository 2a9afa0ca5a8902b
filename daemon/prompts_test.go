package daemon

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"fob/fido"
	"fob/ipc"
)

func number(n int) *int { return &n }

func TestPromptAnswers(t *testing.T) {
	long := make(ipc.Secret, fido.MaxPINLength+1)
	for _, test := range []struct {
		name   string
		prompt prompt
		answer ipc.Answer
		want   error // of put
		asked  error // of ask, when put accepts
	}{
		{"pin", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret("1234")}, nil, nil},
		{"last attempts", prompt{kind: ipc.EventPIN, reserve: true}, ipc.Answer{PIN: ipc.Secret("1234")}, ipc.WrongAnswer{}, nil},
		{"last attempts, spent", prompt{kind: ipc.EventPIN, reserve: true}, ipc.Answer{PIN: ipc.Secret("1234"), Spend: true}, nil, nil},
		{"last attempts, declined", prompt{kind: ipc.EventPIN, reserve: true}, ipc.Answer{Decline: true}, nil, fido.ErrDeclined},
		{"decline", prompt{kind: ipc.EventPIN}, ipc.Answer{Decline: true}, nil, fido.ErrDeclined},
		{"choice", prompt{kind: ipc.EventChoose, choices: 2}, ipc.Answer{Choice: number(1)}, nil, nil},
		{"nothing", prompt{kind: ipc.EventPIN}, ipc.Answer{}, ipc.WrongAnswer{}, nil},
		{"two things", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret("1234"), Decline: true}, ipc.WrongAnswer{}, nil},
		{"choice for a PIN", prompt{kind: ipc.EventPIN}, ipc.Answer{Choice: number(0)}, ipc.WrongAnswer{}, nil},
		{"PIN for a choice", prompt{kind: ipc.EventChoose, choices: 2}, ipc.Answer{PIN: ipc.Secret("1234")}, ipc.WrongAnswer{}, nil},
		{"choice too large", prompt{kind: ipc.EventChoose, choices: 2}, ipc.Answer{Choice: number(2)}, ipc.WrongAnswer{}, nil},
		{"choice below 0", prompt{kind: ipc.EventChoose, choices: 2}, ipc.Answer{Choice: number(-1)}, ipc.WrongAnswer{}, nil},
		{"empty PIN", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret{}}, ipc.WrongAnswer{}, nil},
		{"short PIN", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret("éé")}, ipc.WrongAnswer{}, nil},
		{"PIN with NUL", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret("12\x0034")}, ipc.WrongAnswer{}, nil},
		{"long PIN", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: long}, ipc.WrongAnswer{}, nil},
		{"PIN that is no text", prompt{kind: ipc.EventPIN}, ipc.Answer{PIN: ipc.Secret("\xff\xff\xff\xff")}, ipc.WrongAnswer{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p prompts
			_, err := p.ask(t.Context(), &test.prompt, func(token string) error {
				test.answer.Token = token
				err := p.put(test.answer, 0)
				var wrong ipc.WrongAnswer
				if errors.As(err, &wrong) && wrong.Problem != "" {
					err = ipc.WrongAnswer{}
				}
				if !errors.Is(err, test.want) {
					t.Errorf("put: %v, want %v", err, test.want)
				}
				if err != nil { // the question is still open
					return p.put(ipc.Answer{Token: token, Decline: true}, 0)
				}
				if err := p.put(test.answer, 0); !errors.Is(err, ipc.UnknownToken{}) {
					t.Errorf("a second answer: %v", err)
				}
				return nil
			})
			if test.want != nil {
				test.asked = fido.ErrDeclined
			}
			if !errors.Is(err, test.asked) {
				t.Errorf("ask: %v, want %v", err, test.asked)
			}
		})
	}
}

func TestPromptEndsWithItsCeremony(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p prompts
		ctx, cancel := context.WithCancelCause(t.Context())
		var token string
		ended := make(chan error)
		go func() {
			_, err := p.ask(ctx, &prompt{kind: ipc.EventPIN}, func(s string) error { token = s; return nil })
			ended <- err
		}()
		synctest.Wait()
		cancel(ipc.TimedOut{})
		if err := <-ended; !errors.Is(err, ipc.TimedOut{}) {
			t.Error(err)
		}
		if err := p.put(ipc.Answer{Token: token, PIN: ipc.Secret("1234")}, 0); !errors.Is(err, ipc.UnknownToken{}) {
			t.Error(err)
		}
	})
}

// TestLateAnswerIsWiped: a PIN that arrives as the ceremony ends is not left in memory.
func TestLateAnswerIsWiped(t *testing.T) {
	var p prompts
	pin := ipc.Secret("1234")
	failed := errors.New("the client is gone")
	_, err := p.ask(t.Context(), &prompt{kind: ipc.EventPIN}, func(token string) error {
		if err := p.put(ipc.Answer{Token: token, PIN: pin}, 0); err != nil {
			t.Fatal(err)
		}
		return failed
	})
	if !errors.Is(err, failed) || !bytes.Equal(pin, make([]byte, 4)) {
		t.Errorf("%v; PIN %q", err, []byte(pin))
	}
}

func TestPINIsNormalized(t *testing.T) {
	typed := ipc.Secret("a\u0308bcd") // a and a combining diaeresis
	a := ipc.Answer{PIN: typed}
	normalize(&a)
	if string(a.PIN) != "äbcd" || !bytes.Equal(typed, make([]byte, len(typed))) {
		t.Errorf("%q from %q", []byte(a.PIN), []byte(typed))
	}
}
