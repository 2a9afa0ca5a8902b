package platform

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

var (
	pin            = fido.PIN("1234")
	clientDataHash = sha256.Sum256([]byte("client data"))
	salt           = fido.Secret(bytes.Repeat([]byte{1}, 32))
	otherSalt      = fido.Secret(bytes.Repeat([]byte{2}, 32))
)

// newKey is an emulated key of a profile, with a PIN or without; change alters its answers.
func newKey(t testing.TB, profile string, p fido.PIN, change func(ctap.Command, ctap.Response) ctap.Response) (
	*Key, *emulator.Authenticator) {

	t.Helper()
	known, err := emulator.LookupProfile(profile)
	if err != nil {
		t.Fatal(err)
	}
	a, err := emulator.New(emulator.Options{Profile: known, EnterpriseRPIDs: []string{"example.com"},
		Algorithms: append(slices.Clone(known.Algorithms), ctap.MLDSA44)})
	if err != nil {
		t.Fatal(err)
	}
	if p != nil {
		if err := a.SetPIN(p); err != nil {
			t.Fatal(err)
		}
	}
	k := &Key{Exchange: func(ctx context.Context, request []byte) ([]byte, error) {
		answer := a.ServeCTAP(ctx, ctap.Request{Channel: 1, Payload: request}, func(ctap.KeepaliveStatus) {})
		if change != nil {
			answer = change(ctap.Command(request[0]), answer)
		}
		if status := ctap.StatusCode(answer[0]); status != ctap.StatusOK {
			return nil, status
		}
		return answer[1:], nil
	}}
	k.Info, err = ask(t.Context(), k, []byte{byte(ctap.CommandGetInfo)}, ctap.ParseGetInfoResponse)
	if err != nil {
		t.Fatal(err)
	}
	return k, a
}

// registration asks for a discoverable credential with all extensions that it may have.
func registration(p fido.PIN) *fido.MakeCredentialRequest {
	yes := true
	return &fido.MakeCredentialRequest{
		ClientDataHash: clientDataHash[:],
		RP:             ctap.PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
		User:           ctap.PublicKeyCredentialUserEntity{ID: []byte("ada"), Name: "ada"},
		Algorithm:      ctap.ES256,
		RK:             true,
		PIN:            p,
		Extensions: ctap.MakeCredentialExtensionInputs{CredProtect: ctap.UserVerificationOptionalWithCredentialIDList,
			CredBlob: []byte("blob"), HMACSecret: &yes, LargeBlobKey: &yes},
	}
}

func signIn(p fido.PIN, allow ...[]byte) *fido.GetAssertionRequest {
	return &fido.GetAssertionRequest{RPID: "example.com", ClientDataHash: clientDataHash[:], AllowList: allow, PIN: p}
}

func register(t *testing.T, k *Key, r *fido.MakeCredentialRequest) (
	*fido.MakeCredentialResponse, *ctap.AuthenticatorData) {

	t.Helper()
	made, err := k.MakeCredential(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(made.AuthData)
	if err != nil || data.Attested == nil || data.Flags&ctap.FlagUV != 0 != (r.PIN != nil || r.UV) {
		t.Fatal(data, err)
	}
	return made, data
}

func assertOne(t *testing.T, k *Key, r *fido.GetAssertionRequest) *fido.GetAssertionResponse {
	t.Helper()
	list, err := k.GetAssertion(t.Context(), r)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	data, err := ctap.ParseAuthenticatorData(list[0].AuthData)
	if err != nil || data.Flags&ctap.FlagUV != 0 != (r.PIN != nil || r.UV) {
		t.Fatal(data, err)
	}
	return &list[0]
}

// TestCeremonies goes through ways to verify a person and both PIN protocols.
func TestCeremonies(t *testing.T) {
	for _, test := range []struct {
		profile string
		pin     fido.PIN
		uv      bool
	}{
		{"fido2.0", nil, false}, {"fido2.0", pin, false}, // protocol one, tokens without permissions
		{"fido2.1", nil, false}, {"fido2.1", pin, false},
		{"fingerprint", nil, true}, {"no-pin", nil, false},
	} {
		k, a := newKey(t, test.profile, test.pin, nil)
		if test.uv {
			if err := a.SetPIN(pin); err != nil {
				t.Fatal(err)
			}
			enroll(t, k)
		}
		r := registration(test.pin)
		r.UV, r.RK = test.uv, k.Info.Options[ctap.OptionRK]
		r.Extensions = ctap.MakeCredentialExtensionInputs{HMACSecret: r.Extensions.HMACSecret}
		_, data := register(t, k, r)
		s := signIn(test.pin, data.Attested.CredentialID)
		s.UV = test.uv
		if test.profile != "no-pin" {
			s.Salts = append(slices.Clone(salt), otherSalt...)
		}
		got := assertOne(t, k, s)
		if len(got.HMACSecret) != len(s.Salts) {
			t.Errorf("%s: %d bytes of hmac-secret", test.profile, len(got.HMACSecret))
		}
		verify(t, data.Attested.PublicKey, got)
	}
}

// enroll teaches the key a finger.
func enroll(t *testing.T, k *Key) {
	t.Helper()
	s, err := k.begin(t.Context(), verification{pin: pin, permissions: ctap.PermissionBioEnrollment}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &ctap.BioEnrollmentRequest{Modality: ctap.ModalityFingerprint, Subcommand: ctap.SubcommandEnrollBegin}
	for {
		param, protocol := s.authenticate(r.AuthMessage())
		r.PINUVAuthParam, r.PINUVAuthProtocol = *param, protocol
		got, err := ask(t.Context(), k, r.Encode(), ctap.ParseBioEnrollmentResponse)
		if err != nil {
			t.Fatal(err)
		}
		if *got.RemainingSamples == 0 {
			break
		}
		if r.Subcommand == ctap.SubcommandEnrollBegin {
			r.Subcommand = ctap.SubcommandEnrollCaptureNextSample
			if r.SubcommandParams, err = ctap.Marshal(ctap.BioEnrollmentParams{TemplateID: got.TemplateID}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if k.Info, err = ask(t.Context(), k, []byte{byte(ctap.CommandGetInfo)}, ctap.ParseGetInfoResponse); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, key ctap.RawMessage, a *fido.GetAssertionResponse) {
	t.Helper()
	public, _, err := ctap.ParseCOSEKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(append(bytes.Clone(a.AuthData), clientDataHash[:]...))
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), sum[:], a.Signature) {
		t.Error("wrong signature")
	}
}

// TestHMACSecretAtOnce: what a new credential evaluates to, it evaluates to later.
func TestHMACSecretAtOnce(t *testing.T) {
	k, _ := newKey(t, "fido2.1", pin, nil)
	r := registration(pin)
	r.Salts = append(slices.Clone(salt), otherSalt...)
	made, data := register(t, k, r)
	s := signIn(pin, data.Attested.CredentialID)
	s.Salts = otherSalt
	if got := assertOne(t, k, s); len(made.HMACSecret) != 64 || !bytes.Equal(got.HMACSecret, made.HMACSecret[32:]) {
		t.Errorf("%d bytes at registration, %d later, or others", len(made.HMACSecret), len(got.HMACSecret))
	}
	if !made.LargeBlob || made.LargeBlobKey != nil {
		t.Error("no large blob, or its key came along")
	}
}

func TestEnterpriseAttestation(t *testing.T) {
	k, _ := newKey(t, "fido2.1", nil, nil)
	r := registration(nil)
	r.EnterpriseAttestation = ctap.VendorFacilitated
	if _, err := k.MakeCredential(t.Context(), r); err != ctap.ErrInvalidParameter { // not enabled
		t.Error(err)
	}
	enable := &ctap.ConfigRequest{Subcommand: ctap.SubcommandEnableEnterpriseAttestation}
	if _, err := ask(t.Context(), k, enable.Encode(), noParameters); err != nil {
		t.Fatal(err)
	}
	if made, _ := register(t, k, r); !made.EnterpriseAttestation {
		t.Error("attested as any other")
	}
	r.EnterpriseAttestation = 0
	if made, _ := register(t, k, r); made.EnterpriseAttestation {
		t.Error("attested for an enterprise, unasked")
	}
}

func TestAlgorithms(t *testing.T) {
	k, _ := newKey(t, "fido2.1", nil, nil)
	for _, alg := range []ctap.Algorithm{ctap.EdDSA, ctap.ES384, ctap.RS256, ctap.MLDSA44} {
		r := registration(nil)
		r.Algorithm = alg
		_, data := register(t, k, r)
		if _, got, err := ctap.ParseCOSEKey(data.Attested.PublicKey); got != alg || err != nil {
			t.Errorf("%v: %v, %v", alg, got, err)
		}
	}
	r := registration(nil)
	r.Algorithm = -999
	if _, err := k.MakeCredential(t.Context(), r); err != ctap.ErrUnsupportedAlgorithm {
		t.Error(err)
	}
}

// TestAccounts collects an assertion of each account, with its own secret and its own large blob.
func TestAccounts(t *testing.T) {
	k, _ := newKey(t, "fido2.1", pin, nil)
	for _, name := range []string{"ada", "bob", "cyd"} {
		r := registration(pin)
		r.User.ID = []byte(name)
		_, data := register(t, k, r)
		s := signIn(pin, data.Attested.CredentialID)
		s.WriteLargeBlob = []byte("blob of " + name)
		if !assertOne(t, k, s).LargeBlobWritten {
			t.Fatal("not written")
		}
	}
	s := signIn(pin)
	s.Salts, s.ReadLargeBlob = salt, true
	list, err := k.GetAssertion(t.Context(), s)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	secrets := map[string]bool{}
	for _, a := range list {
		secrets[string(a.HMACSecret)] = true
		if want := "blob of " + string(a.User.ID); string(a.LargeBlob) != want || a.LargeBlobKey != nil {
			t.Errorf("large blob %q, want %q", a.LargeBlob, want)
		}
	}
	if len(secrets) != 3 {
		t.Error("accounts have secrets in common")
	}
}

func TestLargeBlob(t *testing.T) {
	for _, p := range []fido.PIN{nil, pin} {
		k, _ := newKey(t, "fido2.1", p, nil)
		_, data := register(t, k, registration(p))
		id := data.Attested.CredentialID
		read, write := signIn(nil, id), signIn(p, id)
		read.ReadLargeBlob = true
		if got := assertOne(t, k, read).LargeBlob; got != nil {
			t.Errorf("%q before any was written", got)
		}
		noise := make([]byte, 5000) // which no compression makes smaller
		rand.Read(noise)
		for _, blob := range []string{"a large blob", strings.Repeat("x", 5000), string(noise[:3500]), "", "b"} {
			write.WriteLargeBlob = []byte(blob)
			if !assertOne(t, k, write).LargeBlobWritten {
				t.Fatalf("%d bytes were not written", len(blob))
			}
			if got := assertOne(t, k, read).LargeBlob; got == nil || string(got) != blob {
				t.Errorf("read %d bytes, want %d", len(got), len(blob))
			}
		}
		write.WriteLargeBlob = noise
		if assertOne(t, k, write).LargeBlobWritten {
			t.Error("more was written than the key has room for")
		}
		if p != nil {
			write.PIN, write.WriteLargeBlob = nil, []byte("of a stranger")
			if assertOne(t, k, write).LargeBlobWritten {
				t.Error("written without the PIN")
			}
		}
		if got := assertOne(t, k, read).LargeBlob; string(got) != "b" {
			t.Errorf("what was there is gone: %d bytes", len(got))
		}
	}
}

// TestOneFinger: a large blob is written by the finger that signs.
func TestOneFinger(t *testing.T) {
	k, a := newKey(t, "fingerprint", nil, nil)
	if err := a.SetPIN(pin); err != nil {
		t.Fatal(err)
	}
	enroll(t, k)
	r := registration(nil)
	r.UV = true
	_, data := register(t, k, r)
	fingers := 0
	exchange := k.Exchange
	k.Exchange = func(ctx context.Context, request []byte) ([]byte, error) {
		if asked, err := ctap.ParseClientPINRequest(request[1:]); request[0] == byte(ctap.CommandClientPIN) && err == nil &&
			asked.Subcommand == ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions {
			fingers++
		}
		return exchange(ctx, request)
	}
	s := signIn(nil, data.Attested.CredentialID)
	s.UV, s.WriteLargeBlob = true, []byte("blob")
	if got := assertOne(t, k, s); !got.LargeBlobWritten || fingers != 1 {
		t.Errorf("written: %v, by %d fingers", got.LargeBlobWritten, fingers)
	}
}

func TestWrongPIN(t *testing.T) {
	k, _ := newKey(t, "fido2.1", pin, nil)
	if _, err := k.MakeCredential(t.Context(), registration(fido.PIN("4321"))); err != ctap.ErrPINInvalid {
		t.Error(err)
	}
}

// TestLyingKeys: answers that make no sense are an error of the key, not of ours.
func TestLyingKeys(t *testing.T) {
	answers := func(c ctap.Command, bad ctap.Response) func(ctap.Command, ctap.Response) ctap.Response {
		return func(asked ctap.Command, good ctap.Response) ctap.Response {
			if asked == c {
				return bad
			}
			return good
		}
	}
	authData := func(extensions string) ctap.Bytes {
		return (&ctap.AuthenticatorData{Flags: ctap.FlagUP, Extensions: ctap.RawMessage(extensions)}).Encode()
	}
	made := func(extensions string) ctap.Response {
		return (&ctap.MakeCredentialResponse{
			Format: "none", AuthData: authData(extensions), AttStmt: ctap.RawMessage{0xa0}}).Encode()
	}
	long := made("\xa1\x6ehmac-secret-mc\x58\x20" + strings.Repeat("x", 32))
	for name, change := range map[string]func(ctap.Command, ctap.Response) ctap.Response{
		"a status alone":       answers(ctap.CommandMakeCredential, ctap.Response{0}),
		"no authData":          answers(ctap.CommandMakeCredential, ctap.Response("\x00\xa3\x01\x64none\x02\x40\x03\xa0")),
		"hmac-secret too long": answers(ctap.CommandMakeCredential, long),
		"hmac-secret of text":  answers(ctap.CommandMakeCredential, made("\xa1\x6ehmac-secret-mc\x61x")),
		"no key agreement":     answers(ctap.CommandClientPIN, (&ctap.ClientPINResponse{}).Encode()),
		"no token":             answers(ctap.CommandClientPIN, (&ctap.ClientPINResponse{PINUVAuthToken: []byte{1}}).Encode()),
	} {
		k, _ := newKey(t, "fido2.1", pin, change)
		r := registration(pin)
		r.Salts = salt
		if _, err := k.MakeCredential(t.Context(), r); !errors.Is(err, fido.ErrBadAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	endless := (&ctap.GetAssertionResponse{
		AuthData: authData("\xa0"), Signature: []byte{1}, NumberOfCredentials: 1000}).Encode()
	k, _ := newKey(t, "fido2.1", nil, answers(ctap.CommandGetAssertion, endless))
	if _, err := k.GetAssertion(t.Context(), signIn(nil)); err != ctap.ErrLimitExceeded {
		t.Error(err)
	}
}

// TestEndlessLargeBlobs: a key that always has more does not fill our memory.
func TestEndlessLargeBlobs(t *testing.T) {
	k, _ := newKey(t, "fido2.1", nil, nil)
	_, data := register(t, k, registration(nil))
	asked := 0
	good := k.Exchange
	k.Exchange = func(ctx context.Context, request []byte) ([]byte, error) {
		if request[0] != byte(ctap.CommandLargeBlobs) {
			return good(ctx, request)
		}
		asked++
		return (&ctap.LargeBlobsResponse{Config: make([]byte, k.maxFragment())}).Encode()[1:], nil
	}
	r := signIn(nil, data.Attested.CredentialID)
	r.ReadLargeBlob = true
	if got := assertOne(t, k, r).LargeBlob; got != nil || asked > 1+largestArray/k.maxFragment() {
		t.Errorf("%d bytes after %d requests", len(got), asked)
	}
}
