package formats_test

import (
	"os"
	"strings"
	"testing"

	"fob/hotp/seedfile"
	"fob/hotp/seedfile/formats"
)

// TestDetectServers: the format of each file is the surest one, alone or among those that are as sure, of which a
// person has to choose: the file could be of each of them.
func TestDetectServers(t *testing.T) {
	list := "duo linotp netiq pingid privacyidea"
	for file, want := range map[string]string{
		"deepnet.xml": "deepnet-xml", "duo-hotp.csv": "duo pingid", "duo-totp-8.csv": list, "duo-yubikey.csv": "duo-yubikey",
		"duo-yubikey-any.csv": "duo-yubikey", "entra.csv": "entra-csv", "entra-graph.json": "entra-graph",
		"linotp.csv": "linotp", "netiq.csv": "linotp netiq privacyidea", "okta.jsonl": "okta", "okta-base32.jsonl": "okta",
		"pingid.csv": list, "privacyidea.csv": "privacyidea", "privacyidea-2.csv": "privacyidea-2",
		"safenet.xml": "safenet-xml", "secureauth-hotp.txt": "secureauth-hotp", "secureauth-hotp-hex.txt": "secureauth-hotp",
		"secureauth-totp.txt": "secureauth-totp", "vault.jsonl": "vault", "yubico-flat.csv": "yubico-flat",
		"yubico-traditional.csv": "yubico-traditional",
	} {
		head, err := os.ReadFile("../../../testdata/seedfile/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got := detected(head); got != want {
			t.Errorf("%s: %s, expected %s", file, got, want)
		}
	}
}

// detected names the formats that a file may have.
func detected(head []byte) string {
	var names []string
	for _, f := range formats.Detect(head) {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

// TestDetectNothing: what no seed file is, none of the formats takes for one of its own.
func TestDetectNothing(t *testing.T) {
	for _, head := range []string{"", "\n\n", "\xff\xfe1\x00", "hello", "# a comment\n", "name,url\nx,y\n", "{}", "[]",
		"<html>", "root:x:0:0:root:/root:/bin/bash\n", strings.Repeat("a", seedfile.HeadSize), "\x00\x01\x02"} {
		if found := formats.Detect([]byte(head)); len(found) > 0 {
			t.Errorf("%.20q: %s", head, found[0].Name)
		}
	}
}
