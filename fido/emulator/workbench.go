package emulator

import (
	"context"
	"errors"
	"slices"
	"sync"

	"fob/fido/ctap"
)

// What a key has on its workbench: what no host can see or do.

// Status is a key's own account of itself.
type Status struct {
	PINSet         bool
	PINRetries     uint // before the PIN is blocked for good
	PINAuthBlocked bool // no PIN is taken until the key loses power
	UVRetries      uint // before a finger is not asked for any more; 0 for a key without a sensor
	Fingerprints   int
	SignCount      uint32
	Discoverable   int // credentials
}

// Status is the key's as the last request left it, or, while one waits for the person, as it was when the wait began.
// It never waits.
func (a *Authenticator) Status() Status {
	a.shown.Lock()
	defer a.shown.Unlock()
	return a.shown.Status
}

// Credentials lists the discoverable credentials, oldest first. Like Status it never waits.
func (a *Authenticator) Credentials() []Credential {
	a.shown.Lock()
	list := a.shown.credentials
	a.shown.Unlock()
	copied := make([]Credential, len(list))
	for i := range list {
		c := &list[i]
		copied[i] = Credential{ // without the parsed key, which a request may be adding
			ID: c.ID, RPID: c.RPID, RPName: c.RPName,
			UserID: c.UserID, UserName: c.UserName, UserDisplayName: c.UserDisplayName,
			Algorithm: c.Algorithm, PrivateKey: c.PrivateKey, CredProtect: c.CredProtect,
			HMACSecret: c.HMACSecret, ThirdPartyPayment: c.ThirdPartyPayment,
			CredBlob: c.CredBlob, LargeBlobKey: c.LargeBlobKey, SignCount: c.SignCount,
		}
	}
	return copied
}

// shown is what others may look at while a request goes on.
type shown struct {
	sync.Mutex
	Status
	credentials []Credential // of the state, which never writes to its slices; see update
}

// show lets others see the state. Whoever has the turn calls it, before a person is waited for and when the turn ends.
func (a *Authenticator) show() {
	a.shown.Lock()
	defer a.shown.Unlock()
	a.shown.Status = Status{
		PINSet:         a.state.hasPIN(),
		PINRetries:     a.state.PINRetries,
		PINAuthBlocked: a.pin.mismatches >= maxPINMismatches,
		Fingerprints:   len(a.state.Fingerprints),
		SignCount:      a.state.SignCount,
		Discoverable:   len(a.state.Credentials),
	}
	a.shown.credentials = a.state.Credentials
	if a.MaxFingerprints > 0 {
		a.shown.UVRetries = a.state.uvRetries()
	}
}

// endTurn lets the next one be served.
func (a *Authenticator) endTurn() {
	a.show()
	a.turn <- struct{}{}
}

// Retries says which counters SetRetries changes; it leaves alone what is nil.
type Retries struct {
	PIN         *uint // 0, a PIN that is blocked for good, to 8
	UV          *uint // 0, a sensor that is blocked until the right PIN is given, to 3
	AuthBlocked *bool // no PIN is taken until the key loses power
}

// ErrRetries is a number of retries that no key has.
var ErrRetries = errors.New("a key has at most 8 PIN retries and 3 UV retries")

// SetRetries changes the counters, durably. It waits for the request that is being served. The errors are ErrRetries,
// ctap.ErrInvalidCommand for a counter that the key does not have, and that of ctx.
func (a *Authenticator) SetRetries(ctx context.Context, r Retries) error {
	switch {
	case r.PIN != nil && *r.PIN > maxPINRetries, r.UV != nil && *r.UV > maxUVRetries:
		return ErrRetries
	case (r.PIN != nil || r.AuthBlocked != nil) && !a.PIN, r.UV != nil && a.MaxFingerprints == 0:
		return ctap.ErrInvalidCommand
	}
	select {
	case <-a.turn:
		defer a.endTurn()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := a.update(func(s *state) {
		if r.PIN != nil {
			s.PINRetries = *r.PIN
		}
		if r.UV != nil {
			s.UVMisses = maxUVRetries - *r.UV
		}
	})
	if err == nil && r.AuthBlocked != nil {
		a.pin.mismatches = 0
		if *r.AuthBlocked {
			a.pin.mismatches = maxPINMismatches
		}
	}
	return err
}

// Failure is an answer that a key gives in place of the right one: it does nothing of what it was asked, and asks for
// no touch.
type Failure struct {
	Command ctap.Command // 0 for any of CTAP2; U2F has none of these codes
	Status  ctap.StatusCode
	Times   uint // how many times; 0 for never again
}

// Failures lists those to come.
func (a *Authenticator) Failures() []Failure { return a.failures.list() }

// FailNext makes the next requests fail, in place of what it was told before for the same command. A failure for a
// command goes before one for any.
func (a *Authenticator) FailNext(f Failure) { a.failures.set(f) }

// failures are those to come, one for each command at most.
type failures struct {
	mu      sync.Mutex
	pending []Failure
}

func (f *failures) set(next Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = slices.DeleteFunc(f.pending, func(old Failure) bool { return old.Command == next.Command })
	if next.Times > 0 {
		f.pending = append(f.pending, next)
	}
}

// take uses up a failure of this command; nil where it has none.
func (f *failures) take(command ctap.Command) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, which := range []ctap.Command{command, 0} {
		i := slices.IndexFunc(f.pending, func(p Failure) bool { return p.Command == which })
		if i < 0 {
			continue
		}
		status := f.pending[i].Status
		if f.pending[i].Times--; f.pending[i].Times == 0 {
			f.pending = slices.Delete(f.pending, i, i+1)
		}
		return status
	}
	return nil
}

func (f *failures) list() []Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pending)
}
