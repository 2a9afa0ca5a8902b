package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/softkey"
	"fob/ipc"
	"fob/ipc/varlink"
)

// plugSensor plugs a key with a sensor and the PIN 1234 in, which fails as the words say (fob/fido/fault).
func plugSensor(t *testing.T, words ...string) (*ipc.Client, *softkey.Key) {
	t.Helper()
	p, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	var faults []fault.Fault
	for _, w := range words {
		faults = append(faults, fault.MustParse(w))
	}
	in := fault.New(1, faults...)
	t.Cleanup(in.Wait)
	dir, key := plug(t, in.Options(softkey.Options{Profile: p, PIN: fido.PIN("1234")}))
	return &ipc.Client{Socket: filepath.Join(dir, "fob", "fob.sock")}, key
}

// TestFingerprintFaults: whatever a key does wrong at each step has one name, and leaves nothing half done.
func TestFingerprintFaults(t *testing.T) {
	// Commands in the order of an enrolment: sensor, four samples, the name.
	for words, want := range map[string]string{
		"status PIN_AUTH_INVALID on bioEnrollment 2":  "fob.Ceremony.Failed",
		"status FP_DATABASE_FULL on bioEnrollment 2":  "fob.Device.FingerprintsFull",
		"status USER_ACTION_TIMEOUT on bioEnrollment": "fob.Ceremony.TimedOut",
		"status INVALID_PARAMETER on bioEnrollment 4": "fob.Ceremony.Failed",
		"status OPERATION_DENIED on bioEnrollment 6":  "fob.Ceremony.Declined",
		"garbage on bioEnrollment 1":                  "fob.Ceremony.Failed",
		"garbage on bioEnrollment 2":                  "fob.Ceremony.Failed",
		"garbage on bioEnrollment 3":                  "fob.Ceremony.Failed",
		"truncate after bioEnrollment 3":              "fob.Ceremony.Failed",
		"unplug on bioEnrollment 1":                   "fob.Device.DeviceGone",
		"unplug on bioEnrollment 3":                   "fob.Device.DeviceGone",
		"unplug on bioEnrollment 6":                   "fob.Device.DeviceGone",
		"garbage on getKeyAgreement":                  "fob.Ceremony.Failed",
	} {
		t.Run(words, func(t *testing.T) {
			client, key := plugSensor(t, words)
			_, err := client.AddFingerprint(t.Context(), ipc.AddFingerprintRequest{Name: "left"}, &person{pin: "1234"})
			var named ipc.Error
			if !errors.As(err, &named) || named.VarlinkError() != want {
				t.Errorf("%v, want %s", err, want)
			}
			if n := key.Status().Fingerprints; n != 0 && !strings.HasPrefix(words, "unplug on bioEnrollment 6") {
				t.Errorf("%d fingerprints are enrolled", n)
			}
		})
	}
}

func TestFingerprintParameters(t *testing.T) {
	client, key := plugSensor(t)
	ctx, p := t.Context(), &person{pin: "1234"}
	long := strings.Repeat("x", 1025)
	for name, do := range map[string]func() error{
		"name": func() error {
			_, err := client.AddFingerprint(ctx, ipc.AddFingerprintRequest{Name: "left\n"}, p)
			return err
		},
		"name ": func() error {
			_, err := client.AddFingerprint(ctx, ipc.AddFingerprintRequest{Name: long}, p)
			return err
		},
		"name  ": func() error {
			_, err := client.RenameFingerprint(ctx, ipc.RenameFingerprintRequest{Fingerprint: "left"}, p)
			return err
		},
		"fingerprint": func() error {
			_, err := client.RemoveFingerprint(ctx, ipc.RemoveFingerprintRequest{Fingerprint: long + long}, p)
			return err
		},
	} {
		var invalid varlink.InvalidParameter
		if err := do(); !errors.As(err, &invalid) || invalid.Parameter != strings.TrimSpace(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(p.seen) != 0 || key.Status().Fingerprints != 0 {
		t.Errorf("the person saw %v", p.seen)
	}
}

// TestEnrollmentOfWhoHangsUp leaves nothing, at whatever sample that happens.
func TestEnrollmentOfWhoHangsUp(t *testing.T) {
	for remaining := range 4 {
		client, key := plugSensor(t)
		ctx, cancel := context.WithCancel(t.Context())
		p := &person{pin: "1234", saw: func(e ipc.Event) {
			if e.Remaining != nil && *e.Remaining == remaining {
				cancel()
			}
		}}
		_, err := client.AddFingerprint(ctx, ipc.AddFingerprintRequest{Name: "left"}, p)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("at %d: %v", remaining, err)
		}
		// The next one has its turn when the first is over.
		list, err := client.ListFingerprints(t.Context(), "", &person{pin: "1234"})
		if err != nil || len(list.Fingerprints) > 0 && remaining > 0 {
			t.Errorf("at %d: %v, %v, %+v", remaining, list, err, key.Status())
		}
		cancel()
	}
}
