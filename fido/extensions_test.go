package fido

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// modern is a key with all extensions.
func modern(names ...string) ctap.GetInfoResponse {
	return ctap.GetInfoResponse{
		Options: options(append([]string{"rk", "largeBlobs", "ep"}, names...)...),
		Extensions: []string{ctap.ExtensionCredProtect, ctap.ExtensionCredBlob, ctap.ExtensionHMACSecret,
			ctap.ExtensionHMACSecretMC, ctap.ExtensionLargeBlobKey, ctap.ExtensionMinPINLength},
		MaxCredBlobLength: 32,
	}
}

// without takes an extension from a key, or an option.
func without(info ctap.GetInfoResponse, name string) ctap.GetInfoResponse {
	info.Extensions = slices.DeleteFunc(info.Extensions, func(e string) bool { return e == name })
	delete(info.Options, name)
	return info
}

var salts = Secret(bytes.Repeat([]byte{1}, 32))

// asksFor says what a request asks for besides.
func asksFor(r *MakeCredentialRequest) string {
	var list []string
	say := func(yes bool, format string, args ...any) {
		if yes {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	x := &r.Extensions
	say(r.RK, "rk")
	say(x.CredProtect != 0, "protect=%d", x.CredProtect)
	say(x.CredBlob != nil, "blob=%s", x.CredBlob)
	say(ctap.True(x.MinPINLength), "min")
	say(ctap.True(x.HMACSecret), "hmac")
	say(ctap.True(x.LargeBlobKey), "large")
	say(r.Salts != nil, "salts=%d", len(r.Salts))
	say(r.EnterpriseAttestation != 0, "ep=%d", r.EnterpriseAttestation)
	say(r.PIN != nil, "pin")
	return strings.Join(list, " ")
}

func TestRegisterExtensions(t *testing.T) {
	all := RegisterExtensions{CredProtect: ctap.UserVerificationRequired, EnforceCredProtect: true, CredBlob: []byte("b"),
		MinPINLength: true, LargeBlob: Preferred, HMACSecret: true, Salts: salts, EnterpriseAttestation: ctap.VendorFacilitated}
	enforced := RegisterExtensions{CredProtect: ctap.UserVerificationRequired, EnforceCredProtect: true}
	optional := RegisterExtensions{CredProtect: ctap.UserVerificationOptional, EnforceCredProtect: true}
	for _, test := range []struct {
		name  string
		info  ctap.GetInfoResponse
		rk    Requirement
		asked RegisterExtensions
		want  string
		err   error
	}{
		{"none", modern(), Discouraged, RegisterExtensions{}, "", nil},
		{"all", modern("clientPin", "makeCredUvNotRqd"), Required, all, "rk protect=3 blob=b min hmac large salts=32 ep=1 pin", nil},
		{"all, of a key without any", ctap.GetInfoResponse{}, Discouraged, RegisterExtensions{CredProtect: 2, CredBlob: []byte("b"),
			MinPINLength: true, LargeBlob: Preferred, HMACSecret: true, Salts: salts, EnterpriseAttestation: 1}, "", nil},
		{"protection enforced", without(modern(), ctap.ExtensionCredProtect), Discouraged, enforced, "", ErrNoCredProtect},
		{"no protection enforced", without(modern(), ctap.ExtensionCredProtect), Discouraged, optional, "", nil},
		{"blob of the longest", modern(), Discouraged, RegisterExtensions{CredBlob: []byte(strings.Repeat("b", 32))},
			"blob=" + strings.Repeat("b", 32), nil},
		{"blob too long", modern(), Discouraged, RegisterExtensions{CredBlob: make([]byte, 33)}, "", nil},
		{"blob of nothing", modern(), Discouraged, RegisterExtensions{CredBlob: []byte{}}, "", nil},
		{"large blob preferred, not discoverable", modern(), Discouraged, RegisterExtensions{LargeBlob: Preferred}, "", nil},
		{"large blob preferred", modern(), Preferred, RegisterExtensions{LargeBlob: Preferred}, "rk large", nil},
		{"large blob required", modern(), Discouraged, RegisterExtensions{LargeBlob: Required}, "rk large", nil},
		{"large blob required with a PIN", modern("clientPin", "makeCredUvNotRqd"), Discouraged,
			RegisterExtensions{LargeBlob: Required}, "rk large pin", nil},
		{"large blob required, no command", without(modern(), ctap.OptionLargeBlobs), Discouraged,
			RegisterExtensions{LargeBlob: Required}, "", ErrNoLargeBlob},
		{"large blob required, no extension", without(modern(), ctap.ExtensionLargeBlobKey), Required,
			RegisterExtensions{LargeBlob: Required}, "", ErrNoLargeBlob},
		{"large blob required, nothing discoverable", without(modern(), ctap.OptionRK), Discouraged,
			RegisterExtensions{LargeBlob: Required}, "", ErrNoLargeBlob},
		{"evaluated later", without(modern("clientPin", "makeCredUvNotRqd"), ctap.ExtensionHMACSecretMC), Discouraged,
			RegisterExtensions{HMACSecret: true, Salts: salts}, "hmac", nil},
		{"nobody verified", modern(), Discouraged, RegisterExtensions{HMACSecret: true, Salts: salts}, "hmac", nil},
		{"enterprise attestation off", without(modern(), ctap.OptionEP), Discouraged,
			RegisterExtensions{EnterpriseAttestation: ctap.PlatformManaged}, "", nil},
	} {
		key, who := &scriptedKey{info: test.info, retries: 8}, &person{pins: []string{"1234"}}
		_, err := Register(t.Context(), alone(key), who, &RegisterOptions{
			Algorithms: []ctap.Algorithm{ctap.ES256}, ResidentKey: test.rk, Extensions: test.asked})
		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if test.err != nil {
			if len(who.seen) != 0 || key.made != nil {
				t.Errorf("%s: the person saw %q", test.name, who.seen)
			}
			continue
		}
		pin := strings.HasSuffix(test.want, "pin")
		if got := asksFor(key.made); got != test.want || !slices.Contains(who.seen, "touch") || len(who.pins) == 0 != pin {
			t.Errorf("%s: asked for %q, want %q; the person saw %q", test.name, got, test.want, who.seen)
		}
	}
}

func TestSignInExtensions(t *testing.T) {
	other := Secret(bytes.Repeat([]byte{2}, 64))
	for _, test := range []struct {
		name  string
		info  ctap.GetInfoResponse
		allow []string
		asked SignInExtensions
		want  []string // of the key
		salts Secret
		pin   bool
		err   error
	}{
		{"PRF", modern("clientPin"), []string{"a", "b"}, SignInExtensions{Salts: salts}, []string{"silent=false ab"}, salts, true, nil},
		{"PRF of a key that verifies nobody", modern(), []string{"b"}, SignInExtensions{Salts: salts}, nil, nil, false,
			ErrNoUserVerification},
		{"PRF of a key that has none", ctap.GetInfoResponse{}, []string{"b"}, SignInExtensions{Salts: salts},
			[]string{"silent=false b"}, nil, false, nil},
		{"PRF of the other", modern("clientPin"), []string{"a", "b"}, SignInExtensions{Salts: salts,
			SaltsByCredential: map[string]Secret{"a": other}}, []string{"silent=true ab", "silent=false b"}, salts, true, nil},
		{"PRF of its own", modern("clientPin"), []string{"a", "b"}, SignInExtensions{Salts: salts,
			SaltsByCredential: map[string]Secret{"b": other}}, []string{"silent=true ab", "silent=false b"}, other, true, nil},
		{"PRF of its own, alone", modern("clientPin"), []string{"b"}, SignInExtensions{
			SaltsByCredential: map[string]Secret{"b": other}}, []string{"silent=false b"}, other, true, nil},
		{"PRF of the other alone", modern("clientPin"), []string{"a", "b"}, SignInExtensions{
			SaltsByCredential: map[string]Secret{"a": other}}, []string{"silent=true ab", "silent=false b"}, nil, true, nil},
		{"PRF, and the key has none of them", modern("clientPin"), []string{"x", "y"}, SignInExtensions{
			SaltsByCredential: map[string]Secret{"x": other}}, nil, nil, true, ctap.ErrNoCredentials},
	} {
		key, who := &scriptedKey{info: test.info, retries: 8, id: "b"}, &person{pins: []string{"1234"}}
		o := &SignInOptions{RPID: "example.com", Extensions: test.asked}
		for _, id := range test.allow {
			o.AllowList = append(o.AllowList, []byte(id))
		}
		_, err := SignIn(t.Context(), alone(key), who, o)
		if !errors.Is(err, test.err) || !slices.Equal(key.asked, test.want) || test.pin != (len(who.pins) == 0) {
			t.Errorf("%s: %v, the key was asked %q, the person saw %q", test.name, err, key.asked, who.seen)
		}
		if err == nil && !bytes.Equal(key.got.Salts, test.salts) {
			t.Errorf("%s: %d bytes of salts", test.name, len(key.got.Salts))
		}
	}
}

// TestSignInLargeBlobs: who writes is verified where the key can; who reads need not be.
func TestSignInLargeBlobs(t *testing.T) {
	for _, test := range []struct {
		info  ctap.GetInfoResponse
		asked SignInExtensions
		asks  bool // the key is asked
		pin   bool
	}{
		{modern("clientPin"), SignInExtensions{WriteLargeBlob: []byte{}}, true, true},
		{modern(), SignInExtensions{WriteLargeBlob: []byte{}}, true, false},
		{modern("clientPin"), SignInExtensions{ReadLargeBlob: true}, true, false},
		{modern("clientPin"), SignInExtensions{WriteLargeBlob: make([]byte, MaxLargeBlob+1)}, false, false},
		{without(modern("clientPin"), ctap.OptionLargeBlobs), SignInExtensions{WriteLargeBlob: []byte{}}, false, false},
		{without(modern("clientPin"), ctap.ExtensionLargeBlobKey), SignInExtensions{ReadLargeBlob: true}, false, false},
	} {
		key, who := &scriptedKey{info: test.info, retries: 8, id: "b"}, &person{pins: []string{"1234"}}
		test.asked.CredBlob = true
		_, err := SignIn(t.Context(), alone(key), who,
			&SignInOptions{RPID: "example.com", AllowList: [][]byte{[]byte("b")}, Extensions: test.asked})
		if err != nil || (key.got.ReadLargeBlob || key.got.WriteLargeBlob != nil) != test.asks || test.pin != (len(who.pins) == 0) ||
			!key.got.CredBlob {
			t.Errorf("writes %d bytes: %v, %q, the person saw %q", len(test.asked.WriteLargeBlob), err, key.got.AllowList, who.seen)
		}
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	s := Secret("31415926")
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%+v", "%#v"} {
		said := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, GetAssertionResponse{HMACSecret: s}) +
			fmt.Sprintf(verb, &MakeCredentialRequest{Salts: s}) + fmt.Sprintf(verb, SignInExtensions{Salts: s})
		if strings.Contains(said, "31415926") || strings.Contains(said, "3331343135393236") {
			t.Error(said)
		}
	}
}
