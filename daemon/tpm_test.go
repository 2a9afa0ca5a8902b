package daemon

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fob/daemon/store"
	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/hotp"
	"fob/ipc"
	"fob/ipc/varlink"
)

// tpmDaemon is storeDaemon with a TPM.
func tpmDaemon(t *testing.T, dir string, by *tpm.TPM) (*Daemon, *ipc.Client) {
	t.Helper()
	d := &Daemon{Source: &fakeSource{}, TPM: by}
	d.OpenStore(dir, "")
	t.Cleanup(func() { d.Store.Close() })
	c := serveDaemon(t, d)
	if _, err := c.StoreStatus(t.Context()); err != nil { // then it serves, and leaves its fields to us
		t.Fatal(err)
	}
	return d, c
}

func sealed(t *testing.T, c *ipc.Client, by string, state ipc.StoreState) {
	t.Helper()
	if s, err := c.StoreStatus(t.Context()); err != nil || s.Sealer != by || s.State != state {
		t.Errorf("%+v, %v; expected %s by %s", s, err, state, by)
	}
}

func unusable(t *testing.T, err error, reason ipc.TPMReason) {
	t.Helper()
	var u ipc.TPMUnusable
	if !errors.As(err, &u) || u.Reason != reason || u.Problem == "" || u.Hint() == "" {
		t.Errorf("%v, expected %s", err, reason)
	}
}

// A new store is sealed by the TPM where there is one, and opens after restarts of both; it goes to each other seal and
// back. Where the TPM can't, the next best seals.
func TestStoreTPM(t *testing.T) {
	machine, dir := tpmtest.Start(t), t.TempDir()
	d, c := tpmDaemon(t, dir, machine.TPM())
	keep(t, d, "alice", "one")
	sealed(t, c, "tpm", ipc.StoreStateReady)
	for _, to := range []string{"keyfile", "tpm", "passphrase", "tpm"} {
		if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: to}, knows("sesame")); err != nil {
			t.Fatal(to, err)
		}
		d.Store.Close()
		machine.Cycle()
		d, c = tpmDaemon(t, dir, machine.TPM())
		if to == "passphrase" {
			sealed(t, c, to, ipc.StoreStateLocked)
			continue
		}
		sealed(t, c, to, ipc.StoreStateReady)
		kept(t, d, "alice", "one")
	}
	machine.Tool("tpm2_changeauth", "-c", "owner", "secret")
	e, c := tpmDaemon(t, t.TempDir(), machine.TPM())
	keep(t, e, "alice", "one")
	sealed(t, c, "keyfile", ipc.StoreStateReady)
	_, err := c.SealStore(t.Context(), ipc.SealRequest{To: "tpm"}, knows(""))
	unusable(t, err, ipc.TPMOwner)
	sealed(t, c, "keyfile", ipc.StoreStateReady)
	kept(t, e, "alice", "one")
}

// A cleared TPM, another one, none, and changed PCRs are told apart, and a backup brings the records back.
func TestStoreTPMRecovery(t *testing.T) {
	machine, dir := tpmtest.Start(t), t.TempDir()
	d, c := tpmDaemon(t, dir, machine.TPM())
	keep(t, d, "alice", "one")
	var backup bytes.Buffer
	if err := c.ExportStore(t.Context(), nil, knows("sesame"), &backup); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "tpm", PCRs: []int{16, 7}}, knows("")); err != nil {
		t.Fatal(err)
	}
	expect := func(by *tpm.TPM, reason ipc.TPMReason) *ipc.Client {
		t.Helper()
		d.Store.Close()
		d, c = tpmDaemon(t, dir, by)
		sealed(t, c, "", ipc.StoreStateWrongKey)
		_, err := c.SealStore(t.Context(), ipc.SealRequest{To: "keyfile"}, knows(""))
		unusable(t, err, reason)
		return c
	}
	expect(nil, ipc.TPMAbsent)
	expect(tpmtest.Start(t).TPM(), ipc.TPMCleared)
	machine.Tool("tpm2_pcrextend", "16:sha256="+strings.Repeat("ab", 32))
	expect(machine.TPM(), ipc.TPMChanged)
	machine.Cycle()
	kept(t, d, "alice", "one") // as it was started before
	machine.Tool("tpm2_clear")
	c = expect(machine.TPM(), ipc.TPMCleared)
	if _, _, err := c.ImportStore(t.Context(), backup.Bytes(), false, knows("sesame")); err == nil {
		t.Error("it is replaced without a word")
	}
	records, aside, err := c.ImportStore(t.Context(), backup.Bytes(), true, knows("sesame"))
	if records != 1 || aside == "" || err != nil {
		t.Error(records, aside, err)
	}
	sealed(t, c, "tpm", ipc.StoreStateReady)
	kept(t, d, "alice", "one")
}

// A PIN is asked for as a passphrase is; the TPM tells how many are left, and takes none after too many.
func TestStoreTPMPIN(t *testing.T) {
	machine, dir := tpmtest.Start(t), t.TempDir()
	machine.Tool("tpm2_dictionarylockout", "--setup-parameters", "--max-tries=4", "--recovery-time=600",
		"--lockout-recovery-time=600")
	d, c := tpmDaemon(t, dir, machine.TPM())
	keep(t, d, "alice", "one")
	for _, in := range []ipc.SealRequest{{To: "keyfile", PIN: true}, {To: "keyfile", PCRs: []int{7}},
		{To: "tpm", PCRs: []int{-1}}, {To: "tpm", PCRs: []int{24}}} {
		if _, err := c.SealStore(t.Context(), in, knows("1234")); !errors.As(err, new(varlink.InvalidParameter)) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	in := ipc.SealRequest{To: "tpm", PIN: true, PCRs: []int{7}}
	if _, err := c.SealStore(t.Context(), in, knows("123")); !errors.As(err, new(ipc.WrongAnswer)) {
		t.Error(err)
	}
	d.Interrupt(t.Context(), "to wait until the call has ended")
	if _, err := c.SealStore(t.Context(), in, knows("1234")); err != nil {
		t.Fatal(err)
	}
	sealed(t, c, "tpmpin", ipc.StoreStateReady)
	d.Store.Close()
	d, c = tpmDaemon(t, dir, machine.TPM())
	sealed(t, c, "tpmpin", ipc.StoreStateLocked)
	if err := d.Store.View(func(*store.Tx) error { return nil }); err != store.ErrLocked {
		t.Error(err)
	}
	p := &pinPerson{storePerson: knows("12", "4321", "1234")}
	if err := c.UnlockStore(t.Context(), p); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(p.events); got != "[pin wrong=false pin wrong=true pin wrong=true left=3]" {
		t.Error(got)
	}
	kept(t, d, "alice", "one")
	if err := c.UnlockStore(t.Context(), knows("4321")); err != (ipc.PassphraseWrong{}) {
		t.Error(err)
	}
	unusable(t, c.UnlockStore(t.Context(), knows("1234", "4321")), ipc.TPMLockedOut)
	kept(t, d, "alice", "one") // it is open still
	machine.Tool("tpm2_dictionarylockout", "--clear-lockout")
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "keyfile"}, knows("1234")); err != nil {
		t.Error(err)
	}
	kept(t, d, "alice", "one")
}

// pinPerson notes what is said of PINs.
type pinPerson struct {
	*storePerson
	events []string
}

func (p *pinPerson) Passphrase(ctx context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	text := fmt.Sprintf("%s wrong=%v", map[bool]string{true: "pin", false: "passphrase"}[e.TPMPIN], e.Wrong)
	if e.Retries != nil {
		text += fmt.Sprint(" left=", *e.Retries)
	}
	p.events = append(p.events, text)
	return p.storePerson.Passphrase(ctx, e)
}

func TestTPMStatus(t *testing.T) {
	machine := tpmtest.Start(t)
	_, none := tpmDaemon(t, t.TempDir(), nil)
	_, err := none.SRK(t.Context())
	unusable(t, err, ipc.TPMAbsent)
	if s, err := none.TPMStatus(t.Context()); err != nil || s.Reason != ipc.TPMAbsent || s.Problem == "" || s.Path != "" {
		t.Errorf("%+v, %v", s, err)
	}
	_, c := tpmDaemon(t, t.TempDir(), machine.TPM())
	if s, err := c.TPMStatus(t.Context()); err != nil || *s != (ipc.TPMStatus{Path: machine.Socket}) {
		t.Errorf("%+v, %v", s, err)
	}
	key, err := c.SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.ParseSRK([]byte(key)); err != nil {
		t.Error(err)
	}
}

// tokenPerson knows the PIN of a token, and counts how often it is asked.
type tokenPerson struct {
	seeded
	pins  []string
	asked []ipc.OTPEvent
}

func (p *tokenPerson) PIN(_ context.Context, e ipc.OTPEvent) (ipc.Secret, error) {
	e.Token = ""
	p.asked = append(p.asked, e)
	if len(p.pins) == 0 {
		return nil, ipc.ErrDeclined
	}
	pin := p.pins[0]
	p.pins = p.pins[1:]
	return ipc.Secret(pin), nil
}

// A seed in the TPM comes with a PIN or without; who watches its codes is asked once; what makes no sense is refused.
func TestOTPInTPM(t *testing.T) {
	machine := tpmtest.Start(t)
	d, c := tpmDaemon(t, t.TempDir(), machine.TPM())
	p := &tokenPerson{seeded: seeded{seed: rfcSeed}, pins: []string{"sesame", "1", "sesame"}}
	token, err := c.AddOTP(t.Context(), ipc.OTPAddRequest{Name: "a", Period: 1, Keeper: "tpm", PIN: true}, p)
	if err != nil || token.Keeper != "tpm" || token.SeedSize != 20 {
		t.Fatalf("%+v, %v", token, err)
	}
	seen, enough := 0, errors.New("enough")
	err = c.WatchOTP(t.Context(), "a", p, func(code ipc.OTPCode) error {
		want, err := hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 6, Period: 1}.
			Code(hotp.Seed("12345678901234567890"), uint64(code.Begin))
		if err != nil || code.Code != want {
			t.Errorf("%s, %v, expected %s", code.Code, err, want)
		}
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if err != enough || len(p.asked) != 3 {
		t.Errorf("%v, %+v", err, p.asked)
	}
	for i, want := range []ipc.OTPEvent{
		{Kind: ipc.OTPNewPIN, Name: "a"}, {Kind: ipc.OTPPIN, Name: "a"}, {Kind: ipc.OTPPIN, Name: "a", Wrong: true}} {
		if got := p.asked[i]; got.Kind != want.Kind || got.Name != want.Name || got.Wrong != want.Wrong {
			t.Errorf("%+v, expected %+v", got, want)
		}
	}
	if _, err := c.OTPCode(t.Context(), "a", p); err != (ipc.Declined{}) {
		t.Error(err)
	}
	k, err := machine.TPM().SRK(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := k.Wrap(hotp.SHA256, hotp.Seed("12345678901234567890"))
	if err != nil {
		t.Fatal(err)
	}
	wrapped := base64.RawURLEncoding.EncodeToString(w.Encode())
	for _, in := range []ipc.OTPAddRequest{
		{Name: "b", PIN: true}, {Name: "b", Wrapped: wrapped, SeedSize: 20},
		{Name: "b", Keeper: "tpm", Wrapped: wrapped}, {Name: "b", Keeper: "tpm", Wrapped: "AAA=", SeedSize: 20},
		{Name: "b", Keeper: "tpm", Wrapped: wrapped, SeedSize: 20}, // of another algorithm
		{Name: "b", Keeper: "tpm", Wrapped: wrapped, SeedSize: 20, Algorithm: "SHA256", PIN: true},
	} {
		if _, err := c.AddOTP(t.Context(), in, p); !errors.As(err, new(varlink.InvalidParameter)) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	in := ipc.OTPAddRequest{Name: "b", Keeper: "tpm", Wrapped: wrapped[:40], SeedSize: 20}
	_, err = c.AddOTP(t.Context(), in, p)
	unusable(t, err, ipc.TPMInvalid)
	in.Wrapped, in.Algorithm = wrapped, "SHA256"
	if _, err := c.AddOTP(t.Context(), in, p); err != nil {
		t.Error(err)
	}
	machine.Tool("tpm2_clear")
	_, err = c.OTPCode(t.Context(), "b", p)
	unusable(t, err, ipc.TPMCleared)
	if tokens, err := d.Tokens().List(); err != nil || len(tokens) != 2 {
		t.Errorf("%+v, %v", tokens, err)
	}
	if err := c.RemoveOTP(t.Context(), "b", p); err != nil {
		t.Error(err)
	}
}
