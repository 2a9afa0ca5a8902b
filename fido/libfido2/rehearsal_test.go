package libfido2

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"fob/fido"
)

func TestRehearse(t *testing.T) {
	d, err := Rehearse()
	if err != nil {
		t.Fatal(err)
	}
	info, err := d.GetInfo(t.Context())
	if err != nil || info.MaxMsgSize != playedInfo.MaxMsgSize {
		t.Fatal(info, err)
	}
	asked := &fido.GetAssertionRequest{
		ClientDataHash: make([]byte, 32), RPID: "example.com", AllowList: [][]byte{RehearsedID}}
	list, err := d.GetAssertion(t.Context(), asked)
	if err != nil || len(list) != 1 || !bytes.Equal(list[0].Signature, playedAssertion.Signature) {
		t.Fatal(list, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}
