package relyingparty

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	server "github.com/go-webauthn/webauthn/webauthn"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

// userIDLength is the length of a new user handle, in bytes, as §14.6.1 recommends.
const userIDLength = 64

// RegistrationChoices says what to ask for; the zero value asks for what WebAuthn does by default.
type RegistrationChoices struct {
	UserVerification webauthn.UserVerificationRequirement     // empty: preferred
	ResidentKey      webauthn.ResidentKeyRequirement          // empty: discouraged
	Attestation      webauthn.AttestationConveyancePreference // empty: none
	Algorithms       []ctap.Algorithm                         // most wanted first; empty: ES256, EdDSA, ES384
	Existing         []Record                                 // a key that holds one of these is refused
	Timeout          time.Duration                            // for the client; 0: SessionLifetime
}

// BeginRegistration makes the options of a registration, {"publicKey": …} in JSON, and the session that belongs to
// them. A user without ID gets a new one; one without display name is displayed by name. Errors: ErrOtherRP,
// ErrTooManyRecords, ctap.ErrUnsupportedAlgorithm, and a *webauthn.MemberError for a bad user.
func (rp *RelyingParty) BeginRegistration(user User, choices RegistrationChoices) ([]byte, *Session, error) {
	if len(user.ID) == 0 {
		user.ID = make([]byte, userIDLength)
		rand.Read(user.ID)
	}
	user.DisplayName = cmp.Or(user.DisplayName, user.Name)
	if err := user.check(); err != nil {
		return nil, nil, err
	}
	parameters, err := credentialParameters(choices.Algorithms)
	if err != nil {
		return nil, nil, err
	}
	exclude, err := rp.descriptors(choices.Existing)
	if err != nil {
		return nil, nil, err
	}
	residentKey := cmp.Or(choices.ResidentKey, webauthn.ResidentKeyDiscouraged)
	required := residentKey == webauthn.ResidentKeyRequired
	creation, data, err := rp.server.BeginRegistration(&account{user: user},
		server.WithCredentialParameters(parameters),
		server.WithExclusions(exclude),
		server.WithConveyancePreference(protocol.ConveyancePreference(cmp.Or(choices.Attestation, webauthn.AttestationNone))),
		server.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			RequireResidentKey: &required,
			ResidentKey:        protocol.ResidentKeyRequirement(residentKey),
			UserVerification:   userVerification(choices.UserVerification),
		}),
		server.WithExtensions(server.WithExtensionCredProps()))
	if err != nil {
		return nil, nil, err
	}
	if choices.Timeout > 0 {
		creation.Response.Timeout = int(choices.Timeout.Milliseconds())
	}
	options, err := encodeOptions(creation, webauthn.ParseCreationOptions)
	if err != nil {
		return nil, nil, err
	}
	return options, &Session{ceremony: webauthn.CeremonyCreate, data: *data, user: user, discoverable: required}, nil
}

// FinishRegistration verifies the response to a registration (§7.1) and makes the record to save. Errors: ErrSession,
// ErrNotVerified.
func (rp *RelyingParty) FinishRegistration(session *Session, response []byte) (*Record, error) {
	if err := session.use(webauthn.CeremonyCreate); err != nil {
		return nil, err
	}
	if _, err := webauthn.ParseRegistrationResponse(response); err != nil {
		return nil, notVerified(err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, notVerified(err)
	}
	credential, err := rp.server.CreateCredential(&account{user: session.user}, session.data, parsed)
	if err != nil {
		return nil, notVerified(err)
	}
	record := rp.newRecord(session, credential)
	if err := record.check(); err != nil {
		return nil, notVerified(err)
	}
	return record, nil
}

func (rp *RelyingParty) newRecord(session *Session, c *server.Credential) *Record {
	discoverable := session.discoverable
	if c.Extensions.RK != nil {
		discoverable = *c.Extensions.RK
	}
	// Not the algorithm that the client names: this one is in what the authenticator made.
	_, alg, _ := ctap.ParseCOSEKey(c.PublicKey) // an error leaves 0, which check refuses
	record := &Record{
		Version: RecordVersion,
		RPID:    rp.rpID,
		Origin:  rp.origin,
		User:    session.user,
		Credential: Credential{
			ID:                c.ID,
			PublicKey:         c.PublicKey,
			Algorithm:         alg,
			AAGUID:            formatAAGUID(c.Authenticator.AAGUID),
			SignCount:         c.Authenticator.SignCount,
			UserVerified:      c.Flags.UserVerified,
			BackupEligible:    c.Flags.BackupEligible,
			BackupState:       c.Flags.BackupState,
			Transports:        []string{},
			Discoverable:      discoverable,
			AttestationFormat: c.AttestationFormat,
		},
		Created: now(),
	}
	for _, transport := range c.Transport {
		record.Credential.Transports = append(record.Credential.Transports, string(transport))
	}
	return record
}

// Algorithms are those that a registration may ask for: what go-webauthn verifies.
var Algorithms = []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384, ctap.RS256}

func credentialParameters(algorithms []ctap.Algorithm) ([]protocol.CredentialParameter, error) {
	if len(algorithms) == 0 {
		algorithms = []ctap.Algorithm{ctap.ES256, ctap.EdDSA, ctap.ES384}
	}
	var parameters []protocol.CredentialParameter
	for _, alg := range algorithms {
		if !slices.Contains(Algorithms, alg) {
			return nil, fmt.Errorf("%w: %v", ctap.ErrUnsupportedAlgorithm, alg)
		}
		parameters = append(parameters, protocol.CredentialParameter{
			Type:      protocol.PublicKeyCredentialType,
			Algorithm: webauthncose.COSEAlgorithmIdentifier(alg),
		})
	}
	return parameters, nil
}

func userVerification(r webauthn.UserVerificationRequirement) protocol.UserVerificationRequirement {
	return protocol.UserVerificationRequirement(cmp.Or(r, webauthn.UserVerificationPreferred))
}

// now is the time in records: whole seconds, UTC.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
