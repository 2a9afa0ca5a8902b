package nfcbridge_test

import (
	"strings"
	"testing"

	"fob/fido/ctapnfc"
	"fob/fido/nfcbridge"
	"fob/fido/pcsc/pcscdtest"
)

// TestFIDO2Tools has libfido2's programs use a card as if it were a USB key.
func TestFIDO2Tools(t *testing.T) {
	pcscdtest.Start(t)
	e := watch(t, new(nfcbridge.Watcher))
	takeOut := insert(t, addr0, ctapnfc.Card{Handler: newKeyWithPIN(t)})
	d := e.want(nfcbridge.Added, reader0, nil)
	if !d.U2F || !d.CTAP2 || len(d.ATR) == 0 {
		t.Errorf("device %+v", d)
	}
	info := run(t, "", "fido2-token", "-I", d.Path)
	for _, want := range []string{"proto: 0x02", "U2F_V2, FIDO_2_0", "pin retries: 8"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q in\n%s", want, info)
		}
	}
	ceremony(t, d.Path, pin)
	ceremony(t, d.Path, "")
	ceremony(t, d.Path, "", "-u")
	if out, err := program(t, lines("9999"), "fido2-token", "-L", "-r", d.Path); err == nil ||
		!strings.Contains(err.Error(), "FIDO_ERR_PIN_INVALID") {
		t.Errorf("wrong PIN: %v\n%s", err, out)
	}
	takeOut()
	e.want(nfcbridge.Removed, reader0, nil)
}
