package libfido2

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
)

var clientDataHash = sha256.Sum256([]byte("client data"))

func (f *finger) presence(ctx context.Context, _ emulator.PresenceRequest) error {
	f.waiting <- struct{}{}
	select {
	case <-f.touch:
		return nil
	case <-ctx.Done():
		f.dark <- struct{}{}
		return ctx.Err()
	}
}

func newKey(t testing.TB, o emulator.Options) *emulator.Authenticator {
	t.Helper()
	a, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func registration(user string) *fido.MakeCredentialRequest {
	return &fido.MakeCredentialRequest{
		ClientDataHash: clientDataHash[:],
		RP:             ctap.PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
		User:           ctap.PublicKeyCredentialUserEntity{ID: []byte(user), Name: user, DisplayName: "The " + user},
		Algorithm:      ctap.ES256,
	}
}

func signIn(allow ...[]byte) *fido.GetAssertionRequest {
	return &fido.GetAssertionRequest{RPID: "example.com", ClientDataHash: clientDataHash[:], AllowList: allow}
}

func register(t testing.TB, d *Device, r *fido.MakeCredentialRequest) *ctap.AttestedCredentialData {
	t.Helper()
	c, err := d.MakeCredential(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(c.AuthData)
	if err != nil || data.Attested == nil {
		t.Fatal(data, err)
	}
	return data.Attested
}

// verify checks the signature of an assertion, and with it that authenticator data came through unchanged.
func verify(t *testing.T, key ctap.RawMessage, a ctap.GetAssertionResponse) {
	t.Helper()
	pub, _, err := ctap.ParseCOSEKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signed := append(append([]byte(nil), a.AuthData...), clientDataHash[:]...)
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(signed)
		if !ecdsa.VerifyASN1(pub, sum[:], a.Signature) {
			t.Error("wrong signature")
		}
	case ed25519.PublicKey:
		if !ed25519.Verify(pub, signed, a.Signature) {
			t.Error("wrong signature")
		}
	}
}

func TestGetInfo(t *testing.T) {
	key := newKey(t, emulator.Options{})
	path, _ := plug(t, key)
	got, err := open(t, path).GetInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := ctap.Request{Payload: []byte{byte(ctap.CommandGetInfo)}}
	raw := key.ServeCTAP(t.Context(), ask, func(ctap.KeepaliveStatus) {})
	want, err := ctap.ParseGetInfoResponse(raw[1:])
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Encode()) != string(want.Encode()) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestRegisterAndSignIn(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	for _, alg := range []ctap.Algorithm{ctap.ES256, ctap.EdDSA} {
		r := registration("ada")
		r.Algorithm = alg
		c, err := d.MakeCredential(t.Context(), r)
		if err != nil {
			t.Fatal(alg, err)
		}
		data, err := ctap.ParseAuthenticatorData(c.AuthData)
		if err != nil || data.RPIDHash != sha256.Sum256([]byte("example.com")) {
			t.Fatal(data, err)
		}
		checkAttestation(t, &c.MakeCredentialResponse, data)
		other := make([]byte, 64)
		id := data.Attested.CredentialID
		list, err := d.GetAssertion(t.Context(), signIn(other, id, id))
		if err != nil || len(list) != 1 || string(list[0].Credential.ID) != string(id) {
			t.Fatal(alg, list, err)
		}
		verify(t, data.Attested.PublicKey, list[0].GetAssertionResponse)
	}
	if _, err := d.GetAssertion(t.Context(), signIn(make([]byte, 64))); err != ctap.ErrNoCredentials {
		t.Error(err)
	}
	r := registration("ada")
	r.Algorithm = -999
	if _, err := d.MakeCredential(t.Context(), r); err != ctap.ErrUnsupportedAlgorithm {
		t.Error(err)
	}
}

func checkAttestation(t *testing.T, c *ctap.MakeCredentialResponse, data *ctap.AuthenticatorData) {
	t.Helper()
	if c.Format != ctap.FormatPacked {
		t.Fatal(c.Format)
	}
	var s ctap.PackedAttestationStatement
	if err := ctap.Unmarshal(c.AttStmt, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.X5C) == 0 {
		verify(t, data.Attested.PublicKey, ctap.GetAssertionResponse{AuthData: c.AuthData, Signature: s.Sig})
	}
}

// rewrite changes successful answers to a command, as other keys would give them.
type rewrite struct {
	ctap.Handler
	command ctap.Command
	change  func(map[int]any)
}

func (h rewrite) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	out := h.Handler.ServeCTAP(ctx, r, k)
	var m map[int]any
	if r.Payload[0] != byte(h.command) || out[0] != 0 || ctap.Unmarshal(out[1:], &m) != nil {
		return out
	}
	h.change(m)
	b, err := ctap.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(ctap.Response{0}, b...)
}

func TestCredentialLeftOut(t *testing.T) {
	leaveOut := func(m map[int]any) { delete(m, 1) }
	path, _ := plug(t, rewrite{newKey(t, emulator.Options{}), ctap.CommandGetAssertion, leaveOut})
	d := open(t, path)
	c := register(t, d, registration("ada"))
	list, err := d.GetAssertion(t.Context(), signIn(c.CredentialID))
	if err != nil || len(list) != 1 || string(list[0].Credential.ID) != string(c.CredentialID) {
		t.Fatal(list, err)
	}
}

func TestNoAttestation(t *testing.T) {
	none := func(m map[int]any) { m[1], m[3] = ctap.FormatNone, map[string]any{} }
	path, _ := plug(t, rewrite{newKey(t, emulator.Options{}), ctap.CommandMakeCredential, none})
	c, err := open(t, path).MakeCredential(t.Context(), registration("ada"))
	if err != nil || c.Format != ctap.FormatNone || string(c.AttStmt) != "\xa0" {
		t.Fatal(c, err)
	}
}

func TestCertificateChain(t *testing.T) {
	sent := make(chan string, 1)
	chain := func(m map[int]any) {
		s := m[3].(map[any]any)
		s["x5c"] = [][]byte{[]byte("leaf"), []byte("intermediate")}
		b, _ := ctap.Marshal(s)
		sent <- string(b)
	}
	path, _ := plug(t, rewrite{newKey(t, emulator.Options{}), ctap.CommandMakeCredential, chain})
	c, err := open(t, path).MakeCredential(t.Context(), registration("ada"))
	if err != nil {
		t.Fatal(err)
	}
	if want := <-sent; string(c.AttStmt) != want {
		t.Fatalf("%x, sent was %x", c.AttStmt, want)
	}
}

func TestDiscoverable(t *testing.T) {
	key := newKey(t, emulator.Options{})
	if err := key.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, key)
	d := open(t, path)
	keys := map[string]ctap.RawMessage{}
	for _, user := range []string{"ada", "bob", "cyd"} {
		r := registration(user)
		r.RK, r.PIN = true, fido.PIN("1234")
		keys[user] = register(t, d, r).PublicKey
	}
	r := signIn()
	r.PIN = fido.PIN("1234")
	list, err := d.GetAssertion(t.Context(), r)
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for _, a := range list {
		user := string(a.User.ID)
		if keys[user] == nil || a.User.Name != user || a.User.DisplayName != "The "+user || len(a.Credential.ID) == 0 {
			t.Fatalf("%+v", a.User)
		}
		verify(t, keys[user], a.GetAssertionResponse)
		delete(keys, user)
	}
}

func TestExcluded(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	id := register(t, d, registration("ada")).CredentialID
	r := registration("ada")
	r.ExcludeList = [][]byte{{1}, id, id, {1}}
	if _, err := d.MakeCredential(t.Context(), r); err != ctap.ErrCredentialExcluded {
		t.Fatal(err)
	}
}

func TestWrongPIN(t *testing.T) {
	key := newKey(t, emulator.Options{})
	if err := key.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, key)
	d := open(t, path)
	r := registration("ada")
	r.PIN = fido.PIN("4321")
	for i, want := range []error{ctap.ErrPINInvalid, ctap.ErrPINInvalid, ctap.ErrPINAuthBlocked} {
		if _, err := d.MakeCredential(t.Context(), r); err != want {
			t.Fatalf("attempt %d: %v", i+1, err)
		}
		if n, err := d.PINRetries(t.Context()); n.Left != uint(7-i) || n.PowerCycle != (i == 2) || err != nil {
			t.Fatalf("after attempt %d: %+v, %v", i+1, n, err)
		}
	}
}

func TestRefusedBeforeC(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	long := fido.PIN(strings.Repeat("1", 64))
	for name, c := range map[string]struct {
		change func(*fido.MakeCredentialRequest)
		want   error
	}{
		"empty PIN":     {func(r *fido.MakeCredentialRequest) { r.PIN = fido.PIN{} }, ctap.ErrPINPolicyViolation},
		"long PIN":      {func(r *fido.MakeCredentialRequest) { r.PIN = long }, ctap.ErrPINPolicyViolation},
		"PIN with NUL":  {func(r *fido.MakeCredentialRequest) { r.PIN = fido.PIN("12\x0034") }, ctap.ErrPINPolicyViolation},
		"RP ID":         {func(r *fido.MakeCredentialRequest) { r.RP.ID = "example.com\x00.evil" }, ctap.ErrInvalidParameter},
		"no RP ID":      {func(r *fido.MakeCredentialRequest) { r.RP.ID = "" }, ctap.ErrInvalidParameter},
		"user's name":   {func(r *fido.MakeCredentialRequest) { r.User.Name = "a\x00" }, ctap.ErrInvalidParameter},
		"no user":       {func(r *fido.MakeCredentialRequest) { r.User.ID = []byte{} }, ctap.ErrMissingParameter},
		"no hash":       {func(r *fido.MakeCredentialRequest) { r.ClientDataHash = []byte{} }, ctap.ErrMissingParameter},
		"empty exclude": {func(r *fido.MakeCredentialRequest) { r.ExcludeList = [][]byte{{}} }, ctap.ErrInvalidParameter},
	} {
		r := registration("ada")
		c.change(r)
		if _, err := d.MakeCredential(t.Context(), r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []*fido.GetAssertionRequest{
		{RPID: "a\x00b", ClientDataHash: clientDataHash[:]},
		{ClientDataHash: clientDataHash[:]},
		{RPID: "example.com", ClientDataHash: clientDataHash[:], AllowList: [][]byte{nil}},
	} {
		if _, err := d.GetAssertion(t.Context(), r); !errors.Is(err, ctap.ErrInvalidParameter) {
			t.Errorf("%v: %v", r, err)
		}
	}
	if _, err := d.GetAssertion(t.Context(), &fido.GetAssertionRequest{RPID: "a"}); err != ctap.ErrMissingParameter {
		t.Error(err)
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "\xa0",
		"\xa0":                   "\xa0",
		"\xa2\x61b\x01\x61a\x02": "\xa2\x61a\x02\x61b\x01", // keys out of order
		"\xa1\x61a\x18\x01":      "\xa1\x61a\x01",          // a number longer than needed
	} {
		if got, err := canonical([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%x: %x, %v", in, got, err)
		}
	}
	for _, in := range []string{"\xff", "\x01", "\xa1\x61a\xf6\x00", "\xa1\x61a\xf6"} {
		if got, err := canonical([]byte(in)); err != ctap.ErrInvalidCBOR {
			t.Errorf("%x: %x, %v", in, got, err)
		}
	}
}

// TestSelect waits for a touch that changes nothing, with a PIN and without.
func TestSelect(t *testing.T) {
	for _, pin := range []string{"", "1234"} {
		f := newFinger()
		key := newKey(t, emulator.Options{Presence: f.presence})
		if pin != "" {
			if err := key.SetPIN([]byte(pin)); err != nil {
				t.Fatal(err)
			}
		}
		path, _ := plug(t, key)
		d := open(t, path)
		go func() {
			<-f.waiting
			close(f.touch)
		}()
		if err := d.Select(t.Context()); err != nil {
			t.Errorf("PIN %q: %v", pin, err)
		}
		if n, err := d.PINRetries(t.Context()); pin != "" && (n.Left != 8 || err != nil) {
			t.Errorf("%+v, %v", n, err)
		}
	}
}

// TestSelectIsCancelled: the key is dark, and of use.
func TestSelectIsCancelled(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.waiting
		cancel()
	}()
	if err := d.Select(ctx); err != context.Canceled {
		t.Error(err)
	}
	await(t, "dark", f.dark)
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSilentAssertion finds out, without a touch, whether the key has a credential.
func TestSilentAssertion(t *testing.T) {
	var touches atomic.Int32
	path, _ := plug(t, newKey(t, emulator.Options{Presence: func(context.Context, emulator.PresenceRequest) error {
		touches.Add(1)
		return nil
	}}))
	d := open(t, path)
	made := register(t, d, registration("ada"))
	r := signIn([]byte("another"), made.CredentialID)
	r.Silent = true
	list, err := d.GetAssertion(t.Context(), r)
	if err != nil || len(list) != 1 || string(list[0].Credential.ID) != string(made.CredentialID) || touches.Load() != 1 {
		t.Errorf("%v, %v, touched %d times", list, err, touches.Load())
	}
	r = signIn([]byte("another"))
	r.Silent = true
	if _, err := d.GetAssertion(t.Context(), r); !errors.Is(err, ctap.ErrNoCredentials) || touches.Load() != 1 {
		t.Errorf("%v, touched %d times", err, touches.Load())
	}
}
