package emulator

import (
	"testing"

	"fob/fido/ctap"
)

// managing is a request of authenticatorCredentialManagement to a key that has a credential of alice at example.com.
type managing struct {
	attempt
	r      *ctap.CredentialManagementRequest
	params *ctap.CredentialManagementParams // nil for none
}

func beginManaging(t *testing.T, s ctap.CredentialManagementSubcommand,
	params func(*Credential) *ctap.CredentialManagementParams) *managing {

	t.Helper()
	p := newPlatform(t, Options{})
	_, err := p.makeCredential(credentialRequest(discoverable))
	p.must(err)
	p.must(p.a.SetPIN([]byte("1234")))
	m := &managing{holding(p, ctap.PermissionCredentialManagement), &ctap.CredentialManagementRequest{Subcommand: s}, nil}
	if params != nil {
		m.params = params(&p.a.Credentials()[0])
	}
	return m
}

func (m *managing) send() error {
	m.t.Helper()
	if m.params != nil {
		b, err := ctap.Marshal(m.params)
		m.must(err)
		m.r.SubcommandParams = b
	}
	m.r.PINUVAuthProtocol, m.r.PINUVAuthParam = m.protocol, m.sign(m.r.AuthMessage())
	_, err := m.platform.send(m.r.Encode())
	return err
}

// forget takes the credentials away.
func (m *managing) forget() {
	m.must(m.a.update(func(s *state) { s.Credentials = nil }))
}

// TestCredentialManagementPrecedence goes through the steps of §6.8.2 to §6.8.6.
func TestCredentialManagementPrecedence(t *testing.T) {
	type spoiled = misstep[*managing]
	bound := spoiled{"step 6, a token for another RP", ctap.ErrPINAuthInvalid, "rp",
		func(m *managing) { m.a.pin.token.rpID = "example.net" }}
	boundAtAll := spoiled{"step 6, a token for an RP", ctap.ErrPINAuthInvalid, "rp",
		func(m *managing) { m.a.pin.token.rpID = "example.com" }}
	none := spoiled{"step 7, no credentials", ctap.ErrNoCredentials, "credentials", (*managing).forget}
	noParams := spoiled{"step 2, no subCommandParams", ctap.ErrMissingParameter, "params",
		func(m *managing) { m.params = nil }}
	noID := spoiled{"step 2, no credentialID", ctap.ErrMissingParameter, "params",
		func(m *managing) { m.params = &ctap.CredentialManagementParams{User: m.params.User} }}
	unknown := spoiled{"step 7, an unknown credential", ctap.ErrNoCredentials, "params", func(m *managing) {
		m.params.CredentialID = &ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte("x")}
	}}
	named := func(c *Credential) *ctap.CredentialManagementParams {
		return &ctap.CredentialManagementParams{CredentialID: c.descriptor()}
	}
	for _, test := range []struct {
		section string
		s       ctap.CredentialManagementSubcommand
		params  func(*Credential) *ctap.CredentialManagementParams
		missing []spoiled // step 2
		late    []spoiled // from step 6
	}{
		{"§6.8.2", ctap.SubcommandGetCredsMetadata, nil, nil, []spoiled{boundAtAll}},
		{"§6.8.3", ctap.SubcommandEnumerateRPsBegin, nil, nil, []spoiled{boundAtAll, none}},
		{"§6.8.4", ctap.SubcommandEnumerateCredentialsBegin,
			func(c *Credential) *ctap.CredentialManagementParams {
				return &ctap.CredentialManagementParams{RPIDHash: rpIDHash(c.RPID)}
			},
			[]spoiled{noParams, {"step 2, no rpIDHash", ctap.ErrMissingParameter, "params",
				func(m *managing) { m.params = &ctap.CredentialManagementParams{} }}},
			[]spoiled{bound, none, {"step 7, an unknown RP", ctap.ErrNoCredentials, "params", func(m *managing) {
				m.params = &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.org")}
			}}}},
		{"§6.8.5", ctap.SubcommandDeleteCredential, named, []spoiled{noParams, noID}, []spoiled{bound, none, unknown}},
		{"§6.8.6", ctap.SubcommandUpdateUserInformation,
			func(c *Credential) *ctap.CredentialManagementParams {
				alice := &ctap.PublicKeyCredentialUserEntity{ID: c.UserID}
				return &ctap.CredentialManagementParams{CredentialID: c.descriptor(), User: alice}
			},
			[]spoiled{noParams, noID, {"step 2, no user", ctap.ErrMissingParameter, "params",
				func(m *managing) { m.params.User = nil }}},
			[]spoiled{bound, none, unknown, {"behind step 7, another user ID", ctap.ErrInvalidParameter, "user",
				func(m *managing) {
					if m.params != nil && m.params.User != nil {
						m.params.User.ID = []byte("bob")
					}
				}}}},
	} {
		t.Run(test.section, func(t *testing.T) {
			unsigned, noProtocol, otherProtocol, forged, forbidden := signing(func(m *managing) *attempt { return &m.attempt })
			all := append(append([]spoiled{unsigned}, test.missing...), noProtocol, otherProtocol, forged, forbidden)
			begin := func(t *testing.T) *managing { return beginManaging(t, test.s, test.params) }
			missteps(t, begin, (*managing).send, append(all, test.late...))
		})
	}
}

// TestCredentialManagementByPersistentToken goes through the steps that a persistentPinUvAuthToken leaves (§6.8.2 to
// §6.8.4).
func TestCredentialManagementByPersistentToken(t *testing.T) {
	for section, s := range map[string]ctap.CredentialManagementSubcommand{
		"§6.8.2": ctap.SubcommandGetCredsMetadata,
		"§6.8.3": ctap.SubcommandEnumerateRPsBegin,
		"§6.8.4": ctap.SubcommandEnumerateCredentialsBegin,
	} {
		t.Run(section, func(t *testing.T) {
			unsigned, noProtocol, otherProtocol, forged, _ := signing(func(m *managing) *attempt { return &m.attempt })
			all := []misstep[*managing]{unsigned, noProtocol, otherProtocol, forged,
				{"step 4, granted to nobody", ctap.ErrPINAuthInvalid, "granted", func(m *managing) {
					m.must(m.a.update(func(s *state) { s.ReadOnlyGranted = false }))
				}}}
			if s != ctap.SubcommandGetCredsMetadata {
				all = append(all, misstep[*managing]{
					"step 7, no credentials", ctap.ErrNoCredentials, "credentials", (*managing).forget})
			}
			begin := func(t *testing.T) *managing {
				m := beginManaging(t, s, func(c *Credential) *ctap.CredentialManagementParams {
					return &ctap.CredentialManagementParams{RPIDHash: rpIDHash(c.RPID)}
				})
				m.a.PersistentToken = true
				m.must(m.a.update(func(s *state) { s.ReadOnlyGranted = true }))
				m.token = &token{secret: m.a.state.PersistentToken}
				return m
			}
			missteps(t, begin, (*managing).send, all)
		})
	}
}

// TestCredentialManagementWithoutToken: an enumeration goes on without a token, and what is no subcommand is refused
// before one is asked for.
func TestCredentialManagementWithoutToken(t *testing.T) {
	for _, test := range []struct {
		name string
		s    ctap.CredentialManagementSubcommand
		want error
	}{
		{"§6.8.3 nothing begun", ctap.SubcommandEnumerateRPsGetNextRP, ctap.ErrNotAllowed},
		{"§6.8.4 nothing begun", ctap.SubcommandEnumerateCredentialsGetNextCredential, ctap.ErrNotAllowed},
		{"§8.1 before step 1", 8, ctap.ErrInvalidSubcommand},
		{"no subcommand", 0, ctap.ErrMissingParameter},
	} {
		p := protected(t, "fido2.1")
		if _, err := p.manage(nil, test.s, nil); err != test.want {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// TestEnumerationNeedsLivingToken ends an enumeration with the token that began it (§6, stateful commands, item 3).
func TestEnumerationNeedsLivingToken(t *testing.T) {
	for begin, next := range map[ctap.CredentialManagementSubcommand]ctap.CredentialManagementSubcommand{
		ctap.SubcommandEnumerateRPsBegin:         ctap.SubcommandEnumerateRPsGetNextRP,
		ctap.SubcommandEnumerateCredentialsBegin: ctap.SubcommandEnumerateCredentialsGetNextCredential,
	} {
		for _, expired := range []bool{false, true} {
			p := filled(t)
			token := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
			_, err := p.manage(token, begin, &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.com")})
			p.must(err)
			want := error(nil)
			if expired {
				p.expire()
				p.a.pending.last = p.a.now() // the enumeration itself is fresh
				want = ctap.ErrNotAllowed
			}
			_, err = p.manage(nil, next, nil)
			p.wants(err, want)
		}
	}
}
