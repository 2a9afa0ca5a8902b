package emulator

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// sensor is a Presence whose finger does what a test says, and that counts.
type sensor struct {
	finger  func(ctx context.Context) error
	touches int // without a finger
	fingers int
}

func (s *sensor) presence(ctx context.Context, r PresenceRequest) error {
	if !r.Fingerprint {
		s.touches++
		return nil
	}
	s.fingers++
	if s.finger == nil {
		return nil
	}
	return s.finger(ctx)
}

func says(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// withSensor is a key with a fingerprint sensor and the PIN 1234.
func withSensor(t *testing.T) (*platform, *sensor) {
	profile, err := LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	s := &sensor{}
	p := newPlatform(t, Options{Profile: profile, Presence: s.presence})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	return p, s
}

// bio sends a subcommand of bioEnrollment.
func (p *platform) bio(token []byte, s ctap.BioEnrollmentSubcommand, params *ctap.BioEnrollmentParams) (*ctap.BioEnrollmentResponse, error) {
	p.t.Helper()
	r := &ctap.BioEnrollmentRequest{Modality: ctap.ModalityFingerprint, Subcommand: s}
	if params != nil {
		b, err := ctap.Marshal(params)
		p.must(err)
		r.SubcommandParams = b
	}
	if token != nil {
		r.PINUVAuthProtocol = ctap.PINProtocolTwo
		r.PINUVAuthParam = ctap.PINProtocolTwo.Authenticate(token, r.AuthMessage())
	}
	b, err := p.send(r.Encode())
	if err != nil {
		return nil, err
	}
	resp, err := ctap.ParseBioEnrollmentResponse(b)
	p.must(err)
	return resp, nil
}

// enrol enrols a finger and gives its template ID.
func (p *platform) enrol(token []byte) []byte {
	p.t.Helper()
	resp, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
	p.must(err)
	id := resp.TemplateID
	for *resp.RemainingSamples > 0 {
		resp, err = p.bio(token, ctap.SubcommandEnrollCaptureNextSample, &ctap.BioEnrollmentParams{TemplateID: id})
		p.must(err)
	}
	return id
}

func TestBioEnrollment(t *testing.T) {
	p, s := withSensor(t)
	info, err := p.bio(nil, ctap.SubcommandGetFingerprintSensorInfo, nil)
	p.must(err)
	if info.MaxCaptureSamplesRequiredForEnroll != samplesPerFinger || info.FingerprintKind != ctap.FingerprintKindTouch {
		t.Errorf("sensor %+v", info)
	}
	_, err = p.bio(nil, ctap.SubcommandEnrollBegin, nil)
	p.wants(err, ctap.ErrPUATRequired)
	_, err = p.bio(p.tokenFor("1234", ctap.PermissionCredentialManagement, ""), ctap.SubcommandEnrollBegin, nil)
	p.wants(err, ctap.ErrPINAuthInvalid)
	token := p.tokenFor("1234", ctap.PermissionBioEnrollment, "")
	_, err = p.bio(token, ctap.SubcommandEnumerateEnrollments, nil)
	p.wants(err, ctap.ErrInvalidOption)

	id := p.enrol(token)
	if o := p.info().Options; s.fingers != samplesPerFinger || !o[ctap.OptionUV] || !o[ctap.OptionBioEnroll] {
		t.Errorf("%d samples, options %v", s.fingers, o)
	}
	name := "left thumb"
	_, err = p.bio(token, ctap.SubcommandSetFriendlyName, &ctap.BioEnrollmentParams{TemplateID: id, FriendlyName: &name})
	p.must(err)
	list, err := p.bio(token, ctap.SubcommandEnumerateEnrollments, nil)
	p.must(err)
	if len(list.TemplateInfos) != 1 || list.TemplateInfos[0].FriendlyName != name || !bytes.Equal(list.TemplateInfos[0].TemplateID, id) {
		t.Errorf("enrolled %+v", list.TemplateInfos)
	}
	long := strings.Repeat("x", maxFingerNameLength+1)
	_, err = p.bio(token, ctap.SubcommandSetFriendlyName, &ctap.BioEnrollmentParams{TemplateID: id, FriendlyName: &long})
	p.wants(err, ctap.ErrInvalidLength)
	_, err = p.bio(token, ctap.SubcommandRemoveEnrollment, &ctap.BioEnrollmentParams{TemplateID: []byte("x")})
	p.wants(err, ctap.ErrInvalidOption)
	_, err = p.bio(token, ctap.SubcommandRemoveEnrollment, nil)
	p.wants(err, ctap.ErrMissingParameter)
	_, err = p.bio(token, ctap.SubcommandRemoveEnrollment, &ctap.BioEnrollmentParams{TemplateID: id})
	p.must(err)
	if p.info().Options[ctap.OptionUV] {
		t.Error("uv without a finger")
	}
	for range p.a.MaxFingerprints {
		p.enrol(token)
	}
	_, err = p.bio(token, ctap.SubcommandEnrollBegin, nil)
	p.wants(err, ctap.ErrFPDatabaseFull)
}

func TestEnrollmentFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := withSensor(t)
		token := p.tokenFor("1234", ctap.PermissionBioEnrollment, "")
		resp, err := p.bio(token, ctap.SubcommandEnrollBegin, nil)
		p.must(err)
		next := &ctap.BioEnrollmentParams{TemplateID: resp.TemplateID, TimeoutMilliseconds: 2000}
		for _, test := range []struct {
			finger func(context.Context) error
			want   ctap.SampleStatus
			left   uint
		}{
			{says(BadSample(ctap.SampleTooLeft)), ctap.SampleTooLeft, 3},
			{func(ctx context.Context) error { return Wait(ctx, PresenceRequest{}) }, ctap.SampleNoUserActivity, 3},
			{says(ErrDenied), ctap.SampleNoUserPresence, 3},
			{nil, ctap.SampleGood, 2},
		} {
			s.finger = test.finger
			resp, err := p.bio(token, ctap.SubcommandEnrollCaptureNextSample, next)
			p.must(err)
			if *resp.LastEnrollSampleStatus != test.want || *resp.RemainingSamples != test.left {
				t.Errorf("status %#x, %d left; want %#x, %d", *resp.LastEnrollSampleStatus, *resp.RemainingSamples, test.want, test.left)
			}
		}
		_, err = p.bio(nil, ctap.SubcommandCancelCurrentEnrollment, nil)
		p.must(err)
		_, err = p.bio(token, ctap.SubcommandEnrollCaptureNextSample, next)
		p.wants(err, ctap.ErrInvalidParameter)
		if p.info().Options[ctap.OptionUV] {
			t.Error("a cancelled enrollment left a finger")
		}
	})
}

func TestBuiltInVerification(t *testing.T) {
	p, s := withSensor(t)
	p.enrol(p.tokenFor("1234", ctap.PermissionBioEnrollment, ""))
	yes := true
	withUV := func(r *ctap.MakeCredentialRequest) { r.Options.UV = &yes }
	s.fingers, s.touches = 0, 0
	c, err := p.makeCredential(credentialRequest(discoverable, withUV))
	p.must(err)
	if c.flags&ctap.FlagUV == 0 || s.fingers != 1 || s.touches != 0 {
		t.Errorf("flags %08b, %d fingers, %d touches", c.flags, s.fingers, s.touches)
	}
	r := assertionRequest(c)
	r.Options.UV = &yes
	_, d, err := p.getAssertion(r)
	p.must(err)
	if d.Flags != ctap.FlagUP|ctap.FlagUV {
		t.Errorf("flags %08b", d.Flags)
	}
	for range maxUVRetries {
		s.finger = says(ErrNoMatch)
		_, _, err = p.getAssertion(r)
		p.wants(err, ctap.ErrPUATRequired) // the PIN is the way out
	}
	s.finger, s.fingers = nil, 0
	_, _, err = p.getAssertion(r)
	p.wants(err, ctap.ErrPUATRequired)
	if s.fingers != 0 {
		t.Error("asked for a finger that is blocked")
	}
	_, err = p.pinToken(ctap.PINProtocolTwo, "1234", 0)
	p.must(err)
	_, _, err = p.getAssertion(r)
	p.wants(err, nil)
}

func TestTokenUsingUV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := withSensor(t)
		permissions, rpID := ctap.PermissionMakeCredential, "example.com"
		ask := func() ([]byte, error) {
			x := p.agree(ctap.PINProtocolTwo)
			r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions)
			r.Permissions, r.RPID = &permissions, &rpID
			b, err := p.send(r.Encode())
			if err != nil {
				return nil, err
			}
			resp, err := ctap.ParseClientPINResponse(b)
			p.must(err)
			return x.secret.Decrypt(resp.PINUVAuthToken)
		}
		_, err := ask()
		p.wants(err, ctap.ErrNotAllowed) // no finger yet
		p.enrol(p.tokenFor("1234", ctap.PermissionBioEnrollment, ""))
		s.touches = 0
		token, err := ask()
		p.must(err)
		c, err := p.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
		p.must(err)
		if c.flags&ctap.FlagUV == 0 || s.touches != 0 {
			t.Errorf("flags %08b, %d touches after the finger", c.flags, s.touches)
		}
		token, err = ask()
		p.must(err)
		p.a.pin.token.used = true // by something that needs no presence
		time.Sleep(tokenPresence + time.Second)
		_, err = p.makeCredential(credentialRequest(authorized(ctap.PINProtocolTwo, token)))
		p.must(err)
		if s.touches != 1 {
			t.Errorf("%d touches long after the finger", s.touches)
		}
		retries := func() uint {
			b, err := p.send((&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetUVRetries}).Encode())
			p.must(err)
			resp, err := ctap.ParseClientPINResponse(b)
			p.must(err)
			return *resp.UVRetries
		}
		s.finger = says(ErrNoMatch)
		for _, want := range []error{ctap.ErrUVInvalid, ctap.ErrUVInvalid, ctap.ErrUVBlocked, ctap.ErrUVBlocked} {
			_, err = ask()
			p.wants(err, want)
		}
		if n := retries(); n != 0 {
			t.Errorf("%d retries", n)
		}
	})
}

func TestAlwaysUVWithFinger(t *testing.T) {
	p, s := withSensor(t)
	p.enrol(p.tokenFor("1234", ctap.PermissionBioEnrollment, ""))
	p.must(p.configure(p.tokenFor("1234", ctap.PermissionAuthenticatorConfiguration, ""), ctap.SubcommandToggleAlwaysUV, nil))
	s.fingers = 0
	c, err := p.makeCredential(credentialRequest()) // asks for nothing, and gets a finger
	p.must(err)
	if c.flags&ctap.FlagUV == 0 || s.fingers != 1 {
		t.Errorf("flags %08b, %d fingers", c.flags, s.fingers)
	}
}
