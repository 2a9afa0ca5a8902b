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

func (s BadSample) Error() string { return fmt.Sprintf("bad sample of a fingerprint: %#02x", uint(s)) }

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

// bioEnrollment implements authenticatorBioEnrollment (§6.7).
func (a *Authenticator) bioEnrollment(r *request, parameters []byte) (ctap.Response, error) {
	req, err := ctap.ParseBioEnrollmentRequest(parameters)
	switch {
	case err != nil:
		return nil, err
	case ctap.True(req.GetModality):
		return (&ctap.BioEnrollmentResponse{Modality: ctap.ModalityFingerprint}).Encode(), nil
	case req.Subcommand == 0:
		return nil, ctap.ErrMissingParameter
	case req.Modality != ctap.ModalityFingerprint:
		return nil, ctap.ErrInvalidParameter
	}
	switch req.Subcommand {
	case ctap.SubcommandGetFingerprintSensorInfo:
		return (&ctap.BioEnrollmentResponse{
			FingerprintKind:                    ctap.FingerprintKindTouch,
			MaxCaptureSamplesRequiredForEnroll: samplesPerFinger,
			MaxTemplateFriendlyName:            maxFingerNameLength,
		}).Encode(), nil
	case ctap.SubcommandCancelCurrentEnrollment:
		a.enrolling = nil
		return ctap.Response{byte(ctap.StatusOK)}, nil
	}
	if err := a.requireToken(req.PINUVAuthProtocol, req.PINUVAuthParam); err != nil {
		return nil, err
	}
	_, err = a.pin.check(req.PINUVAuthProtocol, req.AuthMessage(), req.PINUVAuthParam, ctap.PermissionBioEnrollment)
	if err != nil {
		return nil, err
	}
	switch req.Subcommand {
	case ctap.SubcommandEnrollBegin:
		return a.enrollBegin(r, req)
	case ctap.SubcommandEnrollCaptureNextSample:
		return a.enrollCaptureNextSample(r, req)
	case ctap.SubcommandEnumerateEnrollments:
		return a.enumerateEnrollments()
	case ctap.SubcommandSetFriendlyName:
		return a.setFriendlyName(req)
	case ctap.SubcommandRemoveEnrollment:
		return a.removeEnrollment(req)
	default:
		return nil, ctap.ErrInvalidSubcommand
	}
}

// enrollBegin implements §6.7.4.
func (a *Authenticator) enrollBegin(r *request, req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	params := new(ctap.BioEnrollmentParams)
	if req.SubcommandParams != nil {
		var err error
		if params, err = req.Params(); err != nil {
			return nil, err
		}
	}
	if uint(len(a.state.Fingerprints)) >= a.MaxFingerprints {
		return nil, ctap.ErrFPDatabaseFull
	}
	a.enrolling = &enrollment{id: make([]byte, 16), remaining: samplesPerFinger}
	rand.Read(a.enrolling.id)
	return a.capture(r, params.TimeoutMilliseconds, a.enrolling.id)
}

// enrollCaptureNextSample implements the second command of §6.7.4.
func (a *Authenticator) enrollCaptureNextSample(r *request, req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	params, err := req.Params()
	switch {
	case err != nil:
		return nil, err
	case params.TemplateID == nil:
		return nil, ctap.ErrMissingParameter
	case a.enrolling == nil || !bytes.Equal(a.enrolling.id, params.TemplateID):
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
	return (&ctap.BioEnrollmentResponse{TemplateID: id, LastEnrollSampleStatus: &status, RemainingSamples: &remaining}).Encode(), nil
}

func (a *Authenticator) sample(r *request, milliseconds uint) (ctap.SampleStatus, error) {
	wait := userActionTimeout
	if milliseconds > 0 {
		wait = min(wait, time.Duration(milliseconds)*time.Millisecond)
	}
	ctx, stop := context.WithTimeout(r, wait)
	defer stop()
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

// enumerateEnrollments implements §6.7.6.
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

// setFriendlyName implements §6.7.7.
func (a *Authenticator) setFriendlyName(req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	params, err := req.Params()
	switch {
	case err != nil:
		return nil, err
	case params.TemplateID == nil || params.FriendlyName == nil:
		return nil, ctap.ErrMissingParameter
	case len(*params.FriendlyName) > maxFingerNameLength:
		return nil, ctap.ErrInvalidLength
	}
	return a.changeFingers(params.TemplateID, func(list []Fingerprint, i int) []Fingerprint {
		list[i].Name = *params.FriendlyName
		return list
	})
}

// removeEnrollment implements §6.7.8.
func (a *Authenticator) removeEnrollment(req *ctap.BioEnrollmentRequest) (ctap.Response, error) {
	params, err := req.Params()
	switch {
	case err != nil:
		return nil, err
	case params.TemplateID == nil:
		return nil, ctap.ErrMissingParameter
	}
	return a.changeFingers(params.TemplateID, func(list []Fingerprint, i int) []Fingerprint {
		return slices.Delete(list, i, i+1)
	})
}

// changeFingers applies change to a copy of the list, at the place of the finger with this ID.
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

// verifyFinger performs built-in user verification (§6.5.3.1, performBuiltInUv): ErrUVInvalid for a finger that does not
// match, ErrUVBlocked when that has happened too often. The finger on the sensor is user presence as well.
func (a *Authenticator) verifyFinger(r *request, p PresenceRequest) error {
	if a.state.uvRetries() == 0 {
		return ctap.ErrUVBlocked
	}
	p.Fingerprint = true
	return a.judgeFinger(a.askPerson(r, p))
}

// judgeFinger counts the finger that a Presence has shown.
func (a *Authenticator) judgeFinger(err error) error {
	switch {
	case err == nil:
		return a.update(func(s *state) { s.UVMisses, s.UVSincePIN = 0, s.UVSincePIN+1 })
	case !errors.Is(err, ErrNoMatch):
		return err
	}
	if err := a.update(func(s *state) { s.UVMisses, s.UVSincePIN = s.UVMisses+1, s.UVSincePIN+1 }); err != nil {
		return err
	}
	if a.state.uvRetries() == 0 {
		return ctap.ErrUVBlocked
	}
	return ctap.ErrUVInvalid
}
