package webauthn

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"fob/fido/ctap"
)

const origin = "https://login.example.com"

// registration begins a registration for example.com with members of the options replaced.
func registration(t *testing.T, changes ...string) *Registration {
	t.Helper()
	changes = append([]string{"rp", `{"id":"example.com","name":"Example"}`,
		"pubKeyCredParams",
		`[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-258}]`,
	}, changes...)
	options, err := ParseCreationOptions([]byte(creation(changes...)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := BeginRegistration(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type attestation struct {
	Format   string          `cbor:"fmt"`
	AttStmt  ctap.RawMessage `cbor:"attStmt"`
	AuthData ctap.Bytes      `cbor:"authData"`
}

func readAttestation(t *testing.T, b []byte) attestation {
	t.Helper()
	var a attestation
	if err := ctap.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestBeginRegistration(t *testing.T) {
	r := registration(t)
	want := `{"type":"webauthn.create","challenge":"` + challenge + `","origin":"` + origin + `","crossOrigin":false}`
	if r.RPID != "example.com" || string(r.ClientDataJSON) != want {
		t.Errorf("%s, %s", r.RPID, r.ClientDataJSON)
	}
	var e *RPIDError
	if _, err := BeginRegistration(r.Options, "https://example.org"); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
}

func TestRegistrationFinish(t *testing.T) {
	r := registration(t, "attestation", `"direct"`, "extensions", `{"credProps":true}`)
	key := newSoftKey(t, ctap.ES256)
	made := key.makeCredential(r)
	response, err := r.Finish(made, []string{"usb", "nfc", "telepathy", "usb"}, true, ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseRegistrationResponse(b)
	if err != nil || !reflect.DeepEqual(parsed, response) {
		t.Errorf("read back: %+v, %v", parsed, err)
	}
	public, err := x509.ParsePKIXPublicKey(response.Response.PublicKey)
	if err != nil || !key.signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(public) {
		t.Errorf("publicKey: %v, %v", public, err)
	}
	got := response.Response
	if !bytes.Equal(response.RawID, key.data.Attested.CredentialID) || !bytes.Equal(response.ID, response.RawID) ||
		response.Type != "public-key" || response.AuthenticatorAttachment != "cross-platform" ||
		!reflect.DeepEqual(got.Transports, []string{"nfc", "usb"}) || got.PublicKeyAlgorithm != ctap.ES256 ||
		!bytes.Equal(got.AuthenticatorData, made.AuthData) || !bytes.Equal(got.ClientDataJSON, r.ClientDataJSON) {
		t.Errorf("%s", b)
	}
	if rk := response.ClientExtensionResults.CredProps; rk == nil || rk.RK == nil || !*rk.RK {
		t.Errorf("credProps: %s", b)
	}
	if !bytes.HasPrefix(got.AttestationObject, []byte("\xa3\x63fmt\x66packed\x67attStmt\xa2")) {
		t.Errorf("attestation object: %x", got.AttestationObject)
	}
}

func TestRegistrationWithoutExtras(t *testing.T) {
	r := registration(t)
	response, err := r.Finish(newSoftKey(t, ctap.EdDSA).makeCredential(r), nil, true, ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(`"clientExtensionResults":{}`)) || !bytes.Contains(b, []byte(`"transports":[]`)) {
		t.Errorf("%s", b)
	}
}

// TestConveyance goes through the attestation statements that a relying party does and does not get to see.
func TestConveyance(t *testing.T) {
	statement := func(v any) ctap.RawMessage {
		b, err := ctap.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	self := statement(ctap.PackedAttestationStatement{Alg: ctap.ES256, Sig: []byte("sig")})
	full := statement(ctap.PackedAttestationStatement{Alg: ctap.ES256, Sig: []byte("sig"), X5C: []ctap.Bytes{[]byte("cert")}})
	noCerts := statement(map[string]any{"alg": -7, "sig": []byte("sig"), "x5c": []any{}})
	smuggled := statement(map[string]any{"alg": -7, "sig": []byte("sig"), "serial": 4711})
	model := ctap.AAGUID{1}
	for _, c := range []struct {
		name, preference, format string
		aaguid                   ctap.AAGUID
		statement                ctap.RawMessage
		kept                     bool
	}{
		{"self attestation says nothing", `"none"`, "packed", ctap.AAGUID{}, self, true},
		{"self attestation of a known model", `"none"`, "packed", model, self, false},
		{"full attestation", `"none"`, "packed", ctap.AAGUID{}, full, false},
		{"empty x5c", `"none"`, "packed", ctap.AAGUID{}, noCerts, false},
		{"smuggled member", `"none"`, "packed", ctap.AAGUID{}, smuggled, false},
		{"another format", `"none"`, "fido-u2f", ctap.AAGUID{}, self, false},
		{"unknown preference", `"later"`, "packed", model, full, false},
		{"indirect", `"indirect"`, "packed", model, full, true},
		{"direct", `"direct"`, "packed", model, full, true},
		{"enterprise", `"enterprise"`, "packed", model, full, true},
		{"none by the authenticator", `"direct"`, "none", model, ctap.RawMessage{0xa0}, true},
		{"none without a statement", `"direct"`, "none", model, nil, false},
	} {
		r := registration(t, "attestation", c.preference)
		key := newSoftKey(t, ctap.ES256)
		key.data.Attested.AAGUID = c.aaguid
		made := key.makeCredential(r)
		made.Format, made.AttStmt = c.format, c.statement
		response, err := r.Finish(made, nil, false, ExtensionOutputs{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := attestation{ctap.FormatNone, ctap.RawMessage{0xa0}, made.AuthData}
		if c.kept {
			want.Format, want.AttStmt = c.format, c.statement
		}
		if got := readAttestation(t, response.Response.AttestationObject); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// An algorithm that we have no code for is passed on without a SubjectPublicKeyInfo.
func TestRegistrationUnknownAlgorithm(t *testing.T) {
	r := registration(t)
	key := newSoftKey(t, ctap.ES256)
	rs384, err := ctap.Marshal(map[int]any{1: 3, 3: -258, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{1, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	key.data.Attested.PublicKey = rs384
	response, err := r.Finish(key.makeCredential(r), nil, false, ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	if response.Response.PublicKey != nil || response.Response.PublicKeyAlgorithm != -258 {
		t.Errorf("%+v", response.Response)
	}
}

func TestRegistrationHostileAuthenticator(t *testing.T) {
	coseKey := func(v any) ctap.RawMessage {
		b, err := ctap.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name    string
		spoil   func(k *softKey, m *ctap.MakeCredentialResponse)
		member  string
		problem error
	}{
		{"no authData", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.AuthData = nil },
			"authData", ctap.ErrInvalidLength},
		{"trailing bytes", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.AuthData = append(m.AuthData, 0) },
			"authData", ctap.ErrInvalidLength},
		{"other RP ID", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.RPIDHash[31] ^= 1 },
			"authData.rpIdHash", ErrRPIDHash},
		{"no presence", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Flags &^= ctap.FlagUP },
			"authData.flags", ErrNoUserPresence},
		{"no verification", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Flags &^= ctap.FlagUV },
			"authData.flags", ErrNoUserVerification},
		{"backed up but not eligible", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Flags |= ctap.FlagBS },
			"authData.flags", ErrBackupState},
		{"no credential", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Attested = nil },
			"authData.attestedCredentialData", ErrMissing},
		{"no credential ID", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Attested.CredentialID = nil },
			"authData.attestedCredentialData.credentialId", ErrLength},
		{"long credential ID", func(k *softKey, _ *ctap.MakeCredentialResponse) {
			k.data.Attested.CredentialID = make([]byte, ctap.MaxCredentialIDLength+1)
		}, "authData", ctap.ErrInvalidLength},
		{"key is no map", func(k *softKey, _ *ctap.MakeCredentialResponse) { k.data.Attested.PublicKey = []byte{1} },
			"authData.attestedCredentialData.credentialPublicKey", ctap.ErrCBORUnexpectedType},
		{"algorithm not asked for", func(k *softKey, _ *ctap.MakeCredentialResponse) {
			k.data.Attested.PublicKey = coseKey(map[int]any{1: 2, 3: -35, -1: 2})
		}, "authData.attestedCredentialData.credentialPublicKey", ctap.ErrUnsupportedAlgorithm},
		{"no algorithm", func(k *softKey, _ *ctap.MakeCredentialResponse) {
			k.data.Attested.PublicKey = coseKey(map[int]any{1: 2})
		}, "authData.attestedCredentialData.credentialPublicKey", ctap.ErrUnsupportedAlgorithm},
		{"ES256 on another curve", func(k *softKey, _ *ctap.MakeCredentialResponse) {
			k.data.Attested.PublicKey = coseKey(map[int]any{1: 2, 3: -7, -1: 2})
		}, "authData.attestedCredentialData.credentialPublicKey", ctap.ErrUnsupportedAlgorithm},
		{"point off its curve", func(k *softKey, _ *ctap.MakeCredentialResponse) {
			k.data.Attested.PublicKey = coseKey(map[int]any{1: 2, 3: -7, -1: 1, -2: make([]byte, 32), -3: make([]byte, 32)})
		}, "authData.attestedCredentialData.credentialPublicKey", ctap.ErrInvalidParameter},
		{"no format", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.Format = "" }, "fmt", ErrValue},
		{"long format", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.Format = string(make([]byte, 33)) },
			"fmt", ErrValue},
		{"odd format", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.Format = "pa\nked" }, "fmt", ErrValue},
		{"no statement", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.AttStmt = nil },
			"attStmt", ctap.ErrInvalidCBOR},
		{"statement is no map", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.AttStmt = []byte{0x80} },
			"attStmt", ctap.ErrCBORUnexpectedType},
		{"statement and more", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.AttStmt = []byte{0xa0, 0xa0} },
			"attStmt", ctap.ErrInvalidCBOR},
		{"none with a statement", func(_ *softKey, m *ctap.MakeCredentialResponse) { m.Format = ctap.FormatNone },
			"attStmt", ErrValue},
	} {
		r := registration(t, "authenticatorSelection", `{"userVerification":"required"}`)
		key := newSoftKey(t, ctap.ES256)
		made := key.makeCredential(r)
		c.spoil(key, made)
		if spoilt := key.data.Encode(); !bytes.Equal(spoilt, made.AuthData) && c.name != "no authData" &&
			c.name != "trailing bytes" {
			made.AuthData = spoilt
		}
		response, err := r.Finish(made, nil, false, ExtensionOutputs{})
		checkAuthenticatorError(t, c.name, response == nil, err, c.member, c.problem)
	}
}

func checkAuthenticatorError(t *testing.T, name string, none bool, err error, member string, problem error) {
	t.Helper()
	var e *AuthenticatorResponseError
	if !none || !errors.As(err, &e) || e.Member != member || !errors.Is(err, problem) {
		t.Errorf("%s: error %v, want %q %v", name, err, member, problem)
	}
}

// FuzzRegistrationFinish feeds a registration what an authenticator could send.
func FuzzRegistrationFinish(f *testing.F) {
	hash := sha256.Sum256([]byte("example.com"))
	data := ctap.AuthenticatorData{RPIDHash: hash, Flags: ctap.FlagUP, Attested: &ctap.AttestedCredentialData{
		CredentialID: []byte{1}, PublicKey: ctap.RawMessage{0xa1, 0x03, 0x39, 0x01, 0x00}}}
	f.Add("packed", data.Encode()[32:], []byte{0xa0}, "usb", true)
	f.Add("none", []byte{}, []byte{}, "", false)
	f.Fuzz(func(t *testing.T, format string, rest, statement []byte, transport string, direct bool) {
		preference := `"none"`
		if direct {
			preference = `"direct"`
		}
		r := registration(t, "attestation", preference, "extensions", `{"credBlob":"AA","largeBlob":{},"prf":{}}`)
		made := &ctap.MakeCredentialResponse{Format: format, AuthData: append(hash[:], rest...), AttStmt: statement}
		response, err := r.Finish(made, []string{transport}, false, ExtensionOutputs{})
		if err != nil {
			var e *AuthenticatorResponseError
			if response != nil || !errors.As(err, &e) {
				t.Fatalf("%+v, %v", response, err)
			}
			return
		}
		b, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > MaxJSONSize {
			return // more than any transport of CTAP carries
		}
		parsed, err := ParseRegistrationResponse(b)
		if err != nil || !reflect.DeepEqual(parsed, response) {
			t.Fatalf("read back: %+v, %v", parsed, err)
		}
		if a := readAttestation(t, response.Response.AttestationObject); !bytes.Equal(a.AuthData, made.AuthData) {
			t.Error("authData was changed")
		}
	})
}
