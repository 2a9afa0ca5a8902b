package ctap

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for code := range statusText {
		if _, ok := statusNames[code]; !ok {
			t.Errorf("%v has no name", code)
		}
	}
	for _, s := range []string{"PIN_BLOCKED", "pin_blocked", "CTAP2_ERR_PIN_BLOCKED", "50", "0x32"} {
		if got, err := ParseStatusCode(s); err != nil || got != ErrPINBlocked {
			t.Errorf("ParseStatusCode(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"makeCredential", "authenticatorMakeCredential", "makecredential", "1", "0x01"} {
		if got, err := ParseCommand(s); err != nil || got != CommandMakeCredential {
			t.Errorf("ParseCommand(%q) = %v, %v", s, got, err)
		}
	}
	long := strings.Repeat("x", 1<<16)
	for _, s := range []string{"", "0x100", "-1", "CTAP2_ERR_", "PIN BLOCKED", "authenticator", long} {
		if got, err := ParseStatusCode(s); err == nil {
			t.Errorf("ParseStatusCode(%.40q) = %v", s, got)
		} else if len(err.Error()) > 200 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if got, err := ParseCommand(s); err == nil {
			t.Errorf("ParseCommand(%.40q) = %v", s, got)
		}
	}
	for status := range sampleNames {
		if got, err := ParseSampleStatus(strings.ToLower(status.String())); err != nil || got != status {
			t.Errorf("%v is read as %v, %v", status, got, err)
		}
	}
	if got, err := ParseSampleStatus("FP_GOOD"); err == nil {
		t.Errorf("FP_GOOD is %v", got)
	}
	if got, err := ParseCommand("0"); err == nil { // no command has this number
		t.Errorf("command 0 is %v", got)
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"PIN_BLOCKED", "ctap1_err_timeout", "0x99", "makeCredential", "authenticatorConfig"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if code, err := ParseStatusCode(s); err == nil {
			if again, err := ParseStatusCode(code.Name()); err != nil || again != code {
				t.Errorf("%q is %v, and its name %q is %v, %v", s, code, code.Name(), again, err)
			}
		}
		if command, err := ParseCommand(s); err == nil {
			if again, err := ParseCommand(command.String()); err != nil || again != command {
				t.Errorf("%q is %v, which is %v, %v", s, command, again, err)
			}
		}
	})
}
