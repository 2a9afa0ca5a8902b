package libfido2

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

// sensor is a key with a fingerprint sensor and the PIN 1234, whose person lays fingers on it as a test says.
type sensor struct {
	*emulator.Authenticator
	mu       sync.Mutex
	commands []ctap.Command
	fingers  chan error // what the next fingers are; closed for good ones
}

func newSensor(t *testing.T, change func(*emulator.Profile)) *sensor {
	t.Helper()
	p, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	change(p)
	s := &sensor{fingers: make(chan error, 8)}
	s.Authenticator = newKey(t, emulator.Options{Profile: p, Presence: s.presence})
	if err := s.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sensor) presence(ctx context.Context, _ emulator.PresenceRequest) error {
	select {
	case f := <-s.fingers:
		return f
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sensor) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	s.mu.Lock()
	s.commands = append(s.commands, ctap.Command(r.Payload[0]))
	s.mu.Unlock()
	return s.Authenticator.ServeCTAP(ctx, r, k)
}

// asked reports whether the key was sent a command.
func (s *sensor) asked(c ctap.Command) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.commands, c)
}

// enrol enrols a finger, whose samples are these.
func enrol(t *testing.T, d *Device, s *sensor, fingers ...error) []byte {
	t.Helper()
	for _, f := range fingers {
		s.fingers <- f
	}
	sample, err := d.EnrollBegin(t.Context(), time.Minute)
	for err == nil && sample.Remaining > 0 {
		sample, err = d.EnrollNext(t.Context(), sample.ID, time.Minute)
	}
	if err != nil || sample.Status != ctap.SampleGood {
		t.Fatal(sample, err)
	}
	return sample.ID
}

func TestFingerprints(t *testing.T) {
	same := func(*emulator.Profile) {}
	for _, test := range []struct {
		name    string
		change  func(*emulator.Profile)
		hidden  []string // options that the key doesn't tell of
		command ctap.Command
	}{
		{"protocol two", same, nil, ctap.CommandBioEnrollment},
		{"protocol one", func(p *emulator.Profile) { p.PINProtocols = []ctap.PINProtocol{ctap.PINProtocolOne} }, nil,
			ctap.CommandBioEnrollment},
		{"without the preview", func(p *emulator.Profile) { p.BioEnrollmentPreview = false }, nil, ctap.CommandBioEnrollment},
		{"the preview alone", same, []string{ctap.OptionBioEnroll}, ctap.CommandBioEnrollmentPreview},
		{"a token without permissions", func(p *emulator.Profile) { p.Tokens = false }, []string{ctap.OptionBioEnroll},
			ctap.CommandBioEnrollmentPreview},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSensor(t, test.change)
			path, _ := plug(t, rewrite{s, ctap.CommandGetInfo, func(m map[int]any) {
				for _, name := range test.hidden {
					delete(m[4].(map[any]any), name)
				}
			}})
			d := open(t, path)
			ctx := t.Context()
			if got, err := d.Sensor(ctx); err != nil || *got != (fido.Sensor{Kind: ctap.FingerprintKindTouch, Samples: 4, MaxNameLength: 64}) {
				t.Error(got, err)
			}
			if _, err := d.Fingerprints(ctx); err != ctap.ErrPUATRequired {
				t.Error(err)
			}
			if err := d.AuthorizeEnrollment(ctx, false, fido.PIN("12345")); err != ctap.ErrPINInvalid {
				t.Error(err)
			}
			if err := d.AuthorizeEnrollment(ctx, false, fido.PIN("1234")); err != nil {
				t.Fatal(err)
			}
			if list, err := d.Fingerprints(ctx); err != nil || len(list) != 0 {
				t.Error(list, err)
			}
			first := enrol(t, d, s, nil, emulator.BadSample(ctap.SampleTooFast), nil, nil, nil)
			second := enrol(t, d, s, nil, nil, nil, nil)
			if err := d.RenameFingerprint(ctx, first, "left"); err != nil {
				t.Error(err)
			}
			if err := d.RenameFingerprint(ctx, first, strings.Repeat("x", 65)); err != ctap.ErrInvalidLength {
				t.Error(err)
			}
			list, err := d.Fingerprints(ctx)
			if err != nil || len(list) != 2 || !bytes.Equal(list[0].ID, first) || list[0].Name != "left" || list[1].Name != "" {
				t.Errorf("%v, %v", list, err)
			}
			if err := d.RemoveFingerprint(ctx, second); err != nil {
				t.Error(err)
			}
			if err := d.RemoveFingerprint(ctx, second); err != ctap.ErrInvalidOption {
				t.Error(err)
			}
			if got := s.Status().Fingerprints; got != 1 {
				t.Errorf("%d fingerprints", got)
			}
			other := ctap.CommandBioEnrollment + ctap.CommandBioEnrollmentPreview - test.command
			if !s.asked(test.command) || s.asked(other) {
				t.Errorf("asked %v", s.commands)
			}
		})
	}
}

// TestAuthorizeByFinger takes the finger that is enrolled in place of the PIN, and not another one.
func TestAuthorizeByFinger(t *testing.T) {
	s := newSensor(t, func(*emulator.Profile) {})
	path, _ := plug(t, s)
	d := open(t, path)
	if err := d.AuthorizeEnrollment(t.Context(), false, fido.PIN("1234")); err != nil {
		t.Fatal(err)
	}
	id := enrol(t, d, s, nil, nil, nil, nil)
	d.Close()
	d = open(t, path)
	s.fingers <- emulator.ErrNoMatch
	if err := d.AuthorizeEnrollment(t.Context(), true, nil); err != ctap.ErrUVInvalid {
		t.Error(err)
	}
	if err := d.RemoveFingerprint(t.Context(), id); err != ctap.ErrPUATRequired {
		t.Error(err)
	}
	s.fingers <- nil
	if err := d.AuthorizeEnrollment(t.Context(), true, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.RemoveFingerprint(t.Context(), id); err != nil {
		t.Error(err)
	}
	for _, both := range []fido.PIN{nil, fido.PIN("1234")} {
		if err := d.AuthorizeEnrollment(t.Context(), both != nil, both); err != ctap.ErrMissingParameter {
			t.Error(err)
		}
	}
}

// TestEnrollmentIsCancelled: the key is dark, and knows no new finger; the next enrolment is not disturbed.
func TestEnrollmentIsCancelled(t *testing.T) {
	s := newSensor(t, func(*emulator.Profile) {})
	path, _ := plug(t, s)
	d := open(t, path)
	if err := d.EnrollCancel(t.Context()); err != ctap.ErrPUATRequired {
		t.Error(err)
	}
	if err := d.AuthorizeEnrollment(t.Context(), false, fido.PIN("1234")); err != nil {
		t.Fatal(err)
	}
	s.fingers <- nil
	sample, err := d.EnrollBegin(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.EnrollNext(ctx, sample.ID, time.Minute); err != context.DeadlineExceeded {
		t.Error(err)
	}
	if err := d.EnrollCancel(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := d.EnrollNext(t.Context(), sample.ID, time.Minute); err != ctap.ErrInvalidParameter {
		t.Error(err)
	}
	enrol(t, d, s, nil, nil, nil, nil)
	if got := s.Status().Fingerprints; got != 1 {
		t.Errorf("%d fingerprints", got)
	}
}

// TestSampleTimeout: the key waits no longer than it was told to.
func TestSampleTimeout(t *testing.T) {
	s := newSensor(t, func(*emulator.Profile) {})
	path, _ := plug(t, s)
	d := open(t, path)
	if err := d.AuthorizeEnrollment(t.Context(), false, fido.PIN("1234")); err != nil {
		t.Fatal(err)
	}
	sample, err := d.EnrollBegin(t.Context(), 50*time.Millisecond)
	if err != nil || sample.Status != ctap.SampleNoUserActivity || sample.Remaining != 4 {
		t.Error(sample, err)
	}
}

// TestHostileSensor: answers that lack what they must have, and tokens that can be none.
func TestHostileSensor(t *testing.T) {
	for name, test := range map[string]struct {
		command ctap.Command
		change  func(map[int]any)
	}{
		"no status":             {ctap.CommandBioEnrollment, func(m map[int]any) { delete(m, 5) }},
		"no remaining":          {ctap.CommandBioEnrollment, func(m map[int]any) { delete(m, 6) }},
		"no template":           {ctap.CommandBioEnrollment, func(m map[int]any) { delete(m, 4) }},
		"another type":          {ctap.CommandBioEnrollment, func(m map[int]any) { m[4] = "text" }},
		"an empty token":        {ctap.CommandClientPIN, func(m map[int]any) { m[2] = []byte{} }},
		"half a block":          {ctap.CommandClientPIN, func(m map[int]any) { m[2] = make([]byte, 33) }},
		"a long token":          {ctap.CommandClientPIN, func(m map[int]any) { m[2] = make([]byte, 64) }},
		"no key for the secret": {ctap.CommandClientPIN, func(m map[int]any) { delete(m, 1) }},
		"a key of nothing":      {ctap.CommandClientPIN, func(m map[int]any) { m[1] = map[int]any{1: 2, 3: -25, -1: 1} }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSensor(t, func(*emulator.Profile) {})
			path, _ := plug(t, rewrite{s, test.command, test.change})
			d := open(t, path)
			err := d.AuthorizeEnrollment(t.Context(), false, fido.PIN("1234"))
			if test.command == ctap.CommandBioEnrollment && err == nil {
				s.fingers <- nil
				_, err = d.EnrollBegin(t.Context(), time.Minute)
			}
			if !errors.Is(err, fido.ErrBadAnswer) {
				t.Error(err)
			}
		})
	}
}

// TestReset: the key erases itself while it is fresh, with a touch, and knows its PIN no more.
func TestReset(t *testing.T) {
	var clock emulator.Clock
	var touched atomic.Bool
	f := newFinger()
	key := newKey(t, emulator.Options{Now: clock.Now, Presence: func(ctx context.Context, r emulator.PresenceRequest) error {
		if touched.Load() {
			return nil
		}
		return f.presence(ctx, r)
	}})
	if err := key.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, key)
	d := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- d.Reset(ctx) }()
	await(t, "light", f.waiting)
	cancel()
	await(t, "dark", f.dark)
	if err := <-result; err != context.Canceled || !key.Status().PINSet {
		t.Error(err)
	}
	touched.Store(true)
	if err := d.Reset(t.Context()); err != nil || key.Status().PINSet {
		t.Error(err)
	}
	if info, err := d.GetInfo(t.Context()); err != nil || info.Options[ctap.OptionClientPIN] {
		t.Error(info, err)
	}
	if _, err := d.MakeCredential(t.Context(), registration("ada")); err != nil { // libfido2 knows that the PIN is gone
		t.Error(err)
	}
	if _, err := clock.Advance(11 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(t.Context()); err != ctap.ErrNotAllowed {
		t.Error(err)
	}
}
