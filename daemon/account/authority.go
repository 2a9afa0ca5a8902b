package account

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"

	"fob/daemon/store"
)

// Authority is by what somebody may change something. Zero: they own this fobd, and nothing else.
type Authority struct {
	Session       string // of the principal itself, or of the realm's root, who is its administrator
	Ticket        string // to enrol one device
	Administrator bool   // root of this computer
}

// claimed tells whether the root of a realm has ever had an MFA device. Until then who owns this fobd stands in for it.
func claimed(tx *store.Tx, realm string) (bool, error) {
	root, err := getPrincipal(tx, realm, Root)
	if err != nil {
		return false, err
	}
	return root.Enrolled, nil
}

// owns asks for an administrator where the realm is claimed.
func (a *Accounts) owns(tx *store.Tx, r *Realm, by Authority) error {
	taken, err := claimed(tx, r.Name)
	if err != nil || !taken {
		return err
	}
	return a.administers(tx, r, by)
}

// administers asks for an administrator.
func (a *Accounts) administers(tx *store.Tx, r *Realm, by Authority) error {
	if by.Administrator {
		return nil
	}
	if by.Session == "" {
		return ErrNeedsAdmin
	}
	s, err := a.freshSession(tx, r.Name, by.Session)
	if err != nil {
		return err
	}
	if !same(s.Principal, Root) {
		return ErrNeedsAdmin
	}
	return nil
}

// mayEnrol tells whether a device may be added: the first one by who owns this fobd, until the realm is claimed; each
// further one by an existing one. An administrator may at any time, and who has a ticket, once.
func (a *Accounts) mayEnrol(tx *store.Tx, r *Realm, p *Principal, by Authority) error {
	switch {
	case by.Administrator:
		return nil
	case by.Ticket != "":
		return a.checkTicket(tx, p, by.Ticket)
	case by.Session != "":
		return a.ownOrRoot(tx, r, p, by)
	case len(p.Devices) > 0:
		return ErrNeedsDevice
	case p.Enrolled:
		return ErrNeedsAdmin
	}
	return a.owns(tx, r, by)
}

// ownOrRoot asks for a fresh session of the principal, or of the realm's root.
func (a *Accounts) ownOrRoot(tx *store.Tx, r *Realm, p *Principal, by Authority) error {
	s, err := a.freshSession(tx, r.Name, by.Session)
	if err != nil {
		return err
	}
	if !same(s.Principal, p.Name) && !same(s.Principal, Root) {
		return ErrNeedsDevice
	}
	return nil
}

// mayDetach tells whether a device may be removed. What a principal may not remove alone is its last one.
func (a *Accounts) mayDetach(tx *store.Tx, r *Realm, p *Principal, by Authority) error {
	if by.Administrator {
		return nil
	}
	if by.Session == "" {
		return ErrNeedsDevice
	}
	if err := a.ownOrRoot(tx, r, p, by); err != nil {
		return err
	}
	s, err := a.freshSession(tx, r.Name, by.Session)
	if err == nil && len(p.Devices) == 1 && same(s.Principal, p.Name) && !r.Settings.RemoveLast {
		err = ErrLastDevice
	}
	return err
}

// hash is what is stored of a session or a ticket. They are random, so that it need not be slow.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Ticket is what an administrator gives to somebody, so that they enrol one device.
type Ticket struct {
	Ticket  string // a secret
	Expires time.Time
}

// IssueTicket makes a ticket for a principal, in place of one that it has. It holds for d (0: DefaultTicket), once. For
// root of a realm only root of this computer makes one.
func (a *Accounts) IssueTicket(realm, principal string, d time.Duration, by Authority) (Ticket, error) {
	if d == 0 {
		d = DefaultTicket
	}
	if d < MinTicket || d > MaxTicket {
		return Ticket{}, &ParameterError{"duration", fmt.Sprintf("must be %v to %v", MinTicket, MaxTicket)}
	}
	out := Ticket{rand.Text(), a.now().Add(d)}
	err := a.store.Update(func(tx *store.Tx) error {
		r, p, err := both(tx, realm, principal)
		if err != nil {
			return err
		}
		if same(p.Name, Root) && !by.Administrator {
			return ErrTicketForRoot
		}
		if err := a.administers(tx, r, by); err != nil {
			return err
		}
		return put(tx, ticketBucket, place(realm, principal), &ticket{version, hash(out.Ticket), out.Expires})
	})
	if err != nil {
		return Ticket{}, err
	}
	return out, nil
}

func (a *Accounts) checkTicket(tx *store.Tx, p *Principal, secret string) error {
	t, err := get[ticket](tx, ticketBucket, place(p.Realm, p.Name), ErrTicket)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash(secret))) != 1 || !a.now().Before(t.Expires) {
		return ErrTicket
	}
	return nil
}
