package ctap

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"filippo.io/mldsa"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRequestsSurviveTheWire(t *testing.T) {
	yes, permissions, rpID, empty := true, PermissionMakeCredential, "example.com", Bytes{}
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want any, encoded []byte, got any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%x: got %+v, %v; want %+v", encoded, got, err, want)
		}
		if err := CheckCanonical(encoded[1:]); err != nil {
			t.Errorf("%x: %v", encoded, err)
		}
	}
	mc := &MakeCredentialRequest{
		ClientDataHash:    bytes.Repeat([]byte{7}, 32),
		RP:                &PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
		User:              &PublicKeyCredentialUserEntity{ID: []byte{1}, Name: "alice@example.com", DisplayName: "Alice"},
		PubKeyCredParams:  []PublicKeyCredentialParameters{{TypePublicKey, ES256}, {TypePublicKey, EdDSA}},
		ExcludeList:       []PublicKeyCredentialDescriptor{{Type: TypePublicKey, ID: []byte{9}, Transports: []string{"usb"}}},
		Options:           Options{RK: &yes},
		PINUVAuthParam:    &empty,
		PINUVAuthProtocol: PINProtocolTwo,
	}
	got, err := ParseMakeCredentialRequest(mc.Encode()[1:])
	check(mc, mc.Encode(), got, err)

	ga := &GetAssertionRequest{RPID: &rpID, ClientDataHash: mc.ClientDataHash, AllowList: mc.ExcludeList, Options: Options{UP: &yes}}
	got2, err := ParseGetAssertionRequest(ga.Encode()[1:])
	check(ga, ga.Encode(), got2, err)

	cp := &ClientPINRequest{
		PINUVAuthProtocol: PINProtocolOne,
		Subcommand:        SubcommandGetPINUVAuthTokenUsingPINWithPermissions,
		KeyAgreement:      &KeyAgreement{PublicKey: key.PublicKey()},
		PINHashEnc:        make([]byte, 16),
		Permissions:       &permissions,
		RPID:              &rpID,
	}
	got3, err := ParseClientPINRequest(cp.Encode()[1:])
	check(cp, cp.Encode(), got3, err)
}

func TestWrongTypes(t *testing.T) {
	for _, test := range []struct {
		name, hex string
		want      error
	}{
		{"text for a byte string", "a10163616263", ErrCBORUnexpectedType},
		{"array for a byte string", "a10183010203", ErrCBORUnexpectedType},
		{"number for a map", "a10201", ErrCBORUnexpectedType},
		{"map for an array", "a104a0", ErrCBORUnexpectedType},
		{"number for an option", "a107a162726b01", ErrCBORUnexpectedType},
		{"bytes for a name", "a102a1626964" + "4161", ErrCBORUnexpectedType},
		{"array for the request", "80", ErrCBORUnexpectedType},
		{"null for a byte string", "a101f6", ErrCBORUnexpectedType},
		{"invalid UTF-8", "a102a1626964" + "61ff", ErrInvalidCBOR},
		{"unknown members", "a2186401" + "6161a0", nil},
		{"unknown option", "a107a163666f6ff5", nil},
	} {
		if _, err := ParseMakeCredentialRequest(unhex(t, test.hex)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestCOSEKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ml, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		t.Fatal(err)
	}
	for _, pub := range []interface{ Equal(x any) bool }{equalKey{&ec.PublicKey}, equalKey{&ec384.PublicKey},
		equalKey{edPub}, equalKey{&rsaKey.PublicKey}, equalKey{ml.PublicKey()}} {
		b, err := MarshalCOSEKey(pub.(equalKey).key)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := ParseCOSEKey(b)
		if err != nil || !pub.Equal(got) {
			t.Errorf("%x: %v, %v", b, got, err)
		}
	}
	point, _ := ec.PublicKey.Bytes()
	off := ec2(ES256, crvP256, point)
	off.Y = make([]byte, 32)
	if _, _, err := ParseCOSEKey(mustMarshal(off)); !errors.Is(err, ErrInvalidParameter) {
		t.Errorf("a point off the curve: %v", err)
	}
	crossed := ec2(ES384, crvP256, point)
	if _, _, err := ParseCOSEKey(mustMarshal(crossed)); !errors.Is(err, ErrUnsupportedAlgorithm) {
		t.Errorf("ES384 on P-256: %v", err)
	}
	other := ec2(Algorithm(-36), crvP256, point)
	if _, _, err := ParseCOSEKey(mustMarshal(other)); !errors.Is(err, ErrUnsupportedAlgorithm) {
		t.Errorf("an algorithm that we don't know: %v", err)
	}
	n := rsaKey.N.Bytes()
	for name, k := range map[string]coseRSAKey{
		"a leading zero":     {coseHeader{ktyRSA, RS256}, append([]byte{0}, n...), []byte{1, 0, 1}},
		"an even exponent":   {coseHeader{ktyRSA, RS256}, n, []byte{1, 0, 0}},
		"an exponent of 1":   {coseHeader{ktyRSA, RS256}, n, []byte{1}},
		"a long exponent":    {coseHeader{ktyRSA, RS256}, n, []byte{1, 0, 0, 0, 1}},
		"1024 bits":          {coseHeader{ktyRSA, RS256}, n[:128], []byte{1, 0, 1}},
		"8192 bits":          {coseHeader{ktyRSA, RS256}, bytes.Repeat([]byte{0xff}, 1024), []byte{1, 0, 1}},
		"a modulus of zeros": {coseHeader{ktyRSA, RS256}, make([]byte, 256), []byte{1, 0, 1}},
	} {
		if _, _, err := ParseCOSEKey(mustMarshal(k)); !errors.Is(err, ErrInvalidParameter) {
			t.Errorf("RSA, %s: %v", name, err)
		}
	}
	short := coseAKPKey{coseHeader{ktyAKP, MLDSA44}, ml.PublicKey().Bytes()[1:]}
	if _, _, err := ParseCOSEKey(mustMarshal(short)); !errors.Is(err, ErrInvalidParameter) {
		t.Errorf("a short ML-DSA key: %v", err)
	}
	bigger, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MarshalCOSEKey(bigger.PublicKey()); !errors.Is(err, ErrUnsupportedAlgorithm) {
		t.Errorf("ML-DSA-65: %v", err)
	}
}

func TestParseAlgorithm(t *testing.T) {
	for _, a := range Algorithms {
		if got, err := ParseAlgorithm(strings.ToLower(a.String())); err != nil || got != a {
			t.Errorf("%v: %v, %v", a, got, err)
		}
	}
	if _, err := ParseAlgorithm("es512"); err == nil || !strings.Contains(err.Error(), "ML-DSA-44") {
		t.Errorf("es512: %v", err)
	}
}

type equalKey struct{ key any }

func (k equalKey) Equal(x any) bool { return reflect.DeepEqual(k.key, x) }

func TestAuthenticatorData(t *testing.T) {
	d := &AuthenticatorData{
		Flags:     FlagUP | FlagUV | FlagAT | FlagED,
		SignCount: 0x01020304,
		Attested:  &AttestedCredentialData{CredentialID: []byte("id"), PublicKey: RawMessage{0xa1, 1, 2}},
		Extensions: RawMessage{
			0xa1, 0x61, 'x', 0xf5,
		},
	}
	b := d.Encode()
	got, err := ParseAuthenticatorData(b)
	if err != nil || !reflect.DeepEqual(got, d) {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range len(b) {
		if _, err := ParseAuthenticatorData(b[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", n, len(b))
		}
	}
	if _, err := ParseAuthenticatorData(append(b, 0)); err == nil {
		t.Error("a trailing byte: no error")
	}
}

func TestPINProtocols(t *testing.T) {
	for _, protocol := range []PINProtocol{PINProtocolOne, PINProtocolTwo} {
		a, _ := ecdh.P256().GenerateKey(rand.Reader)
		b, _ := ecdh.P256().GenerateKey(rand.Reader)
		ours, err := protocol.SharedSecret(a, b.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := protocol.SharedSecret(b, a.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		plaintext := []byte("thirty-two bytes of plain text..")
		ciphertext, err := ours.Encrypt(plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := theirs.Decrypt(ciphertext); err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("protocol %d: decrypted %q, %v", protocol, got, err)
		}
		if !theirs.Verify(ciphertext, ours.Authenticate(ciphertext)) {
			t.Errorf("protocol %d: a good pinUvAuthParam is refused", protocol)
		}
		if theirs.Verify(plaintext, ours.Authenticate(ciphertext)) {
			t.Errorf("protocol %d: a pinUvAuthParam of another message passes", protocol)
		}
		if _, err := theirs.Decrypt(ciphertext[:17]); !errors.Is(err, ErrInvalidParameter) {
			t.Errorf("protocol %d: half a block: %v", protocol, err)
		}
		if _, err := ours.Encrypt(plaintext[:5]); !errors.Is(err, ErrInvalidParameter) {
			t.Errorf("protocol %d: encrypting half a block: %v", protocol, err)
		}
	}
}

// TestPINProtocolVectors pins both derivations with values computed by an independent program (testdata/pin_protocol.py).
func TestPINProtocolVectors(t *testing.T) {
	a, err := ecdh.P256().NewPrivateKey(unhex(t, "0000000000000000000000000000000000000000000000000000000000000001"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ecdh.P256().NewPrivateKey(unhex(t, "0000000000000000000000000000000000000000000000000000000000000002"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		protocol PINProtocol
		want     string // authenticate("message")
	}{
		{PINProtocolOne, "b525199abc2b9ed72eb9606ba1f7d47f"},
		{PINProtocolTwo, "7e191d0e84711d7452f3d7f36f4b0afa55d677b623eb0faa6388e6ae982bd1f8"},
	} {
		s, err := test.protocol.SharedSecret(a, b.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(s.Authenticate([]byte("message"))); got != test.want {
			t.Errorf("protocol %d: %s, want %s", test.protocol, got, test.want)
		}
	}
}

// fuzzMessage decodes a message, encodes it, decodes that and compares the encodings.
func fuzzMessage[T any](f *testing.F, parse func([]byte) (*T, error), encode func(*T) []byte, seeds ...string) {
	for _, s := range seeds {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := parse(b)
		if err != nil {
			var status StatusCode
			if !errors.As(err, &status) {
				t.Fatalf("%x: %v is no status code", b, err)
			}
			return
		}
		encoded := encode(first)
		second, err := parse(encoded)
		if err != nil {
			t.Fatalf("%x: encoded as %x, which is refused: %v", b, encoded, err)
		}
		if again := encode(second); !bytes.Equal(again, encoded) {
			t.Fatalf("%x: encoded as %x, then as %x", b, encoded, again)
		}
	})
}

func FuzzMakeCredentialRequest(f *testing.F) {
	fuzzMessage(f, ParseMakeCredentialRequest, func(r *MakeCredentialRequest) []byte { return r.Encode()[1:] },
		"a0", "a301410102a162696461610481a263616c672664747970656a7075626c69632d6b6579")
}

func FuzzMakeCredentialResponse(f *testing.F) {
	fuzzMessage(f, ParseMakeCredentialResponse, func(r *MakeCredentialResponse) []byte { return r.Encode()[1:] },
		"a301646e6f6e65024003a0")
}

func FuzzGetAssertionRequest(f *testing.F) {
	fuzzMessage(f, ParseGetAssertionRequest, func(r *GetAssertionRequest) []byte { return r.Encode()[1:] },
		"a2016161024101")
}

func FuzzGetAssertionResponse(f *testing.F) {
	fuzzMessage(f, ParseGetAssertionResponse, func(r *GetAssertionResponse) []byte { return r.Encode()[1:] },
		"a301a262696441016474797065617802410103"+"4101")
}

func FuzzClientPINRequest(f *testing.F) {
	fuzzMessage(f, ParseClientPINRequest, func(r *ClientPINRequest) []byte { return r.Encode()[1:] },
		"a201010202")
}

func FuzzGetInfoResponse(f *testing.F) {
	fuzzMessage(f, ParseGetInfoResponse, func(r *GetInfoResponse) []byte { return r.Encode()[1:] },
		"a20181684649444f5f325f300350"+"000102030405060708090a0b0c0d0e0f")
}

func FuzzAuthenticatorData(f *testing.F) {
	f.Add((&AuthenticatorData{Flags: FlagUP}).Encode())
	f.Add((&AuthenticatorData{
		Attested:   &AttestedCredentialData{CredentialID: []byte("id"), PublicKey: RawMessage{0xa0}},
		Extensions: RawMessage{0xa0},
	}).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseAuthenticatorData(b)
		if err != nil {
			return
		}
		if again := d.Encode(); !bytes.Equal(again, b) {
			t.Fatalf("%x: encoded as %x", b, again)
		}
	})
}

func FuzzCOSEKey(f *testing.F) {
	f.Add(mustMarshal(coseCurveKey{coseHeader: coseHeader{ktyOKP, EdDSA}, Crv: crvEd25519, X: make([]byte, 32)}))
	f.Add(mustMarshal(coseRSAKey{coseHeader{ktyRSA, RS256}, bytes.Repeat([]byte{0xff}, 256), []byte{1, 0, 1}}))
	f.Add(mustMarshal(coseAKPKey{coseHeader{ktyAKP, MLDSA44}, make([]byte, mldsa.MLDSA44PublicKeySize)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		pub, _, err := ParseCOSEKey(b)
		if err != nil {
			return
		}
		encoded, err := MarshalCOSEKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParseCOSEKey(encoded)
		if err != nil || !again.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Fatalf("%x: %v, %v", b, again, err)
		}
	})
}

func FuzzCredentialManagementRequest(f *testing.F) {
	fuzzMessage(f, ParseCredentialManagementRequest, func(r *CredentialManagementRequest) []byte { return r.Encode()[1:] },
		"a10101", "a2010402a1014101")
}

func FuzzCredentialManagementResponse(f *testing.F) {
	fuzzMessage(f, ParseCredentialManagementResponse, func(r *CredentialManagementResponse) []byte { return r.Encode()[1:] },
		"a201000218"+"64")
}

func FuzzLargeBlobsRequest(f *testing.F) {
	fuzzMessage(f, ParseLargeBlobsRequest, func(r *LargeBlobsRequest) []byte { return r.Encode()[1:] }, "a201010300")
}

func FuzzConfigRequest(f *testing.F) {
	fuzzMessage(f, ParseConfigRequest, func(r *ConfigRequest) []byte { return r.Encode()[1:] }, "a2010302a10104", "a10102")
}

func FuzzSetMinPINLengthParams(f *testing.F) {
	fuzzMessage(f, parse[SetMinPINLengthParams], func(p *SetMinPINLengthParams) []byte { return mustMarshal(p) }, "a201060281"+"6161")
}

func FuzzBioEnrollmentRequest(f *testing.F) {
	fuzzMessage(f, ParseBioEnrollmentRequest, func(r *BioEnrollmentRequest) []byte { return r.Encode()[1:] }, "a301010201"+"03a103190400")
}

func FuzzMakeCredentialExtensionInputs(f *testing.F) {
	fuzzMessage(f, parse[MakeCredentialExtensionInputs], func(v *MakeCredentialExtensionInputs) []byte { return mustMarshal(v) },
		"a16b6372656450726f7465637402")
}

func FuzzGetAssertionExtensionInputs(f *testing.F) {
	fuzzMessage(f, parse[GetAssertionExtensionInputs], func(v *GetAssertionExtensionInputs) []byte { return mustMarshal(v) },
		"a1686372656442"+"6c6f62f5")
}

func FuzzU2FRequest(f *testing.F) {
	f.Add((&U2FRequest{Instruction: U2FRegister, Data: make([]byte, 64)}).Encode())
	f.Add([]byte{0, 3, 0, 0})
	f.Add([]byte{0, 2, 3, 0, 2, 1, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := ParseU2FRequest(b)
		if err != nil {
			var status U2FStatus
			if !errors.As(err, &status) {
				t.Fatal(err)
			}
			return
		}
		second, err := ParseU2FRequest(first.Encode())
		if err != nil || !bytes.Equal(second.Encode(), first.Encode()) {
			t.Fatalf("%x: %+v, %v", b, second, err)
		}
		first.RegisterParameters()
		if p, err := first.AuthenticateParameters(); err == nil && len(p.KeyHandle) > 255 {
			t.Fatalf("key handle of %d bytes", len(p.KeyHandle))
		}
	})
}
