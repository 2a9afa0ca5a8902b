package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fob/daemon/store"
	"fob/fido/metadata"
	"fob/fido/relyingparty"
	"fob/fido/webauthn"
	"fob/hotp"
)

// The buckets of the store. Names of realms, principals and devices are in lower case there, with a zero byte between
// them; secrets of which only the hash is needed are there as such.
const (
	realmBucket       store.Bucket = "account-realm"       // realm
	keyBucket         store.Bucket = "account-key"         // realm: the key that signs JWTs, in PKCS #8
	nonceBucket       store.Bucket = "account-nonce"       // realm: nonces that were used
	principalBucket   store.Bucket = "account-principal"   // realm, principal
	deviceBucket      store.Bucket = "account-device"      // realm, device: whose it is
	attestationBucket store.Bucket = "account-attestation" // realm, device: the attestation object
	tokenBucket       store.Bucket = "account-token"       // serial: a line of JSON, and the seed
	seedBucket        store.Bucket = "account-seed"        // hash of a seed: the serial
	sessionBucket     store.Bucket = "account-session"     // hash of a session
	ticketBucket      store.Bucket = "account-ticket"      // realm, principal
)

// version is that of the records.
const version = 1

// Kind is what an MFA device is.
type Kind string

// The kinds, the best first.
const (
	SecurityKey  Kind = "security-key"  // a passkey that is bound to its device
	Passkey      Kind = "passkey"       // a synced one: backup-eligible (WebAuthn §6.1.3)
	KeptTOTP     Kind = "kept-totp"     // the person's side of the seed is in a TPM or a security key, and not in an app
	HardwareTOTP Kind = "hardware-totp" // a token with a serial number
	VirtualTOTP  Kind = "virtual-totp"  // an authenticator app
)

// FIDO reports whether a device signs, and gives no codes.
func (k Kind) FIDO() bool { return k == SecurityKey || k == Passkey }

func (k Kind) valid() bool {
	return k.FIDO() || k == KeptTOTP || k == HardwareTOTP || k == VirtualTOTP
}

// Device is an MFA device of a principal.
type Device struct {
	Name       string               `json:"name"`
	Kind       Kind                 `json:"kind"`
	Enrolled   time.Time            `json:"enrolled"`             // UTC, in seconds, as all times here
	LastUsed   time.Time            `json:"lastUsed,omitzero"`    // zero: it has not signed in
	Cloned     time.Time            `json:"cloned,omitzero"`      // its signature counter went back; it no longer signs in
	Credential *relyingparty.Record `json:"credential,omitempty"` // FIDO
	Serial     string               `json:"serial,omitempty"`     // TOTP: of the token
	Holder     string               `json:"holder,omitempty"`     // KeptTOTP: the token of fob.OTP that gives the codes
}

func (d *Device) check() error {
	if err := checkName("device", d.Name, maxDeviceName); err != nil {
		return err
	}
	fido := d.Kind.FIDO()
	switch {
	case !d.Kind.valid():
		return &UnsupportedError{string(d.Kind)}
	case fido != (d.Credential != nil) || fido != (d.Serial == "") || d.Holder != "" && d.Kind != KeptTOTP:
		return errors.New("the device has what does not belong to its kind")
	case fido && (d.Kind == Passkey) != d.Credential.Credential.BackupEligible:
		return errors.New("the passkey is of the other kind")
	case len(d.Holder) > maxSerial:
		return errors.New("the holder's name is too long")
	case fido:
		_, err := d.Credential.Encode()
		return err
	}
	return nil
}

// Settings are what a realm has decided on.
type Settings struct {
	// RPID and Origin are what security keys sign for (WebAuthn §4). Empty: fob.internal, of the domain that ICANN keeps
	// for private use.
	RPID   string `json:"rpId"`
	Origin string `json:"origin"`
	// UserVerification is what is asked of security keys: required, preferred, discouraged. Empty: preferred.
	UserVerification webauthn.UserVerificationRequirement `json:"userVerification"`
	// AAGUIDs are the models of security keys that may be enrolled; empty: all.
	AAGUIDs []string `json:"aaguids,omitempty"`
	// RemoveLast lets users remove their last device without an administrator.
	RemoveLast bool `json:"removeLast,omitempty"`
	// Algorithm signs JWTs: ES256 (also where it is empty) or EdDSA.
	Algorithm string `json:"algorithm"`
}

// Realm is a set of principals.
type Realm struct {
	Version  int       `json:"version"`
	Name     string    `json:"name"`
	Created  time.Time `json:"created"`
	Settings Settings  `json:"settings"`
}

const maxModels = 64

func (r *Realm) check() error {
	if err := checkName("realm", r.Name, maxRealmName); err != nil {
		return err
	}
	s := &r.Settings
	if _, err := relyingparty.New(s.RPID, s.Origin); err != nil || s.RPID == "" {
		return &ParameterError{"rpId", fmt.Sprintf("and origin do not fit: %v", err)}
	}
	switch s.UserVerification {
	case webauthn.UserVerificationRequired, webauthn.UserVerificationPreferred, webauthn.UserVerificationDiscouraged:
	default:
		return &ParameterError{"userVerification", "must be required, preferred or discouraged"}
	}
	if s.Algorithm != ES256 && s.Algorithm != EdDSA {
		return &ParameterError{"algorithm", "must be ES256 or EdDSA"}
	}
	if len(s.AAGUIDs) > maxModels {
		return &ParameterError{"aaguids", fmt.Sprintf("are more than %d", maxModels)}
	}
	for _, model := range s.AAGUIDs {
		if _, err := metadata.ParseAAGUID(model); err != nil || model != fold(model) {
			return &ParameterError{"aaguids", "must be AAGUIDs in lower case: 8-4-4-4-12 hexadecimal digits"}
		}
	}
	return nil
}

// Principal is somebody who signs in.
type Principal struct {
	Version int                `json:"version"`
	Realm   string             `json:"realm"`
	Name    string             `json:"name"`
	UserID  webauthn.Base64URL `json:"userId"` // the user handle, random, 64 bytes
	Created time.Time          `json:"created"`
	// Enrolled tells whether there ever was a device, so that the first one is not the first twice.
	Enrolled bool     `json:"enrolled,omitempty"`
	Devices  []Device `json:"devices"`
}

func (p *Principal) check() error {
	if err := checkName("realm", p.Realm, maxRealmName); err != nil {
		return err
	}
	if err := checkName("principal", p.Name, maxPrincipalName); err != nil {
		return err
	}
	if len(p.Devices) > MaxDevices || len(p.Devices) > 0 && !p.Enrolled || len(p.UserID) != webauthn.MaxUserIDLength {
		return errors.New("the principal has what it can't have")
	}
	names := make(map[string]bool)
	for i := range p.Devices {
		d := &p.Devices[i]
		if err := d.check(); err != nil {
			return err
		}
		if names[fold(d.Name)] {
			return ErrExists
		}
		names[fold(d.Name)] = true
	}
	return nil
}

// device finds a device.
func (p *Principal) device(name string) (*Device, error) {
	for i := range p.Devices {
		if fold(p.Devices[i].Name) == fold(name) {
			return &p.Devices[i], nil
		}
	}
	return nil, ErrNoDevice
}

// Token is one that gives codes, but for its seed. A token serves exactly one device of one principal.
type Token struct {
	Version    int             `json:"version"`
	Serial     string          `json:"serial"`
	Parameters hotp.Parameters `json:"parameters"`
	State      hotp.State      `json:"state"`
	// Of the hardware tokens those have no Realm that nobody has enrolled.
	Realm     string `json:"realm,omitempty"`
	Principal string `json:"principal,omitempty"`
	Device    string `json:"device,omitempty"`
}

func (t *Token) check() error {
	if err := checkSerial(t.Serial); err != nil {
		return err
	}
	if t.Parameters.Type != hotp.TOTP {
		return &ParameterError{"type", "must be totp"}
	}
	return t.Parameters.Valid()
}

// session is a sign-in that later calls may quote.
type session struct {
	Version   int       `json:"version"`
	Realm     string    `json:"realm"`
	Principal string    `json:"principal"`
	Device    string    `json:"device"`
	AuthTime  time.Time `json:"authTime"`
	Expires   time.Time `json:"expires"`
}

func (s *session) check() error { return nil }

// ticket lets its holder enrol one device.
type ticket struct {
	Version int       `json:"version"`
	Hash    string    `json:"hash"` // SHA-256, in hexadecimal digits
	Expires time.Time `json:"expires"`
}

func (t *ticket) check() error { return nil }

// record is what a bucket holds as JSON.
type record[T any] interface {
	*T
	check() error
}

// decode reads a record. It is strict: what it does not know, a newer fob has written. Its error is ErrNewer or
// ErrDamaged.
func decode[T any, R record[T]](value []byte) (R, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(value, &head); err != nil {
		return nil, fmt.Errorf("%w: a record is no JSON", ErrDamaged)
	}
	if head.Version != version {
		return nil, ErrNewer
	}
	r := R(new(T))
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil || d.More() {
		return nil, fmt.Errorf("%w: a record has an unknown form", ErrDamaged)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return r, nil
}

// get reads a record, or gives missing where there is none.
func get[T any, R record[T]](tx *store.Tx, b store.Bucket, name string, missing error) (R, error) {
	value, err := tx.Get(b, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	return decode[T, R](value)
}

// put writes a record.
func put[T any, R record[T]](tx *store.Tx, b store.Bucket, name string, r R) error {
	if err := r.check(); err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return tx.Put(b, name, value)
}

// exists tells whether there is a record.
func exists(tx *store.Tx, b store.Bucket, name string) (bool, error) {
	_, err := tx.Get(b, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// remove deletes a record, if there is one.
func remove(tx *store.Tx, b store.Bucket, name string) error {
	if err := tx.Delete(b, name); !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// decodeToken reads a token and its seed, which is a copy that the caller wipes.
func decodeToken(value []byte) (*Token, hotp.Seed, error) {
	line, seed, found := bytes.Cut(value, []byte("\n"))
	if !found || hotp.Seed(seed).Valid() != nil {
		return nil, nil, fmt.Errorf("%w: a token has no seed", ErrDamaged)
	}
	t, err := decode[Token](line)
	if err != nil {
		return nil, nil, err
	}
	return t, bytes.Clone(seed), nil
}

// encodeToken writes a token and its seed. The caller wipes it.
func encodeToken(t *Token, seed hotp.Seed) ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	value := make([]byte, 0, len(line)+1+len(seed))
	return append(append(append(value, line...), '\n'), seed...), nil
}
