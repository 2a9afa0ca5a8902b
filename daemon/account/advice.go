package account

import "fob/daemon/store"

// Advice is what a principal had better do.
type Advice string

// The advice, in the order of its weight.
const (
	AdviseFirst       Advice = "first-device"  // there is none
	AdviseCloned      Advice = "cloned"        // detach a security key that may have a copy
	AdviseSecond      Advice = "second-device" // there is one alone, which may be lost
	AdviseSecurityKey Advice = "security-key"  // there are codes alone, which can be phished
)

// Text says it to a person.
func (a Advice) Text() string {
	switch a {
	case AdviseFirst:
		return "enrol an MFA device: without one nobody can sign in"
	case AdviseCloned:
		return "detach the security key whose signature counter went back: there may be a copy of it"
	case AdviseSecond:
		return "enrol a second MFA device, and keep it elsewhere: the only one may get lost"
	case AdviseSecurityKey:
		return "enrol a security key or passkey: unlike codes it can't be phished, needs no battery, and serves several users"
	}
	return string(a)
}

// Advise gives advice about the devices of a principal.
func (p *Principal) Advise() (list []Advice) {
	if len(p.Devices) == 0 {
		return []Advice{AdviseFirst}
	}
	cloned, signs := false, false
	for _, d := range p.Devices {
		cloned = cloned || !d.Cloned.IsZero()
		signs = signs || d.Kind.FIDO()
	}
	if cloned {
		list = append(list, AdviseCloned)
	}
	if len(p.Devices) == 1 {
		list = append(list, AdviseSecond)
	}
	if !signs {
		list = append(list, AdviseSecurityKey)
	}
	return list
}

// Condition is how the token of a TOTP device is.
type Condition struct {
	Failures int   // wrong codes in a row
	Locked   bool  // an administrator must unlock it
	Drift    int64 // how many time steps its clock is ahead of ours
}

// Conditions gives those of a principal's TOTP devices, by the names of the devices.
func (a *Accounts) Conditions(realm, principal string) (all map[string]Condition, err error) {
	all = make(map[string]Condition)
	err = a.store.View(func(tx *store.Tx) error {
		_, p, err := both(tx, realm, principal)
		if err != nil {
			return err
		}
		for i := range p.Devices {
			d := &p.Devices[i]
			if d.Kind.FIDO() {
				continue
			}
			t, seed, err := tokenOf(tx, p, d)
			seed.Wipe()
			if err != nil {
				return err
			}
			locked := t.State.Locked || t.State.Failures >= uint32(a.Codes.MaxFailures)
			all[d.Name] = Condition{int(t.State.Failures), locked, t.State.Drift}
		}
		return nil
	})
	return all, err
}
