package relyingparty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	server "github.com/go-webauthn/webauthn/webauthn"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

// RecordVersion is the version of the records that this package writes and reads.
const RecordVersion = 1

// Record is what a relying party keeps of a registration: a credential record (§4). It is public data: whoever reads
// it can't sign in, but whoever changes it decides who can. Byte strings are base64url without padding in JSON.
type Record struct {
	Version    int        `json:"version"`
	RPID       string     `json:"rpId"`
	Origin     string     `json:"origin"`
	User       User       `json:"user"`
	Credential Credential `json:"credential"`
	Created    time.Time  `json:"created"`           // RFC 3339
	LastUsed   time.Time  `json:"lastUsed,omitzero"` // RFC 3339; absent before the first sign-in
}

// User is the account that a credential is of. ID is the user handle, 1 to 64 bytes; Name is what a person signs in
// with and DisplayName what a person is called.
type User struct {
	ID          webauthn.Base64URL `json:"id"`
	Name        string             `json:"name"`
	DisplayName string             `json:"displayName"`
}

// Credential describes a public key credential.
type Credential struct {
	ID                webauthn.Base64URL `json:"id"`        // 1 to 1023 bytes
	PublicKey         webauthn.Base64URL `json:"publicKey"` // a COSE_Key (RFC 9052 §7)
	Algorithm         ctap.Algorithm     `json:"algorithm"` // a COSE algorithm identifier, the one in PublicKey
	AAGUID            string             `json:"aaguid"`    // the model, as a UUID (RFC 9562 §4)
	SignCount         uint32             `json:"signCount"` // the highest seen; 0 when the key does not count
	UserVerified      bool               `json:"userVerified"`
	BackupEligible    bool               `json:"backupEligible"`
	BackupState       bool               `json:"backupState"`
	Transports        []string           `json:"transports"`
	Discoverable      bool               `json:"discoverable"`
	AttestationFormat string             `json:"attestationFormat"` // e.g. packed, none
}

// Problems that a RecordError unwraps to, besides *webauthn.MemberError.
var (
	ErrRecordVersion = fmt.Errorf("is of a version that this program does not know; it knows %d", RecordVersion)
	ErrRecordForm    = errors.New("has unknown or repeated members, or is not written as fob writes it")
	ErrRecordSize    = fmt.Errorf("is larger than %d bytes", MaxRecordSize)
)

// RecordError says what is wrong with a record. Path is empty when it did not come from a file.
type RecordError struct {
	Path    string
	Problem error
}

func (e *RecordError) Error() string {
	if e.Path == "" {
		return "record: " + e.Problem.Error()
	}
	return fmt.Sprintf("record %s: %v", e.Path, e.Problem)
}

// Unwrap gives the problem.
func (e *RecordError) Unwrap() error { return e.Problem }

// ParseRecord reads a record, at most MaxRecordSize bytes of JSON. It is strict: what it accepts is, but for white
// space, what Encode gives. The error is a *RecordError.
func ParseRecord(b []byte) (*Record, error) {
	r, err := parseRecord(b)
	if err != nil {
		return nil, &RecordError{Problem: err}
	}
	return r, nil
}

func parseRecord(b []byte) (*Record, error) {
	if len(b) > MaxRecordSize {
		return nil, ErrRecordSize
	}
	if err := webauthn.CheckJSON(b); err != nil {
		return nil, err
	}
	var head struct{ Version int } // first of all, for a later version may have any form
	if err := json.Unmarshal(b, &head); err != nil || head.Version != RecordVersion {
		return nil, ErrRecordVersion
	}
	r := new(Record)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecordForm, err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	var got, want bytes.Buffer
	encoded, err := json.Marshal(r)
	if err != nil || json.Compact(&got, b) != nil || json.Compact(&want, encoded) != nil ||
		!bytes.Equal(got.Bytes(), want.Bytes()) {
		return nil, ErrRecordForm
	}
	return r, nil
}

// Encode gives the record as it is written, in lines. The error is a *RecordError, for a record that could not be
// read again.
func (r *Record) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		_, err = parseRecord(append(b, '\n'))
	}
	if err != nil {
		return nil, &RecordError{Problem: err}
	}
	return append(b, '\n'), nil
}

var aaguidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// formatAAGUID gives the UUID form of 16 bytes.
func formatAAGUID(b []byte) string {
	if len(b) != len(ctap.AAGUID{}) {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// check checks what a record says.
func (r *Record) check() error {
	if r.Version != RecordVersion {
		return ErrRecordVersion
	}
	if r.RPID == "" {
		return &webauthn.MemberError{Member: "rpId", Problem: webauthn.ErrMissing}
	}
	if _, err := webauthn.CheckRPID(r.RPID, r.Origin); err != nil {
		return &webauthn.MemberError{Member: "rpId", Problem: err}
	}
	if err := r.User.check(); err != nil {
		return err
	}
	if r.Created.IsZero() {
		return &webauthn.MemberError{Member: "created", Problem: webauthn.ErrMissing}
	}
	return r.Credential.check()
}

func (u *User) check() error {
	switch {
	case len(u.ID) == 0 || len(u.ID) > webauthn.MaxUserIDLength:
		return &webauthn.MemberError{Member: "user.id", Problem: webauthn.ErrLength}
	case !goodText(u.Name):
		return &webauthn.MemberError{Member: "user.name", Problem: webauthn.ErrValue}
	case !goodText(u.DisplayName):
		return &webauthn.MemberError{Member: "user.displayName", Problem: webauthn.ErrValue}
	}
	return nil
}

func goodText(s string) bool {
	return s != "" && len(s) <= webauthn.MaxTextLength && utf8.ValidString(s)
}

func (c *Credential) check() error {
	_, alg, err := ctap.ParseCOSEKey(c.PublicKey)
	switch {
	case len(c.ID) == 0 || len(c.ID) > ctap.MaxCredentialIDLength:
		return &webauthn.MemberError{Member: "credential.id", Problem: webauthn.ErrLength}
	case err != nil:
		return &webauthn.MemberError{Member: "credential.publicKey", Problem: err}
	case c.Algorithm != alg:
		return &webauthn.MemberError{Member: "credential.algorithm", Problem: webauthn.ErrValue}
	case !aaguidForm.MatchString(c.AAGUID):
		return &webauthn.MemberError{Member: "credential.aaguid", Problem: webauthn.ErrValue}
	case c.BackupState && !c.BackupEligible:
		return &webauthn.MemberError{Member: "credential.backupState", Problem: webauthn.ErrBackupState}
	case c.Transports == nil:
		return &webauthn.MemberError{Member: "credential.transports", Problem: webauthn.ErrMissing}
	case c.AttestationFormat == "":
		return &webauthn.MemberError{Member: "credential.attestationFormat", Problem: webauthn.ErrMissing}
	}
	return nil
}

// credential gives the record in go-webauthn's terms.
func (r *Record) credential() server.Credential {
	c := &r.Credential
	var flags protocol.AuthenticatorFlags
	for flag, set := range map[protocol.AuthenticatorFlags]bool{
		protocol.FlagUserVerified:   c.UserVerified,
		protocol.FlagBackupEligible: c.BackupEligible,
		protocol.FlagBackupState:    c.BackupState,
	} {
		if set {
			flags |= flag
		}
	}
	credential := server.Credential{
		ID:                c.ID,
		PublicKey:         c.PublicKey,
		AttestationFormat: c.AttestationFormat,
		Flags:             server.NewCredentialFlags(flags),
		Authenticator:     server.Authenticator{SignCount: c.SignCount},
	}
	for _, transport := range c.Transports {
		credential.Transport = append(credential.Transport, protocol.AuthenticatorTransport(transport))
	}
	return credential
}
