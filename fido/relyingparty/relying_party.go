package relyingparty

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	server "github.com/go-webauthn/webauthn/webauthn"

	"fob/fido/webauthn"
)

// SessionLifetime is how long after Begin… a response is taken.
const SessionLifetime = 5 * time.Minute

var (
	// ErrNotVerified tells of a response that does not prove what it should: malformed, of another challenge, origin,
	// RP ID, user or credential, too late, without a flag that is required, or with a bad signature. It wraps the
	// reason.
	ErrNotVerified = errors.New("not verified")
	// ErrSession tells of a session that was used before, or is of the other kind of ceremony.
	ErrSession = errors.New("the session was used before or is of another ceremony")
	// ErrUnknownCredential tells, within ErrNotVerified, of a credential that no record describes.
	ErrUnknownCredential = errors.New("no record has this credential")
	// ErrNoRecords tells of a sign-in that names its credentials and has none.
	ErrNoRecords = errors.New("no records to sign in with")
	// ErrOtherRP tells of a record of another relying party.
	ErrOtherRP = errors.New("the record is of another relying party")
	// ErrTooManyRecords tells of more records than clients take in a list.
	ErrTooManyRecords = fmt.Errorf("more than %d records", webauthn.MaxListLength)
)

// RelyingParty runs ceremonies for one RP ID and origin.
type RelyingParty struct {
	rpID, origin string
	server       *server.WebAuthn
}

// ErrOneLabel tells of an RP ID of one label, such as a host name of an intranet, which go-webauthn does not accept.
var ErrOneLabel = errors.New("the RP ID must have a dot, unless it is localhost")

// New makes a relying party. rpID is empty for the origin's host. The error is a *webauthn.RPIDError, or ErrOneLabel.
func New(rpID, origin string) (*RelyingParty, error) {
	rpID, err := webauthn.CheckRPID(rpID, origin)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(rpID, ".") && rpID != "localhost" {
		return nil, fmt.Errorf("%w: %q", ErrOneLabel, rpID)
	}
	timeout := server.TimeoutConfig{Enforce: true, Timeout: SessionLifetime, TimeoutUVD: SessionLifetime}
	s, err := server.New(&server.Config{
		RPID:          rpID,
		RPDisplayName: rpID,
		RPOrigins:     []string{origin},
		Timeouts:      server.TimeoutsConfig{Login: timeout, Registration: timeout},
	})
	if err != nil {
		return nil, err
	}
	return &RelyingParty{rpID, origin, s}, nil
}

// Session is what the relying party remembers between Begin… and Finish… of one ceremony. It stays in the process.
type Session struct {
	ceremony     webauthn.Ceremony
	data         server.SessionData
	user         User
	discoverable bool // what a registration asked for
	used         atomic.Bool
}

// use takes the session for good: a second response to the same challenge is a replay.
func (s *Session) use(ceremony webauthn.Ceremony) error {
	if s.ceremony != ceremony || !s.used.CompareAndSwap(false, true) {
		return ErrSession
	}
	return nil
}

// account is a user as go-webauthn sees one.
type account struct {
	user        User
	credentials []server.Credential
}

func (a *account) WebAuthnID() []byte                       { return a.user.ID }
func (a *account) WebAuthnName() string                     { return a.user.Name }
func (a *account) WebAuthnDisplayName() string              { return a.user.DisplayName }
func (a *account) WebAuthnCredentials() []server.Credential { return a.credentials }

func notVerified(reason error) error { return fmt.Errorf("%w: %w", ErrNotVerified, plain(reason)) }

// plain gives go-webauthn's errors words for a person: no capital letter, and nothing behind a reason that it lacks.
func plain(reason error) error {
	var e *protocol.Error
	if !errors.As(reason, &e) {
		return reason
	}
	text := strings.TrimSuffix(e.Details, ": <nil>")
	if text != "" {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return &plainError{text, reason}
}

// plainError is an error in other words.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

// descriptors lists the credentials of records, all of this relying party.
func (rp *RelyingParty) descriptors(records []Record) ([]protocol.CredentialDescriptor, error) {
	if len(records) > webauthn.MaxListLength {
		return nil, ErrTooManyRecords
	}
	var list []protocol.CredentialDescriptor
	for _, r := range records {
		if r.RPID != rp.rpID {
			return nil, fmt.Errorf("%w: %s", ErrOtherRP, r.RPID)
		}
		credential := r.credential()
		list = append(list, credential.Descriptor())
	}
	return list, nil
}

// encodeOptions encodes options and reads them as the client will, so that what can't be parsed never leaves.
func encodeOptions[T any](options any, parse func([]byte) (*T, error)) ([]byte, error) {
	b, err := json.Marshal(options)
	if err != nil {
		return nil, err
	}
	if _, err := parse(b); err != nil {
		return nil, err
	}
	return b, nil
}
