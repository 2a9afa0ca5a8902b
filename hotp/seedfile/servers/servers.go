// Package servers reads and writes the seed files that authentication servers and services import: lines of columns,
// JSON, and the bodies of requests.
package servers

import (
	"fob/hotp"
	"fob/hotp/seedfile"
)

// Formats are the formats of this package, in the order of their names.
func Formats() []*seedfile.Format {
	return []*seedfile.Format{
		Duo, DuoYubiKey, EntraCSV, EntraGraph, LinOTP, NetIQ, Okta, PingID, PrivacyIDEA, PrivacyIDEA2, SecureAuthHOTP,
		SecureAuthTOTP, Vault,
	}
}

// sha1 is what formats without a word for the algorithm mean.
var sha1 = []hotp.Algorithm{hotp.SHA1}

// How sure lines without a header can be of their format.
const (
	sureSerialSeed = 40 // a serial number and a seed, as many formats have them
	sureTyped      = 60 // and "totp", as some have it
	sureShape      = 80 // columns that hardly any other format has
	sureHeader     = 95 // a header or a key that is the format's own
)
