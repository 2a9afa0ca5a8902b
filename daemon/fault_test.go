package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/fault"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

const (
	faultRuns    = 300
	faultTimeout = 3 * time.Second  // what the relying party asks for
	faultBound   = 30 * time.Second // passes only where something hangs
)

// randomFaults leave about half of the ceremonies without one.
var randomFaults = []fault.Fault{
	fault.MustParse("random in packet 2%"), fault.MustParse("random out packet 2%"),
	fault.MustParse("random on any 4%"), fault.MustParse("random after any 3%"),
}

// TestRandomFaults registers and signs in with keys that fail at random, and holds fobd and its helpers to this: each
// ceremony ends in time, with what the relying party verifies or with an error that has a name, and nothing is left of
// it. A run is repeated with -run TestRandomFaults/seed=17.
func TestRandomFaults(t *testing.T) {
	runs := uint64(faultRuns)
	if testing.Short() {
		runs = 30
	}
	t.Run("no faults", func(t *testing.T) { // what is made once for all counts as left over from now on
		if got := faultyCeremonies(t, 0); !slices.Equal(got, []string{"ok", "ok", "ok"}) {
			t.Error(got)
		}
	})
	before := leftovers(t)
	seeds, outcomes := make(chan uint64), make(chan []string)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for seed := range seeds {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					outcomes <- faultyCeremonies(t, seed, randomFaults...)
				})
			}
		})
	}
	go func() {
		for seed := range runs {
			seeds <- seed + 1
		}
		close(seeds)
		workers.Wait()
		close(outcomes)
	}()
	count := make(map[string]int)
	for each := range outcomes {
		for _, o := range each {
			count[o]++
		}
	}
	t.Log(count)
	nothingLeft(t, before)
}

// faultyCeremonies registers, up to three times, and signs in twice, with a key and a fobd of their own. It gives what
// came of each ceremony.
func faultyCeremonies(t *testing.T, seed uint64, faults ...fault.Fault) (outcomes []string) {
	in := fault.New(seed, faults...)
	o, choice := softkey.Options{}, webauthn.UserVerificationDiscouraged
	if seed%2 == 0 {
		o.PIN, choice = fido.PIN("1234"), webauthn.UserVerificationRequired
	}
	t.Cleanup(in.Wait)
	dir, _ := plug(t, in.Options(o))
	client := &ipc.Client{Socket: filepath.Join(dir, "fob", "fob.sock")}
	r := &faultyRun{newParty(t, client), t, in, choice}
	for range 3 {
		if len(r.records) == 0 {
			outcomes = append(outcomes, r.judge(r.register))
		}
	}
	for range 2 {
		if len(r.records) > 0 {
			outcomes = append(outcomes, r.judge(r.signIn))
		}
	}
	return outcomes
}

// faultyRun is a relying party and its client, whose key fails.
type faultyRun struct {
	*party
	t      *testing.T
	in     *fault.Injector
	choice webauthn.UserVerificationRequirement
}

func (r *faultyRun) register(ctx context.Context) error {
	choices := relyingparty.RegistrationChoices{
		UserVerification: r.choice, Attestation: webauthn.AttestationDirect, Timeout: faultTimeout}
	return r.party.register(ctx, &person{pin: "1234"}, "", choices)
}

func (r *faultyRun) signIn(ctx context.Context) error {
	choices := relyingparty.SignInChoices{UserVerification: r.choice, Timeout: faultTimeout}
	return r.party.signIn(ctx, &person{pin: "1234"}, "", choices)
}

// judge gives the outcome of a ceremony, and fails the test where there must be another. That a response is not
// verified is the fault of bits that were wrong on the way, against which CTAPHID has no checksum. A busy machine may run
// into the timeout by itself.
func (r *faultyRun) judge(ceremony func(context.Context) error) string {
	before := len(r.in.Injected())
	ctx, cancel := context.WithTimeout(r.t.Context(), faultBound)
	defer cancel()
	err := ceremony(ctx)
	all := r.in.Injected()
	corrupt := func(i fault.Injection) bool { return strings.HasPrefix(i.Effect, "corrupt") }
	var named ipc.Error
	switch {
	case err == nil:
		return "ok"
	case ctx.Err() != nil:
		r.t.Errorf("no end after %v: %v", faultBound, all[before:])
	case errors.Is(err, relyingparty.ErrNotVerified) && !slices.ContainsFunc(all, corrupt):
		r.t.Errorf("%v after %v", err, all)
	case errors.Is(err, relyingparty.ErrNotVerified):
		return "not verified"
	case !errors.As(err, &named), errors.As(err, new(ipc.HelperFailed)), len(all) == 0 && !errors.Is(err, ipc.TimedOut{}):
		r.t.Errorf("%T: %v after %v", err, err, all)
	default:
		if f := new(ipc.Failed); errors.As(err, f) {
			r.t.Logf("%v after %v", err, all[before:])
		}
		return named.VarlinkError()
	}
	return "wrong"
}
