package fido

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido/ctap"
)

// sensorKey is a key with a sensor: samples are what becomes of the fingers that are laid on it.
type sensorKey struct {
	scriptedKey
	list      []Fingerprint
	samples   []any // Sample or error; the last one again and again
	maxName   uint
	renameErr error
	removeErr error
	done      func(op string) // called after each operation; may be nil
}

func (k *sensorKey) note(format string, args ...any) {
	k.asked = append(k.asked, fmt.Sprintf(format, args...))
	if k.done != nil {
		k.done(k.asked[len(k.asked)-1])
	}
}

func (k *sensorKey) Sensor(context.Context) (*Sensor, error) {
	return &Sensor{Kind: ctap.FingerprintKindTouch, Samples: 3, MaxNameLength: k.maxName}, nil
}

func (k *sensorKey) AuthorizeEnrollment(ctx context.Context, uv bool, pin PIN) error {
	err := k.next(ctx, uv, pin)
	k.asked[len(k.asked)-1] = "authorize " + k.asked[len(k.asked)-1]
	return err
}

func (k *sensorKey) Fingerprints(context.Context) ([]Fingerprint, error) { return k.list, nil }

func (k *sensorKey) EnrollBegin(ctx context.Context, limit time.Duration) (*Sample, error) {
	Waiting(ctx)
	return k.sample(ctx, "begin %v", limit)
}

func (k *sensorKey) EnrollNext(ctx context.Context, id []byte, limit time.Duration) (*Sample, error) {
	return k.sample(ctx, "next %x %v", id, limit)
}

func (k *sensorKey) sample(ctx context.Context, format string, args ...any) (*Sample, error) {
	k.note(format, args...)
	next := k.samples[0]
	if len(k.samples) > 1 {
		k.samples = k.samples[1:]
	}
	if err, ok := next.(error); ok {
		return nil, err
	}
	s := next.(Sample)
	s.ID = []byte{0xab}
	return &s, nil
}

func (k *sensorKey) EnrollCancel(ctx context.Context) error {
	if ctx.Err() == nil {
		k.note("cancel")
	}
	return ctx.Err()
}

func (k *sensorKey) RenameFingerprint(_ context.Context, id []byte, name string) error {
	k.note("rename %x %q", id, name)
	return k.renameErr
}

func (k *sensorKey) RemoveFingerprint(ctx context.Context, id []byte) error {
	if ctx.Err() == nil {
		k.note("remove %x", id)
	}
	return errors.Join(k.removeErr, ctx.Err())
}

func good(remaining uint) Sample { return Sample{Status: ctap.SampleGood, Remaining: remaining} }

func bad(s ctap.SampleStatus, remaining uint) Sample { return Sample{Status: s, Remaining: remaining} }

func TestAddFingerprint(t *testing.T) {
	const authorize, begin, next = "authorize uv=false pin=1234", "begin 20s", "next ab 20s"
	idle := bad(ctap.SampleNoUserActivity, 2)
	for _, test := range []struct {
		name    string
		options string // with bioEnroll and clientPin where it is empty
		finger  string
		key     sensorKey
		asked   []string
		seen    []string // what the person hears of samples
		want    error
	}{
		{
			name: "three samples", key: sensorKey{samples: []any{good(2), good(1), good(0)}},
			asked: []string{authorize, begin, next, next},
			seen:  []string{"sample GOOD remaining=2", "sample GOOD remaining=1", "sample GOOD remaining=0"},
		},
		{
			name: "with a name", finger: "thumb", key: sensorKey{maxName: 5, samples: []any{good(0)}},
			asked: []string{authorize, begin, `rename ab "thumb"`}, seen: []string{"sample GOOD remaining=0"},
		},
		{
			name: "bad samples", key: sensorKey{samples: []any{bad(ctap.SampleTooFast, 1), good(1), bad(0x42, 1), good(0)}},
			asked: []string{authorize, begin, next, next, next},
			seen: []string{"sample TOO_FAST remaining=1", "sample GOOD remaining=1", "sample 0x42 remaining=1",
				"sample GOOD remaining=0"},
		},
		{
			name: "a name that is too long", finger: "thumbs", key: sensorKey{maxName: 5}, want: &NameLengthError{5},
		},
		{
			name: "a key that doesn't say how long", finger: "thumbs", key: sensorKey{samples: []any{good(0)}},
			asked: []string{authorize, begin, `rename ab "thumbs"`}, seen: []string{"sample GOOD remaining=0"},
		},
		{
			name: "a name that the key refuses", finger: "x",
			key:   sensorKey{samples: []any{good(0)}, renameErr: ctap.ErrInvalidLength},
			asked: []string{authorize, begin, `rename ab "x"`, "remove ab"}, seen: []string{"sample GOOD remaining=0"},
			want: ctap.ErrInvalidLength,
		},
		{
			name: "nobody", key: sensorKey{samples: []any{idle}}, asked: []string{authorize, begin, next, next, "cancel"},
			seen: slices.Repeat([]string{"sample NO_USER_ACTIVITY remaining=2"}, 3), want: ctap.ErrUserActionTimeout,
		},
		{
			name:  "nobody now and then",
			key:   sensorKey{samples: []any{idle, idle, good(1), idle, idle, good(0)}},
			asked: []string{authorize, begin, next, next, next, next, next},
			seen: []string{"sample NO_USER_ACTIVITY remaining=2", "sample NO_USER_ACTIVITY remaining=2", "sample GOOD remaining=1",
				"sample NO_USER_ACTIVITY remaining=2", "sample NO_USER_ACTIVITY remaining=2", "sample GOOD remaining=0"},
		},
		{
			name: "full", key: sensorKey{samples: []any{ctap.ErrFPDatabaseFull}},
			asked: []string{authorize, begin, "cancel"}, want: ctap.ErrFPDatabaseFull,
		},
		{
			name: "full, as the preview says", key: sensorKey{samples: []any{bad(0x0c, 3)}},
			asked: []string{authorize, begin, "cancel"}, seen: []string{"sample 0x0c remaining=3"}, want: ctap.ErrFPDatabaseFull,
		},
		{
			name: "the key gives up", key: sensorKey{samples: []any{good(2), ctap.ErrUserActionTimeout}},
			asked: []string{authorize, begin, next, "cancel"}, seen: []string{"sample GOOD remaining=2"},
			want: ctap.ErrUserActionTimeout,
		},
		{
			name: "the last one is bad", key: sensorKey{samples: []any{bad(ctap.SampleMergeFailure, 0), good(0)}},
			asked: []string{authorize, begin, next}, seen: []string{"sample MERGE_FAILURE remaining=0", "sample GOOD remaining=0"},
		},
		{
			name: "a finger does", options: "bioEnroll uv uvBioEnroll pinUvAuthToken clientPin",
			key: sensorKey{samples: []any{good(0)}}, asked: []string{"authorize uv=true pin=", begin},
			seen: []string{"sample GOOD remaining=0"},
		},
		{
			name: "the preview alone", options: "!userVerificationMgmtPreview clientPin",
			key: sensorKey{samples: []any{good(0)}}, asked: []string{authorize, begin}, seen: []string{"sample GOOD remaining=0"},
		},
		{
			name: "no sensor", options: "clientPin", want: Unsupported("to enrol fingerprints"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.options == "" {
				test.options = "!bioEnroll clientPin"
			}
			k := test.key
			k.retries, k.fingers = 8, 3
			k.info = ctap.GetInfoResponse{Options: options(strings.Fields(test.options)...)}
			who := &person{pins: []string{"1234"}}
			f, err := AddFingerprint(t.Context(), alone(&k).Now[0], who, test.finger)
			var long *NameLengthError
			if errors.As(test.want, &long) {
				var got *NameLengthError
				if !errors.As(err, &got) || *got != *long {
					t.Error(err)
				}
			} else if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if err == nil && (string(f.ID) != "\xab" || f.Name != test.finger) {
				t.Errorf("%+v", f)
			}
			who.seen = slices.DeleteFunc(who.seen, func(s string) bool { return !strings.HasPrefix(s, "sample") })
			if !slices.Equal(k.asked, test.asked) || !slices.Equal(who.seen, test.seen) {
				t.Errorf("the key was asked %q, the person %q", k.asked, who.seen)
			}
		})
	}
}

// TestEndlessEnrollment: a key that is never satisfied ends the enrolment all the same.
func TestEndlessEnrollment(t *testing.T) {
	k := &sensorKey{samples: []any{good(3)}}
	k.info.Options, k.retries = options("!bioEnroll", "clientPin"), 8
	_, err := AddFingerprint(t.Context(), alone(k).Now[0], &person{pins: []string{"1234"}}, "")
	if !errors.Is(err, ErrSamples) || len(k.asked) > maxSamples+4 || k.asked[len(k.asked)-1] != "cancel" {
		t.Errorf("%v after %d", err, len(k.asked))
	}
}

// TestCancelledEnrollment: whenever the person goes away, nothing is left, and a key that can't undo it is told of.
func TestCancelledEnrollment(t *testing.T) {
	for _, test := range []struct{ at, last string }{
		{"begin 20s", "cancel"},
		{"next ab 20s", "remove ab"}, // it was the last sample
		{`rename ab "thumb"`, "remove ab"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		k := &sensorKey{samples: []any{good(1), good(0)}}
		k.info.Options, k.retries = options("!bioEnroll", "clientPin"), 8
		k.done = func(op string) {
			if op == test.at {
				cancel()
			}
		}
		who := &leaver{person{pins: []string{"1234"}}}
		if _, err := AddFingerprint(ctx, alone(k).Now[0], who, "thumb"); !errors.Is(err, context.Canceled) {
			t.Errorf("at %s: %v", test.at, err)
		}
		if last := k.asked[len(k.asked)-1]; last != test.last {
			t.Errorf("at %s, the last that the key was asked is %q", test.at, last)
		}
		cancel()
	}
	k := &sensorKey{samples: []any{good(0)}, renameErr: ctap.ErrOther, removeErr: ctap.ErrPINAuthInvalid}
	k.info.Options, k.retries = options("!bioEnroll", "clientPin"), 8
	_, err := AddFingerprint(t.Context(), alone(k).Now[0], &person{pins: []string{"1234"}}, "thumb")
	if !errors.Is(err, ctap.ErrOther) || !strings.Contains(err.Error(), "stays enrolled") {
		t.Error(err)
	}
}

// leaver is a person who can't be told anything after they have gone.
type leaver struct{ person }

func (l *leaver) Sampled(ctx context.Context, d DeviceInfo, s Sample) error {
	return errors.Join(ctx.Err(), l.person.Sampled(ctx, d, s))
}

func TestChangeFingerprints(t *testing.T) {
	list := []Fingerprint{
		{[]byte{0x01, 0x02, 0x03, 0xff}, "left"}, {[]byte{0x01, 0x02, 0x04, 0x00}, "right"}, {[]byte{0xab, 0xcd}, "right"},
		{[]byte{0xee, 0xee}, "0102"}, {[]byte{0x10}, ""},
	}
	for which, want := range map[string]string{
		"010203ff": "010203ff", "AQID_w": "010203ff", "left": "010203ff", "010203FF": "010203ff", "01020": "several",
		"0102": "several", "010204": "01020400", "AQIE": "01020400", "AQI": "none", "right": "several", "abcd": "abcd",
		"ABCD": "abcd", "q80": "abcd", "Left": "none", "": "none", "ee": "none", "10": "10", "EA": "10", "eeee": "eeee",
	} {
		k := &sensorKey{list: list}
		k.info.Options, k.retries = options("bioEnroll", "clientPin"), 8
		f, err := RemoveFingerprint(t.Context(), alone(k).Now[0], &person{pins: []string{"1234"}}, which)
		var not *FingerprintError
		switch {
		case errors.As(err, &not) && len(not.Found) == 0:
			if want != "none" {
				t.Errorf("%q: none", which)
			}
		case errors.As(err, &not):
			if want != "several" {
				t.Errorf("%q: %v", which, not.Found)
			}
		case err != nil || fmt.Sprintf("%x", f.ID) != want || k.asked[len(k.asked)-1] != "remove "+want:
			t.Errorf("%q: %v, %v, asked %q", which, f, err, k.asked)
		}
		if not != nil && len(k.asked) != 1 {
			t.Errorf("%q: asked %q", which, k.asked)
		}
	}
	k := &sensorKey{list: list, maxName: 4}
	k.info.Options, k.retries = options("bioEnroll", "clientPin"), 8
	f, err := RenameFingerprint(t.Context(), alone(k).Now[0], &person{pins: []string{"1234"}}, "left", "link")
	if err != nil || f.Name != "link" || k.asked[len(k.asked)-1] != `rename 010203ff "link"` {
		t.Errorf("%v, %v, %q", f, err, k.asked)
	}
	if _, err := RenameFingerprint(t.Context(), alone(k).Now[0], &person{}, "left", "links"); !errors.As(err, new(*NameLengthError)) {
		t.Error(err)
	}
}

func TestFingerprintNames(t *testing.T) {
	for name, want := range map[string]bool{
		"left thumb": true, "größer": true, "": false, " ": false, " left": false, "left\n": false, "a\x00b": false, "\xff": false,
		"\u202egnirts": false,
	} {
		if IsFingerprintName(name) != want {
			t.Errorf("%q", name)
		}
	}
}
