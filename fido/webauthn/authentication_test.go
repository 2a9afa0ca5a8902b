package webauthn

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"fob/fido/ctap"
)

func authentication(t *testing.T, changes ...string) *Authentication {
	t.Helper()
	options, err := ParseRequestOptions([]byte(request(append([]string{"rpId", `"example.com"`}, changes...)...)))
	if err != nil {
		t.Fatal(err)
	}
	a, err := BeginAuthentication(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// allow makes allowCredentials of credential IDs.
func allow(ids ...[]byte) string {
	var list []PublicKeyCredentialDescriptorJSON
	for _, id := range ids {
		list = append(list, PublicKeyCredentialDescriptorJSON{Type: ctap.TypePublicKey, ID: id})
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestBeginAuthentication(t *testing.T) {
	a := authentication(t)
	want := `{"type":"webauthn.get","challenge":"` + challenge + `","origin":"` + origin + `","crossOrigin":false}`
	if a.RPID != "example.com" || string(a.ClientDataJSON) != want {
		t.Errorf("%s, %s", a.RPID, a.ClientDataJSON)
	}
	var e *RPIDError
	if _, err := BeginAuthentication(a.Options, "http://login.example.com"); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
}

func TestAuthenticationFinish(t *testing.T) {
	key := newSoftKey(t, ctap.ES256)
	key.user = []byte("alice")
	id := key.data.Attested.CredentialID
	for _, c := range []struct {
		name   string
		a      *Authentication
		hide   bool // the authenticator leaves the credential out
		handle string
	}{
		{"discoverable", authentication(t), false, "alice"},
		{"one allowed", authentication(t, "allowCredentials", allow(id)), false, ""},
		{"one allowed and not repeated", authentication(t, "allowCredentials", allow(id)), true, ""},
		{"two allowed", authentication(t, "allowCredentials", allow([]byte("other"), id)), false, ""},
	} {
		got := key.getAssertion(c.a)
		if c.hide {
			got.Credential = ctap.PublicKeyCredentialDescriptor{}
		}
		response, err := c.a.Finish(got, ExtensionOutputs{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !bytes.Equal(response.ID, id) || string(response.Response.UserHandle) != c.handle ||
			!bytes.Equal(response.Response.Signature, got.Signature) {
			t.Errorf("%s: %+v", c.name, response)
		}
		b, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := ParseAuthenticationResponse(b); err != nil || !reflect.DeepEqual(parsed, response) {
			t.Errorf("%s: read back: %+v, %v", c.name, parsed, err)
		}
	}
}

func TestAuthenticationHostileAuthenticator(t *testing.T) {
	key := newSoftKey(t, ctap.ES256)
	id := key.data.Attested.CredentialID
	other := []byte("other")
	for _, c := range []struct {
		name    string
		allowed string
		spoil   func(d *ctap.AuthenticatorData, g *ctap.GetAssertionResponse)
		member  string
		problem error
	}{
		{"other RP ID", allow(id), func(d *ctap.AuthenticatorData, _ *ctap.GetAssertionResponse) { d.RPIDHash[0] ^= 1 },
			"authData.rpIdHash", ErrRPIDHash},
		{"no presence", allow(id), func(d *ctap.AuthenticatorData, _ *ctap.GetAssertionResponse) { d.Flags &^= ctap.FlagUP },
			"authData.flags", ErrNoUserPresence},
		{"no verification", allow(id), func(d *ctap.AuthenticatorData, _ *ctap.GetAssertionResponse) { d.Flags &^= ctap.FlagUV },
			"authData.flags", ErrNoUserVerification},
		{"a new credential", allow(id), func(d *ctap.AuthenticatorData, _ *ctap.GetAssertionResponse) {
			d.Attested = key.data.Attested
		}, "authData.attestedCredentialData", ErrUnexpected},
		{"no signature", allow(id), func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) { g.Signature = nil },
			"signature", ErrMissing},
		{"not allowed", allow(other), func(*ctap.AuthenticatorData, *ctap.GetAssertionResponse) {},
			"credential.id", ErrCredentialUnbidden},
		{"no ID, two allowed", allow(id, other), func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) {
			g.Credential.ID = nil
		}, "credential.id", ErrCredentialUnknown},
		{"no ID, discoverable", `[]`, func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) {
			g.Credential.ID = nil
		}, "credential.id", ErrCredentialUnknown},
		{"long ID", `[]`, func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) {
			g.Credential.ID = make([]byte, ctap.MaxCredentialIDLength+1)
		}, "credential.id", ErrLength},
		{"other type", allow(id), func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) { g.Credential.Type = "x" },
			"credential.type", ErrValue},
		{"empty user handle", `[]`, func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) {
			g.User = &ctap.PublicKeyCredentialUserEntity{}
		}, "user.id", ErrUserHandle},
		{"long user handle", allow(id), func(_ *ctap.AuthenticatorData, g *ctap.GetAssertionResponse) {
			g.User = &ctap.PublicKeyCredentialUserEntity{ID: make([]byte, MaxUserIDLength+1)}
		}, "user.id", ErrUserHandle},
	} {
		a := authentication(t, "allowCredentials", c.allowed, "userVerification", `"required"`)
		got := key.getAssertion(a)
		got.User = nil
		data, err := ctap.ParseAuthenticatorData(got.AuthData)
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(data, got)
		got.AuthData = data.Encode()
		response, err := a.Finish(got, ExtensionOutputs{})
		checkAuthenticatorError(t, c.name, response == nil, err, c.member, c.problem)
	}
}

func TestParseResponseErrors(t *testing.T) {
	const attested = `{"clientDataJSON":"AA","authenticatorData":"AA","transports":[],"publicKeyAlgorithm":-7,` +
		`"attestationObject":"AA"}`
	const asserted = `{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA"}`
	response := func(inner string, changes ...string) string {
		return changed(map[string]json.RawMessage{"id": json.RawMessage(`"AA"`), "rawId": json.RawMessage(`"AA"`),
			"type": json.RawMessage(`"public-key"`), "clientExtensionResults": json.RawMessage(`{}`),
			"response": json.RawMessage(inner)}, changes)
	}
	if _, err := ParseRegistrationResponse([]byte(response(attested))); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseAuthenticationResponse([]byte(response(asserted))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		member  string
		problem error
		changes []string
	}{
		{"id", ErrMissing, []string{"id", ""}},
		{"rawId", ErrMissing, []string{"rawId", ""}},
		{"rawId", ErrValue, []string{"rawId", `"AQ"`}},
		{"type", ErrValue, []string{"type", `"password"`}},
		{"response", ErrType, []string{"response", `[]`}},
		{"response.clientDataJSON", ErrMissing, []string{"response", `{}`}},
		{"clientExtensionResults", ErrMissing, []string{"clientExtensionResults", ""}},
		{"clientExtensionResults.credProps", ErrType, []string{"clientExtensionResults", `{"credProps":true}`}},
		{"clientExtensionResults.credProps.rk", ErrType, []string{"clientExtensionResults", `{"credProps":{"rk":1}}`}},
	} {
		in := response(attested, c.changes...)
		_, err := ParseRegistrationResponse([]byte(in))
		checkMember(t, in, err, c.member, c.problem)
		in = response(asserted, c.changes...)
		_, err = ParseAuthenticationResponse([]byte(in))
		checkMember(t, in, err, c.member, c.problem)
	}
	_, err := ParseRegistrationResponse([]byte(response(asserted)))
	checkMember(t, asserted, err, "response.transports", ErrMissing)
	_, err = ParseAuthenticationResponse([]byte(response(attested)))
	checkMember(t, attested, err, "response.signature", ErrMissing)
}
