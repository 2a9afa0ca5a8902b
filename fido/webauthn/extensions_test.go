package webauthn

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"fob/fido/ctap"
)

func TestRegistrationExtensions(t *testing.T) {
	for in, want := range map[string]RegistrationExtensions{
		`{}`: {},
		`{"credProps":true,"minPinLength":true,"credBlob":"YWJj"}`: {
			CredProps: true, MinPINLength: true, CredBlob: []byte("abc")},
		`{"credBlob":""}`: {CredBlob: []byte{}},
		`{"credentialProtectionPolicy":"userVerificationOptional","enforceCredentialProtectionPolicy":true}`: {
			CredProtect: ctap.UserVerificationOptional, EnforceCredProtect: true},
		`{"credentialProtectionPolicy":"userVerificationOptionalWithCredentialIDList"}`: {
			CredProtect: ctap.UserVerificationOptionalWithCredentialIDList},
		`{"credentialProtectionPolicy":"userVerificationRequired"}`: {CredProtect: ctap.UserVerificationRequired},
		`{"largeBlob":{}}`:                      {LargeBlob: LargeBlobPreferred},
		`{"largeBlob":{"support":"preferred"}}`: {LargeBlob: LargeBlobPreferred},
		`{"largeBlob":{"support":"one day"}}`:   {LargeBlob: LargeBlobPreferred},
		`{"largeBlob":{"support":"required"}}`:  {LargeBlob: LargeBlobRequired},
		`{"prf":{}}`:                            {PRF: &PRFInputs{}},
		`{"prf":{"eval":{"first":"AQ"}}}`:       {PRF: &PRFInputs{Eval: &PRFValues{First: Secret{1}}}},
		`{"prf":{"eval":{"first":"","second":""},"later":1}}`: {
			PRF: &PRFInputs{Eval: &PRFValues{First: Secret{}, Second: Secret{}}}},
	} {
		o, err := ParseCreationOptions([]byte(creation("extensions", in)))
		if err != nil || !reflect.DeepEqual(o.RegistrationExtensions, want) {
			t.Errorf("%s: %+v, %v", in, o, err)
		}
	}
}

func TestAuthenticationExtensions(t *testing.T) {
	for in, want := range map[string]AuthenticationExtensions{
		`{}`:                              {},
		`{"getCredBlob":true}`:            {GetCredBlob: true},
		`{"largeBlob":{"read":true}}`:     {LargeBlobRead: true},
		`{"largeBlob":{"read":false}}`:    {},
		`{"largeBlob":{"write":"YWJj"}}`:  {LargeBlobWrite: []byte("abc")},
		`{"largeBlob":{"write":""}}`:      {LargeBlobWrite: []byte{}},
		`{"prf":{"evalByCredential":{}}}`: {PRF: &PRFInputs{}},
		`{"prf":{"eval":{"first":"AQ","second":"Ag"}}}`: {
			PRF: &PRFInputs{Eval: &PRFValues{First: Secret{1}, Second: Secret{2}}}},
		`{"prf":{"evalByCredential":{"_w":{"first":"AQ"}}}}`: {
			PRF: &PRFInputs{EvalByCredential: map[string]PRFValues{"\xff": {First: Secret{1}}}}},
	} {
		o, err := ParseRequestOptions([]byte(request("allowCredentials", allow([]byte{0xff}), "extensions", in)))
		if err != nil || !reflect.DeepEqual(o.AuthenticationExtensions, want) {
			t.Errorf("%s: %+v, %v", in, o, err)
		}
	}
}

func TestExtensionErrors(t *testing.T) {
	for _, c := range []struct {
		extensions, member string
		problem            error
	}{
		{`{"credBlob":7}`, "credBlob", ErrType},
		{`{"credBlob":"A"}`, "credBlob", ErrNotBase64URL},
		{`{"minPinLength":"yes"}`, "minPinLength", ErrType},
		{`{"credentialProtectionPolicy":"best"}`, "credentialProtectionPolicy", ErrValue},
		{`{"credentialProtectionPolicy":3}`, "credentialProtectionPolicy", ErrType},
		{`{"enforceCredentialProtectionPolicy":1}`, "enforceCredentialProtectionPolicy", ErrType},
		{`{"largeBlob":true}`, "largeBlob", ErrType},
		{`{"largeBlob":{"read":true}}`, "largeBlob.read", ErrNotRegistration},
		{`{"largeBlob":{"write":"AA"}}`, "largeBlob.write", ErrNotRegistration},
		{`{"prf":{"evalByCredential":{}}}`, "prf.evalByCredential", ErrNotRegistration},
		{`{"prf":{"eval":{}}}`, "prf.eval.first", ErrMissing},
		{`{"prf":{"eval":{"first":"AA=="}}}`, "prf.eval.first", ErrNotBase64URL},
		{`{"prf":{"eval":{"first":"AA","second":null}}}`, "prf.eval.second", ErrType},
	} {
		in := creation("extensions", c.extensions)
		_, err := ParseCreationOptions([]byte(in))
		checkMember(t, in, err, "extensions."+c.member, c.problem)
	}
	for _, c := range []struct {
		allowed            [][]byte
		extensions, member string
		problem            error
	}{
		{nil, `{"getCredBlob":"yes"}`, "getCredBlob", ErrType},
		{nil, `{"largeBlob":{"support":"required"}}`, "largeBlob.support", ErrNotAuthentication},
		{nil, `{"largeBlob":{"write":"AA"}}`, "largeBlob.write", ErrOneCredential},
		{[][]byte{{1}, {2}}, `{"largeBlob":{"write":"AA"}}`, "largeBlob.write", ErrOneCredential},
		{[][]byte{{1}}, `{"largeBlob":{"write":"AA","read":true}}`, "largeBlob.read", ErrReadAndWrite},
		{nil, `{"prf":{"evalByCredential":{"AQ":{"first":"AA"}}}}`, "prf.evalByCredential.AQ", ErrNoSuchCredential},
		{[][]byte{{1}}, `{"prf":{"evalByCredential":{"Ag":{"first":"AA"}}}}`, "prf.evalByCredential.Ag", ErrNoSuchCredential},
		{[][]byte{{1}}, `{"prf":{"evalByCredential":{"":{"first":"AA"}}}}`, "prf.evalByCredential", ErrNoSuchCredential},
		{[][]byte{{1}}, `{"prf":{"evalByCredential":{"AQ=":{"first":"AA"}}}}`, "prf.evalByCredential.AQ=", ErrNoSuchCredential},
		{[][]byte{{1}}, `{"prf":{"evalByCredential":{"A\nQ":{"first":"AA"}}}}`, "prf.evalByCredential.A\nQ", ErrNoSuchCredential},
		{[][]byte{{1}}, `{"prf":{"evalByCredential":{"AQ":{}}}}`, "prf.evalByCredential.AQ.first", ErrMissing},
	} {
		in := request("allowCredentials", allow(c.allowed...), "extensions", c.extensions)
		if c.allowed == nil {
			in = request("extensions", c.extensions)
		}
		_, err := ParseRequestOptions([]byte(in))
		checkMember(t, in, err, "extensions."+c.member, c.problem)
	}
}

// TestSalts has values that sha256sum computes: printf 'WebAuthn PRF\0abc' | sha256sum.
func TestSalts(t *testing.T) {
	v := PRFValues{First: Secret("abc")}
	if got := hex.EncodeToString(v.Salts()); got != "425507dfa7404b2fc3743ff9673c78e7b3c2f9d298b533ae2d8277203f73f4b7" {
		t.Error(got)
	}
	v.Second = Secret{}
	if got := hex.EncodeToString(v.Salts()); got != "425507dfa7404b2fc3743ff9673c78e7b3c2f9d298b533ae2d8277203f73f4b7"+
		"6a7e64b2aa34c92736143a062fa149aff1bd8bb3f7ee6f346885481f9414a3d3" {
		t.Error(got)
	}
}

// extensionsOf gives a new credential's extension outputs.
func extensionsOf(t *testing.T, outputs any) ctap.RawMessage {
	t.Helper()
	b, err := ctap.Marshal(outputs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func resultsOf(t *testing.T, results AuthenticationExtensionsClientOutputsJSON) string {
	t.Helper()
	b, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRegistrationResults(t *testing.T) {
	prf := Secret(bytes.Repeat([]byte{0}, 64))
	zeros := strings.Repeat("A", 43)
	for _, c := range []struct {
		asked   string
		outputs any // in authenticator data; nil for none
		besides ExtensionOutputs
		want    string
	}{
		{`{}`, nil, ExtensionOutputs{}, `{}`},
		{`{}`, map[string]any{"hmac-secret": true, "credBlob": true, "credProtect": 2, "x": 1}, ExtensionOutputs{LargeBlobKey: true}, `{}`},
		{`{"credProps":true}`, nil, ExtensionOutputs{}, `{"credProps":{"rk":true}}`},
		{`{"credBlob":"AA"}`, nil, ExtensionOutputs{}, `{"credBlob":false}`},
		{`{"credBlob":"AA"}`, map[string]any{"credBlob": false}, ExtensionOutputs{}, `{"credBlob":false}`},
		{`{"credBlob":"AA"}`, map[string]any{"credBlob": true}, ExtensionOutputs{}, `{"credBlob":true}`},
		{`{"minPinLength":true}`, map[string]any{"minPinLength": 6}, ExtensionOutputs{}, `{}`},
		{`{"largeBlob":{}}`, nil, ExtensionOutputs{}, `{"largeBlob":{"supported":false}}`},
		{`{"largeBlob":{"support":"required"}}`, nil, ExtensionOutputs{LargeBlobKey: true}, `{"largeBlob":{"supported":true}}`},
		{`{"prf":{}}`, nil, ExtensionOutputs{}, `{"prf":{"enabled":false}}`},
		{`{"prf":{}}`, map[string]any{"hmac-secret": true}, ExtensionOutputs{}, `{"prf":{"enabled":true}}`},
		{`{"prf":{"eval":{"first":""}}}`, nil, ExtensionOutputs{PRF: prf[:32]}, `{"prf":{"enabled":false}}`},
		{`{"prf":{"eval":{"first":""}}}`, map[string]any{"hmac-secret": true}, ExtensionOutputs{PRF: prf[:32]},
			`{"prf":{"enabled":true,"results":{"first":"` + zeros + `"}}}`},
		{`{"prf":{"eval":{"first":"","second":""}}}`, map[string]any{"hmac-secret": true}, ExtensionOutputs{PRF: prf},
			`{"prf":{"enabled":true,"results":{"first":"` + zeros + `","second":"` + zeros + `"}}}`},
		{`{"credentialProtectionPolicy":"userVerificationRequired","enforceCredentialProtectionPolicy":true}`,
			map[string]any{"credProtect": 3}, ExtensionOutputs{}, `{}`},
		{`{"credentialProtectionPolicy":"userVerificationRequired"}`, nil, ExtensionOutputs{}, `{}`},
		{`{"credentialProtectionPolicy":"userVerificationOptional","enforceCredentialProtectionPolicy":true}`, nil,
			ExtensionOutputs{}, `{}`},
	} {
		r := registration(t, "extensions", c.asked)
		key := newSoftKey(t, ctap.ES256)
		if c.outputs != nil {
			key.data.Extensions = extensionsOf(t, c.outputs)
		}
		response, err := r.Finish(key.makeCredential(r), nil, true, c.besides)
		if err != nil {
			t.Errorf("%s: %v", c.asked, err)
			continue
		}
		if got := resultsOf(t, response.ClientExtensionResults); got != c.want {
			t.Errorf("%s: %s, want %s", c.asked, got, c.want)
		}
		b, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := ParseRegistrationResponse(b); err != nil || !reflect.DeepEqual(parsed, response) {
			t.Errorf("read back: %+v, %v", parsed, err)
		}
	}
}

// TestLyingAuthenticators: what makes no sense, or breaks a promise, ends a registration.
func TestLyingAuthenticators(t *testing.T) {
	const enforced = `{"credentialProtectionPolicy":"userVerificationRequired","enforceCredentialProtectionPolicy":true}`
	for name, c := range map[string]struct {
		asked, member string
		outputs       any
		besides       ExtensionOutputs
		flags         ctap.Flags
		problem       error
	}{
		"unprotected":    {enforced, "authData.extensions.credProtect", nil, ExtensionOutputs{}, ctap.FlagUV, ErrValue},
		"less protected": {enforced, "authData.extensions.credProtect", map[string]any{"credProtect": 2}, ExtensionOutputs{}, ctap.FlagUV, ErrValue},
		"over-protected": {`{}`, "authData.extensions.credProtect", map[string]any{"credProtect": 4}, ExtensionOutputs{}, ctap.FlagUV, ErrValue},
		"no large blob":  {`{"largeBlob":{"support":"required"}}`, "largeBlobKey", nil, ExtensionOutputs{}, ctap.FlagUV, ErrMissing},
		"number for a flag": {`{}`, "authData.extensions", map[string]any{"hmac-secret": 1}, ExtensionOutputs{}, ctap.FlagUV,
			ctap.ErrCBORUnexpectedType},
		"text for a number": {`{}`, "authData.extensions", map[string]any{"minPinLength": "4"}, ExtensionOutputs{}, ctap.FlagUV,
			ctap.ErrCBORUnexpectedType},
		"PRF of anybody": {`{"prf":{}}`, "authData.flags", map[string]any{"hmac-secret": true}, ExtensionOutputs{PRF: make(Secret, 32)}, 0, ErrNoUserVerification},
		"half a PRF":     {`{"prf":{}}`, "hmac-secret", map[string]any{"hmac-secret": true}, ExtensionOutputs{PRF: make(Secret, 48)}, ctap.FlagUV, ErrLength},
	} {
		r := registration(t, "extensions", c.asked)
		key := newSoftKey(t, ctap.ES256)
		key.data.Flags = ctap.FlagUP | c.flags
		if c.outputs != nil {
			key.data.Extensions = extensionsOf(t, c.outputs)
		}
		response, err := r.Finish(key.makeCredential(r), nil, true, c.besides)
		checkAuthenticatorError(t, name, response == nil, err, c.member, c.problem)
	}
	r := registration(t, "attestation", `"direct"`)
	made := newSoftKey(t, ctap.ES256).makeCredential(r)
	made.EnterpriseAttestation = true
	response, err := r.Finish(made, nil, true, ExtensionOutputs{})
	checkAuthenticatorError(t, "attested for an enterprise, unasked", response == nil, err, "epAtt", ErrUnexpected)
}

func TestAuthenticationResults(t *testing.T) {
	zeros := strings.Repeat("A", 43)
	for _, c := range []struct {
		asked   string
		outputs any
		besides ExtensionOutputs
		want    string
	}{
		{`{}`, map[string]any{"credBlob": []byte("abc"), "hmac-secret": []byte("encrypted")},
			ExtensionOutputs{PRF: make(Secret, 32), LargeBlob: []byte("x"), LargeBlobWritten: true}, `{}`},
		{`{"getCredBlob":true}`, map[string]any{"credBlob": []byte("abc")}, ExtensionOutputs{}, `{"getCredBlob":"YWJj"}`},
		{`{"getCredBlob":true}`, map[string]any{"credBlob": []byte{}}, ExtensionOutputs{}, `{"getCredBlob":""}`},
		{`{"getCredBlob":true}`, nil, ExtensionOutputs{}, `{}`},
		{`{"largeBlob":{"read":true}}`, nil, ExtensionOutputs{}, `{"largeBlob":{}}`},
		{`{"largeBlob":{"read":true}}`, nil, ExtensionOutputs{LargeBlob: []byte{}}, `{"largeBlob":{"blob":""}}`},
		{`{"largeBlob":{"read":true}}`, nil, ExtensionOutputs{LargeBlob: []byte("abc")}, `{"largeBlob":{"blob":"YWJj"}}`},
		{`{"largeBlob":{"write":"AA"}}`, nil, ExtensionOutputs{}, `{"largeBlob":{"written":false}}`},
		{`{"largeBlob":{"write":"AA"}}`, nil, ExtensionOutputs{LargeBlobWritten: true}, `{"largeBlob":{"written":true}}`},
		{`{"prf":{"eval":{"first":""}}}`, nil, ExtensionOutputs{}, `{"prf":{}}`},
		{`{"prf":{"eval":{"first":""}}}`, nil, ExtensionOutputs{PRF: make(Secret, 32)}, `{"prf":{"results":{"first":"` + zeros + `"}}}`},
	} {
		key := newSoftKey(t, ctap.ES256)
		a := authentication(t, "allowCredentials", allow(key.data.Attested.CredentialID), "extensions", c.asked)
		if c.outputs != nil {
			key.data.Extensions = extensionsOf(t, c.outputs)
		}
		response, err := a.Finish(key.getAssertion(a), c.besides)
		if err != nil {
			t.Errorf("%s: %v", c.asked, err)
			continue
		}
		if got := resultsOf(t, response.ClientExtensionResults); got != c.want {
			t.Errorf("%s: %s, want %s", c.asked, got, c.want)
		}
		b, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := ParseAuthenticationResponse(b); err != nil || !reflect.DeepEqual(parsed, response) {
			t.Errorf("read back: %+v, %v", parsed, err)
		}
	}
	key := newSoftKey(t, ctap.ES256)
	key.data.Flags, key.user = ctap.FlagUP, []byte("alice")
	a := authentication(t, "extensions", `{"prf":{}}`)
	response, err := a.Finish(key.getAssertion(a), ExtensionOutputs{PRF: make(Secret, 32)})
	checkAuthenticatorError(t, "PRF of anybody", response == nil, err, "authData.flags", ErrNoUserVerification)
	key.data.Extensions = extensionsOf(t, map[string]any{"credBlob": "text"})
	response, err = a.Finish(key.getAssertion(a), ExtensionOutputs{})
	checkAuthenticatorError(t, "text for bytes", response == nil, err, "authData.extensions", ctap.ErrCBORUnexpectedType)
}

func TestSecretDoesNotPrint(t *testing.T) {
	v := &PRFValues{First: Secret("31415926")}
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%+v", "%#v"} {
		if said := fmt.Sprintf(verb, v.First) + fmt.Sprintf(verb, *v); strings.Contains(said, "31415926") ||
			strings.Contains(said, "3331343135393236") {
			t.Error(said)
		}
	}
}
