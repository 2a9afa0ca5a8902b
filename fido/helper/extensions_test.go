package helper

import (
	"bytes"
	"errors"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
)

// TestExtensionsCross: what extensions are asked for reaches the key, and what they give comes back.
func TestExtensionsCross(t *testing.T) {
	k, _ := openKey(t, "good")
	r := &fido.GetAssertionRequest{RPID: "a.example", ClientDataHash: make([]byte, 32),
		Salts: make(fido.Secret, 64), ReadLargeBlob: true}
	list, err := k.GetAssertion(t.Context(), r)
	if err != nil || !bytes.Equal(list[1].HMACSecret, bytes.Repeat([]byte{1}, 64)) || string(list[1].LargeBlob) != "large" {
		t.Fatal(list, err)
	}
	if bytes.Count(r.Salts, []byte{0}) != 64 {
		t.Error("the salts were changed")
	}
	r = &fido.GetAssertionRequest{RPID: "a.example", ClientDataHash: make([]byte, 32),
		WriteLargeBlob: []byte{}, AllowList: [][]byte{{1}}}
	if _, err := k.GetAssertion(t.Context(), r); !errors.Is(err, fido.ErrBadAnswer) { // the second was not asked for
		t.Fatal(err)
	}
}

// TestAnswersThatWereNotAskedFor: a helper says no more than what it was asked.
func TestAnswersThatWereNotAskedFor(t *testing.T) {
	one := func(change func(*fido.GetAssertionResponse)) []byte {
		list, _ := (&fakeKey{}).GetAssertion(t.Context(), &fido.GetAssertionRequest{})
		change(&list[0])
		return mustBody(encodeAssertions(list[:1]))
	}
	asked := &fido.GetAssertionRequest{}
	for name, body := range map[string][]byte{
		"hmac-secret":    one(func(a *fido.GetAssertionResponse) { a.HMACSecret = make(fido.Secret, 32) }),
		"large blob":     one(func(a *fido.GetAssertionResponse) { a.LargeBlob = []byte{} }),
		"written":        one(func(a *fido.GetAssertionResponse) { a.LargeBlobWritten = true }),
		"large blob key": one(func(a *fido.GetAssertionResponse) { a.LargeBlobKey = make([]byte, 32) }),
	} {
		if _, err := parseAssertions(body, asked); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := parseAssertions(one(func(*fido.GetAssertionResponse) {}), asked); err != nil {
		t.Error(err)
	}
	asked.Salts, asked.ReadLargeBlob = make(fido.Secret, 64), true
	for name, body := range map[string][]byte{
		"half of hmac-secret": one(func(a *fido.GetAssertionResponse) { a.HMACSecret = make(fido.Secret, 32) }),
		"empty hmac-secret":   one(func(a *fido.GetAssertionResponse) { a.HMACSecret = fido.Secret{} }),
		"bomb": one(func(a *fido.GetAssertionResponse) {
			a.LargeBlob = make([]byte, fido.MaxLargeBlob+1)
		}),
	} {
		if _, err := parseAssertions(body, asked); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	made := fakeCredential()
	made.HMACSecret = make(fido.Secret, 32)
	if _, err := parseCredential(mustBody(encodeCredential(made)), nil); err == nil {
		t.Error("hmac-secret of a new credential was taken")
	}
}

func TestExtensionRequestsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*fido.MakeCredentialRequest){
		"salt":        func(r *fido.MakeCredentialRequest) { r.Salts = make(fido.Secret, 33) },
		"empty salt":  func(r *fido.MakeCredentialRequest) { r.Salts = fido.Secret{} },
		"credProtect": func(r *fido.MakeCredentialRequest) { r.Extensions.CredProtect = 4 },
		"encrypted":   func(r *fido.MakeCredentialRequest) { r.Extensions.HMACSecretMC = &ctap.HMACSecretInput{} },
		"enterprise":  func(r *fido.MakeCredentialRequest) { r.EnterpriseAttestation = 3 },
	} {
		r := makeRequest("a.example", nil)
		change(r)
		if _, err := encodeMakeCredential(r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, r := range map[string]fido.GetAssertionRequest{
		"salt":           {Salts: make(fido.Secret, 31)},
		"two to write":   {WriteLargeBlob: []byte{1}, AllowList: [][]byte{{1}, {2}}},
		"read and write": {WriteLargeBlob: []byte{1}, ReadLargeBlob: true, AllowList: [][]byte{{1}}},
		"too large":      {WriteLargeBlob: make([]byte, fido.MaxLargeBlob+1), AllowList: [][]byte{{1}}},
	} {
		r.RPID, r.ClientDataHash = "a.example", make([]byte, 32)
		if _, err := encodeGetAssertion(&r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
