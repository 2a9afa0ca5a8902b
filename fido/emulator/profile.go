package emulator

import (
	"fmt"
	"slices"
	"strings"

	"fob/fido/ctap"
)

// Profile says what model of key is emulated: what it can do, and within which limits. It does not change while a key
// is plugged in. Sizes are in bytes.
type Profile struct {
	Name            string
	Summary         string // what it is, for a person who chooses
	AAGUID          ctap.AAGUID
	Versions        []string // of CTAP2; none for a key that speaks U2F alone
	FirmwareVersion uint
	DeviceVersion   [3]byte // major, minor and build, as CTAPHID tells them
	NoWink          bool    // has no CTAPHID_WINK
	Transports      []string

	U2F                            bool             // speaks CTAP1/U2F
	PIN                            bool             // takes a PIN
	Tokens                         bool             // gives pinUvAuthTokens with permissions
	NoMcGaPermissionsWithClientPIN bool             // a PIN alone is no user verification in a ceremony: the sensor is
	MakeCredUVNotRqd               bool             // with a PIN set, makes non-discoverable credentials without user verification
	AlwaysUV                       bool             // comes with alwaysUv on
	CredentialManagement           bool             // by the command of CTAP 2.1
	CredentialManagementPreview    bool             // by the command that came before it, 0x41
	PersistentToken                bool             // gives read-only tokens that last (perCredMgmtRO)
	BioEnrollmentPreview           bool             // has the command 0x40 besides
	Config                         bool             // alwaysUv, minimum PIN length
	EnterpriseAttestation          bool             // can be told to attest so that it can be told apart
	DefaultCredProtect             ctap.CredProtect // of a credential that asks for none
	SignCounter                    SignCounter
	TouchTimeout                   ctap.StatusCode // when nobody touches it; 0 for what the specification says, ErrOperationDenied
	Extensions                     []string
	Algorithms                     []ctap.Algorithm
	PINProtocols                   []ctap.PINProtocol // the preferred one first
	AttestationFormats             []string           // that makeCredential may ask for, the preferred one first

	MaxMsgSize            uint
	MaxCredentialsInList  uint
	MaxCredentialIDLength uint
	MaxDiscoverable       uint // credentials; 0 for a key that keeps none
	MaxCredBlobLength     uint
	MaxLargeBlobArray     uint // 0 for a key without large blobs
	MaxMinPINLengthRPIDs  uint // RP IDs
	MaxFingerprints       uint // 0 for a key without a sensor
	TellsMaxPINLength     bool // in authenticatorGetInfo, since CTAP 2.2
}

// SignCounter is how a key counts signatures (WebAuthn §6.1.1).
type SignCounter int

const (
	GlobalCounter        SignCounter = iota // one for all credentials
	CounterPerCredential                    // one for each that is discoverable, one for all the others
	NoCounter                               // always 0, as of credentials that are copied between devices
)

// fido20 is a key of the first CTAP2. It checks in the order of today's steps; CTAP 2.0 looks at the excludeList first, and
// answers PIN_AUTH_INVALID for a protocol that it does not know.
var fido20 = Profile{
	Name:                  "fido2.0",
	Summary:               "CTAP 2.0, without tokens that have permissions",
	AAGUID:                ctap.AAGUID{0x3b, 0x15, 0x2a, 0x57, 0x6c, 0x13, 0x41, 0x3e, 0x8c, 0x1a, 0xa2, 0x52, 0x91, 0x0e, 0x7b, 0x20},
	Versions:              []string{ctap.VersionU2F, ctap.VersionFIDO20},
	FirmwareVersion:       1,
	DeviceVersion:         [3]byte{0, 1, 0},
	Transports:            []string{"usb"},
	U2F:                   true,
	PIN:                   true,
	DefaultCredProtect:    ctap.UserVerificationOptional,
	Extensions:            []string{ctap.ExtensionHMACSecret},
	Algorithms:            []ctap.Algorithm{ctap.ES256},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolOne},
	MaxMsgSize:            1200,
	MaxCredentialsInList:  8,
	MaxCredentialIDLength: 128,
	MaxDiscoverable:       25,
}

// fido21 is a key with all that CTAP 2.1 has, but a sensor.
var fido21 = Profile{
	Name:                        "fido2.1",
	Summary:                     "all of CTAP 2.1 that needs no sensor",
	AAGUID:                      ctap.AAGUID{0xd3, 0x96, 0xe0, 0x33, 0x7a, 0xc2, 0xea, 0xe2, 0xb2, 0x8c, 0xac, 0xa9, 0x55, 0x5f, 0xbc, 0xa0},
	Versions:                    []string{ctap.VersionU2F, ctap.VersionFIDO20, ctap.VersionFIDO21Pre, ctap.VersionFIDO21},
	FirmwareVersion:             1,
	DeviceVersion:               [3]byte{0, 1, 0},
	Transports:                  []string{"usb"},
	U2F:                         true,
	PIN:                         true,
	Tokens:                      true,
	MakeCredUVNotRqd:            true,
	CredentialManagement:        true,
	CredentialManagementPreview: true,
	Config:                      true,
	EnterpriseAttestation:       true,
	DefaultCredProtect:          ctap.UserVerificationOptional,
	Extensions: []string{
		ctap.ExtensionCredBlob, ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret, ctap.ExtensionHMACSecretMC,
		ctap.ExtensionLargeBlobKey, ctap.ExtensionMinPINLength, ctap.ExtensionThirdPartyPayment,
	},
	Algorithms:            []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384, ctap.RS256},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	MaxMsgSize:            4096,
	MaxCredentialsInList:  32,
	MaxCredentialIDLength: rs256IDLength,
	MaxDiscoverable:       100,
	MaxCredBlobLength:     32,
	MaxLargeBlobArray:     4096,
	MaxMinPINLengthRPIDs:  8,
}

// fido22 adds what CTAP 2.2 does.
var fido22 = func() Profile {
	p := fido21
	p.Name, p.Summary = "fido2.2", "all of CTAP 2.2 that needs no sensor"
	p.AAGUID = ctap.AAGUID{0x6e, 0x0b, 0x44, 0x1c, 0xd1, 0x0f, 0x4f, 0x6d, 0x9c, 0x21, 0x5d, 0x77, 0xe8, 0x40, 0x3a, 0x92}
	p.Versions = append(slices.Clone(p.Versions), ctap.VersionFIDO22)
	p.AttestationFormats = []string{ctap.FormatPacked, ctap.FormatNone}
	p.PersistentToken, p.TellsMaxPINLength = true, true
	return p
}()

// withFingerprints gives a profile a sensor.
func withFingerprints(p Profile) Profile {
	p.Name, p.Summary = "fingerprint", "fido2.1 with a fingerprint sensor"
	p.AAGUID = ctap.AAGUID{0x27, 0xc6, 0x60, 0x1f, 0x8e, 0x55, 0x4b, 0x02, 0x9a, 0x35, 0xd2, 0x4f, 0x08, 0x6b, 0x31, 0xee}
	p.MaxFingerprints, p.BioEnrollmentPreview = 5, true
	return p
}

// sensorOnly is a key whose PIN is for managing it alone.
func sensorOnly(p Profile) Profile {
	p = withFingerprints(p)
	p.Name, p.Summary = "sensor-only", "fingerprint, and ceremonies want a finger, not the PIN"
	p.AAGUID = ctap.AAGUID{0xa0, 0x52, 0x71, 0x3d, 0x1e, 0x6f, 0x45, 0x88, 0x8d, 0x02, 0x3c, 0x90, 0x4b, 0xb5, 0x6c, 0x19}
	p.NoMcGaPermissionsWithClientPIN = true
	return p
}

// Profiles like products have the limits, versions, options and counters that those tell in authenticatorGetInfo and
// over CTAPHID, as people have published them. Each has an AAGUID of its own: it does not claim to be the product.

// likeYubiKey54 is like a YubiKey 5 NFC of firmware 5.4.3.
var likeYubiKey54 = Profile{
	Name:                        "like-yubikey-5.4",
	Summary:                     "limits and options of a YubiKey 5 NFC, firmware 5.4.3",
	AAGUID:                      ctap.AAGUID{0x1d, 0x8a, 0x4e, 0x90, 0x5b, 0x33, 0x47, 0x1f, 0xb6, 0x0e, 0x72, 0xc4, 0x29, 0xd8, 0x11, 0x54},
	Versions:                    []string{ctap.VersionU2F, ctap.VersionFIDO20, ctap.VersionFIDO21Pre},
	FirmwareVersion:             0x50403,
	DeviceVersion:               [3]byte{5, 4, 3},
	Transports:                  []string{"nfc", "usb"},
	U2F:                         true,
	PIN:                         true,
	CredentialManagementPreview: true,
	TouchTimeout:                ctap.ErrActionTimeout,
	DefaultCredProtect:          ctap.UserVerificationOptional,
	Extensions:                  []string{ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret},
	Algorithms:                  []ctap.Algorithm{ctap.ES256, ctap.EdDSA},
	PINProtocols:                []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	MaxMsgSize:                  1200,
	MaxCredentialsInList:        8,
	MaxCredentialIDLength:       128,
	MaxDiscoverable:             25,
}

// likeYubiKeyBio is like a YubiKey Bio of firmware 5.6.4.
var likeYubiKeyBio = Profile{
	Name:                        "like-yubikey-bio",
	Summary:                     "limits and options of a YubiKey Bio, firmware 5.6.4",
	AAGUID:                      ctap.AAGUID{0xb9, 0x03, 0xe6, 0x2f, 0x44, 0xd1, 0x4c, 0x0d, 0x8f, 0x5a, 0x16, 0x9e, 0x73, 0x20, 0xca, 0x56},
	Versions:                    []string{ctap.VersionU2F, ctap.VersionFIDO20, ctap.VersionFIDO21Pre, ctap.VersionFIDO21},
	FirmwareVersion:             0x50604,
	DeviceVersion:               [3]byte{5, 6, 4},
	Transports:                  []string{"usb"},
	U2F:                         true,
	PIN:                         true,
	Tokens:                      true,
	AlwaysUV:                    true,
	MakeCredUVNotRqd:            true,
	CredentialManagement:        true,
	CredentialManagementPreview: true,
	BioEnrollmentPreview:        true,
	Config:                      true,
	TouchTimeout:                ctap.ErrActionTimeout,
	DefaultCredProtect:          ctap.UserVerificationOptional,
	Extensions: []string{
		ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret, ctap.ExtensionLargeBlobKey, ctap.ExtensionCredBlob,
		ctap.ExtensionMinPINLength,
	},
	Algorithms:            []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	MaxMsgSize:            1280,
	MaxCredentialsInList:  8,
	MaxCredentialIDLength: 128,
	MaxDiscoverable:       25,
	MaxCredBlobLength:     32,
	MaxLargeBlobArray:     1024,
	MaxMinPINLengthRPIDs:  1,
	MaxFingerprints:       5,
}

// likeNitrokey3 is like a Nitrokey 3 of firmware 1.7.
var likeNitrokey3 = Profile{
	Name:                  "like-nitrokey-3",
	Summary:               "limits and options of a Nitrokey 3, firmware 1.7",
	AAGUID:                ctap.AAGUID{0x58, 0x2f, 0x71, 0xa9, 0x0c, 0xee, 0x4d, 0x36, 0x94, 0x6b, 0x01, 0xf7, 0x85, 0x3d, 0xe2, 0x17},
	Versions:              []string{ctap.VersionU2F, ctap.VersionFIDO20, ctap.VersionFIDO21},
	DeviceVersion:         [3]byte{4, 1, 7},
	Transports:            []string{"nfc", "usb"},
	U2F:                   true,
	PIN:                   true,
	Tokens:                true,
	CredentialManagement:  true,
	DefaultCredProtect:    ctap.UserVerificationOptional,
	SignCounter:           GlobalCounter,
	Extensions:            []string{ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret},
	Algorithms:            []ctap.Algorithm{ctap.ES256, ctap.EdDSA},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	MaxMsgSize:            3072,
	MaxCredentialsInList:  10,
	MaxCredentialIDLength: 255,
	MaxDiscoverable:       10,
}

// counterless is like what a passkey provider keeps: no counter, no U2F, no wink.
var counterless = Profile{
	Name:                  "counterless",
	Summary:               "no signature counter, U2F and wink, as of synced passkeys",
	AAGUID:                ctap.AAGUID{0x7f, 0x26, 0x5c, 0xb1, 0x93, 0x0a, 0x40, 0xe8, 0xa1, 0x3d, 0x54, 0x6e, 0xf0, 0x8b, 0x2d, 0x41},
	Versions:              []string{ctap.VersionFIDO20, ctap.VersionFIDO21},
	DeviceVersion:         [3]byte{0, 1, 0},
	NoWink:                true,
	Transports:            []string{"usb"},
	PIN:                   true,
	Tokens:                true,
	MakeCredUVNotRqd:      true,
	CredentialManagement:  true,
	DefaultCredProtect:    ctap.UserVerificationOptional,
	SignCounter:           NoCounter,
	Extensions:            []string{ctap.ExtensionCredProtect, ctap.ExtensionHMACSecret, ctap.ExtensionLargeBlobKey},
	Algorithms:            []ctap.Algorithm{ctap.ES256, ctap.RS256},
	PINProtocols:          []ctap.PINProtocol{ctap.PINProtocolTwo},
	MaxMsgSize:            7609,
	MaxCredentialsInList:  64,
	MaxCredentialIDLength: rs256IDLength,
	MaxDiscoverable:       1000,
	MaxLargeBlobArray:     8192,
}

// countersApart is a key that does not let relying parties link its credentials by the counter.
var countersApart = func() Profile {
	p := fido21
	p.Name, p.Summary = "counters-apart", "fido2.1 with a counter for each discoverable credential"
	p.AAGUID = ctap.AAGUID{0xce, 0x90, 0x1b, 0x37, 0x68, 0x5d, 0x42, 0xf4, 0xbb, 0x70, 0x2a, 0x13, 0x9f, 0xd6, 0x05, 0x8c}
	p.SignCounter = CounterPerCredential
	return p
}()

// profiles are the models that can be asked for by name, in the order in which a person reads them.
var profiles = []Profile{
	fido20, fido21, fido22, withFingerprints(fido21), sensorOnly(fido21),
	{
		Name:                  "no-pin",
		Summary:               "CTAP 2.0 without PIN, discoverable credentials and U2F",
		AAGUID:                ctap.AAGUID{0x94, 0x3c, 0x61, 0x0e, 0x2d, 0xb8, 0x45, 0x0f, 0xb7, 0x92, 0x11, 0x5a, 0xe6, 0x03, 0xc4, 0x61},
		Versions:              []string{ctap.VersionFIDO20},
		FirmwareVersion:       1,
		DeviceVersion:         [3]byte{0, 1, 0},
		Transports:            []string{"usb"},
		DefaultCredProtect:    ctap.UserVerificationOptional,
		Algorithms:            []ctap.Algorithm{ctap.ES256},
		MaxMsgSize:            1200,
		MaxCredentialsInList:  8,
		MaxCredentialIDLength: 128,
	},
	{
		Name:          "u2f",
		Summary:       "CTAP1/U2F alone",
		AAGUID:        ctap.AAGUID{0x5b, 0x0d, 0xb1, 0x9a, 0x30, 0x41, 0x4d, 0x0a, 0x9a, 0x8e, 0x43, 0x92, 0xb5, 0x1c, 0x77, 0x08},
		DeviceVersion: [3]byte{0, 1, 0},
		U2F:           true,
		MaxMsgSize:    1024,
	},
	likeYubiKey54, likeYubiKeyBio, likeNitrokey3, counterless, countersApart,
}

// CTAP2 reports whether the key speaks CTAP2, and not U2F alone.
func (p *Profile) CTAP2() bool { return len(p.Versions) > 0 }

// DefaultProfile is the profile of a key that asks for none.
const DefaultProfile = "fido2.1"

// ProfileNames lists the profiles that LookupProfile knows.
func ProfileNames() []string {
	var names []string
	for i := range profiles {
		names = append(names, profiles[i].Name)
	}
	return names
}

// LookupProfile gives the profile of a name; the error lists the names there are.
func LookupProfile(name string) (*Profile, error) {
	for _, p := range profiles {
		if p.Name == name {
			return &p, nil
		}
	}
	return nil, fmt.Errorf("profile %q is none of %s", name, strings.Join(ProfileNames(), ", "))
}

// with gives the profile other algorithms, and room for what they need.
func (p *Profile) with(algorithms []ctap.Algorithm) *Profile {
	changed := *p
	changed.Algorithms = algorithms
	if slices.Contains(algorithms, ctap.RS256) {
		changed.MaxCredentialIDLength = max(p.MaxCredentialIDLength, rs256IDLength)
	}
	if slices.Contains(algorithms, ctap.MLDSA44) { // a key and a signature are 3.7 KB
		changed.MaxMsgSize = max(p.MaxMsgSize, ctapHIDMaxPayload)
	}
	return &changed
}

// ctapHIDMaxPayload is the longest message of CTAPHID (§11.2.4), in bytes.
const ctapHIDMaxPayload = 7609

func (p *Profile) has(extension string) bool { return slices.Contains(p.Extensions, extension) }

// maxFragment is the longest fragment of authenticatorLargeBlobs (§6.10).
func (p *Profile) maxFragment() uint { return p.MaxMsgSize - 64 }
