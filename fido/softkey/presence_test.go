package softkey_test

import (
	"context"
	"testing"
	"time"

	"fob/fido/emulator"
	"fob/fido/softkey"
)

func TestUserPresenceDenied(t *testing.T) {
	var p person
	key := plugFor(t, &p)
	p.will(emulator.Approve)
	c := makeCredential(t, key, alice, credentialOptions{})
	p.will(emulator.Deny)
	tryCredential(t, key, bob, credentialOptions{}).fails("fido_dev_make_cred: FIDO_ERR_OPERATION_DENIED")
	tryAssertion(t, key, c.id, "", "-p").fails("fido_dev_get_assert: FIDO_ERR_OPERATION_DENIED")
	tryAssertion(t, key, c.id, "", "-t", "up=false").ok() // asks nobody
}

// TestTouchedLater keeps the tools waiting for the time of a few keepalives.
func TestTouchedLater(t *testing.T) {
	key := plug(t, softkey.Options{Presence: emulator.After(250 * time.Millisecond)})
	c := makeCredential(t, key, alice, credentialOptions{})
	c.verify(t, tryAssertion(t, key, c.id, "", "-p").ok(), "-p").ok()
}

// TestKilledWhileWaiting kills programs in the middle of a ceremony: that the device is closed is all that the key sees
// of it. The key goes dark, and the next program finds it ready.
func TestKilledWhileWaiting(t *testing.T) {
	require(t, "fido2-cred", "fido2-assert", "fido2-token")
	var p person
	key := plugFor(t, &p)
	p.will(emulator.Approve)
	c := makeCredential(t, key, alice, credentialOptions{})
	register := file(t, lines(clientDataHash("register"), rpID, bob, encode([]byte(bob))))
	signIn := file(t, lines(clientDataHash("sign in"), rpID, c.id))
	for _, command := range [][]string{
		{"fido2-cred", "-M", "-i", register, key.Path()},
		{"fido2-assert", "-G", "-p", "-i", signIn, key.Path()},
		{"fido2-token", "-R", key.Path()},
	} {
		lit, dark := make(chan struct{}), make(chan struct{})
		p.will(func(ctx context.Context, r emulator.PresenceRequest) error {
			close(lit)
			defer close(dark)
			return emulator.Wait(ctx, r)
		})
		killed(t, command, lit)
		<-dark
		p.will(emulator.Approve)
		c.verify(t, tryAssertion(t, key, c.id, "", "-p").ok(), "-p").ok()
	}
}

// killed runs a program until the key is lit for it, and kills it.
func killed(t *testing.T, command []string, lit <-chan struct{}) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	ended := make(chan run, 1)
	go func() { ended <- finish(t, newCommand(ctx, "", command[0], command[1:]...)) }()
	select {
	case <-lit:
		kill()
		if r := <-ended; r.err == nil {
			t.Errorf("%s succeeded without a touch", r.command)
		}
	case r := <-ended:
		t.Fatalf("%s ended: %v\n%s", r.command, r.err, r.stderr)
	}
}
