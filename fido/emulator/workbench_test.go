package emulator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

func retries(n uint) *uint { return &n }

func TestStatusNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		person := NewPerson(policy(t, "auto"))
		p := newPlatform(t, Options{Presence: person.Ask})
		p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
		token, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionMakeCredential)
		p.must(err)
		_, err = p.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
		p.must(err)
		person.SetPolicy(policy(t, "never"))
		selection := ctap.Request{Payload: []byte{byte(ctap.CommandSelection)}}
		go p.a.ServeCTAP(t.Context(), selection, func(ctap.KeepaliveStatus) {})
		synctest.Wait()
		want := Status{PINSet: true, PINRetries: 8, SignCount: 1, Discoverable: 1}
		if got := p.a.Status(); got != want {
			t.Errorf("status %+v, want %+v", got, want)
		}
		c := p.a.Credentials()
		if len(c) != 1 || c[0].RPID != "example.com" || c[0].UserName != "alice@example.com" {
			t.Errorf("credentials %+v", c)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := p.a.SetRetries(ctx, Retries{PIN: retries(1)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SetRetries while the key waits: %v", err)
		}
		person.Answer(nil)
	})
}

// TestCredentialsWhileInUse is for the race detector.
func TestCredentialsWhileInUse(t *testing.T) {
	p := newPlatform(t, Options{})
	_, err := p.makeCredential(credentialRequest(discoverable))
	p.must(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if c := p.a.Credentials(); len(c) != 1 || len(c[0].PrivateKey) == 0 {
				t.Errorf("credentials %+v", c)
			}
		}
	}()
	for range 10 {
		_, _, err := p.getAssertion(assertionRequest())
		p.must(err)
	}
	<-done
}

func TestSetRetries(t *testing.T) {
	p := newPlatform(t, Options{})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	yes, no := true, false
	pinToken := func() error {
		_, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionMakeCredential)
		return err
	}
	p.must(p.a.SetRetries(t.Context(), Retries{PIN: retries(2), AuthBlocked: &yes}))
	if got := p.a.Status(); got.PINRetries != 2 || !got.PINAuthBlocked {
		t.Errorf("status %+v", got)
	}
	p.wants(pinToken(), ctap.ErrPINAuthBlocked)
	p.must(p.a.SetRetries(t.Context(), Retries{AuthBlocked: &no}))
	p.must(pinToken()) // and all retries are back
	p.must(p.a.SetRetries(t.Context(), Retries{PIN: retries(0)}))
	p.wants(pinToken(), ctap.ErrPINBlocked)
	p.a.PowerCycle()
	p.wants(pinToken(), ctap.ErrPINBlocked)

	p.wants(p.a.SetRetries(t.Context(), Retries{PIN: retries(9)}), ErrRetries)
	p.wants(p.a.SetRetries(t.Context(), Retries{UV: retries(4)}), ErrRetries)
	p.wants(p.a.SetRetries(t.Context(), Retries{UV: retries(1)}), ctap.ErrInvalidCommand) // it has no sensor
	without, err := LookupProfile("no-pin")
	p.must(err)
	p = newPlatform(t, Options{Profile: without})
	p.wants(p.a.SetRetries(t.Context(), Retries{PIN: retries(1)}), ctap.ErrInvalidCommand)
}

func TestSetUVRetries(t *testing.T) {
	p, s := withSensor(t)
	token, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionBioEnrollment)
	p.must(err)
	p.enrol(token)
	p.must(p.a.SetRetries(t.Context(), Retries{UV: retries(1)}))
	s.finger = says(ErrNoMatch)
	r := assertionRequest()
	yes := true
	r.Options.UV = &yes
	_, _, err = p.getAssertion(r)
	p.wants(err, ctap.ErrPUATRequired)
	if got := p.a.Status(); got.UVRetries != 0 || got.Fingerprints != 1 {
		t.Errorf("status %+v", got)
	}
}

func TestFailNext(t *testing.T) {
	touches := 0
	p := newPlatform(t, Options{Presence: func(context.Context, PresenceRequest) error { touches++; return nil }})
	p.a.FailNext(Failure{Command: ctap.CommandMakeCredential, Status: ctap.ErrKeyStoreFull, Times: 2})
	p.a.FailNext(Failure{Status: ctap.ErrProcessing, Times: 1})
	_, err := p.makeCredential(credentialRequest())
	p.wants(err, ctap.ErrKeyStoreFull) // not what is for any command
	_, err = p.send([]byte{byte(ctap.CommandGetInfo)})
	p.wants(err, ctap.ErrProcessing)
	p.info()
	_, err = p.makeCredential(credentialRequest())
	p.wants(err, ctap.ErrKeyStoreFull)
	if touches != 0 || len(p.a.Failures()) != 0 {
		t.Errorf("%d touches, failures %v are left", touches, p.a.Failures())
	}
	_, err = p.makeCredential(credentialRequest())
	p.must(err)

	p.a.FailNext(Failure{Status: ctap.ErrOther, Times: 1})
	p.a.FailNext(Failure{Status: ctap.ErrTimeout, Times: 3}) // in its place
	p.a.PowerCycle()
	if got := p.a.Failures(); len(got) != 1 || got[0].Status != ctap.ErrTimeout || got[0].Times != 3 {
		t.Errorf("failures %v", got)
	}
	p.a.FailNext(Failure{}) // none
	p.info()
}

func TestClockGoesForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		p := newPlatform(t, Options{Now: c.Now})
		if ahead, err := c.Advance(11 * time.Second); err != nil || ahead != 11*time.Second {
			t.Errorf("%v ahead, %v", ahead, err)
		}
		_, err := p.send([]byte{byte(ctap.CommandReset)})
		p.wants(err, ctap.ErrNotAllowed)
		p.a.PowerCycle()
		_, err = p.send([]byte{byte(ctap.CommandReset)})
		p.must(err)
		for _, d := range []time.Duration{-1, MaxAhead, 1<<63 - 1} {
			if ahead, err := c.Advance(d); err != ErrClock || ahead != 11*time.Second {
				t.Errorf("Advance(%d): %v, %v", d, ahead, err)
			}
		}
		if !c.Now().Equal(time.Now().Add(11 * time.Second)) {
			t.Errorf("the clock shows %v", c.Now())
		}
	})
}
