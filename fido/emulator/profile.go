package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"fob/fido/ctap"
)

// Profile says what model of key is emulated: what it can do, and within which limits. It does not change while a key
// is plugged in. Sizes are in bytes.
type Profile struct {
	Name            string
	AAGUID          ctap.AAGUID
	Versions        []string // of CTAP2; none for a key that speaks U2F alone
	FirmwareVersion uint
	Transports      []string

	U2F                  bool             // speaks CTAP1/U2F
	PIN                  bool             // takes a PIN
	Tokens               bool             // gives pinUvAuthTokens with permissions
	MakeCredUVNotRqd     bool             // with a PIN set, makes non-discoverable credentials without user verification
	CredentialManagement bool             // by the command of CTAP 2.1 and that of its preview
	Config               bool             // alwaysUv, minimum PIN length
	DefaultCredProtect   ctap.CredProtect // of a credential that asks for none
	Extensions           []string
	Algorithms           []ctap.Algorithm
	PINProtocols         []ctap.PINProtocol // the preferred one first

	MaxMsgSize            uint
	MaxCredentialsInList  uint
	MaxCredentialIDLength uint
	MaxDiscoverable       uint // credentials; 0 for a key that keeps none
	MaxCredBlobLength     uint
	MaxLargeBlobArray     uint // 0 for a key without large blobs
	MaxMinPINLengthRPIDs  uint // RP IDs
	MaxFingerprints       uint // 0 for a key without a sensor
}

// fido21 is a key with all that CTAP 2.1 has, but a sensor.
var fido21 = Profile{
	AAGUID:               ctap.AAGUID{0xd3, 0x96, 0xe0, 0x33, 0x7a, 0xc2, 0xea, 0xe2, 0xb2, 0x8c, 0xac, 0xa9, 0x55, 0x5f, 0xbc, 0xa0},
	Versions:             []string{ctap.VersionU2F, ctap.VersionFIDO20, ctap.VersionFIDO21Pre, ctap.VersionFIDO21},
	U2F:                  true,
	FirmwareVersion:      1,
	Transports:           []string{"usb"},
	PIN:                  true,
	Tokens:               true,
	MakeCredUVNotRqd:     true,
	CredentialManagement: true,
	Config:               true,
	DefaultCredProtect:   ctap.UserVerificationOptional,
	Extensions: []string{
		ctap.ExtensionCredBlob, ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret, ctap.ExtensionHMACSecretMC,
		ctap.ExtensionLargeBlobKey, ctap.ExtensionMinPINLength, ctap.ExtensionThirdPartyPayment,
	},
	Algorithms:            []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	MaxMsgSize:            4096,
	MaxCredentialsInList:  32,
	MaxCredentialIDLength: 128,
	MaxDiscoverable:       100,
	MaxCredBlobLength:     32,
	MaxLargeBlobArray:     4096,
	MaxMinPINLengthRPIDs:  8,
}

// withFingerprints gives a profile a sensor.
func withFingerprints(p Profile) *Profile {
	p.AAGUID = ctap.AAGUID{0x27, 0xc6, 0x60, 0x1f, 0x8e, 0x55, 0x4b, 0x02, 0x9a, 0x35, 0xd2, 0x4f, 0x08, 0x6b, 0x31, 0xee}
	p.MaxFingerprints = 5
	return &p
}

// profiles are the models that can be asked for by name.
var profiles = map[string]*Profile{
	"fido2.0": {
		AAGUID:                ctap.AAGUID{0x3b, 0x15, 0x2a, 0x57, 0x6c, 0x13, 0x41, 0x3e, 0x8c, 0x1a, 0xa2, 0x52, 0x91, 0x0e, 0x7b, 0x20},
		Versions:              []string{ctap.VersionU2F, ctap.VersionFIDO20},
		U2F:                   true,
		FirmwareVersion:       1,
		Transports:            []string{"usb"},
		PIN:                   true,
		DefaultCredProtect:    ctap.UserVerificationOptional,
		Extensions:            []string{ctap.ExtensionHMACSecret},
		Algorithms:            []ctap.Algorithm{ctap.ES256},
		PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolOne},
		MaxMsgSize:            1200,
		MaxCredentialsInList:  8,
		MaxCredentialIDLength: 128,
		MaxDiscoverable:       25,
	},
	"fido2.1":     &fido21,
	"fingerprint": withFingerprints(fido21),
	"u2f": {
		AAGUID:     ctap.AAGUID{0x5b, 0x0d, 0xb1, 0x9a, 0x30, 0x41, 0x4d, 0x0a, 0x9a, 0x8e, 0x43, 0x92, 0xb5, 0x1c, 0x77, 0x08},
		U2F:        true,
		MaxMsgSize: 1024,
	},
	"no-pin": {
		AAGUID:                ctap.AAGUID{0x94, 0x3c, 0x61, 0x0e, 0x2d, 0xb8, 0x45, 0x0f, 0xb7, 0x92, 0x11, 0x5a, 0xe6, 0x03, 0xc4, 0x61},
		Versions:              []string{ctap.VersionFIDO20},
		FirmwareVersion:       1,
		Transports:            []string{"usb"},
		DefaultCredProtect:    ctap.UserVerificationOptional,
		Algorithms:            []ctap.Algorithm{ctap.ES256},
		MaxMsgSize:            1200,
		MaxCredentialsInList:  8,
		MaxCredentialIDLength: 128,
	},
}

// CTAP2 reports whether the key speaks CTAP2, and not U2F alone.
func (p *Profile) CTAP2() bool { return len(p.Versions) > 0 }

// DefaultProfile is the profile of a key that asks for none.
const DefaultProfile = "fido2.1"

// LookupProfile gives the profile of a name; the error lists the names there are.
func LookupProfile(name string) (*Profile, error) {
	p, ok := profiles[name]
	if !ok {
		names := slices.Sorted(maps.Keys(profiles))
		return nil, fmt.Errorf("profile %q is none of %s", name, strings.Join(names, ", "))
	}
	named := *p
	named.Name = name
	return &named, nil
}

func (p *Profile) has(extension string) bool { return slices.Contains(p.Extensions, extension) }

// maxFragment is the longest fragment of authenticatorLargeBlobs (§6.10).
func (p *Profile) maxFragment() uint { return p.MaxMsgSize - 64 }
