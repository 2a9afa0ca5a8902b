package libfido2

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// plugU2F gives a key that speaks U2F alone.
func plugU2F(t *testing.T, presence emulator.Presence) string {
	t.Helper()
	profile, err := emulator.LookupProfile("u2f")
	if err != nil {
		t.Fatal(err)
	}
	key, err := softkey.Plug(t.Context(), softkey.Options{Profile: profile, Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { key.Close() })
	return key.Path()
}

func TestU2F(t *testing.T) {
	d := open(t, plugU2F(t, emulator.Approve))
	info, err := d.GetInfo(t.Context())
	if err != nil || !slices.Equal(info.Versions, []string{"U2F_V2"}) || !slices.Equal(info.Transports, []string{"usb"}) {
		t.Fatal(info, err)
	}
	c, err := d.MakeCredential(t.Context(), registration("ada"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := ctap.ParseAuthenticatorData(c.AuthData)
	if err != nil || data.RPIDHash != sha256.Sum256([]byte("example.com")) || data.Attested.AAGUID != (ctap.AAGUID{}) {
		t.Fatal(data, err)
	}
	checkU2FAttestation(t, &c.MakeCredentialResponse, data)
	id := data.Attested.CredentialID
	list, err := d.GetAssertion(t.Context(), signIn([]byte("another"), make([]byte, 300), id))
	if err != nil || len(list) != 1 || !bytes.Equal(list[0].Credential.ID, id) {
		t.Fatal(list, err)
	}
	verify(t, data.Attested.PublicKey, list[0].GetAssertionResponse)
	if _, err := d.GetAssertion(t.Context(), signIn([]byte("another"))); err != ctap.ErrNoCredentials {
		t.Error(err)
	}
	r := registration("ada")
	r.ExcludeList = [][]byte{[]byte("another"), make([]byte, 300), id}
	if _, err := d.MakeCredential(t.Context(), r); err != ctap.ErrCredentialExcluded {
		t.Error(err)
	}
}

// checkU2FAttestation verifies as WebAuthn says (§8.6).
func checkU2FAttestation(t *testing.T, c *ctap.MakeCredentialResponse, data *ctap.AuthenticatorData) {
	t.Helper()
	var s struct {
		Sig []byte   `cbor:"sig"`
		X5C [][]byte `cbor:"x5c"`
	}
	var members map[string]ctap.RawMessage
	if c.Format != "fido-u2f" || ctap.Unmarshal(c.AttStmt, &s) != nil || ctap.Unmarshal(c.AttStmt, &members) != nil ||
		len(s.X5C) != 1 || len(members) != 2 {
		t.Fatalf("%s %x", c.Format, c.AttStmt)
	}
	cert, err := x509.ParseCertificate(s.X5C[0])
	if err != nil {
		t.Fatal(err)
	}
	public, _, err := ctap.ParseCOSEKey(data.Attested.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	point, err := public.(*ecdsa.PublicKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	signed := slices.Concat([]byte{0}, data.RPIDHash[:], clientDataHash[:], data.Attested.CredentialID, point)
	if err := cert.CheckSignature(x509.ECDSAWithSHA256, signed, s.Sig); err != nil {
		t.Error(err)
	}
}

// TestU2FCannot: what U2F has no words for is refused before the key blinks.
func TestU2FCannot(t *testing.T) {
	d := open(t, plugU2F(t, emulator.Wait))
	for want, change := range map[error]func(*fido.MakeCredentialRequest){
		ctap.ErrUnsupportedOption:    func(r *fido.MakeCredentialRequest) { r.RK = true },
		ctap.ErrUnsupportedAlgorithm: func(r *fido.MakeCredentialRequest) { r.Algorithm = ctap.EdDSA },
	} {
		r := registration("ada")
		change(r)
		if _, err := d.MakeCredential(t.Context(), r); err != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	r := signIn([]byte("another"))
	r.PIN = fido.PIN("1234")
	if _, err := d.GetAssertion(t.Context(), r); err != ctap.ErrUnsupportedOption {
		t.Error(err)
	}
	if _, err := d.GetAssertion(t.Context(), signIn()); err != ctap.ErrNoCredentials {
		t.Error(err)
	}
	_, err := d.PINRetries(t.Context())
	for _, err := range []error{err, d.Select(t.Context()), d.SetPIN(t.Context(), fido.PIN("1234"))} {
		if !errors.Is(err, fido.ErrNotFIDO2) {
			t.Error(err)
		}
	}
}

// TestU2FSilent: a check is no assertion, and needs no touch.
func TestU2FSilent(t *testing.T) {
	f := newFinger()
	d := open(t, plugU2F(t, f.presence))
	go func() { f.touch <- struct{}{} }()
	made := register(t, d, registration("ada"))
	r := signIn([]byte("another"), made.CredentialID)
	r.Silent = true
	list, err := d.GetAssertion(t.Context(), r)
	if err != nil || len(list) != 1 || !bytes.Equal(list[0].Credential.ID, made.CredentialID) || len(list[0].Signature) > 0 {
		t.Error(list, err)
	}
	r = signIn([]byte("another"))
	r.Silent = true
	if _, err := d.GetAssertion(t.Context(), r); err != ctap.ErrNoCredentials {
		t.Error(err)
	}
}

// TestU2FIsCancelled: the key is told of once, is dark soon after a cancel, and of use.
func TestU2FIsCancelled(t *testing.T) {
	f := newFinger()
	d := open(t, plugU2F(t, f.presence))
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	ctx = fido.OnWaiting(ctx, func() {
		told++
		await(t, "light", f.waiting)
		cancel()
	})
	if _, err := d.MakeCredential(ctx, registration("ada")); err != context.Canceled || told != 1 {
		t.Errorf("%v, told %d times", err, told)
	}
	await(t, "dark", f.dark)
	go func() {
		<-f.waiting
		f.touch <- struct{}{}
	}()
	register(t, d, registration("ada"))
}
