package emulator

import (
	"encoding/hex"
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
	MakeCredUVNotRqd               bool             // with a PIN set, makes credentials that are not discoverable without UV
	AlwaysUV                       bool             // comes with alwaysUv on
	CredentialManagement           bool             // by the command of CTAP 2.1
	CredentialManagementPreview    bool             // by the command that came before it, 0x41
	PersistentToken                bool             // gives read-only tokens that last (perCredMgmtRO)
	BioEnrollmentPreview           bool             // has the command 0x40 besides
	Config                         bool             // alwaysUv, minimum PIN length
	EnterpriseAttestation          bool             // can be told to attest so that it can be told apart
	DefaultCredProtect             ctap.CredProtect // of a credential that asks for none
	SignCounter                    SignCounter
	TouchTimeout                   ctap.StatusCode // when nobody touches it; 0 for the specification's ErrOperationDenied
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

// fido20 is a key of the first CTAP2. It checks in the order of today's steps; CTAP 2.0 looks at the excludeList first,
// and answers PIN_AUTH_INVALID for a protocol that it does not know.
var fido20 = Profile{
	Name:                  "fido2.0",
	Summary:               "CTAP 2.0, without tokens that have permissions",
	AAGUID:                aaguid("3b152a57-6c13-413e-8c1a-a252910e7b20"),
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
	AAGUID:                      aaguid("d396e033-7ac2-eae2-b28c-aca9555fbca0"),
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
	p.AAGUID = aaguid("6e0b441c-d10f-4f6d-9c21-5d77e8403a92")
	p.Versions = append(slices.Clone(p.Versions), ctap.VersionFIDO22)
	p.AttestationFormats = []string{ctap.FormatPacked, ctap.FormatNone}
	p.PersistentToken, p.TellsMaxPINLength = true, true
	return p
}()

// withFingerprints gives a profile a sensor.
func withFingerprints(p Profile) Profile {
	p.Name, p.Summary = "fingerprint", "fido2.1 with a fingerprint sensor"
	p.AAGUID = aaguid("27c6601f-8e55-4b02-9a35-d24f086b31ee")
	p.MaxFingerprints, p.BioEnrollmentPreview = 5, true
	return p
}

// sensorOnly is a key whose PIN is for managing it alone.
func sensorOnly(p Profile) Profile {
	p = withFingerprints(p)
	p.Name, p.Summary = "sensor-only", "fingerprint, and ceremonies want a finger, not the PIN"
	p.AAGUID = aaguid("a052713d-1e6f-4588-8d02-3c904bb56c19")
	p.NoMcGaPermissionsWithClientPIN = true
	return p
}

// Profiles like products have the limits, versions, options and counters that those tell in authenticatorGetInfo and
// over CTAPHID, as people have published them. Each has an AAGUID of its own: it does not claim to be the product.

// likeYubiKey54 is like a YubiKey 5 NFC of firmware 5.4.3.
var likeYubiKey54 = Profile{
	Name:                        "like-yubikey-5.4",
	Summary:                     "limits and options of a YubiKey 5 NFC, firmware 5.4.3",
	AAGUID:                      aaguid("1d8a4e90-5b33-471f-b60e-72c429d81154"),
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
	AAGUID:                      aaguid("b903e62f-44d1-4c0d-8f5a-169e7320ca56"),
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
	AAGUID:                aaguid("582f71a9-0cee-4d36-946b-01f7853de217"),
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
	AAGUID:                aaguid("7f265cb1-930a-40e8-a13d-546ef08b2d41"),
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
	p.AAGUID = aaguid("ce901b37-685d-42f4-bb70-2a139fd6058c")
	p.SignCounter = CounterPerCredential
	return p
}()

// profiles are the models that can be asked for by name, in the order in which a person reads them.
var profiles = []Profile{
	fido20, fido21, fido22, withFingerprints(fido21), sensorOnly(fido21),
	{
		Name:                  "no-pin",
		Summary:               "CTAP 2.0 without PIN, discoverable credentials and U2F",
		AAGUID:                aaguid("943c610e-2db8-450f-b792-115ae603c461"),
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
		AAGUID:        aaguid("5b0db19a-3041-4d0a-9a8e-4392b51c7708"),
		DeviceVersion: [3]byte{0, 1, 0},
		U2F:           true,
		MaxMsgSize:    1024,
	},
	likeYubiKey54, likeYubiKeyBio, likeNitrokey3, counterless, countersApart,
}

// aaguid reads an AAGUID as people write it.
func aaguid(s string) ctap.AAGUID {
	return ctap.AAGUID(must(hex.DecodeString(strings.ReplaceAll(s, "-", ""))))
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
