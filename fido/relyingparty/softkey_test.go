package relyingparty

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

// softKey is an authenticator with one credential and nobody to ask.
type softKey struct {
	t      *testing.T
	signer crypto.Signer
	alg    ctap.Algorithm
	data   ctap.AuthenticatorData // flags, counter and credential of the next answer
	user   []byte
}

func newSoftKey(t *testing.T, alg ctap.Algorithm) *softKey {
	t.Helper()
	var signer crypto.Signer
	var err error
	if alg == ctap.EdDSA {
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	} else {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	public, err := ctap.MarshalCOSEKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &softKey{t: t, signer: signer, alg: alg, data: ctap.AuthenticatorData{
		Flags:     ctap.FlagUP | ctap.FlagUV,
		SignCount: 1,
		Attested:  &ctap.AttestedCredentialData{CredentialID: id, PublicKey: public},
	}}
}

func (k *softKey) sign(authData []byte, hash [sha256.Size]byte) []byte {
	message := append(append([]byte{}, authData...), hash[:]...)
	var options crypto.SignerOpts = crypto.Hash(0)
	if k.alg == ctap.ES256 {
		digest := sha256.Sum256(message)
		message, options = digest[:], crypto.SHA256
	}
	sig, err := k.signer.Sign(rand.Reader, message, options)
	if err != nil {
		k.t.Fatal(err)
	}
	return sig
}

// makeCredential answers with packed self attestation, by way of CTAP's encoding.
func (k *softKey) makeCredential(r *webauthn.Registration) *ctap.MakeCredentialResponse {
	k.t.Helper()
	k.user = r.Options.User.ID
	k.data.RPIDHash = sha256.Sum256([]byte(r.RPID))
	authData := k.data.Encode()
	statement, err := ctap.Marshal(ctap.PackedAttestationStatement{Alg: k.alg, Sig: k.sign(authData, r.ClientDataJSON.Hash())})
	if err != nil {
		k.t.Fatal(err)
	}
	answer := ctap.MakeCredentialResponse{Format: ctap.FormatPacked, AuthData: authData, AttStmt: statement}
	made, err := ctap.ParseMakeCredentialResponse(answer.Encode()[1:])
	if err != nil {
		k.t.Fatal(err)
	}
	return made
}

func (k *softKey) getAssertion(a *webauthn.Authentication) *ctap.GetAssertionResponse {
	k.t.Helper()
	data := k.data
	data.RPIDHash, data.Attested = sha256.Sum256([]byte(a.RPID)), nil
	data.SignCount++
	authData := data.Encode()
	answer := ctap.GetAssertionResponse{
		Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: k.data.Attested.CredentialID},
		AuthData:   authData,
		Signature:  k.sign(authData, a.ClientDataJSON.Hash()),
	}
	if len(a.Options.AllowCredentials) == 0 {
		answer.User = &ctap.PublicKeyCredentialUserEntity{ID: k.user}
	}
	got, err := ctap.ParseGetAssertionResponse(answer.Encode()[1:])
	if err != nil {
		k.t.Fatal(err)
	}
	return got
}
