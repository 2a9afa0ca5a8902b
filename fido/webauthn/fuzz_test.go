package webauthn

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// stable checks that what parse accepts, encodes to something that parse reads the same.
func stable[T any](t *testing.T, in []byte, parse func([]byte) (*T, error)) {
	first, err := parse(in)
	if err != nil {
		var e *MemberError
		if first != nil || !errors.As(err, &e) {
			t.Fatalf("%+v, %v", first, err)
		}
		return
	}
	if again, err := parse(in); err != nil || again == first {
		t.Fatalf("the second time: %v", err)
	}
	encoded, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if len(encoded) > MaxJSONSize {
		return // defaults and escapes made it grow
	}
	second, err := parse(encoded)
	if err != nil {
		t.Fatalf("%s became %s: %v", in, encoded, err)
	}
	reencoded, err := json.Marshal(second)
	if err != nil || !bytes.Equal(encoded, reencoded) {
		t.Fatalf("%s became %s: %v", encoded, reencoded, err)
	}
}

func FuzzParseCreationOptions(f *testing.F) {
	f.Add([]byte(fullCreation))
	f.Add([]byte(creation()))
	f.Add([]byte(`{"publicKey":` + creation("attestation", `"enterprise"`) + `}`))
	f.Add([]byte(creation("extensions", `{"credentialProtectionPolicy":"userVerificationRequired","credBlob":"AA",`+
		`"enforceCredentialProtectionPolicy":true,"minPinLength":true,"largeBlob":{"support":"required"},`+
		`"prf":{"eval":{"first":"AA","second":""}}}`)))
	f.Fuzz(func(t *testing.T, in []byte) { stable(t, in, ParseCreationOptions) })
}

func FuzzParseRequestOptions(f *testing.F) {
	f.Add([]byte(request("rpId", `"example.com"`, "allowCredentials", allow([]byte{1}, []byte{2}))))
	f.Add([]byte(`{"publicKey":` + request("extensions", `{"a":"<"}`, "hints", `["hybrid"]`) + `}`))
	f.Add([]byte(request("allowCredentials", allow([]byte{1}), "extensions", `{"getCredBlob":true,"largeBlob":{"write":"AA"},`+
		`"prf":{"eval":{"first":"AA"},"evalByCredential":{"AQ":{"first":"","second":"AA"}}}}`)))
	f.Fuzz(func(t *testing.T, in []byte) { stable(t, in, ParseRequestOptions) })
}

func FuzzParseResponses(f *testing.F) {
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","clientExtensionResults":{"credProps":{"rk":true}},` +
		`"response":{"clientDataJSON":"AA","authenticatorData":"AA","transports":["usb"],"publicKeyAlgorithm":-7,` +
		`"attestationObject":"AA","publicKey":"AA"}}`))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","clientExtensionResults":{},` +
		`"authenticatorAttachment":"platform",` +
		`"response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA","userHandle":"AA"}}`))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","clientExtensionResults":{"credBlob":false,"getCredBlob":"",` +
		`"largeBlob":{"supported":true,"blob":"AA","written":false},"prf":{"enabled":true,"results":{"first":"AA"}}},` +
		`"response":{"clientDataJSON":"AA","authenticatorData":"AA","signature":"AA"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		stable(t, in, ParseRegistrationResponse)
		stable(t, in, ParseAuthenticationResponse)
	})
}

// FuzzCheckJSON holds CheckJSON against encoding/json: what it lets through is JSON, and decoding it loses nothing.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,{"b":null}],"c":"\ud800"}`, `[[[[]]]]`, `"\u0000"`, `{"":{"":0}}`, `{"a":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if CheckJSON(in) != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("%q is not JSON", in)
		}
		if members, ok := countMembers(t, in); ok && members != bytes.Count(in, []byte(":")) {
			t.Errorf("%s: %d members are left", in, members)
		}
	})
}

// countMembers counts the members of all objects after decoding; ok is false when texts have colons too.
func countMembers(t *testing.T, in []byte) (n int, ok bool) {
	d := json.NewDecoder(bytes.NewReader(in))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	ok = !bytes.Contains(in, []byte(`\u003`))
	var count func(v any)
	count = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			n += len(v)
			for name, value := range v {
				ok = ok && !bytes.Contains([]byte(name), []byte(":"))
				count(value)
			}
		case []any:
			for _, value := range v {
				count(value)
			}
		case string:
			ok = ok && !bytes.Contains([]byte(v), []byte(":"))
		}
	}
	count(v)
	return n, ok
}
