package account

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"testing"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

// softKey is an authenticator with one credential for each of its users, and nobody to ask.
type softKey struct {
	flags ctap.Flags
	model ctap.AAGUID
	count uint32
	keys  map[string]*ecdsa.PrivateKey // by credential ID
}

func newSoftKey(synced bool) *softKey {
	k := &softKey{flags: ctap.FlagUP | ctap.FlagUV, keys: make(map[string]*ecdsa.PrivateKey), model: ctap.AAGUID{1, 2, 3}}
	if synced {
		k.flags |= ctap.FlagBE | ctap.FlagBS
	}
	return k
}

func (k *softKey) sign(t testing.TB, id string, data []byte, client webauthn.ClientDataJSON) []byte {
	hash := client.Hash()
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	sig, err := ecdsa.SignASN1(rand.Reader, k.keys[id], digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// register answers the options of a registration with self attestation.
func (k *softKey) register(t testing.TB, e Enrolment) []byte {
	t.Helper()
	options, err := webauthn.ParseCreationOptions(e.Options)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := webauthn.BeginRegistration(options, e.Origin)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range options.ExcludeCredentials {
		if k.keys[string(c.ID)] != nil {
			return nil // CTAP2_ERR_CREDENTIAL_EXCLUDED
		}
	}
	id := rand.Text()
	k.keys[id], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ctap.MarshalCOSEKey(k.keys[id].Public())
	if err != nil {
		t.Fatal(err)
	}
	k.count++
	data := ctap.AuthenticatorData{RPIDHash: sha256.Sum256([]byte(begun.RPID)), Flags: k.flags, SignCount: k.count,
		Attested: &ctap.AttestedCredentialData{AAGUID: k.model, CredentialID: []byte(id), PublicKey: public}}
	authData := data.Encode()
	statement, err := ctap.Marshal(ctap.PackedAttestationStatement{
		Alg: ctap.ES256, Sig: k.sign(t, id, authData, begun.ClientDataJSON)})
	if err != nil {
		t.Fatal(err)
	}
	answer := ctap.MakeCredentialResponse{Format: ctap.FormatPacked, AuthData: authData, AttStmt: statement}
	made, err := ctap.ParseMakeCredentialResponse(answer.Encode()[1:])
	if err != nil {
		t.Fatal(err)
	}
	response, err := begun.Finish(made, []string{"usb"}, false, webauthn.ExtensionOutputs{})
	return encode(t, response, err)
}

// signIn answers the options of a sign-in, or gives nil where none of the credentials is its own.
func (k *softKey) signIn(t testing.TB, c Challenge) []byte {
	t.Helper()
	options, err := webauthn.ParseRequestOptions(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := webauthn.BeginAuthentication(options, c.Origin)
	if err != nil {
		t.Fatal(err)
	}
	for _, credential := range options.AllowCredentials {
		id := string(credential.ID)
		if k.keys[id] == nil {
			continue
		}
		k.count++
		data := ctap.AuthenticatorData{RPIDHash: sha256.Sum256([]byte(begun.RPID)), Flags: k.flags, SignCount: k.count}
		authData := data.Encode()
		answer := ctap.GetAssertionResponse{
			Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte(id)},
			AuthData:   authData, Signature: k.sign(t, id, authData, begun.ClientDataJSON)}
		got, err := ctap.ParseGetAssertionResponse(answer.Encode()[1:])
		if err != nil {
			t.Fatal(err)
		}
		response, err := begun.Finish(got, webauthn.ExtensionOutputs{})
		return encode(t, response, err)
	}
	return nil
}

func encode(t testing.TB, response any, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
