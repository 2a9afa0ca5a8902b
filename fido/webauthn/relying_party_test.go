package webauthn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	server "github.com/go-webauthn/webauthn/webauthn"

	"fob/fido/ctap"
)

// account is a user of the relying party that others wrote.
type account struct {
	id          []byte
	credentials []server.Credential
}

func (a *account) WebAuthnID() []byte                       { return a.id }
func (a *account) WebAuthnName() string                     { return "alice@example.com" }
func (a *account) WebAuthnDisplayName() string              { return "Alice <&> Élise" }
func (a *account) WebAuthnCredentials() []server.Credential { return a.credentials }

func post(t *testing.T, v any) *http.Request {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(b))
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGoWebAuthn registers and signs in at a relying party that we did not write.
func TestGoWebAuthn(t *testing.T) {
	rp, err := server.New(&server.Config{RPID: "example.com", RPDisplayName: "Example", RPOrigins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []ctap.Algorithm{ctap.ES256, ctap.EdDSA} {
		for _, model := range []ctap.AAGUID{{}, {1, 2, 3}} {
			for _, conveyance := range []protocol.ConveyancePreference{"none", "direct"} {
				t.Run(fmt.Sprintf("%v/%x/%s", alg, model[:1], conveyance), func(t *testing.T) {
					key := newSoftKey(t, alg)
					key.data.Attested.AAGUID = model
					user := &account{id: []byte("handle of alice")}
					register(t, rp, user, key, conveyance)
					signIn(t, rp, user, key)
					signInDiscoverable(t, rp, user, key)
				})
			}
		}
	}
}

func register(t *testing.T, rp *server.WebAuthn, user *account, key *softKey, conveyance protocol.ConveyancePreference) {
	t.Helper()
	creation, session, err := rp.BeginRegistration(user, server.WithConveyancePreference(conveyance),
		server.WithResidentKeyRequirement(protocol.ResidentKeyRequirementRequired),
		server.WithExtensions(server.WithExtensionCredProps()))
	if err != nil {
		t.Fatal(err)
	}
	options, err := ParseCreationOptions(encode(t, creation))
	if err != nil {
		t.Fatal(err)
	}
	r, err := BeginRegistration(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Finish(key.makeCredential(r), []string{"usb"}, true, ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := rp.FinishRegistration(user, *session, post(t, response))
	if err != nil {
		t.Fatal(err)
	}
	anonymous := key.data.Attested.AAGUID == ctap.AAGUID{}
	format := "none"
	if anonymous || conveyance == "direct" {
		format = "packed"
	}
	if credential.AttestationFormat != format || !bytes.Equal(credential.ID, key.data.Attested.CredentialID) ||
		!bytes.Equal(credential.Authenticator.AAGUID, key.data.Attested.AAGUID[:]) ||
		credential.Extensions.RK == nil || !*credential.Extensions.RK {
		t.Errorf("the relying party understood %+v", credential)
	}
	user.credentials = append(user.credentials, *credential)
}

func signIn(t *testing.T, rp *server.WebAuthn, user *account, key *softKey) {
	t.Helper()
	assertion, session, err := rp.BeginLogin(user, server.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		t.Fatal(err)
	}
	response := assert(t, assertion, key)
	if _, err := rp.FinishLogin(user, *session, post(t, response)); err != nil {
		t.Fatal(err)
	}
	response.Response.Signature[9] ^= 1
	if _, err := rp.FinishLogin(user, *session, post(t, response)); err == nil {
		t.Error("the relying party took a forged signature")
	}
}

func signInDiscoverable(t *testing.T, rp *server.WebAuthn, user *account, key *softKey) {
	t.Helper()
	assertion, session, err := rp.BeginDiscoverableLogin()
	if err != nil {
		t.Fatal(err)
	}
	find := func(rawID, userHandle []byte) (server.User, error) {
		if !bytes.Equal(userHandle, user.id) {
			return nil, fmt.Errorf("no user %q", userHandle)
		}
		return user, nil
	}
	if _, _, err = rp.FinishPasskeyLogin(find, *session, post(t, assert(t, assertion, key))); err != nil {
		t.Fatal(err)
	}
}

func assert(t *testing.T, assertion *protocol.CredentialAssertion, key *softKey) *AuthenticationResponseJSON {
	t.Helper()
	options, err := ParseRequestOptions(encode(t, assertion))
	if err != nil {
		t.Fatal(err)
	}
	a, err := BeginAuthentication(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.Finish(key.getAssertion(a), ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	return response
}
