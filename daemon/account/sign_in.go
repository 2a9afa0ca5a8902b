package account

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"fob/daemon/store"
	"fob/fido/relyingparty"
)

// SignInRequest says who is to prove to be here, and to whom.
type SignInRequest struct {
	Realm, Principal string
	Nonce            string        // of the program that asks, for the JWT: new each time, 256 bytes at most; may be empty
	Audience         string        // who is to believe the JWT; 256 bytes at most; may be empty
	Lifetime         time.Duration // of the JWT; 0: DefaultJWT
	Session          time.Duration // MinSession to MaxSession; 0: none
}

// Challenge is a sign-in that has begun.
type Challenge struct {
	ID      string
	Expires time.Time
	Options []byte // for the ceremony of the FIDO devices, {"publicKey": …}; nil where there is none
	Origin  string
	Codes   bool // there are devices that give codes
}

// SignIn is one that was proved.
type SignIn struct {
	Realm, Principal string
	Device           Device
	UserVerified     bool   // by the security key
	JWT              string // see Accounts.Keys
	Expires          time.Time
	Session          string // a secret; empty for none
	SessionExpires   time.Time
}

// signIn is one that has begun.
type signIn struct {
	SignInRequest
	expires time.Time
	rp      *relyingparty.RelyingParty // nil: no FIDO device
	session *relyingparty.Session

	mu   sync.Mutex
	over bool
}

func (in *SignInRequest) check() error {
	if len(in.Nonce) > maxNonceLength {
		return &ParameterError{"nonce", fmt.Sprintf("is longer than %d bytes", maxNonceLength)}
	}
	if len(in.Audience) > maxNonceLength {
		return &ParameterError{"audience", fmt.Sprintf("is longer than %d bytes", maxNonceLength)}
	}
	if in.Lifetime < MinJWT || in.Lifetime > MaxJWT {
		return &ParameterError{"lifetime", fmt.Sprintf("must be %v to %v", MinJWT, MaxJWT)}
	}
	return checkSession(in.Session)
}

// BeginSignIn begins a sign-in: whichever device answers first finishes it.
func (a *Accounts) BeginSignIn(in SignInRequest) (out Challenge, err error) {
	in.Lifetime = cmp.Or(in.Lifetime, DefaultJWT)
	if err := in.check(); err != nil {
		return Challenge{}, err
	}
	s := &signIn{SignInRequest: in, expires: a.now().Add(PendingTime)}
	err = a.store.View(func(tx *store.Tx) error {
		r, p, err := both(tx, in.Realm, in.Principal)
		if err != nil {
			return err
		}
		if len(p.Devices) == 0 {
			return ErrNoDevices
		}
		if _, err := a.spendNonce(tx, r, in.Nonce); err != nil {
			return err
		}
		out, err = s.begin(r, p)
		return err
	})
	if err != nil {
		return Challenge{}, err
	}
	out.ID, out.Expires = rand.Text(), s.expires
	return out, a.keepSignIn(out.ID, s)
}

func (s *signIn) begin(r *Realm, p *Principal) (out Challenge, err error) {
	for i := range p.Devices {
		out.Codes = out.Codes || !p.Devices[i].Kind.FIDO()
	}
	records := signers(p)
	if len(records) == 0 {
		if !out.Codes {
			err = ErrCloned
		}
		return out, err
	}
	if s.rp, err = relyingparty.New(r.Settings.RPID, r.Settings.Origin); err != nil {
		return out, err
	}
	out.Origin = r.Settings.Origin
	out.Options, s.session, err = s.rp.BeginSignIn(records, relyingparty.SignInChoices{
		UserVerification: r.Settings.UserVerification, Timeout: PendingTime})
	return out, err
}

// signers are the credentials that may sign in.
func signers(p *Principal) (all []relyingparty.Record) {
	for _, d := range p.Devices {
		if d.Credential != nil && d.Cloned.IsZero() {
			all = append(all, *d.Credential)
		}
	}
	return all
}

func (a *Accounts) keepSignIn(id string, s *signIn) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, other := range a.signIns {
		if !a.now().Before(other.expires) {
			delete(a.signIns, id)
		}
	}
	if len(a.signIns) >= maxPending {
		return ErrBusy
	}
	a.signIns[id] = s
	return nil
}

// FinishSignIn verifies what a device has made, once. After a wrong code, or a response that proves nothing, another
// code may be tried, until the sign-in expires.
func (a *Accounts) FinishSignIn(id string, proof Proof) (SignIn, error) {
	a.mu.Lock()
	s := a.signIns[id]
	a.mu.Unlock()
	if s == nil {
		return SignIn{}, ErrNothingBegun
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || !a.now().Before(s.expires) {
		return SignIn{}, ErrNothingBegun
	}
	var out SignIn
	var refusal error
	err := a.store.Update(func(tx *store.Tx) (err error) {
		out, refusal, err = a.finish(tx, s, proof)
		return err
	})
	if err = errors.Join(err, refusal); err != nil {
		return SignIn{}, err
	}
	s.over = true
	a.mu.Lock()
	delete(a.signIns, id)
	a.mu.Unlock()
	return out, nil
}

// finish verifies a proof, and writes what it has consumed. A refusal leaves what was counted.
func (a *Accounts) finish(tx *store.Tx, s *signIn, proof Proof) (out SignIn, refusal, err error) {
	r, p, err := both(tx, s.Realm, s.Principal)
	if err != nil {
		return out, nil, err
	}
	write, err := a.spendNonce(tx, r, s.Nonce) // before the code is, which the person would lose
	if err != nil {
		return out, nil, err
	}
	var d *Device
	verified := false
	switch {
	case proof.Code != "":
		d, refusal, err = a.verify(tx, p, proof.Device, proof.Code)
	case len(proof.Response) > 0:
		d, verified, refusal, err = a.assert(tx, s, p, proof.Response)
	default:
		err = ErrNoProof
	}
	if refusal != nil || err != nil {
		return out, refusal, err
	}
	if err := write(); err != nil {
		return out, nil, err
	}
	d.LastUsed = a.now()
	if err := putPrincipal(tx, p); err != nil {
		return out, nil, err
	}
	out = SignIn{Realm: r.Name, Principal: p.Name, Device: *d, UserVerified: verified}
	return out, nil, a.issue(tx, r, s, &out)
}

// assert verifies the response of a security key. One whose signature counter went back no longer signs in.
func (a *Accounts) assert(tx *store.Tx, s *signIn, p *Principal, response []byte) (
	d *Device, verified bool, refusal, err error) {

	if s.rp == nil {
		return nil, false, ErrNoProof, nil
	}
	records := signers(p) // as they are now: some may have been detached
	got, err := s.rp.FinishSignIn(s.session, records, response)
	if err != nil {
		return nil, false, err, nil
	}
	for i := range p.Devices {
		if c := p.Devices[i].Credential; c != nil && string(c.Credential.ID) == string(got.Record.Credential.ID) {
			d = &p.Devices[i]
		}
	}
	if got.CloneWarning {
		d.Cloned = a.now()
		return nil, false, ErrCloned, errors.Join(endDevice(tx, p.Realm, d.Name), putPrincipal(tx, p))
	}
	record := got.Record
	d.Credential = &record
	return d, got.UserVerified, nil, nil
}

// issue makes what a program gets for a sign-in.
func (a *Accounts) issue(tx *store.Tx, r *Realm, s *signIn, out *SignIn) (err error) {
	if s.Session != 0 {
		out.SessionExpires = a.now().Add(s.Session)
		out.Session, err = a.newSession(tx,
			&session{version, r.Name, out.Principal, out.Device.Name, a.now(), out.SessionExpires})
		if err != nil {
			return err
		}
	}
	out.Expires = a.now().Add(s.Lifetime)
	out.JWT, err = a.token(tx, r, s, out)
	return err
}

// nonces are those that were used in a realm, as hashes, and when, in Unix time.
type nonces struct {
	Version int              `json:"version"`
	Used    map[string]int64 `json:"used"`
}

func (n *nonces) check() error { return nil }

// spendNonce tells whether a nonce is new, and gives what writes that it no longer is. Those are forgotten that are in
// no JWT which is still valid.
func (a *Accounts) spendNonce(tx *store.Tx, r *Realm, nonce string) (write func() error, err error) {
	if nonce == "" {
		return func() error { return nil }, nil
	}
	all, err := get[nonces](tx, nonceBucket, place(r.Name), nil)
	if err != nil {
		return nil, err
	}
	if all == nil {
		all = &nonces{Version: version}
	}
	used := make(map[string]int64)
	for n, at := range all.Used {
		if a.now().Sub(time.Unix(at, 0)) < nonceLifetime {
			used[n] = at
		}
	}
	all.Used = used
	sum := sha256.Sum256([]byte(nonce))
	name := base64.RawURLEncoding.EncodeToString(sum[:16])
	if _, spent := used[name]; spent {
		return nil, ErrNonce
	}
	if len(used) >= maxNonces {
		return nil, ErrBusy
	}
	return func() error {
		used[name] = a.now().Unix()
		return put(tx, nonceBucket, place(r.Name), all)
	}, nil
}

// SignsIn names who signs in by what has begun, as in alice@home; empty where nothing has.
func (a *Accounts) SignsIn(id string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.signIns[id]; s != nil {
		return s.Principal + "@" + s.Realm
	}
	return ""
}
