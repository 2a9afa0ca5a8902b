package emulator

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// TestResetSteps goes through the refusals of §6.6, and what the command leaves behind.
func TestResetSteps(t *testing.T) {
	for _, test := range []struct {
		name    string
		after   time.Duration // of power-up
		touch   error
		over    ctap.Transport
		payload []byte
		want    error
		asked   bool
	}{
		{name: "at once", asked: true},
		{name: "just in time", after: resetWindow, asked: true},
		{name: "too late", after: resetWindow + time.Millisecond, want: ctap.ErrNotAllowed},
		{name: "too late, and declined", after: time.Hour, touch: ErrDenied, want: ctap.ErrNotAllowed},
		{name: "too late, but over NFC", after: time.Minute, over: ctap.TransportNFC},
		{name: "too late, over NFC, and the tap is old", after: time.Hour, over: ctap.TransportNFC, asked: true},
		{name: "declined", touch: ErrDenied, want: ctap.ErrOperationDenied, asked: true},
		{name: "nobody touches", touch: context.DeadlineExceeded, want: ctap.ErrUserActionTimeout, asked: true},
		{name: "too late, and with parameters", after: time.Hour, payload: []byte{0xa0}, want: ctap.ErrInvalidLength},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlatform(t, Options{})
				p.must(p.a.SetPIN([]byte("1234")))
				time.Sleep(test.after)
				asked := false
				p.a.presence = func(context.Context, PresenceRequest) error { asked = true; return test.touch }
				resp := p.a.ServeCTAP(t.Context(), ctap.Request{
					Transport: test.over, Payload: append([]byte{byte(ctap.CommandReset)}, test.payload...),
				}, func(ctap.KeepaliveStatus) {})
				var want ctap.StatusCode
				errors.As(test.want, &want)
				if len(resp) != 1 || ctap.StatusCode(resp[0]) != want {
					t.Errorf("answered %x, want %v", resp, want)
				}
				if asked != test.asked || p.a.state.hasPIN() != (test.want != nil) {
					t.Errorf("asked %v, a PIN is left: %v", asked, p.a.state.hasPIN())
				}
			})
		})
	}
}

// TestResetLeavesNothing: getInfo is that of a new key, and neither PIN, token, key agreement, credential, blob nor
// finger survives (§6.6).
func TestResetLeavesNothing(t *testing.T) {
	p, _ := withSensor(t)
	p.must(p.a.update(func(s *state) { s.reset(p.a.Profile) })) // without the PIN, as it left the factory
	fresh := p.info()
	c := p.extended(credentialRequest(discoverable)).registered
	plain := p.extended(credentialRequest(forUser("bob"))).registered
	p.must(p.writeBlobs(nil, ctap.AppendLargeBlobHash([]byte{0x81, 0x01})))
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	p.enrol(p.tokenFor("1234", ctap.PermissionBioEnrollment, ""))
	acfg := p.tokenFor("1234", ctap.PermissionAuthenticatorConfiguration, "")
	p.must(p.configure(acfg, ctap.SubcommandToggleAlwaysUV, nil))
	p.must(p.configure(acfg, ctap.SubcommandSetMinPINLength,
		&ctap.SetMinPINLengthParams{NewMinPINLength: number(8), MinPINLengthRPIDs: []string{"example.com"}}))
	p.must(p.changePIN(ctap.PINProtocolTwo, "1234", "12345678"))
	_, err := p.pinToken(ctap.PINProtocolTwo, "wrong", 0)
	p.wants(err, ctap.ErrPINInvalid)
	token := p.tokenFor("12345678", ctap.PermissionMakeCredential, "example.com")
	key := p.a.pin.keyAgreements[ctap.PINProtocolTwo]

	_, err = p.send([]byte{byte(ctap.CommandReset)})
	p.must(err)
	if got := p.info(); !reflect.DeepEqual(got, fresh) {
		t.Errorf("getInfo %+v, as new %+v", got, fresh)
	}
	if retries, powerCycle := p.pinRetries(); retries != maxPINRetries || powerCycle {
		t.Errorf("%d retries, power cycle %v", retries, powerCycle)
	}
	if p.a.pin.keyAgreements[ctap.PINProtocolTwo].Equal(key) || p.a.pin.token != nil || p.a.state.SignCount != 0 {
		t.Error("key agreement, token or counter are as before")
	}
	for _, old := range []*registered{c, plain} {
		_, _, err := p.getAssertion(assertionRequest(old))
		p.wants(err, ctap.ErrNoCredentials)
	}
	if string(p.readBlobs()) != string(ctap.EmptyLargeBlobArray) {
		t.Error("blobs are left")
	}
	p.must(p.setPIN(ctap.PINProtocolTwo, "4321")) // short again
	_, err = p.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
	p.wants(err, ctap.ErrPINAuthInvalid)
	out := p.extended(credentialRequest(asking("minPinLength", true)))
	if out.MinPINLength != 0 {
		t.Error("an RP still learns the minimum PIN length")
	}
}

// TestGetInfoMembers: members and options of §6.4 that belong together, in every profile, as new and with a PIN.
func TestGetInfoMembers(t *testing.T) {
	for _, profile := range profiles {
		for _, pin := range []bool{false, true} {
			if !profile.CTAP2() || pin && !profile.PIN {
				continue
			}
			p := newPlatform(t, Options{Profile: &profile})
			if pin {
				p.must(p.a.SetPIN([]byte("1234")))
			}
			_, err := p.send([]byte{byte(ctap.CommandGetInfo), 0xa0})
			p.wants(err, ctap.ErrInvalidLength)
			for rule, holds := range infoRules(p.info(), pin) {
				if !holds {
					t.Errorf("%s, PIN %v: %s", profile.Name, pin, rule)
				}
			}
		}
	}
}

func infoRules(info *ctap.GetInfoResponse, pin bool) map[string]bool {
	o := info.Options
	is := func(option string) bool { _, ok := o[option]; return ok }
	has := func(extension string) bool { return slices.Contains(info.Extensions, extension) }
	fido21 := slices.Contains(info.Versions, ctap.VersionFIDO21)
	return map[string]bool{
		"clientPin is true once a PIN is set":  o[ctap.OptionClientPIN] == pin,
		"clientPin and pinUvAuthProtocols":     is(ctap.OptionClientPIN) == (info.PINUVAuthProtocols != nil),
		"minPINLength from 2.1 on":             (info.MinPINLength > 0) == fido21,
		"setMinPINLength needs clientPin":      !is(ctap.OptionSetMinPINLen) || is(ctap.OptionClientPIN),
		"setMinPINLength and its RP IDs":       is(ctap.OptionSetMinPINLen) == (info.MaxMinPINLengthRPIDs > 0),
		"largeBlobs: 1024 bytes at least":      is(ctap.OptionLargeBlobs) == (info.MaxLargeBlobArray >= 1024),
		"credBlob: 32 bytes at least":          has(ctap.ExtensionCredBlob) == (info.MaxCredBlobLength >= 32),
		"largeBlobKey needs largeBlobs":        !has(ctap.ExtensionLargeBlobKey) || is(ctap.OptionLargeBlobs),
		"largeBlobKey needs rk":                !has(ctap.ExtensionLargeBlobKey) || o[ctap.OptionRK],
		"uv and uvModality":                    is(ctap.OptionUV) == (info.UVModality != 0),
		"uv becomes true with a finger":        !o[ctap.OptionUV] && !o[ctap.OptionBioEnroll],
		"maxMsgSize: 1024 bytes at least":      info.MaxMsgSize >= 1024,
		"a new PIN need not be changed":        !info.ForcePINChange,
		"2.1 has pinUvAuthToken":               !fido21 || o[ctap.OptionPINUVAuthToken],
		"2.1 has credMgmt":                     !fido21 || o[ctap.OptionCredMgmt],
		"2.1 has hmac-secret":                  !fido21 || has(ctap.ExtensionHMACSecret),
		"2.1 has credProtect":                  !fido21 || has(ctap.ExtensionCredProtect),
		"makeCredUvNotRqd or alwaysUv, if any": !o[ctap.OptionMakeCredUVNotRqd] || !o[ctap.OptionAlwaysUV],
	}
}
