package emulator

import (
	"context"
	"testing"
	"testing/synctest"

	"fob/fido/ctap"
)

// TestSelection goes through what authenticatorSelection may answer (§6.9).
func TestSelection(t *testing.T) {
	for _, test := range []struct {
		name     string
		presence Presence
		want     error
	}{
		{"a touch", Approve, nil},
		{"declined", Deny, ctap.ErrOperationDenied},
		{"nobody there", Wait, ctap.ErrUserActionTimeout},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlatform(t, Options{Presence: test.presence})
			if _, err := p.send([]byte{byte(ctap.CommandSelection)}); err != test.want {
				t.Errorf("%s: got %v, want %v", test.name, err, test.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t, Options{Presence: Wait})
		ctx, cancel := context.WithCancel(t.Context())
		p.ctx = ctx
		p.keepalives = func(ctap.KeepaliveStatus) { cancel() }
		_, err := p.send([]byte{byte(ctap.CommandSelection)})
		p.wants(err, ctap.ErrKeepaliveCancel)
	})
	older := newPlatform(t, Options{Profile: must(LookupProfile("fido2.0"))})
	_, err := older.send([]byte{byte(ctap.CommandSelection)})
	older.wants(err, ctap.ErrInvalidCommand) // CTAP 2.1 brought it
}
