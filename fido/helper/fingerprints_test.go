package helper

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

func (k *fakeKey) Sensor(context.Context) (*fido.Sensor, error) {
	return &fido.Sensor{Kind: ctap.FingerprintKindTouch, Samples: 4, MaxNameLength: 64}, nil
}

func (k *fakeKey) AuthorizeEnrollment(_ context.Context, uv bool, pin fido.PIN) error {
	k.keep(pin)
	k.log(fmt.Sprintf("authorize uv=%v with %d", uv, len(pin)))
	return nil
}

func (k *fakeKey) Fingerprints(context.Context) ([]fido.Fingerprint, error) {
	return []fido.Fingerprint{{ID: []byte{1}, Name: "left\x1b[2J"}, {ID: []byte{2}}}, nil
}

func (k *fakeKey) EnrollBegin(_ context.Context, limit time.Duration) (*fido.Sample, error) {
	k.log("begin " + limit.String())
	return &fido.Sample{ID: []byte{3}, Status: ctap.SampleTooFast, Remaining: 4}, nil
}

// EnrollNext has one finger whose number the daemon won't take.
func (k *fakeKey) EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*fido.Sample, error) {
	k.log(fmt.Sprintf("next %x %v", id, limit))
	switch id[0] {
	case 0xee:
		return &fido.Sample{ID: id, Remaining: 1000}, nil
	case 0xff:
		<-ctx.Done()
		k.log("dark")
		return nil, ctx.Err()
	}
	return &fido.Sample{ID: id, Status: ctap.SampleGood, Remaining: 3}, nil
}

func (k *fakeKey) EnrollCancel(context.Context) error {
	k.log("cancel")
	return nil
}

func (k *fakeKey) RenameFingerprint(_ context.Context, id []byte, name string) error {
	k.log(fmt.Sprintf("rename %x %s", id, name))
	return nil
}

func (k *fakeKey) RemoveFingerprint(_ context.Context, id []byte) error {
	k.log(fmt.Sprintf("remove %x", id))
	return ctap.ErrInvalidOption
}

func TestFingerprints(t *testing.T) {
	k, events := openKey(t, "good")
	ctx := t.Context()
	for _, test := range []struct {
		name  string
		do    func() (any, error)
		event string
		want  any
		err   error
	}{
		{"sensor", func() (any, error) { return k.Sensor(ctx) }, "", &fido.Sensor{Kind: 1, Samples: 4, MaxNameLength: 64}, nil},
		{"by the PIN", func() (any, error) { return nil, k.AuthorizeEnrollment(ctx, false, fido.PIN("1234")) },
			"authorize uv=false with 4", nil, nil},
		{"by a finger", func() (any, error) { return nil, k.AuthorizeEnrollment(ctx, true, nil) },
			"authorize uv=true with 0", nil, nil},
		{"by an empty PIN", func() (any, error) { return nil, k.AuthorizeEnrollment(ctx, false, fido.PIN{}) },
			"", nil, ctap.ErrPINPolicyViolation},
		{"list", func() (any, error) { return k.Fingerprints(ctx) }, "",
			[]fido.Fingerprint{{ID: []byte{1}, Name: "left[2J"}, {ID: []byte{2}}}, nil},
		{"begin", func() (any, error) { return k.EnrollBegin(ctx, 1500*time.Millisecond) }, "begin 1.5s",
			&fido.Sample{ID: []byte{3}, Status: ctap.SampleTooFast, Remaining: 4}, nil},
		{"begin without end", func() (any, error) { return k.EnrollBegin(ctx, time.Hour) }, "begin 5m0s",
			&fido.Sample{ID: []byte{3}, Status: ctap.SampleTooFast, Remaining: 4}, nil},
		{"next", func() (any, error) { return k.EnrollNext(ctx, []byte{3}, time.Second) }, "next 03 1s",
			&fido.Sample{ID: []byte{3}, Remaining: 3}, nil},
		{"nonsense", func() (any, error) { return k.EnrollNext(ctx, []byte{0xee}, 0) }, "next ee 0s",
			(*fido.Sample)(nil), fido.ErrBadAnswer},
		{"cancel", func() (any, error) { return nil, k.EnrollCancel(ctx) }, "cancel", nil, nil},
		{"rename", func() (any, error) { return nil, k.RenameFingerprint(ctx, []byte{1}, "links") }, "rename 01 links", nil, nil},
		{"rename to nonsense", func() (any, error) { return nil, k.RenameFingerprint(ctx, []byte{1}, "\xff") }, "", nil,
			ctap.ErrInvalidParameter},
		{"rename to a novel", func() (any, error) { return nil, k.RenameFingerprint(ctx, []byte{1}, string(make([]byte, 2000))) },
			"", nil, ctap.ErrInvalidLength},
		{"remove", func() (any, error) { return nil, k.RemoveFingerprint(ctx, []byte{1}) }, "remove 01", nil, ctap.ErrInvalidOption},
		{"reset", func() (any, error) { return nil, k.Reset(ctx) }, "reset", nil, ctap.ErrNotAllowed},
	} {
		got, err := test.do()
		if !errors.Is(err, test.err) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v; want %+v, %v", test.name, got, err, test.want, test.err)
		}
		if test.event != "" {
			events.want(t, test.event)
		}
	}
}

// TestEnrollmentIsCancelled: the key is dark, and hears a second time that the finger is to be forgotten.
func TestEnrollmentIsCancelled(t *testing.T) {
	k, events := openKey(t, "good")
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := k.EnrollNext(ctx, []byte{0xff}, 0)
		result <- err
	}()
	events.want(t, "next ff 0s")
	cancel()
	events.want(t, "dark")
	if err := <-result; err != context.Canceled {
		t.Error(err)
	}
	if err := k.EnrollCancel(t.Context()); err != nil {
		t.Error(err)
	}
	events.want(t, "cancel")
}

func FuzzEnroll(f *testing.F) {
	f.Add(encodeEnroll(enrollRequest{UV: true}))
	f.Add(encodeEnroll(enrollRequest{ID: []byte{1, 2}, Name: "left", Limit: 20_000}))
	f.Add(mustBody(encodeSensor(&fido.Sensor{Kind: 2, Samples: 5, MaxNameLength: 64})))
	f.Add(mustBody(encodeFingerprints([]fido.Fingerprint{{ID: []byte{1}, Name: "left"}, {ID: []byte{2}}})))
	f.Add(mustBody(encodeSample(&fido.Sample{ID: []byte{1}, Status: ctap.SampleTooFast, Remaining: 3})))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseEnroll(b); err == nil {
			again, err := parseEnroll(encodeEnroll(r))
			if err != nil || normal(r) != normal(again) {
				t.Fatalf("%+v, then %+v, %v", r, again, err)
			}
		}
		same(t, b, parseSensor, func(v *fido.Sensor) []byte { return mustBody(encodeSensor(v)) })
		same(t, b, parseFingerprints, func(v []fido.Fingerprint) []byte { return mustBody(encodeFingerprints(v)) })
		same(t, b, parseSample, func(v *fido.Sample) []byte { return mustBody(encodeSample(v)) })
	})
}
