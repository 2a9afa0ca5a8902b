package emulator

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// Where emulated keys usually break the specification, and which test would tell:
//
//	Encoding    canonical in and out             TestCanonicalRequests, platform.send, ctap.TestCheckCanonical
//	            wrong types, missing members     TestMakeCredentialPrecedence, ctap.TestWrongTypes
//	            unknown members and options      TestUnknownMembersAreIgnored
//	            names of more than 64 bytes      TestNamesAreTruncated
//	            maxMsgSize                       TestLongestMessage, TestMakeCredentialPrecedence
//	Precedence  of every step                    Test*Precedence, TestClientPINSubcommands
//	            an empty pinUvAuthParam          steps 1.2 and 1.3 in Test*Precedence
//	            token before uv                  TestTokenWinsOverUV
//	            excluded, after presence         TestExcludedWhateverThePersonDoes, TestCredProtect
//	            KEY_STORE_FULL, after consent    step 17.4 in TestMakeCredentialPrecedence, TestKeyStoreFull
//	PIN/UV      retries, before and durably      TestRetriesAreSpentFirst, TestPINRetries, TestStateFile
//	            a new key after a wrong PIN      TestWrongPINChangesKeyAgreement
//	            protocols one and two            TestPINExchangeVectors
//	            rules for a new PIN              TestPINPolicy, TestClientPINPrecedence
//	            permissions and RP ID            TestTokens, TestTokenBindsAtFirstUse, TestLegacyTokenPermissions
//	            what a touch ends                TestTokenIsSpent
//	            life times                       TestTokenLifetimes
//	            changes of the PIN               TestTokens, TestForcedChangeEndsTokens
//	            makeCredUvNotRqd, alwaysUv       steps 6 to 8 and 5 in Test*Precedence, TestAlwaysUV
//	            no token, or none that counts    TestWithoutProtection
//	            fingers                          TestRetriesOfFingers, TestBuiltInVerification
//	Assertions  any of the allowList             TestAllowListOrder
//	            numberOfCredentials, order       TestAccountsOfOneRP, TestAllowListOrder
//	            getNextAssertion                 TestGetNextAssertionSteps
//	            names of users                   TestAccountsOfOneRP, TestNamesOfOneAccount
//	            up is false                      TestSilentAssertion, TestUVWithoutUP
//	            credProtect                      TestCredProtect, steps 7.4 and 7.5 in TestGetAssertionPrecedence
//	            an empty allowList               step 7.1 in TestGetAssertionPrecedence
//	            the counter, durably             TestStateThatCannotBeSaved
//	            what is signed                   TestSignatureVectors
//	Reset       window, touch, what is left      TestResetSteps, TestResetLeavesNothing

// TestCanonicalRequests: what is not canonical CBOR is INVALID_CBOR (§8).
func TestCanonicalRequests(t *testing.T) {
	p := newPlatform(t, Options{})
	for _, test := range []struct {
		name, hex string
		want      error
	}{
		{"clientPIN, getPINRetries", "06" + "a10201", nil},
		{"a longer integer than needed", "06" + "a1021801", ctap.ErrInvalidCBOR},
		{"a longer key than needed", "06" + "a1180201", ctap.ErrInvalidCBOR},
		{"a longer length than needed", "06" + "b8010201", ctap.ErrInvalidCBOR},
		{"keys out of order", "06" + "a202010101", ctap.ErrInvalidCBOR},
		{"text keys out of order", "06" + "a20201" + "03" + "a2" + "6162" + "01" + "6161" + "01", ctap.ErrInvalidCBOR},
		{"a key twice", "06" + "a202010201", ctap.ErrInvalidCBOR},
		{"an indefinite length", "06" + "bf0201ff", ctap.ErrInvalidCBOR},
		{"a tag", "06" + "a102c101", ctap.ErrInvalidCBOR},
		{"a trailing byte", "06" + "a1020100", ctap.ErrInvalidCBOR},
		{"cut short", "06" + "a102", ctap.ErrInvalidCBOR},
		{"no parameters at all", "06", ctap.ErrInvalidCBOR},
		{"maps within maps, four deep", "06" + "a20201" + "1864" + "a101a101a10101", nil},
		{"maps within maps, five deep", "06" + "a20201" + "1864" + "a101a101a101a10101", ctap.ErrInvalidCBOR},
		{"no map", "06" + "8101", ctap.ErrCBORUnexpectedType},
		{"a text for a number", "06" + "a1026131", ctap.ErrCBORUnexpectedType},
	} {
		payload, err := hex.DecodeString(test.hex)
		p.must(err)
		if _, err := p.send(payload); err != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestUnknownMembersAreIgnored: of requests, entities, descriptors and options (§8, §6.1.2 step 5).
func TestUnknownMembersAreIgnored(t *testing.T) {
	p := newPlatform(t, Options{})
	type dictionary = map[string]any
	params := []dictionary{
		{"type": "other", "alg": -7}, {"type": "public-key", "alg": -65535, "more": 1},
		{"type": "public-key", "alg": -7},
	}
	b, err := ctap.Marshal(map[int]any{
		1: clientDataHash, 2: dictionary{"id": "example.com", "icon": "x"},
		3: dictionary{"id": []byte("u"), "icon": []int{1}}, 4: params,
		5: []dictionary{{"id": []byte("x"), "type": "public-key", "more": true}}, 6: dictionary{"unknown": 1},
		7: dictionary{"rk": true, "unknown": true}, 100: "unknown",
	})
	p.must(err)
	_, err = p.send(append([]byte{byte(ctap.CommandMakeCredential)}, b...))
	p.must(err)
	if c := p.a.Credentials(); len(c) != 1 || c[0].Algorithm != ctap.ES256 {
		t.Errorf("made %+v", c)
	}
}

// TestLongestMessage: maxMsgSize is how long a message may be.
func TestLongestMessage(t *testing.T) {
	p := newPlatform(t, Options{})
	r := credentialRequest()
	r.RP.Name = ""
	r.RP.Name = string(bytes.Repeat([]byte("x"), int(p.a.MaxMsgSize)-len(r.Encode())-len("\x64name\x79\x00\x00")))
	for _, want := range []error{nil, ctap.ErrRequestTooLarge} {
		_, err := p.send(r.Encode())
		if r.RP.Name += "x"; err != want {
			t.Errorf("%d of %d bytes: %v, want %v", len(r.Encode())-1, p.a.MaxMsgSize, err, want)
		}
	}
}

// TestTokenWinsOverUV: beside a pinUvAuthParam, the option uv counts for nothing (§6.1.2 step 5.2, §6.2.2 step 4.2).
func TestTokenWinsOverUV(t *testing.T) {
	for _, finger := range []string{"", "does not match"} { // without a sensor, and with one that would fail
		c := choices{"pin": "set", "uv": "true", "param": "yes", "finger": finger}
		x := newCeremony(t, c)
		_, err := x.send(x.makeCredentialRequest())
		x.wants(err, nil)
		_, err = x.send(x.getAssertionRequest())
		x.wants(err, nil)
	}
}

// TestRetriesAreSpentFirst: where a retry can't be made durable, no PIN is compared, be it right or wrong.
func TestRetriesAreSpentFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	p := newPlatform(t, Options{File: openState(t, filepath.Join(mkdir(t, dir), "key.json"))})
	p.must(p.a.SetPIN([]byte("1234")))
	p.must(os.RemoveAll(dir))
	key := p.a.pin.keyAgreements[ctap.PINProtocolTwo]
	for _, pin := range []string{"1234", "0000"} {
		_, err := p.pinToken(ctap.PINProtocolTwo, pin, 0)
		p.wants(err, ctap.ErrOther)
	}
	if p.a.pin.token != nil || p.a.pin.mismatches != 0 || p.a.pin.keyAgreements[ctap.PINProtocolTwo] != key {
		t.Error("a PIN was compared before its retry was spent")
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRetriesOfFingers: what spends a retry of built-in user verification (§6.5.3.1), and what brings it back.
func TestRetriesOfFingers(t *testing.T) {
	for _, test := range []struct {
		finger error
		want   error
		left   uint
	}{
		{nil, nil, maxUVRetries},
		{ErrNoMatch, ctap.ErrPUATRequired, maxUVRetries - 2},
		{context.DeadlineExceeded, ctap.ErrUserActionTimeout, maxUVRetries - 2},
		{ErrDenied, ctap.ErrOperationDenied, maxUVRetries - 1},
	} {
		x := newCeremony(t, choices{"pin": "set", "finger": "matches", "uv": "true", "param": "no"})
		x.a.state.UVMisses = 1
		spent := uint(0)
		x.a.presence = func(context.Context, PresenceRequest) error { spent = x.a.state.UVMisses; return test.finger }
		_, err := x.send(x.getAssertionRequest())
		x.wants(err, test.want)
		if spent != 2 || x.a.state.uvRetries() != test.left {
			t.Errorf("%v: %d misses in the meantime, %d retries left", test.finger, spent, x.a.state.uvRetries())
		}
	}
	x := newCeremony(t, choices{"pin": "set", "finger": "matches", "uv": "true", "param": "no"})
	x.a.state.PINRetries = 0 // blocks fingers as well (step 3)
	_, err := x.send(x.getAssertionRequest())
	x.wants(err, ctap.ErrPUATRequired)
	if x.a.state.uvRetries() != 0 || x.person.touches != 0 {
		t.Errorf("%d retries, asked %d times", x.a.state.uvRetries(), x.person.touches)
	}
}

// TestPINExchangeVectors plays exchanges whose bytes another program computed: python3-cryptography for both protocols;
// those of protocol one are also in the tests of python-fido2.
func TestPINExchangeVectors(t *testing.T) {
	for _, test := range []struct {
		protocol                     ctap.PINProtocol
		set, setParam                string // "1234"
		change, pinHash, changeParam string // "1234" to "4321"
		newPINHash                   string
	}{
		{
			protocol: ctap.PINProtocolOne,
			set: "0222fc42c6dd76a274a7057858b9b29d98e8a722ec2dc6668476168c5320473c" +
				"ec9907b4cd76ce7943c96ba5683943211d84471e64d9c51e54763488cd66526a",
			setParam: "7b40c084ccc5794194189ab57836475f",
			change: "4280e14aac4fcbf02dd079985f0c0ffc9ea7d5f9c173fd1a4c843826f7590cb3" +
				"c2d080c6923e2fe6d7a52c31ea1309d3fcca3dedae8a2ef14b6330cafc79339e",
			pinHash:     "afe8327ce416da8ee3d057589c2ce1a9",
			changeParam: "fb97e92f3724d7c85e001d7f93e6490a",
			newPINHash:  "05376e21e77987837ce7e233a3dc2514",
		},
		{
			protocol: ctap.PINProtocolTwo,
			set: "000102030405060708090a0b0c0d0e0f" +
				"76f442d0c109cfc29362cfdea56c2dd2a64f2a11b02e40df972a71df1011cf84" +
				"26ff2f3887edf477a73a518467f90ff76adf360c00e8cd95e2eef66012267ec2",
			setParam: "cbd8ce828e9847125882660c6f7ffd3b71e5dbb13039a2b37dbae9d50f7c34cb",
			change: "000102030405060708090a0b0c0d0e0f" +
				"7c89bcaa4f89c7f0d219def6e27efbbaed424824796d8b075c7c24cb38603e02" +
				"75c0b1fe7ca0c3ef9d2865d3d5c4d515a865b28e4fd364b47524a2f909827e7c",
			pinHash:     "000102030405060708090a0b0c0d0e0f" + "09870d15a35707bcc287efb5be976011",
			changeParam: "6ecf41d92c45b2e40c28f7c3dbb13e4748455b38aa0a40e79e7c1f2365124a99",
			newPINHash:  "000102030405060708090a0b0c0d0e0f" + "b560960a6bf235c7192a2bc82886fa0a",
		},
	} {
		p := newPlatform(t, Options{})
		ours, err := ecdh.P256().NewPrivateKey(unhex(t,
			"7452e599fee739d8a653f6a507343d12d382249108a651402520b72f24fe7684"))
		p.must(err)
		theirs, err := ecdh.P256().NewPublicKey(unhex(t, "04"+
			"0501d5bc78da9252560a26cb08fcc60cbe0b6d3b8e1d1fcee514fac0af675168"+
			"d551b3ed46f665731f95b4532939c25d91db7eb844bd96d4abd4083785f8df47"))
		p.must(err)
		p.a.pin.keyAgreements[test.protocol] = ours
		send := func(r ctap.ClientPINRequest) []byte {
			r.PINUVAuthProtocol, r.KeyAgreement = test.protocol, &ctap.KeyAgreement{PublicKey: theirs}
			b, err := p.send(r.Encode())
			p.must(err)
			return b
		}
		send(ctap.ClientPINRequest{Subcommand: ctap.SubcommandSetPIN,
			NewPINEnc: unhex(t, test.set), PINUVAuthParam: unhex(t, test.setParam)})
		send(ctap.ClientPINRequest{Subcommand: ctap.SubcommandChangePIN, NewPINEnc: unhex(t, test.change),
			PINHashEnc: unhex(t, test.pinHash), PINUVAuthParam: unhex(t, test.changeParam)})
		b := send(ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINToken, PINHashEnc: unhex(t, test.newPINHash)})
		resp, err := ctap.ParseClientPINResponse(b)
		p.must(err)
		if n := len(resp.PINUVAuthToken); n != map[ctap.PINProtocol]int{1: 32, 2: 16 + 32}[test.protocol] {
			t.Errorf("protocol %d: a token of %d bytes", test.protocol, n)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// silent asks for an assertion at rpID without a touch, so that the token is not spent.
func (p *platform) silent(token []byte, rpID string) error {
	no := false
	r := assertionRequest()
	param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(token, clientDataHash))
	r.RPID, r.Options.UP, r.PINUVAuthParam, r.PINUVAuthProtocol = &rpID, &no, &param, ctap.PINProtocolTwo
	_, _, err := p.getAssertion(r)
	return err
}

// TestTokenBindsAtFirstUse: a token without RP ID is for the first one that it is used at (§6.1.2 step 11.1.7, §6.2.2
// step 6.1.6).
func TestTokenBindsAtFirstUse(t *testing.T) {
	p := filled(t)
	token, err := p.pinToken(ctap.PINProtocolTwo, "1234", 0)
	p.must(err)
	p.must(p.silent(token, "example.net"))
	p.wants(p.silent(token, "example.com"), ctap.ErrPINAuthInvalid)
	p.must(p.silent(token, "example.net"))
}

// TestLegacyTokenPermissions: a token of getPinToken may make credentials and assertions, and nothing else (§6.5.5.7.1
// step 14).
func TestLegacyTokenPermissions(t *testing.T) {
	p := filled(t)
	token, err := p.pinToken(ctap.PINProtocolTwo, "1234", 0)
	p.must(err)
	_, err = p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, ctap.ErrPINAuthInvalid)
	p.wants(p.configure(token, ctap.SubcommandToggleAlwaysUV, nil), ctap.ErrPINAuthInvalid)
	p.wants(p.writeBlobs(token, ctap.EmptyLargeBlobArray), ctap.ErrPINAuthInvalid)
	p.must(p.silent(token, "example.com"))
	_, err = p.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
	p.wants(err, nil)
}

// TestForcedChangeEndsTokens: forceChangePin invalidates the token that asked for it, too (§6.11.4).
func TestForcedChangeEndsTokens(t *testing.T) {
	p := filled(t)
	yes := true
	token := p.tokenFor("1234", ctap.PermissionAuthenticatorConfiguration|ctap.PermissionCredentialManagement, "")
	_, err := p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
	p.must(err)
	p.must(p.configure(token, ctap.SubcommandSetMinPINLength, &ctap.SetMinPINLengthParams{ForceChangePIN: &yes}))
	_, err = p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, ctap.ErrPINAuthInvalid)
}

// TestTokenLifetimes: the times of §6.5.2.1.
func TestTokenLifetimes(t *testing.T) {
	const instant = time.Millisecond
	for _, test := range []struct {
		name string
		over ctap.Transport
		used []time.Duration // since the time before
		want error
	}{
		{"USB, first use just in time", ctap.TransportUSB, []time.Duration{30*time.Second - instant}, nil},
		{"USB, first use too late", ctap.TransportUSB, []time.Duration{30 * time.Second}, ctap.ErrPINAuthInvalid},
		{"NFC, first use just in time", ctap.TransportNFC, []time.Duration{19800*time.Millisecond - instant}, nil},
		{"NFC, first use too late",
			ctap.TransportNFC, []time.Duration{19800 * time.Millisecond}, ctap.ErrPINAuthInvalid},
		{"used, and then almost ten minutes old",
			ctap.TransportUSB, []time.Duration{time.Second, 599*time.Second - instant}, nil},
		{"used, and ten minutes old",
			ctap.TransportUSB, []time.Duration{time.Second, 599 * time.Second}, ctap.ErrPINAuthInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := filled(t)
				p.transport = test.over
				token := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
				var err error
				for _, d := range test.used {
					p.wants(err, nil)
					time.Sleep(d)
					_, err = p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
				}
				p.wants(err, test.want)
			})
		})
	}
}

// TestAllowListOrder: any credential of the list will do, wherever it stands, and one assertion is the answer (§6.2.2
// step 11).
func TestAllowListOrder(t *testing.T) {
	p := newPlatform(t, Options{})
	alice := p.extended(credentialRequest(discoverable)).registered
	bob := p.extended(credentialRequest(forUser("bob"))).registered
	unknown := &registered{id: bytes.Repeat([]byte{7}, 32)}
	for _, list := range [][]*registered{{unknown, alice, bob}, {bob, alice}, {unknown, unknown, bob}, {alice}} {
		resp, _, err := p.getAssertion(assertionRequest(list...))
		p.must(err)
		id := resp.Credential.ID
		if resp.NumberOfCredentials != 0 || !bytes.Equal(id, alice.id) && !bytes.Equal(id, bob.id) {
			t.Errorf("answered %+v", resp)
		}
		_, _, err = p.getNextAssertion()
		p.wants(err, ctap.ErrNotAllowed)
	}
}

// TestNamesOfOneAccount: there is nothing to choose among one account, so no name is told, even to a verified user.
func TestNamesOfOneAccount(t *testing.T) {
	p := newPlatform(t, Options{})
	p.extended(credentialRequest(discoverable))
	p.must(p.a.SetPIN([]byte("1234")))
	resp, _, err := p.assertWith("", nil, p.tokenFor("1234", ctap.PermissionGetAssertion, "example.com"))
	p.must(err)
	if string(resp.User.ID) != "alice" || resp.User.Name != "" || resp.User.DisplayName != "" {
		t.Errorf("user %+v", resp.User)
	}
}

// TestSignatureVectors takes keys of the test vectors of WebAuthn Level 3: their public keys (§16.2, §16.11) and, where
// it comes without chance, a signature (§16.11).
func TestSignatureVectors(t *testing.T) {
	for _, test := range []struct {
		alg                  ctap.Algorithm
		private, public      string
		authData, clientData string
		signature            string
	}{
		{
			alg:     ctap.ES256,
			private: "6e68e7a58484a3264f66b77f5d6dc5bc36a47085b615c9727ab334e8c369c2ee",
			public: "a5010203262001215820afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61" +
				"225820930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
			authData: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b51900000000",
			clientData: `{"type":"webauthn.get","challenge":"OcDnUhQXulTUPo3JUXT0I97pvzzYBP9tZchXyav01Ag",` +
				`"origin":"https://example.org","crossOrigin":false}`,
			signature: "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd38" +
				"0221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
		},
		{
			alg:      ctap.EdDSA,
			private:  "971f38c0f73aaf0c5a614eb5e26430ae1ea0ed13e4f425d96e9662349340b0b3",
			public:   "a401010327200621582044e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832",
			authData: "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50100000000",
			clientData: `{"type":"webauthn.get","challenge":"iVlX4BxjOmmDSKLYoxpUt9sn6MHEOyCA15riGQJnv9I",` +
				`"origin":"https://example.org","crossOrigin":false}`,
			signature: "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cf" +
				"dfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
		},
	} {
		c := &Credential{Algorithm: test.alg, PrivateKey: unhex(t, test.private)}
		cose, err := c.publicKey()
		if err != nil || hex.EncodeToString(cose) != test.public {
			t.Errorf("%v: public key %x, %v", test.alg, cose, err)
		}
		public, _, err := ctap.ParseCOSEKey(cose)
		if err != nil {
			t.Fatal(err)
		}
		key, err := c.signer()
		if err != nil {
			t.Fatal(err)
		}
		authData, hash := unhex(t, test.authData), sha256.Sum256([]byte(test.clientData))
		got, err := sign(key, authData, hash[:])
		if err != nil {
			t.Fatal(err)
		}
		for whose, signature := range map[string][]byte{"ours": got, "the vector's": unhex(t, test.signature)} {
			if !verifyMessage(public, append(bytes.Clone(authData), hash[:]...), signature) {
				t.Errorf("%v: %s does not verify", test.alg, whose)
			}
		}
		if test.alg == ctap.EdDSA && hex.EncodeToString(got) != test.signature {
			t.Errorf("%v: signature %x", test.alg, got)
		}
	}
}
