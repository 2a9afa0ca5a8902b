package daemon

import (
	"context"
	"errors"
	"strings"
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
	for name, test := range map[string]struct {
		answer ctap.Response
		want   string // in the problem
	}{
		"many credentials":   {many.Encode(), "INVALID_CBOR"},
		"another RP":         {other.Encode(), "authData.rpIdHash"},
		"authenticator data": {garbage.Encode(), "INVALID_CBOR"},
		"nothing":            {ctap.Response{0}, "NOT_CBOR"},
		"no CBOR":            {ctap.Response{0, 0xff, 0xff}, "NOT_CBOR"},
		"unknown status":     {ctap.Response{0xee}, "unknown CTAP status 0xee"},
		"endless text":       {append(ctap.Response{0}, append([]byte{0xa1, 1, 0x7b}, make([]byte, 2000)...)...), "INVALID_CBOR"},
	} {
		t.Run(name, func(t *testing.T) {
			pty, err := endpoint.OpenPTY()
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error)
			go func() { served <- pty.Serve(t.Context(), liar{test.answer}) }()
			defer func() { pty.Close(); <-served }()
			info := []fido.DeviceInfo{{Path: pty.Path()}}
			client := serve(t, &helper.Source{Path: helperPath, Extra: func() []fido.DeviceInfo { return info }, NoDiscovery: true})
			for range 2 {
				_, err := client.SignIn(t.Context(), signInRequest(), &person{})
				var failed ipc.Failed
				if !errors.As(err, &failed) || !strings.Contains(failed.Problem, test.want) {
					t.Errorf("%v, want a failure with %q", err, test.want)
				}
			}
		})
	}
}
