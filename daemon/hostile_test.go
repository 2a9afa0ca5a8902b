package daemon

import (
	"context"
	"errors"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/endpoint"
	"fob/fido/helper"
	"fob/ipc"
)

// liar is a key that answers getInfo well, and getAssertion with whatever it likes.
type liar struct{ answer ctap.Response }

func (l liar) ServeCTAP(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
	switch ctap.Command(r.Payload[0]) {
	case ctap.CommandGetInfo:
		return (&ctap.GetInfoResponse{Versions: []string{ctap.VersionFIDO20}, Options: map[string]bool{"rk": true, "up": true}}).Encode()
	case ctap.CommandGetAssertion:
		return l.answer
	default:
		return ctap.Response{byte(ctap.ErrInvalidCommand)}
	}
}

// TestLyingKeys: whatever a key answers, the ceremony ends with a named error, and the next one works.
func TestLyingKeys(t *testing.T) {
	good := assertion("alice")
	many, other, garbage := good, good, good
	many.NumberOfCredentials = 1 << 25 // libfido2 would allocate gigabytes
	other.AuthData = (&ctap.AuthenticatorData{Flags: ctap.FlagUP}).Encode()
	garbage.AuthData = []byte{1, 2, 3}
	for name, answer := range map[string]ctap.Response{
		"many credentials":   many.Encode(),
		"another RP":         other.Encode(),
		"authenticator data": garbage.Encode(),
		"nothing":            {0},
		"no CBOR":            {0, 0xff, 0xff},
		"unknown status":     {0xee},
		"endless text":       append(ctap.Response{0}, append([]byte{0xa1, 1, 0x7b}, make([]byte, 2000)...)...),
	} {
		t.Run(name, func(t *testing.T) {
			pty, err := endpoint.OpenPTY()
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error)
			go func() { served <- pty.Serve(t.Context(), liar{answer}) }()
			defer func() { pty.Close(); <-served }()
			info := []fido.DeviceInfo{{Path: pty.Path()}}
			client := serve(t, &helper.Source{Path: helperPath, Extra: func() []fido.DeviceInfo { return info }, NoDiscovery: true})
			for range 2 {
				_, err := client.SignIn(t.Context(), signInRequest(), &person{})
				var named ipc.Error
				if !errors.As(err, &named) {
					t.Errorf("%v", err)
				}
			}
		})
	}
}
