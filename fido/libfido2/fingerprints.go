package libfido2

import (
	"context"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// Sensor describes the fingerprint sensor (CTAP 2.2 §6.7.3).
func (d *Device) Sensor(ctx context.Context) (*fido.Sensor, error) {
	k, err := d.platform(ctx)
	if err != nil {
		return nil, err
	}
	return k.Sensor(ctx)
}

// AuthorizeEnrollment verifies the person, by a finger where uv, else by the PIN (CTAP 2.2 §6.5.5.7). What follows
// needs it, until Close.
func (d *Device) AuthorizeEnrollment(ctx context.Context, uv bool, pin fido.PIN) error {
	k, err := d.platform(ctx)
	if err != nil {
		return err
	}
	f, err := k.Fingerprints(ctx, uv, pin)
	if err != nil {
		return err
	}
	d.endFingerprints()
	d.fingerprints = f
	return nil
}

func (d *Device) endFingerprints() {
	if d.fingerprints != nil {
		d.fingerprints.End()
		d.fingerprints = nil
	}
}

// Fingerprints lists the enrolled fingerprints (CTAP 2.2 §6.7.6).
func (d *Device) Fingerprints(ctx context.Context) ([]fido.Fingerprint, error) {
	if d.fingerprints == nil {
		return nil, ctap.ErrPUATRequired
	}
	return d.fingerprints.List(ctx)
}

// EnrollBegin begins to enrol a finger, with a first sample (CTAP 2.2 §6.7.4).
func (d *Device) EnrollBegin(ctx context.Context, limit time.Duration) (*fido.Sample, error) {
	if d.fingerprints == nil {
		return nil, ctap.ErrPUATRequired
	}
	return d.fingerprints.EnrollBegin(ctx, limit)
}

// EnrollNext takes another sample.
func (d *Device) EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*fido.Sample, error) {
	if d.fingerprints == nil {
		return nil, ctap.ErrPUATRequired
	}
	return d.fingerprints.EnrollNext(ctx, id, limit)
}

// EnrollCancel forgets a finger that is half enrolled (CTAP 2.2 §6.7.5).
func (d *Device) EnrollCancel(ctx context.Context) error {
	if d.fingerprints == nil {
		return ctap.ErrPUATRequired
	}
	return d.fingerprints.EnrollCancel(ctx)
}

// RenameFingerprint gives an enrolled fingerprint another name (CTAP 2.2 §6.7.7).
func (d *Device) RenameFingerprint(ctx context.Context, id []byte, name string) error {
	if d.fingerprints == nil {
		return ctap.ErrPUATRequired
	}
	return d.fingerprints.Rename(ctx, id, name)
}

// RemoveFingerprint forgets an enrolled fingerprint (CTAP 2.2 §6.7.8).
func (d *Device) RemoveFingerprint(ctx context.Context, id []byte) error {
	if d.fingerprints == nil {
		return ctap.ErrPUATRequired
	}
	return d.fingerprints.Remove(ctx, id)
}
