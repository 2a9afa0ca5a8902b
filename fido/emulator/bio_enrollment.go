package emulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"fob/fido/ctap"
)

const (
	maxUVRetries        = 3  // misses of the finger until the key wants the PIN (§6.5.2.3)
	samplesPerFinger    = 4  // maxCaptureSamplesRequiredForEnroll
	maxFingerNameLength = 64 // bytes (§6.7, maxTemplateFriendlyName)
	uvModality          = 2  // USER_VERIFY_FINGERPRINT_INTERNAL (FIDO Registry §3.1)
)

// ErrNoMatch is what a Presence returns for a finger that the key does not know.
var ErrNoMatch = errors.New("the finger does not match")

// BadSample is what a Presence returns for a finger that lay badly while it was to be enrolled.
type BadSample ctap.SampleStatus

func (s BadSample) Error() string {
	return fmt.Sprintf("bad sample of a fingerprint: %v", ctap.SampleStatus(s))
}

// Fingerprint is an enrolled finger (§6.7).
type Fingerprint struct {
	ID   []byte `json:"id"`
	Name string `json:"name,omitempty"`
}

// enrollment is a finger that is being enrolled.
type enrollment struct {
	id        []byte
	remaining uint // samples
}

// bioEnrollment implements authenticatorBioEnrollment (§6.7). getModality, sensor information and cancelling need no
// token; the others begin with the same steps.
func (a *Authenticator) bioEnrollment(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseBioEnrollmentRequest(parameters)
	if err != nil {
		return nil, err
	}
	params, err := paramsOf(req.SubcommandParams, req.Params)
	switch {
	case err != nil:
		return nil, err
	case ctap.True(req.GetModality): // §6.7.2
		return (&ctap.BioEnrollmentResponse{Modality: ctap.ModalityFingerprint}).Encode(), nil
	}
	switch req.Subcommand {
	case 0:
		return nil, ctap.ErrMissingParameter
	case ctap.SubcommandGetFingerprintSensorInfo: // §6.7.3
		return a.fingerprintSensorInfo(req)
	case ctap.SubcommandCancelCurrentEnrollment: // §6.7.5
		return a.cancelCurrentEnrollment(req)
	case ctap.SubcommandEnrollBegin, ctap.SubcommandEnrollCaptureNextSample, ctap.SubcommandEnumerateEnrollments,
		ctap.SubcommandSetFriendlyName, ctap.SubcommandRemoveEnrollment:
	default: // §8.1
		return nil, ctap.ErrInvalidSubcommand
	}
	if err := a.authorizeBioEnrollment(req, params); err != nil {
		return nil, err
	}
	switch req.Subcommand {
	case ctap.SubcommandEnrollBegin:
		return a.enrollBegin(r, params)
	case ctap.SubcommandEnrollCaptureNextSample:
		return a.enrollCaptureNextSample(r, params)
	case ctap.SubcommandEnumerateEnrollments:
		return a.enumerateEnrollments()
	case ctap.SubcommandSetFriendlyName:
		return a.setFriendlyName(params)
	default:
		return a.removeEnrollment(params)
	}
}

// paramsOf decodes subCommandParams with parse. Those that are absent are empty: what they lack is refused by the step
// that asks for it.
func paramsOf[T any](encoded ctap.RawMessage, parse func() (*T, error)) (*T, error) {
	if encoded == nil {
		return new(T), nil
	}
	return parse()
}

// checkModality refuses what is not a fingerprint. The specification makes the modality mandatory, and is silent on
// one that the sensor does not have.
func checkModality(req *ctap.BioEnrollmentRequest) error {
	switch req.Modality {
	case 0:
		return ctap.ErrMissingParameter
	case ctap.ModalityFingerprint:
		return nil
	default:
		return ctap.ErrInvalidParameter
	}
}

func (a *Authenticator) fingerprintSensorInfo(req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	if err := checkModality(req); err != nil {
		return nil, err
	}
	return (&ctap.BioEnrollmentResponse{
		FingerprintKind:                    ctap.FingerprintKindTouch,
		MaxCaptureSamplesRequiredForEnroll: samplesPerFinger,
		MaxTemplateFriendlyName:            maxFingerNameLength,
	}).Encode(), nil
}

func (a *Authenticator) cancelCurrentEnrollment(req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	if err := checkModality(req); err != nil {
		return nil, err
	}
	a.enrolling = nil
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// authorizeBioEnrollment does the first five steps of §6.7.4 and §6.7.6 to §6.7.8, which are the same but for the name
// that is measured before the token (§6.7.7 step 4).
func (a *Authenticator) authorizeBioEnrollment(req *ctap.BioEnrollmentRequest, params *ctap.BioEnrollmentParams) error {
	switch {
	case req.PINUVAuthParam == nil: // step 1
		return ctap.ErrPUATRequired
	case req.Modality == 0, req.PINUVAuthProtocol == 0, missesTemplate(req.Subcommand, params): // step 2
		return ctap.ErrMissingParameter
	}
	if err := checkModality(req); err != nil {
		return err
	}
	if err := a.checkProtocol(req.PINUVAuthProtocol); err != nil { // step 3
		return err
	}
	if params.FriendlyName != nil && len(*params.FriendlyName) > maxFingerNameLength {
		return ctap.ErrInvalidLength
	}
	_, err := a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam, ctap.PermissionBioEnrollment)
	return err // steps 4, 5
}

// missesTemplate reports whether a subcommand comes without the parameters that it must have.
func missesTemplate(s ctap.BioEnrollmentSubcommand, params *ctap.BioEnrollmentParams) bool {
	switch s {
	case ctap.SubcommandEnrollBegin, ctap.SubcommandEnumerateEnrollments:
		return false
	case ctap.SubcommandSetFriendlyName:
		return params.TemplateID == nil || params.FriendlyName == nil
	default:
		return params.TemplateID == nil
	}
}

// enrollBegin does §6.7.4 steps 6 to 10 of enrollBegin. It ends an enrollment that was not finished.
func (a *Authenticator) enrollBegin(r *request, params *ctap.BioEnrollmentParams) (ctap.Response, error) {
	if uint(len(a.state.Fingerprints)) >= a.MaxFingerprints { // step 6
		return nil, ctap.ErrFPDatabaseFull
	}
	a.enrolling = &enrollment{id: make([]byte, 16), remaining: samplesPerFinger} // steps 7, 8
	rand.Read(a.enrolling.id)
	return a.capture(r, params.TimeoutMilliseconds, a.enrolling.id) // steps 9, 10
}

// enrollCaptureNextSample does the last steps of enrollCaptureNextSample (§6.7.4). There is space, as enrollBegin
// found it and one finger at a time is enrolled. The specification is silent on a template that is not being enrolled.
func (a *Authenticator) enrollCaptureNextSample(r *request, params *ctap.BioEnrollmentParams) (ctap.Response, error) {
	if a.enrolling == nil || !bytes.Equal(a.enrolling.id, params.TemplateID) {
		return nil, ctap.ErrInvalidParameter
	}
	return a.capture(r, params.TimeoutMilliseconds, nil)
}

// capture takes a sample, and keeps the finger when it was the last that was needed. A bad sample is an answer, too.
func (a *Authenticator) capture(r *request, milliseconds uint, id []byte) (ctap.Response, error) {
	status, err := a.sample(r, milliseconds)
	if err != nil {
		a.enrolling = nil
		return nil, err
	}
	e := a.enrolling
	if status == ctap.SampleGood {
		e.remaining--
	}
	remaining := e.remaining
	if remaining == 0 {
		a.enrolling = nil
		err := a.update(func(s *state) { s.Fingerprints = append(slices.Clone(s.Fingerprints), Fingerprint{ID: e.id}) })
		if err != nil {
			return nil, err
		}
	}
	return (&ctap.BioEnrollmentResponse{
		TemplateID: id, LastEnrollSampleStatus: &status, RemainingSamples: &remaining,
	}).Encode(), nil
}

func (a *Authenticator) sample(r *request, milliseconds uint) (ctap.SampleStatus, error) {
	wait := userActionTimeout
	if milliseconds > 0 && milliseconds < uint(wait.Milliseconds()) { // before it is multiplied, which may overflow
		wait = time.Duration(milliseconds) * time.Millisecond
	}
	ctx, stop := context.WithTimeout(r, wait)
	defer stop()
	a.show()
	r.keepalive(ctap.KeepaliveUPNeeded)
	err := a.presence(ctx, PresenceRequest{Command: ctap.CommandBioEnrollment, Fingerprint: true})
	var bad BadSample
	switch {
	case r.Err() != nil:
		return 0, ctap.ErrKeepaliveCancel
	case err == nil:
		return ctap.SampleGood, nil
	case errors.As(err, &bad):
		return ctap.SampleStatus(bad), nil
	case errors.Is(err, context.DeadlineExceeded):
		return ctap.SampleNoUserActivity, nil
	default:
		return ctap.SampleNoUserPresence, nil
	}
}

// enumerateEnrollments does §6.7.6 from step 6.
func (a *Authenticator) enumerateEnrollments() (ctap.Response, error) {
	if len(a.state.Fingerprints) == 0 {
		return nil, ctap.ErrInvalidOption
	}
	resp := new(ctap.BioEnrollmentResponse)
	for _, f := range a.state.Fingerprints {
		resp.TemplateInfos = append(resp.TemplateInfos, ctap.TemplateInfo{TemplateID: f.ID, FriendlyName: f.Name})
	}
	return resp.Encode(), nil
}

// setFriendlyName does §6.7.7 from step 7.
func (a *Authenticator) setFriendlyName(params *ctap.BioEnrollmentParams) (ctap.Response, error) {
	return a.changeFingers(params.TemplateID, func(list []Fingerprint, i int) []Fingerprint {
		list[i].Name = *params.FriendlyName
		return list
	})
}

// removeEnrollment does §6.7.8 from step 6.
func (a *Authenticator) removeEnrollment(params *ctap.BioEnrollmentParams) (ctap.Response, error) {
	return a.changeFingers(params.TemplateID, func(list []Fingerprint, i int) []Fingerprint {
		return slices.Delete(list, i, i+1)
	})
}

// changeFingers applies change to a copy of the list, at the place of the finger with this ID; ErrInvalidOption where
// there is none.
func (a *Authenticator) changeFingers(id []byte, change func([]Fingerprint, int) []Fingerprint) (ctap.Response, error) {
	i := slices.IndexFunc(a.state.Fingerprints, func(f Fingerprint) bool { return bytes.Equal(f.ID, id) })
	if i < 0 {
		return nil, ctap.ErrInvalidOption
	}
	err := a.update(func(s *state) { s.Fingerprints = change(slices.Clone(s.Fingerprints), i) })
	if err != nil {
		return nil, err
	}
	return ctap.Response{byte(ctap.StatusOK)}, nil
}

// verifyFinger performs built-in user verification (§6.5.3.1, performBuiltInUv), one attempt a call: ErrUVInvalid for a
// finger that does not match, ErrUVBlocked when that has happened too often, or when the PIN is blocked. A retry is
// spent, durably, before the finger is looked at. The finger on the sensor is user presence as well.
func (a *Authenticator) verifyFinger(r *request, p PresenceRequest) error {
	before := a.state.UVMisses
	if a.state.hasPIN() && a.state.PINRetries == 0 { // step 3
		before = maxUVRetries
	}
	if err := a.update(func(s *state) { s.UVMisses = min(before+1, maxUVRetries) }); err != nil { // step 5
		return err
	}
	if before >= maxUVRetries {
		return ctap.ErrUVBlocked
	}
	p.Fingerprint = true
	return a.judgeFinger(before, a.askPerson(r, p))
}

// judgeFinger counts the finger that a Presence has shown, after so many misses before. Nobody's finger in time is a
// miss, too; a request that is cancelled or declined is no attempt at all.
func (a *Authenticator) judgeFinger(before uint, err error) error {
	misses, tried := before, uint(1)
	switch {
	case err == nil: // step 9
		misses = 0
	case errors.Is(err, ErrNoMatch): // step 10
		misses++
	case err == ctap.ErrUserActionTimeout: // step 8
		misses, tried = misses+1, 0
	default:
		tried = 0
	}
	failed := a.update(func(s *state) { s.UVMisses, s.UVSincePIN = misses, s.UVSincePIN+tried })
	switch {
	case failed != nil:
		return failed
	case !errors.Is(err, ErrNoMatch):
		return err
	case a.state.uvRetries() == 0:
		return ctap.ErrUVBlocked
	default:
		return ctap.ErrUVInvalid
	}
}
