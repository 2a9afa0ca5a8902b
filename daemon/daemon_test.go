package daemon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/daemon/policy"
	"fob/daemon/session"
	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/relyingparty"
	"fob/ipc"
	"fob/ipc/varlink"
)

// fakeSource has keys that do what a test says.
type fakeSource struct {
	devices []fido.DeviceInfo
	err     error
	open    func(id fido.DeviceID) (fido.Authenticator, error)
}

func (s *fakeSource) Devices(context.Context) ([]fido.DeviceInfo, error) { return s.devices, s.err }
func (s *fakeSource) Open(_ context.Context, id fido.DeviceID) (fido.Authenticator, error) {
	return s.open(id)
}

// fakeKey answers GetAssertion with assert.
type fakeKey struct {
	fido.Authenticator // nil: nothing else is asked for
	options            map[string]bool
	assert             func(ctx context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error)
	credentials        *fido.Credentials
	closed             chan struct{}
}

func (k *fakeKey) GetInfo(context.Context) (*ctap.GetInfoResponse, error) {
	return &ctap.GetInfoResponse{Options: k.options}, nil
}
func (k *fakeKey) PINRetries(context.Context) (fido.PINRetries, error) {
	return fido.PINRetries{Left: 8}, nil
}
func (k *fakeKey) UVRetries(context.Context) (uint, error) { return 3, nil }
func (k *fakeKey) Close() error                            { close(k.closed); return nil }
func (k *fakeKey) Select(context.Context) error            { return ctap.ErrOther }
func (k *fakeKey) MakeCredential(context.Context, *fido.MakeCredentialRequest) (*fido.MakeCredentialResponse, error) {
	return nil, ctap.ErrOther
}
func (k *fakeKey) GetAssertion(ctx context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
	fido.Waiting(ctx)
	return k.assert(ctx, r)
}

// serve runs a daemon on a socket of its own until the test ends.
func serve(t testing.TB, s fido.Source) *ipc.Client {
	t.Helper()
	return serveDaemon(t, &Daemon{Source: s})
}

func serveDaemon(t testing.TB, d *Daemon) *ipc.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fob", "fob.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &ipc.Client{Socket: path}
}

var requestOptions = json.RawMessage(`{"challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","rpId":"example.com","userVerification":"preferred"}`)

func signInRequest() ipc.CeremonyRequest {
	return ipc.CeremonyRequest{Options: requestOptions, Origin: "https://example.com"}
}

// assertion is one that the WebAuthn client accepts; nobody verifies its signature here.
func assertion(user string) fido.GetAssertionResponse {
	d := ctap.AuthenticatorData{RPIDHash: sha256.Sum256([]byte("example.com")), Flags: ctap.FlagUP}
	return fido.GetAssertionResponse{GetAssertionResponse: ctap.GetAssertionResponse{
		Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte("credential of " + user)},
		AuthData:   d.Encode(),
		Signature:  []byte{1},
		User:       &ctap.PublicKeyCredentialUserEntity{ID: []byte(user), Name: user},
	}}
}

// oneKey is a source of one key.
func oneKey(k *fakeKey) *fakeSource {
	k.closed = make(chan struct{})
	return &fakeSource{
		devices: []fido.DeviceInfo{{ID: "k1", Product: "Test Key", Path: "/dev/null"}},
		open:    func(fido.DeviceID) (fido.Authenticator, error) { return k, nil },
	}
}

// person answers prompts with pin and choice, and tells what it sees.
type person struct {
	pin    string
	choice int
	saw    func(ipc.Event)
	mu     sync.Mutex
	seen   []ipc.EventKind
}

func (p *person) note(e ipc.Event) {
	p.mu.Lock()
	p.seen = append(p.seen, e.Kind)
	p.mu.Unlock()
	if p.saw != nil {
		p.saw(e)
	}
}
func (p *person) Waiting(e ipc.Event) { p.note(e) }
func (p *person) Plug(e ipc.Event)    { p.note(e) }
func (p *person) Touch(e ipc.Event)   { p.note(e) }
func (p *person) Tap(e ipc.Event)     { p.note(e) }
func (p *person) Passed(e ipc.Event)  { p.note(e) }
func (p *person) Chosen(e ipc.Event)  { p.note(e) }
func (p *person) Sample(e ipc.Event)  { p.note(e) }
func (p *person) Replug(e ipc.Event)  { p.note(e) }
func (p *person) PIN(_ context.Context, e ipc.Event) (ipc.Secret, error) {
	p.note(e)
	if e.Wrong || p.pin == "" {
		return nil, ipc.ErrDeclined
	}
	return ipc.Secret(p.pin), nil
}
func (p *person) NewPIN(_ context.Context, e ipc.Event) (ipc.Secret, error) {
	p.note(e)
	return nil, ipc.ErrDeclined
}
func (p *person) Choose(_ context.Context, e ipc.Event) (int, error) { p.note(e); return p.choice, nil }

func TestChooseAccount(t *testing.T) {
	k := &fakeKey{options: map[string]bool{"clientPin": true}}
	k.assert = func(_ context.Context, r *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		if !bytes.Equal(r.PIN, []byte("1234")) {
			t.Errorf("the PIN is %d bytes", len(r.PIN))
		}
		return []fido.GetAssertionResponse{assertion("alice"), assertion("bob")}, nil
	}
	p := &person{pin: "1234", choice: 1}
	response, err := serve(t, oneKey(k)).SignIn(t.Context(), signInRequest(), p)
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Response struct{ UserHandle string } }
	if err := json.Unmarshal(response, &r); err != nil || r.Response.UserHandle != "Ym9i" { // bob
		t.Errorf("%s, %v", response, err)
	}
	if want := []ipc.EventKind{ipc.EventPIN, ipc.EventTouch, ipc.EventChoose}; !slices.Equal(p.seen, want) {
		t.Errorf("saw %v, want %v", p.seen, want)
	}
	<-k.closed
}

func TestErrorsHaveNames(t *testing.T) {
	for _, test := range []struct {
		from error
		want ipc.Error
	}{
		{ctap.ErrNoCredentials, ipc.NotRegistered{}},
		{ctap.ErrOperationDenied, ipc.Declined{Key: true}},
		{ctap.ErrUserActionTimeout, ipc.TimedOut{}},
		{ctap.ErrInvalidCBOR, ipc.Failed{Status: 0x12, Problem: ctap.ErrInvalidCBOR.Error()}},
		{fido.ErrDeviceGone, ipc.DeviceGone{}},
		{fido.ErrDenied, ipc.DeviceDenied{}},
		{fido.ErrHelperDied, ipc.HelperFailed{Problem: fido.ErrHelperDied.Error()}},
		{errors.New("odd"), ipc.Failed{Problem: "odd"}},
		{ctap.ErrPINAuthBlocked, ipc.PINAuthBlocked{Retries: 8}},
		{ctap.ErrPINBlocked, ipc.PINBlocked{}},
	} {
		k := &fakeKey{assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			return nil, test.from
		}}
		_, err := serve(t, oneKey(k)).SignIn(t.Context(), signInRequest(), &person{})
		if !errors.Is(err, test.want) || err.Error() != test.want.Error() {
			t.Errorf("%v became %T: %v; want %v", test.from, err, err, test.want)
		}
	}
}

func TestWhichKey(t *testing.T) {
	two := []fido.DeviceInfo{{ID: "k1"}, {ID: "k2"}}
	for _, test := range []struct {
		devices []fido.DeviceInfo
		id      string
		want    error
	}{
		{nil, "", ipc.NoDevice{}},
		{nil, "k1", ipc.UnknownDevice{ID: "k1"}},
		{two, "k3", ipc.UnknownDevice{ID: "k3"}},
		{two, "k2", ctap.ErrOther}, // opened, and that is all
	} {
		s := &fakeSource{devices: test.devices, open: func(id fido.DeviceID) (fido.Authenticator, error) {
			if id != "k2" {
				t.Errorf("opened %s", id)
			}
			return nil, ctap.ErrOther
		}}
		r := signInRequest()
		r.Device = test.id
		_, err := serve(t, s).SignIn(t.Context(), r, &person{})
		if test.want == ctap.ErrOther {
			test.want = ipc.Failed{Status: 0x7f, Problem: ctap.ErrOther.Error()}
		}
		if err == nil || err.Error() != test.want.Error() {
			t.Errorf("%v %q: %v, want %v", test.devices, test.id, err, test.want)
		}
	}
}

func TestBadCalls(t *testing.T) {
	s := oneKey(&fakeKey{})
	s.open = func(fido.DeviceID) (fido.Authenticator, error) {
		t.Error("a key was opened")
		return nil, ctap.ErrOther
	}
	c := serve(t, s)
	for _, test := range []struct {
		parameters string
		want       varlink.Named
	}{
		{`{}`, varlink.InvalidParameter{}},
		{`{"options":1,"origin":"https://example.com"}`, ipc.OptionsInvalid{}},
		{`{"options":{},"origin":"https://example.com"}`, ipc.OptionsInvalid{}},
		{`{"options":` + string(requestOptions) + `,"origin":3}`, varlink.InvalidParameter{}},
		{`{"options":` + string(requestOptions) + `,"origin":"https://example.net"}`, ipc.OriginRefused{}},
		{`{"options":` + string(requestOptions) + `}`, ipc.OriginRefused{}},
	} {
		conn, err := varlink.Dial(t.Context(), c.Socket)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range conn.Stream(t.Context(), ipc.MethodSignIn, json.RawMessage(test.parameters)) {
			var e *varlink.Error
			if !errors.As(err, &e) || e.Name != test.want.VarlinkError() {
				t.Errorf("%s: %v, want %s", test.parameters, err, test.want.VarlinkError())
			}
		}
		if err := conn.Call(t.Context(), ipc.MethodSignIn, json.RawMessage(test.parameters), nil); !errors.Is(err, varlink.ExpectedMore{}) {
			t.Errorf("without more: %v", err)
		}
		conn.Close()
	}
}

// TestHangUpCancels: when the client goes away, the operation on the key is cancelled and the key closed.
func TestHangUpCancels(t *testing.T) {
	cancelled := make(chan struct{})
	k := &fakeKey{assert: func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		<-ctx.Done()
		close(cancelled)
		return nil, ctx.Err()
	}}
	ctx, hangUp := context.WithCancel(t.Context())
	p := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventTouch {
			hangUp()
		}
	}}
	if _, err := serve(t, oneKey(k)).SignIn(ctx, signInRequest(), p); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-cancelled
	<-k.closed
}

func TestTimeout(t *testing.T) {
	k := &fakeKey{assert: func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	r := signInRequest()
	r.Options = bytes.Replace(requestOptions, []byte("{"), []byte(`{"timeout":1,`), 1) // becomes the shortest, a second
	if _, err := serve(t, oneKey(k)).SignIn(t.Context(), r, &person{}); !errors.Is(err, ipc.TimedOut{}) {
		t.Error(err)
	}
	<-k.closed
}

// TestKeyHangs: a key that never answers is not the fault of a person whom nobody has asked for anything.
func TestKeyHangs(t *testing.T) {
	hangs := func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, options := range []map[string]bool{nil, {"clientPin": true}} {
		s := oneKey(&fakeKey{options: options})
		k := &silentKey{fakeKey{options: options, assert: hangs, closed: make(chan struct{})}}
		s.open = func(fido.DeviceID) (fido.Authenticator, error) { return k, nil }
		r := signInRequest()
		r.Options = bytes.Replace(requestOptions, []byte("{"), []byte(`{"timeout":1,`), 1)
		if _, err := serve(t, s).SignIn(t.Context(), r, &person{pin: "1234"}); !errors.Is(err, ipc.DeviceGone{}) {
			t.Errorf("%v: %v", options, err)
		}
	}
}

// silentKey does not say that it waits for a touch.
type silentKey struct{ fakeKey }

func (k *silentKey) GetAssertion(
	ctx context.Context, r *fido.GetAssertionRequest,
) ([]fido.GetAssertionResponse, error) {
	return k.assert(ctx, r)
}

// TestTwoClientsOnOneKey: the second waits, is told so, and has its turn when the first is done.
func TestTwoClientsOnOneKey(t *testing.T) {
	second := make(chan struct{})
	opened := 0
	s := &fakeSource{devices: []fido.DeviceInfo{{ID: "k1"}}}
	s.open = func(fido.DeviceID) (fido.Authenticator, error) {
		opened++
		first := opened == 1
		return &fakeKey{closed: make(chan struct{}), assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			if first {
				<-second
			}
			return []fido.GetAssertionResponse{assertion("alice")}, nil
		}}, nil
	}
	c := serve(t, s)
	results := make(chan error, 2)
	touched := make(chan struct{})
	go func() {
		_, err := c.SignIn(t.Context(), signInRequest(), &person{saw: func(ipc.Event) { close(touched) }})
		results <- err
	}()
	<-touched
	p := &person{saw: func(e ipc.Event) {
		if e.Kind == ipc.EventWaiting {
			if e.Position != 1 {
				t.Errorf("position %d", e.Position)
			}
			close(second)
		}
	}}
	_, err := c.SignIn(t.Context(), signInRequest(), p)
	if err := errors.Join(err, <-results); err != nil {
		t.Error(err)
	}
	if want := []ipc.EventKind{ipc.EventWaiting, ipc.EventTouch}; !slices.Equal(p.seen, want) {
		t.Errorf("saw %v, want %v", p.seen, want)
	}
}

func TestRegistrationThatTheKeyRefuses(t *testing.T) {
	rp, err := relyingparty.New("example.com", "https://example.com")
	if err != nil {
		t.Fatal(err)
	}
	options, _, err := rp.BeginRegistration(relyingparty.User{Name: "alice"}, relyingparty.RegistrationChoices{})
	if err != nil {
		t.Fatal(err)
	}
	r := ipc.CeremonyRequest{Options: options, Origin: "https://example.com"}
	_, err = serve(t, oneKey(&fakeKey{})).Register(t.Context(), r, &person{})
	if !errors.Is(err, ipc.Failed{Status: 0x7f, Problem: ctap.ErrOther.Error()}) {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fob", "fob.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := Listen(path); !errors.Is(err, ErrAlreadyRunning) {
		t.Errorf("a second daemon: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}

	// A daemon that was killed leaves its socket behind.
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrAlreadyRunning) { // it may be systemd's, which holds no lock
		t.Errorf("while another listens: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err = Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	if err := os.WriteFile(path, []byte("a diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrNotSocket) {
		t.Errorf("in place of a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "a diary" {
		t.Errorf("the file became %q, %v", b, err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrUnsafeFolder) {
		t.Errorf("a folder that others can read: %v", err)
	}
	if os.Chmod(filepath.Dir(path), 0o700) == nil && os.Chown(filepath.Dir(path), 12345, -1) == nil { // as root
		if _, err := Listen(path); !errors.Is(err, ErrUnsafeFolder) {
			t.Errorf("a folder of another user: %v", err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(filepath.Join(link, "fob.sock")); !errors.Is(err, ErrUnsafeFolder) {
		t.Errorf("a symbolic link for a folder: %v", err)
	}
}

func TestTimeoutBounds(t *testing.T) {
	for milliseconds, want := range map[uint32]time.Duration{
		0: 2 * time.Minute, 1: time.Second, 1500: 1500 * time.Millisecond, 600_000: 10 * time.Minute, 1 << 31: 10 * time.Minute,
	} {
		if got := timeout(milliseconds); got != want {
			t.Errorf("%d ms: %v, want %v", milliseconds, got, want)
		}
	}
}

func TestOnlyOurUser(t *testing.T) {
	if err := SameUser(varlink.Peer{UID: uint32(os.Getuid())}); err != nil {
		t.Error(err)
	}
	if err := SameUser(varlink.Peer{UID: uint32(os.Getuid()) + 1}); !errors.Is(err, varlink.PermissionDenied{}) {
		t.Error(err)
	}
}

// TestInterrupt: when the person turns away, all ceremonies end, also those that wait their turn, and Interrupt returns
// when the keys are closed.
func TestInterrupt(t *testing.T) {
	k := &fakeKey{assert: func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	d := &Daemon{Source: oneKey(k)}
	c := serveDaemon(t, d)
	lit, waits := make(chan struct{}), make(chan struct{})
	p := &person{saw: func(e ipc.Event) {
		switch e.Kind {
		case ipc.EventTouch:
			close(lit)
		case ipc.EventWaiting:
			close(waits)
		}
	}}
	ends := make(chan error)
	signIn := func() {
		_, err := c.SignIn(t.Context(), signInRequest(), p)
		ends <- err
	}
	go signIn()
	<-lit
	go signIn()
	<-waits
	d.Interrupt(t.Context(), "the computer goes to sleep")
	select {
	case <-k.closed:
	default:
		t.Error("Interrupt did not wait for the key")
	}
	for range 2 {
		if err := <-ends; !errors.Is(err, ipc.Interrupted{Reason: "the computer goes to sleep"}) {
			t.Error(err)
		}
	}
}

// TestNobodyIsThere: while nobody is at the computer no ceremony begins, but those that may; while it sleeps, none
// does.
func TestNobodyIsThere(t *testing.T) {
	for _, test := range []struct {
		why           error
		signIn, looks bool
	}{
		{nil, true, true}, {session.Lock, false, true}, {session.Inactive, false, true}, {session.Suspend, false, false},
		{errors.New("nobody tells"), true, true},
	} {
		k := &fakeKey{assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			return []fido.GetAssertionResponse{assertion("alice")}, nil
		}}
		s := oneKey(k)
		s.open = func(fido.DeviceID) (fido.Authenticator, error) {
			k.closed = make(chan struct{})
			return k, nil
		}
		c := serveDaemon(t, &Daemon{Source: s, Present: func(context.Context) error { return test.why }})
		_, signIn := c.SignIn(t.Context(), signInRequest(), &person{})
		_, looks := c.GetInfo(t.Context(), "")
		refused := func(err error) bool { return errors.As(err, new(ipc.SessionLocked)) }
		if refused(signIn) == test.signIn || refused(looks) == test.looks {
			t.Errorf("%v: %v, %v", test.why, signIn, looks)
		}
	}
	d := &Daemon{Present: func(context.Context) error { return session.Lock }}
	c := &ceremony{errand: errand{verb: policy.SignIn}}
	c.whenLocked.Store(true)
	if err := d.present(t.Context(), c.goesOn()); err != nil {
		t.Error(err)
	}
	d.Present = func(context.Context) error { return session.Suspend }
	if err := d.present(t.Context(), c.goesOn()); err != (ipc.SessionLocked{Reason: string(session.Suspend)}) {
		t.Error(err)
	}
}

// TestGoesOn: a ceremony that may go on while the screen is locked does, until the computer sleeps.
func TestGoesOn(t *testing.T) {
	var r running
	stays, endStays := r.begin(t.Context(), func() bool { return true })
	goes, endGoes := r.begin(t.Context(), func() bool { return false })
	defer endStays()
	defer endGoes()
	if all := r.interrupt(session.Lock); len(all) != 1 || goes.Err() == nil || stays.Err() != nil {
		t.Error(all, goes.Err(), stays.Err())
	}
	asleep := ipc.Interrupted{Reason: string(session.Suspend)}
	if all := r.interrupt(session.Suspend); len(all) != 2 || context.Cause(stays) != asleep {
		t.Error(all, context.Cause(stays))
	}
}

// TestKeysAddressIsChecked: an address that a key names is shown to people.
func TestKeysAddressIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.com/pin":                         "https://example.com/pin",
		"http://example.com/pin":                          "",
		"https://example.com/\x1b[2J":                     "",
		"https://example.com/ü":                           "",
		"https://example.com/" + strings.Repeat("x", 512): "",
	} {
		if got := link([]byte(text)); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}
