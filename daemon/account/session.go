package account

import (
	"crypto/rand"
	"fmt"
	"time"

	"fob/daemon/store"
)

// maxSessions is how many there are, of all realms.
const maxSessions = 2000

// Session is a sign-in that later calls may quote.
type Session struct {
	Realm, Principal, Device string
	AuthTime                 time.Time // of the sign-in
	Expires                  time.Time
}

func checkSession(d time.Duration) error {
	if d != 0 && (d < MinSession || d > MaxSession) {
		return &ParameterError{"session", fmt.Sprintf("must be %v to %v", MinSession, MaxSession)}
	}
	return nil
}

// newSession writes a session, and gives its secret. Those that are over are forgotten.
func (a *Accounts) newSession(tx *store.Tx, s *session) (secret string, err error) {
	now := a.now()
	if err := endSessions(tx, func(s *session) bool { return !now.Before(s.Expires) }); err != nil {
		return "", err
	}
	secret = rand.Text()
	if err := vacant(tx, sessionBucket, hash(secret), "", maxSessions); err != nil {
		return "", err
	}
	return secret, put(tx, sessionBucket, hash(secret), s)
}

// endSessions forgets sessions.
func endSessions(tx *store.Tx, which func(*session) bool) error {
	names, err := tx.List(sessionBucket)
	if err != nil {
		return err
	}
	for _, name := range names {
		s, err := get[session](tx, sessionBucket, name, ErrSession)
		if err != nil {
			return err
		}
		if !which(s) {
			continue
		}
		if err := tx.Delete(sessionBucket, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) session(tx *store.Tx, secret string) (*session, error) {
	s, err := get[session](tx, sessionBucket, hash(secret), ErrSession)
	if err == nil && !a.now().Before(s.Expires) {
		return nil, ErrSession
	}
	return s, err
}

// freshSession gives a session of a realm whose sign-in is so new that it may change devices.
func (a *Accounts) freshSession(tx *store.Tx, realm, secret string) (*session, error) {
	s, err := a.session(tx, secret)
	switch {
	case err != nil:
		return nil, err
	case !same(s.Realm, realm):
		return nil, ErrSession
	case a.now().Sub(s.AuthTime) > Fresh:
		return nil, ErrNotFresh
	}
	return s, nil
}

// Session tells whose a session is; ErrSession when it is over.
func (a *Accounts) Session(secret string) (out Session, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		s, err := a.session(tx, secret)
		if err == nil {
			out = Session{s.Realm, s.Principal, s.Device, s.AuthTime, s.Expires}
		}
		return err
	})
	return out, err
}

// EndSession ends a session before its time.
func (a *Accounts) EndSession(secret string) error {
	return a.store.Update(func(tx *store.Tx) error {
		if _, err := a.session(tx, secret); err != nil {
			return err
		}
		return tx.Delete(sessionBucket, hash(secret))
	})
}
