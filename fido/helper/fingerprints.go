package helper

import (
	"bytes"
	"context"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// Limits of what is said about fingerprints. CTAP has none for their number and their IDs.
const (
	maxFingerprints      = 256
	maxFingerprintID     = 255  // bytes
	maxFingerprintName   = 1024 // bytes; keys take 64
	maxSensorSamples     = 255
	maxSampleStatus      = 0xff
	maxSampleTime        = 5 * time.Minute
	maxFingerprintLength = 1 << 16 // bytes that a key may say that a name may have
)

// enrollRequest is the body of requests about fingerprints.
type enrollRequest struct {
	UV    bool       `cbor:"1,keyasint,omitempty"`
	ID    ctap.Bytes `cbor:"2,keyasint,omitempty"`
	Name  string     `cbor:"3,keyasint,omitempty"`
	Limit uint32     `cbor:"4,keyasint,omitempty"` // of a sample, in milliseconds
}

// Sensor implements fido.Authenticator.
func (k key) Sensor(ctx context.Context) (*fido.Sensor, error) {
	return call(ctx, k.client, request{Op: opSensor}, parseSensor)
}

// AuthorizeEnrollment implements fido.Authenticator.
func (k key) AuthorizeEnrollment(ctx context.Context, uv bool, pin fido.PIN) error {
	if err := checkPIN(pin); err != nil {
		return err
	}
	return k.change(ctx, request{Op: opAuthorizeEnrollment, Body: encodeEnroll(enrollRequest{UV: uv}), PIN: pin})
}

// Fingerprints implements fido.Authenticator.
func (k key) Fingerprints(ctx context.Context) ([]fido.Fingerprint, error) {
	return call(ctx, k.client, request{Op: opFingerprints}, parseFingerprints)
}

// EnrollBegin implements fido.Authenticator.
func (k key) EnrollBegin(ctx context.Context, limit time.Duration) (*fido.Sample, error) {
	body := encodeEnroll(enrollRequest{Limit: milliseconds(limit)})
	return call(ctx, k.client, request{Op: opEnrollBegin, Body: body}, parseSample)
}

// EnrollNext implements fido.Authenticator.
func (k key) EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*fido.Sample, error) {
	body := encodeEnroll(enrollRequest{ID: id, Limit: milliseconds(limit)})
	return call(ctx, k.client, request{Op: opEnrollNext, Body: body}, parseSample)
}

// EnrollCancel implements fido.Authenticator.
func (k key) EnrollCancel(ctx context.Context) error {
	return k.change(ctx, request{Op: opEnrollCancel})
}

// RenameFingerprint implements fido.Authenticator.
func (k key) RenameFingerprint(ctx context.Context, id []byte, name string) error {
	r := enrollRequest{ID: id, Name: name}
	if err := r.check(); err != nil {
		return err
	}
	return k.change(ctx, request{Op: opRenameFingerprint, Body: encodeEnroll(r)})
}

// RemoveFingerprint implements fido.Authenticator.
func (k key) RemoveFingerprint(ctx context.Context, id []byte) error {
	return k.change(ctx, request{Op: opRemoveFingerprint, Body: encodeEnroll(enrollRequest{ID: id})})
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d, 0), maxSampleTime).Milliseconds())
}

// enroll is ceremony for fingerprints.
func (s *session) enroll(ctx context.Context, req *request) ([]byte, error) {
	r, err := parseEnroll(req.Body)
	if err != nil {
		return nil, err
	}
	limit := time.Duration(r.Limit) * time.Millisecond
	switch req.Op {
	case opSensor:
		sensor, err := s.key.Sensor(ctx)
		return answer(parseSensor, encodeSensor, sensor, err)
	case opAuthorizeEnrollment:
		if err := checkPIN(req.PIN); err != nil {
			return nil, err
		}
		return nil, s.key.AuthorizeEnrollment(ctx, r.UV, req.PIN)
	case opFingerprints:
		list, err := s.key.Fingerprints(ctx)
		return answer(parseFingerprints, encodeFingerprints, list, err)
	case opEnrollBegin:
		sample, err := s.key.EnrollBegin(ctx, limit)
		return answer(parseSample, encodeSample, sample, err)
	case opEnrollNext:
		sample, err := s.key.EnrollNext(ctx, r.ID, limit)
		return answer(parseSample, encodeSample, sample, err)
	case opEnrollCancel:
		return nil, s.key.EnrollCancel(ctx)
	case opRenameFingerprint:
		return nil, s.key.RenameFingerprint(ctx, r.ID, r.Name)
	case opRemoveFingerprint:
		return nil, s.key.RemoveFingerprint(ctx, r.ID)
	default:
		return nil, ctap.ErrInvalidCommand
	}
}

// answer gives the body of a reply that tells of v, if err is nil and the daemon will take it.
func answer[T any](parse func([]byte) (T, error), encode func(T) ([]byte, error), v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return sensible(parse)(encode(v))
}

func encodeEnroll(r enrollRequest) []byte {
	b, err := ctap.Marshal(r)
	if err != nil {
		panic(err) // of numbers, bytes and text
	}
	return b
}

// parseEnroll decodes what encodeEnroll encodes. No body is that of a request which needs to say nothing.
func parseEnroll(body []byte) (r enrollRequest, err error) {
	if len(body) == 0 {
		return r, nil
	}
	if err := ctap.Unmarshal(body, &r); err != nil {
		return r, err
	}
	return r, r.check()
}

func (r *enrollRequest) check() error {
	if len(r.ID) > maxFingerprintID || r.Limit > uint32(maxSampleTime.Milliseconds()) {
		return ctap.ErrLimitExceeded
	}
	return checkText(r.Name, maxFingerprintName)
}

type sensor struct {
	Kind          uint `cbor:"1,keyasint,omitempty"`
	Samples       uint `cbor:"2,keyasint,omitempty"`
	MaxNameLength uint `cbor:"3,keyasint,omitempty"`
}

func encodeSensor(s *fido.Sensor) ([]byte, error) { return ctap.Marshal(sensor(*s)) }

func parseSensor(body []byte) (*fido.Sensor, error) {
	var s sensor
	if err := ctap.Unmarshal(body, &s); err != nil {
		return nil, err
	}
	if s.Kind > ctap.FingerprintKindSwipe || s.Samples > maxSensorSamples || s.MaxNameLength > maxFingerprintLength {
		return nil, ctap.ErrLimitExceeded
	}
	parsed := fido.Sensor(s)
	return &parsed, nil
}

type fingerprint struct {
	ID   ctap.Bytes `cbor:"1,keyasint"`
	Name string     `cbor:"2,keyasint,omitempty"`
}

func encodeFingerprints(list []fido.Fingerprint) ([]byte, error) {
	prints := make([]fingerprint, len(list))
	for i, f := range list {
		prints[i] = fingerprint{f.ID, clean(f.Name, maxFingerprintName)}
	}
	return ctap.Marshal(prints)
}

// parseFingerprints decodes what encodeFingerprints encodes. Each has an ID of its own.
func parseFingerprints(body []byte) ([]fido.Fingerprint, error) {
	var prints []fingerprint
	if err := ctap.Unmarshal(body, &prints); err != nil {
		return nil, err
	}
	if len(prints) > maxFingerprints {
		return nil, ctap.ErrLimitExceeded
	}
	list := make([]fido.Fingerprint, len(prints))
	for i, f := range prints {
		if n := len(f.ID); n == 0 || n > maxFingerprintID {
			return nil, ctap.ErrInvalidLength
		}
		for _, before := range list[:i] {
			if bytes.Equal(before.ID, f.ID) {
				return nil, ctap.ErrInvalidParameter
			}
		}
		list[i] = fido.Fingerprint{ID: f.ID, Name: clean(f.Name, maxFingerprintName)}
	}
	return list, nil
}

type sample struct {
	ID        ctap.Bytes        `cbor:"1,keyasint"`
	Status    ctap.SampleStatus `cbor:"2,keyasint,omitempty"`
	Remaining uint              `cbor:"3,keyasint,omitempty"`
}

func encodeSample(s *fido.Sample) ([]byte, error) {
	return ctap.Marshal(sample{s.ID, s.Status, s.Remaining})
}

func parseSample(body []byte) (*fido.Sample, error) {
	var s sample
	if err := ctap.Unmarshal(body, &s); err != nil {
		return nil, err
	}
	if n := len(s.ID); n == 0 || n > maxFingerprintID {
		return nil, ctap.ErrInvalidLength
	}
	if s.Status > maxSampleStatus || s.Remaining > maxSensorSamples {
		return nil, ctap.ErrLimitExceeded
	}
	return &fido.Sample{ID: s.ID, Status: s.Status, Remaining: s.Remaining}, nil
}
