package account

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"fob/daemon/store"
	"fob/hotp"
)

// virtual begins the serial numbers of tokens that are no hardware. Their names are unique in the realm.
const virtual = "virtual:"

// getToken reads a token and its seed, which the caller wipes.
func getToken(tx *store.Tx, serial string) (*Token, hotp.Seed, error) {
	value, err := tx.Get(tokenBucket, fold(serial))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, ErrNoToken
	}
	if err != nil {
		return nil, nil, err
	}
	return decodeToken(value)
}

func putToken(tx *store.Tx, t *Token, seed hotp.Seed) error {
	value, err := encodeToken(t, seed)
	defer clear(value)
	if err != nil {
		return err
	}
	return tx.Put(tokenBucket, fold(t.Serial), value)
}

func seedPlace(seed hotp.Seed) string {
	sum := sha256.Sum256(seed)
	return hex.EncodeToString(sum[:])
}

// addToken writes a new token, and that its seed is taken.
func addToken(tx *store.Tx, t *Token, seed hotp.Seed) error {
	if err := vacant(tx, tokenBucket, fold(t.Serial), "", MaxTokens); err != nil {
		return err
	}
	taken, err := exists(tx, seedBucket, seedPlace(seed))
	if err != nil {
		return err
	}
	if taken {
		return ErrSeedTwice
	}
	if err := tx.Put(seedBucket, seedPlace(seed), []byte(t.Serial)); err != nil {
		return err
	}
	return putToken(tx, t, seed)
}

// destroyToken forgets a token and its seed.
func destroyToken(tx *store.Tx, serial string) error {
	_, seed, err := getToken(tx, serial)
	if err != nil {
		return err
	}
	defer seed.Wipe()
	if err := remove(tx, seedBucket, seedPlace(seed)); err != nil {
		return err
	}
	return tx.Delete(tokenBucket, fold(serial))
}

// ImportToken takes in the seed of a hardware token, by its serial number, such as from a seed file: TOTP, 6 digits.
// Then one user can enrol it. The seed stays the caller's.
func (a *Accounts) ImportToken(serial string, p hotp.Parameters, seed hotp.Seed) error {
	if err := checkSerial(serial); err != nil {
		return err
	}
	if strings.HasPrefix(fold(serial), virtual) {
		return &NameError{"serial", "begins as those that are no hardware"}
	}
	if p.Digits != hotp.DefaultTOTP.Digits {
		return &ParameterError{"digits", "must be 6"}
	}
	if err := seed.Valid(); err != nil {
		return err
	}
	return a.store.Update(func(tx *store.Tx) error {
		return addToken(tx, &Token{Version: version, Serial: serial, Parameters: p}, seed)
	})
}

// RemoveToken forgets a hardware token that nobody has enrolled.
func (a *Accounts) RemoveToken(serial string) error {
	return a.store.Update(func(tx *store.Tx) error {
		t, seed, err := getToken(tx, serial)
		seed.Wipe()
		if err != nil {
			return err
		}
		if t.Realm != "" {
			return ErrAssigned
		}
		return destroyToken(tx, serial)
	})
}

// Tokens lists the hardware tokens, sorted by serial number.
func (a *Accounts) Tokens() (tokens []Token, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		tokens = nil
		names, err := tx.List(tokenBucket)
		for _, serial := range names {
			if strings.HasPrefix(serial, virtual) {
				continue
			}
			t, seed, err := getToken(tx, serial)
			seed.Wipe()
			if err != nil {
				return err
			}
			tokens = append(tokens, *t)
		}
		return err
	})
	return tokens, err
}

// tokenOf reads the token of a device. One that is somebody else's makes no sense.
func tokenOf(tx *store.Tx, p *Principal, d *Device) (*Token, hotp.Seed, error) {
	if d.Kind.FIDO() {
		return nil, nil, ErrNotOTP
	}
	t, seed, err := getToken(tx, d.Serial)
	if err != nil {
		return nil, nil, err
	}
	if !same(t.Realm, p.Realm) || !same(t.Principal, p.Name) || !same(t.Device, d.Name) {
		seed.Wipe()
		return nil, nil, errors.Join(ErrDamaged, ErrAssigned)
	}
	return t, seed, nil
}

// attempt is what became of a code at one device.
type attempt struct {
	token   *Token
	seed    hotp.Seed
	changed bool
	err     error
}

// verify looks for a code at those TOTP devices of a principal that have the name, or at all of them where it is empty,
// until one takes it. What is wrong counts at all of them. refusal says that the code was not taken; then what was
// counted is to be written all the same.
func (a *Accounts) verify(tx *store.Tx, p *Principal, name, code string) (won *Device, refusal, err error) {
	var tried []attempt
	defer func() {
		for _, t := range tried {
			t.seed.Wipe()
		}
	}()
	for i := range p.Devices {
		d := &p.Devices[i]
		if d.Kind.FIDO() || name != "" && !same(name, d.Name) {
			continue
		}
		t, seed, err := tokenOf(tx, p, d)
		if err != nil {
			return nil, nil, err
		}
		after, refused := a.Codes.Verify(t.Parameters, seed, t.State, code, a.Now())
		changed := after != t.State
		t.State = after
		tried = append(tried, attempt{t, seed, changed, refused})
		if refused == nil {
			return d, nil, putToken(tx, t, seed)
		}
	}
	refusal = ErrNotOTP
	for _, t := range tried {
		if rank(t.err) > rank(refusal) {
			refusal = t.err
		}
		if t.changed {
			err = errors.Join(err, putToken(tx, t.token, t.seed))
		}
	}
	return nil, refusal, err
}

// rank orders what several devices say of a code: that which tells the person most comes last.
func rank(err error) int {
	for i, known := range []func(error) bool{
		func(err error) bool { return errors.Is(err, ErrNotOTP) },
		func(err error) bool { return errors.Is(err, hotp.ErrLocked) },
		func(err error) bool { return errors.As(err, new(*hotp.ThrottledError)) },
		func(err error) bool { return errors.As(err, new(*hotp.CodeError)) },
		func(err error) bool { return errors.Is(err, hotp.ErrWrongCode) },
		func(err error) bool { return errors.Is(err, hotp.ErrUsed) },
	} {
		if known(err) {
			return i
		}
	}
	return 3 // nobody's fault: the clock, the state
}

// Resync finds a token again whose clock is off, by two codes that follow each other. They prove that it is at hand, so
// that it takes nothing else.
func (a *Accounts) Resync(realm, principal, device, code1, code2 string) error {
	return a.onToken(realm, principal, device, func(tx *store.Tx, _ *Realm, t *Token, seed hotp.Seed) (err, fatal error) {
		t.State, err = a.Codes.Resync(t.Parameters, seed, t.State, code1, code2, a.Now())
		return err, nil
	})
}

// Unlock has an administrator forget the wrong codes of a token.
func (a *Accounts) Unlock(realm, principal, device string, by Authority) error {
	return a.onToken(realm, principal, device, func(tx *store.Tx, r *Realm, t *Token, seed hotp.Seed) (err, fatal error) {
		if err := a.administers(tx, r, by); err != nil {
			return nil, err
		}
		t.State = t.State.Unlock()
		return nil, nil
	})
}

// onToken changes the token of a device. After a refusal it is written, too; after what is fatal it is not.
func (a *Accounts) onToken(realm, principal, device string,
	do func(*store.Tx, *Realm, *Token, hotp.Seed) (refusal, fatal error)) (refusal error) {

	err := a.store.Update(func(tx *store.Tx) error {
		r, p, err := both(tx, realm, principal)
		if err != nil {
			return err
		}
		d, err := p.device(device)
		if err != nil {
			return err
		}
		t, seed, err := tokenOf(tx, p, d)
		if err != nil {
			return err
		}
		defer seed.Wipe()
		var fatal error
		if refusal, fatal = do(tx, r, t, seed); fatal != nil {
			return fatal
		}
		return putToken(tx, t, seed)
	})
	if err != nil {
		return err
	}
	return refusal
}
