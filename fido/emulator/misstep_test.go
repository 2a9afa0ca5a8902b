package emulator

import (
	"testing"
	"time"

	"fob/fido/ctap"
)

// A misstep breaks a numbered step of the specification in a request, or in the key that gets it.
type misstep[A any] struct {
	step  string // section and step, and what is wrong
	want  error
	part  string // what it spoils; two missteps that spoil one part can't be made at once
	spoil func(A)
}

// missteps makes each misstep alone, and then each with each later one, where the key must tell of the earlier. What
// begin gives must succeed as it is.
func missteps[A any](t *testing.T, begin func(*testing.T) A, send func(A) error, all []misstep[A]) {
	t.Helper()
	if err := send(begin(t)); err != nil {
		t.Errorf("without a misstep: %v", err)
	}
	for i, first := range all {
		a := begin(t)
		first.spoil(a)
		if err := send(a); err != first.want {
			t.Errorf("%s: got %v, want %v", first.step, err, first.want)
		}
		for _, later := range all[i+1:] {
			if first.part == later.part {
				continue
			}
			a := begin(t)
			later.spoil(a)
			first.spoil(a)
			if err := send(a); err != first.want {
				t.Errorf("%s, before %s: got %v, want %v", first.step, later.step, err, first.want)
			}
		}
	}
}

// attempt is a request with a pinUvAuthParam, before it is sent.
type attempt struct {
	*platform
	token    *token           // nil for no pinUvAuthParam
	protocol ctap.PINProtocol // as the request names it; 0 for none
	forged   bool             // the pinUvAuthParam is over something else
}

// holding gives an attempt to a key whose token in use, for no RP, may do what permission says.
func holding(p *platform, permission ctap.Permission) attempt {
	p.a.pin.token = newToken(ctap.PINProtocolTwo, permission, "", p.a.now())
	return attempt{p, p.a.pin.token, ctap.PINProtocolTwo, false}
}

// sign gives the pinUvAuthParam over a message.
func (a *attempt) sign(message []byte) ctap.Bytes {
	switch {
	case a.token == nil:
		return nil
	case a.forged:
		message = append(message, 0)
	}
	return ctap.PINProtocolTwo.Authenticate(a.token.secret, message)
}

// signing gives the missteps with a pinUvAuthParam that subcommands have in common: they break the first five steps.
// of finds the attempt in a request.
func signing[A any](of func(A) *attempt) (unsigned, noProtocol, otherProtocol, forged, forbidden misstep[A]) {
	return misstep[A]{"step 1, no pinUvAuthParam", ctap.ErrPUATRequired, "param", func(a A) { of(a).token = nil }},
		misstep[A]{"step 2, no pinUvAuthProtocol", ctap.ErrMissingParameter, "protocol", func(a A) { of(a).protocol = 0 }},
		misstep[A]{"step 3, pinUvAuthProtocol 3", ctap.ErrInvalidParameter, "protocol", func(a A) { of(a).protocol = 3 }},
		misstep[A]{"step 4, pinUvAuthParam over another message", ctap.ErrPINAuthInvalid, "param",
			func(a A) { of(a).forged = true }},
		misstep[A]{"step 5, a token without the permission", ctap.ErrPINAuthInvalid, "token", func(a A) {
			of(a).a.pin.token.permissions = ctap.PermissionMakeCredential
		}}
}

// protected is a key of a profile, with the PIN 1234.
func protected(t *testing.T, profile string) *platform {
	t.Helper()
	named, err := LookupProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{Profile: named})
	p.must(p.a.SetPIN([]byte("1234")))
	return p
}

// expire lets so much time pass that no token is alive.
func (p *platform) expire() {
	p.a.now = func() time.Time { return time.Now().Add(tokenLifetime + time.Second) }
}
