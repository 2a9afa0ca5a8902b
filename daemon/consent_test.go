package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"

	"fob/daemon/caller"
	"fob/daemon/consent"
	"fob/daemon/policy"
	"fob/daemon/session"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// drawer is a source whose keys a test changes.
type drawer struct {
	mu   sync.Mutex
	keys []fido.DeviceInfo
	open func(id fido.DeviceID) (fido.Authenticator, error)
}

func (s *drawer) Devices(context.Context) ([]fido.DeviceInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), nil
}

func (s *drawer) Open(_ context.Context, id fido.DeviceID) (fido.Authenticator, error) {
	return s.open(id)
}

func (s *drawer) put(keys ...fido.DeviceInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
}

// lightable is a key that tells when it lights up, and signs in.
func lightable(lit chan<- struct{}) *fakeKey {
	return &fakeKey{closed: make(chan struct{}),
		assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			lit <- struct{}{}
			return []fido.GetAssertionResponse{assertion("alice")}, nil
		}}
}

func rules(t *testing.T, text string) *policy.Holder {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return policy.Fixed(p)
}

// guardedDaemon has one key and a policy.
func guardedDaemon(t *testing.T, text string) (d *Daemon, c *ipc.Client, lit chan struct{}) {
	t.Helper()
	lit = make(chan struct{}, 16)
	return guardedDrawer(t, text, &drawer{
		keys: []fido.DeviceInfo{{ID: "k1", Product: "Test Key", Path: "/dev/null"}},
		open: func(fido.DeviceID) (fido.Authenticator, error) { return lightable(lit), nil },
	}, lit)
}

func guardedDrawer(t *testing.T, text string, source *drawer, lit chan struct{}) (*Daemon, *ipc.Client, chan struct{}) {
	t.Helper()
	d := &Daemon{Source: source, Policy: rules(t, text)}
	return d, serveDaemon(t, d), lit
}

func signIn(t *testing.T, c *ipc.Client) error {
	t.Helper()
	return <-background(t, c, &person{})
}

// refusal checks that err is a refusal, and gives it.
func refusal(t *testing.T, err error, by ipc.By) ipc.Refused {
	t.Helper()
	var e ipc.Refused
	if !errors.As(err, &e) || e.By != by || e.Caller.PID != os.Getpid() {
		t.Fatalf("%+v, want refused by %s", err, by)
	}
	return e
}

func TestDenied(t *testing.T) {
	for text, rule := range map[string]string{
		"": "",
		"[[rule]]\nname = 'no'\nverbs = ['sign-in']\naction = 'deny'":                                           `rule 1 "no" (line 1)`,
		"[[rule]]\nverbs = ['register', 'manage', 'reset', 'code', 'provision', 'account']\naction = 'allow'\n": "",
		"[[rule]]\nverbs = ['sign-in']\nrp = ['*.example.com']\naction = 'allow'\n":                             "",
		"[[rule]]\nverbs = ['sign-in']\nexe = ['/nowhere/*']\naction = 'allow'\n":                               "",
	} {
		_, c, lit := guardedDaemon(t, text)
		e := refusal(t, signIn(t, c), ipc.ByPolicy)
		if e.Verb != "sign-in" || e.Rule != rule || e.Policy != "" || len(lit) > 0 {
			t.Errorf("%q: %+v", text, e)
		}
	}
}

var someCreation = json.RawMessage(`{"rp":{"id":"example.com","name":"e"},"user":{"id":"AQ","name":"alice","displayName":""},
	"challenge":"AAAAAAAAAAAAAAAAAAAAAA","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`)

// Each method asks for its own verb.
func TestVerbs(t *testing.T) {
	calls := map[policy.Verb]func(c *ipc.Client) error{
		policy.Register: func(c *ipc.Client) error {
			_, err := c.Register(t.Context(), ipc.CeremonyRequest{Origin: "https://example.com", Options: someCreation}, &person{})
			return err
		},
		policy.SignIn: func(c *ipc.Client) error { return signIn(t, c) },
		policy.Manage: func(c *ipc.Client) error { return c.SetPIN(t.Context(), "", &person{}) },
		policy.Reset:  func(c *ipc.Client) error { return c.Reset(t.Context(), ipc.ResetRequest{Name: "other"}, &person{}) },
	}
	for verb := range calls {
		_, c, _ := guardedDrawer(t, "[[rule]]\nverbs = ['"+string(verb)+"']\naction = 'allow'", &drawer{
			keys: []fido.DeviceInfo{{ID: "k1"}},
			open: func(fido.DeviceID) (fido.Authenticator, error) { return nil, fido.ErrDenied },
		}, nil)
		for other, call := range calls {
			err := call(c)
			if other != verb && !errors.As(err, new(ipc.Refused)) || other == verb && !errors.Is(err, ipc.DeviceDenied{}) {
				t.Errorf("%s where %s is allowed: %v", other, verb, err)
			}
		}
	}
}

// The tests may have a terminal or not; they ask for neither.
const askToSignIn = "ask-by = ['prompter', 'desktop']\nprompters = ['/**']\n[[rule]]\nverbs = ['sign-in']\n"

// Where nobody can be asked, the policy says what then.
func TestHeadless(t *testing.T) {
	_, c, lit := guardedDaemon(t, askToSignIn+"action = 'ask'")
	if e := refusal(t, signIn(t, c), ipc.ByNobody); e.Rule != "rule 1 (line 3)" || len(lit) > 0 {
		t.Errorf("%+v", e)
	}
	_, c, lit = guardedDaemon(t, askToSignIn+"action = 'ask'\nheadless = 'allow'")
	if err := signIn(t, c); err != nil || len(lit) != 1 {
		t.Error(err)
	}
}

// agent is a registered prompter.
type agent struct {
	t    *testing.T
	c    *ipc.Client
	told chan ipc.PromptReply
	stop context.CancelFunc
	end  chan error
}

func newAgent(t *testing.T, c *ipc.Client) *agent {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	a := &agent{t, c, make(chan ipc.PromptReply, 256), stop, make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		a.end <- c.RegisterPrompter(ctx, func() error { close(ready); return nil }, func(r ipc.PromptReply) error {
			a.told <- r
			return nil
		})
	}()
	select {
	case <-ready:
	case err := <-a.end:
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return a
}

// hears waits until the agent is told of a kind of event; none for the end.
func (a *agent) hears(kind ipc.EventKind) ipc.PromptReply {
	a.t.Helper()
	r := <-a.told
	if r.Ceremony == "" || r.Over != (kind == "") || !r.Over && r.Event.Kind != kind {
		a.t.Fatalf("heard %+v, %+v, want %q", r, r.Event, kind)
	}
	return r
}

func (a *agent) says(token string, yes bool) error {
	answer := answers{yes}
	return a.c.Answer(a.t.Context(), ipc.Event{Kind: ipc.EventConsent, Token: token}, answer)
}

// answers is an ipc.Consenter.
type answers struct{ yes bool }

func (answers) Waiting(ipc.Event)                                     {}
func (answers) Plug(ipc.Event)                                        {}
func (answers) Touch(ipc.Event)                                       {}
func (answers) Tap(ipc.Event)                                         {}
func (answers) Passed(ipc.Event)                                      {}
func (answers) Chosen(ipc.Event)                                      {}
func (answers) Sample(ipc.Event)                                      {}
func (answers) Replug(ipc.Event)                                      {}
func (answers) PIN(context.Context, ipc.Event) (ipc.Secret, error)    { return ipc.Secret("1234"), nil }
func (answers) NewPIN(context.Context, ipc.Event) (ipc.Secret, error) { return nil, ipc.ErrDeclined }
func (answers) Choose(context.Context, ipc.Event) (int, error)        { return 1, nil }
func (a answers) Consent(context.Context, ipc.Event) error {
	if a.yes {
		return nil
	}
	return ipc.ErrDeclined
}

// mirroredRequest is one that prompters are told of.
func mirroredRequest() ipc.CeremonyRequest {
	yes, r := true, signInRequest()
	r.Prompter = &yes
	return r
}

// background signs in beside the test.
func background(t *testing.T, c *ipc.Client, p ipc.Prompter) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := c.SignIn(t.Context(), mirroredRequest(), p)
		result <- err
	}()
	return result
}

// A prompter is told who asks for what, and answers; then it is told of the touch, and of the end.
func TestPrompter(t *testing.T) {
	_, c, lit := guardedDaemon(t, askToSignIn+"action = 'ask'")
	a := newAgent(t, c)
	for _, yes := range []bool{true, false} {
		result := background(t, c, &person{})
		r := a.hears(ipc.EventConsent)
		e := r.Event
		if e.Caller.PID != os.Getpid() || e.Caller.Executable == "" || e.RPID != "example.com" || e.Verb != "sign-in" ||
			e.Method != "fob.Ceremony.SignIn" || e.Device != "k1" || e.Product != "Test Key" || e.Remembered {
			t.Errorf("%+v", e)
		}
		if len(lit) > 0 {
			t.Fatal("lit before the answer")
		}
		if err := a.says(e.Token, yes); err != nil {
			t.Fatal(err)
		}
		a.hears("")
		if !yes {
			refusal(t, <-result, ipc.ByPerson)
			break
		}
		if touch := a.hears(ipc.EventTouch); touch.Ceremony != r.Ceremony {
			t.Error("another ceremony")
		}
		a.hears("")
		if err := <-result; err != nil {
			t.Error(err)
		}
		<-lit
	}
	if len(lit) > 0 {
		t.Error("lit after a no")
	}
	if err := a.says("none", true); err != nil { // too late
		t.Error(err)
	}
}

// Prompters that go away while they are asked have not agreed, whatever happens where nobody can be asked.
func TestPrompterGone(t *testing.T) {
	_, c, lit := guardedDaemon(t, askToSignIn+"action = 'ask'\nheadless = 'allow'")
	a := newAgent(t, c)
	result := background(t, c, &person{})
	a.hears(ipc.EventConsent)
	a.stop()
	if refusal(t, <-result, ipc.ByPerson); len(lit) > 0 {
		t.Error("lit")
	}
}

func TestWhoMayPrompt(t *testing.T) {
	_, c, _ := guardedDaemon(t, "prompters = ['/usr/libexec/agent']")
	err := c.RegisterPrompter(t.Context(), func() error { return errors.New("registered") }, nil)
	if !errors.Is(err, ipc.NotAPrompter{}) {
		t.Error(err)
	}
	_, c, _ = guardedDaemon(t, "prompters = ['/**']")
	for range maxPrompters {
		newAgent(t, c)
	}
	err = c.RegisterPrompter(t.Context(), func() error { return errors.New("registered") }, nil)
	if !errors.Is(err, ipc.TooManyPrompters{}) {
		t.Error(err)
	}
}

// A prompter answers PIN and account for a program that can't, or that asks for it; not for others.
func TestPrompterAnswersForOthers(t *testing.T) {
	k := &fakeKey{options: map[string]bool{"clientPin": true}, assert: func(_ context.Context, r *fido.GetAssertionRequest) (
		[]fido.GetAssertionResponse, error) {
		if string(r.PIN) != "1234" {
			t.Errorf("a PIN of %d bytes", len(r.PIN))
		}
		return []fido.GetAssertionResponse{assertion("alice"), assertion("bob")}, nil
	}}
	c := serve(t, oneKey(k))
	a := newAgent(t, c)
	request := mirroredRequest()
	result := make(chan error, 1)
	go func() {
		_, err := c.SignIn(t.Context(), request, silent{})
		result <- err
	}()
	for _, kind := range []ipc.EventKind{ipc.EventPIN, ipc.EventTouch, ipc.EventChoose} {
		if e := a.hears(kind).Event; e.Token != "" {
			if err := c.Answer(t.Context(), *e, answers{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	a.hears("")
	<-k.closed

	k.closed = make(chan struct{})
	no := false
	request.Prompter = &no
	if _, err := c.SignIn(t.Context(), request, answers{}); err != nil {
		t.Error(err)
	}
	if len(a.told) > 0 {
		t.Errorf("told of %+v", <-a.told)
	}
}

// silent leaves what is asked to others.
type silent struct{ answers }

func (silent) PIN(ctx context.Context, _ ipc.Event) (ipc.Secret, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
func (silent) Choose(ctx context.Context, _ ipc.Event) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// A yes holds until the session is locked, for the same RP alone.
func TestAskOnce(t *testing.T) {
	d, c, _ := guardedDaemon(t, askToSignIn+"action = 'ask-once'")
	a := newAgent(t, c)
	agreed := func(asks bool) {
		t.Helper()
		result := background(t, c, &person{})
		if asks {
			e := a.hears(ipc.EventConsent).Event
			if !e.Remembered {
				t.Error("it does not say that a yes is remembered")
			}
			if err := a.says(e.Token, true); err != nil {
				t.Fatal(err)
			}
			a.hears("")
		}
		a.hears(ipc.EventTouch)
		a.hears("")
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	agreed(true)
	agreed(false)
	d.Interrupt(t.Context(), session.Lock)
	agreed(true)
	d.Source.(*drawer).put(fido.DeviceInfo{ID: "k2"})
	agreed(true)
}

// While the person is asked, the key is free for others; a hang-up ends the question.
func TestConsentComesFirst(t *testing.T) {
	_, c, lit := guardedDaemon(t, askToSignIn+"rp = ['www.example.com']\naction = 'ask'\n[[rule]]\nverbs = ['sign-in']\naction = 'allow'")
	a := newAgent(t, c)
	ctx, hangUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		r := mirroredRequest()
		r.Options = json.RawMessage(`{"challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","rpId":"www.example.com"}`)
		r.Origin = "https://www.example.com"
		_, err := c.SignIn(ctx, r, &person{})
		first <- err
	}()
	asked := a.hears(ipc.EventConsent)
	if err := signIn(t, c); err != nil { // though the first came first
		t.Error(err)
	}
	hangUp()
	<-first
	for r := range a.told {
		if r.Over && r.Ceremony == asked.Ceremony {
			break
		}
	}
	if len(lit) != 1 {
		t.Errorf("lit %d times", len(lit))
	}
}

// A program has one question at a time before the person; a yes to it may answer the next ones too.
func TestOneQuestionAtATime(t *testing.T) {
	_, c, _ := guardedDaemon(t, askToSignIn+"action = 'ask-once'")
	a := newAgent(t, c)
	var all []<-chan error
	for range 8 {
		all = append(all, background(t, c, &person{}))
	}
	if err := a.says(a.hears(ipc.EventConsent).Event.Token, true); err != nil {
		t.Fatal(err)
	}
	for _, result := range all {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	for len(a.told) > 0 {
		if r := <-a.told; r.Event != nil && r.Event.Kind == ipc.EventConsent {
			t.Error("asked again")
		}
	}
}

// Of several keys, those that are refused are passed over, and the person is asked about the others at once.
func TestConsentForSeveralKeys(t *testing.T) {
	lit, opened := make(chan struct{}, 8), make(chan fido.DeviceID, 8)
	source := &drawer{
		keys: []fido.DeviceInfo{{ID: "k0"}, {ID: "k1", Product: "A"}, {ID: "k2", Product: "B"}, {ID: "k3"}},
		open: func(id fido.DeviceID) (fido.Authenticator, error) {
			opened <- id
			if id == "k1" {
				return lightable(lit), nil
			}
			return nil, fido.ErrDenied
		},
	}
	_, c, _ := guardedDrawer(t, askToSignIn+`key = ["k1", "k2"]
		action = "ask"
		[[rule]]
		verbs = ["sign-in"]
		key = ["k3"]
		action = "allow"`, source, lit)
	sorted := func() (ids []fido.DeviceID) {
		for len(opened) > 0 {
			ids = append(ids, <-opened)
		}
		slices.Sort(ids)
		return ids
	}

	var passed []string
	p := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventPassed {
			passed = append(passed, e.Device+" "+e.Error)
		}
	}}
	err := (<-background(t, c, p)) // nobody is there
	if !errors.Is(err, ipc.DeviceDenied{}) || !slices.Equal(sorted(), []fido.DeviceID{"k3"}) ||
		!slices.Equal(passed, []string{"k0 fob.Ceremony.Refused", "k1 fob.Ceremony.Refused", "k2 fob.Ceremony.Refused"}) {
		t.Errorf("%v, %q", err, passed)
	}

	a := newAgent(t, c)
	result := background(t, c, &person{})
	var e ipc.Event
	for e.Kind != ipc.EventConsent {
		e = *(<-a.told).Event
	}
	if e.Device != "" || e.Product != "A k1 or B k2" {
		t.Errorf("%+v", e)
	}
	keys, _ := source.Devices(t.Context())
	source.put(append(keys, fido.DeviceInfo{ID: "k4"})...) // it came too late
	if err := a.says(e.Token, true); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if ids := sorted(); !slices.Equal(ids, []fido.DeviceID{"k1", "k2", "k3"}) {
		t.Errorf("opened %v", ids)
	}
}

// A prompter that reads nothing is none any more, and holds nobody up.
func TestSlowPrompter(t *testing.T) {
	var p prompters
	one, err := p.join(alice)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.ask(t.Context(), bob); err != consent.ErrUnable {
		t.Error("another user's prompter is asked: ", err)
	}
	asking, done, err := p.ask(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for range maxUntold + 1 {
		p.tell(alice, ipc.PromptReply{Over: true})
		p.tell(bob, ipc.PromptReply{Over: true})
	}
	<-one.slow
	if len(one.untold) != maxUntold {
		t.Errorf("it was told of %d things", len(one.untold))
	}
	<-asking.Done()
	if err := context.Cause(asking); err != consent.ErrDismissed {
		t.Error(err)
	}
	if _, _, err := p.ask(t.Context(), alice); err != consent.ErrUnable {
		t.Error("it is there still: ", err)
	}
	p.leave(one)
	p.tell(alice, ipc.PromptReply{Over: true})
}

// A question ends with the last prompter that hears of it, be it root's.
func TestLastPrompter(t *testing.T) {
	var p prompters
	roots, err := p.join(root)
	own, err2 := p.join(alice)
	if err := cmp.Or(err, err2); err != nil {
		t.Fatal(err)
	}
	asking, done, err := p.ask(t.Context(), alice)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if p.leave(own); asking.Err() != nil {
		t.Error("it ended with the first one")
	}
	if p.leave(roots); context.Cause(asking) != consent.ErrDismissed {
		t.Error("it goes on")
	}
}

// Another card in the reader is not what was agreed to, if the policy has another word on it.
func TestReadmit(t *testing.T) {
	p := rules(t, `[[rule]]
		verbs = ["sign-in"]
		key = ["k1", "k2"]
		action = "ask"
		[[rule]]
		verbs = ["sign-in"]
		key = ["k3"]
		action = "allow"`).Policy()
	for _, test := range []struct {
		agreed bool
		key    fido.DeviceID
		want   bool
	}{{true, "k2", true}, {false, "k2", false}, {true, "k3", true}, {false, "k3", true}, {true, "k4", false}} {
		c := &ceremony{errand: errand{policy: p, verb: policy.SignIn}, agreed: test.agreed}
		if err := c.readmit(fido.DeviceInfo{ID: test.key}); (err == nil) != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if err := (&ceremony{}).readmit(fido.DeviceInfo{}); err != nil {
		t.Error(err)
	}
}

// Prompters are told where the caller has no terminal, unless it says otherwise.
func TestMirrored(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		terminal string
		verb     policy.Verb
		asked    *bool
		want     bool
	}{
		{"", policy.SignIn, nil, true}, {"/dev/pts/1", policy.SignIn, nil, false}, {"", "", nil, false},
		{"/dev/pts/1", policy.SignIn, &yes, true}, {"", policy.SignIn, &no, false},
	} {
		c := &ceremony{errand: errand{verb: test.verb, caller: caller.Caller{Terminal: test.terminal}}, mirror: test.asked}
		if got := c.mirrored(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// What may go on while the session is locked begins then, and does not end by it; other things are refused before anybody
// is asked.
func TestWhenLocked(t *testing.T) {
	for locked, text := range map[string]string{"allow": "headless = 'allow'\nwhen-locked = 'allow'", "deny": "headless = 'allow'"} {
		lit := make(chan struct{}, 8)
		d := &Daemon{Policy: rules(t, askToSignIn+"action = 'ask'\n"+text), Source: &drawer{
			keys: []fido.DeviceInfo{{ID: "k1"}},
			open: func(fido.DeviceID) (fido.Authenticator, error) { return lightable(lit), nil },
		}, Present: func(context.Context) error { return session.Lock }}
		err := signIn(t, serveDaemon(t, d))
		if locked == "allow" && (err != nil || len(lit) != 1) || locked == "deny" && !errors.As(err, new(ipc.SessionLocked)) {
			t.Errorf("%s: %v", locked, err)
		}
	}
}

// Keys that come later need a word of their own; the person is not asked while there is another key.
func TestLaterKeys(t *testing.T) {
	d := &Daemon{Policy: rules(t, askToSignIn+`key = ["asked"]
		action = "ask"
		[[rule]]
		verbs = ["sign-in"]
		key = ["allowed"]
		action = "allow"`)}
	c := &ceremony{errand: errand{verb: policy.SignIn}, daemon: d, call: &varlink.Call{}}
	asked, allowed, denied := fido.DeviceInfo{ID: "asked"}, fido.DeviceInfo{ID: "allowed"}, fido.DeviceInfo{ID: "denied"}
	for i, test := range []struct {
		devices, want []fido.DeviceInfo
		refused       ipc.By
	}{
		{nil, nil, ""},
		{[]fido.DeviceInfo{asked, allowed}, []fido.DeviceInfo{allowed}, ""},
		{[]fido.DeviceInfo{allowed, denied}, []fido.DeviceInfo{allowed}, ""},
		{[]fido.DeviceInfo{denied}, nil, ipc.ByPolicy},
		{[]fido.DeviceInfo{asked}, nil, ipc.ByNobody},
		{[]fido.DeviceInfo{allowed}, []fido.DeviceInfo{allowed}, ""},
	} {
		got, err := d.admit(t.Context(), c, test.devices)
		var refused ipc.Refused
		errors.As(err, &refused)
		if !slices.Equal(got, test.want) || refused.By != test.refused || (err == nil) != (test.refused == "") {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
}
