package account

import (
	"cmp"
	"crypto/rand"
	"errors"
	"slices"
	"strings"

	"fob/daemon/store"
	"fob/fido/webauthn"
)

// defaultRPID is what security keys sign for where a realm has no domain.
const defaultRPID = "fob.internal"

// withDefaults fills in what is missing.
func (s Settings) withDefaults() Settings {
	if s.RPID == "" && s.Origin == "" {
		s.RPID, s.Origin = defaultRPID, "https://"+defaultRPID
	}
	s.Origin = cmp.Or(s.Origin, "https://"+s.RPID)
	s.RPID = cmp.Or(s.RPID, strings.TrimPrefix(s.Origin, "https://"))
	s.UserVerification = cmp.Or(s.UserVerification, webauthn.UserVerificationPreferred)
	s.Algorithm = cmp.Or(s.Algorithm, ES256)
	return s
}

// CreateRealm makes a realm, its root without MFA devices, and its key for JWTs.
func (a *Accounts) CreateRealm(name string, s Settings) (Realm, error) {
	r := &Realm{Version: version, Name: name, Created: a.now(), Settings: s.withDefaults()}
	if err := r.check(); err != nil {
		return Realm{}, err
	}
	key, err := newKey(r.Settings.Algorithm)
	defer clear(key)
	if err != nil {
		return Realm{}, err
	}
	err = a.store.Update(func(tx *store.Tx) error {
		if err := vacant(tx, realmBucket, place(name), "", MaxRealms); err != nil {
			return err
		}
		if err := put(tx, realmBucket, place(name), r); err != nil {
			return err
		}
		if err := tx.Put(keyBucket, place(name), key); err != nil {
			return err
		}
		return a.addPrincipal(tx, r, Root)
	})
	return *r, err
}

// vacant tells whether there can be another record, of this name, among those whose names begin with prefix.
func vacant(tx *store.Tx, b store.Bucket, name, prefix string, limit int) error {
	names, err := list(tx, b, prefix)
	switch {
	case err != nil:
		return err
	case slices.Contains(names, name):
		return ErrExists
	case len(names) >= limit:
		return ErrTooMany
	}
	return nil
}

// list gives the names of the records that begin with prefix, sorted.
func list(tx *store.Tx, b store.Bucket, prefix string) ([]string, error) {
	names, err := tx.List(b)
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, prefix) }), err
}

func (a *Accounts) addPrincipal(tx *store.Tx, r *Realm, name string) error {
	p := &Principal{Version: version, Realm: r.Name, Name: name, Created: a.now(), Devices: []Device{},
		UserID: make(webauthn.Base64URL, webauthn.MaxUserIDLength)}
	rand.Read(p.UserID)
	at := place(r.Name, name)
	if err := vacant(tx, principalBucket, at, place(r.Name, ""), MaxPrincipals); err != nil {
		return err
	}
	return put(tx, principalBucket, at, p)
}

// Realms lists all realms, sorted by name.
func (a *Accounts) Realms() (realms []Realm, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		realms = nil
		names, err := tx.List(realmBucket)
		for _, name := range names {
			r, err := getRealm(tx, name)
			if err != nil {
				return err
			}
			realms = append(realms, *r)
		}
		return err
	})
	return realms, err
}

func getRealm(tx *store.Tx, name string) (*Realm, error) {
	return get[Realm](tx, realmBucket, place(name), ErrNoRealm)
}

func getPrincipal(tx *store.Tx, realm, name string) (*Principal, error) {
	return get[Principal](tx, principalBucket, place(realm, name), ErrNoPrincipal)
}

func putPrincipal(tx *store.Tx, p *Principal) error {
	return put(tx, principalBucket, place(p.Realm, p.Name), p)
}

// both reads a principal and its realm.
func both(tx *store.Tx, realm, principal string) (*Realm, *Principal, error) {
	r, err := getRealm(tx, realm)
	if err != nil {
		return nil, nil, err
	}
	p, err := getPrincipal(tx, realm, principal)
	return r, p, err
}

// CreatePrincipal adds a user to a realm. Once the realm's root has had an MFA device, that takes an administrator.
func (a *Accounts) CreatePrincipal(realm, name string, by Authority) error {
	if err := checkName("principal", name, maxPrincipalName); err != nil {
		return err
	}
	return a.store.Update(func(tx *store.Tx) error {
		r, err := getRealm(tx, realm)
		if err != nil {
			return err
		}
		if err := a.owns(tx, r, by); err != nil {
			return err
		}
		return a.addPrincipal(tx, r, name)
	})
}

// Principals lists those of a realm, sorted by name.
func (a *Accounts) Principals(realm string) (all []Principal, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		all = nil
		if _, err := getRealm(tx, realm); err != nil {
			return err
		}
		names, err := list(tx, principalBucket, place(realm, ""))
		for _, name := range names {
			p, err := get[Principal](tx, principalBucket, name, ErrNoPrincipal)
			if err != nil {
				return err
			}
			all = append(all, *p)
		}
		return err
	})
	return all, err
}

// Principal gives one principal, with its MFA devices.
func (a *Accounts) Principal(realm, name string) (Principal, error) {
	var p *Principal
	err := a.store.View(func(tx *store.Tx) (err error) {
		_, p, err = both(tx, realm, name)
		return err
	})
	if err != nil {
		return Principal{}, err
	}
	return *p, nil
}

// RemovePrincipal removes a user, and frees what their MFA devices had.
func (a *Accounts) RemovePrincipal(realm, name string, by Authority) error {
	return a.store.Update(func(tx *store.Tx) error {
		r, p, err := both(tx, realm, name)
		if err != nil {
			return err
		}
		if fold(p.Name) == Root {
			return ErrRootPrincipal
		}
		if err := a.owns(tx, r, by); err != nil {
			return err
		}
		if err := a.administers(tx, r, by); len(p.Devices) > 0 && err != nil {
			return errors.Join(ErrInUse, err)
		}
		return a.removePrincipal(tx, p)
	})
}

func (a *Accounts) removePrincipal(tx *store.Tx, p *Principal) error {
	for i := range p.Devices {
		if err := release(tx, p, &p.Devices[i]); err != nil {
			return err
		}
	}
	theirs := func(s *session) bool { return same(s.Realm, p.Realm) && same(s.Principal, p.Name) }
	if err := endSessions(tx, theirs); err != nil {
		return err
	}
	if err := remove(tx, ticketBucket, place(p.Realm, p.Name)); err != nil {
		return err
	}
	return tx.Delete(principalBucket, place(p.Realm, p.Name))
}

// RemoveRealm removes a realm with all that is in it. Once its root has had an MFA device, that takes an administrator.
func (a *Accounts) RemoveRealm(name string, by Authority) error {
	return a.store.Update(func(tx *store.Tx) error {
		r, err := getRealm(tx, name)
		if err != nil {
			return err
		}
		names, err := list(tx, principalBucket, place(name, ""))
		if err != nil {
			return err
		}
		if err := a.owns(tx, r, by); err != nil {
			return err
		}
		admin := a.administers(tx, r, by)
		for _, at := range names {
			p, err := get[Principal](tx, principalBucket, at, ErrNoPrincipal)
			if err != nil {
				return err
			}
			if len(p.Devices) > 0 && admin != nil {
				return errors.Join(ErrInUse, admin)
			}
			if err := a.removePrincipal(tx, p); err != nil {
				return err
			}
		}
		return errors.Join(remove(tx, nonceBucket, place(name)), remove(tx, keyBucket, place(name)),
			tx.Delete(realmBucket, place(name)))
	})
}

// same tells whether two names are.
func same(a, b string) bool { return fold(a) == fold(b) }
