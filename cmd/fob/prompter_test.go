package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fob/ipc"
)

// prompter answers for programs without a terminal, in this process, until its context ends.
type prompter struct {
	ipc.Decliner
	pin     string // empty for one who thinks for ever
	choices chan int
	asked   chan ipc.Event
}

func (p *prompter) PIN(context.Context, ipc.Event) (ipc.Secret, error) { return ipc.Secret(p.pin), nil }
func (p *prompter) Choose(context.Context, ipc.Event) (int, error)     { return <-p.choices, nil }

// register makes it a prompter, until leave.
func (p *prompter) register(t *testing.T, c *ipc.Client) (leave func()) {
	t.Helper()
	p.asked = make(chan ipc.Event, 64)
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- c.RegisterPrompter(ctx, func() error { close(ready); return nil }, func(r ipc.PromptReply) error {
			if r.Event == nil || r.Event.Token == "" {
				return nil
			}
			p.asked <- *r.Event
			if p.pin == "" && r.Event.Kind == ipc.EventPIN {
				return nil
			}
			return c.Answer(ctx, *r.Event, p)
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// TestPrompter: fob without a terminal leaves what it can't ask to registered prompters, and gives up at once where
// there is none, or the last one goes.
func TestPrompter(t *testing.T) {
	dir := t.TempDir()
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	policy := filepath.Join(dir, ".config", "fob", "policy.toml")
	all, err := os.ReadFile(policy)
	if err == nil {
		err = os.WriteFile(policy, append([]byte("prompters = ['/**']\n"), all...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	fobd := w.withPIN(dir, "1234", "")
	fobd.Path, fobd.Args = filepath.Join(w.bin, "fobd"), []string{
		"fobd", "--no-discovery", "--on-demand", "--emulator", "--emulator-pin-fd", "3"}
	if _, err := w.ready("fobd", fobd); err != nil {
		t.Fatal(err)
	}
	client := &ipc.Client{Socket: filepath.Join(dir, "run", "fob", "fob.sock")}
	for _, user := range []string{"alice", "bob"} {
		w.run(t, w.withPIN(dir, "1234", "register", "--rp", "example.com", "--user", user, "--save", user,
			"--resident-key", "required", "--pin-fd", "3"), 0)
	}
	signIn := func() *process {
		t.Helper()
		c := w.command(dir, "fob", "sign-in", "--discoverable", "alice", "bob")
		c.Stdin, err = os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.background("fob", c)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ends := func(p *process, code int, says string) {
		t.Helper()
		if err := w.end(p, code); err != nil {
			t.Error(err)
		}
		if said := p.said.all(); !strings.Contains(said, says) {
			t.Errorf("fob said %q, expected %q", said, says)
		}
	}
	const nobody = "fob: a PIN is needed, and there is no terminal to ask for it\nhint: give it with --pin-fd, run fob at"

	ends(signIn(), 5, nobody)

	who := &prompter{pin: "1234", choices: make(chan int, 1)}
	leave := who.register(t, client)
	for choice := range 2 {
		who.choices <- choice
		p := signIn()
		ends(p, 0, "a prompter asks about fob emulated key")
		pin, choose := <-who.asked, <-who.asked
		if pin.Kind != ipc.EventPIN || choose.Kind != ipc.EventChoose ||
			pin.Caller.Executable != filepath.Join(w.bin, "fob") {
			t.Errorf("%+v, %+v", pin, choose)
		}
		if name := choose.Accounts[choice].Name; !strings.Contains(p.said.all(), "signed in  "+name+" at example.com") {
			t.Errorf("not as %s: %s", name, p.said.all())
		}
	}
	leave()
	ends(signIn(), 5, nobody)

	slow := &prompter{}
	leave = slow.register(t, client)
	p := signIn()
	<-slow.asked
	leave()
	ends(p, 5, nobody)
}
