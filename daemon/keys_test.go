package daemon

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"fob/fido/emulator"
	"fob/fido/relyingparty"
	"fob/fido/webauthn"
)

// TestEachKeyServes has one to five keys of different models at once: all light up, the one that is touched registers
// and signs in, and the others end dark. Each model has its turn with each number of others, with a PIN and without.
func TestEachKeyServes(t *testing.T) {
	for n := 1; n <= 5; n++ {
		i := 0
		for models := range slices.Chunk(emulator.ProfileNames(), n) {
			i++
			pin := (i+n)%2 == 0
			t.Run(fmt.Sprint(models, " PIN ", pin), func(t *testing.T) {
				t.Parallel()
				r := newRing(t)
				for _, profile := range models {
					r.plug(profile, pin, nil)
				}
				r.eachServes()
			})
		}
	}
}

// eachServes has each key register, and then each sign in.
func (r *ring) eachServes() {
	for _, k := range r.keys {
		r.touch(k, r.keys, func(ctx context.Context, who *person) error {
			return r.register(ctx, who, "", relyingparty.RegistrationChoices{
				UserVerification: webauthn.UserVerificationPreferred, Attestation: webauthn.AttestationDirect})
		})
	}
	all := r.records
	if len(all) != len(r.keys) {
		r.t.Fatalf("%d records of %d keys", len(all), len(r.keys))
	}
	for i, k := range r.keys {
		signIn := func(ctx context.Context, who *person) error {
			return r.signIn(ctx, who, "", relyingparty.SignInChoices{UserVerification: webauthn.UserVerificationPreferred})
		}
		r.records = all
		r.touch(k, r.keys, signIn)
		r.records = all[i : i+1]
		r.touch(k, []*ringKey{k}, signIn)
	}
}
