package emulator

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

func TestRegisterAndSignIn(t *testing.T) {
	for _, alg := range ctap.Algorithms {
		for _, kind := range []string{"discoverable", "non-discoverable"} {
			t.Run(alg.String()+" "+kind, func(t *testing.T) {
				p := newPlatform(t, Options{Algorithms: ctap.Algorithms})
				change := []func(*ctap.MakeCredentialRequest){withAlgorithm(alg)}
				if kind == "discoverable" {
					change = append(change, discoverable)
				}
				c, err := p.makeCredential(credentialRequest(change...))
				p.must(err)
				if c.flags != ctap.FlagUP|ctap.FlagAT {
					t.Errorf("flags %08b", c.flags)
				}
				resp, d, err := p.getAssertion(assertionRequest(c))
				p.must(err)
				if !verify(c.public, resp.AuthData, resp.Signature) || !bytes.Equal(resp.Credential.ID, c.id) {
					t.Error("the assertion does not verify")
				}
				if d.SignCount <= c.signCount || d.Flags != ctap.FlagUP {
					t.Errorf("counter %d after %d, flags %08b", d.SignCount, c.signCount, d.Flags)
				}
				if (resp.User != nil) != (kind == "discoverable") {
					t.Errorf("user %+v of a %s credential", resp.User, kind)
				}
				_, _, err = p.getAssertion(assertionRequest())
				if kind == "discoverable" {
					p.wants(err, nil)
				} else {
					p.wants(err, ctap.ErrNoCredentials)
				}
			})
		}
	}
}

func TestCredentialIsForItsRPAlone(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	other := "example.net"
	r := assertionRequest(c)
	r.RPID = &other
	_, _, err = p.getAssertion(r)
	p.wants(err, ctap.ErrNoCredentials)

	stranger := newPlatform(t, Options{})
	_, _, err = stranger.getAssertion(assertionRequest(c))
	p.wants(err, ctap.ErrNoCredentials)
}

func TestExcludeList(t *testing.T) {
	touches := 0
	p := newPlatform(t, Options{Presence: func(context.Context, PresenceRequest) error { touches++; return nil }})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	touches = 0
	_, err = p.makeCredential(credentialRequest(func(r *ctap.MakeCredentialRequest) {
		r.ExcludeList = assertionRequest(c).AllowList
	}))
	p.wants(err, ctap.ErrCredentialExcluded)
	if touches != 1 {
		t.Errorf("told of the excluded credential after %d touches", touches)
	}
}

func TestAccountsOfOneRP(t *testing.T) {
	p := newPlatform(t, Options{})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	for _, name := range []string{"alice", "bob", "carol", "bob"} { // the second bob takes the place of the first
		token, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionMakeCredential)
		p.must(err)
		_, err = p.makeCredential(credentialRequest(discoverable, forUser(name), authorized(ctap.PINProtocolTwo, token)))
		p.must(err)
	}
	token, err := p.pinToken(ctap.PINProtocolTwo, "1234", ctap.PermissionGetAssertion)
	p.must(err)
	for _, verified := range []bool{true, false} {
		r := assertionRequest()
		if verified {
			param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(token, r.ClientDataHash))
			r.PINUVAuthParam, r.PINUVAuthProtocol = &param, ctap.PINProtocolTwo
		}
		resp, d, err := p.getAssertion(r)
		p.must(err)
		if resp.NumberOfCredentials != 3 || (d.Flags&ctap.FlagUV != 0) != verified {
			t.Errorf("%d credentials, flags %08b", resp.NumberOfCredentials, d.Flags)
		}
		for i, want := range []string{"bob", "carol", "alice"} {
			if string(resp.User.ID) != want || (resp.User.Name != "") != verified {
				t.Errorf("assertion %d, verified %v: user %+v, want %s", i, verified, resp.User, want)
			}
			next, d2, err := p.getNextAssertion()
			if i == 2 {
				p.wants(err, ctap.ErrNotAllowed)
				break
			}
			p.must(err)
			if d2.Flags != d.Flags || next.NumberOfCredentials != 0 {
				t.Errorf("next assertion: flags %08b, %d credentials", d2.Flags, next.NumberOfCredentials)
			}
			resp = next
		}
	}
}

func TestNextAssertionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t, Options{})
		for _, name := range []string{"alice", "bob", "carol"} {
			_, err := p.makeCredential(credentialRequest(discoverable, forUser(name)))
			p.must(err)
		}
		begin := func() {
			t.Helper()
			_, _, err := p.getAssertion(assertionRequest())
			p.must(err)
		}
		begin()
		p.info()
		_, _, err := p.getNextAssertion()
		p.wants(err, ctap.ErrNotAllowed) // another command came between

		begin()
		p.channel++
		_, _, err = p.getNextAssertion()
		p.wants(err, ctap.ErrNotAllowed) // another channel

		begin()
		time.Sleep(pendingTimeout - time.Second)
		_, _, err = p.getNextAssertion()
		p.wants(err, nil)
		time.Sleep(pendingTimeout + time.Second)
		_, _, err = p.getNextAssertion()
		p.wants(err, ctap.ErrNotAllowed) // too late
	})
}

func TestPINRetries(t *testing.T) {
	for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
		p := newPlatform(t, Options{})
		_, err := p.pinToken(protocol, "1234", 0)
		p.wants(err, ctap.ErrPINNotSet)
		p.must(p.setPIN(protocol, "1234"))
		p.wants(p.setPIN(protocol, "9999"), ctap.ErrPINAuthInvalid) // it is set already

		wrong := func(want error, retries uint, powerCycle bool) {
			t.Helper()
			_, err := p.pinToken(protocol, "0000", 0)
			p.wants(err, want)
			if r, c := p.pinRetries(); r != retries || c != powerCycle {
				t.Errorf("%d retries, power cycle %v; want %d, %v", r, c, retries, powerCycle)
			}
		}
		wrong(ctap.ErrPINInvalid, 7, false)
		wrong(ctap.ErrPINInvalid, 6, false)
		_, err = p.pinToken(protocol, "1234", 0)
		p.wants(err, nil)
		wrong(ctap.ErrPINInvalid, 7, false)
		wrong(ctap.ErrPINInvalid, 6, false)
		wrong(ctap.ErrPINAuthBlocked, 5, true)
		wrong(ctap.ErrPINAuthBlocked, 5, true) // not tried, so nothing is spent
		_, err = p.pinToken(protocol, "1234", 0)
		p.wants(err, ctap.ErrPINAuthBlocked)

		p.a.PowerCycle()
		wrong(ctap.ErrPINInvalid, 4, false)
		wrong(ctap.ErrPINInvalid, 3, false)
		wrong(ctap.ErrPINAuthBlocked, 2, true)
		p.a.PowerCycle()
		wrong(ctap.ErrPINInvalid, 1, false)
		wrong(ctap.ErrPINBlocked, 0, false)
		_, err = p.pinToken(protocol, "1234", 0)
		p.wants(err, ctap.ErrPINBlocked)
		p.a.PowerCycle()
		_, err = p.pinToken(protocol, "1234", 0)
		p.wants(err, ctap.ErrPINBlocked)

		_, err = p.send([]byte{byte(ctap.CommandReset)})
		p.must(err)
		p.must(p.setPIN(protocol, "5678"))
		if r, _ := p.pinRetries(); r != maxPINRetries {
			t.Errorf("%d retries after a reset", r)
		}
	}
}

func TestPINPolicy(t *testing.T) {
	p := newPlatform(t, Options{})
	for _, bad := range []string{"", "123", "äöü", strings.Repeat("x", 64)} {
		p.wants(p.setPIN(ctap.PINProtocolTwo, bad), ctap.ErrPINPolicyViolation)
	}
	p.must(p.setPIN(ctap.PINProtocolTwo, strings.Repeat("ä", 31))) // 62 bytes
	p.must(p.changePIN(ctap.PINProtocolOne, strings.Repeat("ä", 31), "äöüß"))
	p.wants(p.changePIN(ctap.PINProtocolTwo, "wrong", "1234"), ctap.ErrPINInvalid)
	p.wants(p.changePIN(ctap.PINProtocolTwo, "äöüß", "123"), ctap.ErrPINPolicyViolation)
	_, err := p.pinToken(ctap.PINProtocolTwo, "äöüß", 0)
	p.wants(err, nil)
}

// TestWrongPINChangesKeyAgreement: a wrong PIN regenerates the key agreement key (§6.5.5.7.1), so that a listener's
// second guess under the same key fails.
func TestWrongPINChangesKeyAgreement(t *testing.T) {
	p := newPlatform(t, Options{})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	x := p.agree(ctap.PINProtocolTwo)
	r := x.request(ctap.SubcommandGetPINToken)
	r.PINHashEnc = x.pinHash("0000")
	_, err := p.send(r.Encode())
	p.wants(err, ctap.ErrPINInvalid)
	r.PINHashEnc = x.pinHash("1234")
	_, err = p.send(r.Encode())
	p.wants(err, ctap.ErrPINInvalid)
	_, err = p.pinToken(ctap.PINProtocolTwo, "1234", 0)
	p.wants(err, nil)
}

func TestTokens(t *testing.T) {
	const protocol = ctap.PINProtocolTwo
	type step struct {
		name        string
		permissions ctap.Permission // 0 for getPinToken
		change      func(*platform, *ctap.MakeCredentialRequest)
		want        error
	}
	for _, s := range []step{
		{"legacy token", 0, nil, nil},
		{"token with mc", ctap.PermissionMakeCredential, nil, nil},
		{"token with ga alone", ctap.PermissionGetAssertion, nil, ctap.ErrPINAuthInvalid},
		{"another RP", ctap.PermissionMakeCredential, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.RP.ID = "example.net"
		}, ctap.ErrPINAuthInvalid},
		{"another request", ctap.PermissionMakeCredential, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.ClientDataHash = make([]byte, 32)
		}, ctap.ErrPINAuthInvalid},
		{"another protocol", ctap.PermissionMakeCredential, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.PINUVAuthProtocol = ctap.PINProtocolOne
		}, ctap.ErrPINAuthInvalid},
		{"unknown protocol", ctap.PermissionMakeCredential, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.PINUVAuthProtocol = 3
		}, ctap.ErrInvalidParameter},
		{"no protocol", ctap.PermissionMakeCredential, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.PINUVAuthProtocol = 0
		}, ctap.ErrMissingParameter},
		{"after a change of PIN", ctap.PermissionMakeCredential, func(p *platform, _ *ctap.MakeCredentialRequest) {
			p.must(p.changePIN(protocol, "1234", "5678"))
		}, ctap.ErrPINAuthInvalid},
		{"after a power cycle", ctap.PermissionMakeCredential, func(p *platform, _ *ctap.MakeCredentialRequest) {
			p.a.PowerCycle()
		}, ctap.ErrPINAuthInvalid},
		{"first used too late", ctap.PermissionMakeCredential, func(*platform, *ctap.MakeCredentialRequest) {
			time.Sleep(tokenFirstUse + time.Second)
		}, ctap.ErrPINAuthInvalid},
		{"used for a touch already", ctap.PermissionMakeCredential, func(p *platform, r *ctap.MakeCredentialRequest) {
			_, err := p.makeCredential(r)
			p.must(err)
		}, ctap.ErrPINAuthInvalid},
		{"no token", 0, func(_ *platform, r *ctap.MakeCredentialRequest) { r.PINUVAuthParam = nil }, ctap.ErrPUATRequired},
		{"no token and not discoverable", 0, func(_ *platform, r *ctap.MakeCredentialRequest) {
			r.PINUVAuthParam, r.Options.RK = nil, nil
		}, nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlatform(t, Options{})
				p.must(p.setPIN(protocol, "1234"))
				token, err := p.pinToken(protocol, "1234", s.permissions)
				p.must(err)
				r := credentialRequest(discoverable, authorized(protocol, token))
				if s.change != nil {
					s.change(p, r)
				}
				c, err := p.makeCredential(r)
				p.wants(err, s.want)
				if err == nil && (c.flags&ctap.FlagUV != 0) != (r.PINUVAuthParam != nil) {
					t.Errorf("flags %08b", c.flags)
				}
			})
		})
	}
}

func TestTokenPermissionsAsked(t *testing.T) {
	p := newPlatform(t, Options{})
	p.must(p.setPIN(ctap.PINProtocolOne, "1234"))
	_, err := p.pinToken(ctap.PINProtocolOne, "1234", ctap.PermissionBioEnrollment)
	p.wants(err, ctap.ErrUnauthorizedPerm)

	x := p.agree(ctap.PINProtocolOne)
	r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions)
	r.PINHashEnc = x.pinHash("1234")
	_, err = p.send(r.Encode())
	p.wants(err, ctap.ErrMissingParameter)
	permissions := ctap.Permission(0)
	r.Permissions = &permissions
	_, err = p.send(r.Encode())
	p.wants(err, ctap.ErrInvalidParameter)
	permissions = ctap.PermissionGetAssertion
	_, err = p.send(r.Encode())
	p.wants(err, ctap.ErrMissingParameter) // the RP ID
	if retries, _ := p.pinRetries(); retries != maxPINRetries {
		t.Errorf("refused requests spent PIN retries: %d left", retries)
	}
}

func TestMakeCredentialErrors(t *testing.T) {
	yes, no, empty := true, false, ctap.Bytes{}
	type change = func(*ctap.MakeCredentialRequest)
	for _, test := range []struct {
		name   string
		change change
		want   error
	}{
		{"no client data hash", func(r *ctap.MakeCredentialRequest) { r.ClientDataHash = nil }, ctap.ErrMissingParameter},
		{"short client data hash", func(r *ctap.MakeCredentialRequest) { r.ClientDataHash = []byte{1} }, ctap.ErrInvalidLength},
		{"no RP", func(r *ctap.MakeCredentialRequest) { r.RP = nil }, ctap.ErrMissingParameter},
		{"no RP ID", func(r *ctap.MakeCredentialRequest) { r.RP.ID = "" }, ctap.ErrMissingParameter},
		{"no user", func(r *ctap.MakeCredentialRequest) { r.User = nil }, ctap.ErrMissingParameter},
		{"no user ID", func(r *ctap.MakeCredentialRequest) { r.User.ID = nil }, ctap.ErrMissingParameter},
		{"long user ID", func(r *ctap.MakeCredentialRequest) { r.User.ID = make([]byte, 65) }, ctap.ErrInvalidLength},
		{"no algorithms", func(r *ctap.MakeCredentialRequest) { r.PubKeyCredParams = nil }, ctap.ErrMissingParameter},
		{"unknown algorithm", func(r *ctap.MakeCredentialRequest) { r.PubKeyCredParams[0].Alg = -999 }, ctap.ErrUnsupportedAlgorithm},
		{"unknown type", func(r *ctap.MakeCredentialRequest) { r.PubKeyCredParams[0].Type = "x" }, ctap.ErrUnsupportedAlgorithm},
		{"malformed entry after a good one", func(r *ctap.MakeCredentialRequest) {
			r.PubKeyCredParams = append(r.PubKeyCredParams, ctap.PublicKeyCredentialParameters{Alg: ctap.ES256})
		}, ctap.ErrInvalidCBOR},
		{"algorithm before options", func(r *ctap.MakeCredentialRequest) {
			r.PubKeyCredParams[0].Alg, r.Options.UP = -999, &no
		}, ctap.ErrUnsupportedAlgorithm},
		{"up false", func(r *ctap.MakeCredentialRequest) { r.Options.UP = &no }, ctap.ErrInvalidOption},
		{"up true", func(r *ctap.MakeCredentialRequest) { r.Options.UP = &yes }, nil},
		{"uv without built-in UV", func(r *ctap.MakeCredentialRequest) { r.Options.UV = &yes }, ctap.ErrInvalidOption},
		{"uv false", func(r *ctap.MakeCredentialRequest) { r.Options.UV = &no }, nil},
		{"enterprise attestation", asksFor(ctap.VendorFacilitated), ctap.ErrInvalidParameter},
		{"empty exclude list", func(r *ctap.MakeCredentialRequest) {
			r.ExcludeList = []ctap.PublicKeyCredentialDescriptor{}
		}, nil},
		{"descriptor without ID", func(r *ctap.MakeCredentialRequest) {
			r.ExcludeList = []ctap.PublicKeyCredentialDescriptor{{Type: ctap.TypePublicKey}}
		}, ctap.ErrMissingParameter},
		{"long exclude list", func(r *ctap.MakeCredentialRequest) {
			d := ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte{1}}
			for range fido21.MaxCredentialsInList + 1 {
				r.ExcludeList = append(r.ExcludeList, d)
			}
		}, ctap.ErrLimitExceeded},
		{"empty pinUvAuthParam", func(r *ctap.MakeCredentialRequest) { r.PINUVAuthParam = &empty }, ctap.ErrPINNotSet},
		{"too large", func(r *ctap.MakeCredentialRequest) {
			r.RP.Name = strings.Repeat("x", int(fido21.MaxMsgSize))
		}, ctap.ErrRequestTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlatform(t, Options{})
			_, err := p.makeCredential(credentialRequest(test.change))
			p.wants(err, test.want)
		})
	}
}

func TestGetAssertionErrors(t *testing.T) {
	yes, empty := true, ctap.Bytes{}
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	for _, test := range []struct {
		name   string
		change func(*ctap.GetAssertionRequest)
		want   error
	}{
		{"no RP ID", func(r *ctap.GetAssertionRequest) { r.RPID = nil }, ctap.ErrMissingParameter},
		{"no client data hash", func(r *ctap.GetAssertionRequest) { r.ClientDataHash = nil }, ctap.ErrMissingParameter},
		{"rk", func(r *ctap.GetAssertionRequest) { r.Options.RK = &yes }, ctap.ErrUnsupportedOption},
		{"uv without built-in UV", func(r *ctap.GetAssertionRequest) { r.Options.UV = &yes }, ctap.ErrInvalidOption},
		{"empty pinUvAuthParam", func(r *ctap.GetAssertionRequest) { r.PINUVAuthParam = &empty }, ctap.ErrPINInvalid},
		{"empty allow list", func(r *ctap.GetAssertionRequest) {
			r.AllowList = []ctap.PublicKeyCredentialDescriptor{}
		}, ctap.ErrNoCredentials},
		{"unknown type in the allow list", func(r *ctap.GetAssertionRequest) { r.AllowList[0].Type = "x" }, ctap.ErrNoCredentials},
		{"foreign credential ID", func(r *ctap.GetAssertionRequest) { r.AllowList[0].ID = []byte("x") }, ctap.ErrNoCredentials},
	} {
		r := assertionRequest(c)
		test.change(r)
		_, _, err := p.getAssertion(r)
		if p.wants(err, test.want); t.Failed() {
			t.Fatal(test.name)
		}
	}
}

func TestSilentAssertion(t *testing.T) {
	p := newPlatform(t, Options{})
	c, err := p.makeCredential(credentialRequest())
	p.must(err)
	p.a.presence = func(context.Context, PresenceRequest) error { t.Error("touched for up=false"); return nil }
	no := false
	r := assertionRequest(c)
	r.Options.UP = &no
	_, d, err := p.getAssertion(r)
	p.must(err)
	if d.Flags != 0 {
		t.Errorf("flags %08b", d.Flags)
	}
}

func TestPresence(t *testing.T) {
	for _, test := range []struct {
		policy string
		want   error
		after  time.Duration
	}{
		{"auto", nil, 0},
		{"deny", ctap.ErrOperationDenied, 0},
		{"never", ctap.ErrUserActionTimeout, userActionTimeout},
		{"delay=2s", nil, 2 * time.Second},
		{"delay=31s", ctap.ErrUserActionTimeout, userActionTimeout},
	} {
		t.Run(test.policy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				policy, err := ParsePolicy(test.policy, nil)
				if err != nil {
					t.Fatal(err)
				}
				p := newPlatform(t, Options{Presence: policy.Presence})
				var seen []ctap.KeepaliveStatus
				p.keepalives = func(s ctap.KeepaliveStatus) { seen = append(seen, s) }
				begin := time.Now()
				_, err = p.send([]byte{byte(ctap.CommandSelection)})
				p.wants(err, test.want)
				if d := time.Since(begin); d != test.after {
					t.Errorf("after %v, want %v", d, test.after)
				}
				if len(seen) == 0 || seen[0] != ctap.KeepaliveUPNeeded {
					t.Errorf("keepalives %v", seen)
				}
			})
		})
	}
	for _, bad := range []string{"", "yes", "delay=", "delay=-1s", "delay=2", "ask"} {
		if _, err := ParsePolicy(bad, nil); err == nil {
			t.Errorf("%q is taken for a policy", bad)
		}
	}
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t, Options{Presence: Wait})
		ctx, cancel := context.WithCancel(t.Context())
		p.ctx = ctx
		time.AfterFunc(time.Second, cancel)
		_, err := p.makeCredential(credentialRequest(discoverable))
		p.wants(err, ctap.ErrKeepaliveCancel)
		if got := p.a.Credentials(); len(got) != 0 {
			t.Errorf("a cancelled ceremony left %d credentials", len(got))
		}
	})
}

// TestCancelledBefore: a request that was cancelled before its turn does nothing, over NFC neither, where nobody touches.
func TestCancelledBefore(t *testing.T) {
	p := newPlatform(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // the turn is free, and so is the way out
		r := ctap.Request{Transport: ctap.TransportNFC, Payload: credentialRequest(discoverable).Encode()}
		resp := p.a.ServeCTAP(ctx, r, func(ctap.KeepaliveStatus) {})
		if len(resp) != 1 || ctap.StatusCode(resp[0]) != ctap.ErrKeepaliveCancel || len(p.a.Credentials()) != 0 {
			t.Fatalf("%x, %d credentials", resp, len(p.a.Credentials()))
		}
	}
}

func TestAsk(t *testing.T) {
	for _, test := range []struct {
		answer string
		want   error
	}{{"\n", nil}, {"y\n", nil}, {"n\n", ErrDenied}, {"", ErrDenied}} { // the last is the end of the input
		synctest.Test(t, func(t *testing.T) {
			var asked bytes.Buffer
			keyboard, typist := io.Pipe()
			a := NewAsker(&asked, keyboard)
			io.WriteString(typist, "y\ntyped before the question\n")
			synctest.Wait()
			time.AfterFunc(time.Second, func() {
				io.WriteString(typist, test.answer)
				typist.Close()
			})
			err := a.Touch(t.Context(), PresenceRequest{Command: ctap.CommandGetAssertion, RPID: "example.com"})
			if err != test.want {
				t.Errorf("%q: %v, want %v", test.answer, err, test.want)
			}
			if !strings.Contains(asked.String(), `to sign in at "example.com"`) {
				t.Errorf("asked %q", asked.String())
			}
			synctest.Wait()
			if err := a.Touch(t.Context(), PresenceRequest{}); err != ErrDenied {
				t.Errorf("asked nobody: %v", err)
			}
		})
	}
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlatform(t, Options{})
		c, err := p.makeCredential(credentialRequest())
		p.must(err)
		_, err = p.makeCredential(credentialRequest(discoverable))
		p.must(err)
		time.Sleep(resetWindow + time.Second)
		_, err = p.send([]byte{byte(ctap.CommandReset)})
		p.wants(err, ctap.ErrNotAllowed)
		p.a.PowerCycle()
		_, err = p.send([]byte{byte(ctap.CommandReset)})
		p.must(err)
		_, _, err = p.getAssertion(assertionRequest(c))
		p.wants(err, ctap.ErrNoCredentials)
		_, _, err = p.getAssertion(assertionRequest())
		p.wants(err, ctap.ErrNoCredentials)
	})
}

func TestKeyStoreFull(t *testing.T) {
	p := newPlatform(t, Options{})
	for i := range fido21.MaxDiscoverable {
		_, err := p.makeCredential(credentialRequest(discoverable, forUser(string(rune('a'+rune(i))))))
		p.must(err)
	}
	_, err := p.makeCredential(credentialRequest(discoverable, forUser("one too many")))
	p.wants(err, ctap.ErrKeyStoreFull)
	_, err = p.makeCredential(credentialRequest(discoverable, forUser("a"))) // takes the place of another
	p.wants(err, nil)
	if left := *p.info().RemainingDiscoverable; left != 0 {
		t.Errorf("%d left", left)
	}
}

func TestNamesAreTruncated(t *testing.T) {
	p := newPlatform(t, Options{})
	_, err := p.makeCredential(credentialRequest(discoverable, func(r *ctap.MakeCredentialRequest) {
		r.User.Name = strings.Repeat("x", 63) + "äöü"
	}))
	p.must(err)
	if got := p.a.Credentials()[0].UserName; got != strings.Repeat("x", 63) {
		t.Errorf("kept %q", got)
	}
}

func TestInvalidCommands(t *testing.T) {
	p := newPlatform(t, Options{})
	for _, payload := range [][]byte{{0x00}, {0x09}, {0x40}, {0xff}} {
		_, err := p.send(payload)
		p.wants(err, ctap.ErrInvalidCommand)
	}
	_, err := p.send([]byte{byte(ctap.CommandMakeCredential)})
	p.wants(err, ctap.ErrInvalidCBOR)
	_, err = p.send((&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetUVRetries}).Encode())
	p.wants(err, ctap.ErrInvalidSubcommand)
}
