package relyingparty

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
	"fob/fido/webauthn"
)

func checkNotVerified(t *testing.T, name string, nothing bool, err error) {
	t.Helper()
	if !nothing || !errors.Is(err, ErrNotVerified) || errors.Unwrap(err) != nil || err.Error() == ErrNotVerified.Error() {
		t.Errorf("%s: %v", name, err)
	}
}

// replace replaces text in what a client said.
func replace(b *webauthn.Base64URL, old, new string) {
	*b = bytes.Replace(*b, []byte(old), []byte(new), 1)
}

func TestTamperedRegistration(t *testing.T) {
	type response = webauthn.RegistrationResponseJSON
	for name, tamper := range map[string]func(r *response){
		"id":        func(r *response) { r.ID = []byte("other") },
		"both ids":  func(r *response) { r.ID, r.RawID = []byte("other"), []byte("other") },
		"type":      func(r *response) { r.Type = "password" },
		"ceremony":  func(r *response) { replace(&r.Response.ClientDataJSON, "webauthn.create", "webauthn.get") },
		"challenge": func(r *response) { replace(&r.Response.ClientDataJSON, `"challenge":"`, `"challenge":"x`) },
		"origin":    func(r *response) { replace(&r.Response.ClientDataJSON, "login.", "") },
		"crossOrigin": func(r *response) {
			replace(&r.Response.ClientDataJSON, `"crossOrigin":false`, `"crossOrigin":true`)
		},
		"client data": func(r *response) { r.Response.ClientDataJSON = []byte("x") },
		// Space changes the hash and nothing else: only the attestation's signature can tell.
		"hash":        func(r *response) { r.Response.ClientDataJSON = append(r.Response.ClientDataJSON, ' ') },
		"RP ID hash":  func(r *response) { r.Response.AttestationObject[offset(r, "authDataX")+1] ^= 1 },
		"flags":       func(r *response) { r.Response.AttestationObject[offset(r, "authDataX")+1+32] &^= byte(ctap.FlagUP) },
		"UV flag":     func(r *response) { r.Response.AttestationObject[offset(r, "authDataX")+1+32] &^= byte(ctap.FlagUV) },
		"counter":     func(r *response) { r.Response.AttestationObject[offset(r, "authDataX")+1+36] ^= 1 },
		"AAGUID":      func(r *response) { r.Response.AttestationObject[offset(r, "authDataX")+1+37] ^= 1 },
		"public key":  func(r *response) { r.Response.AttestationObject[len(r.Response.AttestationObject)-1] ^= 1 },
		"signature":   func(r *response) { r.Response.AttestationObject[offset(r, "sigX")+9] ^= 1 },
		"attestation": func(r *response) { r.Response.AttestationObject = []byte{0xa0} },
		"format":      func(r *response) { replace(&r.Response.AttestationObject, "packed", "packet") },
	} {
		rp, key := newRP(t), newSoftKey(t, ctap.ES256)
		options, session, err := rp.BeginRegistration(User{Name: "alice"},
			RegistrationChoices{UserVerification: webauthn.UserVerificationRequired})
		if err != nil {
			t.Fatal(err)
		}
		r := answerRegistration(t, key, options, origin)
		tamper(r)
		record, err := rp.FinishRegistration(session, encode(t, r))
		checkNotVerified(t, name, record == nil, err)
	}
}

// offset finds a byte string in the attestation object: its key and the byte X (0x58) that heads it are given.
func offset(r *webauthn.RegistrationResponseJSON, key string) int {
	i := bytes.Index(r.Response.AttestationObject, []byte(key))
	if i < 0 {
		panic(key + " not found")
	}
	return i + len(key)
}

func TestTamperedSignIn(t *testing.T) {
	type response = webauthn.AuthenticationResponseJSON
	for name, tamper := range map[string]func(r *response){
		"id":          func(r *response) { r.ID = []byte("other") },
		"both ids":    func(r *response) { r.ID, r.RawID = []byte("other"), []byte("other") },
		"type":        func(r *response) { r.Type = "password" },
		"ceremony":    func(r *response) { replace(&r.Response.ClientDataJSON, "webauthn.get", "webauthn.create") },
		"challenge":   func(r *response) { replace(&r.Response.ClientDataJSON, `"challenge":"`, `"challenge":"x`) },
		"origin":      func(r *response) { replace(&r.Response.ClientDataJSON, "login.", "") },
		"hash":        func(r *response) { r.Response.ClientDataJSON = append(r.Response.ClientDataJSON, ' ') },
		"RP ID hash":  func(r *response) { r.Response.AuthenticatorData[0] ^= 1 },
		"UP flag":     func(r *response) { r.Response.AuthenticatorData[32] &^= byte(ctap.FlagUP) },
		"UV flag":     func(r *response) { r.Response.AuthenticatorData[32] &^= byte(ctap.FlagUV) },
		"BE flag":     func(r *response) { r.Response.AuthenticatorData[32] |= byte(ctap.FlagBE) },
		"counter":     func(r *response) { r.Response.AuthenticatorData[36] ^= 1 },
		"signature":   func(r *response) { r.Response.Signature[9] ^= 1 },
		"user handle": func(r *response) { r.Response.UserHandle = []byte("mallory") },
	} {
		for _, discoverable := range []bool{false, true} {
			rp, key := newRP(t), newSoftKey(t, ctap.ES256)
			records := []Record{register(t, rp, key, "alice", RegistrationChoices{})}
			options, session, err := rp.BeginSignIn(records,
				SignInChoices{Discoverable: discoverable, UserVerification: webauthn.UserVerificationRequired})
			if err != nil {
				t.Fatal(err)
			}
			r := answerSignIn(t, key, options, origin)
			tamper(r)
			result, err := rp.FinishSignIn(session, records, encode(t, r))
			checkNotVerified(t, name, result == nil, err)
		}
	}
}

// TestForeignSignIn signs properly, but not what was asked of whom.
func TestForeignSignIn(t *testing.T) {
	rp, alice, bob := newRP(t), newSoftKey(t, ctap.ES256), newSoftKey(t, ctap.ES256)
	records := []Record{register(t, rp, alice, "alice", RegistrationChoices{}), register(t, rp, bob, "bob", RegistrationChoices{})}

	options, session, err := rp.BeginSignIn(records[:1], SignInChoices{}) // alice alone is asked
	if err != nil {
		t.Fatal(err)
	}
	r := answerSignIn(t, alice, options, origin)
	r.ID, r.RawID = records[1].Credential.ID, records[1].Credential.ID
	result, err := rp.FinishSignIn(session, records, encode(t, r))
	checkNotVerified(t, "not asked", result == nil, err)
	if !errors.Is(err, ErrUnknownCredential) {
		t.Error(err)
	}

	result, err = signIn(t, rp, bob, records[:1], SignInChoices{Discoverable: true})
	checkNotVerified(t, "no record", result == nil, err)

	options, session, err = rp.BeginSignIn(records, SignInChoices{Discoverable: true})
	if err != nil {
		t.Fatal(err)
	}
	r = answerSignIn(t, bob, options, origin)
	r.Response.UserHandle = nil
	result, err = rp.FinishSignIn(session, records, encode(t, r))
	checkNotVerified(t, "no user handle", result == nil, err)

	options, session, err = rp.BeginSignIn(records, SignInChoices{})
	if err != nil {
		t.Fatal(err)
	}
	result, err = rp.FinishSignIn(session, records, encode(t, answerSignIn(t, bob, options, "https://evil.example.com")))
	checkNotVerified(t, "another origin of the domain", result == nil, err)
}

func TestSessions(t *testing.T) {
	rp, key := newRP(t), newSoftKey(t, ctap.ES256)
	options, registration, err := rp.BeginRegistration(User{Name: "alice"}, RegistrationChoices{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.FinishSignIn(registration, nil, nil); !errors.Is(err, ErrSession) {
		t.Errorf("registration as sign-in: %v", err)
	}
	response := encode(t, answerRegistration(t, key, options, origin))
	record, err := rp.FinishRegistration(registration, response)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rp.FinishRegistration(registration, response); !errors.Is(err, ErrSession) {
		t.Errorf("replayed registration: %v", err)
	}
	records := []Record{*record}
	options, session, err := rp.BeginSignIn(records, SignInChoices{})
	if err != nil {
		t.Fatal(err)
	}
	response = encode(t, answerSignIn(t, key, options, origin))
	if _, err := rp.FinishRegistration(session, response); !errors.Is(err, ErrSession) {
		t.Errorf("sign-in as registration: %v", err)
	}
	_, err = rp.FinishSignIn(session, records, response[1:])
	var member *webauthn.MemberError
	if checkNotVerified(t, "cut short", true, err); !errors.As(err, &member) {
		t.Error(err)
	}
	if _, err := rp.FinishSignIn(session, records, response); !errors.Is(err, ErrSession) {
		t.Errorf("a session that failed: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	for late, want := range map[time.Duration]error{SessionLifetime - time.Second: nil, SessionLifetime + time.Second: ErrNotVerified} {
		synctest.Test(t, func(t *testing.T) {
			rp, key := newRP(t), newSoftKey(t, ctap.ES256)
			options, session, err := rp.BeginRegistration(User{Name: "alice"}, RegistrationChoices{})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(late) // on synctest's clock
			record, err := rp.FinishRegistration(session, encode(t, answerRegistration(t, key, options, origin)))
			if !errors.Is(err, want) {
				t.Fatalf("registration after %v: %v", late, err)
			}
			if record == nil {
				return
			}
			records := []Record{*record}
			options, session, err = rp.BeginSignIn(records, SignInChoices{UserVerification: webauthn.UserVerificationDiscouraged})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(SessionLifetime + time.Second)
			result, err := rp.FinishSignIn(session, records, encode(t, answerSignIn(t, key, options, origin)))
			checkNotVerified(t, "late sign-in", result == nil, err)
		})
	}
}
