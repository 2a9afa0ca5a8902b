package webauthn

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"fob/fido/ctap"
)

const challenge = `AAECAwQFBgcICQoLDA0ODw`

var fullCreation = `{
	"rp": {"id": "example.com", "name": "Example"},
	"user": {"id": "AQID", "name": "alice@example.com", "displayName": "Alice"},
	"challenge": "` + challenge + `",
	"pubKeyCredParams": [{"type": "public-key", "alg": -8}, {"type": "secret-key", "alg": 5},
		{"type": "public-key", "alg": -7, "extra": null}],
	"timeout": 60000,
	"excludeCredentials": [{"type": "public-key", "id": "_w", "transports": ["usb", "telepathy", "nfc"]},
		{"type": "unknown", "id": "_w"}],
	"authenticatorSelection": {"authenticatorAttachment": "cross-platform", "residentKey": "preferred",
		"requireResidentKey": true, "userVerification": "discouraged"},
	"hints": ["security-key", "crystal-ball"],
	"attestation": "direct",
	"attestationFormats": ["packed", "tpm"],
	"extensions": {"credProps": true, "example": {"a": [null]}},
	"future": {"challenge": 7}
}`

func TestParseCreationOptions(t *testing.T) {
	want := &PublicKeyCredentialCreationOptionsJSON{
		RP:        PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
		User:      PublicKeyCredentialUserEntityJSON{ID: Base64URL{1, 2, 3}, Name: "alice@example.com", DisplayName: "Alice"},
		Challenge: Base64URL{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		PubKeyCredParams: []PublicKeyCredentialParameters{
			{"public-key", ctap.EdDSA}, {"public-key", ctap.ES256}},
		Timeout: 60000,
		ExcludeCredentials: []PublicKeyCredentialDescriptorJSON{
			{Type: "public-key", ID: Base64URL{0xff}, Transports: []string{"usb", "nfc"}}},
		AuthenticatorSelection: AuthenticatorSelectionCriteria{AuthenticatorAttachment: AttachmentCrossPlatform,
			ResidentKey: ResidentKeyPreferred, UserVerification: UserVerificationDiscouraged},
		Hints:              []string{"security-key"},
		Attestation:        AttestationDirect,
		AttestationFormats: []string{"packed", "tpm"},
		Extensions: map[string]json.RawMessage{"credProps": json.RawMessage("true"),
			"example": json.RawMessage(`{"a": [null]}`)},
		RegistrationExtensions: RegistrationExtensions{CredProps: true},
	}
	for _, in := range []string{fullCreation, `{"publicKey": ` + fullCreation + `, "mediation": "optional"}`} {
		got, err := ParseCreationOptions([]byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// creation makes the smallest creation options, with members replaced, or deleted where the value is "".
func creation(changes ...string) string {
	members := map[string]json.RawMessage{
		"rp":               json.RawMessage(`{"name":""}`),
		"user":             json.RawMessage(`{"id":"AA","name":"","displayName":""}`),
		"challenge":        json.RawMessage(`"` + challenge + `"`),
		"pubKeyCredParams": json.RawMessage(`[]`),
	}
	return changed(members, changes)
}

func request(changes ...string) string {
	return changed(map[string]json.RawMessage{"challenge": json.RawMessage(`"` + challenge + `"`)}, changes)
}

func changed(members map[string]json.RawMessage, changes []string) string {
	for i := 0; i < len(changes); i += 2 {
		members[changes[i]] = json.RawMessage(changes[i+1])
		if changes[i+1] == "" {
			delete(members, changes[i])
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestCreationOptionsDefaults(t *testing.T) {
	want := AuthenticatorSelectionCriteria{ResidentKey: ResidentKeyDiscouraged, UserVerification: UserVerificationPreferred}
	for _, in := range []string{creation(), creation("attestation", `"hearsay"`, "authenticatorSelection",
		`{"authenticatorAttachment":"glued","residentKey":"maybe","userVerification":"please"}`)} {
		o, err := ParseCreationOptions([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if o.Attestation != AttestationNone || o.AuthenticatorSelection != want || o.CredProps {
			t.Errorf("%+v", o)
		}
		if !o.Allows(ctap.ES256) || !o.Allows(-257) || o.Allows(ctap.EdDSA) || len(o.PubKeyCredParams) != 2 {
			t.Errorf("default algorithms: %v", o.PubKeyCredParams)
		}
	}
	for selection, want := range map[string]ResidentKeyRequirement{
		`{"requireResidentKey":true}`:                               ResidentKeyRequired,
		`{"requireResidentKey":true,"residentKey":"unheard-of"}`:    ResidentKeyRequired,
		`{"requireResidentKey":true,"residentKey":"discouraged"}`:   ResidentKeyDiscouraged,
		`{"requireResidentKey":false,"residentKey":"required"}`:     ResidentKeyRequired,
		`{"residentKey":"preferred","userVerification":"required"}`: ResidentKeyPreferred,
	} {
		o, err := ParseCreationOptions([]byte(creation("authenticatorSelection", selection)))
		if err != nil {
			t.Fatal(err)
		}
		got := o.AuthenticatorSelection
		if got.ResidentKey != want || got.RequireResidentKey != (want == ResidentKeyRequired) {
			t.Errorf("%s: %+v", selection, got)
		}
	}
}

func TestParseCreationOptionsErrors(t *testing.T) {
	long := strings.Repeat("A", 4000)
	many := "[" + strings.Repeat(`{"type":"public-key","alg":-7},`, MaxListLength) + `{"type":"public-key","alg":-7}]`
	for _, c := range []struct {
		in, member string
		problem    error
	}{
		{`[]`, "", ErrType},
		{`null`, "", ErrType},
		{`{"publicKey":[]}`, "publicKey", ErrType},
		{`{"publicKey":` + creation("challenge", "") + `}`, "challenge", ErrMissing},
		{creation("rp", ""), "rp", ErrMissing},
		{creation("rp", `null`), "rp", ErrType},
		{creation("rp", `{}`), "rp.name", ErrMissing},
		{creation("rp", `{"Name":""}`), "rp.name", ErrMissing},
		{creation("rp", `{"name":7}`), "rp.name", ErrType},
		{creation("rp", `{"name":"","id":null}`), "rp.id", ErrType},
		{creation("rp", `{"name":"","id":""}`), "rp.id", ErrLength},
		{creation("rp", `{"name":"`+long+`"}`), "rp.name", ErrLength},
		{creation("user", ""), "user", ErrMissing},
		{creation("user", `{"id":"AA","name":""}`), "user.displayName", ErrMissing},
		{creation("user", `{"id":"","name":"","displayName":""}`), "user.id", ErrLength},
		{creation("user", `{"id":"`+long[:88]+`","name":"","displayName":""}`), "user.id", ErrLength},
		{creation("user", `{"id":"AA==","name":"","displayName":""}`), "user.id", ErrNotBase64URL},
		{creation("user", `{"id":[1],"name":"","displayName":""}`), "user.id", ErrType},
		{creation("challenge", `"AAAA"`), "challenge", ErrLength},
		{creation("challenge", `"`+long+`"`), "challenge", ErrLength},
		{creation("pubKeyCredParams", ""), "pubKeyCredParams", ErrMissing},
		{creation("pubKeyCredParams", `{}`), "pubKeyCredParams", ErrType},
		{creation("pubKeyCredParams", many), "pubKeyCredParams", ErrLength},
		{creation("pubKeyCredParams", `[{"type":"password","alg":-7}]`), "pubKeyCredParams", ErrNotPublicKey},
		{creation("pubKeyCredParams", `[{"type":"public-key","alg":-7},{"type":"public-key"}]`),
			"pubKeyCredParams[1].alg", ErrMissing},
		{creation("pubKeyCredParams", `[{"type":"public-key","alg":-7.5}]`), "pubKeyCredParams[0].alg", ErrRange},
		{creation("pubKeyCredParams", `[{"type":"public-key","alg":-2147483649}]`), "pubKeyCredParams[0].alg", ErrRange},
		{creation("pubKeyCredParams", `[{"type":"public-key","alg":"-7"}]`), "pubKeyCredParams[0].alg", ErrType},
		{creation("pubKeyCredParams", `[null]`), "pubKeyCredParams[0]", ErrType},
		{creation("timeout", `-1`), "timeout", ErrRange},
		{creation("timeout", `4294967296`), "timeout", ErrRange},
		{creation("timeout", `"60000"`), "timeout", ErrType},
		{creation("excludeCredentials", `[{"type":"public-key","id":""}]`), "excludeCredentials[0].id", ErrLength},
		{creation("excludeCredentials", `[{"type":"public-key","id":"`+long+`"}]`), "excludeCredentials[0].id", ErrLength},
		{creation("excludeCredentials", `[{"type":"public-key","id":"AA","transports":["usb",1]}]`),
			"excludeCredentials[0].transports[1]", ErrType},
		{creation("authenticatorSelection", `[]`), "authenticatorSelection", ErrType},
		{creation("authenticatorSelection", `{"requireResidentKey":1}`), "authenticatorSelection.requireResidentKey", ErrType},
		{creation("attestation", `true`), "attestation", ErrType},
		{creation("hints", `"security-key"`), "hints", ErrType},
		{creation("extensions", `[]`), "extensions", ErrType},
		{creation("extensions", `{"credProps":"yes"}`), "extensions.credProps", ErrType},
	} {
		_, err := ParseCreationOptions([]byte(c.in))
		checkMember(t, c.in, err, c.member, c.problem)
	}
}

func TestParseRequestOptions(t *testing.T) {
	in := request("rpId", `"example.com"`, "timeout", `4294967295`, "userVerification", `"required"`,
		"hints", `["hybrid"]`, "extensions", `{"appid":"https://example.com"}`,
		"allowCredentials", `[{"type":"public-key","id":"AQ"},{"type":"other","id":"Ag"}]`)
	want := &PublicKeyCredentialRequestOptionsJSON{
		Challenge:        Base64URL{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		Timeout:          math.MaxUint32,
		RPID:             "example.com",
		AllowCredentials: []PublicKeyCredentialDescriptorJSON{{Type: "public-key", ID: Base64URL{1}, Transports: []string{}}},
		UserVerification: UserVerificationRequired,
		Hints:            []string{"hybrid"},
		Extensions:       map[string]json.RawMessage{"appid": json.RawMessage(`"https://example.com"`)},
	}
	got, err := ParseRequestOptions([]byte(in))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if ids := IDs(got.AllowCredentials); len(ids) != 1 || string(ids[0]) != "\x01" {
		t.Errorf("IDs: %x", ids)
	}
	got, err = ParseRequestOptions([]byte(request()))
	if err != nil || got.UserVerification != UserVerificationPreferred || got.AllowCredentials != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseRequestOptionsErrors(t *testing.T) {
	for _, c := range []struct {
		in, member string
		problem    error
	}{
		{`{}`, "challenge", ErrMissing},
		{request("challenge", `null`), "challenge", ErrType},
		{request("rpId", `""`), "rpId", ErrLength},
		{request("rpId", `["example.com"]`), "rpId", ErrType},
		{request("allowCredentials", `[{"type":"other","id":"Ag"}]`), "allowCredentials", ErrNotPublicKey},
		{request("allowCredentials", `[{"id":"Ag"}]`), "allowCredentials[0].type", ErrMissing},
		{request("userVerification", `null`), "userVerification", ErrType},
		{`{"challenge":"` + challenge + `","rpId":"a","rpId":"b"}`, "rpId", ErrDuplicateMember},
		{request() + "x", "", ErrSyntax},
	} {
		_, err := ParseRequestOptions([]byte(c.in))
		checkMember(t, c.in, err, c.member, c.problem)
	}
}
