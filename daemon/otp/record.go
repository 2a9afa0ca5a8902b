package otp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"fob/hotp"
)

// A record in the store has the name of its token, and as its value a line of JSON, which tells of the token, and behind
// the line feed the handle of its seed as it is: a seed within JSON would leave copies behind.
//
// Members that this fob does not know stay as they are when a record is changed. What an older fob must not ignore takes
// another version.

// version is that of the records.
const version = 1

// record is a record as Go has it.
type record struct {
	Token
	handle Handle
	rest   map[string]json.RawMessage // members that we do not know
}

func (r *record) wipe() { r.handle.Wipe() }

// line is the first line of a record.
type line struct {
	Version   int        `json:"version"`
	Issuer    string     `json:"issuer,omitempty"`
	Account   string     `json:"account,omitempty"`
	Type      string     `json:"type"`
	Algorithm string     `json:"algorithm"`
	Digits    int        `json:"digits"`
	Period    int        `json:"period,omitempty"`
	T0        int64      `json:"t0,omitempty"`
	Counter   uint64     `json:"counter,omitempty"`
	SeedSize  int        `json:"seedSize"`
	Keeper    string     `json:"keeper"`
	Created   time.Time  `json:"created"`
	Used      *time.Time `json:"used,omitempty"`
}

// known are the members of a line.
var known = []string{"version", "issuer", "account", "type", "algorithm", "digits", "period", "t0", "counter", "seedSize",
	"keeper", "created", "used"}

// encode gives the value of a record. The caller wipes it.
func (r *record) encode() ([]byte, error) {
	l := line{version, r.Issuer, r.Account, r.Type.String(), r.Algorithm.String(), r.Digits, r.Period, r.T0, r.Counter,
		r.SeedSize, r.Keeper, r.Created, nil}
	if !r.Used.IsZero() {
		l.Used = &r.Used
	}
	first, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if len(r.rest) > 0 {
		if first, err = merged(first, r.rest); err != nil {
			return nil, err
		}
	}
	value := make([]byte, 0, len(first)+1+len(r.handle))
	return append(append(append(value, first...), '\n'), r.handle...), nil
}

// merged adds members to an object.
func merged(object []byte, rest map[string]json.RawMessage) ([]byte, error) {
	all := make(map[string]json.RawMessage)
	if err := json.Unmarshal(object, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, rest)
	return json.Marshal(all)
}

// decode reads the value of a record. The handle is a copy. Its error is ErrDamaged or ErrNewer.
func decode(name string, value []byte) (*record, error) {
	first, handle, found := bytes.Cut(value, []byte("\n"))
	l, rest, err := parse(first)
	if !found || err != nil {
		return nil, damaged(name, "it is not written as tokens are")
	}
	if l.Version != version {
		return nil, fmt.Errorf("%w: %s", ErrNewer, name)
	}
	r := &record{rest: rest, Token: Token{Name: name, Issuer: l.Issuer, Account: l.Account, Counter: l.Counter,
		SeedSize: l.SeedSize, Keeper: l.Keeper, Created: l.Created, Parameters: hotp.Parameters{
			Type: typeOf(l.Type), Algorithm: algorithmOf(l.Algorithm), Digits: l.Digits, Period: l.Period, T0: l.T0}}}
	if l.Used != nil {
		r.Used = *l.Used
	}
	if err := r.valid(); err != nil {
		return nil, damaged(name, err.Error())
	}
	r.handle = bytes.Clone(handle)
	return r, nil
}

// parse reads the first line. It takes the names of members exactly, which encoding/json would not.
func parse(first []byte) (l line, rest map[string]json.RawMessage, err error) {
	if err := json.Unmarshal(first, &rest); err != nil {
		return line{}, nil, err
	}
	ours := make(map[string]json.RawMessage)
	for _, member := range known {
		if value, given := rest[member]; given {
			ours[member] = value
			delete(rest, member)
		}
	}
	b, err := json.Marshal(ours)
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	return l, rest, err
}

// damaged is a record that authenticates and makes no sense, which a backup that somebody has written may bring.
func damaged(name, problem string) error { return fmt.Errorf("%w: %q: %s", ErrDamaged, name, problem) }

func typeOf(name string) hotp.Type {
	for _, t := range []hotp.Type{hotp.HOTP, hotp.TOTP} {
		if t.String() == name {
			return t
		}
	}
	return 0
}

func algorithmOf(name string) hotp.Algorithm {
	for _, a := range []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512} {
		if a.String() == name {
			return a
		}
	}
	return 0
}
