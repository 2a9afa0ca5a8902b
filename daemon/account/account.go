// Package account proves that a person is here, with any of up to eight MFA devices: the model of AWS IAM, kept in the
// sealed store.
//
// A realm has principals: root, and users. A principal has MFA devices of any mix. Who adds one, or signs in, begins
// with what fobd gives and finishes with what the device has made of it; in between nothing is written. What changes is
// decided and written in one transaction of the store, so that of two calls that race for a code, a ticket, a name or
// the eighth place one wins.
package account

import (
	"sync"
	"time"

	"fob/daemon/store"
	"fob/hotp"
)

// Limits.
const (
	MaxDevices    = 8 // of a principal, of any mix
	MaxRealms     = 64
	MaxPrincipals = 1000 // of a realm
	MaxTokens     = 1000 // hardware tokens and others that have a seed here, of all realms
	maxPending    = 256  // enrolments, or sign-ins, that have begun
)

// How long things hold.
const (
	MinSession     = 15 * time.Minute
	MaxSession     = 36 * time.Hour
	DefaultTicket  = 24 * time.Hour
	MinTicket      = time.Minute
	MaxTicket      = 7 * 24 * time.Hour
	DefaultJWT     = 5 * time.Minute
	MinJWT         = time.Second
	MaxJWT         = time.Hour
	Fresh          = 15 * time.Minute // after a sign-in, its session may change devices
	PendingTime    = 5 * time.Minute  // for what has begun
	nonceLifetime  = MaxJWT + PendingTime
	maxNonces      = 1500 // that a realm remembers; more in nonceLifetime are refused
	maxNonceLength = 256
)

// Accounts are those of a store. The methods may be called concurrently. Make them with New.
type Accounts struct {
	store *store.Store
	// Now is the clock, and Codes the rules for codes. New sets them; they stay as they are once a method was called.
	Now   func() time.Time
	Codes hotp.Policy

	mu         sync.Mutex
	enrolments map[string]*enrolment
	signIns    map[string]*signIn
}

// New gives the accounts of a store.
func New(s *store.Store) *Accounts {
	return &Accounts{store: s, Now: time.Now, Codes: hotp.DefaultPolicy,
		enrolments: make(map[string]*enrolment), signIns: make(map[string]*signIn)}
}

// now is the time as records have it.
func (a *Accounts) now() time.Time { return a.Now().UTC().Truncate(time.Second) }
