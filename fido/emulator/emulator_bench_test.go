package emulator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"fob/fido/ctap"
)

// Each baseline is the cryptography that the command can't do without, over as many bytes: what remains is the cost of
// being an authenticator. testdata/ratios pairs X/fob with X/baseline.

func BenchmarkMakeCredential(b *testing.B) {
	a := newBenchKey(b)
	request := credentialRequest().Encode()
	made, err := ctap.ParseMakeCredentialResponse(ask(b, a, request))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			ask(b, a, request)
		}
	})
	b.Run("baseline", func(b *testing.B) {
		for b.Loop() {
			key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
			signBare(b, key, made.AuthData)
		}
	})
}

func BenchmarkGetAssertion(b *testing.B) {
	b.Run("discoverable", func(b *testing.B) {
		a := newBenchKey(b)
		ask(b, a, credentialRequest(discoverable).Encode())
		benchmarkGetAssertion(b, a, assertionRequest())
	})
	b.Run("allow-list", func(b *testing.B) {
		a := newBenchKey(b)
		made, err := ctap.ParseMakeCredentialResponse(ask(b, a, credentialRequest().Encode()))
		if err != nil {
			b.Fatal(err)
		}
		data, err := ctap.ParseAuthenticatorData(made.AuthData)
		if err != nil {
			b.Fatal(err)
		}
		benchmarkGetAssertion(b, a, assertionRequest(&registered{id: data.Attested.CredentialID}))
	})
}

func benchmarkGetAssertion(b *testing.B, a *Authenticator, r *ctap.GetAssertionRequest) {
	request := r.Encode()
	got, err := ctap.ParseGetAssertionResponse(ask(b, a, request))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			ask(b, a, request)
		}
	})
	b.Run("baseline", func(b *testing.B) {
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		for b.Loop() {
			signBare(b, key, got.AuthData)
		}
	})
}

func newBenchKey(b *testing.B) *Authenticator {
	b.Helper()
	a, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// ask gives the response to a request, without its status byte.
func ask(b *testing.B, a *Authenticator, request []byte) []byte {
	resp := a.ServeCTAP(b.Context(), ctap.Request{Channel: 1, Payload: request}, func(ctap.KeepaliveStatus) {})
	if status := ctap.StatusCode(resp[0]); status != ctap.StatusOK {
		b.Fatal(status)
	}
	return resp[1:]
}

func signBare(b *testing.B, key *ecdsa.PrivateKey, authData []byte) {
	h := sha256.New()
	h.Write(authData)
	h.Write(clientDataHash)
	if _, err := key.Sign(rand.Reader, h.Sum(nil), crypto.SHA256); err != nil {
		b.Fatal(err)
	}
}
