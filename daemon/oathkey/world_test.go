package oathkey

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fob/fido/ctapnfc"
	"fob/fido/endpoint"
	"fob/fido/oathapplet"
	"fob/fido/pcsc"
	"fob/hotp"
	"fob/hotp/ykoath"
)

const (
	reader = "Virtual PCD 00 00"
	addr0  = endpoint.VPCDAddr
	addr1  = "127.0.0.1:35964"
)

func until(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// insert puts a key into a virtual reader until the function that it returns, or the end of the test, takes it out.
func insert(t testing.TB, addr string, a *oathapplet.Applet, wrap func(ctapnfc.Exchange) ctapnfc.Exchange,
) (takeOut func()) {
	t.Helper()
	v, err := endpoint.OpenVPCD(until(t), addr)
	if err != nil {
		t.Fatal(err)
	}
	v.Card.Applets = map[string]ctapnfc.Applet{oathapplet.AID: a.Serve}
	v.Link = wrap
	served := make(chan error, 1)
	go func() { served <- v.Serve(context.Background(), nil) }()
	out := false
	takeOut = func() {
		if !out {
			out = true
			v.Close()
			<-served
		}
	}
	t.Cleanup(takeOut)
	awaitCard(t, addr)
	return takeOut
}

// awaitCard waits until pcscd has seen the card.
func awaitCard(t testing.TB, addr string) {
	t.Helper()
	name := map[string]string{addr0: reader, addr1: "Virtual PCD 00 01"}[addr]
	c, err := pcsc.Dial(until(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, enough := context.WithCancel(until(t))
	defer enough()
	seen := false
	err = c.Watch(ctx, func(all []pcsc.ReaderState) {
		for _, r := range all {
			if r.Name == name && r.HasCard() {
				seen = true
				enough()
			}
		}
	})
	if !seen {
		t.Fatal("pcscd sees no card:", err)
	}
}

func newApplet() *oathapplet.Applet { return oathapplet.New(oathapplet.NewState()) }

// ykman runs Debian's ykman at the virtual reader.
func ykman(t testing.TB, args ...string) string {
	t.Helper()
	out, err := tryYkman(args...)
	if err != nil {
		t.Fatalf("ykman %s: %v: %s (it is in the package yubikey-manager)", args, err, out)
	}
	return out
}

func tryYkman(args ...string) (string, error) {
	cmd := exec.Command("/usr/bin/ykman", append([]string{"--reader", reader, "oath"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "LANG=C.UTF-8", "HOME=/nonexistent", "XDG_DATA_HOME=/nonexistent")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// oathtool gives the code of a seed at a time.
func oathtool(t testing.TB, seed hotp.Seed, args ...string) string {
	t.Helper()
	cmd := exec.Command("oathtool", append(args, "-")...)
	cmd.Stdin = strings.NewReader(string(seed.AppendHex(nil)))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v (it is in the package oathtool)", cmd.Args, err)
	}
	return strings.TrimSpace(string(out))
}

func use(t testing.TB, do func(context.Context, *ykoath.Session) error) {
	t.Helper()
	if err := (Keys{}).Use(until(t), "", do); err != nil {
		t.Fatal(err)
	}
}

func totp(issuer, account string, period int) ykoath.Account {
	p := hotp.DefaultTOTP
	p.Period = period
	return ykoath.Account{Issuer: issuer, Account: account, Parameters: p}
}

func base32(seed hotp.Seed) string { return string(seed.AppendBase32(nil)) }

func at(step int64) string { return fmt.Sprint("@", step) }
