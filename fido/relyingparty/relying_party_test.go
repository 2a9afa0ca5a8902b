package relyingparty

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

const (
	rpID   = "example.com"
	origin = "https://login.example.com"
)

func newRP(t *testing.T) *RelyingParty {
	t.Helper()
	rp, err := New(rpID, origin)
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// answerRegistration plays client and key.
func answerRegistration(t *testing.T, key *softKey, options []byte, from string) *webauthn.RegistrationResponseJSON {
	t.Helper()
	parsed, err := webauthn.ParseCreationOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	r, err := webauthn.BeginRegistration(parsed, from)
	if err != nil {
		t.Fatal(err)
	}
	rk := parsed.AuthenticatorSelection.ResidentKey == webauthn.ResidentKeyRequired
	response, err := r.Finish(key.makeCredential(r), []string{"usb"}, rk, webauthn.ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func answerSignIn(t *testing.T, key *softKey, options []byte, from string) *webauthn.AuthenticationResponseJSON {
	t.Helper()
	parsed, err := webauthn.ParseRequestOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	a, err := webauthn.BeginAuthentication(parsed, from)
	if err != nil {
		t.Fatal(err)
	}
	response, err := a.Finish(key.getAssertion(a), webauthn.ExtensionOutputs{})
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func register(t *testing.T, rp *RelyingParty, key *softKey, name string, choices RegistrationChoices) Record {
	t.Helper()
	options, session, err := rp.BeginRegistration(User{Name: name}, choices)
	if err != nil {
		t.Fatal(err)
	}
	record, err := rp.FinishRegistration(session, encode(t, answerRegistration(t, key, options, origin)))
	if err != nil {
		t.Fatal(err)
	}
	return *record
}

func signIn(t *testing.T, rp *RelyingParty, key *softKey, records []Record, choices SignInChoices) (*SignIn, error) {
	t.Helper()
	options, session, err := rp.BeginSignIn(records, choices)
	if err != nil {
		t.Fatal(err)
	}
	return rp.FinishSignIn(session, records, encode(t, answerSignIn(t, key, options, origin)))
}

func TestRegistration(t *testing.T) {
	for _, alg := range []ctap.Algorithm{ctap.ES256, ctap.EdDSA} {
		synctest.Test(t, func(t *testing.T) {
			key := newSoftKey(t, alg)
			key.data.Attested.AAGUID = ctap.AAGUID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
			record := register(t, newRP(t), key, "alice@example.com", RegistrationChoices{
				Algorithms: []ctap.Algorithm{alg}, Attestation: webauthn.AttestationDirect,
				ResidentKey: webauthn.ResidentKeyRequired, UserVerification: webauthn.UserVerificationRequired})
			want := Record{
				Version: 1, RPID: rpID, Origin: origin,
				User: User{ID: key.user, Name: "alice@example.com", DisplayName: "alice@example.com"},
				Credential: Credential{
					ID:                key.data.Attested.CredentialID,
					PublicKey:         webauthn.Base64URL(key.data.Attested.PublicKey),
					Algorithm:         alg,
					AAGUID:            "00112233-4455-6677-8899-aabbccddeeff",
					SignCount:         1,
					UserVerified:      true,
					Transports:        []string{"usb"},
					Discoverable:      true,
					AttestationFormat: "packed",
				},
				Created: time.Now().UTC(), // synctest's clock begins at a whole second and stands still
			}
			if !reflect.DeepEqual(record, want) {
				t.Errorf("got  %+v\nwant %+v", record, want)
			}
			if len(record.User.ID) != userIDLength {
				t.Errorf("user handle of %d bytes", len(record.User.ID))
			}
		})
	}
}

// TestRegistrationOptions reads what a client is asked for.
func TestRegistrationOptions(t *testing.T) {
	rp := newRP(t)
	old := register(t, rp, newSoftKey(t, ctap.ES256), "alice", RegistrationChoices{})
	if old.Credential.AttestationFormat != "packed" || old.Credential.Discoverable {
		t.Errorf("%+v", old)
	}
	b, _, err := rp.BeginRegistration(User{ID: old.User.ID, Name: "alice", DisplayName: "Alice"}, RegistrationChoices{
		Existing: []Record{old}, Algorithms: []ctap.Algorithm{ctap.EdDSA}})
	if err != nil {
		t.Fatal(err)
	}
	o, err := webauthn.ParseCreationOptions(b)
	if err != nil {
		t.Fatal(err)
	}
	if o.RP.ID != rpID || string(o.User.ID) != string(old.User.ID) || o.User.DisplayName != "Alice" || !o.CredProps ||
		len(o.Challenge) != 32 || !o.Allows(ctap.EdDSA) || o.Allows(ctap.ES256) || len(o.ExcludeCredentials) != 1 ||
		string(o.ExcludeCredentials[0].ID) != string(old.Credential.ID) || o.Timeout != 300_000 ||
		o.AuthenticatorSelection.ResidentKey != webauthn.ResidentKeyDiscouraged ||
		o.AuthenticatorSelection.UserVerification != webauthn.UserVerificationPreferred {
		t.Errorf("%s", b)
	}
	again, _, err := rp.BeginRegistration(User{Name: "alice"}, RegistrationChoices{})
	if err != nil {
		t.Fatal(err)
	}
	if o2, err := webauthn.ParseCreationOptions(again); err != nil || string(o2.Challenge) == string(o.Challenge) {
		t.Errorf("the challenge repeats: %v", err)
	}
}

func TestBeginErrors(t *testing.T) {
	rp := newRP(t)
	record := register(t, rp, newSoftKey(t, ctap.ES256), "alice", RegistrationChoices{})
	foreign := record
	foreign.RPID = "example.org"
	many := make([]Record, webauthn.MaxListLength+1)
	for name, c := range map[string]struct {
		user    User
		choices RegistrationChoices
		want    error
	}{
		"no name":           {User{}, RegistrationChoices{}, webauthn.ErrValue},
		"name is not UTF-8": {User{Name: "\xff"}, RegistrationChoices{}, webauthn.ErrValue},
		"long name":         {User{Name: strings.Repeat("a", 1025)}, RegistrationChoices{}, webauthn.ErrValue},
		"long display name": {
			User{Name: "a", DisplayName: strings.Repeat("a", 1025)}, RegistrationChoices{}, webauthn.ErrValue},
		"long user handle": {
			User{Name: "a", ID: make([]byte, 65)}, RegistrationChoices{}, webauthn.ErrLength},
		"unknown algorithm": {
			User{Name: "a"}, RegistrationChoices{Algorithms: []ctap.Algorithm{-258}}, ctap.ErrUnsupportedAlgorithm},
		"algorithm that can't be verified": {
			User{Name: "a"}, RegistrationChoices{Algorithms: []ctap.Algorithm{ctap.MLDSA44}}, ctap.ErrUnsupportedAlgorithm},
		"other RP":            {User{Name: "a"}, RegistrationChoices{Existing: []Record{foreign}}, ErrOtherRP},
		"too many to exclude": {User{Name: "a"}, RegistrationChoices{Existing: many}, ErrTooManyRecords},
	} {
		if b, s, err := rp.BeginRegistration(c.user, c.choices); b != nil || s != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		records []Record
		want    error
	}{"none": {nil, ErrNoRecords}, "other RP": {[]Record{record, foreign}, ErrOtherRP}, "many": {many, ErrTooManyRecords}} {
		if b, s, err := rp.BeginSignIn(c.records, SignInChoices{}); b != nil || s != nil || !errors.Is(err, c.want) {
			t.Errorf("sign-in with %s: %v", name, err)
		}
	}
	var e *webauthn.RPIDError
	if _, err := New("example.org", origin); !errors.As(err, &e) {
		t.Errorf("%v", err)
	}
	if _, err := New("", "https://intranet"); err == nil {
		t.Error("an RP ID that go-webauthn can't verify was accepted")
	}
}

func TestSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rp := newRP(t)
		alice, bob := newSoftKey(t, ctap.ES256), newSoftKey(t, ctap.EdDSA)
		records := []Record{register(t, rp, alice, "alice", RegistrationChoices{}), register(t, rp, bob, "bob", RegistrationChoices{})}
		time.Sleep(time.Hour) // on synctest's clock
		for _, choices := range []SignInChoices{{}, {Discoverable: true}, {UserVerification: webauthn.UserVerificationRequired}} {
			got, err := signIn(t, rp, bob, records, choices)
			if err != nil {
				t.Fatal(err)
			}
			want := records[1]
			want.Credential.SignCount, want.LastUsed = 2, time.Now().UTC()
			if got.Index != 1 || !got.UserPresent || !got.UserVerified || got.SignCount != 2 || got.CloneWarning ||
				!reflect.DeepEqual(got.Record, want) {
				t.Errorf("%+v: %+v", choices, got)
			}
		}
		bob.data.Flags &^= ctap.FlagUV
		if got, err := signIn(t, rp, bob, records, SignInChoices{}); err != nil || got.UserVerified || !got.UserPresent {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestSignCount goes through the comparison of counters (§7.2, last steps).
func TestSignCount(t *testing.T) {
	for _, c := range []struct {
		stored, said, kept uint32
		warning            bool
	}{
		{5, 6, 6, false}, {5, 5, 5, true}, {5, 4, 5, true}, {5, 0, 5, true}, {0, 0, 0, false}, {0, 1, 1, false},
		{1<<32 - 1, 1, 1<<32 - 1, true},
	} {
		rp, key := newRP(t), newSoftKey(t, ctap.ES256)
		record := register(t, rp, key, "alice", RegistrationChoices{})
		record.Credential.SignCount = c.stored
		key.data.SignCount = c.said - 1 // the key adds one
		got, err := signIn(t, rp, key, []Record{record}, SignInChoices{})
		if err != nil {
			t.Fatal(err)
		}
		if got.SignCount != c.said || got.Record.Credential.SignCount != c.kept || got.CloneWarning != c.warning {
			t.Errorf("%d after %d: %+v", c.said, c.stored, got)
		}
	}
}
