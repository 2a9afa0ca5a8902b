package ykoath

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"fob/hotp"
)

// Types, in the upper half of a byte whose lower half is the algorithm. Algorithms have hotp's numbers.
const (
	typeHOTP = 0x10
	typeTOTP = 0x20
)

func kindOf(t hotp.Type, a hotp.Algorithm) byte {
	if t == hotp.HOTP {
		return typeHOTP | byte(a)
	}
	return typeTOTP | byte(a)
}

// parseKind fails for types that are not OATH's, such as the password-only entries of a Nitrokey.
func parseKind(kind byte) (t hotp.Type, a hotp.Algorithm, ok bool) {
	switch kind & 0xf0 {
	case typeHOTP:
		t = hotp.HOTP
	case typeTOTP:
		t = hotp.TOTP
	}
	a = hotp.Algorithm(kind & 0x0f)
	return t, a, t != 0 && a.Size() > 0
}

// Credential is an account on a key, as LIST tells of it.
type Credential struct {
	ID string // as the key has it: 1 to 64 bytes
	Name
	Type      hotp.Type
	Algorithm hotp.Algorithm
}

// List lists the accounts, in the key's order. Entries of a Nitrokey that are none are left out.
func (s *Session) List(ctx context.Context) ([]Credential, error) {
	reply, err := s.call(ctx, command{name: "LIST", ins: insList})
	if err != nil {
		return nil, err
	}
	return parseList(reply)
}

func parseList(reply []byte) (all []Credential, err error) {
	objects, err := parseObjects(reply)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if o.tag != tagListed || len(o.value) < 2 || len(o.value) > 1+MaxID {
			return nil, badReply("object %02x of %d bytes in a list", o.tag, len(o.value))
		}
		id := string(o.value[1:])
		if t, a, ok := parseKind(o.value[0]); ok {
			all = append(all, Credential{id, ParseID(id, t), t, a})
		}
	}
	return all, nil
}

// Account is an account to be written to a key.
type Account struct {
	Issuer, Account string
	hotp.Parameters
	Counter uint32 // HOTP: the moving factor of the first code
	Touch   bool   // each code needs a touch
	Replace bool   // the account of this name that there may be
}

// ID gives the name of the account on the key. The error is a *NameError.
func (a Account) ID() (string, error) {
	return Name{Issuer: a.Issuer, Account: a.Account, Period: a.Period}.ID(a.Type)
}

// Digits of a code that keys and the programs for them know.
const (
	minDigits = 6
	maxDigits = 8
)

// check tells whether the key can hold the account.
func (s *Session) check(a Account, seed hotp.Seed) error {
	if err := a.Valid(); err != nil {
		return err
	}
	if err := seed.Valid(); err != nil {
		return err
	}
	switch {
	case a.Digits < minDigits || a.Digits > maxDigits:
		return &UnsupportedError{fmt.Sprintf("a code of %d digits", a.Digits), "security keys"}
	case a.T0 != 0:
		return &UnsupportedError{"a first time step other than 0", "security keys"}
	case a.Type == hotp.TOTP && a.Counter != 0:
		return &hotp.ParameterError{Parameter: "counter", Problem: "is for hotp alone"}
	}
	if a.Touch {
		if err := s.needs("touch", 4, 2, 4); err != nil {
			return err
		}
	}
	if a.Algorithm == hotp.SHA512 {
		return s.needs("SHA512", 4, 3, 1)
	}
	return nil
}

// Put writes an account. It fails with ErrExists where there is one of that name that it may not replace. The seed
// stays the caller's.
func (s *Session) Put(ctx context.Context, a Account, seed hotp.Seed) error {
	if err := s.check(a, seed); err != nil {
		return err
	}
	id, err := a.ID()
	if err != nil {
		return err
	}
	if err := s.vacant(ctx, id, a.Replace); err != nil {
		return err
	}
	_, err = s.call(ctx, command{name: "PUT", ins: insPut, data: putData(id, a, seed)})
	return err
}

// putData encodes an account; the order is the one that Nitrokeys insist on.
func putData(id string, a Account, seed hotp.Seed) []byte {
	key := hmacKey(a.Algorithm, seed)
	defer key.Wipe()
	data := make([]byte, 0, maxData) // the key must not stay behind in another buffer
	data = appendObject(data, tagName, []byte(id))
	data = appendObject(data, tagKey, []byte{kindOf(a.Type, a.Algorithm), byte(a.Digits)}, key)
	if a.Touch {
		data = append(data, tagProperty, propertyTouch)
	}
	if a.Counter > 0 {
		data = appendObject(data, tagCounter, binary.BigEndian.AppendUint32(nil, a.Counter))
	}
	return data
}

// propertyTouch is the property "require touch".
const propertyTouch = 0x02

// vacant looks whether an ID may be written. The key itself would overwrite.
func (s *Session) vacant(ctx context.Context, id string, replace bool) error {
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		switch {
		case c.ID == id && !replace:
			return ErrExists
		case c.ID != id && strings.HasPrefix(c.ID, id) && !s.Nitrokey && s.Version.Major == 4 && s.Version.before(4, 3, 5):
			return &UnsupportedError{"an account whose name begins another one's", "firmware " + s.Version.String()}
		}
	}
	return nil
}

// Delete deletes an account.
func (s *Session) Delete(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	data := appendObject(nil, tagName, []byte(id))
	_, err := s.call(ctx, command{name: "DELETE", ins: insDelete, data: data})
	return err
}

// Rename gives an account another ID. It fails with ErrExists where another one has it. An ID of TOTP tells the period:
// one with another period would make other codes.
func (s *Session) Rename(ctx context.Context, id, another string) error {
	if err := s.notNitrokey("renaming an account by RENAME"); err != nil {
		return err
	}
	if err := s.needs("renaming an account", 5, 3, 1); err != nil {
		return err
	}
	if err := checkID(id); err != nil {
		return err
	}
	if err := checkID(another); err != nil {
		return err
	}
	if id == another {
		return nil
	}
	if err := s.vacant(ctx, another, false); err != nil {
		return err
	}
	data := appendObject(nil, tagName, []byte(id))
	data = appendObject(data, tagName, []byte(another))
	_, err := s.call(ctx, command{name: "RENAME", ins: insRename, data: data})
	return err
}

func checkID(id string) error {
	switch {
	case id == "":
		return &NameError{"is missing"}
	case len(id) > MaxID:
		return &NameError{fmt.Sprintf("is %d bytes long, of which a key has room for %d", len(id), MaxID)}
	}
	return nil
}
