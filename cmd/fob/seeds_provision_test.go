package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"fob/fido/ctapnfc"
	"fob/fido/endpoint"
	"fob/fido/oathapplet"
	"fob/fido/pcsc"
	"fob/fido/pcsc/pcscdtest"
)

// insertOATH puts a key with an OATH application into the virtual reader.
func insertOATH(t *testing.T) (a *oathapplet.Applet, takeOut func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	v, err := endpoint.OpenVPCD(ctx, endpoint.VPCDAddr)
	if err != nil {
		t.Fatal(err)
	}
	a = oathapplet.New(oathapplet.NewState())
	v.Card.Applets = map[string]ctapnfc.Applet{oathapplet.AID: a.Serve}
	served := make(chan error, 1)
	go func() { served <- v.Serve(context.Background(), nil) }()
	awaitCard(t)
	return a, func() {
		v.Close()
		<-served
	}
}

// awaitCard waits until pcscd has seen a card.
func awaitCard(t *testing.T) {
	t.Helper()
	ctx, enough := context.WithTimeout(t.Context(), 30*time.Second)
	defer enough()
	c, err := pcsc.Dial(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seen := false
	err = c.Watch(ctx, func(all []pcsc.ReaderState) {
		if seen = seen || slices.ContainsFunc(all, pcsc.ReaderState.HasCard); seen {
			enough()
		}
	})
	if !seen {
		t.Fatal("pcscd sees no card:", err)
	}
}

// The person swaps keys when they are asked to, and each key gets one seed.
func TestProvisionAsksForKeys(t *testing.T) {
	s := newScreen(t, "")
	pcscdtest.Start(t)
	const seeds = "otpauth://totp/alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJR\n" +
		"otpauth://totp/bob?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n"
	if err := os.WriteFile(filepath.Join(s.dir, "seeds.txt"), []byte(seeds), 0o600); err != nil {
		t.Fatal(err)
	}
	s.run("fob seeds provision seeds.txt --to key")
	s.sees(`no security key with an OATH application is plugged in.*\r\n` +
		`plug in the security key for alice, alone, and press Enter: $`)
	first, takeOut := insertOATH(t)
	s.types("\n")
	s.sees(`alice is on the security key \S{22}\r\n.*\r\n` +
		`plug in the security key for bob, alone, and press Enter: $`)
	takeOut()
	second, takeOut := insertOATH(t)
	s.types("\n")
	s.sees(`bob is on the security key \S{22}\r\n2 seeds were written\r\n`)
	s.exits(0)
	takeOut()
	a, b := first.State().Accounts, second.State().Accounts
	if len(a) != 1 || a[0].Name != "alice" || len(b) != 1 || b[0].Name != "bob" {
		t.Errorf("%+v, %+v", a, b)
	}
}
