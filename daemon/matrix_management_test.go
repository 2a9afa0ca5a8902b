package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido/softkey"
	"fob/ipc"
)

// hangUp is how long a person waits for a key that hangs while it is managed: nobody else sets a limit.
const hangUp = time.Second

// chooser is a person who chooses a new PIN.
type chooser struct{ person }

func (c *chooser) NewPIN(_ context.Context, e ipc.Event) (ipc.Secret, error) {
	c.note(e)
	return ipc.Secret("5678"), nil
}

// actions are the actions that keys are tried with, and what those ask of the key.
var actions = []struct {
	name     string
	pin      bool // the key has one
	do       func(ctx context.Context, c *ipc.Client, who *chooser) error
	commands []string
}{
	{"list", true, func(ctx context.Context, c *ipc.Client, who *chooser) error {
		return second(c.ListCredentials(ctx, "", who))
	}, []string{"getInfo", "getPINRetries", "getKeyAgreement", "getPinToken",
		"credentialManagement 1", "credentialManagement 2", "credentialManagement 3"}},
	{"change", true, func(ctx context.Context, c *ipc.Client, who *chooser) error {
		return c.ChangePIN(ctx, "", who)
	}, []string{"getPINRetries", "getKeyAgreement", "changePIN"}},
	{"set", false, func(ctx context.Context, c *ipc.Client, who *chooser) error {
		return c.SetPIN(ctx, "", who)
	}, []string{"getInfo", "getKeyAgreement", "setPIN"}},
}

// TestEveryFaultOfManagement has a key fail in each way while it is managed: that ends with success, or one error
// with a name, and no PIN is tried more often than it was typed.
func TestEveryFaultOfManagement(t *testing.T) {
	state := stocked(t, "alice")
	before := leftovers(t)
	var all []work
	for _, a := range actions {
		last := a.commands[len(a.commands)-1:]
		m := &matrixModel{effects: slices.Concat(keyEffects, ctap2Effects), commands: a.commands, packets: last}
		for _, words := range m.faults(true) {
			if !a.pin && strings.HasPrefix(words, "pin-") {
				continue // there is nothing to lose
			}
			all = append(all, work{a.name + "/" + words, func(t *testing.T) {
				r := &matrixRun{ring: newRing(t), words: words}
				r.failing = r.plug("fido2.1", a.pin, func(o softkey.Options) softkey.Options {
					pin := o.PIN
					o = matrixState{state: state}.put(r, words)(o)
					o.PIN = pin
					return o
				})
				r.failing.touched(true)
				r.manage(a.do)
			}})
		}
	}
	t.Run("all", func(t *testing.T) { perform(t, matrixWorkers, all) })
	nothingLeft(t, before)
}

// manage does something with the key that fails.
func (r *matrixRun) manage(do func(ctx context.Context, c *ipc.Client, who *chooser) error) {
	limit := faultBound
	if r.hangs() {
		limit = hangUp
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	who := &chooser{person{pin: "1234", saw: func(e ipc.Event) {
		if e.Kind == ipc.EventPIN && !e.Wrong {
			r.typed.Add(1)
		}
	}}}
	err := do(ctx, r.client, who)
	var named ipc.Error
	hungUp := r.hangs() && errors.Is(err, context.DeadlineExceeded)
	if err != nil && !errors.As(err, &named) && !hungUp {
		r.t.Errorf("%T: %v; the person saw %v", err, err, who.seen)
	}
	if len(r.in.Injected()) == 0 && !hungUp && !r.has("corrupt seq") {
		r.t.Error("nothing has failed")
	}
	r.checkPINRetries()
}
