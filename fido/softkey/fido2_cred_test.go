package softkey_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fob/fido/softkey"
)

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// clientDataHash is what fido2-cred and fido2-assert take instead of client data.
func clientDataHash(challenge string) string {
	h := sha256.Sum256([]byte(challenge))
	return encode(h[:])
}

const (
	rpID  = "example.com"
	alice = "alice@example.com"
	bob   = "bob@example.com"
)

// credentialOptions are those of fido2-cred -M.
type credentialOptions struct {
	alg      string // es256 where it is empty
	resident bool
	pin      string // asks for user verification where it is not empty
}

func (o credentialOptions) flags() (flags []string) {
	if o.resident {
		flags = append(flags, "-r")
	}
	if o.pin != "" {
		flags = append(flags, "-v")
	}
	return flags
}

func (o credentialOptions) algorithm() []string {
	if o.alg == "" {
		return nil
	}
	return []string{o.alg}
}

// credential is what fido2-cred -V believed.
type credential struct {
	options credentialOptions
	user    string
	id      string // base64
	key     string // path of the public key
}

// tryCredential is fido2-cred -M, which may fail. The user ID is that of the name.
func tryCredential(t *testing.T, key *softkey.Key, user string, o credentialOptions) run {
	t.Helper()
	input := file(t, lines(clientDataHash("register "+user), rpID, user, encode([]byte(user))))
	args := append([]string{"-M", "-i", input}, o.flags()...)
	return try(t, lines(o.pin), "fido2-cred", append(append(args, key.Path()), o.algorithm()...)...)
}

// makeCredential is fido2-cred -M | fido2-cred -V.
func makeCredential(t *testing.T, key *softkey.Key, user string, o credentialOptions) credential {
	t.Helper()
	made := tryCredential(t, key, user, o).ok()
	verify := []string{"-V"}
	if o.pin != "" {
		verify = append(verify, "-v")
	}
	verified := try(t, made, "fido2-cred", append(verify, o.algorithm()...)...).ok()
	id, publicKey, _ := strings.Cut(verified, "\n")
	return credential{o, user, id, file(t, publicKey)}
}

// tryAssertion is fido2-assert -G, which may fail; with an ID it goes into the allow list, without it asks for resident
// credentials.
func tryAssertion(t *testing.T, key *softkey.Key, id, typed string, flags ...string) run {
	t.Helper()
	input := []string{clientDataHash("sign in"), rpID}
	if id == "" {
		flags = append(flags, "-r")
	} else {
		input = append(input, id)
	}
	args := append([]string{"-G", "-i", file(t, lines(input...))}, flags...)
	return try(t, typed, "fido2-assert", append(args, key.Path())...)
}

// verify is fido2-assert -V with the credential's public key.
func (c credential) verify(t *testing.T, assertion string, flags ...string) run {
	t.Helper()
	args := append([]string{"-V"}, flags...)
	return try(t, assertion, "fido2-assert", append(append(args, c.key), c.options.algorithm()...)...)
}

// TestCredAndAssert registers and signs in, in every way that the tools have.
func TestCredAndAssert(t *testing.T) {
	for _, alg := range []string{"es256", "eddsa", "es384", "rs256"} {
		for _, resident := range []bool{false, true} {
			for _, pin := range []string{"", pin} {
				o := credentialOptions{alg, resident, pin}
				t.Run(fmt.Sprintf("%s resident=%v pin=%v", alg, resident, pin != ""), func(t *testing.T) { credAndAssert(t, o) })
			}
		}
	}
}

func credAndAssert(t *testing.T, o credentialOptions) {
	key := plug(t, softkey.Options{})
	if o.pin != "" {
		try(t, lines(o.pin, o.pin), "fido2-token", "-S", key.Path()).ok()
	}
	c := makeCredential(t, key, alice, o)
	ids, flags := []string{c.id}, []string{"-p"}
	if o.resident {
		ids = append(ids, "") // without an allow list
	}
	if o.pin != "" {
		flags = append(flags, "-v")
	}
	for _, id := range ids {
		assertion := tryAssertion(t, key, id, lines(o.pin), flags...).ok()
		c.verify(t, assertion, flags...).ok()
		c.verify(t, forge(t, assertion), flags...).fails("fido_assert_verify: FIDO_ERR_INVALID_SIG")
	}
	silent := tryAssertion(t, key, c.id, "", "-t", "up=false").ok()
	c.verify(t, silent).ok()
	c.verify(t, silent, "-p").fails("fido_assert_verify: FIDO_ERR_INVALID_PARAM")
	c.verify(t, silent, "-v").fails("fido_assert_verify: FIDO_ERR_INVALID_PARAM")
}

// forge gives an assertion that was for another challenge.
func forge(t *testing.T, assertion string) string {
	t.Helper()
	_, rest, ok := strings.Cut(assertion, "\n")
	if !ok {
		t.Fatalf("assertion %q", assertion)
	}
	return clientDataHash("another challenge") + "\n" + rest
}

// TestSeveralAccounts makes three accounts of one RP; an assertion of each comes back, newest first.
func TestSeveralAccounts(t *testing.T) {
	key := plugWithPIN(t)
	var made []credential
	for _, user := range []string{alice, bob, "carol@example.com"} {
		made = append(made, makeCredential(t, key, user, credentialOptions{resident: true, pin: pin}))
	}
	again := makeCredential(t, key, alice, credentialOptions{resident: true, pin: pin}) // replaces hers
	made = append(made[1:], again)
	slices.Reverse(made)

	got := strings.SplitAfter(tryAssertion(t, key, "", lines(pin), "-v").ok(), "\n")
	const each = 5 // lines: client data hash, RP ID, authenticator data, signature, user ID
	if len(got) != each*len(made)+1 {
		t.Fatalf("%d assertions, want %d:\n%s", len(got)/each, len(made), strings.Join(got, ""))
	}
	for i, c := range made {
		assertion := got[i*each : (i+1)*each]
		if user := strings.TrimSpace(assertion[4]); user != encode([]byte(c.user)) {
			t.Errorf("assertion %d is of user %s, want %s", i, user, c.user)
		}
		c.verify(t, strings.Join(assertion[:4], ""), "-v").ok()
	}
}

func TestWrongPIN(t *testing.T) {
	key := plugWithPIN(t)
	c := makeCredential(t, key, alice, credentialOptions{})
	wrong := credentialOptions{resident: true, pin: wrongPIN}
	tryCredential(t, key, bob, wrong).fails("fido_dev_make_cred: FIDO_ERR_PIN_INVALID")
	tryAssertion(t, key, c.id, lines(wrongPIN), "-v").fails("fido_dev_get_assert: FIDO_ERR_PIN_INVALID")
	tryAssertion(t, key, c.id, lines(wrongPIN), "-v").fails("fido_dev_get_assert: FIDO_ERR_PIN_AUTH_BLOCKED")
	tryAssertion(t, key, c.id, lines(pin), "-v").fails("fido_dev_get_assert: FIDO_ERR_PIN_AUTH_BLOCKED")
	tryAssertion(t, key, c.id, "").ok() // without verification it still works
	key.PowerCycle()
	tryAssertion(t, key, c.id, lines(pin), "-v").ok()
	wantInfo(t, key, map[string]string{"pin retries": "8"})
}

// TestRefusals are requests that the key can't fulfil. (The tools have no exclude list.)
func TestRefusals(t *testing.T) {
	key := plugWithPIN(t)
	es256Only := plug(t, softkey.Options{Profile: profile(t, "fido2.0")})
	withoutU2F := plug(t, softkey.Options{Profile: profile(t, "no-pin")})
	c := makeCredential(t, key, alice, credentialOptions{})
	input := file(t, lines(clientDataHash("register"), rpID, alice, encode([]byte(alice))))
	elsewhere := file(t, lines(clientDataHash("sign in"), "example.org", c.id))
	for _, test := range []struct {
		command []string
		want    string
	}{
		{[]string{"fido2-cred", "-M", "-i", input, es256Only.Path(), "rs256"}, "FIDO_ERR_UNSUPPORTED_ALGORITHM"},
		{[]string{"fido2-cred", "-M", "-q", "-r", "-i", input, key.Path()}, "FIDO_ERR_PIN_REQUIRED"},
		{[]string{"fido2-cred", "-M", "-q", "-v", "-i", input, key.Path()}, "FIDO_ERR_PIN_REQUIRED"},
		{[]string{"fido2-cred", "-M", "-u", "-i", input, withoutU2F.Path()}, "FIDO_ERR_RX"},
		{[]string{"fido2-assert", "-G", "-i", elsewhere, key.Path()}, "FIDO_ERR_NO_CREDENTIALS"},
	} {
		try(t, "", test.command[0], test.command[1:]...).fails(test.want)
	}
	tryAssertion(t, key, "", "").fails("fido_dev_get_assert: FIDO_ERR_NO_CREDENTIALS") // no resident one
	tryAssertion(t, key, c.id, "").ok()
}

// TestStateFile unplugs a key and plugs it in again: registrations and PIN are still there, the counter goes on.
func TestStateFile(t *testing.T) {
	state := filepath.Join(t.TempDir(), "key.json")
	o := credentialOptions{resident: true, pin: pin}
	key, err := softkey.Plug(t.Context(), softkey.Options{State: state, PIN: []byte(pin)})
	if err != nil {
		t.Fatal(err)
	}
	resident := makeCredential(t, key, alice, o)
	other := makeCredential(t, key, bob, credentialOptions{})
	if err := key.Close(); err != nil {
		t.Fatal(err)
	}
	key = plug(t, softkey.Options{State: state})
	resident.verify(t, tryAssertion(t, key, "", lines(pin), "-v").ok(), "-v").ok()
	other.verify(t, tryAssertion(t, key, other.id, "").ok()).ok()
}
