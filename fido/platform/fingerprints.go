package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// Fingerprints are those of a key whose person is verified (§6.7, authenticatorBioEnrollment). libfido2's calls for
// them take a PIN alone, know the preview of the command alone, and don't tell how long a name may be.
type Fingerprints struct {
	key     *Key
	session *session
}

// Sensor describes the sensor (§6.7.3).
func (k *Key) Sensor(ctx context.Context) (*fido.Sensor, error) {
	r, err := k.bioEnrollment(ctx, &session{}, ctap.SubcommandGetFingerprintSensorInfo, nil)
	if err != nil {
		return nil, err
	}
	return &fido.Sensor{
		Kind: r.FingerprintKind, Samples: r.MaxCaptureSamplesRequiredForEnroll, MaxNameLength: r.MaxTemplateFriendlyName,
	}, nil
}

// Fingerprints verifies the person, by a finger where uv, else by the PIN. The caller calls End.
func (k *Key) Fingerprints(ctx context.Context, uv bool, pin fido.PIN) (*Fingerprints, error) {
	if uv == (pin != nil) {
		return nil, ctap.ErrMissingParameter
	}
	s, err := k.begin(ctx, verification{uv: uv, pin: pin, permissions: ctap.PermissionBioEnrollment}, nil)
	if err != nil {
		return nil, err
	}
	if s.token == nil { // there is no other way than by a token
		s.end()
		return nil, ctap.ErrUnsupportedOption
	}
	return &Fingerprints{k, s}, nil
}

// End forgets the verification.
func (f *Fingerprints) End() { f.session.end() }

// List lists what is enrolled (§6.7.6).
func (f *Fingerprints) List(ctx context.Context) ([]fido.Fingerprint, error) {
	r, err := f.do(ctx, ctap.SubcommandEnumerateEnrollments, nil)
	if errors.Is(err, ctap.ErrInvalidOption) { // there is nothing
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := make([]fido.Fingerprint, len(r.TemplateInfos))
	for i, t := range r.TemplateInfos {
		list[i] = fido.Fingerprint{ID: t.TemplateID, Name: t.FriendlyName}
	}
	return list, nil
}

// EnrollBegin begins to enrol a finger, with a first sample (§6.7.4).
func (f *Fingerprints) EnrollBegin(ctx context.Context, limit time.Duration) (*fido.Sample, error) {
	r, err := f.do(ctx, ctap.SubcommandEnrollBegin, &ctap.BioEnrollmentParams{
		TimeoutMilliseconds: uint(limit.Milliseconds())})
	if err != nil {
		return nil, err
	}
	return sample(r, r.TemplateID)
}

// EnrollNext takes another sample.
func (f *Fingerprints) EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*fido.Sample, error) {
	r, err := f.do(ctx, ctap.SubcommandEnrollCaptureNextSample, &ctap.BioEnrollmentParams{
		TemplateID: id, TimeoutMilliseconds: uint(limit.Milliseconds())})
	if err != nil {
		return nil, err
	}
	return sample(r, id)
}

func sample(r *ctap.BioEnrollmentResponse, id []byte) (*fido.Sample, error) {
	if r.LastEnrollSampleStatus == nil || r.RemainingSamples == nil || len(id) == 0 {
		return nil, fmt.Errorf("%w: it does not tell how the sample was", fido.ErrBadAnswer)
	}
	return &fido.Sample{ID: id, Status: *r.LastEnrollSampleStatus, Remaining: *r.RemainingSamples}, nil
}

// EnrollCancel forgets a finger that is half enrolled (§6.7.5).
func (f *Fingerprints) EnrollCancel(ctx context.Context) error {
	_, err := f.key.bioEnrollment(ctx, &session{}, ctap.SubcommandCancelCurrentEnrollment, nil)
	return err
}

// Rename gives an enrolled finger another name (§6.7.7).
func (f *Fingerprints) Rename(ctx context.Context, id []byte, name string) error {
	p := &ctap.BioEnrollmentParams{TemplateID: id, FriendlyName: &name}
	_, err := f.do(ctx, ctap.SubcommandSetFriendlyName, p)
	return err
}

// Remove forgets an enrolled finger (§6.7.8).
func (f *Fingerprints) Remove(ctx context.Context, id []byte) error {
	_, err := f.do(ctx, ctap.SubcommandRemoveEnrollment, &ctap.BioEnrollmentParams{TemplateID: id})
	return err
}

// do performs a subcommand for which the person must have been verified.
func (f *Fingerprints) do(
	ctx context.Context, s ctap.BioEnrollmentSubcommand, p *ctap.BioEnrollmentParams,
) (*ctap.BioEnrollmentResponse, error) {
	return f.key.bioEnrollment(ctx, f.session, s, p)
}

// bioEnrollment sends a subcommand, to the preview of the command where the key has nothing else.
func (k *Key) bioEnrollment(
	ctx context.Context, v *session, s ctap.BioEnrollmentSubcommand, p *ctap.BioEnrollmentParams,
) (*ctap.BioEnrollmentResponse, error) {
	r := &ctap.BioEnrollmentRequest{Modality: ctap.ModalityFingerprint, Subcommand: s}
	if p != nil {
		params, err := ctap.Marshal(p)
		if err != nil {
			return nil, err
		}
		r.SubcommandParams = params
	}
	if param, protocol := v.authenticate(r.AuthMessage()); param != nil {
		r.PINUVAuthParam, r.PINUVAuthProtocol = *param, protocol
	}
	request := r.Encode()
	if _, has := k.Info.Options[ctap.OptionBioEnroll]; !has {
		request[0] = byte(ctap.CommandBioEnrollmentPreview)
	}
	return ask(ctx, k, request, ctap.ParseBioEnrollmentResponse)
}
