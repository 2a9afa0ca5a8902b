package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/helper"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	fobwebauthn "fob/fido/webauthn"
	"fob/ipc"
)

// plug runs a daemon with an emulated key, reached through the real helper, until the test ends. It gives the folder
// that clients know as XDG_RUNTIME_DIR.
func plug(t testing.TB, o softkey.Options) (runtimeDir string, key *softkey.Key) {
	t.Helper()
	key, err := softkey.Plug(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := key.Close(); err != nil {
			t.Error(err)
		}
	})
	extra := func() []fido.DeviceInfo { return []fido.DeviceInfo{key.Info()} }
	client := serve(t, &helper.Source{Path: helperPath, Extra: extra, NoDiscovery: true})
	return filepath.Dir(filepath.Dir(client.Socket)), key
}

// foreign prepares a client that is not ours. A session of its own has no terminal, so that it reads PINs from typed.
func foreign(ctx context.Context, t *testing.T, runtimeDir, typed, client string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatalf("%v: install the package python3", err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join("..", "testdata", "clients", client), args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+runtimeDir)
	cmd.Stdin = strings.NewReader(typed)
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// output runs a foreign client, which must succeed, and gives what it said.
func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string) {
	t.Helper()
	err := cmd.Run()
	stdout, stderr = cmd.Stdout.(*bytes.Buffer).String(), cmd.Stderr.(*bytes.Buffer).String()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr)
	}
	return stdout, stderr
}

func TestForeignClientsList(t *testing.T) {
	dir, key := plug(t, softkey.Options{})
	type device struct {
		ID, Path, Product string
		Emulated          bool
	}
	wants := func(client string, devices []device) {
		if len(devices) != 1 || devices[0].ID == "" || devices[0].Path != key.Path() || !devices[0].Emulated {
			t.Errorf("%s found %+v", client, devices)
		}
	}
	stdout, _ := output(t, foreign(t.Context(), t, dir, "", "fob.py"))
	var devices []device
	if err := json.Unmarshal([]byte(stdout), &devices); err != nil {
		t.Errorf("fob.py printed %q: %v", stdout, err)
	}
	wants("fob.py", devices)

	stdout, _ = output(t, foreign(t.Context(), t, dir, "", "list.sh"))
	var reply struct{ Parameters struct{ Devices []device } }
	if err := json.Unmarshal([]byte(stdout), &reply); err != nil {
		t.Errorf("list.sh printed %q: %v", stdout, err)
	}
	wants("list.sh", reply.Parameters.Devices)
}

// rpUser is a user of a relying party that others wrote.
type rpUser struct{ credentials []webauthn.Credential }

func (a *rpUser) WebAuthnID() []byte                         { return []byte("handle of alice") }
func (a *rpUser) WebAuthnName() string                       { return "alice@example.com" }
func (a *rpUser) WebAuthnDisplayName() string                { return "Alice" }
func (a *rpUser) WebAuthnCredentials() []webauthn.Credential { return a.credentials }

// TestForeignClientCeremonies registers and signs in with a client and at a relying party of which neither is ours.
func TestForeignClientCeremonies(t *testing.T) {
	const origin = "https://login.example.com"
	dir, _ := plug(t, softkey.Options{PIN: fido.PIN("1234")})
	rp, err := webauthn.New(&webauthn.Config{RPID: "example.com", RPDisplayName: "Example", RPOrigins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	alice := new(rpUser)
	creation, session, err := rp.BeginRegistration(alice, webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		UserVerification: protocol.VerificationRequired, ResidentKey: protocol.ResidentKeyRequirementRequired}))
	if err != nil {
		t.Fatal(err)
	}
	response, events := output(t,
		foreign(t.Context(), t, dir, "9999\n1234\n", "fob.py", "Register", optionsFile(t, creation), origin))
	if !strings.Contains(events, `"retries": 8`) || !strings.Contains(events, `"retries": 7, "wrong": true`) {
		t.Errorf("the client saw these events:\n%s", events)
	}
	created, err := protocol.ParseCredentialCreationResponseBytes([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	credential, err := rp.CreateCredential(alice, *session, created)
	if err != nil {
		t.Fatal(err)
	}
	alice.credentials = append(alice.credentials, *credential)

	request, session, err := rp.BeginLogin(alice, webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		t.Fatal(err)
	}
	response, _ = output(t, foreign(t.Context(), t, dir, "1234\n", "fob.py", "SignIn", optionsFile(t, request), origin))
	asserted, err := protocol.ParseCredentialRequestResponseBytes([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.ValidateLogin(alice, *session, asserted); err != nil {
		t.Error(err)
	}
}

func optionsFile(t *testing.T, options any) string {
	t.Helper()
	b, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "options.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestForeignClientGetsNamedError(t *testing.T) {
	dir, _ := plug(t, softkey.Options{})
	for _, test := range []struct{ origin, want string }{
		{"https://example.com", "fob.Ceremony.NotRegistered {}"},
		{"https://example.org", `fob.Ceremony.OriginRefused {"rpId": "example.com"`},
	} {
		cmd := foreign(t.Context(), t, dir, "", "fob.py", "SignIn", optionsFile(t, requestOptions), test.origin)
		err := cmd.Run()
		if said := cmd.Stderr.(*bytes.Buffer).String(); err == nil || !strings.Contains(said, test.want) {
			t.Errorf("%v: %q, want %q", err, said, test.want)
		}
	}
}

// TestForeignClientChooses signs in to one of two accounts that the key holds, newest first.
func TestForeignClientChooses(t *testing.T) {
	const origin = "https://example.com"
	dir, _ := plug(t, softkey.Options{PIN: fido.PIN("1234")})
	for _, id := range []string{"YWxpY2U", "Ym9i"} { // alice, bob
		options := json.RawMessage(`{"rp":{"id":"example.com","name":"Example"},"user":{"id":"` + id + `","name":"` + id +
			`","displayName":""},"challenge":"AAAAAAAAAAAAAAAAAAAAAA","pubKeyCredParams":[{"type":"public-key","alg":-8}],
			"authenticatorSelection":{"residentKey":"required","userVerification":"required"}}`)
		output(t, foreign(t.Context(), t, dir, "1234\n", "fob.py", "Register", optionsFile(t, options), origin))
	}
	response, _ := output(t,
		foreign(t.Context(), t, dir, "1234\n1\n", "fob.py", "SignIn", optionsFile(t, requestOptions), origin))
	var r struct{ Response struct{ UserHandle string } }
	if err := json.Unmarshal([]byte(response), &r); err != nil || r.Response.UserHandle != "YWxpY2U" {
		t.Errorf("%q, %v", response, err)
	}
}

// TestForeignClientSpends: the last attempts are spent on the person's word, and on no other.
func TestForeignClientSpends(t *testing.T) {
	dir, key := plug(t, softkey.Options{PIN: fido.PIN("1234")})
	client := func(origin, typed string) *exec.Cmd {
		return foreign(t.Context(), t, dir, typed, "fob.py", "Register", optionsFile(t, creationOptions), origin)
	}
	two := uint(2)
	if err := key.SetRetries(t.Context(), emulator.Retries{PIN: &two}); err != nil {
		t.Fatal(err)
	}
	if err := client("https://example.com", "9999\nno\n").Run(); err == nil {
		t.Error("a refusal registered")
	}
	if left := key.Status().PINRetries; left != 2 {
		t.Errorf("%d attempts left", left)
	}
	output(t, client("https://example.com", "1234\nyes\n"))
}

var creationOptions = json.RawMessage(`{"rp":{"id":"example.com","name":"Example"},"user":{"id":"YWxpY2U","name":"alice",
	"displayName":"Alice"},"challenge":"AAAAAAAAAAAAAAAAAAAAAA","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`)

// TestShellSignsIn signs in with testdata/clients/sign-in.sh, which uses varlinkctl; a wrong PIN first.
func TestShellSignsIn(t *testing.T) {
	needVarlinkctl(t)
	dir, _ := plug(t, softkey.Options{PIN: fido.PIN("1234")})
	p := newParty(t, &ipc.Client{Socket: filepath.Join(dir, "fob", "fob.sock")})
	if err := p.register(t.Context(), &person{pin: "1234"}, "", relyingparty.RegistrationChoices{}); err != nil {
		t.Fatal(err)
	}
	choices := relyingparty.SignInChoices{UserVerification: fobwebauthn.UserVerificationRequired}
	options, session, err := p.rp.BeginSignIn(p.records, choices)
	if err != nil {
		t.Fatal(err)
	}
	signIn := func(origin, typed string) *exec.Cmd {
		cmd := foreign(t.Context(), t, dir, typed, "sign-in.sh", optionsFile(t, json.RawMessage(options)), origin)
		cmd.Env = append(cmd.Env, "VARLINKCTL="+filepath.Join("..", ".ci", "varlinkctl"))
		return cmd
	}
	response, said := output(t, signIn("https://example.com", "9999\n1234\n"))
	if _, err := p.rp.FinishSignIn(session, p.records, []byte(response)); err != nil {
		t.Errorf("%s: %v", response, err)
	}
	for _, want := range []string{"8 attempts left", "7 attempts left", "touch fob emulated key"} {
		if !strings.Contains(said, want) {
			t.Errorf("it did not say %q:\n%s", want, said)
		}
	}
	cmd := signIn("https://example.org", "")
	err = cmd.Run()
	if said := cmd.Stderr.(*bytes.Buffer).String(); err == nil || !strings.Contains(said, "fob.Ceremony.OriginRefused") {
		t.Errorf("%v: %q", err, said)
	}
	if err := signIn("https://example.com", "").Run(); err == nil {
		t.Error("signed in without a PIN")
	}
}

// TestForeignClientKilled kills a client while its key waits for a touch: the key goes dark.
func TestForeignClientKilled(t *testing.T) {
	lit, dark := make(chan struct{}), make(chan struct{})
	dir, _ := plug(t, softkey.Options{Presence: func(ctx context.Context, r emulator.PresenceRequest) error {
		close(lit)
		defer close(dark)
		return emulator.Wait(ctx, r)
	}})
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	ended := make(chan error, 1)
	cmd := foreign(ctx, t, dir, "", "fob.py", "Register", optionsFile(t, creationOptions), "https://example.com")
	go func() { ended <- cmd.Run() }()
	select {
	case <-lit:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, cmd.Stderr)
	}
	kill()
	<-ended
	<-dark
}
