package consent

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fob/daemon/caller"
	"fob/daemon/policy"
	"fob/fido"
)

var backup = caller.Caller{PID: 2, Executable: "/usr/bin/backup", Unit: "backup.service"}

// says answers at once.
func says(yes bool, err error) Asker {
	return func(context.Context, *Question) (bool, error) { return yes, err }
}

// waits answers when ctx ends, or after a while.
func waits(d time.Duration, yes bool, ended *atomic.Int32) Asker {
	return func(ctx context.Context, _ *Question) (bool, error) {
		select {
		case <-time.After(d):
			return yes, nil
		case <-ctx.Done():
			ended.Add(1)
			return false, ctx.Err()
		}
	}
}

func TestAsk(t *testing.T) {
	late := errors.New("late")
	for _, test := range []struct {
		name  string
		ways  func(ended *atomic.Int32) []Asker
		yes   bool
		err   error
		ended int
	}{
		{"nobody", func(*atomic.Int32) []Asker { return nil }, false, ErrUnable, 0},
		{"unable", func(*atomic.Int32) []Asker { return []Asker{says(false, ErrUnable), says(false, ErrUnable)} }, false, ErrUnable, 0},
		{"dismissed", func(*atomic.Int32) []Asker { return []Asker{says(false, ErrUnable), says(false, ErrDismissed)} }, false, nil, 0},
		{"broken", func(*atomic.Int32) []Asker { return []Asker{says(true, errors.New("odd"))} }, false, nil, 0},
		{"yes", func(n *atomic.Int32) []Asker { return []Asker{says(false, ErrDismissed), waits(time.Second, true, n)} }, true, nil, 0},
		{"the first", func(n *atomic.Int32) []Asker {
			return []Asker{waits(3*time.Second, true, n), waits(time.Second, false, n), waits(2*time.Second, true, n)}
		}, false, nil, 2},
		{"the first yes", func(n *atomic.Int32) []Asker {
			return []Asker{waits(3*time.Second, false, n), waits(time.Second, true, n)}
		}, true, nil, 1},
		{"late", func(n *atomic.Int32) []Asker { return []Asker{waits(time.Hour, true, n), says(false, ErrUnable)} }, false, late, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeoutCause(t.Context(), time.Minute, late)
			defer stop()
			var ended atomic.Int32
			yes, err := Ask(ctx, &Question{}, test.ways(&ended)...)
			if yes != test.yes || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) || int(ended.Load()) != test.ended {
				t.Errorf("%s: %v, %v, %d ended", test.name, yes, err, ended.Load())
			}
		})
	}
}

func TestWords(t *testing.T) {
	key := fido.DeviceInfo{ID: "k1", Product: "Key\x1b[2J\u202e" + strings.Repeat("x", 100)}
	for want, q := range map[string]*Question{
		"Sign in to example.com?":                         {Verb: policy.SignIn, RPID: "example.com"},
		"Sign in to a website?":                           {Verb: policy.SignIn},
		"Register a key at example.com?":                  {Verb: policy.Register, RPID: "example.com"},
		"Erase a key and all its credentials?":            {Verb: policy.Reset},
		"Manage a key (DeleteCredential)?":                {Verb: policy.Manage, Method: "fob.Device.DeleteCredential"},
		"Manage a key?":                                   {Verb: policy.Manage},
		"Show a one-time password?":                       {Verb: policy.Code},
		"Be given the seed of one-time passwords?":        {Verb: policy.Provision},
		"Change the tokens of one-time passwords?":        {Verb: policy.Account},
		"Show a one-time password: ACME:alice?":           {Verb: policy.Code, Method: "fob.OTP.Code", Token: "ACME:alice"},
		"Remove a token of one-time passwords, for good?": {Verb: policy.Account, Method: "fob.OTP.Remove"},
	} {
		if got := q.Summary(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	q := &Question{Caller: backup, Verb: policy.Reset, Keys: []fido.DeviceInfo{key, {ID: "k2"}}, Remembered: true}
	want := "/usr/bin/backup (backup.service, PID 2) wants to erase a key and all its credentials, with Key[2J" +
		strings.Repeat("x", 58) + "… k1 or k2. A yes holds for it until the session is locked."
	if got := q.Body(); got != want {
		t.Errorf("%s\n%s", got, want)
	}
}

func TestMemory(t *testing.T) {
	var m Memory
	q := Question{Caller: backup, Verb: policy.SignIn, RPID: "example.com"}
	if m.Has(&q, "k1") {
		t.Error("has what nobody said")
	}
	m.Add(&q, "k1")
	for name, change := range map[string]func(q *Question){
		"executable": func(q *Question) { q.Caller.Executable = "/usr/bin/other" },
		"unit":       func(q *Question) { q.Caller.Unit = "other.service" },
		"terminal":   func(q *Question) { q.Caller.Terminal = "/dev/pts/1" },
		"verb":       func(q *Question) { q.Verb = policy.Register },
		"RP":         func(q *Question) { q.RPID = "www.example.com" },
		"token":      func(q *Question) { q.Token = "vpn" },
	} {
		other := q
		change(&other)
		if m.Has(&other, "k1") {
			t.Errorf("another %s is the same", name)
		}
	}
	same := q
	same.Caller.PID, same.Caller.Started = 99, 7 // it was started again
	if !m.Has(&same, "k1") || m.Has(&q, "k2") {
		t.Error("which key, or which process")
	}
	m.Forget()
	if m.Has(&q, "k1") {
		t.Error("not forgotten")
	}
	q.Caller.Executable = ""
	if m.Add(&q, "k1"); m.Has(&q, "k1") {
		t.Error("remembers a program that is not known")
	}
}

// Questions of one program come one after another, those of others beside them.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns Turns
		unknown := caller.Caller{PID: 7, Started: 1}
		others := []caller.Caller{{Executable: backup.Executable, Unit: "other.service"}, {Executable: "/usr/bin/x"},
			unknown, {PID: 7, Started: 2}}
		first, err := turns.Wait(t.Context(), backup)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range others {
			done, err := turns.Wait(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer done()
		}
		again := backup
		again.PID = 3
		ctx, stop := context.WithCancelCause(t.Context())
		late := errors.New("late")
		var waited, second error = nil, errors.New("it waits still")
		go func() { _, waited = turns.Wait(ctx, again) }()
		synctest.Wait()
		stop(late)
		synctest.Wait()
		if !errors.Is(waited, late) {
			t.Errorf("%v", waited)
		}
		go func() {
			done, err := turns.Wait(t.Context(), again)
			second = err
			done()
		}()
		synctest.Wait()
		if second == nil {
			t.Error("two at a time")
		}
		first()
		synctest.Wait()
		if second != nil || len(turns.queues) != len(others) {
			t.Errorf("%v, %d queues", second, len(turns.queues))
		}
	})
}
