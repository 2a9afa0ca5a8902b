package softkey_test

import (
	"testing"

	"fob/fido/fault"
	"fob/fido/pcsc/pcscdtest"
	"fob/fido/softkey"
)

// TestCardFaults has cards fail in the virtual reader, in the hands of python-fido2. What they keep of it, and that
// they work when they are back, is for a second client to see.
func TestCardFaults(t *testing.T) {
	pcscdtest.Start(t)
	for _, test := range []struct {
		fault, want string
		credentials int
	}{
		{"unplug for 1s in apdu 4", "smartcard.Exceptions.", 0}, // the card is lost after the third
		{"unplug for 1s on makeCredential", "smartcard.Exceptions.", 0},
		{"unplug for 1s after makeCredential", "smartcard.Exceptions.", 1},
		{"status 0x6f00 in apdu 1", "FIDO applet selection failure", 0},
		{"status NOT_ALLOWED on makeCredential", "CTAP error: 0x30", 0},
		{"corrupt bit out apdu 1", "Error", 0},
		{"garbage on makeCredential", "ValueError", 0},
		{"truncate after makeCredential", "Error", 1},
	} {
		t.Run(test.fault, func(t *testing.T) {
			in := fault.New(1, fault.MustParse(test.fault))
			key := plug(t, in.Options(softkey.Options{Place: softkey.VPCD}))
			try(t, "", debianPython, "testdata/ceremony.py", virtualReader, "register").fails(test.want)
			if got := len(in.Injected()); got != 1 {
				t.Errorf("%d faults have happened: %v", got, in.Injected())
			}
			in.Wait()
			if n := len(key.Credentials()); n != test.credentials {
				t.Errorf("%d credentials, want %d", n, test.credentials)
			}
			ceremony(t, virtualReader, "register")
		})
	}
}
