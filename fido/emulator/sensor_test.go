package emulator

import (
	"context"
	"testing"

	"fob/fido/ctap"
)

// TestEveryFeedback gives the sensor each kind of bad sample: an answer that costs nothing (§6.7.4,
// lastEnrollSampleStatus).
func TestEveryFeedback(t *testing.T) {
	p, s := withSensor(t)
	token := holding(p, ctap.PermissionBioEnrollment).token.secret
	resp, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
	p.must(err)
	left, next := *resp.RemainingSamples, &ctap.BioEnrollmentParams{TemplateID: resp.TemplateID}
	for status := ctap.SampleTooHigh; status <= ctap.SampleNoUserPresence; status++ {
		if status == 0x0c { // of no name
			continue
		}
		s.finger = says(BadSample(status))
		got, err := p.bio(token, ctap.SubcommandEnrollCaptureNextSample, next)
		p.must(err)
		if *got.LastEnrollSampleStatus != status || *got.RemainingSamples != left || got.TemplateID != nil {
			t.Errorf("status %#x: %+v", status, got)
		}
	}
	s.finger = says(BadSample(ctap.SampleTooFast)) // the first sample may be a bad one, too
	again, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
	p.must(err)
	left = *again.RemainingSamples
	if *again.LastEnrollSampleStatus != ctap.SampleTooFast || left != samplesPerFinger || again.TemplateID == nil {
		t.Errorf("begun with a bad sample: %+v", again)
	}
}

// TestOneEnrollmentAtATime: beginning another, CTAPHID_CANCEL and a loss of power end an enrollment (§6.7.4 step 7);
// what is not finished leaves no finger, and other commands do not disturb.
func TestOneEnrollmentAtATime(t *testing.T) {
	for name, end := range map[string]func(p *platform, s *sensor, token, id []byte){
		"another": func(p *platform, s *sensor, token, id []byte) {
			_, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
			p.must(err)
		},
		"cancel": func(p *platform, s *sensor, token, id []byte) {
			ctx, cancel := context.WithCancel(p.ctx)
			s.finger = func(context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }
			all := p.ctx
			p.ctx = ctx
			_, err := p.bio(token, ctap.SubcommandEnrollCaptureNextSample, &ctap.BioEnrollmentParams{TemplateID: id})
			p.wants(err, ctap.ErrKeepaliveCancel)
			p.ctx, s.finger = all, nil
		},
		"power": func(p *platform, s *sensor, token, id []byte) { p.a.PowerCycle() },
		"reset": func(p *platform, s *sensor, token, id []byte) {
			_, err := p.send([]byte{byte(ctap.CommandReset)})
			p.must(err)
			p.must(p.a.SetPIN([]byte("1234")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := withSensor(t)
			token := holding(p, ctap.PermissionBioEnrollment).token.secret
			first, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
			p.must(err)
			p.info() // does not disturb
			next := &ctap.BioEnrollmentParams{TemplateID: first.TemplateID}
			_, err = p.bio(token, ctap.SubcommandEnrollCaptureNextSample, next)
			p.must(err)
			end(p, s, token, first.TemplateID)
			token = holding(p, ctap.PermissionBioEnrollment).token.secret
			_, err = p.bio(token, ctap.SubcommandEnrollCaptureNextSample, next)
			p.wants(err, ctap.ErrInvalidParameter)
			if p.info().Options[ctap.OptionUV] {
				t.Error("a finger is enrolled")
			}
		})
	}
}

// TestFingersOutliveThePower, and with them their names.
func TestFingersOutliveThePower(t *testing.T) {
	p, _ := withSensor(t)
	id := p.enrol(holding(p, ctap.PermissionBioEnrollment).token.secret)
	name := "thumb"
	token := holding(p, ctap.PermissionBioEnrollment).token.secret
	_, err := p.bio(token, ctap.SubcommandSetFriendlyName, &ctap.BioEnrollmentParams{TemplateID: id, FriendlyName: &name})
	p.must(err)
	p.a.PowerCycle()
	list, err := p.bio(holding(p, ctap.PermissionBioEnrollment).token.secret, ctap.SubcommandEnumerateEnrollments, nil)
	p.must(err)
	if len(list.TemplateInfos) != 1 || list.TemplateInfos[0].FriendlyName != name {
		t.Errorf("%+v", list.TemplateInfos)
	}
}

// TestBlockedFingerAndPIN: a sensor that has missed too often says so, keeps saying so, and works again after the PIN,
// not after a loss of power (§6.5.2.3).
func TestBlockedFingerAndPIN(t *testing.T) {
	p, s := withSensor(t)
	p.enrol(holding(p, ctap.PermissionBioEnrollment).token.secret)
	uv := func() (uint, error) {
		x := p.agree(ctap.PINProtocolTwo)
		r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions)
		r.Permissions, r.RPID = new(ctap.PermissionGetAssertion), new("example.com")
		_, err := p.send(r.Encode())
		b, wrong := p.send((&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetUVRetries}).Encode())
		p.must(wrong)
		resp, wrong := ctap.ParseClientPINResponse(b)
		p.must(wrong)
		return *resp.UVRetries, err
	}
	s.finger = says(ErrNoMatch)
	for left := uint(maxUVRetries); left > 0; left-- {
		want := ctap.ErrUVInvalid
		if left == 1 {
			want = ctap.ErrUVBlocked
		}
		if n, err := uv(); n != left-1 || err != want {
			t.Errorf("%d retries, %v; want %v", n, err, want)
		}
	}
	p.a.PowerCycle()
	s.finger = nil
	if n, err := uv(); n != 0 || err != ctap.ErrUVBlocked {
		t.Errorf("%d retries after a loss of power, %v", n, err)
	}
	_, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionGetAssertion)
	p.must(err)
	if n, err := uv(); n != maxUVRetries || err != nil {
		t.Errorf("%d retries after the PIN, %v", n, err)
	}
}
