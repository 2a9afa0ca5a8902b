package pskc

import (
	"math"
	"slices"

	"fob/hotp/seedfile"
)

// dialect is what a consumer reads of PSKC. What it passes over, though codes or how long they are taken depend on it,
// is not written for it: its limits are those of the format then, and its name stands in errors.
type dialect struct {
	name         string
	lost         seedfile.Field // what the consumer passes over
	needs        seedfile.Field
	digits       []int
	ciphers      []string // the values of the setting that it reads; none: each
	hmacs        []string
	prfs         []string
	passphrase   [2]int // the least and most characters, in ASCII; zero: any
	friendlyName bool   // the account goes into FriendlyName
	maxCounter   uint64 // zero: any
	iterations   int    // of PBKDF2, where no setting says
}

// defaultIterations take about a quarter of a second.
const defaultIterations = 600_000

var (
	allCiphers = []string{"aes128", "aes192", "aes256"}
	aes128     = []string{"aes128"}
	sha1Only   = []string{"sha1"}
	allHashes  = []string{"sha1", "sha256", "sha512"}
)

// dialects are the consumers, as their sources are. All of them take integers that are not encrypted, a Suite without
// "HMAC-", PBKDF2-params in the namespace of PKCS #5 with children in none, and AES-128-CBC with HMAC-SHA1, so that
// the file is written in this way for each.
var dialects = []*dialect{
	{name: "generic", ciphers: allCiphers, hmacs: allHashes, prfs: allHashes},
	// ipa-otptoken-import has a list of the numbers of digits, and takes the name of a token from Key@Id and what it
	// shows of it from FriendlyName.
	{name: "freeipa", needs: seedfile.FieldSerial, digits: []int{6, 8}, ciphers: allCiphers, hmacs: allHashes,
		prfs: allHashes, friendlyName: true},
	// LinOTP looks at no other algorithms, neither at PRF, and its PBKDF2 is slow.
	{name: "linotp", lost: seedfile.FieldDrift | seedfile.FieldStart | seedfile.FieldExpiry, needs: seedfile.FieldSerial,
		digits: []int{6, 8}, ciphers: aes128, hmacs: sha1Only, prfs: sha1Only, passphrase: [2]int{6, 64},
		iterations: 100_000},
	// multiOTP: it is known what it writes, and the same is written for it, but for integers.
	{name: "multiotp", needs: seedfile.FieldSerial, ciphers: aes128, hmacs: sha1Only, prfs: sha1Only},
	// privacyIDEA looks at no other algorithms, neither at PRF, and takes TimeDrift for seconds.
	{name: "privacyidea", lost: seedfile.FieldDrift | seedfile.FieldStart | seedfile.FieldExpiry,
		needs: seedfile.FieldSerial, ciphers: aes128, hmacs: sha1Only, prfs: sha1Only},
	// ykman has the limits of YKOATH: 6 to 8 digits, and a counter of 32 bits. Keys have no clock that could drift.
	{name: "ykman", lost: seedfile.FieldStart | seedfile.FieldExpiry, needs: seedfile.FieldAccount, digits: []int{6, 7, 8},
		ciphers: allCiphers, hmacs: allHashes, prfs: allHashes, maxCounter: 1<<32 - 1},
}

func dialectNames() (names []string) {
	for _, d := range dialects {
		names = append(names, d.name)
	}
	return names
}

// dialectOf gives the dialect of a name, which is one of them, or none.
func dialectOf(name string) *dialect {
	i := slices.IndexFunc(dialects, func(d *dialect) bool { return d.name == name })
	return dialects[max(i, 0)]
}

// format gives Format with the limits of the dialect.
func (d *dialect) format() *seedfile.Format {
	if d == dialects[0] {
		return Format
	}
	f := *Format
	f.Name += " for " + d.name
	f.Carries.Fields &^= d.lost
	f.Carries.Needs, f.Carries.Digits = d.needs, d.digits
	return &f
}

// choose gives the value of a setting that is one of those that the dialect has.
func (d *dialect) choose(name, value string, values []string) (string, error) {
	switch {
	case value == "":
		return values[0], nil
	case !slices.Contains(values, value):
		return "", &seedfile.SettingError{Format: Format.Name, Name: name, Problem: "can't be " + value + " for " + d.name}
	}
	return value, nil
}

// counters gives the highest counter: that of xs:long, or of the consumer.
func (d *dialect) counters() uint64 {
	if d.maxCounter == 0 {
		return math.MaxInt64
	}
	return d.maxCounter
}
