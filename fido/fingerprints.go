package fido

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fob/fido/ctap"
)

// Enroller is what an open key can do about fingerprints (CTAP 2.2 §6.7, authenticatorBioEnrollment).
type Enroller interface {
	// Sensor describes the sensor (§6.7.3). It needs no verified person.
	Sensor(ctx context.Context) (*Sensor, error)
	// AuthorizeEnrollment verifies the person for all that follows, until Close: by a finger where uv, else by pin.
	AuthorizeEnrollment(ctx context.Context, uv bool, pin PIN) error
	// Fingerprints lists what is enrolled (§6.7.6).
	Fingerprints(ctx context.Context) ([]Fingerprint, error)
	// EnrollBegin begins to enrol a finger and takes a first sample, for which the person has so long; EnrollNext takes
	// another one of the same finger (§6.7.4). With the last one the finger is enrolled.
	EnrollBegin(ctx context.Context, limit time.Duration) (*Sample, error)
	EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*Sample, error)
	// EnrollCancel forgets a finger that is half enrolled (§6.7.5).
	EnrollCancel(ctx context.Context) error
	// RenameFingerprint and RemoveFingerprint change what is enrolled (§6.7.7, §6.7.8).
	RenameFingerprint(ctx context.Context, id []byte, name string) error
	RemoveFingerprint(ctx context.Context, id []byte) error
}

// Sensor is a fingerprint sensor. Of keys that speak the preview of the command, the limit is not known.
type Sensor struct {
	Kind          uint // ctap.FingerprintKindTouch or FingerprintKindSwipe
	Samples       uint // that a finger needs, at most
	MaxNameLength uint // bytes; 0 where the key doesn't say
}

// Fingerprint is an enrolled finger. Its name is what somebody gave it, and may be empty.
type Fingerprint struct {
	ID   []byte
	Name string
}

// Sample tells how good a sample of a finger was, and how many good ones are wanted still.
type Sample struct {
	ID        []byte // of the finger that is being enrolled
	Status    ctap.SampleStatus
	Remaining uint
}

// sampleDatabaseFull is a sample's status that the preview of the command had (CTAP2_ENROLL_FEEDBACK_FP_DATABASE_FULL).
const sampleDatabaseFull ctap.SampleStatus = 0x0C

// Limits of an enrolment.
const (
	sampleTime = 20 * time.Second // for one sample
	maxIdle    = 3                // samples in a row for which nobody comes
	maxSamples = 64               // good and bad; sensors want from 3 to 16 good ones
	undoTime   = 2 * time.Second  // to clean up on the key after who has gone: a finger that was not enrolled to the end
)

// ErrSamples ends an enrolment that does not come to its end, whatever the person does.
var ErrSamples = errors.New("the sensor got no usable fingerprint")

// NameLengthError is a fingerprint's name that is longer than the key takes.
type NameLengthError struct {
	Max uint // bytes of UTF-8
}

func (e *NameLengthError) Error() string {
	return fmt.Sprintf("a fingerprint's name has at most %d bytes on this key", e.Max)
}

// FingerprintError is a fingerprint that the person named, which none or several have.
type FingerprintError struct {
	Asked string
	Found []Fingerprint // none, or several
}

func (e *FingerprintError) Error() string {
	if len(e.Found) == 0 {
		return fmt.Sprintf("no fingerprint %q is enrolled", e.Asked)
	}
	return fmt.Sprintf("%q names %d fingerprints", e.Asked, len(e.Found))
}

// ListFingerprints gives what is enrolled on a key, and what its sensor is like.
func ListFingerprints(ctx context.Context, key Candidate, p Prompter) (sensor *Sensor, list []Fingerprint, err error) {
	c, sensor, err := enrolling(ctx, key, p)
	if err != nil {
		return nil, nil, err
	}
	if list, err = c.fingerprints(ctx); err != nil {
		return nil, nil, err
	}
	return sensor, list, nil
}

// AddFingerprint enrols a finger, and gives it a name unless that is empty. The person hears of each sample. Where it
// fails, or ctx ends, nothing is left enrolled, as far as the key still obeys.
func AddFingerprint(ctx context.Context, key Candidate, p Prompter, name string) (*Fingerprint, error) {
	c, sensor, err := enrolling(ctx, key, p)
	if err != nil {
		return nil, err
	}
	if err := sensor.takes(name); err != nil {
		return nil, err
	}
	if err := c.manage(ctx, ctap.PermissionBioEnrollment, c.key.AuthorizeEnrollment); err != nil {
		return nil, err
	}
	e, err := c.enroll(ctx)
	if err == nil && name != "" {
		err = c.key.RenameFingerprint(ctx, e.id, name)
	}
	if err == nil {
		err = ctx.Err() // nobody would hear of it
	}
	if err != nil {
		return nil, c.undo(ctx, e, err)
	}
	return &Fingerprint{e.id, name}, nil
}

// RenameFingerprint gives an enrolled finger another name. which is its ID, in hex or base64url, the beginning of it,
// or its name.
func RenameFingerprint(ctx context.Context, key Candidate, p Prompter, which, name string) (*Fingerprint, error) {
	c, sensor, err := enrolling(ctx, key, p)
	if err != nil {
		return nil, err
	}
	if err := sensor.takes(name); err != nil {
		return nil, err
	}
	f, err := c.fingerprint(ctx, which)
	if err != nil {
		return nil, err
	}
	return &Fingerprint{f.ID, name}, c.key.RenameFingerprint(ctx, f.ID, name)
}

// RemoveFingerprint makes a key forget a finger, and says which.
func RemoveFingerprint(ctx context.Context, key Candidate, p Prompter, which string) (*Fingerprint, error) {
	c, _, err := enrolling(ctx, key, p)
	if err != nil {
		return nil, err
	}
	f, err := c.fingerprint(ctx, which)
	if err != nil {
		return nil, err
	}
	return f, c.key.RemoveFingerprint(ctx, f.ID)
}

// enrolling begins what is about fingerprints.
func enrolling(ctx context.Context, key Candidate, p Prompter) (*ceremony, *Sensor, error) {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	if err != nil {
		return nil, nil, err
	}
	if !enrolls(c.info) {
		return nil, nil, Unsupported("to enrol fingerprints")
	}
	sensor, err := c.key.Sensor(ctx)
	return c, sensor, err
}

// enrolls reports whether a key enrols fingerprints, by the command or by its preview.
func enrolls(info *ctap.GetInfoResponse) bool {
	_, has := info.Options[ctap.OptionBioEnroll]
	_, preview := info.Options[ctap.OptionUserVerificationMgmtPreview]
	return has || preview
}

func (s *Sensor) takes(name string) error {
	if s.MaxNameLength > 0 && uint(len(name)) > s.MaxNameLength {
		return &NameLengthError{s.MaxNameLength}
	}
	return nil
}

// IsFingerprintName reports whether a name is fit for a screen: UTF-8 that can be printed, and not of spaces alone.
func IsFingerprintName(name string) bool {
	return utf8.ValidString(name) && strings.TrimSpace(name) == name && name != "" &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

func (c *ceremony) fingerprints(ctx context.Context) ([]Fingerprint, error) {
	if err := c.manage(ctx, ctap.PermissionBioEnrollment, c.key.AuthorizeEnrollment); err != nil {
		return nil, err
	}
	return c.key.Fingerprints(ctx)
}

// fingerprint finds the finger that the person means.
func (c *ceremony) fingerprint(ctx context.Context, which string) (*Fingerprint, error) {
	list, err := c.fingerprints(ctx)
	if err != nil {
		return nil, err
	}
	found := match(list, which)
	if len(found) != 1 {
		return nil, &FingerprintError{which, found}
	}
	return &found[0], nil
}

// match finds the fingerprints that which may mean. A whole ID means that one, whatever others are called.
func match(list []Fingerprint, which string) []Fingerprint {
	var whole, part []Fingerprint
	for _, f := range list {
		inHex, inBase64 := f.texts()
		begins := len(which) >= minPrefix &&
			(strings.HasPrefix(inHex, strings.ToLower(which)) || strings.HasPrefix(inBase64, which))
		switch {
		case which == "":
		case strings.EqualFold(which, inHex), which == inBase64:
			whole = append(whole, f)
		case begins, which == f.Name:
			part = append(part, f)
		}
	}
	if len(whole) > 0 {
		return whole
	}
	return part
}

// texts are the ID as people write it: in hex, and in base64url.
func (f *Fingerprint) texts() (inHex, inBase64 string) {
	return hex.EncodeToString(f.ID), base64.RawURLEncoding.EncodeToString(f.ID)
}

// enrollment is a finger that is being enrolled.
type enrollment struct {
	id    []byte // nil before the key has given one
	whole bool   // the key had all the samples that it wanted
}

// enroll takes samples until the finger is enrolled. What it has come to is told with an error, too.
func (c *ceremony) enroll(ctx context.Context) (e enrollment, err error) {
	var s *Sample
	err = c.prompting(ctx, TouchPrompt{Finger: true}, func(ctx context.Context) (err error) {
		s, err = c.key.EnrollBegin(ctx, sampleTime)
		return err
	})
	idle := 0
	for range maxSamples {
		if err != nil {
			return e, err
		}
		e = enrollment{s.ID, s.Status == ctap.SampleGood && s.Remaining == 0}
		if err := c.prompt.Sampled(ctx, c.device, *s); err != nil {
			return e, err
		}
		if idle++; s.Status != ctap.SampleNoUserActivity {
			idle = 0
		}
		switch {
		case e.whole:
			return e, nil
		case s.Status == sampleDatabaseFull:
			return e, ctap.ErrFPDatabaseFull
		case idle == maxIdle:
			return e, ctap.ErrUserActionTimeout
		}
		s, err = c.key.EnrollNext(ctx, e.id, sampleTime)
	}
	return e, ErrSamples
}

// undo makes the key forget a finger that shall not be enrolled, for err. It gives err, and says so if the finger
// stays.
func (c *ceremony) undo(ctx context.Context, e enrollment, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if !e.whole {
		_ = c.key.EnrollCancel(ctx) // a key that does not obey is gone, or will forget it with the next enrolment
		return err
	}
	if failed := c.key.RemoveFingerprint(ctx, e.id); failed != nil {
		return fmt.Errorf("%w; the finger stays enrolled: %v", err, failed)
	}
	return err
}
