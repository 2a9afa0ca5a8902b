package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
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

// TestPassedOver has keys that can't serve: alone, a ceremony ends with the error that says why; beside another one,
// the person hears why, and the other serves.
func TestPassedOver(t *testing.T) {
	required := relyingparty.RegistrationChoices{UserVerification: webauthn.UserVerificationRequired}
	resident := relyingparty.RegistrationChoices{ResidentKey: webauthn.ResidentKeyRequired}
	touch := relyingparty.RegistrationChoices{UserVerification: webauthn.UserVerificationDiscouraged}
	for _, test := range []struct {
		profile string
		pin     bool
		fault   string // of the key; empty for none
		choices relyingparty.RegistrationChoices
		// prepare does something to the key, or to the choices, before.
		prepare func(r *ring, k *ringKey, c *relyingparty.RegistrationChoices)
		want    ipc.Error
	}{
		{profile: "no-pin", choices: required, want: ipc.VerificationNotSetUp{}},
		{profile: "u2f", choices: required, want: ipc.VerificationNotSetUp{}},
		{profile: "fido2.0", choices: required, want: ipc.VerificationNotSetUp{}}, // nobody chooses a PIN
		{profile: "no-pin", choices: resident, want: ipc.Unsupported{What: "a discoverable credential"}},
		{profile: "u2f", choices: resident, want: ipc.Unsupported{What: "a discoverable credential"}},
		{profile: "fido2.0", choices: relyingparty.RegistrationChoices{Algorithms: []ctap.Algorithm{ctap.EdDSA}},
			want: ipc.Unsupported{What: "one of the relying party's algorithms"}},
		{profile: "fido2.1", choices: touch, prepare: exists, want: ipc.AlreadyRegistered{}},
		{profile: "fido2.2", pin: true, prepare: exists, want: ipc.AlreadyRegistered{}},
		{profile: "u2f", choices: touch, prepare: exists, want: ipc.AlreadyRegistered{}},
		{profile: "like-nitrokey-3", choices: resident, prepare: full, want: ipc.KeyFull{}},
		{profile: "fido2.1", pin: true, fault: "pin-retries 0", want: ipc.PINBlocked{}},
		{profile: "fido2.0", pin: true, fault: "pin-auth-blocked", want: ipc.PINAuthBlocked{Retries: 8}},
		{profile: "fido2.1", pin: true, prepare: outdated, want: ipc.PINChangeRequired{}},
		{profile: "sensor-only", fault: "uv-retries 0 on getUVRetries", want: ipc.FingersBlocked{}},
		{profile: "fido2.1", choices: touch, fault: "status OPERATION_DENIED on any 2+", want: ipc.Declined{Key: true}},
		{profile: "fido2.1", choices: touch, fault: "status USER_ACTION_TIMEOUT on makeCredential", want: ipc.TimedOut{}},
		{profile: "fido2.1", choices: touch, fault: "status CHANNEL_BUSY on makeCredential", want: ipc.DeviceBusy{}},
		{profile: "fido2.1", choices: touch, fault: "unplug on makeCredential", want: ipc.DeviceGone{}},
	} {
		for _, several := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%T/several=%v", test.profile, test.want, several), func(t *testing.T) {
				t.Parallel()
				r := newRing(t)
				unable := r.plug(test.profile, test.pin, failing(t, test.fault))
				choices := test.choices
				if test.prepare != nil {
					test.prepare(r, unable, &choices)
				}
				unable.touched(true)
				if several {
					r.plug("fido2.1", true, nil)
				}
				r.passesOver(unable, choices, test.want)
			})
		}
	}
}

// failing puts a fault into a key.
func failing(t *testing.T, words string) func(softkey.Options) softkey.Options {
	if words == "" {
		return nil
	}
	in := fault.New(1, fault.MustParse(words))
	t.Cleanup(in.Wait)
	return in.Options
}

// exists has the key registered already.
func exists(r *ring, k *ringKey, c *relyingparty.RegistrationChoices) {
	k.touched(true)
	if err := r.register(r.t.Context(), &person{pin: "1234"}, "", *c); err != nil {
		r.t.Fatal(err)
	}
	c.Existing, r.records = r.records, nil
}

// full leaves no room for discoverable credentials in the key.
func full(r *ring, k *ringKey, c *relyingparty.RegistrationChoices) {
	k.touched(true)
	for range k.MaxDiscoverable {
		if err := r.register(r.t.Context(), &person{}, "", *c); err != nil {
			r.t.Fatal(err)
		}
	}
	r.records = nil
}

// outdated has the key want another PIN.
func outdated(r *ring, k *ringKey, _ *relyingparty.RegistrationChoices) {
	if err := r.client.ForcePINChange(r.t.Context(), k.id, &person{pin: "1234"}); err != nil {
		r.t.Fatal(err)
	}
}

// passesOver registers with a key that can't, and the other one, where there is one.
func (r *ring) passesOver(unable *ringKey, c relyingparty.RegistrationChoices, want ipc.Error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), faultBound)
	defer cancel()
	passed := ""
	who := &person{pin: "1234", saw: func(e ipc.Event) {
		if e.Kind == ipc.EventPassed && e.Device == unable.id {
			passed = e.Error
			r.keys[1].touched(true)
		}
	}}
	err := r.register(ctx, who, "", c)
	switch {
	case len(r.keys) == 1 && !errors.Is(err, want):
		r.t.Errorf("%T: %v, want %v", err, err, want)
	case len(r.keys) == 2 && (err != nil || passed != want.VarlinkError()):
		r.t.Errorf("passed over for %q, and then %v; want %v", passed, err, want)
	}
	r.dark()
}
