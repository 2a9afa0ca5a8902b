package emulator

import (
	"strings"
	"testing"

	"fob/fido/ctap"
)

// enrolling is a request of authenticatorBioEnrollment to a key that knows the finger "one" and is learning "two".
type enrolling struct {
	attempt
	r      *ctap.BioEnrollmentRequest
	params ctap.BioEnrollmentParams
	bare   bool // no subCommandParams
}

func beginEnrolling(t *testing.T, s ctap.BioEnrollmentSubcommand, params ctap.BioEnrollmentParams) *enrolling {
	t.Helper()
	p := protected(t, "fingerprint")
	p.must(p.a.update(func(s *state) { s.Fingerprints = []Fingerprint{{ID: []byte("one")}} }))
	p.a.enrolling = &enrollment{id: []byte("two"), remaining: samplesPerFinger}
	r := &ctap.BioEnrollmentRequest{Modality: ctap.ModalityFingerprint, Subcommand: s}
	return &enrolling{holding(p, ctap.PermissionBioEnrollment), r, params, false}
}

func (e *enrolling) send() error {
	e.t.Helper()
	if !e.bare {
		b, err := ctap.Marshal(e.params)
		e.must(err)
		e.r.SubcommandParams = b
	}
	e.r.PINUVAuthProtocol, e.r.PINUVAuthParam = e.protocol, e.sign(e.r.AuthMessage())
	_, err := e.platform.send(e.r.Encode())
	return err
}

// TestBioEnrollmentPrecedence goes through the steps of §6.7.4 and §6.7.6 to §6.7.8. (§6.7.2, §6.7.3 and §6.7.5 have
// none that refuses.)
func TestBioEnrollmentPrecedence(t *testing.T) {
	name := "thumb"
	one, two := ctap.BioEnrollmentParams{TemplateID: []byte("one")}, ctap.BioEnrollmentParams{TemplateID: []byte("two")}
	named := ctap.BioEnrollmentParams{TemplateID: []byte("one"), FriendlyName: &name}
	unknown := func(want error, step string) misstep[*enrolling] {
		return misstep[*enrolling]{step, want, "template", func(e *enrolling) { e.params.TemplateID = []byte("three") }}
	}
	noTemplate := misstep[*enrolling]{"step 2, no templateId", ctap.ErrMissingParameter, "template",
		func(e *enrolling) { e.params.TemplateID = nil }}
	noParams := misstep[*enrolling]{"step 2, no subCommandParams", ctap.ErrMissingParameter, "template",
		func(e *enrolling) { e.bare = true }}
	for _, test := range []struct {
		section string
		s       ctap.BioEnrollmentSubcommand
		params  ctap.BioEnrollmentParams
		missing []misstep[*enrolling] // step 2
		early   []misstep[*enrolling] // between protocol and pinUvAuthParam
		late    []misstep[*enrolling]
	}{
		{"§6.7.4 enrollBegin", ctap.SubcommandEnrollBegin, ctap.BioEnrollmentParams{}, nil, nil, []misstep[*enrolling]{
			{"step 6, no space", ctap.ErrFPDatabaseFull, "fingers", func(e *enrolling) {
				e.must(e.a.update(func(s *state) { s.Fingerprints = make([]Fingerprint, e.a.MaxFingerprints) }))
			}}}},
		{"§6.7.4 enrollCaptureNextSample", ctap.SubcommandEnrollCaptureNextSample, two,
			[]misstep[*enrolling]{noTemplate, noParams}, nil, []misstep[*enrolling]{
				unknown(ctap.ErrInvalidParameter, "(no step), a template that is not being enrolled")}},
		{"§6.7.6", ctap.SubcommandEnumerateEnrollments, ctap.BioEnrollmentParams{}, nil, nil, []misstep[*enrolling]{
			{"step 6, no finger", ctap.ErrInvalidOption, "fingers", func(e *enrolling) {
				e.must(e.a.update(func(s *state) { s.Fingerprints = nil }))
			}}}},
		{"§6.7.7", ctap.SubcommandSetFriendlyName, named,
			[]misstep[*enrolling]{noTemplate, noParams,
				{"step 2, no templateFriendlyName", ctap.ErrMissingParameter, "name",
					func(e *enrolling) { e.params.FriendlyName = nil }}},
			[]misstep[*enrolling]{
				{"step 4, name too long", ctap.ErrInvalidLength, "name", func(e *enrolling) {
					long := strings.Repeat("x", maxFingerNameLength+1)
					e.params.FriendlyName = &long
				}}},
			[]misstep[*enrolling]{unknown(ctap.ErrInvalidOption, "step 7, an unknown template")}},
		{"§6.7.8", ctap.SubcommandRemoveEnrollment, one,
			[]misstep[*enrolling]{noTemplate, noParams}, nil,
			[]misstep[*enrolling]{unknown(ctap.ErrInvalidOption, "step 6, an unknown template")}},
	} {
		t.Run(test.section, func(t *testing.T) {
			unsigned, noProtocol, otherProtocol, forged, forbidden := signing(func(e *enrolling) *attempt { return &e.attempt })
			all := []misstep[*enrolling]{unsigned,
				{"step 2, no modality", ctap.ErrMissingParameter, "modality", func(e *enrolling) { e.r.Modality = 0 }}}
			all = append(append(all, test.missing...), noProtocol,
				misstep[*enrolling]{"(no step), modality 2", ctap.ErrInvalidParameter, "modality",
					func(e *enrolling) { e.r.Modality = 2 }},
				otherProtocol)
			all = append(append(append(all, test.early...), forged, forbidden), test.late...)
			begin := func(t *testing.T) *enrolling { return beginEnrolling(t, test.s, test.params) }
			missteps(t, begin, (*enrolling).send, all)
		})
	}
}

// TestBioEnrollmentWithoutToken: what needs no token is answered without, and what is no subcommand is refused before
// one is asked for.
func TestBioEnrollmentWithoutToken(t *testing.T) {
	const sensorInfo, cancel = ctap.SubcommandGetFingerprintSensorInfo, ctap.SubcommandCancelCurrentEnrollment
	for _, test := range []struct {
		name string
		r    ctap.BioEnrollmentRequest
		want error
	}{
		{"§6.7.2 getModality", ctap.BioEnrollmentRequest{GetModality: new(true)}, nil},
		{"§6.7.2 getModality false", ctap.BioEnrollmentRequest{GetModality: new(false)}, ctap.ErrMissingParameter},
		{"§6.7.3 sensor info", ctap.BioEnrollmentRequest{Modality: 1, Subcommand: sensorInfo}, nil},
		{"§6.7.3 no modality", ctap.BioEnrollmentRequest{Subcommand: sensorInfo}, ctap.ErrMissingParameter},
		{"§6.7.3 modality 2", ctap.BioEnrollmentRequest{Modality: 2, Subcommand: sensorInfo}, ctap.ErrInvalidParameter},
		{"§6.7.5 cancel", ctap.BioEnrollmentRequest{Modality: 1, Subcommand: cancel}, nil},
		{"§6.7.5 no modality", ctap.BioEnrollmentRequest{Subcommand: cancel}, ctap.ErrMissingParameter},
		{"§8.1 before step 1", ctap.BioEnrollmentRequest{Modality: 1, Subcommand: 8}, ctap.ErrInvalidSubcommand},
		{"§8.1 before the modality", ctap.BioEnrollmentRequest{Modality: 2, Subcommand: 8}, ctap.ErrInvalidSubcommand},
		{"no subcommand", ctap.BioEnrollmentRequest{Modality: 1}, ctap.ErrMissingParameter},
	} {
		p := protected(t, "fingerprint")
		if _, err := p.send(test.r.Encode()); err != test.want {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}
