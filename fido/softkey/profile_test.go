package softkey_test

import (
	"testing"

	"fob/fido/softkey"
)

// TestProfilesLikeProducts compares what fido2-token -I says of a profile with what people have published that it says
// of the product; the AAGUID alone is ours.
func TestProfilesLikeProducts(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"like-yubikey-5.4": {
			"proto": "0x02", "major": "0x05", "minor": "0x04", "build": "0x03",
			"caps":              "0x05 (wink, cbor, msg)",
			"version strings":   "U2F_V2, FIDO_2_0, FIDO_2_1_PRE",
			"extension strings": "credProtect, hmac-secret",
			"transport strings": "nfc, usb",
			"algorithms":        "es256 (public-key), eddsa (public-key)",
			"options":           "rk, up, noplat, noclientPin, credentialMgmtPreview",
			"maxmsgsiz":         "1200",
			"maxcredcntlst":     "8",
			"maxcredlen":        "128",
			"fwversion":         "0x50403",
			"pin protocols":     "2, 1",
			"uv retries":        "undefined",
		},
		"like-yubikey-bio": {
			"proto": "0x02", "major": "0x05", "minor": "0x06", "build": "0x04",
			"caps":                  "0x05 (wink, cbor, msg)",
			"version strings":       "U2F_V2, FIDO_2_0, FIDO_2_1_PRE, FIDO_2_1",
			"extension strings":     "credProtect, hmac-secret, largeBlobKey, credBlob, minPinLength",
			"transport strings":     "usb",
			"algorithms":            "es256 (public-key), eddsa (public-key), es384 (public-key)",
			"fwversion":             "0x50604",
			"maxmsgsiz":             "1280",
			"maxcredcntlst":         "8",
			"maxcredlen":            "128",
			"maxlargeblob":          "1024",
			"maxrpids in minpinlen": "1",
			"remaining rk(s)":       "25",
			"minpinlen":             "4",
			"pin protocols":         "2, 1",
			"uv modality":           "0x2 (fingerprint check)",
			"sensor type":           "1 (touch)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantInfo(t, plug(t, softkey.Options{Profile: profile(t, name)}), want)
		})
	}
}

// TestTokenEnterprise is fido2-token -S -a, which enables enterprise attestation.
func TestTokenEnterprise(t *testing.T) {
	key := plugWithPIN(t)
	try(t, lines(pin), "fido2-token", "-S", "-a", key.Path()).ok()
	wantInfo(t, key, map[string]string{"options": "ep" + withPIN[len("noep"):]})
	none := plug(t, softkey.Options{Profile: profile(t, "like-yubikey-bio")})
	try(t, lines(pin, pin), "fido2-token", "-S", none.Path()).ok()
	try(t, lines(pin), "fido2-token", "-S", "-a", none.Path()).fails("FIDO_ERR_INVALID_PARAMETER")
}
