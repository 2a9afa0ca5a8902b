package metadata

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"fob/fido/ctap"
)

// AAGUID is a ctap.AAGUID that is written as a UUID.
type AAGUID ctap.AAGUID

// ErrAAGUID is text that is no AAGUID.
var ErrAAGUID = errors.New("not an AAGUID: 32 hexadecimal digits, 8-4-4-4-12")

// ParseAAGUID reads an AAGUID in the form of a UUID (RFC 9562 §4): 8-4-4-4-12 hexadecimal digits in either case.
func ParseAAGUID(s string) (AAGUID, error) {
	var a AAGUID
	return a, a.UnmarshalText([]byte(s))
}

func (a AAGUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", a[:4], a[4:6], a[6:8], a[8:10], a[10:])
}

// MarshalText gives the UUID form.
func (a AAGUID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the UUID form, or gives ErrAAGUID.
func (a *AAGUID) UnmarshalText(b []byte) error {
	var read AAGUID
	n, err := hex.Decode(read[:], hexDigits(string(b)))
	if err != nil || n != len(read) || !strings.EqualFold(read.String(), string(b)) {
		return ErrAAGUID
	}
	*a = read
	return nil
}

// hexDigits gives the digits of a UUID, or none when there are too many for one.
func hexDigits(s string) []byte {
	if s = strings.ReplaceAll(s, "-", ""); len(s) > 2*len(AAGUID{}) {
		return nil
	}
	return []byte(s)
}

// Model is what is known about a model of authenticators: its metadata statement (FIDO Metadata Statement 3.1, §4) in
// short, and its status reports, in the order of the BLOB.
type Model struct {
	AAGUID               AAGUID         `json:"aaguid"`
	Description          string         `json:"description"`          // in English, at most 256 bytes
	ProtocolFamily       string         `json:"protocolFamily"`       // fido2, u2f or uaf
	AuthenticatorVersion uint64         `json:"authenticatorVersion"` // earliest firmware that this is about
	UPV                  []Version      `json:"upv,omitzero"`         // of the protocol family
	StatusReports        []StatusReport `json:"statusReports,omitzero"`
}

// Version is the version of a protocol.
type Version struct {
	Major uint16 `json:"major"`
	Minor uint16 `json:"minor"`
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// StatusReport is a StatusReport dictionary (§3.1.3). Dates are YYYY-MM-DD, in UTC; empty where there is none.
type StatusReport struct {
	Status               Status `json:"status"`
	EffectiveDate        string `json:"effectiveDate,omitzero"`        // the first day
	SunsetDate           string `json:"sunsetDate,omitzero"`           // the first day on which it is over
	AuthenticatorVersion uint64 `json:"authenticatorVersion,omitzero"` // the firmware that it is about; 0 for all
	SomeKeys             bool   `json:"someKeys,omitzero"`             // those with a certain certificate only
	URL                  string `json:"url,omitzero"`
	CertificateNumber    string `json:"certificateNumber,omitzero"`
	FIPSRevision         uint64 `json:"fipsRevision,omitzero"` // 3 for FIPS 140-3
}

// Status is an AuthenticatorStatus (§3.1.4), or one that was added since.
type Status string

// Statuses that mean something to us beside their name.
const (
	NotFIDOCertified          Status = "NOT_FIDO_CERTIFIED"
	SelfAssertionSubmitted    Status = "SELF_ASSERTION_SUBMITTED"
	FIDOCertified             Status = "FIDO_CERTIFIED"
	UserVerificationBypass    Status = "USER_VERIFICATION_BYPASS"
	AttestationKeyCompromise  Status = "ATTESTATION_KEY_COMPROMISE"
	UserKeyRemoteCompromise   Status = "USER_KEY_REMOTE_COMPROMISE"
	UserKeyPhysicalCompromise Status = "USER_KEY_PHYSICAL_COMPROMISE"
	Revoked                   Status = "REVOKED"
	Retired                   Status = "RETIRED"
	UpdateAvailable           Status = "UPDATE_AVAILABLE"

	certifiedLevel     = "FIDO_CERTIFIED_L"    // and 1, 1plus, 2, 2plus, 3, 3plus
	fipsCertifiedLevel = "FIPS140_CERTIFIED_L" // and 1 to 4
)
