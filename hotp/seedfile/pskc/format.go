// Package pskc reads and writes seed files in the Portable Symmetric Key Container (PSKC) of RFC 6030.
//
// What the elements of a key package are in a token, where it is not the element of the same name:
//
//	DeviceInfo/SerialNo        Serial
//	DeviceInfo/UserId          User: its common name, where it is a distinguished name that has but one
//	DeviceInfo/StartDate       Start; when reading, the later of it and Policy/StartDate
//	DeviceInfo/ExpiryDate      Expiry; when reading, the earlier of it and Policy/ExpiryDate
//	Key@Id                     ID; where a token has none, its serial number, account or user stands there
//	Key@Algorithm              Type
//	Key/Issuer                 Issuer
//	Key/UserId                 Account, like User; when reading, FriendlyName stands in for it
//	Suite                      Algorithm
//	ResponseFormat@Length      Digits
//	Secret                     Seed
//	Counter                    Counter, of HOTP alone
//	TimeInterval, TimeDrift    Period, Drift, of TOTP alone
//
// Time is the number of time steps that have passed by RFC 6030 (§4.3.4), but T0 for some; so a T0 other than 0 is not
// written, and a Time other than 0 is refused. What else a file may have, such as keys that are no one-time passwords',
// PIN policies, extensions, names in further languages, and what else Policy says, is not read.
//
// XML signatures (RFC 6030 §7) are not verified. A file that has one is refused, but with the setting
// signature=ignore.
package pskc

import (
	"bytes"
	"slices"
	"strconv"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Format is PSKC. A MAC is verified before anything is decrypted (RFC 6030 §6.1.1).
var Format = &seedfile.Format{
	Name:      "pskc",
	Title:     "Portable Symmetric Key Container (PSKC)",
	Extension: ".pskcxml",
	Source:    "RFC 6030; for the dialects, what the sources of their programs read and write",
	Carries: seedfile.Capacity{
		Kinds:      seedfile.HOTP | seedfile.TOTP,
		Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
		Fields:     fields,
	},
	Reads:  seedfile.Plain | seedfile.Key | seedfile.Passphrase,
	Writes: seedfile.Plain | seedfile.Key | seedfile.Passphrase,
	Settings: []seedfile.Setting{
		{Name: "dialect", Usage: "who is to read the file that is written", Values: dialectNames()},
		{Name: "cipher", Usage: "what encrypts a file that is written, by CBC", Values: allCiphers},
		{Name: "hmac", Usage: "the hash of the MACs that are written", Values: allHashes},
		{Name: "prf", Usage: "the hash of PBKDF2, which makes the key of a passphrase", Values: allHashes},
		{Name: "iterations", Usage: "how often PBKDF2 does its work, 1000 to 10000000"},
		{Name: "key-name", Usage: "what a file that is written calls its key"},
		{Name: "mac", Usage: "whether encrypted values without a MAC are read", Values: []string{"required", "optional"}},
		{Name: "integers", Usage: "how encrypted counters and times are read", Values: []string{"auto", "decimal", "binary"}},
		{Name: "time", Usage: "whether keys are read whose Time is not 0", Values: []string{"refuse", "ignore"}},
		{Name: "signature", Usage: "whether a signed file is read; nothing verifies it", Values: []string{"refuse", "ignore"}},
	},
	Detect: detect,
}

func init() { Format.NewReader, Format.NewWriter = newReader, newWriter } // they refer to Format

const fields = seedfile.FieldCounter | seedfile.FieldDrift | seedfile.FieldSerial | seedfile.FieldID |
	seedfile.FieldAccount | seedfile.FieldIssuer | seedfile.FieldUser | seedfile.FieldManufacturer |
	seedfile.FieldModel | seedfile.FieldStart | seedfile.FieldExpiry

// detect looks at the root element.
func detect(head []byte) int {
	s := newScanner(bytes.NewReader(head))
	for {
		k, err := s.next()
		switch {
		case err != nil:
			return 0
		case k == elementStart && elementOf(s.local) == keyContainer && s.space == pskcSpace:
			return 100
		case k == elementStart && elementOf(s.local) == keyContainer && known(s.space):
			return 80
		case k != charData:
			return 0
		}
	}
}

// parse checks settings, and gives a function that tells what one is: what it is set to, or the first of its values.
func parse(settings map[string]string) (get func(name string) string, err error) {
	for name, value := range settings {
		i := slices.IndexFunc(Format.Settings, func(s seedfile.Setting) bool { return s.Name == name })
		switch {
		case i < 0:
			return nil, &seedfile.SettingError{Format: Format.Name, Name: name, Problem: "is not known"}
		case Format.Settings[i].Values != nil && !slices.Contains(Format.Settings[i].Values, value):
			return nil, &seedfile.SettingError{Format: Format.Name, Name: name, Problem: "can't be " + strconv.Quote(value)}
		}
	}
	return func(name string) string { return settings[name] }, nil
}

// readSettings are those that reading takes.
type readSettings struct {
	macOptional bool
	integers    string // "auto" and "" are the same
	ignoreTime  bool
	signed      bool
}

func parseReadSettings(settings map[string]string) (*readSettings, error) {
	get, err := parse(settings)
	if err != nil {
		return nil, err
	}
	return &readSettings{macOptional: get("mac") == "optional", integers: get("integers"),
		ignoreTime: get("time") == "ignore", signed: get("signature") == "ignore"}, nil
}
