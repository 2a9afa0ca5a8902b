package softkey_test

import (
	"strconv"
	"strings"
	"testing"

	"fob/fido/emulator"
	"fob/fido/softkey"
)

// tokenInfo is what "fido2-token -I" prints of a key: a value by the name before the colon.
func tokenInfo(t *testing.T, key *softkey.Key) map[string]string {
	t.Helper()
	info := make(map[string]string)
	for line := range strings.Lines(try(t, "", "fido2-token", "-I", key.Path()).ok()) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("fido2-token -I printed %q", line)
		}
		info[name] = value
	}
	return info
}

func wantInfo(t *testing.T, key *softkey.Key, want map[string]string) {
	t.Helper()
	info := tokenInfo(t, key)
	for name, value := range want {
		if info[name] != value {
			t.Errorf("fido2-token -I says %s: %q, want %q", name, info[name], value)
		}
	}
}

// Options of getInfo, in the order of canonical CBOR.
const (
	withoutPIN = "noep, rk, up, noplat, noalwaysUv, credMgmt, authnrCfg, noclientPin, largeBlobs, pinUvAuthToken, " +
		"setMinPINLength, makeCredUvNotRqd, credentialMgmtPreview"
	withPIN = "noep, rk, up, noplat, noalwaysUv, credMgmt, authnrCfg, clientPin, largeBlobs, pinUvAuthToken, " +
		"setMinPINLength, makeCredUvNotRqd, credentialMgmtPreview"
)

func TestTokenInfo(t *testing.T) {
	key := plug(t, softkey.Options{})
	wantInfo(t, key, map[string]string{
		"proto":               "0x02",
		"caps":                "0x05 (wink, cbor, msg)",
		"version strings":     "U2F_V2, FIDO_2_0, FIDO_2_1_PRE, FIDO_2_1",
		"extension strings":   "credBlob, credProtect, hmac-secret, hmac-secret-mc, largeBlobKey, minPinLength, thirdPartyPayment",
		"transport strings":   "usb",
		"algorithms":          "es256 (public-key), eddsa (public-key), es384 (public-key), rs256 (public-key)",
		"aaguid":              "d396e0337ac2eae2b28caca9555fbca0",
		"options":             withoutPIN,
		"maxmsgsiz":           "4096",
		"maxcredcntlst":       "32",
		"maxcredlen":          "287",
		"remaining rk(s)":     "100",
		"minpinlen":           "4",
		"pin protocols":       "2, 1",
		"pin retries":         "8",
		"pin change required": "false",
		"uv retries":          "undefined",
	})
}

func TestTokenPIN(t *testing.T) {
	key := plug(t, softkey.Options{})
	token := func(option string, typed ...string) run {
		t.Helper()
		return try(t, lines(typed...), "fido2-token", option, key.Path())
	}
	token("-S", "öäü", "öäü").fails("fido_dev_set_pin: FIDO_ERR_PIN_POLICY_VIOLATION") // three characters in six bytes
	token("-S", pin, pin).ok()
	wantInfo(t, key, map[string]string{
		"options": withPIN, "pin retries": "8"})
	token("-S", pin, pin).fails("fido_dev_set_pin: FIDO_ERR_PIN_AUTH_INVALID") // it has one: that would be a change
	token("-C", wrongPIN, "pässwörter", "pässwörter").fails("fido_dev_set_pin: FIDO_ERR_PIN_INVALID")
	wantInfo(t, key, map[string]string{"pin retries": "7"})
	token("-C", pin, "pässwörter", "pässwörter").ok()
	token("-C", pin, pin, pin).fails("fido_dev_set_pin: FIDO_ERR_PIN_INVALID")
	token("-C", "pässwörter", pin, pin).ok()
	wantInfo(t, key, map[string]string{"pin retries": "8"})
}

// TestTokenPINBlocked counts down as a person does who has forgotten the PIN, up to the reset.
func TestTokenPINBlocked(t *testing.T) {
	key := plugWithPIN(t)
	change := func() run {
		t.Helper()
		return try(t, lines(wrongPIN, pin, pin), "fido2-token", "-C", key.Path())
	}
	for retries := 7; retries >= 0; retries-- {
		want := "FIDO_ERR_PIN_INVALID"
		switch {
		case retries == 0:
			want = "FIDO_ERR_PIN_BLOCKED"
		case retries == 5, retries == 2: // the third miss in a row
			want = "FIDO_ERR_PIN_AUTH_BLOCKED"
		}
		change().fails("fido_dev_set_pin: " + want)
		wantInfo(t, key, map[string]string{"pin retries": strconv.Itoa(retries)})
		if want == "FIDO_ERR_PIN_AUTH_BLOCKED" {
			change().fails("fido_dev_set_pin: " + want) // and does not count
			key.PowerCycle()
		}
	}
	key.PowerCycle()
	change().fails("FIDO_ERR_PIN_BLOCKED")
	try(t, "", "fido2-token", "-R", key.Path()).ok()
	wantInfo(t, key, map[string]string{
		"options": withoutPIN, "pin retries": "8"})
}

// TestTokenReset needs a touch, too.
func TestTokenReset(t *testing.T) {
	var p person
	key := plugFor(t, &p)
	p.will(emulator.Approve)
	makeCredential(t, key, alice, credentialOptions{resident: true})
	p.will(emulator.Deny)
	try(t, "", "fido2-token", "-R", key.Path()).fails("fido_dev_reset: FIDO_ERR_OPERATION_DENIED")
	wantInfo(t, key, map[string]string{"remaining rk(s)": "99"})
	p.will(emulator.Approve)
	try(t, "", "fido2-token", "-R", key.Path()).ok()
	wantInfo(t, key, map[string]string{"remaining rk(s)": "100"})
}
