package account

import (
	"path/filepath"
	"testing"
	"time"

	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/hotp"
)

// world is accounts with a clock that a test sets.
type world struct {
	*Accounts
	t     testing.TB
	clock time.Time
	seeds map[string]hotp.Seed // of devices, by their names
}

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s := store.Open(store.Options{
		Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: filepath.Join(dir, store.KeyName)}}, Program: "test"})
	t.Cleanup(func() { s.Close() })
	return s
}

// newWorld has the realm "home" with alice and bob.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{Accounts: New(openStore(t, t.TempDir())), t: t, clock: time.Unix(2e9, 0),
		seeds: make(map[string]hotp.Seed)}
	w.Now = func() time.Time { return w.clock }
	w.realm("home", Settings{})
	for _, name := range []string{"alice", "bob"} {
		w.must(w.CreatePrincipal("home", name, Authority{}))
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) realm(name string, s Settings) {
	w.t.Helper()
	_, err := w.CreateRealm(name, s)
	w.must(err)
}

// code is that of a seed, so many steps from now.
func (w *world) code(seed hotp.Seed, steps int) string {
	w.t.Helper()
	step, err := hotp.DefaultTOTP.Step(w.clock)
	w.must(err)
	code, err := hotp.DefaultTOTP.Code(seed, step+uint64(steps))
	w.must(err)
	return code
}

// later moves the clock on, by an hour, so that no code is used and no session fresh.
func (w *world) later() { w.clock = w.clock.Add(time.Hour) }

func (w *world) enrolTOTP(principal, name string, by Authority) error {
	w.t.Helper()
	return w.enrolCodes(EnrolRequest{Realm: "home", Principal: principal, Name: name, Kind: VirtualTOTP, By: by}, nil)
}

func (w *world) enrolCodes(in EnrolRequest, seed hotp.Seed) error {
	w.t.Helper()
	e, err := w.BeginEnrol(in)
	if err != nil {
		return err
	}
	if seed == nil {
		seed = e.Seed
	}
	w.seeds[in.Name] = seed
	_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(seed, 0), Code2: w.code(seed, 1)})
	w.clock = w.clock.Add(2 * time.Minute) // beyond what was consumed
	return err
}

func (w *world) enrolKey(k *softKey, principal, name string, by Authority) (Device, error) {
	w.t.Helper()
	e, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: principal, Name: name, Kind: SecurityKey, By: by})
	if err != nil {
		return Device{}, err
	}
	return w.FinishEnrol(e.ID, Proof{Response: k.register(w.t, e)})
}

func (w *world) begin(principal string) Challenge {
	w.t.Helper()
	c, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: principal, Session: MinSession})
	w.must(err)
	return c
}

func (w *world) signInCode(principal, code string) (SignIn, error) {
	w.t.Helper()
	return w.FinishSignIn(w.begin(principal).ID, Proof{Code: code})
}

func (w *world) signInKey(k *softKey, principal string) (SignIn, error) {
	w.t.Helper()
	c := w.begin(principal)
	return w.FinishSignIn(c.ID, Proof{Response: k.signIn(w.t, c)})
}

// session signs somebody in by the code of a device.
func (w *world) session(principal, device string) Authority {
	w.t.Helper()
	w.clock = w.clock.Add(2 * time.Minute)
	in, err := w.signInCode(principal, w.code(w.seeds[device], 0))
	w.must(err)
	return Authority{Session: in.Session}
}

func (w *world) devices(principal string) (names []string) {
	w.t.Helper()
	p, err := w.Principal("home", principal)
	w.must(err)
	for _, d := range p.Devices {
		names = append(names, d.Name)
	}
	return names
}
