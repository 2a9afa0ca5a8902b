package emulator

import (
	"bytes"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// missing are the faults of step 1, one for each mandatory parameter.
func missing(parameters ...string) []fault {
	var faults []fault
	for _, p := range parameters {
		faults = append(faults, fault{"step 1: no " + p, choices{p: "absent"}, ctap.ErrMissingParameter})
	}
	return faults
}

var unknownProtocol = fault{"step 2: unknown protocol",
	choices{"pinUvAuthProtocol": "unknown"}, ctap.ErrInvalidParameter}

// setPINFaults are what breaks the steps of §6.5.5.5.
var setPINFaults = append(missing("pinUvAuthProtocol", "keyAgreement", "newPinEnc", "pinUvAuthParam"), []fault{
	unknownProtocol,
	{"step 3: a PIN is set", choices{"pin": "set"}, ctap.ErrPINAuthInvalid},
	{"step 4: no point of the curve", choices{"keyAgreement": "off the curve"}, ctap.ErrInvalidParameter},
	{"step 5.1: forged", choices{"pinUvAuthParam": "forged"}, ctap.ErrPINAuthInvalid},
	{"step 6: no whole block", choices{"newPinEnc": "no whole block"}, ctap.ErrPINAuthInvalid},
	{"step 7: 32 bytes", choices{"newPinEnc": "32 bytes"}, ctap.ErrInvalidParameter},
	{"step 9: too short", choices{"newPinEnc": "too short"}, ctap.ErrPINPolicyViolation},
	{"step 10: 64 bytes, no padding", choices{"newPinEnc": "no padding"}, ctap.ErrPINPolicyViolation},
}...)

// pinFaults are the steps that §6.5.5.6, §6.5.5.7.1 and §6.5.5.7.2 have in common, from those of the retries on.
var pinFaults = []fault{
	{"§8.2: no PIN", choices{"pin": "not set"}, ctap.ErrPINNotSet},
	{"no retries", choices{"pin": "", "pinRetries": "0"}, ctap.ErrPINBlocked},
	{"three mismatches before", choices{"pin": "", "mismatches": "3"}, ctap.ErrPINAuthBlocked},
	{"decapsulate: no point of the curve", choices{"keyAgreement": "off the curve"}, ctap.ErrInvalidParameter},
}

// mismatchFaults follow them: what a wrong PIN leads to.
var mismatchFaults = []fault{
	{"mismatch: the last retry", choices{"pinHashEnc": "wrong", "pinRetries": "1"}, ctap.ErrPINBlocked},
	{"mismatch: the third in a row",
		choices{"pinHashEnc": "wrong", "pinRetries": "", "mismatches": "2"}, ctap.ErrPINAuthBlocked},
	{"mismatch", choices{"pinHashEnc": "wrong", "pinRetries": "", "mismatches": ""}, ctap.ErrPINInvalid},
	{"mismatch: no whole block",
		choices{"pinHashEnc": "no whole block", "pinRetries": "", "mismatches": ""}, ctap.ErrPINInvalid},
}

// changePINFaults are what breaks the steps of §6.5.5.6.
var changePINFaults = concat(
	missing("pinUvAuthProtocol", "keyAgreement", "newPinEnc", "pinHashEnc", "pinUvAuthParam"),
	[]fault{unknownProtocol},
	pinFaults, // steps 3 and 4
	[]fault{{"step 5.1: forged", choices{"pinUvAuthParam": "forged"}, ctap.ErrPINAuthInvalid}},
	mismatchFaults, // step 7.1
	[]fault{
		{"step 9: no whole block", choices{"newPinEnc": "no whole block"}, ctap.ErrPINAuthInvalid},
		{"step 10: 32 bytes", choices{"newPinEnc": "32 bytes"}, ctap.ErrInvalidParameter},
		{"step 12: too short", choices{"newPinEnc": "too short"}, ctap.ErrPINPolicyViolation},
		{"step 13: the same again",
			choices{"newPinEnc": "the same", "forcePINChange": "true"}, ctap.ErrPINPolicyViolation},
		{"step 14: 64 bytes, no padding", choices{"newPinEnc": "no padding"}, ctap.ErrPINPolicyViolation},
	})

// getPINTokenFaults are what breaks the steps of §6.5.5.7.1.
var getPINTokenFaults = concat(
	missing("pinUvAuthProtocol", "keyAgreement", "pinHashEnc"),
	[]fault{
		unknownProtocol,
		{"step 3: permissions", choices{"permissions": "ga"}, ctap.ErrInvalidParameter},
		{"step 4: rpId", choices{"rpId": "example.com"}, ctap.ErrInvalidParameter},
	},
	pinFaults,      // steps 5 and 6
	mismatchFaults, // step 9.1
	[]fault{{"step 11: forcePINChange", choices{"forcePINChange": "true"}, ctap.ErrPINInvalid}})

// permissionFaults are steps 1 to 4 of §6.5.5.7.2 and §6.5.5.7.3.
func permissionFaults(unauthorized string, mandatory ...string) []fault {
	return append(missing(append(mandatory, "permissions")...), []fault{
		{"step 1: no rpId", choices{"rpId": "absent", "permissions": "ga"}, ctap.ErrMissingParameter},
		{"step 1: no rpId, and " + unauthorized,
			choices{"rpId": "absent", "permissions": "ga, " + unauthorized}, ctap.ErrMissingParameter},
		unknownProtocol,
		{"step 3: no permission", choices{"permissions": "none"}, ctap.ErrInvalidParameter},
		{"step 4: " + unauthorized, choices{"permissions": unauthorized, "noMcGa": ""}, ctap.ErrUnauthorizedPerm},
	}...)
}

// usingPINFaults are what breaks the steps of §6.5.5.7.2.
var usingPINFaults = concat(
	permissionFaults("be", "pinUvAuthProtocol", "keyAgreement", "pinHashEnc"),
	[]fault{{"step 4: ga", choices{"permissions": "ga", "noMcGa": "true"}, ctap.ErrUnauthorizedPerm}},
	pinFaults,      // steps 5 and 6
	mismatchFaults, // step 9.1
	[]fault{{"step 11: forcePINChange", choices{"forcePINChange": "true"}, ctap.ErrPINPolicyViolation}})

// usingUVFaults are what breaks the steps of §6.5.5.7.3.
var usingUVFaults = append(
	permissionFaults("pcmr", "pinUvAuthProtocol", "keyAgreement"), []fault{
		{"step 5: no finger", choices{"finger": "none"}, ctap.ErrNotAllowed},
		{"step 7: no retries", choices{"uvRetries": "0"}, ctap.ErrUVBlocked},
		{"decapsulate: no point of the curve", choices{"keyAgreement": "off the curve"}, ctap.ErrInvalidParameter},
		{"step 9, §6.5.3.1 step 3: the PIN is blocked", choices{"pinRetries": "0"}, ctap.ErrUVBlocked},
		{"step 10.1: late", choices{"finger": "is late", "uvRetries": ""}, ctap.ErrUserActionTimeout},
		{"step 10.2: the last mismatch", choices{"finger": "does not match", "uvRetries": "1"}, ctap.ErrUVBlocked},
		{"step 10.3: a mismatch", choices{"finger": "does not match", "uvRetries": ""}, ctap.ErrUVInvalid},
	}...)

func concat(lists ...[]fault) []fault {
	var all []fault
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func TestClientPINPrecedence(t *testing.T) {
	for _, test := range []struct {
		name       string
		subcommand ctap.Subcommand
		faults     []fault
	}{
		{"setPIN", ctap.SubcommandSetPIN, setPINFaults},
		{"changePIN", ctap.SubcommandChangePIN, changePINFaults},
		{"getPinToken", ctap.SubcommandGetPINToken, getPINTokenFaults},
		{"using PIN", ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions, usingPINFaults},
		{"using UV", ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions, usingUVFaults},
	} {
		t.Run(test.name, func(t *testing.T) {
			testPrecedence(t, test.faults, func(t *testing.T, c choices) error {
				return sendClientPIN(t, test.subcommand, c)
			})
		})
	}
}

// TestClientPINSubcommands: the subcommand itself, and getKeyAgreement (§6.5.5.4).
func TestClientPINSubcommands(t *testing.T) {
	for _, test := range []struct {
		name    string
		request ctap.ClientPINRequest
		want    error
	}{
		{"§6.5.5: no subcommand", ctap.ClientPINRequest{PINUVAuthProtocol: 3}, ctap.ErrMissingParameter},
		{"§8.1: unknown", ctap.ClientPINRequest{Subcommand: 0x08}, ctap.ErrInvalidSubcommand},
		{"§6.5.5.3: no sensor",
			ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetUVRetries}, ctap.ErrInvalidSubcommand},
		{"§6.5.5.4 step 3: no protocol",
			ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetKeyAgreement}, ctap.ErrMissingParameter},
		{"§6.5.5.4 step 4: unknown protocol",
			ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetKeyAgreement, PINUVAuthProtocol: 3},
			ctap.ErrInvalidParameter},
		{"§6.5.5.2: needs nothing",
			ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINRetries, PINUVAuthProtocol: 3}, nil},
	} {
		p := newPlatform(t, Options{})
		if _, err := p.send(test.request.Encode()); err != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	plain, err := LookupProfile("fido2.0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPlatform(t, Options{Profile: plain})
	newer := ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions}
	_, err = p.send(newer.Encode()) // CTAP 2.0 has none
	p.wants(err, ctap.ErrInvalidSubcommand)
}

// sendClientPIN sends a subcommand to a key of the PIN 1234 (setPIN: of none), and watches that a PIN retry is spent
// where a wrong PIN was tried, and nowhere else.
func sendClientPIN(t *testing.T, s ctap.Subcommand, c choices) error {
	name := DefaultProfile
	if s == ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions {
		name = "fingerprint"
	}
	profile, err := LookupProfile(name)
	if err != nil {
		t.Fatal(err)
	}
	person := &person{armed: true, finger: c["finger"]}
	p := newPlatform(t, Options{Profile: profile, Presence: person.presence})
	if c["pin"] == "set" || c["pin"] == "" && s != ctap.SubcommandSetPIN {
		p.must(p.a.SetPIN([]byte("1234")))
	}
	if p.a.MaxFingerprints > 0 && c["finger"] != "none" {
		p.a.state.Fingerprints = []Fingerprint{{ID: []byte{1}}}
	}
	count := func(name string, otherwise int) int {
		if digit := c[name]; digit != "" {
			return int(digit[0] - '0')
		}
		return otherwise
	}
	p.a.state.PINRetries = uint(count("pinRetries", maxPINRetries-1))
	p.a.state.UVMisses = uint(maxUVRetries - count("uvRetries", maxUVRetries))
	p.a.pin.mismatches = count("mismatches", 0)
	p.a.NoMcGaPermissionsWithClientPIN = c["noMcGa"] == "true"
	p.a.state.ForcePINChange = c["forcePINChange"] == "true"
	before := p.a.state.PINRetries
	_, err = p.send(clientPINPayload(p.agree(ctap.PINProtocolTwo), s, c))
	mismatch := err == ctap.ErrPINInvalid || err == ctap.ErrPINAuthBlocked || err == ctap.ErrPINBlocked
	spent := mismatch && (c["pinHashEnc"] == "wrong" || c["pinHashEnc"] == "no whole block")
	if left := p.a.state.PINRetries; left < before && (!spent || left != before-1) {
		t.Errorf("%v: %d PIN retries after %d, answer %v", c, left, before, err)
	}
	return err
}

// clientPINPayload is the request that was chosen.
func clientPINPayload(x *pinExchange, s ctap.Subcommand, c choices) []byte {
	r := x.request(s)
	setsPIN := s == ctap.SubcommandSetPIN || s == ctap.SubcommandChangePIN
	byUV := s == ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions
	permitted := byUV || s == ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions
	if setsPIN {
		r.NewPINEnc = newPINEnc(x, c["newPinEnc"])
	}
	if s != ctap.SubcommandSetPIN && !byUV {
		r.PINHashEnc = x.pinHash(map[bool]string{true: "0000", false: "1234"}[c["pinHashEnc"] == "wrong"])
	}
	switch c["pinHashEnc"] {
	case "no whole block":
		r.PINHashEnc = r.PINHashEnc[:17]
	case "absent":
		r.PINHashEnc = nil
	}
	if setsPIN {
		r.PINUVAuthParam = x.secret.Authenticate(append(bytes.Clone(r.NewPINEnc), r.PINHashEnc...))
	}
	switch c["pinUvAuthParam"] {
	case "forged":
		r.PINUVAuthParam[0]++
	case "absent":
		r.PINUVAuthParam = nil
	}
	if permitted || c["permissions"] != "" {
		var permissions ctap.Permission
		for name, p := range map[string]ctap.Permission{"ga": ctap.PermissionGetAssertion,
			"be": ctap.PermissionBioEnrollment, "pcmr": ctap.PermissionPersistentReadOnly} {
			if strings.Contains(c["permissions"], name) || name == "ga" && c["permissions"] == "" {
				permissions |= p
			}
		}
		r.Permissions = &permissions
	}
	if c["permissions"] == "absent" {
		r.Permissions = nil
	}
	if rpID := "example.com"; permitted && c["rpId"] != "absent" || c["rpId"] == rpID {
		r.RPID = &rpID
	}
	switch c["pinUvAuthProtocol"] {
	case "absent":
		r.PINUVAuthProtocol = 0
	case "unknown":
		r.PINUVAuthProtocol = 3
	}
	if c["keyAgreement"] == "absent" {
		r.KeyAgreement = nil
	}
	payload := r.Encode()
	if c["keyAgreement"] == "off the curve" {
		y := x.ours.PublicKey().Bytes()[33:]
		payload = bytes.Replace(payload, y, make([]byte, 32), 1)
	}
	return payload
}

func newPINEnc(x *pinExchange, kind string) []byte {
	switch kind {
	case "absent":
		return nil
	case "no whole block":
		return x.encrypt(pad("5678"))[:65]
	case "32 bytes":
		return x.encrypt(pad("5678")[:32])
	case "too short":
		return x.encrypt(pad("äöü"))
	case "no padding":
		return x.encrypt(pad(strings.Repeat("x", 64)))
	case "the same":
		return x.encrypt(pad("1234"))
	default:
		return x.encrypt(pad("5678"))
	}
}
