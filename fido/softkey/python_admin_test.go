package softkey_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/pcsc/pcscdtest"
)

// administration are the commands of administer.py, and what the client says that a key answers.
var administration = map[string]string{
	"manage": `{"existing": 3, "remaining": 97, "users": {"example.org": ["alice", "bob"], "example.net": ["carol"]},
		"protected": [1, 3], "renamed": ["robert", "Robert"],
		"said": ["INVALID_PARAMETER", "OK", "NO_CREDENTIALS", "OK", "PIN_AUTH_INVALID", "PIN_AUTH_INVALID", "NOT_ALLOWED"]}`,
	"blobs": `{"said": ["PUAT_REQUIRED", "PIN_AUTH_INVALID"], "left": 1}`,
	"extensions": `{"outputs": {"credBlob": true, "credProtect": 2, "hmac-secret": true}, "other": {"credBlob": false},
		"said": ["PIN_AUTH_INVALID", "INVALID_PARAMETER", "UNSUPPORTED_OPTION", "MISSING_PARAMETER", "INVALID_OPTION", "OK",
		"NO_CREDENTIALS"]}`,
	"config": `{"said": ["PUAT_REQUIRED", "OK", "PUAT_REQUIRED", "OK", "PIN_POLICY_VIOLATION", "OK", "OK",
		"PIN_POLICY_VIOLATION", "PIN_POLICY_VIOLATION", "OK"],
		"always": [true, false, false], "due": [6, true], "forced": [6, true]}`,
	"u2f": `{"said": ["6985", "OK", "6A80", "6A80", "6A80", "OK"], "counters": [1, 2]}`,
}

// administer runs a command of administer.py and gives what it prints.
func administer(t *testing.T, path string, protocol ctap.PINProtocol, command string) map[string]any {
	t.Helper()
	said := try(t, "", debianPython, "testdata/administer.py", path, fmt.Sprint(protocol), pin, command).ok()
	out := make(map[string]any)
	if err := json.Unmarshal([]byte(said), &out); err != nil {
		t.Fatalf("%s: %v: %s", command, err, said)
	}
	return out
}

func wantAdministration(t *testing.T, path string, protocol ctap.PINProtocol, command, want string) {
	t.Helper()
	wanted := make(map[string]any)
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if got := administer(t, path, protocol, command); !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: got %v, want %v", command, got, wanted)
	}
}

// TestPythonAdministration has python-fido2 administer keys at the pseudo-terminal, under both PIN protocols.
func TestPythonAdministration(t *testing.T) {
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		for command, want := range administration {
			t.Run(fmt.Sprint(command, " protocol ", protocol), func(t *testing.T) {
				wantAdministration(t, servePTY(t, newKey(t, pin)), protocol, command, want)
			})
		}
	}
}

// TestPythonAdministrationOverNFC does so in pcscd's virtual reader, where a tap is the touch.
func TestPythonAdministrationOverNFC(t *testing.T) {
	pcscdtest.Start(t)
	for _, test := range []struct {
		protocol ctap.PINProtocol
		command  string
	}{{ctap.PINProtocolOne, "manage"}, {ctap.PINProtocolTwo, "extensions"}, {ctap.PINProtocolTwo, "blobs"}} {
		t.Run(test.command, func(t *testing.T) {
			insert(t, newKey(t, pin))
			wantAdministration(t, virtualReader, test.protocol, test.command, administration[test.command])
		})
	}
}

// TestPythonFingers has python-fido2 enrol a finger that lies badly at first, and verify the user by it.
func TestPythonFingers(t *testing.T) {
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		samples := []ctap.SampleStatus{ctap.SampleTooHigh, ctap.SampleGood, ctap.SampleTooSkewed, ctap.SampleExists}
		presence := func(_ context.Context, r emulator.PresenceRequest) error {
			if !r.Fingerprint || len(samples) == 0 || samples[0] == ctap.SampleGood {
				samples = samples[min(1, len(samples)):]
				return nil
			}
			bad := samples[0]
			samples = samples[1:]
			return emulator.BadSample(bad)
		}
		key, err := emulator.New(emulator.Options{Profile: profile(t, "fingerprint"), Presence: presence})
		if err != nil {
			t.Fatal(err)
		}
		if err := key.SetPIN(fido.PIN(pin)); err != nil {
			t.Fatal(err)
		}
		wantAdministration(t, servePTY(t, key), protocol, "fingers", `{"sensor": {"2": 1, "3": 4, "8": 64},
			"samples": ["FP_TOO_HIGH", "good", "FP_TOO_SKEWED", "FP_EXISTS", "good", "good", "good"],
			"said": ["INVALID_LENGTH", "INVALID_OPTION", "NOT_ALLOWED"], "flags": [5, 5], "left": 0}`)
	}
}
