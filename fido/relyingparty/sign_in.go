package relyingparty

import (
	"bytes"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	server "github.com/go-webauthn/webauthn/webauthn"

	"fob/fido/webauthn"
)

// SignInChoices says what to ask for.
type SignInChoices struct {
	UserVerification webauthn.UserVerificationRequirement // empty: preferred
	Discoverable     bool                                 // name no credentials: whoever the key knows may sign in
	Timeout          time.Duration                        // for the client; 0: SessionLifetime
}

// SignIn is the result of a sign-in that was verified.
type SignIn struct {
	Index        int    // of the record that signed in, in the records given
	Record       Record // the same, brought up to date, to be saved
	UserPresent  bool
	UserVerified bool
	SignCount    uint32 // what the authenticator said
	// CloneWarning is true when SignCount did not grow though it should have (§6.1.1): there may be two of the key, or
	// it is faulty. Record then keeps the count it had.
	CloneWarning bool
}

// BeginSignIn makes the options of a sign-in, {"publicKey": …} in JSON, and the session that belongs to them. They
// name the credentials of records, which may be of several users, unless the choice is Discoverable. Errors:
// ErrNoRecords, ErrOtherRP, ErrTooManyRecords.
func (rp *RelyingParty) BeginSignIn(records []Record, choices SignInChoices) ([]byte, *Session, error) {
	login := []server.LoginOption{server.WithUserVerification(userVerification(choices.UserVerification))}
	if !choices.Discoverable {
		allow, err := rp.descriptors(records)
		if err != nil {
			return nil, nil, err
		}
		if len(allow) == 0 {
			return nil, nil, ErrNoRecords
		}
		login = append(login, server.WithAllowedCredentials(allow))
	}
	// Discoverable is go-webauthn's word for "the response will tell which user".
	assertion, data, err := rp.server.BeginDiscoverableLogin(login...)
	if err != nil {
		return nil, nil, err
	}
	if choices.Timeout > 0 {
		assertion.Response.Timeout = int(choices.Timeout.Milliseconds())
	}
	options, err := encodeOptions(assertion, webauthn.ParseRequestOptions)
	if err != nil {
		return nil, nil, err
	}
	return options, &Session{ceremony: webauthn.CeremonyGet, data: *data}, nil
}

// FinishSignIn verifies the response to a sign-in (§7.2) against the record of its credential. Errors: ErrSession,
// ErrNotVerified.
func (rp *RelyingParty) FinishSignIn(session *Session, records []Record, response []byte) (*SignIn, error) {
	if err := session.use(webauthn.CeremonyGet); err != nil {
		return nil, err
	}
	if _, err := webauthn.ParseAuthenticationResponse(response); err != nil {
		return nil, notVerified(err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, notVerified(err)
	}
	i := slices.IndexFunc(records, func(r Record) bool {
		return r.RPID == rp.rpID && bytes.Equal(r.Credential.ID, parsed.RawID)
	})
	if i < 0 {
		return nil, notVerified(ErrUnknownCredential)
	}
	credential, err := rp.validate(session.data, &records[i], parsed)
	if err != nil {
		return nil, notVerified(err)
	}
	return newSignIn(i, records[i], credential, &parsed.Response.AuthenticatorData), nil
}

// validate lets go-webauthn judge the response. Where no credentials were named, the user handle must say whose it
// is. Where some were, one of them must have signed, and go-webauthn is told the user whose it is.
func (rp *RelyingParty) validate(data server.SessionData, r *Record, parsed *protocol.ParsedCredentialAssertionData) (
	*server.Credential, error) {
	user := &account{r.User, []server.Credential{r.credential()}}
	if len(data.AllowedCredentialIDs) == 0 {
		find := func(_, _ []byte) (server.User, error) { return user, nil } // go-webauthn compares the handle
		_, credential, err := rp.server.ValidatePasskeyLogin(find, data, parsed)
		return credential, err
	}
	signed := func(id []byte) bool { return bytes.Equal(id, r.Credential.ID) }
	if !slices.ContainsFunc(data.AllowedCredentialIDs, signed) {
		return nil, ErrUnknownCredential
	}
	data.UserID, data.AllowedCredentialIDs = r.User.ID, [][]byte{r.Credential.ID}
	return rp.server.ValidateLogin(user, data, parsed)
}

func newSignIn(i int, record Record, c *server.Credential, data *protocol.AuthenticatorData) *SignIn {
	record.Credential.SignCount = c.Authenticator.SignCount // unchanged when there is a clone warning
	record.Credential.BackupState = c.Flags.BackupState
	record.LastUsed = now()
	return &SignIn{
		Index:        i,
		Record:       record,
		UserPresent:  data.Flags.HasUserPresent(),
		UserVerified: data.Flags.HasUserVerified(),
		SignCount:    data.Counter,
		CloneWarning: c.Authenticator.CloneWarning,
	}
}
