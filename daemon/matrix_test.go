package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido/fault"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

const (
	matrixWorkers = 16               // most of them wait for keys that hang
	matrixTimeout = 25 * time.Second // what the relying party asks for: passes only where something hangs
	matrixTouch   = 2 * time.Second  // from the fault until the person touches another key
	matrixHang    = 4 * time.Second  // in place of matrixTimeout, where it surely passes
)

// The effects of faults, by the places that they suit.
var (
	keyEffects = []string{
		"garbage", "truncate", "oversize", "delay 20ms", "keepalives 9", "hang", "hang deaf", "hang silent", "unplug",
		"unplug for 20ms", "slow 20ms", "clock 1h"}
	ctap2Effects = []string{
		"status OTHER", "status PIN_INVALID", "status PIN_AUTH_INVALID", "pin-retries 4", "pin-retries 0", "pin-auth-blocked"}
	u2fEffects    = []string{"status 0x6985", "status 0x6a80", "status 0x6f00"}
	packetEffects = []string{
		"drop", "duplicate", "delay 20ms", "corrupt bit", "corrupt cid", "corrupt seq", "corrupt nonce", "corrupt short",
		"corrupt long", "corrupt huge", "unplug", "unplug for 20ms"}
)

// insteadOf are the effects that keep a key from performing a command, if they don't come after it.
var insteadOf = regexp.MustCompile(`^(garbage|status .*|unplug.*|hang)$`)

// matrixModel is a model of key, and the faults that it is tried with.
type matrixModel struct {
	profile  string
	register bool // it registers; else it signs in
	effects  []string
	commands []string // that have the effects
	chosen   []string // commands, too, that a key gets once it was touched
	packets  []string // messages whose packets are disturbed
}

var matrixModels = []matrixModel{
	{"fido2.1", true, slices.Concat(keyEffects, ctap2Effects), []string{"makeCredential 1"},
		[]string{"getPINRetries", "getKeyAgreement", "getPinToken", "makeCredential 2"}, []string{"init", "makeCredential"}},
	{"fido2.1", false, slices.Concat(keyEffects, ctap2Effects), []string{"getInfo", "getAssertion 1"},
		[]string{"getAssertion 2"}, []string{"getInfo", "getPinToken", "getAssertion"}},
	{"fingerprint", false, append(slices.Clone(keyEffects), "uv-retries 0", "uv-retries 1"),
		[]string{"getUVRetries", "getPinToken", "getAssertion 2"}, nil, nil},
	{"u2f", true, slices.Concat(keyEffects, u2fEffects), []string{"u2fRegister"}, nil, []string{"u2fRegister"}},
	{"u2f", false, slices.Concat(keyEffects, u2fEffects), []string{"u2fAuthenticate 1", "u2fAuthenticate 2"}, nil, nil},
}

// faults are all those of a model, once it was touched or before.
func (m *matrixModel) faults(beside bool) (all []string) {
	commands := m.commands
	if !beside {
		commands = slices.Concat(commands, m.chosen)
	}
	for _, command := range commands {
		for _, effect := range m.effects {
			all = append(all, effect+" on "+command)
			if insteadOf.MatchString(effect) {
				all = append(all, effect+" after "+command)
			}
		}
	}
	for _, message := range m.packets {
		for _, effect := range packetEffects {
			if effect == "corrupt nonce" && message != "init" || effect == "corrupt seq" && message == "init" {
				continue
			}
			for _, way := range []string{"in", "out"} {
				all = append(all, fmt.Sprintf("%s %s packet 1 of %s", effect, way, message))
			}
		}
	}
	return all
}

// work is a test that may run beside others.
type work struct {
	name string
	do   func(t *testing.T)
}

// perform does all work, n at once: most of it waits for keys that hang.
func perform(t *testing.T, n int, all []work) {
	todo := make(chan work)
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for w := range todo {
				t.Run(w.name, w.do)
			}
		})
	}
	for _, w := range all {
		todo <- w
	}
	close(todo)
	workers.Wait()
}

// TestEveryFault has one of two keys fail, in each way, at each step of a ceremony: the one that the person touches,
// and the one that lies beside it. Whatever it does, the ceremony ends in time, with what the relying party verifies
// or an error that has a name; while the other key can still be touched, it serves. No PIN is tried more often than
// it was typed.
func TestEveryFault(t *testing.T) {
	states := make(map[string]matrixState)
	for _, profile := range []string{"fido2.0", "fido2.1", "fingerprint", "u2f"} {
		t.Run("state of "+profile, func(t *testing.T) { states[profile] = newMatrixState(t, profile) })
	}
	before := leftovers(t)
	var all []work
	for i := range matrixModels {
		m := &matrixModels[i]
		for _, beside := range []bool{false, true} {
			for _, words := range m.faults(beside) {
				name := fmt.Sprintf("%s/%s/beside=%v", m.profile, words, beside)
				all = append(all, work{name, func(t *testing.T) {
					r := &matrixRun{ring: newRing(t), words: words, beside: beside}
					r.failing = r.plug(m.profile, false, states[m.profile].put(r, words))
					r.healthy = r.plug("fido2.0", false, states["fido2.0"].put(r, ""))
					r.ceremony(m.register)
				}})
			}
		}
	}
	t.Run("all", func(t *testing.T) {
		cards := cardWork(t, states)
		var both sync.WaitGroup
		both.Go(func() { perform(t, 1, cards) })
		both.Go(func() { perform(t, matrixWorkers, all) })
		both.Wait()
	})
	nothingLeft(t, before)
}

// matrixState is a key that is registered.
type matrixState struct {
	state  []byte
	record relyingparty.Record
}

// newMatrixState registers a key of a profile. Those that are to fail have a PIN, if they take one.
func newMatrixState(t *testing.T, profile string) (s matrixState) {
	r := newRing(t)
	k := r.plug(profile, profile != "fido2.0", nil)
	k.touched(true)
	if err := r.register(t.Context(), &person{pin: "1234"}, "", relyingparty.RegistrationChoices{}); err != nil {
		t.Fatal(err)
	}
	s.record = r.records[0]
	var err error
	if s.state, err = k.Export(); err != nil {
		t.Fatal(err)
	}
	return s
}

// put gives the options of such a key, which fails as words say.
func (s matrixState) put(r *matrixRun, words string) func(softkey.Options) softkey.Options {
	r.records = append(r.records, s.record)
	return func(o softkey.Options) softkey.Options {
		o.Fixture, o.PIN = s.state, nil
		if words == "" {
			return o
		}
		r.in, r.failed = fault.New(1, fault.MustParse(words)), make(chan struct{})
		o.Log = slog.New(onFault(sync.OnceFunc(func() { close(r.failed) })))
		r.t.Cleanup(r.in.Wait)
		return r.in.Options(o)
	}
}

// matrixRun is one ceremony with a key that fails and one that doesn't.
type matrixRun struct {
	*ring
	words            string
	beside           bool // the person does not touch the key that fails
	in               *fault.Injector
	failing, healthy *ringKey
	typed            atomic.Int32  // PINs
	failed           chan struct{} // closed at the first fault
}

// onFault calls itself when a fault is injected.
type onFault func()

func (f onFault) Enabled(context.Context, slog.Level) bool { return true }
func (f onFault) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f onFault) WithGroup(string) slog.Handler            { return f }
func (f onFault) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "fault" {
		f()
	}
	return nil
}

// ceremony performs the ceremony. The person touches the key that fails, unless it lies beside, and the other one when
// fobd says that the first can't serve, or nothing happens after it has failed.
func (r *matrixRun) ceremony(register bool) {
	ctx, cancel := context.WithTimeout(r.t.Context(), faultBound)
	defer cancel()
	r.failing.touched(!r.beside)
	r.healthy.touched(r.beside)
	var touching sync.WaitGroup
	defer touching.Wait()
	defer cancel()
	touching.Go(func() { r.touchLater(ctx) })
	who := &person{pin: "1234", saw: func(e ipc.Event) {
		switch {
		case e.Kind == ipc.EventPIN && !e.Wrong:
			r.typed.Add(1)
		case e.Kind == ipc.EventTap, e.Kind == ipc.EventPassed && e.Device == r.failing.id:
			r.healthy.touched(true)
		}
	}}
	uv, limit := webauthn.UserVerificationPreferred, r.limit()
	var err error
	if register {
		err = r.register(ctx, who, "", relyingparty.RegistrationChoices{
			UserVerification: uv, Attestation: webauthn.AttestationDirect, Timeout: limit})
	} else {
		err = r.signIn(ctx, who, "", relyingparty.SignInChoices{UserVerification: uv, Timeout: limit})
	}
	if err != nil && !r.allows(err) {
		r.t.Errorf("%T: %v; the person saw %v; lit: %v and %v", err, err, who.seen, r.failing.person.Waiting(),
			r.healthy.person.Waiting())
	}
	if !r.beside && len(r.in.Injected()) == 0 && !r.has("corrupt seq") { // of which there may be none
		r.t.Error("nothing has failed")
	}
	r.checkPINRetries()
}

// touchLater touches the other key a while after the first has failed.
func (r *matrixRun) touchLater(ctx context.Context) {
	select {
	case <-r.failed:
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(matrixTouch):
		r.healthy.touched(true)
	case <-ctx.Done():
	}
}

// allows reports whether the ceremony may end with an error. The other key can't serve any more where the one that
// fails was chosen; or says so, though nobody has touched it.
func (r *matrixRun) allows(err error) bool {
	switch named := ipc.Error(nil); {
	case r.has("corrupt bit"): // against which CTAPHID has no checksum
		return errors.As(err, &named) || errors.Is(err, relyingparty.ErrNotVerified)
	case r.has("unplug") && errors.Is(err, ipc.CardLost{Reader: "Virtual PCD 00 00"}): // it was chosen, and then awaited
		return true
	case r.beside:
		return r.pretends() && errors.Is(err, ipc.TimedOut{})
	case r.has("status PIN_INVALID"):
		return errors.Is(err, ipc.PINInvalid{Retries: 8})
	default:
		return r.hangs() && (errors.Is(err, ipc.TimedOut{}) || errors.Is(err, ipc.DeviceGone{}))
	}
}

// pretends reports whether the key may say that it was touched.
func (r *matrixRun) pretends() bool {
	return strings.HasSuffix(r.words, "makeCredential 1") && r.has("status PIN", "garbage")
}

// has reports whether the fault has one of these effects.
func (r *matrixRun) has(effects ...string) bool {
	return slices.ContainsFunc(effects, func(e string) bool { return strings.HasPrefix(r.words, e) })
}

// limit is what the relying party asks for. No other key serves once the one that was chosen hangs, but while it should
// answer without a touch.
func (r *matrixRun) limit() time.Duration {
	for _, command := range []string{"getKeyAgreement", "getPinToken", "makeCredential 2", "getAssertion 2"} {
		if !r.beside && r.hangs() && strings.HasSuffix(r.words, command) {
			return matrixHang
		}
	}
	if r.pretends() {
		return 2 * matrixHang
	}
	return matrixTimeout
}

// hangs reports whether the key may never answer.
func (r *matrixRun) hangs() bool { return r.has("hang", "drop", "corrupt cid") }

// checkPINRetries fails the test where the key has counted more misses than PINs were typed.
func (r *matrixRun) checkPINRetries() {
	r.t.Helper()
	least := 8
	if words, ok := strings.CutPrefix(r.words, "pin-retries "); ok {
		least = int(words[0] - '0')
	}
	if left, typed := int(r.failing.Status().PINRetries), int(r.typed.Load()); r.failing.PIN && left < least-typed {
		r.t.Errorf("%d PIN retries are left after %d PINs were typed", left, typed)
	}
}
