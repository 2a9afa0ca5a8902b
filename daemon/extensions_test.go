package daemon

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/ipc"
)

const loginOrigin = "https://login.example.com"

// site is a relying party that others wrote, with one user, whose key has the PIN of person.
type site struct {
	t      *testing.T
	rp     *webauthn.WebAuthn
	user   *rpUser
	client *ipc.Client
	person *person
}

func newSite(t *testing.T, o softkey.Options) *site {
	t.Helper()
	dir, _ := plug(t, o)
	rp, err := webauthn.New(&webauthn.Config{RPID: "example.com", RPDisplayName: "Example", RPOrigins: []string{loginOrigin}})
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, rp, new(rpUser), &ipc.Client{Socket: filepath.Join(dir, "fob", "fob.sock")}, &person{pin: string(o.PIN)}}
}

func (s *site) request(options any) ipc.CeremonyRequest {
	s.t.Helper()
	b, err := json.Marshal(options)
	if err != nil {
		s.t.Fatal(err)
	}
	return ipc.CeremonyRequest{Options: b, Origin: loginOrigin}
}

// register registers a credential, which the relying party verifies, and gives what it understood of the extensions.
func (s *site) register(options ...webauthn.RegistrationOption) *protocol.ParsedCredentialCreationData {
	s.t.Helper()
	creation, session, err := s.rp.BeginRegistration(s.user, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.Register(s.t.Context(), s.request(creation), s.person)
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		s.t.Fatal(err)
	}
	credential, err := s.rp.CreateCredential(s.user, *session, parsed)
	if err != nil {
		s.t.Fatal(err)
	}
	s.user.credentials = append(s.user.credentials, *credential)
	return parsed
}

// signIn signs in with one of all credentials of the user, or those that options allow.
func (s *site) signIn(options ...webauthn.LoginOption) *protocol.ParsedCredentialAssertionData {
	s.t.Helper()
	request, session, err := s.rp.BeginLogin(s.user, options...)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.SignIn(s.t.Context(), s.request(request), s.person)
	if err != nil {
		s.t.Fatal(err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.rp.ValidateLogin(s.user, *session, parsed); err != nil {
		s.t.Fatal(err)
	}
	return parsed
}

func discoverable(uv protocol.UserVerificationRequirement) webauthn.RegistrationOption {
	return webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
		ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: uv})
}

func eval(first, second string) protocol.PRFValues {
	v := protocol.PRFValues{First: []byte(first)}
	if second != "" {
		v.Second = []byte(second)
	}
	return v
}

// TestExtensionsAtARelyingParty goes through all extensions with an emulated key that has a PIN.
func TestExtensionsAtARelyingParty(t *testing.T) {
	s := newSite(t, softkey.Options{PIN: fido.PIN("1234")})
	made := s.register(discoverable(protocol.VerificationDiscouraged), webauthn.WithExtensions(
		webauthn.WithExtensionCredProps(), webauthn.WithExtensionMinPinLength(), webauthn.WithExtensionCredBlob([]byte("blob")),
		webauthn.WithExtensionCredentialProtectionPolicy(protocol.CredentialProtectionPolicyUserVerificationRequired, true),
		webauthn.WithExtensionLargeBlobSupport(protocol.LargeBlobSupportRequired),
		webauthn.WithExtensionPRF(eval("one", "two"))))
	results := made.ClientExtensionResults
	if results.PRF == nil || results.PRF.Enabled == nil || !*results.PRF.Enabled || results.PRF.Results == nil ||
		results.LargeBlob == nil || results.LargeBlob.Supported == nil || !*results.LargeBlob.Supported ||
		results.CredProps == nil || results.CredProps.RK == nil || !*results.CredProps.RK {
		t.Fatalf("%+v", results)
	}
	one, two := results.PRF.Results.First, results.PRF.Results.Second
	if len(one) != 32 || len(two) != 32 || bytes.Equal(one, two) {
		t.Fatal("the secrets are too short, or the same")
	}

	// Verification is discouraged, but the function is that for verified persons.
	s.person.seen = nil
	got := s.signIn(webauthn.WithUserVerification(protocol.VerificationDiscouraged),
		webauthn.WithAssertionExtensions(webauthn.WithExtensionPRF(eval("two", "")), webauthn.WithExtensionGetCredBlob()))
	prf := got.ClientExtensionResults.PRF
	if prf == nil || prf.Results == nil || !bytes.Equal(prf.Results.First, two) || prf.Results.Second != nil || prf.Enabled != nil {
		t.Error("another secret than at registration")
	}
	if !slices.Contains(s.person.seen, ipc.EventPIN) {
		t.Errorf("the person saw %v", s.person.seen)
	}

	large := func(option webauthn.ExtensionOption) *protocol.LargeBlobOutputs {
		t.Helper()
		got := s.signIn(webauthn.WithUserVerification(protocol.VerificationRequired), webauthn.WithAssertionExtensions(option))
		return got.ClientExtensionResults.LargeBlob
	}
	if out := large(webauthn.WithExtensionLargeBlobRead()); out == nil || out.Blob != nil {
		t.Errorf("a large blob before there was any: %+v", out)
	}
	if out := large(webauthn.WithExtensionLargeBlobWrite([]byte("large"))); out == nil || out.Written == nil || !*out.Written {
		t.Errorf("not written: %+v", out)
	}
	if out := large(webauthn.WithExtensionLargeBlobRead()); out == nil || string(out.Blob) != "large" {
		t.Errorf("read %+v", out)
	}
}

// TestPRFByCredential: each credential has its own input; the key tells which of them it has before it is asked to
// evaluate.
func TestPRFByCredential(t *testing.T) {
	s := newSite(t, softkey.Options{PIN: fido.PIN("1234")})
	enabled := webauthn.WithExtensions(webauthn.WithExtensionPRFSupport())
	s.register(enabled, discoverable(protocol.VerificationRequired))
	ours := s.user.credentials[0]
	stranger := ours
	stranger.ID = make([]byte, 32)
	rand.Read(stranger.ID)
	s.user.credentials = []webauthn.Credential{stranger, ours}

	evaluate := func(option webauthn.ExtensionOption) []byte {
		t.Helper()
		prf := s.signIn(webauthn.WithAssertionExtensions(option)).ClientExtensionResults.PRF
		if prf == nil {
			t.Fatal("no prf")
		}
		if prf.Results == nil {
			return nil
		}
		return prf.Results.First
	}
	name := base64.RawURLEncoding.EncodeToString
	of := func(id []byte, input string) map[string]protocol.PRFValues {
		return map[string]protocol.PRFValues{name(id): eval(input, "")}
	}
	want := evaluate(webauthn.WithExtensionPRF(eval("input", "")))
	both := of(ours.ID, "input")
	both[name(stranger.ID)] = eval("another", "")
	if got := evaluate(webauthn.WithExtensionPRFByCredential(both, nil)); len(want) != 32 || !bytes.Equal(got, want) {
		t.Error("evaluated with the input of another credential")
	}
	fallback := eval("input", "")
	if got := evaluate(webauthn.WithExtensionPRFByCredential(of(stranger.ID, "another"), &fallback)); !bytes.Equal(got, want) {
		t.Error("evaluated with the input of another credential, and not by eval")
	}
	if got := evaluate(webauthn.WithExtensionPRFByCredential(of(stranger.ID, "another"), nil)); got != nil {
		t.Error("evaluated without an input")
	}
}

// TestEnterpriseAttestationAtARelyingParty: the key must have it enabled, and know the relying party.
func TestEnterpriseAttestationAtARelyingParty(t *testing.T) {
	for _, test := range []struct {
		enabled bool
		rpID    string
		want    int // certificates
	}{{false, "example.com", 0}, {true, "example.org", 0}, {true, "example.com", 1}} {
		key, err := softkey.Plug(t.Context(), softkey.Options{EnterpriseRPIDs: []string{test.rpID}})
		if err != nil {
			t.Fatal(err)
		}
		if test.enabled {
			enable := (&ctap.ConfigRequest{Subcommand: ctap.SubcommandEnableEnterpriseAttestation}).Encode()
			key.ServeCTAP(t.Context(), ctap.Request{Payload: enable}, func(ctap.KeepaliveStatus) {})
		}
		state, err := key.Export()
		if err != nil {
			t.Fatal(err)
		}
		key.Close()
		s := newSite(t, softkey.Options{Fixture: state, EnterpriseRPIDs: []string{test.rpID}})
		made := s.register(webauthn.WithConveyancePreference(protocol.PreferEnterpriseAttestation))
		certificates, _ := made.Response.AttestationObject.AttStatement["x5c"].([]any)
		if len(certificates) != test.want || made.Response.AttestationObject.Format != "packed" {
			t.Errorf("%+v: %d certificates, %s", test, len(certificates), made.Response.AttestationObject.Format)
		}
		made = s.register(webauthn.WithConveyancePreference(protocol.PreferDirectAttestation))
		if made.Response.AttestationObject.AttStatement["x5c"] != nil {
			t.Errorf("%+v: a certificate that nobody asked for", test)
		}
	}
}

// TestKeysThatCannot: what is required of a key that lacks it is refused before anybody touches it; what is not, is
// left out.
func TestKeysThatCannot(t *testing.T) {
	profile, err := emulator.LookupProfile("no-pin")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, softkey.Options{Profile: profile})
	for _, option := range []webauthn.ExtensionOption{
		webauthn.WithExtensionLargeBlobSupport(protocol.LargeBlobSupportRequired),
		webauthn.WithExtensionCredentialProtectionPolicy(protocol.CredentialProtectionPolicyUserVerificationRequired, true),
	} {
		creation, _, err := s.rp.BeginRegistration(s.user, webauthn.WithExtensions(option))
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client.Register(t.Context(), s.request(creation), s.person)
		if unsupported := (ipc.Unsupported{}); !errors.As(err, &unsupported) || len(s.person.seen) != 0 {
			t.Errorf("%v, and the person saw %v", err, s.person.seen)
		}
	}
	made := s.register(webauthn.WithExtensions(
		webauthn.WithExtensionLargeBlobSupport(protocol.LargeBlobSupportPreferred), webauthn.WithExtensionPRF(eval("x", "")),
		webauthn.WithExtensionMinPinLength(),
		webauthn.WithExtensionCredentialProtectionPolicy(protocol.CredentialProtectionPolicyUserVerificationRequired, false)))
	results := made.ClientExtensionResults
	if results.PRF == nil || *results.PRF.Enabled || results.PRF.Results != nil || *results.LargeBlob.Supported {
		t.Errorf("%+v", results)
	}
	got := s.signIn(webauthn.WithAssertionExtensions(webauthn.WithExtensionPRF(eval("x", "")),
		webauthn.WithExtensionLargeBlobRead())).ClientExtensionResults
	if got.PRF == nil || got.PRF.Results != nil || got.LargeBlob == nil || got.LargeBlob.Blob != nil {
		t.Errorf("%+v", got)
	}
}
