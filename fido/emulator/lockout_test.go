package emulator

import (
	"errors"
	"path/filepath"
	"testing"

	"fob/fido/ctap"
)

// retries asks a key how often the PIN and the finger may still be tried.
func (p *platform) retries() (pin, uv uint, powerCycle bool) {
	p.t.Helper()
	ask := func(s ctap.Subcommand) *ctap.ClientPINResponse {
		b, err := p.send((&ctap.ClientPINRequest{Subcommand: s}).Encode())
		p.must(err)
		r, err := ctap.ParseClientPINResponse(b)
		p.must(err)
		return r
	}
	r := ask(ctap.SubcommandGetPINRetries)
	return *r.PINRetries, *ask(ctap.SubcommandGetUVRetries).UVRetries, *r.PowerCycle
}

func model(t *testing.T, name string) *Profile {
	t.Helper()
	p, err := LookupProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLockOut brings a key close to refusing the person, and over it. What lasts survives the program.
func TestLockOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	file, err := OpenStateFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{Profile: model(t, "fingerprint"), File: file})
	for _, err := range []error{p.a.SetPINRetries(1), p.a.BlockPINAuth()} {
		p.wants(err, ctap.ErrPINNotSet)
	}
	p.must(p.a.SetPIN([]byte("1234")))
	p.wants(p.a.SetPINRetries(9), ctap.ErrInvalidParameter)
	p.wants(p.a.SetUVRetries(4), ctap.ErrInvalidParameter)
	p.must(errors.Join(p.a.SetPINRetries(0), p.a.SetUVRetries(1), p.a.BlockPINAuth()))
	if pin, uv, cycle := p.retries(); pin != 0 || uv != 1 || !cycle {
		t.Errorf("%d for the PIN, %d for the finger, power cycle %v", pin, uv, cycle)
	}
	p.must(file.Close())
	if file, err = OpenStateFile(path, nil); err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p = newPlatform(t, Options{File: file})
	if pin, uv, cycle := p.retries(); pin != 0 || uv != 1 || cycle {
		t.Errorf("afterwards %d for the PIN, %d for the finger, power cycle %v", pin, uv, cycle)
	}
	p.must(p.a.SetPIN([]byte("1234"))) // makes the retries full
	if pin, _, _ := p.retries(); pin != 8 {
		t.Errorf("%d for a new PIN", pin)
	}
	u2f := newPlatform(t, Options{Profile: model(t, "u2f")})
	for _, err := range []error{u2f.a.SetPINRetries(1), u2f.a.BlockPINAuth(), u2f.a.SetUVRetries(1)} {
		p.wants(err, ctap.ErrInvalidCommand)
	}
}
