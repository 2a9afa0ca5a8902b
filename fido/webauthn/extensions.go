package webauthn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"

	"fob/fido/ctap"
)

// Problems of extension inputs, that a MemberError unwraps to.
var (
	ErrNotRegistration   = errors.New("is not for registration")
	ErrNotAuthentication = errors.New("is not for sign-in")
	ErrReadAndWrite      = errors.New("can't go with a large blob to be written")
	ErrOneCredential     = errors.New("needs exactly one element in allowCredentials")
	ErrNoSuchCredential  = errors.New("is not the id of an element of allowCredentials")
)

// LargeBlobSupport says how much the relying party wants the credential to have room for a large blob (§10.1.5).
type LargeBlobSupport string

const (
	LargeBlobRequired  LargeBlobSupport = "required"
	LargeBlobPreferred LargeBlobSupport = "preferred" // the default, where largeBlob is asked for
)

// RegistrationExtensions are the extension inputs of a registration that we know (§9.3).
type RegistrationExtensions struct {
	CredProps          bool             // §10.1.3
	CredProtect        ctap.CredProtect // credentialProtectionPolicy (CTAP 2.2 §12.1); 0 when absent
	EnforceCredProtect bool             // enforceCredentialProtectionPolicy
	CredBlob           []byte           // CTAP 2.2 §12.2; nil when absent
	MinPINLength       bool             // CTAP 2.2 §12.5
	LargeBlob          LargeBlobSupport // §10.1.5; empty when absent
	PRF                *PRFInputs       // §10.1.4; nil when absent
}

// AuthenticationExtensions are the extension inputs of a sign-in that we know.
type AuthenticationExtensions struct {
	GetCredBlob    bool
	LargeBlobRead  bool
	LargeBlobWrite []byte // nil when absent
	PRF            *PRFInputs
}

// PRFInputs are the inputs of prf (§10.1.4, AuthenticationExtensionsPRFInputs).
type PRFInputs struct {
	Eval             *PRFValues           // nil when absent
	EvalByCredential map[string]PRFValues // by credential ID, its bytes; at sign-in alone
}

// PRFValues are inputs or outputs of a pseudo-random function (§10.1.4, AuthenticationExtensionsPRFValues). Second is
// nil when absent.
type PRFValues struct {
	First  Secret `json:"first"`
	Second Secret `json:"second,omitzero"`
}

// Salts gives the salts of hmac-secret that stand for the inputs: 32 bytes or, with a second one, 64 (§10.1.4).
func (v *PRFValues) Salts() []byte {
	hash := func(input []byte) []byte {
		sum := sha256.Sum256(append([]byte("WebAuthn PRF\x00"), input...))
		return sum[:]
	}
	if v.Second == nil {
		return hash(v.First)
	}
	return append(hash(v.First), hash(v.Second)...)
}

// registrationExtensions reads extensions.
func (o object) registrationExtensions() RegistrationExtensions {
	x := RegistrationExtensions{
		CredProps:          o.flag("credProps"),
		CredProtect:        o.credProtect("credentialProtectionPolicy"),
		EnforceCredProtect: o.flag("enforceCredentialProtectionPolicy"),
		CredBlob:           o.bytes("credBlob", optional, 0, MaxJSONSize),
		MinPINLength:       o.flag("minPinLength"),
	}
	if o.present("largeBlob") {
		blob := o.object("largeBlob", required)
		x.LargeBlob = known(blob.text("support", optional), LargeBlobPreferred, LargeBlobRequired)
		blob.refuse(ErrNotRegistration, "read", "write")
	}
	if o.present("prf") {
		prf := o.object("prf", required)
		x.PRF = &PRFInputs{Eval: prf.values("eval")}
		prf.refuse(ErrNotRegistration, "evalByCredential")
	}
	return x
}

// authenticationExtensions reads extensions.
func (o object) authenticationExtensions(allowed []PublicKeyCredentialDescriptorJSON) AuthenticationExtensions {
	x := AuthenticationExtensions{GetCredBlob: o.flag("getCredBlob")}
	if o.present("largeBlob") {
		blob := o.object("largeBlob", required)
		blob.refuse(ErrNotAuthentication, "support")
		x.LargeBlobRead, x.LargeBlobWrite = blob.flag("read"), blob.bytes("write", optional, 0, MaxJSONSize)
		if x.LargeBlobWrite != nil {
			blob.refuse(ErrReadAndWrite, "read")
			if len(allowed) != 1 {
				blob.fail("write", ErrOneCredential)
			}
		}
	}
	if o.present("prf") {
		prf := o.object("prf", required)
		x.PRF = &PRFInputs{Eval: prf.values("eval"), EvalByCredential: prf.valuesByCredential("evalByCredential", allowed)}
	}
	return x
}

func (o object) present(name string) bool { _, ok := o.members[name]; return ok }

// refuse fails when one of the members is present.
func (o object) refuse(problem error, names ...string) {
	for _, name := range names {
		if o.present(name) {
			o.fail(name, problem)
		}
	}
}

// credProtect reads a CredentialProtectionPolicy, an enumeration that has no unknown values (CTAP 2.2 §12.1).
func (o object) credProtect(name string) ctap.CredProtect {
	if !o.present(name) {
		return 0
	}
	switch o.text(name, required) {
	case "userVerificationOptional":
		return ctap.UserVerificationOptional
	case "userVerificationOptionalWithCredentialIDList":
		return ctap.UserVerificationOptionalWithCredentialIDList
	case "userVerificationRequired":
		return ctap.UserVerificationRequired
	}
	o.fail(name, ErrValue)
	return 0
}

// values reads an AuthenticationExtensionsPRFValues.
func (o object) values(name string) *PRFValues {
	if !o.present(name) {
		return nil
	}
	v := o.object(name, required)
	return &PRFValues{
		First:  Secret(v.bytes("first", required, 0, MaxJSONSize)),
		Second: Secret(v.bytes("second", optional, 0, MaxJSONSize)),
	}
}

// valuesByCredential reads evalByCredential, whose members are named by the credentials that are allowed (§10.1.4).
func (o object) valuesByCredential(name string, allowed []PublicKeyCredentialDescriptorJSON) map[string]PRFValues {
	record := o.object(name, optional)
	var all map[string]PRFValues
	for _, id := range slices.Sorted(maps.Keys(record.members)) {
		b, err := base64URL.DecodeString(id)
		names := func(c PublicKeyCredentialDescriptorJSON) bool { return bytes.Equal(c.ID, b) }
		if err != nil || Base64URL(b).String() != id || !slices.ContainsFunc(allowed, names) { // Go's decoder skips line ends
			record.fail(id, ErrNoSuchCredential)
			return nil
		}
		if all == nil {
			all = make(map[string]PRFValues)
		}
		if v := record.values(id); v != nil {
			all[string(b)] = *v
		}
	}
	return all
}
