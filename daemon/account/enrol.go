package account

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"fob/daemon/store"
	"fob/fido/relyingparty"
	"fob/fido/webauthn"
	"fob/hotp"
)

// seedSize is that of seeds that are made here, in bytes: as long as the hash (RFC 4226 §4 R6).
const seedSize = 20

// EnrolRequest says what MFA device is to be added to whom.
type EnrolRequest struct {
	Realm, Principal string
	Name             string // of the device: no other one of the realm has it
	Kind             Kind   // of the two of FIDO, what the device says counts in the end
	Serial           string // HardwareTOTP: of a token that was imported
	Holder           string // KeptTOTP: the token of fob.OTP that gives the codes
	By               Authority
}

// Enrolment is what has begun, and what its device needs.
type Enrolment struct {
	ID      string
	Expires time.Time
	// FIDO: the options for the ceremony, {"publicKey": …}, and the origin.
	Options []byte
	Origin  string
	// VirtualTOTP, KeptTOTP: the seed, which is given this once, and its parameters. The caller wipes it.
	Seed       hotp.Seed
	Parameters hotp.Parameters
}

// Proof is what an MFA device has made.
type Proof struct {
	Response []byte // FIDO: of the ceremony
	Code     string // TOTP: without one, Response counts
	Code2    string // enrolment by TOTP: the code after Code
	Device   string // sign-in by TOTP: whose code it is; empty for whichever takes it
}

// enrolment is one that has begun.
type enrolment struct {
	EnrolRequest
	expires time.Time
	rp      *relyingparty.RelyingParty // FIDO
	session *relyingparty.Session

	mu    sync.Mutex
	over  bool
	token *Token // TOTP that is no hardware
	seed  hotp.Seed
}

func (e *enrolment) end() {
	e.over = true
	e.seed.Wipe()
}

// ParseKind reads a kind; a *UnsupportedError for text messages, e-mail and the like.
func ParseKind(s string) (Kind, error) {
	if k := Kind(s); k.valid() {
		return k, nil
	}
	return "", &UnsupportedError{s}
}

// BeginEnrol begins to add an MFA device. Nothing is written before FinishEnrol.
func (a *Accounts) BeginEnrol(in EnrolRequest) (out Enrolment, err error) {
	if _, err := ParseKind(string(in.Kind)); err != nil {
		return Enrolment{}, err
	}
	e := &enrolment{EnrolRequest: in, expires: a.now().Add(PendingTime)}
	err = a.store.View(func(tx *store.Tx) error {
		r, p, err := a.mayAdd(tx, &in)
		if err != nil {
			return err
		}
		out, err = e.begin(tx, r, p)
		return err
	})
	if err != nil {
		return Enrolment{}, err
	}
	out.ID, out.Expires = rand.Text(), e.expires
	if err := a.keepEnrolment(out.ID, e); err != nil {
		out.Seed.Wipe()
		return Enrolment{}, err
	}
	return out, nil
}

// mayAdd tells whether there can be another device, as the request says.
func (a *Accounts) mayAdd(tx *store.Tx, in *EnrolRequest) (*Realm, *Principal, error) {
	r, p, err := both(tx, in.Realm, in.Principal)
	if err != nil {
		return nil, nil, err
	}
	if err := checkName("device", in.Name, maxDeviceName); err != nil {
		return nil, nil, err
	}
	if err := a.mayEnrol(tx, r, p, in.By); err != nil {
		return nil, nil, err
	}
	if len(p.Devices) >= MaxDevices {
		return nil, nil, ErrTooManyMFA
	}
	taken, err := exists(tx, deviceBucket, place(in.Realm, in.Name))
	if taken {
		err = ErrExists
	}
	return r, p, err
}

// begin makes what the device needs.
func (e *enrolment) begin(tx *store.Tx, r *Realm, p *Principal) (out Enrolment, err error) {
	switch {
	case e.Kind.FIDO():
		out.Origin = r.Settings.Origin
		out.Options, err = e.beginFIDO(r, p)
		return out, err
	case e.Kind == HardwareTOTP:
		t, seed, err := getToken(tx, e.Serial)
		seed.Wipe()
		if err != nil {
			return out, err
		}
		if t.Realm != "" {
			return out, ErrAssigned
		}
		out.Parameters = t.Parameters
		return out, nil
	}
	e.seed = hotp.NewSeed(seedSize)
	e.token = &Token{Version: version, Serial: virtual + r.Name + "/" + e.Name, Parameters: hotp.DefaultTOTP}
	out.Seed, out.Parameters = slices.Clone(e.seed), e.token.Parameters
	return out, nil
}

func (e *enrolment) beginFIDO(r *Realm, p *Principal) (options []byte, err error) {
	if e.rp, err = relyingparty.New(r.Settings.RPID, r.Settings.Origin); err != nil {
		return nil, err
	}
	name := p.Name + "@" + r.Name
	options, e.session, err = e.rp.BeginRegistration(
		relyingparty.User{ID: p.UserID, Name: name, DisplayName: name},
		relyingparty.RegistrationChoices{
			UserVerification: r.Settings.UserVerification,
			Attestation:      webauthn.AttestationDirect,
			Existing:         credentials(p),
			Timeout:          PendingTime,
		})
	return options, err
}

// credentials are those of a principal.
func credentials(p *Principal) (all []relyingparty.Record) {
	for _, d := range p.Devices {
		if d.Credential != nil {
			all = append(all, *d.Credential)
		}
	}
	return all
}

// keepEnrolment remembers what has begun.
func (a *Accounts) keepEnrolment(id string, e *enrolment) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, other := range a.enrolments {
		if a.now().Before(other.expires) || !other.mu.TryLock() { // one that is about to be finished goes next time
			continue
		}
		other.end()
		other.mu.Unlock()
		delete(a.enrolments, id)
	}
	if len(a.enrolments) >= maxPending {
		e.end()
		return ErrBusy
	}
	a.enrolments[id] = e
	return nil
}

// FinishEnrol adds the device that has proved to work: by the response of its registration, or by two codes that follow
// each other. After wrong codes others may be tried, until the enrolment expires.
func (a *Accounts) FinishEnrol(id string, proof Proof) (Device, error) {
	a.mu.Lock()
	e := a.enrolments[id]
	a.mu.Unlock()
	if e == nil {
		return Device{}, ErrNothingBegun
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over || !a.now().Before(e.expires) {
		return Device{}, ErrNothingBegun
	}
	var d *Device
	var attestation []byte
	var err error
	if e.Kind.FIDO() {
		if d, attestation, err = e.registered(proof.Response); err != nil {
			return Device{}, err
		}
	}
	var refusal error
	err = a.store.Update(func(tx *store.Tx) (err error) {
		refusal, err = a.add(tx, e, &d, attestation, proof)
		return err
	})
	if err = errors.Join(err, refusal); err != nil {
		return Device{}, err
	}
	e.end()
	a.mu.Lock()
	delete(a.enrolments, id)
	a.mu.Unlock()
	return *d, nil
}

// registered verifies a registration.
func (e *enrolment) registered(response []byte) (*Device, []byte, error) {
	if len(response) == 0 {
		return nil, nil, ErrNoProof
	}
	record, err := e.rp.FinishRegistration(e.session, response)
	if err != nil {
		return nil, nil, err
	}
	var sent struct {
		Response struct {
			AttestationObject webauthn.Base64URL `json:"attestationObject"`
		} `json:"response"`
	}
	if err := json.Unmarshal(response, &sent); err != nil {
		return nil, nil, err
	}
	kind := SecurityKey
	if record.Credential.BackupEligible {
		kind = Passkey
	}
	return &Device{Name: e.Name, Kind: kind, Credential: record}, sent.Response.AttestationObject, nil
}

// add writes a device, if it still may, and what belongs to it.
func (a *Accounts) add(tx *store.Tx, e *enrolment, d **Device, attestation []byte, proof Proof) (refusal, err error) {
	r, p, err := a.mayAdd(tx, &e.EnrolRequest)
	if err != nil {
		return nil, err
	}
	if e.Kind.FIDO() {
		err = allowed(r, p, *d)
	} else {
		*d, refusal, err = a.addCodes(tx, e, p, proof)
	}
	if refusal != nil || err != nil {
		return refusal, err
	}
	if err := tx.Put(deviceBucket, place(p.Realm, e.Name), []byte(p.Name)); err != nil {
		return nil, err
	}
	if len(attestation) > 0 {
		if err := tx.Put(attestationBucket, place(p.Realm, e.Name), attestation); err != nil {
			return nil, err
		}
	}
	if e.By.Ticket != "" {
		if err := tx.Delete(ticketBucket, place(p.Realm, p.Name)); err != nil {
			return nil, err
		}
	}
	(*d).Enrolled = a.now()
	p.Devices, p.Enrolled = append(p.Devices, **d), true
	return nil, putPrincipal(tx, p)
}

// allowed tells whether a new security key may be the principal's.
func allowed(r *Realm, p *Principal, d *Device) error {
	c := d.Credential.Credential
	for _, other := range credentials(p) {
		if slices.Equal(other.Credential.ID, c.ID) {
			return ErrExists
		}
	}
	if s := &r.Settings; len(s.AAGUIDs) > 0 && (!slices.Contains(s.AAGUIDs, c.AAGUID) || c.AttestationFormat == "none") {
		return &ModelError{c.AAGUID}
	}
	return nil
}

// addCodes has a token prove that it works, and gives it to the device.
func (a *Accounts) addCodes(tx *store.Tx, e *enrolment, p *Principal, proof Proof) (d *Device, refusal, err error) {
	t, seed := e.token, e.seed
	if e.Kind == HardwareTOTP {
		if t, seed, err = getToken(tx, e.Serial); err != nil {
			return nil, nil, err
		}
		defer seed.Wipe()
		if t.Realm != "" {
			return nil, nil, ErrAssigned
		}
	}
	enrol := a.Codes.Enroll
	if t.State.Used { // a hardware token that somebody has given back
		enrol = a.Codes.Resync
	}
	t.State, refusal = enrol(t.Parameters, seed, t.State, proof.Code, proof.Code2, a.Now())
	if refusal != nil {
		if e.Kind == HardwareTOTP {
			err = putToken(tx, t, seed)
		}
		return nil, refusal, err
	}
	t.Realm, t.Principal, t.Device = p.Realm, p.Name, e.Name
	if e.Kind == HardwareTOTP {
		err = putToken(tx, t, seed)
	} else {
		err = addToken(tx, t, seed)
	}
	return &Device{Name: e.Name, Kind: e.Kind, Serial: t.Serial, Holder: e.Holder}, nil, err
}

// Detach removes an MFA device of a principal, at once, and ends its sessions.
func (a *Accounts) Detach(realm, principal, device string, by Authority) error {
	return a.store.Update(func(tx *store.Tx) error {
		r, p, err := both(tx, realm, principal)
		if err != nil {
			return err
		}
		d, err := p.device(device)
		if err != nil {
			return err
		}
		if err := a.mayDetach(tx, r, p, by); err != nil {
			return err
		}
		if err := release(tx, p, d); err != nil {
			return err
		}
		p.Devices = slices.DeleteFunc(p.Devices, func(d Device) bool { return same(d.Name, device) })
		if err := endDevice(tx, realm, device); err != nil {
			return err
		}
		return putPrincipal(tx, p)
	})
}

// endDevice ends the sessions of a device.
func endDevice(tx *store.Tx, realm, device string) error {
	return endSessions(tx, func(s *session) bool { return same(s.Realm, realm) && same(s.Device, device) })
}

// release frees what a device has. A hardware token can be enrolled again, and remembers which codes were used; the
// seed of another token is destroyed.
func release(tx *store.Tx, p *Principal, d *Device) error {
	at := place(p.Realm, d.Name)
	if err := errors.Join(remove(tx, deviceBucket, at), remove(tx, attestationBucket, at)); err != nil {
		return err
	}
	switch {
	case d.Kind.FIDO():
		return nil
	case d.Kind != HardwareTOTP:
		return destroyToken(tx, d.Serial)
	}
	t, seed, err := tokenOf(tx, p, d)
	if err != nil {
		return err
	}
	defer seed.Wipe()
	t.Realm, t.Principal, t.Device = "", "", ""
	return putToken(tx, t, seed)
}
